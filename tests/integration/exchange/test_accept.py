"""What is true after a package was accepted, or was not."""

from __future__ import annotations

import dataclasses
import hashlib
from datetime import date
from pathlib import Path

import pytest

from gateway.errors import (
    DocumentConflict,
    InvalidPackage,
    MalformedPackage,
    RecipientNotInPackage,
    SenderClosed,
    SenderNotAllowed,
    SignatureRejected,
    UnknownRecipient,
    UnknownSender,
)
from gateway.evidence.receipt import check_receipt
from gateway.evidence.seal import check_seal
from gateway.exchange import lookup
from gateway.exchange.accept import accept
from gateway.exchange.upload import Upload
from gateway.ledger import Ledger
from gateway.model import (
    Agency,
    AgencyCode,
    Business,
    BusinessType,
    Channel,
    DeliveryState,
    DocumentId,
    Lane,
    Level,
    OtherInfo,
    SignedBy,
    Standing,
    StatusCode,
)
from gateway.signing.sign import sign_package
from tests.support import documents, pki
from tests.support.exchange import ABOVE, COMMUNE, DEPARTMENT, OTHER_PROVINCE, PROVINCE, PUSHED, Site, a_site


def only_commune(**changes: object) -> bytes:
    return documents.a_package(recipients=(documents.an_organization(COMMUNE),), **changes)


def test_each_recipient_gets_its_own_delivery_by_its_own_way(site: Site) -> None:
    answer = site.accept(documents.a_package())
    ways = {d.recipient: (d.via, d.channel) for d in site.ledger.deliveries(answer.document_id)}
    assert ways == {OTHER_PROVINCE: (ABOVE, Channel.PEER), COMMUNE: (COMMUNE, Channel.MAILBOX)}


def test_the_receipt_names_what_was_received_and_verifies_with_the_gateways_certificate(site: Site) -> None:
    raw = documents.a_package()
    answer = site.accept(raw)
    facts = check_receipt(answer.receipt["jws"], site.parts.key.certificate)
    assert facts.sha256 == hashlib.sha256(raw).hexdigest() == answer.receipt["sha256"]
    assert facts.receipt_id == answer.document_id
    assert facts.accepted_at == site.clock()


def test_the_seal_names_the_attachments(site: Site) -> None:
    answer = site.accept(documents.a_package())
    document = site.ledger.document(answer.document_id)
    assert document is not None
    seal = check_seal(document.seal, site.parts.key.certificate)
    assert [a.sha256 for a in seal.attachments] == [a.sha256 for a in document.attachments]


def test_a_signed_package_is_kept_and_forwarded_byte_for_byte(site: Site) -> None:
    raw = sign_package(documents.a_package(), pki.agency())
    answer = site.accept(raw)
    document = site.ledger.document(answer.document_id)
    assert document is not None
    assert (document.verdict.standing, document.verdict.signed_by) == (Standing.VALID, SignedBy.SENDER)
    assert document.forward_sha256 is None
    assert lookup.open_package(site.parts, document.sent_sha256).read() == raw


def test_an_unsigned_package_is_kept_as_received_and_forwarded_with_our_signature(site: Site, tmp_path: Path) -> None:
    raw = documents.a_package()
    answer = site.accept(raw)
    document = site.ledger.document(answer.document_id)
    assert document is not None
    assert document.verdict.standing is Standing.UNSIGNED
    assert lookup.open_package(site.parts, document.sha256).read() == raw
    sent = lookup.open_package(site.parts, document.sent_sha256).read()
    with documents.read(sent, tmp_path) as package:
        assert [h.code for h in package.envelope.trace] == [DEPARTMENT, site.parts.site.code]
        assert [a.sha256 for a in package.attachments] == [a.sha256 for a in document.attachments]


def test_the_same_bytes_again_answer_the_first_receipt(site: Site) -> None:
    raw = documents.a_package()
    first = site.accept(raw)
    site.clock.forward(hours=1)
    again = site.accept(raw)
    assert again.duplicate
    assert not first.duplicate
    assert again.receipt == first.receipt
    assert len(site.ledger.deliveries(first.document_id)) == 2


