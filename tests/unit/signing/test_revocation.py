"""
What is known of revocation, and what a verdict makes of it: every cell of the table in docs/trust.md.

All items are real: made by the test authorities, signed, and judged as those of any authority.
"""

from __future__ import annotations

import functools
import gc
import random
import re
import weakref
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asn1crypto import core
from asn1crypto import ocsp as asn1_ocsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.errors import RevocationUnreadable
from gateway.model import Standing, Verdict
from gateway.signing import keys
from gateway.signing.keys import SigningKey, known
from gateway.signing.policy import Reason
from gateway.signing.trust import (
    Revocation,
    RevocationFacts,
    RevocationItem,
    RevocationMode,
    TrustAnchors,
    TrustFinding,
    read_item,
)
from tests.support import documents, pki, signed

NOW = pki.NOW
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SECOND = timedelta(seconds=1)
SERIAL = pki.agency().certificate.serial_number
RevocationReason = x509.ReasonFlags


def crl(issuer: SigningKey | None = None, **how: object) -> RevocationItem:
    return read_item(pki.crl(issuer, **how), source="http://ca.test/list.crl")  # type: ignore[arg-type] # pki.crl's


def answer(key: SigningKey | None = None, **how: object) -> RevocationItem:
    made = pki.ocsp_response((key or pki.agency()).certificate, **how)  # type: ignore[arg-type] # pki.ocsp_response's
    return read_item(made, source="http://ocsp.test/")


@functools.cache
def of_root() -> RevocationItem:
    """Nothing against the intermediate."""
    return crl(pki.root())


def revoked(when: datetime, reason: RevocationReason | None = RevocationReason.key_compromise) -> dict[str, object]:
    return {"revoked": {SERIAL: (when, reason)}}


SITUATIONS: dict[str, Callable[[], list[RevocationItem]]] = {
    "nothing: OCSP and CRL are down, and nothing was stored": list,
    "OCSP is down; a stored CRL still counts and does not name it": lambda: [of_root(), crl()],
    "an OCSP answer says good, and a CRL of the root knows nothing against its authority": lambda: [
        of_root(),
        answer(),
    ],
    "a stale CRL does not name it (nextUpdate was more than 10 minutes ago)": lambda: [
        of_root(),
        crl(this_update=NOW - DAY, next_update=NOW - 10 * MINUTE - SECOND),
    ],
    "a stale CRL names it as revoked before": lambda: [
        of_root(),
        crl(this_update=NOW - 9 * DAY, next_update=NOW - 2 * DAY, **revoked(NOW - 10 * DAY)),
    ],
    "revoked before receipt, says a CRL": lambda: [of_root(), crl(**revoked(NOW - DAY))],
    "revoked before receipt, says OCSP": lambda: [of_root(), answer(revoked=(NOW - DAY, None))],
    "revoked before receipt, says a CRL, while OCSP still says good": lambda: [
        of_root(),
        crl(this_update=NOW - 2 * HOUR, **revoked(NOW - DAY)),
        answer(this_update=NOW - HOUR),
    ],
    "revoked at the very second of receipt": lambda: [of_root(), crl(this_update=NOW + DAY, **revoked(NOW))],
    "revoked a second after receipt (judged again later)": lambda: [
        of_root(),
        crl(this_update=NOW + DAY, **revoked(NOW + SECOND)),
    ],
    "clocks 10 minutes apart: the CRL ended 10 minutes ago": lambda: [
        of_root(),
        crl(this_update=NOW - DAY, next_update=NOW - 10 * MINUTE),
    ],
    "clocks 10 minutes apart: the CRL is from 10 minutes ahead": lambda: [
        of_root(),
        crl(this_update=NOW + 10 * MINUTE),
    ],
    "OCSP does not know the certificate": lambda: [of_root(), answer(unknown=True)],
    "the CRL was signed by somebody else": lambda: [of_root(), crl(signer=pki.stranger())],
    "the OCSP answer was signed by somebody else": lambda: [of_root(), answer(responder=pki.stranger())],
    "the OCSP answer is about another certificate": lambda: [of_root(), answer(pki.agency_ec())],
    "nothing is known of the authority that issued it": lambda: [crl()],
    "its authority was revoked before receipt": lambda: [
        crl(pki.root(), revoked={pki.intermediate().certificate.serial_number: (NOW - DAY, None)}),
        crl(),
    ],
    "on hold": lambda: [of_root(), crl(**revoked(NOW - DAY, RevocationReason.certificate_hold))],
    "was on hold before receipt, and a later CRL has released it": lambda: [
        of_root(),
        crl(this_update=NOW - 3 * HOUR, **revoked(NOW - DAY, RevocationReason.certificate_hold)),
        crl(this_update=NOW - 2 * HOUR),
    ],
}


