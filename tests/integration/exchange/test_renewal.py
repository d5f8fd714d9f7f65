"""An evidence file that is stamped anew outlives its time-stamp authorities; judged with clocks years ahead."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import random
import subprocess
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.console.words import called
from gateway.errors import EvidenceAltered, EvidenceTooLarge, TimestampInvalid
from gateway.evidence import container, offline, renewal
from gateway.evidence.container import ContainerReader, ContainerWriter
from gateway.evidence.given import Given
from gateway.evidence.offline import verify_bundle
from gateway.evidence.points import Findings
from gateway.evidence.renewing import is_due, renew
from gateway.signing import keys
from gateway.signing.keys import SigningKey
from gateway.signing.timestamp import HashName
from gateway.signing.trust import RevocationFacts, RevocationItem, read_item
from tests.support import pki
from tests.support.evidence import an_evidence_file, each_page_once, nobody
from tests.support.programs import needs

ROOT = pki.root().certificate
YEAR = pki.YEAR
TSA_ENDS = pki.tsa().certificate.not_valid_after_utc
COMPROMISED, SUPERSEDED = pki.Reason.key_compromise, pki.Reason.superseded


@functools.cache
def root_of(year: int) -> SigningKey:
    """A root of time-stamp authorities that begins so many years after the first documents."""
    return keys.make_ca(keys.subject_name(f"Gốc dấu thời gian {year}"), at=pki.NOW + (year - 1) * YEAR)


@functools.cache
def tsa_of(year: int) -> SigningKey:
    """An authority that begins under such a root a month before a year, and lasts longer than the first one."""
    return pki.certify(
        keys.subject_name(f"Dấu thời gian {year}"),
        issuer=root_of(year),
        at=pki.NOW + year * YEAR - timedelta(days=30),
        valid_for=pki.LONG,
        usages=frozenset({"digital_signature"}),
        purposes=(ExtendedKeyUsageOID.TIME_STAMPING,),
        purposes_critical=True,
    )


@pytest.fixture(autouse=True)
def _each_page_once(monkeypatch: pytest.MonkeyPatch) -> None:
    each_page_once(monkeypatch)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An evidence file with every stamp, by the authority whose certificate ends first."""
    return an_evidence_file(tmp_path_factory.mktemp("gateway"))


def given(at: datetime, *items: RevocationItem, years: Sequence[int] = (), **more: Any) -> Given:
    roots = tuple(root_of(year).certificate for year in years)
    return Given(anchors=(ROOT, *roots), revocation=items, at=at, **more)


def renewed(
    raw: bytes,
    *,
    at: datetime,
    by: SigningKey | None = None,
    years: Sequence[int] = (),
    hash_name: HashName = "sha512",
    items: Sequence[RevocationItem] = (),
    **options: Any,
) -> bytes:
    def ask(digest: bytes, name: HashName) -> bytes:
        return pki.timestamp_token(digest, at=at, authority=by or pki.tsa(), hash_name=name)

    out = io.BytesIO()
    renew(io.BytesIO(raw), out, given(at, *items, years=years), ask=ask, hash_name=hash_name, **options)
    return out.getvalue()


def three_times(raw: bytes) -> bytes:
    """Renewed in the first year, the third and the fifth, each time by the authority of the time."""
    for year, years in ((0, (0,)), (2, (0, 2)), (4, (0, 2, 4))):
        raw = renewed(raw, at=pki.NOW + year * YEAR + timedelta(days=60), by=tsa_of(year), years=years)
    return raw


@pytest.fixture(scope="module")
def thrice(made: bytes) -> bytes:
    return three_times(made)


def judged(raw: bytes, spool: Path, known: Given) -> Findings:
    findings = verify_bundle(io.BytesIO(raw), known, spool=spool, words=called)
    assert not list(spool.iterdir()), "nothing is left behind"
    return findings


def found(findings: Findings, *outcomes: str) -> list[tuple[str, str]]:
    return [(p.part, p.code) for p in findings.points if p.outcome in outcomes]


def parts_of(raw: bytes) -> dict[str, bytes]:
    reader = ContainerReader(io.BytesIO(raw))
    return {name: reader.read(name, limit=10**9) for name in reader.entries}