def test_the_same_bytes_again_are_not_judged_anew(site: Site) -> None:
    raw = sign_package(documents.a_package(), pki.agency())
    first = site.accept(raw)
    site.change(DEPARTMENT, certificates=())
    assert site.accept(raw).document_id == first.document_id


def test_a_repeat_is_not_routed_anew(site: Site) -> None:
    raw = only_commune()
    first = site.accept(raw)
    site.change(COMMUNE, valid_to=date(2020, 1, 1), successors=(PUSHED,), closed_reason="thử")
    assert site.accept(raw).document_id == first.document_id
    site.change(COMMUNE, successors=())
    assert site.accept(raw).document_id == first.document_id
    assert [d.recipient for d in site.ledger.deliveries(first.document_id)] == [COMMUNE]


def test_a_signature_that_only_an_unregistered_certificate_could_verify_proves_nothing_either_way(site: Site) -> None:
    raw = sign_package(
        documents.a_package(
            sender=documents.an_organization(OTHER_PROVINCE), recipients=(documents.an_organization(COMMUNE),)
        ),
        pki.stranger(),
    )
    document = site.ledger.document(site.accept(raw, caller=ABOVE).document_id)
    assert document is not None
    assert document.verdict.standing is Standing.UNVERIFIABLE


def test_other_bytes_under_the_same_id_are_a_conflict_and_kept_as_a_refusal(site: Site) -> None:
    first = site.accept(documents.a_package())
    with pytest.raises(DocumentConflict) as caught:
        site.accept(documents.a_package(subject="Một nội dung khác"))
    assert caught.value.existing == first.document_id
    assert [r.code for r in site.ledger.refusals()] == ["document.conflict"]


def test_an_update_under_the_same_id_is_accepted(site: Site) -> None:
    site.accept(documents.a_package())
    update = Business(type=BusinessType.UPDATE, reason="Cập nhật")
    answer = site.accept(documents.a_package(subject="Nội dung cập nhật", business=update))
    document = site.ledger.document(answer.document_id)
    assert document is not None
    assert document.business_type is BusinessType.UPDATE
    assert document.targets == ("000.00.14.H37,2026/03/05,07/SA-VP",)


def test_a_recall_waits_behind_the_document_that_it_concerns(site: Site) -> None:
    site.rule(withdraw_uncollected=False)
    site.accept(only_commune())
    recall = Business(type=BusinessType.REVOKE, reason="Thu hồi")
    answer = site.accept(only_commune(business=recall))
    assert [d.blocked for d in site.ledger.deliveries(answer.document_id)] == [True]


def test_a_random_id_made_anew_for_a_retry_is_still_the_same_document(site: Site) -> None:
    first = only_commune(document_id=DocumentId("9fbfbad2-f1f8-4256-a2eb-50fb1061cddb"))
    retry = only_commune(document_id=DocumentId("1fbfbad2-f1f8-4256-a2eb-50fb1061cddc"))
    site.accept(first)
    with pytest.raises(DocumentConflict):
        site.accept(retry)


def test_a_peer_that_asks_for_one_recipient_gets_one_delivery_and_the_other_later(site: Site) -> None:
    raw = sign_package(
        documents.a_package(
            sender=documents.an_organization(OTHER_PROVINCE),
            recipients=(documents.an_organization(COMMUNE), documents.an_organization(DEPARTMENT)),
        ),
        pki.gateway(),
    )
    first = site.accept(raw, caller=ABOVE, only=[COMMUNE])
    assert [d.recipient for d in site.ledger.deliveries(first.document_id)] == [COMMUNE]
    second = site.accept(raw, caller=ABOVE, only=[AgencyCode("H37.14")])
    assert second.duplicate
    assert {d.recipient for d in site.ledger.deliveries(first.document_id)} == {COMMUNE, DEPARTMENT}


def test_the_gateways_signature_on_a_forwarded_package_is_valid_as_the_gateways(site: Site) -> None:
    raw = sign_package(
        documents.a_package(
            sender=documents.an_organization(OTHER_PROVINCE), recipients=(documents.an_organization(COMMUNE),)
        ),
        pki.gateway(),
    )
    document = site.ledger.document(site.accept(raw, caller=ABOVE).document_id)
    assert document is not None
    assert (document.verdict.standing, document.verdict.signed_by) == (Standing.VALID, SignedBy.GATEWAY)


