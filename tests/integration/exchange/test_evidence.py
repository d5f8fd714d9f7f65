"""What an evidence file proves to somebody who has nothing but the root certificate, and what breaks it."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import random
import re
import subprocess
import tracemalloc
import zipfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import delete, update

from gateway.console.words import called
from gateway.errors import PayloadMissing
from gateway.evidence import bundle, container, offline
from gateway.evidence.belief import Given
from gateway.evidence.bundle import read_signature_part, signature_part
from gateway.evidence.container import ContainerReader, ContainerWriter
from gateway.evidence.offline import verify_bundle
from gateway.evidence.points import Findings
from gateway.evidence.receipt import ReceiptFacts, make_receipt
from gateway.evidence.seal import make_seal, read_seal
from gateway.evidence.told import pages
from gateway.exchange import lookup
from gateway.exchange.examine import ExaminationPace, Examiner
from gateway.exchange.parts import ExaminationRules
from gateway.ledger.actions import Action
from gateway.ledger.revocation import Rejudged
from gateway.ledger.tables import payloads
from gateway.model import (
    Business,
    BusinessType,
    DocumentChange,
    DocumentId,
    DocumentNumber,
    ExaminationKind,
    Replacement,
    ResponseFor,
    Standing,
    StatusCode,
)
from gateway.signing import xades
from gateway.signing.files import Inspector
from gateway.signing.files.wire import to_json
from gateway.signing.keys import SigningKey, known
from gateway.signing.sign import sign_package
from gateway.signing.trust import RevocationFacts, RevocationMode, TrustAnchors, read_item
from tests.support import documents, pdfs, pki
from tests.support.evidence import (
    YEARS_LATER,
    a_maker,
    accepted_and_reported,
    an_evidence_file,
    each_page_once,
    exported,
    nobody,
    of_the_first_form,
    own_site,
    seal_log,
    stamping,
)
from tests.support.exchange import COMMUNE, DEPARTMENT, PUSHED, Site
from tests.support.programs import needs

ROOT = pki.root().certificate

EVERYTHING = [
    ("container.whole", "holds"),
    ("stamp.holds", "holds"),
    ("signer.believed", "holds"),
    ("stamp.holds", "holds"),
    ("log.holds", "holds"),
    ("log.seal", "holds"),
    ("seal.holds", "holds"),
    ("stamp.holds", "holds"),
    ("signer.believed", "holds"),
    ("package.same", "holds"),
    ("sender.signed", "holds"),
    ("files.not_judged", "noted"),
    ("receipt.holds", "holds"),
    ("statuses.hold", "holds"),
    ("facts.told", "noted"),
    ("page.same", "holds"),
    ("gateway.named", "noted"),
]


def judged(raw: bytes, spool: Path, *, inspector: Inspector | None = None, **given: object) -> Findings:
    known = Given(**{"anchors": (ROOT,), "at": pki.NOW + timedelta(hours=1), **given})
    findings = verify_bundle(io.BytesIO(raw), known, spool=spool, words=called, inspector=inspector)
    assert not list(spool.iterdir()), "nothing is left behind"
    return findings


def codes(findings: Findings) -> list[tuple[str, str]]:
    return [(p.code, str(p.outcome)) for p in findings.points]


def broken(findings: Findings) -> list[tuple[str, str]]:
    return [(p.part, p.code) for p in findings.points if p.outcome == "broken"]


def unproven(findings: Findings) -> list[tuple[str, str]]:
    return [(p.part, p.code) for p in findings.points if p.outcome == "unproven"]


@pytest.fixture(autouse=True)
def _each_page_once(monkeypatch: pytest.MonkeyPatch) -> None:
    each_page_once(monkeypatch)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An evidence file with everything."""
    return an_evidence_file(tmp_path_factory.mktemp("gateway"))


@pytest.fixture(scope="module")
def parts(whole: bytes) -> dict[str, bytes]:
    """What is in it, in its order."""
    reader = ContainerReader(io.BytesIO(whole))
    return {name: reader.read(name, limit=10**9) for name in reader.entries}


def test_an_evidence_file_proves_itself_with_the_root_alone(site: Site, tmp_path: Path) -> None:
    document = accepted_and_reported(site)
    seal_log(site)
    (tmp_path / "v").mkdir()
    findings = judged(exported(site, document), tmp_path / "v", at=site.clock())
    assert codes(findings) == EVERYTHING
    assert findings.proven
    last = site.ledger.trace(document).events[-1]
    assert (last.action, last.actor, last.data["stamped"]) == (Action.EVIDENCE_EXPORTED, "test", True)


def test_it_stands_when_every_certificate_has_ended(whole: bytes, tmp_path: Path) -> None:
    assert pki.gateway().certificate.not_valid_after_utc < YEARS_LATER
    found = codes(judged(whole, tmp_path, at=YEARS_LATER))
    found.remove(("stamp.ended", "noted"))
    assert found == EVERYTHING


def test_without_a_root_it_is_whole_and_proves_nothing(whole: bytes, tmp_path: Path) -> None:
    findings = judged(whole, tmp_path, anchors=())
    assert not findings.proven
    assert broken(findings) == []
    assert {code for _, code in unproven(findings)} == {"stamp.not_believed", "signer.no_anchor"}


def test_another_root_believes_nobody_in_it(whole: bytes, tmp_path: Path) -> None:
    findings = judged(whole, tmp_path, anchors=(pki.stranger().chain[-1],) if pki.stranger().chain else ())
    assert not findings.proven
    assert broken(findings) == []


def test_the_gateway_s_own_certificate_is_enough_while_it_lasts(whole: bytes, tmp_path: Path) -> None:
    own = pki.gateway().certificate
    now = codes(judged(whole, tmp_path, anchors=(), gateways=(own,)))
    assert ("signer.believed", "holds") in now
    later = judged(whole, tmp_path, anchors=(), gateways=(own,), at=YEARS_LATER)
    assert ("seal.xml", "signer.no_time") in unproven(later)


def test_a_gateway_other_than_the_one_that_is_meant_is_not_taken_for_it(whole: bytes, tmp_path: Path) -> None:
    findings = judged(whole, tmp_path, gateways=(pki.agency_ec().certificate,))
    assert ("seal.xml", "signer.other_gateway") in unproven(findings)


# What time-stamps are for


def without_stamps(tmp_path_factory: pytest.TempPathFactory, **options: Any) -> bytes:
    return an_evidence_file(tmp_path_factory.mktemp("gateway"), **options)