def packed(parts: dict[str, bytes]) -> bytes:
    """A container whose ZIP is faultless, whatever is in it."""
    out = io.BytesIO()
    writer = ContainerWriter(out)
    for name, content in parts.items():
        if name != container.MIMETYPE:
            writer.add(name, [content])
    writer.close()
    return out.getvalue()


def a_list(issuer: SigningKey, key: SigningKey, when: datetime, reason: pki.Reason | None) -> RevocationItem:
    """The authority's list that says when and why a certificate was revoked."""
    revoked = {key.certificate.serial_number: (when, reason)}
    der = pki.crl(issuer, revoked, this_update=when + timedelta(days=1), next_update=when + timedelta(days=8))
    return read_item(der, source="test.crl")


def stolen(when: datetime, reason: pki.Reason | None = COMPROMISED) -> RevocationItem:
    """The key of the authority that stamped the file when it was made."""
    return a_list(pki.intermediate(), pki.tsa(), when, reason)


# Without a renewal: what a clock years ahead says


@pytest.mark.parametrize(
    ("at", "ended"),
    [
        (TSA_ENDS - timedelta(seconds=1), False),
        (TSA_ENDS + timedelta(seconds=1), True),
        (pki.intermediate().certificate.not_valid_after_utc + YEAR, True),
        (ROOT.not_valid_after_utc + 30 * YEAR, True),
    ],
    ids=["in force", "authority ended", "its issuer ended", "root ended"],
)
def test_a_stamp_that_nobody_renewed_is_believed_and_told_to_have_ended(
    made: bytes, at: datetime, ended: bool, tmp_path: Path
) -> None:
    findings = judged(made, tmp_path, given(at))
    assert findings.proven
    told = [p.values["ended"] for p in findings.points if p.code == "stamp.ended"]
    assert told == ([TSA_ENDS.isoformat()] if ended else []), "once, though three stamps are of that authority"


def test_a_stamp_by_an_authority_whose_key_was_stolen_later_proves_nothing_any_more(
    made: bytes, tmp_path: Path
) -> None:
    findings = judged(made, tmp_path, given(pki.NOW + pki.LONG, stolen(pki.NOW + timedelta(days=200))))
    assert not findings.proven
    assert found(findings, "broken") == []
    assert ("META-INF/signatures.xml", "stamp.revoked") in found(findings, "unproven")
    assert ("seal.xml", "signer.no_time") in found(findings, "unproven")


# Renewed in time, or too late


def test_a_renewed_file_is_proven_long_after_its_first_authority(made: bytes, tmp_path: Path) -> None:
    raw = renewed(made, at=TSA_ENDS - timedelta(days=90), by=tsa_of(0), years=(0,))
    findings = judged(raw, tmp_path, given(TSA_ENDS + timedelta(days=30), years=(0,)))
    assert findings.proven
    assert ("META-INF/timestamp001.tst", "renewal.holds") in found(findings, "holds")
    assert "stamp.ended" not in {p.code for p in findings.points}


@pytest.mark.parametrize("reason", [COMPROMISED, None], ids=["stolen", "no reason"])
def test_a_key_stolen_after_the_renewal_takes_nothing_back(
    made: bytes, reason: pki.Reason | None, tmp_path: Path
) -> None:
    at = pki.NOW + timedelta(days=100)
    raw = renewed(made, at=at, by=tsa_of(0), years=(0,))
    known = given(pki.NOW + pki.LONG, stolen(at + timedelta(days=1), reason), years=(0,))
    assert judged(raw, tmp_path, known).proven
    assert not judged(made, tmp_path, known).proven


def test_a_renewal_after_the_key_was_stolen_is_too_late_and_said_to_be(made: bytes, tmp_path: Path) -> None:
    theft = pki.NOW + timedelta(days=100)
    raw = renewed(made, at=theft + timedelta(days=1), by=tsa_of(0), years=(0,))
    findings = judged(raw, tmp_path, given(pki.NOW + pki.LONG, stolen(theft), years=(0,)))
    assert not findings.proven
    late = [p for p in findings.points if p.code == "stamp.renewed_late"]
    assert {p.part for p in late} == {"META-INF/signatures.xml", "log/statement-1.tsr", "seal.xml"}
    assert late[0].values["held"] == (theft + timedelta(days=1)).isoformat()
    assert "came too late" in late[0].say("en", called)
    assert "quá muộn" in late[0].say("vi", called)