def promised() -> dict[str, list[str]]:
    """docs/trust.md: what is known → the cells of the three modes."""
    text = (Path(__file__).parents[3] / "docs/trust.md").read_text()
    table = text.split("<!-- table: revocation -->")[1].split("<!-- table: end -->")[0]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.strip().splitlines()[2:]]
    return {first.strip(): cells for first, *cells in rows}


def anchors(items: list[RevocationItem], mode: RevocationMode = RevocationMode.REQUIRED) -> TrustAnchors:
    return TrustAnchors(
        [pki.root().certificate], [pki.intermediate().certificate], mode=mode, facts=RevocationFacts(items)
    )


@functools.cache
def package() -> bytes:
    return signed.by_gateway(documents.a_package(), pki.agency())


def verdict(items: list[RevocationItem], mode: RevocationMode, spool: Path) -> Verdict:
    return signed.verdict_on(package(), spool, sender=[pki.agency()], anchors=anchors(items, mode))


def test_the_table_of_trust_md_and_the_situations_tried_are_the_same() -> None:
    assert list(promised()) == list(SITUATIONS)


@pytest.mark.parametrize("mode", RevocationMode)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_verdict_is_the_one_that_trust_md_promises(situation: str, mode: RevocationMode, tmp_path: Path) -> None:
    cell = promised()[situation][list(RevocationMode).index(mode)]
    found = verdict(SITUATIONS[situation](), mode, tmp_path)
    assert re.findall(r"`(\w+)`", cell) == [found.standing, *([found.revocation] if found.revocation else [])]
    reason = {Standing.VALID: Reason.VERIFIED, Standing.INVALID: Reason.CERTIFICATE_REVOKED}
    assert found.reason == reason.get(found.standing, Reason.REVOCATION_UNKNOWN)


def test_a_verdict_names_the_date_of_a_revocation_also_of_a_later_one(tmp_path: Path) -> None:
    before = verdict([of_root(), crl(**revoked(NOW - DAY))], RevocationMode.IF_KNOWN, tmp_path)
    assert (before.standing, before.revoked_at) == (Standing.INVALID, NOW - DAY)
    after = verdict([of_root(), crl(this_update=NOW + DAY, **revoked(NOW + HOUR))], RevocationMode.IF_KNOWN, tmp_path)
    assert (after.standing, after.revoked_at) == (Standing.VALID, NOW + HOUR)
    never = verdict([of_root(), crl()], RevocationMode.IF_KNOWN, tmp_path)
    assert never.revoked_at is None


def test_revocation_that_is_not_known_makes_no_weak_signature_valid(tmp_path: Path) -> None:
    raw = signed.by_gateway(documents.a_package(), pki.sha1_certificate())
    found = signed.verdict_on(
        raw, tmp_path, sender=[pki.sha1_certificate()], policy=signed.TOLERANT, anchors=anchors([])
    )
    assert (found.standing, found.reason) == (Standing.INDETERMINATE, Reason.REVOCATION_UNKNOWN)
    known_good = signed.verdict_on(
        raw, tmp_path, sender=[pki.sha1_certificate()], policy=signed.TOLERANT, anchors=anchors([of_root(), crl()])
    )
    assert (known_good.standing, known_good.revocation) == (Standing.VALID_WEAK, "good")


# Findings


def judged(where: TrustAnchors, key: SigningKey | None = None, *, at: datetime = NOW) -> TrustFinding:
    return where.judge(known((key or pki.agency()).certificate), at=at)


def test_a_finding_names_the_items_that_decided_and_no_others() -> None:
    stale = crl(this_update=NOW - 9 * DAY, next_update=NOW - 2 * DAY)
    fresh, other = crl(), crl(pki.rsa_authority())
    assert set(judged(anchors([of_root(), stale, fresh, other])).items) == {of_root(), fresh}
    naming = crl(number=2, **revoked(NOW - DAY, RevocationReason.superseded))
    finding = judged(anchors([of_root(), fresh, naming]))
    assert naming in finding.items
    assert fresh not in finding.items
    assert (finding.revoked_at, finding.revocation_reason) == (NOW - DAY, "superseded")