def test_without_any_stamp_it_holds_as_long_as_the_certificates(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    raw = without_stamps(tmp_path_factory, log=False, stamp=nobody)
    now = judged(raw, tmp_path)
    assert now.proven
    assert codes(now).count(("stamp.none", "noted")) == 2
    assert ("log.none", "noted") in codes(now)
    later = judged(raw, tmp_path, at=YEARS_LATER)
    assert not later.proven
    assert {code for _, code in unproven(later)} == {"signer.no_time"}


def test_the_log_s_stamp_alone_proves_when_the_seal_was_made(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    raw = without_stamps(tmp_path_factory, stamp=nobody)
    later = judged(raw, tmp_path, at=YEARS_LATER)
    believed = {p.part: p.code for p in later.points if p.code.startswith("signer.")}
    assert believed["seal.xml"] == "signer.believed"
    assert believed["META-INF/signatures.xml"] == "signer.no_time"


def test_a_stamp_is_had_once_and_serves_every_later_file(site: Site, tmp_path: Path) -> None:
    document = accepted_and_reported(site)
    asked: list[bytes] = []

    def counted(digest: bytes) -> bytes:
        asked.append(digest)
        return stamping(site.clock)(digest)

    first, second = (exported(site, document, stamp=counted) for _ in range(2))
    seals = [ContainerReader(io.BytesIO(raw)).read("seal.xml", limit=10**6) for raw in (first, second)]
    assert seals[0] == seals[1]
    assert read_seal(seals[0]).signature.token == site.ledger.seal_stamp(document)
    assert len(asked) == 3, "one for the seal, one for each file"


def test_an_authority_that_is_down_stops_nothing_and_is_asked_once(site: Site) -> None:
    document = accepted_and_reported(site)
    asked: list[bytes] = []
    raw = exported(site, document, stamp=asked.append)
    assert len(asked) == 1
    assert read_seal(ContainerReader(io.BytesIO(raw)).read("seal.xml", limit=10**6)).signature.token is None
    assert site.ledger.seal_stamp(document) is None


def test_stamps_of_a_stranger_prove_nothing(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    raw = without_stamps(
        tmp_path_factory,
        log=False,
        stamp=lambda digest: pki.timestamp_token(digest, authority=pki.tsa_stranger(), at=pki.NOW + timedelta(hours=1)),
    )
    findings = judged(raw, tmp_path, at=YEARS_LATER)
    assert broken(findings) == []
    assert ("seal.xml", "stamp.not_believed") in unproven(findings)
    assert ("seal.xml", "signer.no_time") in unproven(findings)


def test_a_stamp_from_the_future_proves_nothing(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    ahead = pki.NOW + timedelta(days=60)
    raw = without_stamps(tmp_path_factory, log=False, stamp=lambda digest: pki.timestamp_token(digest, at=ahead))
    findings = judged(raw, tmp_path)
    assert unproven(findings) == [("META-INF/signatures.xml", "stamp.future"), ("seal.xml", "stamp.future")]
    assert judged(raw, tmp_path, at=ahead).proven


def test_a_document_of_the_time_of_the_first_seals_still_has_evidence(site: Site, tmp_path: Path) -> None:
    document = site.accept(sign_package(documents.a_package(), pki.agency())).document_id
    trace = site.ledger.trace(document)
    old = of_the_first_form(read_seal(trace.document.seal).facts, pki.gateway())
    then = dataclasses.replace(trace, document=dataclasses.replace(trace.document, seal=old))
    with a_maker(site).export(then, actor="test") as made:
        raw = made.read()
    (tmp_path / "v").mkdir()
    findings = judged(raw, tmp_path / "v", at=YEARS_LATER)
    assert findings.proven, "by the stamp over the whole file"
    assert ("stamp.none", "noted") in codes(findings)


# Revocation


def revoked(when: Any) -> tuple[Any, ...]:
    serial = pki.gateway().certificate.serial_number
    der = pki.crl(pki.intermediate(), revoked={serial: (when, None)}, this_update=YEARS_LATER, next_update=None)
    return (read_item(der, source="test.crl"),)


def test_a_key_revoked_after_the_proven_moment_still_proves(whole: bytes, tmp_path: Path) -> None:
    items = revoked(pki.NOW + timedelta(days=30))
    assert judged(whole, tmp_path, revocation=items, at=YEARS_LATER).proven


def test_a_key_revoked_before_the_proven_moment_proves_nothing(whole: bytes, tmp_path: Path) -> None:
    findings = judged(whole, tmp_path, revocation=revoked(pki.NOW - timedelta(days=1)), at=YEARS_LATER)
    assert ("seal.xml", "signer.revoked") in broken(findings)


# Altered: the part is named


def test_a_byte_changed_in_any_part_names_that_part(whole: bytes, parts: dict[str, bytes], tmp_path: Path) -> None:
    reader = ContainerReader(io.BytesIO(whole))
    drawn = random.Random(4)
    for name, content in parts.items():
        for _ in range(2):
            at = reader.entries[name].data_start + drawn.randrange(len(content))
            changed = whole[:at] + bytes([whole[at] ^ (1 << drawn.randrange(8))]) + whole[at + 1 :]
            findings = judged(changed, tmp_path)
            assert {part for part, _ in broken(findings)} == {name}, at


def test_a_byte_changed_anywhere_is_seen(whole: bytes, parts: dict[str, bytes], tmp_path: Path) -> None:
    drawn = random.Random(5)
    for _ in range(150):
        at = drawn.randrange(len(whole))
        changed = whole[:at] + bytes([whole[at] ^ (1 << drawn.randrange(8))]) + whole[at + 1 :]
        findings = judged(changed, tmp_path)
        assert len(broken(findings)) >= 1, at
        assert {part for part, _ in broken(findings)} <= {"zip", *parts}, at


def repacked(parts: dict[str, bytes]) -> bytes:
    """A container whose ZIP is faultless, whatever is in it."""
    out = io.BytesIO()
    writer = ContainerWriter(out)
    for name, content in parts.items():
        if name != container.MIMETYPE:
            writer.add(name, [content])
    writer.close()
    return out.getvalue()


def test_a_part_changed_with_its_checksums_put_right_is_named(parts: dict[str, bytes], tmp_path: Path) -> None:
    for name, content in parts.items():
        if name == container.MIMETYPE:
            continue
        middle = len(content) // 2
        changed = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        found = {part for part, _ in broken(judged(repacked({**parts, name: changed}), tmp_path))}
        assert found == {name}, name


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda p: {n: c for n, c in p.items() if n != "receipt.json"}, "receipt.json"),
        (lambda p: {**p, "more.json": b"{}"}, "more.json"),
        (lambda p: {"evidence.json": p["evidence.json"], "seal.xml": p["seal.xml"], **p}, "zip"),
        (lambda p: {n: c for n, c in p.items() if n != "META-INF/signatures.xml"}, "META-INF/signatures.xml"),
    ],
    ids=["removed", "added", "order", "unsigned"],
)
def test_parts_removed_added_or_moved_are_named(
    parts: dict[str, bytes], change: Callable[[dict[str, bytes]], dict[str, bytes]], part: str, tmp_path: Path
) -> None:
    if part == "zip":
        names = list(parts)
        names[1], names[2] = names[2], names[1]
        changed = {n: parts[n] for n in names}
    else:
        changed = change(parts)
    assert {p for p, _ in broken(judged(repacked(changed), tmp_path))} == {part}


def test_a_zip_that_another_program_packed_is_refused(parts: dict[str, bytes], tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    assert broken(judged(out.getvalue(), tmp_path))


# Made anew by somebody with a key


def resigned(parts: dict[str, bytes], key: SigningKey, **changes: bytes | None) -> bytes:
    """The same container with other parts, signed anew: what somebody with a key can make."""
    given = {name.replace("__", "/").replace("_dot_", "."): content for name, content in changes.items()}
    kept = {n: given.get(n, c) for n, c in parts.items() if not n.startswith("META-INF/") and n != container.MIMETYPE}
    out = io.BytesIO()
    writer = ContainerWriter(out)
    for name, content in kept.items():
        if content is not None:
            writer.add(name, [content])
    bundle._sign(writer, key, stamping(lambda: pki.NOW + timedelta(minutes=20)), pki.NOW + timedelta(minutes=20))
    writer.close()
    return out.getvalue()


def test_signed_anew_by_the_gateway_unchanged_it_holds(parts: dict[str, bytes], tmp_path: Path) -> None:
    assert codes(judged(resigned(parts, pki.gateway()), tmp_path)) == EVERYTHING


def test_a_file_put_together_by_somebody_else_under_the_same_root_is_told(
    parts: dict[str, bytes], tmp_path: Path
) -> None:
    findings = judged(resigned(parts, pki.other_agency()), tmp_path)
    assert unproven(findings) == [("seal.xml", "container.maker")]


def other_package() -> bytes:
    other = DocumentId("000.00.14.H37,2026/03/05,08/SA-VP")
    return sign_package(documents.a_package(document_id=other, subject="Một văn bản khác"), pki.agency())


def with_json(raw: bytes, **changes: object) -> bytes:
    return json.dumps({**json.loads(raw), **changes}).encode()


def with_document(raw: bytes, **changes: object) -> bytes:
    facts = json.loads(raw)
    return json.dumps({**facts, "document": {**facts["document"], **changes}}).encode()


def event_changed(raw: bytes) -> bytes:
    """The first event happened a second later, says this file."""
    proofs = json.loads(raw)
    proofs[0]["event"] = proofs[0]["event"].replace(':00.000000Z"', ':01.000000Z"', 1)
    return json.dumps(proofs).encode()


@pytest.mark.parametrize(
    ("name", "change", "found"),
    [
        ("package.edxml", lambda c: other_package(), ("package.edxml", "package.other")),
        ("package.edxml", lambda c: b"not a package", ("package.edxml", "package.other")),
        ("seal.xml", lambda c: c.replace(b"H37", b"H38", 1), ("seal.xml", "seal.broken")),
        ("seal.xml", lambda c: b"<Seal/>", ("seal.xml", "seal.broken")),
        ("receipt.json", lambda c: with_json(c, size=1), ("receipt.json", "receipt.broken")),
        ("receipt.json", lambda c: b"[]", ("receipt.json", "receipt.broken")),
        ("evidence.json", lambda c: with_json(c, id="other"), ("evidence.json", "facts.differ")),
        ("evidence.json", lambda c: with_document(c, sender="H38"), ("evidence.json", "facts.differ")),
        ("evidence.json", lambda c: b"[]", ("evidence.json", "facts.differ")),
        ("evidence.json", lambda c: b"{", ("evidence.json", "container.altered")),
        ("log/proofs.json", event_changed, ("log/proofs.json", "log.broken")),
        ("log/proofs.json", lambda c: b"7", ("log/proofs.json", "log.broken")),
        ("log/proofs.json", lambda c: b"[7]", ("log/proofs.json", "log.broken")),
        ("log/statement-1.json", lambda c: c.replace(b"H37", b"H38"), ("log/statement-1.tsr", "stamp.broken")),
        ("log/statement-1.tsr", lambda c: c[:-1] + b"\0", ("log/statement-1.tsr", "stamp.broken")),
        ("statuses/0001.edxml", lambda c: other_package(), ("statuses/0001.edxml", "status.broken")),
        ("statuses/0001.seal.xml", lambda c: b"<Seal/>", ("statuses/0001.seal.xml", "status.broken")),
        ("statuses/0001.receipt.json", lambda c: with_json(c, size=1), ("statuses/0001.receipt.json", "status.broken")),
    ],
)  # fmt: skip
def test_parts_that_contradict_each_other_are_named_whoever_signed_them(
    parts: dict[str, bytes], name: str, change: Callable[[bytes], bytes], found: tuple[str, str], tmp_path: Path
) -> None:
    raw = resigned(parts, pki.gateway(), **{name: change(parts[name])})
    assert found in broken(judged(raw, tmp_path))


LIES: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda f: f["verdict"].update(standing="unsigned"), "verdict.standing"),
    (lambda f: f["verdict"].update(subject="CN=Ai khác"), "verdict.subject"),
    (lambda f: f["judgements"].append({"at": "x", "cause": "receipt", "verdict": {}}), "verdict"),
    (lambda f: f["document"].update(subject="Cho phép xây dựng"), "document.subject"),
    (lambda f: f["document"].update(subject=""), "document.subject"),
    (lambda f: f["document"].update(number="08/SA-VP"), "document.number"),
    (lambda f: f["document"].update(issued_on="2025-03-05"), "document.issued_on"),
    (lambda f: f["document"].update(sender_name="Bộ Kiểm thử"), "document.sender_name"),
    (lambda f: f["document"].update(received_at="2025-03-05T07:30:00+00:00"), "document.received_at"),
    (lambda f: f["document"].update(received_at="hôm qua"), "document.received_at"),
    (lambda f: f["document"].update(size=True), "document.size"),
    (lambda f: f["document"]["attachments"].clear(), "document.attachments"),
    (lambda f: f["document"]["attachments"][0].update(sha256="0" * 64), "document.attachments.sha256"),
    (lambda f: f["gateway"].update(code="000.00.00.H38"), "gateway.code"),
    (lambda f: f["seal"].update(subject="CN=Trục khác"), "seal.subject"),
    (lambda f: f["seal"].update(stamped_at="2025-03-05T07:30:00+00:00"), "seal.stamped_at"),
    (lambda f: f["statuses"][0].update(code="06"), "statuses.code"),
    (lambda f: f["statuses"][0].update(description="Đã giải quyết xong"), "statuses.description"),
    (lambda f: f["statuses"][0].update(reporter=DEPARTMENT), "statuses.reporter"),
    (lambda f: f["statuses"].clear(), "statuses"),
    (lambda f: f["events"][0].update(at="2025-03-05T07:30:00+00:00"), ".at"),
    (lambda f: f["events"][0].update(action="document.refused"), ".action"),
    (lambda f: f["events"][0].update(actor="ai-do"), ".actor"),
    (lambda f: f["events"][0].update(stamped_at="2025-03-05T07:30:00+00:00"), ".stamped_at"),
    (lambda f: f["events"].pop(0), ".action"),
    (lambda f: f["events"].append({**f["events"][0], "id": 10**9}), ".stamped_at"),
]