def test_a_renewal_in_the_second_of_the_theft_is_too_late(made: bytes, tmp_path: Path) -> None:
    theft = pki.NOW + timedelta(days=100)
    raw = renewed(made, at=theft, by=tsa_of(0), years=(0,))
    assert not judged(raw, tmp_path, given(pki.NOW + pki.LONG, stolen(theft), years=(0,))).proven


def test_when_the_key_was_stolen_earlier_than_it_was_revoked_that_earlier_day_counts(
    made: bytes, tmp_path: Path
) -> None:
    theft, at = pki.NOW + timedelta(days=50), pki.NOW + timedelta(days=100)
    raw = renewed(made, at=at, by=tsa_of(0), years=(0,))
    entry = (
        x509.RevokedCertificateBuilder(pki.tsa().certificate.serial_number, at + timedelta(days=1))
        .add_extension(x509.CRLReason(COMPROMISED), critical=False)
        .add_extension(x509.InvalidityDate(theft), critical=False)
        .build()
    )
    builder = x509.CertificateRevocationListBuilder(
        issuer_name=pki.intermediate().certificate.subject,
        last_update=at + timedelta(days=2),
        next_update=at + timedelta(days=9),
    ).add_revoked_certificate(entry)
    made_list = builder.sign(pki.intermediate().private, pki.hashes.SHA256()).public_bytes(Encoding.DER)
    known = given(pki.NOW + pki.LONG, read_item(made_list, source="test.crl"), years=(0,))
    assert "stamp.renewed_late" in {p.code for p in judged(raw, tmp_path, known).points}


def test_an_ocsp_answer_says_of_a_theft_as_well_as_a_list(made: bytes, tmp_path: Path) -> None:
    theft = pki.NOW + timedelta(days=100)
    answer = pki.ocsp_response(
        pki.tsa().certificate, revoked=(theft, COMPROMISED), this_update=theft + timedelta(days=1), next_update=None
    )
    item = read_item(answer, source="test.ors")
    findings = judged(made, tmp_path, given(pki.NOW + pki.LONG, item))
    assert "stamp.revoked" in {p.code for p in findings.points}
    raw = renewed(made, at=theft - timedelta(days=1), by=tsa_of(0), years=(0,))
    assert judged(raw, tmp_path, given(pki.NOW + pki.LONG, item, years=(0,))).proven


def test_an_authority_of_authorities_whose_key_was_stolen_is_believed_no_more_either(
    made: bytes, tmp_path: Path
) -> None:
    """Its thief can make an authority, and date it back."""
    theft = pki.NOW + timedelta(days=100)
    item = a_list(pki.root(), pki.intermediate(), theft, pki.Reason.ca_compromise)
    assert not judged(made, tmp_path, given(theft + timedelta(days=2), item)).proven
    raw = renewed(made, at=theft - timedelta(days=1), by=tsa_of(0), years=(0,))
    assert judged(raw, tmp_path, given(theft + timedelta(days=2), item, years=(0,))).proven


def test_an_authority_that_was_closed_keeps_what_it_stamped(made: bytes, tmp_path: Path) -> None:
    item = stolen(pki.NOW + timedelta(days=100), SUPERSEDED)
    assert judged(made, tmp_path, given(pki.NOW + pki.LONG, item)).proven