def test_an_answer_by_the_authority_itself_counts_and_one_by_any_other_certificate_of_its_does_not() -> None:
    assert judged(anchors([of_root(), answer(responder=pki.intermediate())])).revocation is Revocation.GOOD
    # Issued by the same authority, but not appointed to answer.
    assert judged(anchors([of_root(), answer(responder=pki.person())])).revocation is Revocation.UNKNOWN


def test_a_revocation_that_a_list_dates_after_itself_counts_from_that_date() -> None:
    # NIST PKITS, test 4.4.3: the entry is a second younger than the list.
    ahead = anchors([of_root(), crl(this_update=NOW - HOUR, **revoked(NOW - HOUR + SECOND))])
    assert judged(ahead).revocation is Revocation.REVOKED
    assert judged(ahead, at=NOW - HOUR).revocation is Revocation.GOOD
    of_ocsp = anchors([of_root(), answer(this_update=NOW - HOUR, revoked=(NOW - HOUR + SECOND, None))])
    assert judged(of_ocsp).revocation is Revocation.REVOKED


@functools.cache
def list_signer() -> SigningKey:
    """The intermediate's second key, which signs its lists."""
    return pki.certify(
        pki.intermediate().certificate.subject, issuer=pki.root(), ca=True, usages=frozenset({"crl_sign"})
    )


def test_a_list_by_the_authoritys_second_key_counts_until_that_key_is_revoked() -> None:
    by_second = crl(signer=list_signer())
    where = TrustAnchors(
        [pki.root().certificate],
        [pki.intermediate().certificate, list_signer().certificate],
        mode=RevocationMode.REQUIRED,
        facts=RevocationFacts([of_root(), by_second]),
    )
    assert judged(where).revocation is Revocation.GOOD
    # NIST PKITS, test 4.4.21.
    gone = crl(pki.root(), revoked={list_signer().certificate.serial_number: (NOW - DAY, None)})
    where.facts.add([gone])
    assert judged(where).revocation is Revocation.UNKNOWN


def test_certvalidator_logs_nobodys_name(caplog: pytest.LogCaptureFixture) -> None:
    too_young = pki.certify(
        pki.intermediate().certificate.subject,
        issuer=pki.root(),
        ca=True,
        usages=frozenset({"crl_sign"}),
        at=NOW,
    )
    where = TrustAnchors(
        [pki.root().certificate],
        [pki.intermediate().certificate, too_young.certificate],
        mode=RevocationMode.REQUIRED,
        facts=RevocationFacts([of_root(), crl(signer=too_young)]),
    )
    with caplog.at_level("DEBUG"):
        assert judged(where).revocation is Revocation.UNKNOWN
    assert caplog.records == []


def test_an_answer_by_a_responder_that_was_revoked_does_not_count() -> None:
    responder = pki.certify(
        keys.subject_name("OCSP không miễn kiểm tra"),
        usages=frozenset({"digital_signature"}),
        purposes=(ExtendedKeyUsageOID.OCSP_SIGNING,),
    )
    items = [of_root(), answer(responder=responder)]
    assert judged(anchors(items)).revocation is Revocation.GOOD
    # The list names the responder and is stale, so it says nothing of the agency itself.
    old = {"this_update": NOW - 9 * DAY, "next_update": NOW - 2 * DAY}
    gone = crl(revoked={responder.certificate.serial_number: (NOW - 10 * DAY, None)}, **old)
    assert judged(anchors([*items, gone])).revocation is Revocation.UNKNOWN


def with_certificates(answer: bytes, enclosed: Sequence[x509.Certificate]) -> bytes:
    """An answer with these certificates in the place of its own."""
    basic = asn1_ocsp.OCSPResponse.load(answer).basic_ocsp_response
    parts = {name: basic[name] for name in ("tbs_response_data", "signature_algorithm", "signature")}
    if enclosed:
        parts["certs"] = [asn1_x509.Certificate.load(c.public_bytes(Encoding.DER)) for c in enclosed]
    inside = core.ParsableOctetString(asn1_ocsp.BasicOCSPResponse(parts).dump())
    content = {"response_type": "basic_ocsp_response", "response": inside}
    made: bytes = asn1_ocsp.OCSPResponse({"response_status": "successful", "response_bytes": content}).dump()
    return made