@pytest.mark.parametrize(("lie", "named"), LIES, ids=[f"{n}-{name}" for n, (_, name) in enumerate(LIES)])
def test_a_gateway_cannot_tell_what_its_own_proofs_contradict(
    parts: dict[str, bytes], lie: Callable[[dict[str, Any]], object], named: str, tmp_path: Path
) -> None:
    facts = json.loads(parts["evidence.json"])
    lie(facts)
    # The pages are not compared: that is another question.
    told = {"evidence.json": json.dumps({**facts, "made_with": "-"}).encode()}
    findings = judged(resigned(parts, pki.gateway(), **told), tmp_path)
    assert broken(findings) == [("evidence.json", "facts.differ")]
    assert named in next(p.values["detail"] for p in findings.points if p.code == "facts.differ")


@pytest.mark.parametrize("name", ["page.vi.html", "page.en.html", "page.vi.pdf", "page.en.pdf"])
def test_a_page_that_says_something_else_is_named(parts: dict[str, bytes], name: str, tmp_path: Path) -> None:
    other = parts[name].replace(b"05/03/2026", b"05/03/2025") + b" "
    findings = judged(resigned(parts, pki.gateway(), **{name: other}), tmp_path)
    assert broken(findings) == [(name, "page.other")]


def test_pages_of_another_version_are_told_not_to_be_compared(parts: dict[str, bytes], tmp_path: Path) -> None:
    made = {"evidence.json": with_json(parts["evidence.json"], made_with="0.0.1")}
    findings = judged(resigned(parts, pki.gateway(), **made), tmp_path)
    assert ("page.not_compared", "noted") in codes(findings)
    assert findings.proven