def test_renewals_follow_each_other_and_each_proves_the_ones_before(thrice: bytes, tmp_path: Path) -> None:
    years = (0, 2, 4)
    at = pki.NOW + 20 * YEAR
    thefts = [
        stolen(pki.NOW + timedelta(days=61)),
        *(a_list(root_of(y), tsa_of(y), pki.NOW + (y + 2) * YEAR + timedelta(days=61), COMPROMISED) for y in (0, 2)),
    ]
    findings = judged(thrice, tmp_path, given(at, *thefts, years=years))
    assert findings.proven
    renewals = [p for p in findings.points if p.code == "renewal.holds"]
    assert [p.part for p in renewals] == [f"META-INF/timestamp00{n}.tst" for n in (3, 2, 1)]
    ended = [p.part for p in findings.points if p.code == "stamp.ended"]
    assert ended == ["META-INF/timestamp003.tst"], "the older ones were renewed before they ended"
    # One of them in the middle is too late: what came before it is judged by the next that is believed.
    late = [*thefts[:2], a_list(root_of(2), tsa_of(2), pki.NOW + 3 * YEAR, COMPROMISED)]
    broken_chain = judged(thrice, tmp_path, given(at, *late, years=years))
    assert not broken_chain.proven
    assert ("META-INF/timestamp002.tst", "stamp.renewed_late") in found(broken_chain, "unproven")
    assert ("META-INF/timestamp001.tst", "stamp.renewed_late") in found(broken_chain, "unproven")


def test_without_the_newest_renewal_it_is_the_earlier_file(made: bytes) -> None:
    raw = made
    for year, years in ((0, (0,)), (2, (0, 2))):
        before = raw
        raw = renewed(raw, at=pki.NOW + year * YEAR + timedelta(days=60), by=tsa_of(year), years=years)
        parts = parts_of(raw)
        number = 1 if year == 0 else 2
        gone = (f"META-INF/renewal00{number}/", "META-INF/ASiCArchiveManifest.xml", f"META-INF/timestamp00{number}")
        kept = {n: c for n, c in parts.items() if not n.startswith(gone)}
        earlier = {n.replace("Manifest001.xml", "Manifest.xml"): c for n, c in kept.items()}
        assert packed(earlier) == before