def test_certificates_put_into_an_answer_do_not_hide_its_responder() -> None:
    """They are not signed: whoever encloses the answer in a file chooses them."""
    responder = pki.certify(keys.subject_name("OCSP bị thu hồi"), purposes=(ExtendedKeyUsageOID.OCSP_SIGNING,))
    gone = crl(revoked={responder.certificate.serial_number: (NOW - DAY, None)}, this_update=NOW - 9 * DAY,
               next_update=NOW - 2 * DAY)  # fmt: skip
    whole = pki.ocsp_response(pki.agency().certificate, responder=responder)
    bystander = pki.ocsp_responder().certificate  # one of whom nobody asks
    for many in (1, 4, 8, 20):
        made = with_certificates(whole, [*[bystander] * many, responder.certificate])
        items = [of_root(), gone, read_item(made, source="the signed file")]
        assert judged(anchors(items)).revocation is Revocation.UNKNOWN


def ended_responder(*, no_check: bool) -> SigningKey:
    """One whose certificate ended ten days ago."""
    return pki.certify(
        keys.subject_name("OCSP ngày trước"),
        at=NOW - 30 * DAY,
        valid_for=20 * DAY,
        purposes=(ExtendedKeyUsageOID.OCSP_SIGNING,),
        extensions=((x509.OCSPNoCheck(), False),) if no_check else (),
    )


@pytest.mark.parametrize("no_check", [True, False])
def test_an_answer_counts_no_longer_than_its_responders_certificate(no_check: bool) -> None:
    """Whoever finds the key of a responder that has ended could else say "good" for ever, in its name and its days."""
    ended = ended_responder(no_check=no_check)
    old = answer(responder=ended, this_update=NOW - 15 * DAY, next_update=NOW + 365 * DAY)
    where = anchors([crl(pki.root(), this_update=NOW - 20 * DAY), old])
    for at, known_to_be in (
        (NOW, Revocation.UNKNOWN),
        (NOW - 10 * DAY + 11 * MINUTE, Revocation.UNKNOWN),
        (NOW - 10 * DAY + 10 * MINUTE, Revocation.GOOD),
        (NOW - 15 * DAY, Revocation.GOOD),
    ):
        assert where.judge(known(pki.agency().certificate), at=at).revocation is known_to_be


@pytest.mark.parametrize("no_check", [True, False])
def test_a_responder_that_its_answer_does_not_enclose_is_held_to_the_same(no_check: bool) -> None:
    """It is found among the known certificates, and what is outside an answer's signature is anybody's to leave out."""
    ended = ended_responder(no_check=no_check)
    times = {"this_update": NOW - 15 * DAY, "next_update": NOW + 365 * DAY}
    raw = with_certificates(pki.ocsp_response(pki.agency().certificate, responder=ended, **times), [])
    listed = crl(pki.root(), this_update=NOW - 20 * DAY)
    where = TrustAnchors(
        [pki.root().certificate],
        [pki.intermediate().certificate, ended.certificate],
        mode=RevocationMode.REQUIRED,
        facts=RevocationFacts([listed, read_item(raw, source="the signed file")]),
    )
    for at, known_to_be in ((NOW, Revocation.UNKNOWN), (NOW - 15 * DAY, Revocation.GOOD)):
        assert where.judge(known(pki.agency().certificate), at=at).revocation is known_to_be


def test_todays_list_speaks_of_last_year_but_not_of_certificates_that_had_ended() -> None:
    gone = pki.certify(keys.subject_name("Sở Cũ"), valid_for=100 * DAY)
    then = gone.certificate.not_valid_after_utc - DAY
    within = crl(this_update=then, next_update=then + DAY)
    assert judged(anchors([of_root(), within]), gone, at=then - 30 * DAY).revocation is Revocation.GOOD
    later = crl(this_update=NOW, next_update=NOW + DAY)
    assert judged(anchors([of_root(), later]), gone, at=then).revocation is Revocation.UNKNOWN
    naming = crl(this_update=NOW, revoked={gone.certificate.serial_number: (then - DAY, None)})
    assert judged(anchors([of_root(), naming]), gone, at=then).revocation is Revocation.REVOKED