def test_a_form_that_is_not_known_and_parts_that_nobody_looked_at_prove_nothing(
    parts: dict[str, bytes], tmp_path: Path
) -> None:
    more = {
        "evidence.json": with_json(parts["evidence.json"], version=2, made_with="-"),
        "statuses/0009.edxml": other_package(),
        "log/statement-9.json": b"{}",
        "ket-luan.html": b"<h1>Hop le</h1>",
    }
    findings = judged(resigned({**parts, **more}, pki.gateway()), tmp_path)
    unknown = [(n, "container.unknown") for n in more if n != "evidence.json"]
    assert sorted(unproven(findings)) == sorted([("evidence.json", "facts.version"), *unknown])


def test_a_receipt_of_another_moment_than_the_seal_s_does_not_fit(parts: dict[str, bytes], tmp_path: Path) -> None:
    facts = ReceiptFacts.from_json(json.loads(parts["receipt.json"]))
    later = make_receipt(dataclasses.replace(facts, accepted_at=facts.accepted_at - pki.YEAR / 2), pki.gateway())
    changed = {"receipt.json": json.dumps(later.as_json()).encode()}
    findings = judged(resigned(parts, pki.gateway(), **changed, **{"log/proofs.json": b"[]"}), tmp_path)
    assert ("receipt.json", "receipt.broken") in broken(findings)


def test_a_status_that_names_another_document_is_not_this_one_s(site: Site, tmp_path: Path) -> None:
    document = accepted_and_reported(site)
    trace = site.ledger.trace(document)
    elsewhere = ResponseFor(code=DEPARTMENT, number="99/SA-VP", document_id=DocumentId("khác"), issued_on=None)
    about = documents.a_status_package(
        StatusCode.PROCESSING, sender=documents.an_organization(COMMUNE), responses=(elsewhere,)
    )
    other = site.accept(about, caller=COMMUNE).document_id
    told = dataclasses.replace(trace.statuses[0], package=other, code=StatusCode.PROCESSING)
    row = site.ledger.document(other)
    told = dataclasses.replace(told, received_at=row.received_at, description=None)
    with a_maker(site).export(dataclasses.replace(trace, statuses=(told,)), actor="test") as made:
        raw = made.read()
    (tmp_path / "v").mkdir()
    findings = judged(raw, tmp_path / "v", at=site.clock())
    assert unproven(findings) == [("statuses/0001.edxml", "status.elsewhere")]


def test_a_seal_that_is_dated_after_its_proof_is_told(site: Site, tmp_path: Path) -> None:
    """A gateway whose clock is ahead: what it says of the time is not so."""
    document = accepted_and_reported(site)
    early = pki.NOW - timedelta(hours=5)
    raw = exported(site, document, stamp=lambda digest: pki.timestamp_token(digest, at=early))
    (tmp_path / "v").mkdir()
    findings = judged(raw, tmp_path / "v", at=site.clock())
    assert unproven(findings) == [("seal.xml", "seal.later")]


def test_a_verdict_that_changed_later_is_told_with_the_sealed_one(site: Site, tmp_path: Path) -> None:
    document = accepted_and_reported(site)
    old = site.ledger.document(document).verdict
    new = dataclasses.replace(old, standing=Standing.INVALID, reason="signature.certificate_revoked")
    change = Rejudged(document=document, old=old, new=new, cause="revocation")
    assert site.ledger.rejudge([change], now=site.clock())
    raw = exported(site, document)
    (tmp_path / "v").mkdir()
    assert judged(raw, tmp_path / "v", at=site.clock()).proven
    facts = json.loads(ContainerReader(io.BytesIO(raw)).read("evidence.json", limit=10**7))
    assert [j["verdict"]["standing"] for j in facts["judgements"]] == ["valid", "invalid"]
    assert facts["verdict"]["standing"] == "invalid"


def test_whose_word_it_is_is_said_unless_the_gateway_was_given(parts: dict[str, bytes], tmp_path: Path) -> None:
    """Certificates name no gateways: anybody under the root can call himself one."""
    own, other = pki.gateway(), pki.other_agency()
    seal = read_seal(parts["seal.xml"])
    facts = seal.facts
    receipt = ReceiptFacts.from_json(json.loads(parts["receipt.json"]))
    forged = {
        "seal.xml": make_seal(facts, other),
        "receipt.json": json.dumps(make_receipt(receipt, other).as_json()).encode(),
        "log/proofs.json": b"[]",
    }
    told = json.loads(parts["evidence.json"])
    told["seal"] = {"subject": known(other.certificate).subject, "stamped_at": None, "authority": None}
    told["events"] = told["statuses"] = []
    forged |= {"evidence.json": json.dumps(told).encode(), **{n: p or b"" for n, p in pages(told, called)}}
    kept = {n: c for n, c in parts.items() if not n.startswith(("statuses/", "log/"))}
    kept["certificates/other.cer"] = other.certificate.public_bytes(Encoding.DER)
    raw = resigned({**kept, **forged}, other)
    alone = judged(raw, tmp_path)
    assert next(p for p in alone.points if p.code == "gateway.named").values == {
        "subject": known(other.certificate).subject,
        "gateway": str(facts.gateway),
    }
    meant = judged(raw, tmp_path, gateways=(own.certificate,))
    assert not meant.proven
    assert ("seal.xml", "signer.other_gateway") in unproven(meant)
    assert "gateway.named" not in dict(codes(meant))


# Signatures inside the files