def test_a_file_without_any_stamp_has_its_first_by_a_renewal(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    bare = an_evidence_file(tmp_path_factory.mktemp("gateway"), log=False, stamp=nobody)
    later = given(pki.NOW + pki.LONG, years=(0,))
    assert not judged(bare, tmp_path, later).proven
    assert judged(renewed(bare, at=pki.NOW + timedelta(days=60), by=tsa_of(0), years=(0,)), tmp_path, later).proven
    gateway_ended = pki.gateway().certificate.not_valid_after_utc + timedelta(days=1)
    late = renewed(bare, at=gateway_ended, by=tsa_of(0), years=(0,))
    assert not judged(late, tmp_path, later).proven, "by then the gateway's certificate had ended"


# What goes in


def test_what_is_needed_to_judge_the_older_stamps_goes_in_and_only_once(made: bytes) -> None:
    at = pki.NOW + timedelta(days=60)
    said = read_item(pki.crl(pki.intermediate(), this_update=at, next_update=None), source="given.crl")
    about_it = read_item(
        pki.crl(pki.root(), this_update=at - timedelta(days=1), next_update=None, number=2), source="known.crl"
    )
    other = read_item(pki.crl(pki.stranger(), this_update=at, next_update=None), source="other.crl")
    known = RevocationFacts([about_it, other])
    raw = renewed(made, at=at, by=tsa_of(0), years=(0,), items=[said], known=known)
    inside = {n: c for n, c in parts_of(raw).items() if n.startswith("META-INF/renewal001/")}
    assert {said.der, about_it.der} <= set(inside.values())
    assert other.der not in inside.values()
    assert all(n.rpartition("/")[2].startswith(hashlib.sha256(c).hexdigest()[:32]) for n, c in inside.items())
    again = parts_of(renewed(raw, at=at + YEAR, by=tsa_of(0), years=(0,), items=[said], known=known))
    second = [c for n, c in again.items() if n.startswith("META-INF/renewal002/")]
    assert second == [root_of(0).certificate.public_bytes(Encoding.DER)], "the chain of the renewal before, alone"


def test_the_root_alone_proves_it_with_what_the_renewal_brought(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    """An authority that sends its own certificate alone, below one that nobody gives years later."""
    bare = an_evidence_file(tmp_path_factory.mktemp("gateway"), log=False, stamp=nobody)
    at = pki.NOW + timedelta(days=60)
    chain = (*given(at).anchors, pki.rsa_authority().certificate)
    lone = pki.certify(
        keys.subject_name("Dấu thời gian một mình"),
        issuer=pki.rsa_authority(),
        usages=frozenset({"digital_signature"}),
        purposes=(ExtendedKeyUsageOID.TIME_STAMPING,),
        purposes_critical=True,
    )
    single = SigningKey(lone.private, lone.certificate, ())

    def ask(digest: bytes, name: HashName) -> bytes:
        return pki.timestamp_token(digest, at=at, authority=single, hash_name=name)

    first, second = io.BytesIO(), io.BytesIO()
    renew(io.BytesIO(bare), first, dataclasses.replace(given(at), anchors=chain), ask=ask)
    assert not judged(first.getvalue(), tmp_path, given(pki.NOW + pki.LONG)).proven
    moment = at + timedelta(days=30)

    def ask_another(digest: bytes, name: HashName) -> bytes:
        return pki.timestamp_token(digest, at=moment, hash_name=name)

    renew(first, second, dataclasses.replace(given(moment), anchors=chain), ask=ask_another)
    assert judged(second.getvalue(), tmp_path, given(pki.NOW + pki.LONG)).proven


@pytest.mark.parametrize("hash_name", ["sha256", "sha384", "sha512"])
def test_a_renewal_by_another_algorithm_covers_all_parts_with_it(
    made: bytes, hash_name: HashName, tmp_path: Path
) -> None:
    at = pki.NOW + timedelta(days=60)
    raw = renewed(made, at=at, by=tsa_of(0), years=(0,), hash_name=hash_name)
    manifest = parts_of(raw)["META-INF/ASiCArchiveManifest.xml"].decode()
    assert manifest.count(hash_name) == manifest.count("DataObjectReference URI") == len(parts_of(raw)) - 3
    assert judged(raw, tmp_path, given(at, years=(0,))).proven


@pytest.mark.parametrize(
    "name", ["page.vi.html", f"{'0' * 32}.cer", f"{'0' * 32}.html"], ids=["page", "another's name", "suffix"]
)
def test_a_renewal_brings_nothing_but_certificates_and_what_is_known_of_revocation(
    made: bytes, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can have a stamp could otherwise put in anything that people take for a part of the evidence."""
    at = pki.NOW + timedelta(days=60)
    content = pki.intermediate().certificate.public_bytes(Encoding.DER)
    brought = f"META-INF/renewal001/{name}"
    monkeypatch.setattr(renewal, "facts_missing", lambda *_: [renewal.Fact(name=brought, der=content)])
    raw = renewed(made, at=at, by=tsa_of(0), years=(0,))
    assert found(judged(raw, tmp_path, given(at, years=(0,))), "broken") == [(brought, "container.altered")]


def test_an_authority_known_to_be_revoked_renews_nothing(made: bytes) -> None:
    """Else what was proven before would be so no more."""
    at = pki.NOW + timedelta(days=60)
    theft = a_list(root_of(0), tsa_of(0), at - timedelta(days=5), COMPROMISED)
    with pytest.raises(TimestampInvalid):
        renewed(made, at=at, by=tsa_of(0), years=(0,), items=[theft])
    with pytest.raises(TimestampInvalid):
        renewed(made, at=at, by=tsa_of(0), years=(0,), known=RevocationFacts([theft]))


def test_a_renewal_that_nobody_could_read_is_not_made(
    made: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lists of every year add up to more than the evidence may have of them."""
    at = pki.NOW + timedelta(days=60)
    lists = [pki.crl(pki.root(), this_update=at, next_update=None, number=n) for n in range(1, 20)]
    many = [read_item(der, source="test.crl") for der in lists]
    monkeypatch.setattr(offline, "_ITEM_MAX", 3_000)
    assert judged(made, tmp_path, given(at)).proven
    with pytest.raises(EvidenceTooLarge):
        renewed(made, at=at, by=tsa_of(0), years=(0,), items=many)
    known = RevocationFacts(many)
    raw = renewed(made, at=at, by=tsa_of(0), years=(0,), known=known)
    assert judged(raw, tmp_path, given(at, years=(0,))).proven, "what does not fit is left out"


def test_what_was_changed_is_not_made_to_look_old(made: bytes) -> None:
    parts = parts_of(made)
    changed = packed({**parts, "receipt.json": parts["receipt.json"] + b" "})
    with pytest.raises(EvidenceAltered) as seen:
        renewed(changed, at=pki.NOW + timedelta(days=60))
    assert seen.value.part == "receipt.json"


def test_a_token_of_nobody_believed_or_of_another_time_renews_nothing(made: bytes) -> None:
    at = pki.NOW + timedelta(days=60)
    with pytest.raises(TimestampInvalid):
        renewed(made, at=at, by=pki.tsa_stranger())
    out = io.BytesIO()

    def behind(digest: bytes, name: HashName) -> bytes:
        return pki.timestamp_token(digest, at=at - timedelta(days=1), hash_name=name)

    with pytest.raises(TimestampInvalid):
        renew(io.BytesIO(made), out, given(at), ask=behind)
    with pytest.raises(EvidenceAltered):
        ContainerReader(out)


def test_a_renewal_that_cannot_help_says_which_stamps_are_not_believed(made: bytes) -> None:
    theft = pki.NOW + timedelta(days=10)
    at = theft + timedelta(days=1)
    out = io.BytesIO()

    def ask(digest: bytes, name: HashName) -> bytes:
        return pki.timestamp_token(digest, at=at, authority=tsa_of(0), hash_name=name)

    done = renew(io.BytesIO(made), out, given(at, stolen(theft), years=(0,)), ask=ask)
    assert set(done.doubtful) == {"META-INF/signatures.xml", "log/statement-1.tsr", "seal.xml"}


def test_a_file_is_due_when_its_newest_stamp_ends_soon(made: bytes) -> None:
    def due(raw: bytes, at: datetime, days: int, *items: RevocationItem) -> bool:
        return is_due(io.BytesIO(raw), given(at, *items, years=(0,)), within=timedelta(days=days))

    assert due(made, TSA_ENDS - timedelta(days=99), 100)
    assert not due(made, TSA_ENDS - timedelta(days=101), 100)
    raw = renewed(made, at=pki.NOW + timedelta(days=60), by=tsa_of(0), years=(0,))
    assert not due(raw, TSA_ENDS - timedelta(days=99), 100)
    assert due(made, pki.NOW + timedelta(days=60), 0, stolen(pki.NOW + timedelta(days=50)))


# Tampered with


def test_a_byte_changed_in_any_part_of_a_renewed_file_names_that_part(thrice: bytes, tmp_path: Path) -> None:
    known = given(pki.NOW + pki.LONG, years=(0, 2, 4))
    drawn = random.Random(9)
    parts = parts_of(thrice)
    for name, content in parts.items():
        if name == container.MIMETYPE:
            continue
        at = drawn.randrange(len(content))
        changed = content[:at] + bytes([content[at] ^ (1 << drawn.randrange(8))]) + content[at + 1 :]
        findings = judged(packed({**parts, name: changed}), tmp_path, known)
        named = found(findings, "broken") or found(findings, "unproven")[:1]
        assert {part for part, _ in named} == {name}, (name, at)


def test_what_comes_with_the_newest_token_cannot_be_changed_unseen(made: bytes, tmp_path: Path) -> None:
    """Nothing is over it; ``tests/unit/evidence/test_timestamp.py`` looks at every byte."""
    raw = renewed(made, at=pki.NOW + timedelta(days=60))
    parts = parts_of(raw)
    name = "META-INF/timestamp001.tst"
    # In the intermediate's certificate, of which a good copy is at hand.
    at = parts[name].index(pki.intermediate().certificate.signature) + 20
    changed = parts[name][:at] + bytes([parts[name][at] ^ 1]) + parts[name][at + 1 :]
    findings = judged(packed({**parts, name: changed}), tmp_path, given(pki.NOW + timedelta(days=61)))
    assert found(findings, "broken") == [(name, "stamp.broken")]


def moved(parts: dict[str, bytes], one: str, other: str) -> dict[str, bytes]:
    names = list(parts)
    a, b = names.index(one), names.index(other)
    names[a], names[b] = names[b], names[a]
    return {n: parts[n] for n in names}


FIRST, SECOND = "META-INF/timestamp001.tst", "META-INF/timestamp002.tst"
LAST = "META-INF/ASiCArchiveManifest.xml"


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda p: {n: c for n, c in p.items() if n != FIRST}, None),
        (lambda p: {n: c for n, c in p.items() if n != "META-INF/timestamp003.tst"}, None),
        (lambda p: {n: c for n, c in p.items() if n != LAST}, None),
        (lambda p: {n: c for n, c in p.items() if "002" not in n}, None),
        (lambda p: moved(p, FIRST, SECOND), None),
        (lambda p: {**p, FIRST: p[SECOND], SECOND: p[FIRST]}, None),
        (lambda p: {**p, "META-INF/more.xml": b"x"}, "META-INF/more.xml"),
        (lambda p: {**p, "more.xml": b"x"}, "more.xml"),
        (lambda p: {**p, "META-INF/timestamp004.tst": p[FIRST]}, None),
        (lambda p: {**p, LAST: p[LAST].replace(b"sha512", b"sha999")}, LAST),
        (lambda p: {**p, LAST: b""}, LAST),
        (lambda p: {**p, LAST: p[LAST].replace(b"?>\n", b"?>\n<!DOCTYPE a [<!ENTITY b 'c'>]>\n")}, LAST),
        (lambda p: {**p, "META-INF/ASiCArchiveManifest001.xml": p[LAST]}, None),
        (lambda p: {n.replace("timestamp002", "timestamp009"): c for n, c in p.items()}, None),
    ],
    ids=["first token", "last token", "last manifest", "the middle", "moved", "exchanged", "stray in META-INF", "stray",
         "one token more", "algorithm", "empty", "entity", "manifest of another", "misnumbered"],
)  # fmt: skip
def test_renewals_removed_moved_or_added_are_refused(
    thrice: bytes, change: Any, part: str | None, tmp_path: Path
) -> None:
    findings = judged(packed(change(parts_of(thrice))), tmp_path, given(pki.NOW + pki.LONG, years=(0, 2, 4)))
    named = {name for name, _ in found(findings, "broken")}
    assert named
    assert all(name.startswith("META-INF/") or name == "more.xml" for name in named)
    if part is not None:
        assert named == {part}