def test_a_gateways_signature_counts_also_for_the_agency_that_it_acts_under(site: Site) -> None:
    # A status that a province's gateway writes for the province's own office: caller and sender are one agency.
    raw = sign_package(
        documents.a_package(sender=documents.an_organization(ABOVE), recipients=(documents.an_organization(COMMUNE),)),
        pki.gateway(),
    )
    document = site.ledger.document(site.accept(raw, caller=ABOVE).document_id)
    assert document is not None
    assert (document.verdict.standing, document.verdict.signed_by) == (Standing.VALID, SignedBy.GATEWAY)


def test_an_agencys_own_system_cannot_pass_off_the_gateways_signature_as_its_own(site: Site) -> None:
    with pytest.raises(SignatureRejected):
        site.accept(sign_package(documents.a_package(), pki.gateway()))


@pytest.mark.parametrize(
    ("caller", "sender", "error"),
    [
        (COMMUNE, DEPARTMENT, SenderNotAllowed),
        (ABOVE, DEPARTMENT, SenderNotAllowed),
        (DEPARTMENT, OTHER_PROVINCE, SenderNotAllowed),
        (DEPARTMENT, "H37.999", UnknownSender),
    ],
)
def test_nobody_sends_in_another_agencys_name(
    site: Site, caller: AgencyCode, sender: str, error: type[Exception]
) -> None:
    raw = documents.a_package(sender=documents.an_organization(sender))
    with pytest.raises(error):
        site.accept(raw, caller=caller)
    refusal = site.ledger.refusals()[0]
    assert (refusal.credential_agency, refusal.code) == (caller, error.code)  # type: ignore[attr-defined]


def test_a_sender_that_must_sign_cannot_send_unsigned(site: Site) -> None:
    site.change(DEPARTMENT, accepts=frozenset({Standing.VALID}))
    with pytest.raises(SignatureRejected) as caught:
        site.accept(documents.a_package())
    assert caught.value.verdict.standing is Standing.UNSIGNED


def test_a_package_with_one_unknown_recipient_is_refused_whole(site: Site) -> None:
    raw = documents.a_package(recipients=(documents.an_organization(COMMUNE), documents.an_organization("H37.404")))
    with pytest.raises(UnknownRecipient) as caught:
        site.accept(raw)
    assert caught.value.recipients == ("H37.404",)
    assert site.ledger.documents().rows == ()


def test_a_recipient_that_is_not_in_the_package_cannot_be_asked_for(site: Site) -> None:
    with pytest.raises(RecipientNotInPackage):
        site.accept(only_commune(), only=[PUSHED])


def test_a_package_with_faults_names_all_of_them(site: Site) -> None:
    with pytest.raises(InvalidPackage) as caught:
        site.accept(documents.a_package(subject=None, recipients=()))
    codes = {v.code for v in caught.value.violations}
    assert {"N.MessageHeader.Subject", "N.MessageHeader.To"} <= codes


def test_what_is_not_xml_is_kept_among_the_refusals_with_its_bytes(site: Site) -> None:
    with pytest.raises(MalformedPackage):
        site.accept(b"not xml at all")
    refusal = site.ledger.refusals()[0]
    assert refusal.code == "package.malformed"
    assert site.ledger.refusal_payload(refusal.id) == b"not xml at all"


def test_a_date_of_issue_in_the_future_is_a_warning(site: Site) -> None:
    answer = site.accept(only_commune(issued_on=date(2099, 1, 1)))
    document = site.ledger.document(answer.document_id)
    assert document is not None
    assert [w.code for w in document.warnings] == ["M.MessageHeader.PromulgationInfo.PromulgationDate"]


def test_urgency_is_the_lane_of_every_delivery(site: Site) -> None:
    answer = site.accept(only_commune(other=OtherInfo(priority=3)))
    assert [d.lane for d in site.ledger.deliveries(answer.document_id)] == [Lane.FLASH]