@pytest.fixture(scope="module")
def dispatch(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    """The parts of a file whose document carries a signed dispatch; and what the gateway would say of that."""
    with own_site(tmp_path_factory.mktemp("gateway")) as site:
        site.change(DEPARTMENT, certificates=site.known[DEPARTMENT].certificates)
        package = documents.a_package(contents={"main": pdfs.issued()})
        reader = ContainerReader(
            io.BytesIO(exported(site, site.accept(sign_package(package, pki.agency())).document_id))
        )
        parts = {name: reader.read(name, limit=10**9) for name in reader.entries}
    content = json.loads(parts["evidence.json"])["document"]["attachments"][0]["content_id"]
    verdicts = [dataclasses.replace(v, content_id=content) for v in pdfs.judged(pdfs.issued())]
    return parts, [to_json(v) for v in verdicts]


def about_files(parts: dict[str, bytes], files: object) -> bytes:
    facts = {**json.loads(parts["evidence.json"]), "files": files}
    told = {"evidence.json": json.dumps(facts).encode(), **{n: p or b"" for n, p in pages(facts, called)}}
    return resigned(parts, pki.gateway(), **told)


def test_signatures_inside_files_are_judged_again_offline(
    dispatch: tuple[dict[str, bytes], list[dict[str, Any]]], tmp_path: Path
) -> None:
    parts, verdicts = dispatch
    signers = [s["certificate_sha256"] for s in verdicts[0]["signatures"]]
    assert len(signers) == 2
    lies = {
        "told": (verdicts, ("file.signed", "holds")),
        "nothing told": ([], ("file.found", "noted")),
        "odd": ([{"content_id": [], "member": 5, "signatures": 7}, 4], ("file.found", "noted")),
        "one fewer": (
            [{**verdicts[0], "signatures": verdicts[0]["signatures"][:1]}],
            ("file.differs", "broken"),
        ),
        "worse": ([{**verdicts[0], "standing": "altered"}], ("file.differs", "unproven")),
    }
    with Inspector() as inspector:
        for name, (files, expected) in lies.items():
            findings = judged(about_files(parts, files), tmp_path, inspector=inspector)
            assert expected in codes(findings), name
        nobody_given = judged(about_files(parts, verdicts), tmp_path, inspector=inspector, anchors=())
        assert ("file.differs", "unproven") in codes(nobody_given)


def test_another_document_s_receipt_or_log_does_not_fit(site: Site, tmp_path: Path) -> None:
    one, two = accepted_and_reported(site), site.accept(other_package()).document_id
    seal_log(site)
    reader, other = (ContainerReader(io.BytesIO(exported(site, d))) for d in (one, two))
    both = [{n: r.read(n, limit=10**9) for n in r.entries} for r in (reader, other)]
    (tmp_path / "v").mkdir()
    with_receipt = resigned(both[0], pki.gateway(), **{"receipt.json": both[1]["receipt.json"]})
    assert ("receipt.json", "receipt.broken") in broken(judged(with_receipt, tmp_path / "v"))
    assert ("log/proofs.json", "log.other") in broken(judged(with_receipt, tmp_path / "v"))
    with_log = resigned(both[0], pki.gateway(), **{"log/proofs.json": both[1]["log/proofs.json"]})
    assert ("log/proofs.json", "log.other") in broken(judged(with_log, tmp_path / "v"))


def _odd_certificates() -> dict[str, bytes]:
    """Certificates that somebody may put in: keys of other kinds, and one whose key cannot be read."""
    odd: dict[str, bytes] = {}
    for n, key in enumerate((ed25519.Ed25519PrivateKey.generate(), dsa.generate_private_key(1024))):
        name = x509.Name.from_rfc4514_string("CN=lạ")
        made = x509.CertificateBuilder(name, name, key.public_key(), n + 1, pki.NOW - pki.YEAR, pki.NOW + pki.YEAR)
        signed = made.sign(pki.root().private, hashes.SHA256())
        odd[f"certificates/odd{n}.cer"] = signed.public_bytes(Encoding.DER)
    der = pki.agency_ec().certificate.public_bytes(Encoding.DER)
    point = der.index(b"\x03\x42\x00\x04") + 4
    odd["certificates/odd2.cer"] = der[:point] + bytes(64) + der[point + 64 :]
    return odd


@pytest.mark.parametrize(
    "more",
    [
        _odd_certificates(),
        {"certificates/x.cer": b"none"},
        {"revocation/x.crl": b"none"},
        {"revocation/x.ors": pki.crl(pki.stranger(), this_update=pki.NOW, next_update=None)},
        {"evidence.json": b"[" * 100_000},
        {"evidence.json": b'{"id": ' + b"9" * 10_000 + b"}"},
        {"evidence.json": b"\xff"},
        {"receipt.json": b"\xff" * 10},
        {"receipt.json": b'{"jws": {"a": 1}}'},
        {"log/proofs.json": b'[{"stamp": "../../x", "event": "{}"}]'},
        {"log/proofs.json": b'[{"stamp": null, "event": 5}]'},
        {"package.edxml": b'<!DOCTYPE x [<!ENTITY a "b">]><edXML/>'},
    ],
    ids=["odd-keys", "no-certificate", "no-crl", "strange-crl", "deep", "number", "not-utf8", "receipt-bytes",
         "receipt-shape", "stamp-path", "event-kind", "doctype"],
)  # fmt: skip
def test_whatever_a_hostile_maker_signs_is_judged_and_never_crashes(
    parts: dict[str, bytes], more: dict[str, bytes], tmp_path: Path
) -> None:
    findings = judged(resigned({**parts, **more}, pki.gateway()), tmp_path)
    assert findings.points
    assert findings.proven is (set(more) >= {"certificates/odd0.cer"} or "revocation/x.ors" in more)


@pytest.mark.parametrize(
    ("folder", "more"),
    [
        ("certificates/", {f"certificates/{n}.cer": b"" for n in range(1_001)}),
        ("revocation/", {f"revocation/{n}.crl": b"" for n in range(1_001)}),
        ("revocation/", {f"revocation/{n}.crl": bytes(33 * 1024 * 1024) for n in range(2)}),
        ("evidence.json", {"evidence.json": bytes(17 * 1024 * 1024)}),
    ],
    ids=["certificates", "items", "bytes", "facts"],
)
def test_more_than_an_evidence_file_has_is_refused_unread(
    parts: dict[str, bytes], folder: str, more: dict[str, bytes], tmp_path: Path
) -> None:
    raw = resigned({**parts, **more}, pki.gateway(), **{"evidence.json": more.get("evidence.json", b"{}")})
    assert broken(judged(raw, tmp_path)) == [(folder, "container.altered")]


def test_stamps_without_end_are_not_judged_without_end(
    parts: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offline, "_STAMPS_MAX", 1)
    proofs = json.loads(parts["log/proofs.json"])
    stamps = {f"log/statement-2.{kind}": parts[f"log/statement-1.{kind}"] for kind in ("json", "tsr")}
    more = json.dumps([*proofs[:-1], {**proofs[-1], "stamp": "log/statement-2"}]).encode()
    findings = judged(resigned({**parts, **stamps}, pki.gateway(), **{"log/proofs.json": more}), tmp_path)
    assert ("log.more", "noted") in codes(findings)
    assert [p.part for p in findings.points if p.code == "stamp.holds" and p.part.startswith("log/")] == [
        "log/statement-1.tsr"
    ]
    assert findings.proven


def test_a_signature_that_covers_less_than_everything_is_refused(parts: dict[str, bytes], tmp_path: Path) -> None:
    signature = read_signature_part(parts[container.SIGNATURES])
    fewer = xades.sign(signature.references[1:], pki.gateway(), at=pki.NOW)
    raw = repacked({**parts, container.SIGNATURES: signature_part(fewer)})
    assert broken(judged(raw, tmp_path)) == [("evidence.json", "container.altered")]


def test_a_signature_part_in_any_other_form_is_refused(parts: dict[str, bytes], tmp_path: Path) -> None:
    for change in (
        lambda s: s.replace(b"<ds:SignedInfo>", b"<ds:SignedInfo >"),
        lambda s: s + b"\n",
        lambda s: s.replace(b"?>\n<asic", b"?>\n<!-- --><asic"),
        lambda s: s.replace(b"<ds:KeyInfo>", b'<ds:KeyInfo Id="a">'),
    ):
        raw = repacked({**parts, container.SIGNATURES: change(parts[container.SIGNATURES])})
        assert broken(judged(raw, tmp_path)) == [(container.SIGNATURES, "container.signature")]


# What is in it


def test_a_receiver_s_file_tells_of_its_own_copy_alone(site: Site, tmp_path: Path) -> None:
    document = accepted_and_reported(site)
    seal_log(site)
    trace = lookup.visible_trace(site.parts, document, caller=site.known[COMMUNE])
    with a_maker(site).export(trace, actor=COMMUNE) as made:
        raw = made.read()
    facts = json.loads(ContainerReader(io.BytesIO(raw)).read("evidence.json", limit=10**7))
    assert {d["recipient"] for d in facts["deliveries"]} == {COMMUNE}
    proofs = json.loads(ContainerReader(io.BytesIO(raw)).read("log/proofs.json", limit=10**7))
    own = {d["id"] for d in facts["deliveries"]} | {None}
    assert {json.loads(p["event"])["delivery"] for p in proofs} <= own
    (tmp_path / "v").mkdir()
    assert judged(raw, tmp_path / "v").proven


def test_a_package_that_was_damaged_where_it_is_kept_is_found_when_evidence_is_made(site: Site) -> None:
    document = accepted_and_reported(site)
    row = site.ledger.document(document)
    with site.ledger.engine.begin() as connection:
        changed = update(payloads).where(payloads.c.sha256 == row.sha256).values(content=other_package())
        assert connection.execute(changed).rowcount == 1
    with pytest.raises(PayloadMissing):
        exported(site, document)
    assert site.ledger.trace(document).events[-1].action is not Action.EVIDENCE_EXPORTED
    assert not list(site.parts.spool.iterdir())


def test_what_was_found_inside_files_is_told_with_its_certificates_and_holds_offline(
    site: Site, tmp_path: Path
) -> None:
    site.rule(examinations=ExaminationRules(inspect=True))
    site.change(DEPARTMENT, certificates=site.known[DEPARTMENT].certificates)
    package = sign_package(documents.a_package(contents={"main": pdfs.issued()}), pki.agency())
    document = site.accept(package).document_id
    (tmp_path / "v").mkdir()
    with Inspector() as inspector:
        job = Examiner(site.parts, reader=lambda: contextlib.nullcontext(inspector), pace=ExaminationPace())
        while job.examine_next([ExaminationKind.FILES], inspector):
            pass
        raw = exported(site, document)
        findings = judged(raw, tmp_path / "v", at=site.clock(), inspector=inspector)
    assert ("file.signed", "holds") in codes(findings)
    assert findings.proven
    reader = ContainerReader(io.BytesIO(raw))
    found = {reader.read(n, limit=10**5) for n in reader.entries if n.startswith("certificates/")}
    assert {k.certificate.public_bytes(Encoding.DER) for k in (pki.person(), pki.agency_seal())} <= found


def test_over_the_api_a_file_is_given_unless_json_is_asked_for(site: Site, tmp_path: Path) -> None:
    document = accepted_and_reported(site)
    client, key = site.client(evidence=a_maker(site)), site.key(DEPARTMENT)
    url = f"/api/v1/documents/{document}/evidence"
    for accepted in ({}, {"Accept": "*/*"}, {"Accept": container.MEDIA_TYPE}):
        with client.get(url, headers={**key, **accepted}) as answer:
            raw = answer.data
        assert (answer.status_code, answer.content_type) == (200, container.MEDIA_TYPE)
        assert answer.content_length == len(raw)
        assert answer.headers["Content-Disposition"] == f"attachment; filename={document}.asice"
    (tmp_path / "v").mkdir()
    assert judged(raw, tmp_path / "v", at=site.clock()).proven
    last = site.ledger.trace(document).events[-1]
    assert (last.action, last.actor) == (Action.EVIDENCE_EXPORTED, DEPARTMENT)
    short = client.get(url, headers={**key, "Accept": "application/json"}).get_json()
    assert read_seal(short["seal"].encode()).facts.id == document
    stranger = client.get(url, headers=site.key(PUSHED))
    assert (stranger.status_code, stranger.get_json()["type"]) == (404, "urn:eoffice-gateway:error:request.not_found")


def test_the_pages_tell_it_in_both_languages_without_scripts_and_escaped(site: Site, tmp_path: Path) -> None:
    subject = "Về việc <script>alert(1)</script> & \u202ethử"
    document = site.accept(sign_package(documents.a_package(subject=subject), pki.agency())).document_id
    with zipfile.ZipFile(io.BytesIO(exported(site, document))) as archive:
        pages = {n: archive.read(n) for n in archive.namelist() if n.startswith("page.")}
    assert sorted(pages) == ["page.en.html", "page.en.pdf", "page.vi.html", "page.vi.pdf"]
    for language, words in (("vi", "Chữ ký trên gói tin"), ("en", "Signature on the package")):
        text = pages[f"page.{language}.html"].decode()
        assert words in text
        assert f'<html lang="{language}">' in text
        assert "<script" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp;" in text
        assert "\u202e" not in text
        assert "http" not in text.replace("http-equiv", "")
        assert "05/03/2026 14:30:00" in text
        assert "{" not in text.partition("</style>")[2], "no sentence lacks a value"
        assert pages[f"page.{language}.pdf"].startswith(b"%PDF-")


@needs("pdftotext")
def test_the_pdf_says_what_the_page_says(parts: dict[str, bytes]) -> None:
    run = ["pdftotext", "-layout", "-", "-"]
    text = subprocess.run(run, input=parts["page.vi.pdf"], capture_output=True, check=True).stdout.decode()
    assert "Chữ ký trên gói tin" in text
    assert "Sở Kiểm thử" in text or "000.00.14.H37" in text
    assert "Đã tiếp nhận" in text


def test_a_large_package_is_never_in_memory(site: Site, tmp_path: Path) -> None:
    contents = {"main": documents.PDF + random.Random(6).randbytes(6_000_000)}
    package = sign_package(documents.a_package(contents=contents), pki.agency())
    document = site.accept(package).document_id
    (tmp_path / "v").mkdir()
    trace = site.ledger.trace(document)
    maker = a_maker(site)
    maker.export(trace, actor="test").close()  # what is made once (fonts, styles) is made
    tracemalloc.start()
    try:
        with maker.export(trace, actor="test") as made:
            size = made.seek(0, 2)
            given = Given(anchors=(ROOT,), at=site.clock())
            findings = verify_bundle(made, given, spool=tmp_path / "v", words=called)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert findings.proven
    assert size > len(package) > 8_000_000
    assert peak < 5_000_000


# Other programs


@needs("xmlsec1")
def test_xmlsec1_verifies_the_signature_over_all_parts(parts: dict[str, bytes], tmp_path: Path) -> None:
    unpacked(parts, tmp_path)
    command = ["xmlsec1", "--verify", "--pubkey-cert-pem", "gateway.crt", "META-INF/signatures.xml"]
    good = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert good.returncode == 0, good.stderr
    (tmp_path / "receipt.json").write_bytes(parts["receipt.json"] + b" ")
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode != 0


@needs("openssl")
def test_openssl_verifies_the_log_s_time_stamp(parts: dict[str, bytes], tmp_path: Path) -> None:
    unpacked(parts, tmp_path)
    (tmp_path / "root.pem").write_bytes(ROOT.public_bytes(Encoding.PEM))
    between = b"".join(c.public_bytes(Encoding.PEM) for c in (pki.tsa().certificate, pki.intermediate().certificate))
    (tmp_path / "between.pem").write_bytes(between)
    at = str(int((pki.NOW + timedelta(hours=1)).timestamp()))
    command = ["openssl", "ts", "-verify", "-data", "log/statement-1.json", "-in", "log/statement-1.tsr", "-token_in",
               "-CAfile", "root.pem", "-untrusted", "between.pem", "-attime", at]  # fmt: skip
    good = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Verification: OK" in good.stdout + good.stderr, good.stderr


def unpacked(parts: dict[str, bytes], folder: Path) -> None:
    for name, content in parts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / "gateway.crt").write_bytes(pki.gateway().certificate.public_bytes(Encoding.PEM))