def test_a_stamp_that_is_later_than_what_renews_it_is_told(made: bytes, tmp_path: Path) -> None:
    late = renewed(made, at=pki.NOW + timedelta(days=90))
    out = io.BytesIO()

    def before(digest: bytes, name: HashName) -> bytes:
        return pki.timestamp_token(digest, at=pki.NOW + timedelta(days=60), authority=tsa_of(0), hash_name=name)

    renew(io.BytesIO(late), out, given(pki.NOW + timedelta(days=60), years=(0,)), ask=before)
    findings = judged(out.getvalue(), tmp_path, given(pki.NOW + YEAR, years=(0,)))
    assert (FIRST, "stamp.later") in found(findings, "unproven")


def test_more_renewals_than_a_century_needs_are_refused(made: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewal, "RENEWALS_MAX", 1)
    once = renewed(made, at=pki.NOW + timedelta(days=60))
    with pytest.raises(EvidenceTooLarge):
        renewed(once, at=pki.NOW + timedelta(days=61))


# Other programs


@needs("openssl")
def test_openssl_verifies_each_renewal(thrice: bytes, tmp_path: Path) -> None:
    parts = parts_of(thrice)
    for number, year in ((1, 0), (2, 2), (3, 4)):
        manifest = LAST if number == 3 else f"META-INF/ASiCArchiveManifest00{number}.xml"
        (tmp_path / "manifest.xml").write_bytes(parts[manifest])
        (tmp_path / "token.tst").write_bytes(parts[f"META-INF/timestamp00{number}.tst"])
        (tmp_path / "root.pem").write_bytes(root_of(year).certificate.public_bytes(Encoding.PEM))
        at = str(int((pki.NOW + year * YEAR + timedelta(days=60)).timestamp()))
        command = ["openssl", "ts", "-verify", "-data", "manifest.xml", "-in", "token.tst", "-token_in",
                   "-CAfile", "root.pem", "-attime", at]  # fmt: skip
        good = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert "Verification: OK" in good.stdout + good.stderr, good.stderr
        (tmp_path / "manifest.xml").write_bytes(parts[manifest] + b" ")
        assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode != 0