def test_a_large_package_lives_in_the_payload_store(ledger: Ledger, tmp_path: Path) -> None:
    with a_site(ledger, tmp_path, inline_bytes=1000, complete_unsigned=False) as site:
        raw = only_commune()
        path = tmp_path / "upload.edxml"
        path.write_bytes(raw)
        digest = hashlib.sha256(raw).hexdigest()
        with Upload(source=path, size=len(raw), sha256=digest) as upload:
            accept(site.parts, upload, caller=site.known[DEPARTMENT])
        assert site.ledger.payload(digest) is None
        with lookup.open_package(site.parts, digest, start=10) as stored:
            assert stored.read() == raw[10:]
        assert not path.exists()


# Statuses


def test_a_status_goes_to_the_agency_that_it_answers_and_moves_the_delivery(site: Site) -> None:
    document = site.accept(documents.a_package())
    status = site.accept(documents.a_status_package(StatusCode.REGISTERED), caller=ABOVE)
    assert [d.recipient for d in site.ledger.deliveries(status.document_id)] == [DEPARTMENT]
    copies = {d.recipient: d.status for d in site.ledger.deliveries(document.document_id)}
    assert copies[OTHER_PROVINCE] is StatusCode.REGISTERED


def test_a_late_lower_status_does_not_move_back(site: Site) -> None:
    document = site.accept(documents.a_package())
    for code in (StatusCode.DONE, StatusCode.REGISTERED):
        site.accept(documents.a_status_package(code), caller=ABOVE)
    copies = {d.recipient: d.status for d in site.ledger.deliveries(document.document_id)}
    assert copies[OTHER_PROVINCE] is StatusCode.DONE


def test_a_status_before_its_document_waits_for_it(site: Site) -> None:
    site.accept(documents.a_status_package(StatusCode.PROCESSING), caller=ABOVE)
    assert site.ledger.counts().parked_statuses == 1
    document = site.accept(documents.a_package())
    copies = {d.recipient: d.status for d in site.ledger.deliveries(document.document_id)}
    assert copies[OTHER_PROVINCE] is StatusCode.PROCESSING
    assert site.ledger.counts().parked_statuses == 0


def test_a_status_by_number_and_date_alone_finds_its_document(site: Site) -> None:
    document = site.accept(documents.a_package())
    response = dataclasses.replace(documents.a_status().responses[0], document_id=None)
    site.accept(documents.a_status_package(StatusCode.DONE, responses=(response,)), caller=ABOVE)
    copies = {d.recipient: d.status for d in site.ledger.deliveries(document.document_id)}
    assert copies[OTHER_PROVINCE] is StatusCode.DONE


def test_a_status_reported_again_in_other_bytes_gets_a_receipt_for_those_bytes(site: Site) -> None:
    site.accept(documents.a_package())
    first = site.accept(documents.a_status_package(StatusCode.DONE), caller=ABOVE)
    raw = documents.a_status_package(StatusCode.DONE).replace(b"\n", b"\r\n")
    again = site.accept(raw, caller=ABOVE)
    assert (again.duplicate, again.document_id) == (True, first.document_id)
    assert again.receipt["sha256"] == hashlib.sha256(raw).hexdigest()
    assert check_receipt(again.receipt["jws"], site.parts.key.certificate).same_as == first.receipt["sha256"]


def refuses(site: Site, reporter: AgencyCode, caller: AgencyCode) -> None:
    """A 02 on the letter, handed over by a system that may speak for the reporter."""
    raw = documents.a_status_package(StatusCode.REFUSED, sender=documents.an_organization(reporter))
    site.accept(raw, caller=caller)


def test_a_unit_cannot_refuse_for_its_superior(site: Site) -> None:
    answer = site.accept(documents.a_package(recipients=(documents.an_organization(PROVINCE),)))
    refuses(site, COMMUNE, COMMUNE)
    assert [d.state for d in site.ledger.deliveries(answer.document_id)] == [DeliveryState.WAITING]


def test_an_heir_cannot_refuse_for_its_fellow_heir(site: Site) -> None:
    divided = AgencyCode("000.00.24.H37")
    site.known[divided] = Agency(
        code=divided,
        name="Huyện cũ",
        level=Level.DISTRICT,
        parent=PROVINCE,
        valid_to=date(2025, 7, 1),
        successors=(COMMUNE, PUSHED),
        closed_reason="thử",
    )
    answer = site.accept(documents.a_package(recipients=(documents.an_organization(PUSHED),)))
    refuses(site, divided, COMMUNE)
    assert [d.state for d in site.ledger.deliveries(answer.document_id)] == [DeliveryState.WAITING]