# Recalls, updates, replacements


def recalled(site: Site) -> str:
    """A signed document that a commune has, and that its sender recalls, updates and replaces afterwards."""
    document = accepted_and_reported(site)
    later = DocumentId("000.00.14.H37,2026/03/06,08/SA-VP")
    revoke = Business(type=BusinessType.REVOKE, reason="Gửi nhầm")
    update_of = Business(type=BusinessType.UPDATE, reason="Sửa số liệu", changes=(DocumentChange(content=True),))
    instead = Business(
        type=BusinessType.REPLACE,
        reason="Thay thế",
        replacements=(Replacement(document_id=documents.an_envelope().document_id),),
    )
    for changes in (
        {"business": update_of, "subject": "Bản cập nhật"},
        {
            "business": instead,
            "document_id": later,
            "number": DocumentNumber(number="08", notation="SA-VP"),
            "issued_on": date(2026, 3, 6),
        },
        {"business": revoke},
    ):
        site.clock.forward(minutes=1)
        site.accept(sign_package(documents.a_package(**changes), pki.agency()))
    site.clock.forward(minutes=1)
    return document


def test_what_recalled_updated_and_replaced_a_document_is_in_its_evidence(site: Site, tmp_path: Path) -> None:
    document = recalled(site)
    raw = exported(site, document)
    reader = ContainerReader(io.BytesIO(raw))
    facts = json.loads(reader.read("evidence.json", limit=10**7))
    assert [o["business_type"] for o in facts["operations"]] == [2, 3, 1]
    assert [o["package"] for o in facts["operations"]] == [f"operations/000{n}.edxml" for n in (1, 2, 3)]
    assert {r["operation"] for r in facts["requests"]} <= {o["id"] for o in facts["operations"]}
    (tmp_path / "v").mkdir()
    findings = judged(raw, tmp_path / "v", at=site.clock())
    assert ("operations.hold", "holds") in codes(findings)
    assert findings.proven
    page = reader.read("page.vi.html", limit=10**6).decode()
    assert "Thu hồi, cập nhật, thay thế" in page
    assert "Bản cập nhật" in page

    parts = {name: reader.read(name, limit=10**9) for name in reader.entries}
    lies = {
        "operations/0001.edxml": (other_package(), ("operations/0001.edxml", "operation.broken")),
        "operations/0002.seal.xml": (b"<Seal/>", ("operations/0002.seal.xml", "operation.broken")),
        "operations/0003.receipt.json": (
            parts["operations/0001.receipt.json"],
            ("operations/0003.receipt.json", "operation.broken"),
        ),
        "evidence.json": (
            with_json(parts["evidence.json"], operations=[{**o, "business_type": 1} for o in facts["operations"]]),
            ("evidence.json", "facts.differ"),
        ),
    }
    for name, (content, expected) in lies.items():
        made = resigned(parts, pki.gateway(), **{name: content})
        assert expected in broken(judged(made, tmp_path / "v", at=site.clock())), name
    untold = with_json(parts["evidence.json"], operations=[])
    assert ("evidence.json", "facts.differ") in broken(
        judged(resigned(parts, pki.gateway(), **{"evidence.json": untold}), tmp_path / "v", at=site.clock())
    )