def test_an_answer_that_does_not_say_how_long_it_counts_counts_for_twelve_hours() -> None:
    fresh = answer(this_update=NOW - 12 * HOUR, next_update=None)
    assert judged(anchors([of_root(), fresh])).revocation is Revocation.GOOD
    old = answer(this_update=NOW - 13 * HOUR, next_update=None)
    assert judged(anchors([of_root(), old])).revocation is Revocation.UNKNOWN


def test_a_list_that_was_signed_with_sha1_counts_only_where_sha1_is_tolerated() -> None:
    where = anchors([of_root(), read_item(pki.crl_with_sha1(), source="old authority")])
    assert judged(where).revocation is Revocation.UNKNOWN  # certvalidator alone would say that it is good
    tolerant = where.judge(known(pki.agency().certificate), at=NOW, tolerate_sha1=True)
    assert tolerant.revocation is Revocation.GOOD


def test_without_an_anchor_no_list_can_be_believed() -> None:
    unanchored = TrustAnchors(mode=RevocationMode.REQUIRED, facts=RevocationFacts([of_root(), crl()]))
    finding = judged(unanchored)
    assert (finding.reason, finding.revocation, finding.undecided) == (None, Revocation.UNKNOWN, True)
    assert not judged(TrustAnchors(mode=RevocationMode.OFF)).undecided


def test_of_a_certificate_that_is_itself_an_anchor_nobody_can_say_that_it_was_revoked() -> None:
    pinned = TrustAnchors(
        [pki.agency().certificate], mode=RevocationMode.REQUIRED, facts=RevocationFacts([crl(), of_root()])
    )
    finding = judged(pinned)
    assert (finding.reason, finding.revocation, finding.undecided) == (None, Revocation.UNKNOWN, True)


def test_of_two_cross_signed_authorities_the_one_that_was_not_revoked_counts() -> None:
    other_root = keys.make_ca(keys.subject_name("Gốc khác"), at=NOW - pki.YEAR)
    twin = pki.certify(
        pki.intermediate().certificate.subject,
        pki.intermediate().private,
        issuer=other_root,
        ca=True,
        usages=frozenset({"key_cert_sign", "crl_sign"}),
    )
    items = [
        crl(pki.root(), revoked={pki.intermediate().certificate.serial_number: (NOW - DAY, None)}),
        crl(other_root),
        crl(),
    ]
    where = TrustAnchors(
        [pki.root().certificate, other_root.certificate],
        [pki.intermediate().certificate, twin.certificate],
        mode=RevocationMode.REQUIRED,
        facts=RevocationFacts(items),
    )
    finding = judged(where)
    assert (finding.reason, finding.revocation) == (None, Revocation.GOOD)
    assert finding.chain[-1] == other_root.certificate