def test_two_receivers_are_asked_in_one_second_and_each_gets_its_own_request(site: Site) -> None:
    site.accept(documents.a_package(recipients=(documents.an_organization(COMMUNE), documents.an_organization(PUSHED))))
    answers = []
    for asked in (COMMUNE, PUSHED):
        response = dataclasses.replace(documents.a_status().responses[0], code=asked)
        raw = documents.a_status_package(
            StatusCode.RECALL_ASKED, sender=documents.an_organization(DEPARTMENT), responses=(response,)
        )
        answers.append(site.accept(raw))
    assert [a.duplicate for a in answers] == [False, False]
    recipients = [[d.recipient for d in site.ledger.deliveries(a.document_id)] for a in answers]
    assert recipients == [[COMMUNE], [PUSHED]]


def test_a_corrected_reason_is_a_report_of_its_own(site: Site) -> None:
    site.accept(documents.a_package())
    first = site.accept(documents.a_status_package(StatusCode.REFUSED), caller=ABOVE)
    corrected = dataclasses.replace(documents.a_status(StatusCode.REFUSED).status, description="Lý do khác")  # type: ignore[type-var] # a status has one
    second = site.accept(documents.a_status_package(StatusCode.REFUSED, status=corrected), caller=ABOVE)
    assert not second.duplicate
    assert second.document_id != first.document_id


def test_a_report_is_recorded_though_its_asker_is_gone(site: Site) -> None:
    answer = site.accept(documents.a_package())
    site.change(DEPARTMENT, valid_to=date(2020, 1, 1), closed_reason="thử")
    report = site.accept(documents.a_status_package(StatusCode.DONE), caller=ABOVE)
    assert site.ledger.deliveries(report.document_id) == []
    copies = {d.recipient: d.status for d in site.ledger.deliveries(answer.document_id)}
    assert copies[OTHER_PROVINCE] is StatusCode.DONE


def test_a_closed_agency_sends_nothing_new(site: Site) -> None:
    site.change(DEPARTMENT, valid_to=date(2020, 1, 1), successors=(PUSHED,), closed_reason="thử")
    for caller in (DEPARTMENT, PUSHED):
        with pytest.raises(SenderClosed) as caught:
            site.accept(documents.a_package(), caller=caller)
        assert caught.value.choices == (PUSHED,)


@pytest.mark.parametrize("code", ["Sở Tài chính", "H99.1,H99.2", "H99 1"])
def test_what_cannot_be_a_code_is_not_sent_up(site: Site, code: str) -> None:
    with pytest.raises(UnknownRecipient):
        site.accept(documents.a_package(recipients=(documents.an_organization(code),)))


def test_a_repeated_second_update_answers_its_own_receipt(site: Site) -> None:
    site.accept(only_commune())
    updates = [only_commune(subject=s, business=Business(type=BusinessType.UPDATE, reason="r")) for s in ("một", "hai")]
    answers = [site.accept(raw) for raw in updates]
    site.change(DEPARTMENT, accepts=frozenset({Standing.VALID}))
    again = site.accept(updates[1])
    assert (again.duplicate, again.document_id) == (True, answers[1].document_id)


def test_one_number_on_two_documents_is_an_alert(site: Site) -> None:
    site.accept(only_commune())
    answer = site.accept(only_commune(document_id=DocumentId("000.00.14.H37,2026/03/05,07/SA-VP-2")))
    document = site.ledger.document(answer.document_id)
    assert document is not None
    assert "M.MessageHeader.Code" in [w.code for w in document.warnings]


def test_a_repeat_after_the_sender_closed_answers_the_first_receipt(site: Site) -> None:
    raw = only_commune()
    first = site.accept(raw)
    site.change(DEPARTMENT, valid_to=date(2020, 1, 1), successors=(PUSHED,), closed_reason="thử")
    assert site.accept(raw).document_id == first.document_id