@pytest.mark.parametrize("kind", ["operations", "statuses"])
def test_a_package_that_is_told_and_is_not_there_is_a_lie(parts: dict[str, bytes], kind: str, tmp_path: Path) -> None:
    rows = json.loads(parts["evidence.json"])[kind]
    lie = with_json(parts["evidence.json"], **{kind: [*rows, {"package": f"{kind}/0009.edxml"}]})
    findings = judged(resigned(parts, pki.gateway(), **{"evidence.json": lie}), tmp_path)
    assert ("evidence.json", "facts.differ") in broken(findings)


@pytest.mark.parametrize("damaged", [False, True], ids=["missing", "damaged"])
def test_a_recall_whose_package_is_missing_does_not_keep_the_document_from_its_evidence(
    site: Site, damaged: bool, tmp_path: Path
) -> None:
    """It is told, and that only the gateway says so."""
    document = recalled(site)
    trace = site.ledger.trace(document)
    assert trace is not None
    lost = site.ledger.document(trace.operations[0].id)
    with site.ledger.engine.begin() as connection:
        here = payloads.c.sha256 == lost.sha256
        connection.execute(
            update(payloads).where(here).values(content=other_package()) if damaged else delete(payloads).where(here)
        )
    raw = exported(site, document)
    facts = json.loads(ContainerReader(io.BytesIO(raw)).read("evidence.json", limit=10**7))
    told = [(o["id"] == lost.id, o["package"]) for o in facts["operations"]]
    assert told == [(True, None), (False, "operations/0001.edxml"), (False, "operations/0002.edxml")]
    (tmp_path / "v").mkdir()
    findings = judged(raw, tmp_path / "v", at=site.clock())
    assert findings.proven
    (noted,) = [p for p in findings.points if p.code == "operations.without"]
    assert (noted.part, noted.outcome, noted.values["count"]) == ("operations/", "noted", "1")