def test_a_list_that_counts_until_the_end_of_time_does() -> None:
    endless = crl(next_update=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
    assert judged(anchors([of_root(), endless])).revocation is Revocation.GOOD
    assert endless.next_update is not None
    assert endless.next_update + DAY > NOW  # there is room for whoever adds to it


# Remembering


def test_what_was_found_is_forgotten_when_something_new_is_known() -> None:
    facts = RevocationFacts([of_root(), crl()])
    where = TrustAnchors(
        [pki.root().certificate], [pki.intermediate().certificate], mode=RevocationMode.REQUIRED, facts=facts
    )
    assert judged(where).revocation is Revocation.GOOD
    facts.add([crl(this_update=NOW - MINUTE, **revoked(NOW - HOUR))])
    assert judged(where).reason is Reason.CERTIFICATE_REVOKED
    facts.replace([])
    assert judged(where).undecided


def test_what_is_remembered_is_what_would_be_found_afresh_at_any_moment() -> None:
    items = [
        of_root(),
        crl(this_update=NOW - HOUR, next_update=NOW + DAY),
        crl(this_update=NOW + 3 * DAY, next_update=NOW + 4 * DAY, **revoked(NOW + 2 * DAY)),
    ]
    moments = [NOW + n * 31 * HOUR for n in range(-3, 5)]
    moments += [NOW + 2 * DAY, NOW + 2 * DAY - SECOND, NOW + DAY + 10 * MINUTE, NOW + DAY + 11 * MINUTE]
    where = anchors(items)
    for at in [*moments, *reversed(moments)]:
        remembered, afresh = judged(where, at=at), judged(anchors(items), at=at)
        assert (remembered.reason, remembered.revocation) == (afresh.reason, afresh.revocation), at


def test_a_list_that_was_replaced_is_not_kept_by_what_was_remembered_of_it() -> None:
    old = crl(number=1)
    facts = RevocationFacts([of_root(), old])
    where = TrustAnchors(
        [pki.root().certificate], [pki.intermediate().certificate], mode=RevocationMode.REQUIRED, facts=facts
    )
    for key in (pki.agency(), pki.person()):
        assert old in judged(where, key).items
    facts.replace([of_root(), crl(number=2)])
    assert judged(where).revocation is Revocation.GOOD
    # Megabytes each, and a new one every hour.
    alive = weakref.ref(old)
    del old
    gc.collect()
    assert alive() is None


def test_a_certificate_that_is_known_costs_no_second_path(monkeypatch: pytest.MonkeyPatch) -> None:
    where = anchors([of_root(), crl()])
    first = judged(where)
    # Whoever looked again would fail on this.
    monkeypatch.setattr(where, "_find", None)
    assert judged(where, at=NOW + HOUR) is first


# Items


def test_a_crl_is_read_from_der_and_pem_and_an_answer_from_der() -> None:
    der = pki.crl()
    item = read_item(der, source="a.crl")
    assert (item.kind, item.this_update, item.next_update) == ("crl", NOW - HOUR, NOW + 7 * DAY)
    pem = x509.load_der_x509_crl(der).public_bytes(Encoding.PEM)
    assert read_item(pem, source="a.pem").der == der
    assert answer().kind == "ocsp"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<html>Please log in</html>",
        b"-----BEGIN X509 CRL-----\nnonsense\n-----END X509 CRL-----\n",
        pki.agency().certificate_der,
        pki.crl()[:-1],
        pki.crl() + b"\x00",
        b"\x30\x80\x00\x00",
        b"\x30\x03\x0a\x01\x03",  # an OCSP responder's "try later"
    ],
)
def test_what_is_neither_is_named_so(raw: bytes) -> None:
    with pytest.raises(RevocationUnreadable):
        read_item(raw, source="somewhere")


def test_facts_know_each_item_once_and_only_the_newest_of_one_authority() -> None:
    facts = RevocationFacts([of_root()])
    version = facts.version
    facts.add([of_root()])
    assert (len(facts), facts.version) == (1, version)
    lists = [crl(this_update=NOW - n * DAY, next_update=NOW + DAY, number=n) for n in range(12)]
    facts.add(lists)
    assert facts.version == version + 1
    assert set(facts.items) == {of_root(), *lists[:8]}
    facts.add(lists)
    assert facts.version == version + 1