def test_a_package_that_operates_on_another_document_is_told(
    parts: dict[str, bytes], site: Site, tmp_path: Path
) -> None:
    site.change(DEPARTMENT, certificates=site.known[DEPARTMENT].certificates)
    stranger = site.accept(other_package()).document_id
    row = site.ledger.document(stranger)
    more = {
        "operations/0001.edxml": other_package(),
        "operations/0001.seal.xml": row.seal,
        "operations/0001.receipt.json": row.receipt.encode(),
    }
    facts = json.loads(parts["evidence.json"])
    told = {
        "id": stranger,
        "business_type": 0,
        "number": "07/SA-VP",
        "subject": "Một văn bản khác",
        "sender": str(DEPARTMENT),
        "received_at": row.received_at.isoformat(),
        "package": "operations/0001.edxml",
    }
    lie = {"evidence.json": json.dumps({**facts, "operations": [told]}).encode()}
    (tmp_path / "v").mkdir()
    findings = judged(resigned({**parts, **more}, pki.gateway(), **lie), tmp_path / "v")
    assert ("operations/0001.edxml", "operation.elsewhere") in unproven(findings)


# Whom to believe for what


def test_a_root_of_signers_makes_no_time_stamp_authority_where_these_have_roots_of_their_own(
    whole: bytes, tmp_path: Path
) -> None:
    other = pki.tsa_stranger_root()
    findings = judged(whole, tmp_path, authorities=(other,), at=YEARS_LATER)
    assert not findings.proven
    assert ("seal.xml", "stamp.not_believed") in unproven(findings)
    assert ("seal.xml", "signer.no_time") in unproven(findings)


def test_a_root_of_time_stamp_authorities_makes_no_signer(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    raw = without_stamps(
        tmp_path_factory,
        log=False,
        stamp=lambda digest: pki.timestamp_token(digest, authority=pki.tsa_stranger(), at=pki.NOW + timedelta(hours=1)),
    )
    other = pki.tsa_stranger_root()
    assert judged(raw, tmp_path, authorities=(other,), at=YEARS_LATER).proven
    findings = judged(raw, tmp_path, anchors=(other,), authorities=(ROOT,), at=pki.NOW + timedelta(hours=1))
    assert ("seal.xml", "signer.not_believed") in unproven(findings)
    assert ("seal.xml", "stamp.not_believed") in unproven(findings)


def test_where_revocation_must_be_known_ignorance_proves_nothing(whole: bytes, tmp_path: Path) -> None:
    """By default it is counted, and told."""
    at = pki.NOW + timedelta(hours=1)
    default = judged(whole, tmp_path, at=at)
    assert default.proven
    assert default.revocation_unknown >= 5
    strict = judged(whole, tmp_path, at=at, require_revocation=True)
    assert not strict.proven
    assert {code for _, code in unproven(strict)} >= {"stamp.revocation_unknown", "signer.revocation_unknown"}
    assert broken(strict) == []
    lists = tuple(
        read_item(pki.crl(issuer, this_update=at, next_update=at + timedelta(days=7)), source="test.crl")
        for issuer in (pki.root(), pki.intermediate())
    )
    known_all = judged(whole, tmp_path, at=at, require_revocation=True, revocation=lists)
    assert known_all.proven
    assert known_all.revocation_unknown == 0


def test_what_is_known_of_the_authorities_revocation_goes_into_the_file(site: Site, tmp_path: Path) -> None:
    document = accepted_and_reported(site)
    seal_log(site)
    at = site.clock()
    lists = [
        read_item(pki.crl(issuer, this_update=at, next_update=at + timedelta(days=7)), source="test.crl")
        for issuer in (pki.root(), pki.intermediate())
    ]
    authorities = TrustAnchors([ROOT], mode=RevocationMode.IF_KNOWN, facts=RevocationFacts(lists),
                               intermediates=[pki.intermediate().certificate])  # fmt: skip
    raw = exported(site, document, authorities=authorities)
    (tmp_path / "v").mkdir()
    findings = judged(raw, tmp_path / "v", at=at, require_revocation=True)
    assert findings.proven, unproven(findings)


# Attacks on who reads it


def test_a_signature_part_that_is_a_bomb_is_refused_small(parts: dict[str, bytes], tmp_path: Path) -> None:
    entities = b"".join(b'<!ENTITY e%d "%s">' % (n, b"&e%d;" % (n - 1) * 10 if n else b"x" * 10) for n in range(12))
    bomb = b'<?xml version="1.0"?><!DOCTYPE a [' + entities + b"]><a>&e11;</a>"
    for name in (container.SIGNATURES, "seal.xml"):
        raw = repacked({**parts, name: bomb}) if name == container.SIGNATURES else resigned(
            parts, pki.gateway(), **{name: bomb}
        )  # fmt: skip
        tracemalloc.start()
        try:
            found = broken(judged(raw, tmp_path))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert name in {part for part, _ in found}
        assert peak < 20_000_000


def test_a_signature_over_more_parts_than_there_can_be_is_refused(parts: dict[str, bytes], tmp_path: Path) -> None:
    """One part named ten thousand times is hashed once."""
    signature = read_signature_part(parts[container.SIGNATURES])
    many = xades.sign([signature.references[0]] * 10_000, pki.gateway(), at=pki.NOW)
    found = broken(judged(repacked({**parts, container.SIGNATURES: signature_part(many)}), tmp_path))
    assert container.SIGNATURES in {part for part, _ in found} or len(found) >= 1
    assert not {code for _, code in found} - {"container.altered", "container.signature"}


HOSTILE = (
    "\"><script>alert(1)</script><img src=x onerror=alert(1)>'",
    "</title></style><svg/onload=alert(1)>",
    "<para><font size=900>&#x41;</font><a href='javascript:alert(1)'>x</a>",
    "\u202eabc\u2066def\u200fghi\u2028jkl",
    "{0} {document} %s ${x}",
)


@pytest.mark.parametrize("text", HOSTILE, ids=["script", "close", "markup", "direction", "format"])
def test_whatever_a_sender_writes_the_pages_only_show_it(site: Site, text: str) -> None:
    names = {"subject": text, "sender": documents.an_organization(DEPARTMENT, name=text)}
    document = site.accept(sign_package(documents.a_package(**names), pki.agency())).document_id
    with zipfile.ZipFile(io.BytesIO(exported(site, document))) as archive:
        page = archive.read("page.en.html").decode()
        pdf = archive.read("page.en.pdf")
    body = page.partition("</style>")[2]
    tags = {tag.lower() for tag in re.findall(r"<\s*/?\s*([A-Za-z0-9!]+)", body)}
    assert tags <= {
        "head",
        "html",
        "body",
        "main",
        "h1",
        "h2",
        "section",
        "p",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
    }
    assert page.count("<script") == page.count("<img") == page.count("<svg") == page.count("javascript:alert(1)'>") == 0
    assert not {"\u202e", "\u2066", "\u200f", "\u2028"} & set(page)
    policy = page.partition('http-equiv="Content-Security-Policy" content="')[2].partition('"')[0]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    assert not re.search(rb"/(JavaScript|JS|OpenAction|AA|Launch|URI|SubmitForm)\b", pdf)