FORGED = {
    "lists": lambda n: crl(this_update=NOW - n * SECOND, number=n + 9, signer=pki.stranger()),
    "answers": lambda n: answer(this_update=NOW - n * SECOND, responder=pki.stranger()),
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_nothing_that_came_with_a_file_takes_the_place_of_what_is_known(
    forged: Callable[[int], RevocationItem],
) -> None:
    for known_item in (crl(**revoked(NOW - DAY)), answer(revoked=(NOW - DAY, None))):
        facts = RevocationFacts([of_root(), known_item])
        # Twice: from the document, and from the signature itself.
        facts = facts.beside([forged(n) for n in range(40)]).beside([forged(n) for n in range(40, 80)])
        where = TrustAnchors(
            [pki.root().certificate], [pki.intermediate().certificate], mode=RevocationMode.IF_KNOWN, facts=facts
        )
        assert judged(where).revocation is Revocation.REVOKED


def test_what_came_with_a_file_counts_when_its_authority_signed_it() -> None:
    facts = RevocationFacts([of_root()]).beside([crl(**revoked(NOW - DAY))])
    where = TrustAnchors(
        [pki.root().certificate], [pki.intermediate().certificate], mode=RevocationMode.IF_KNOWN, facts=facts
    )
    assert judged(where).revocation is Revocation.REVOKED
    assert len(facts) == len(facts.items) == 2


# Lists


@functools.cache
def number_five() -> SigningKey:
    """A certificate whose serial number is 02 01 05 in DER."""
    issuer, private = pki.intermediate(), keys.generate_key()
    builder = x509.CertificateBuilder(
        issuer.certificate.subject, keys.subject_name("Số năm"), private.public_key(), 5, NOW - pki.YEAR, NOW + pki.YEAR
    )
    return SigningKey(private, builder.sign(issuer.private, hashes.SHA256()))


@pytest.mark.parametrize(
    ("listed", "known_to_be"),
    [
        ([], Revocation.GOOD),
        ([0x7F020105], Revocation.GOOD),  # the same bytes, in another's number
        ([0x05, 0x7F020105], Revocation.REVOKED),
        ([0x0500, 0x0105, 0x06], Revocation.GOOD),
        ([*range(1000, 3000), 5, *range(3000, 5000)], Revocation.REVOKED),
    ],
)
def test_a_list_is_searched_for_whole_numbers(listed: list[int], known_to_be: Revocation) -> None:
    entries = {n: (NOW - DAY, RevocationReason.superseded if n % 2 else None) for n in listed}
    assert judged(anchors([of_root(), crl(revoked=entries)]), number_five()).revocation is known_to_be


def test_an_answer_by_a_key_of_an_unknown_kind_says_nothing() -> None:
    whole = pki.ocsp_response(SERIAL)
    of_unknown_kind = whole.replace(b"\x2a\x86\x48\xce\x3d\x02\x01", b"\x2a\x86\x48\xce\x3d\x02\x1f")
    assert of_unknown_kind != whole
    item = read_item(of_unknown_kind, source="mutated")
    assert judged(anchors([of_root(), item])).revocation is Revocation.UNKNOWN


@pytest.mark.parametrize("seed", range(4))
def test_broken_lists_and_answers_say_nothing_and_stop_nothing(seed: int) -> None:
    chance = random.Random(seed)
    wholes = [pki.crl(revoked=dict.fromkeys((SERIAL, 5, 7), (NOW - DAY, None))), pki.ocsp_response(SERIAL)]
    for turn in range(60):
        broken = bytearray(wholes[turn % 2])
        for _ in range(chance.choice((1, 1, 2, 5))):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        if bytes(broken) in wholes:
            continue
        try:
            item = read_item(bytes(broken), source="mutated")
            finding = judged(anchors([of_root(), item]))
        except RevocationUnreadable:
            continue
        # A byte outside what is signed may change without harm, such as one of the responder's certificate.
        said = Revocation.REVOKED if item.kind == "crl" else Revocation.GOOD
        assert finding.revocation in (Revocation.UNKNOWN, said)


def _list(*extensions: tuple[x509.ExtensionType, bool], revoked: tuple[int, ...] = (), later: timedelta) -> bytes:
    issuer = pki.intermediate()
    builder = x509.CertificateRevocationListBuilder(
        issuer_name=issuer.certificate.subject, last_update=NOW - HOUR + later, next_update=NOW + DAY
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    for serial in revoked:
        builder = builder.add_revoked_certificate(x509.RevokedCertificateBuilder(serial, NOW - 2 * HOUR).build())
    return builder.sign(issuer.private, hashes.SHA256()).public_bytes(Encoding.DER)


def _part(number: int, revoked: tuple[int, ...] = ()) -> RevocationItem:
    """One of the lists over which an authority spreads what it has revoked; each newer than the one before."""
    url = f"http://ca.test/{number}.crl"
    point = x509.IssuingDistributionPoint([x509.UniformResourceIdentifier(url)], None, False, False, None, False, False)
    return read_item(_list((point, True), revoked=revoked, later=timedelta(seconds=number)), source=url)


def test_a_list_in_many_parts_is_known_whole() -> None:
    of_part = pki.person("Phần", crl_url="http://ca.test/0.crl").certificate
    parts = [_part(0, (of_part.serial_number,)), *(_part(number) for number in range(1, 20))]
    anchors = TrustAnchors(
        [pki.root().certificate],
        [pki.intermediate().certificate],
        mode=RevocationMode.IF_KNOWN,
        facts=RevocationFacts([of_root(), *parts]),
    )
    assert anchors.judge(known(of_part), at=NOW).reason is Reason.CERTIFICATE_REVOKED


@pytest.mark.parametrize("content", [b"\x00", b"\x30\x05abcde", b"\x04\x00"])
def test_a_list_whose_scope_cannot_be_read_is_not_taken(content: bytes) -> None:
    broken = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.28"), content)
    with pytest.raises(RevocationUnreadable):
        read_item(_list((broken, True), later=SECOND), source="test")
