"""Everything that the program can say of a document has words."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.console import verdicts, words
from gateway.console.texts import LANGUAGES, Language, Text
from gateway.exchange import examine, file_rules
from gateway.exchange.screening import NOTHING_FOUND
from gateway.ledger.actions import Action
from gateway.ledger.records import Concern, DeliveryRow, OperationState, SignedFiles, StatusEffect
from gateway.model import (
    AgencyCode,
    BusinessType,
    Channel,
    DeliveryState,
    ExaminationKind,
    ExaminationState,
    FilePart,
    FileStanding,
    Lane,
    PackageKind,
    RecallState,
    SignedBy,
    SignerRole,
    Standing,
    StatusCode,
    Verdict,
)
from gateway.signing.files.reasons import FileReason
from gateway.signing.policy import Reason
from tests.support.ledger import NOON


def a_row(**changes: object) -> DeliveryRow:
    row = DeliveryRow(
        id="d",
        document="doc",
        sender=AgencyCode("H37.1"),
        recipient=AgencyCode("H37.14"),
        recipient_name=None,
        as_written=AgencyCode("H37.14"),
        via=AgencyCode("H37.14"),
        channel=Channel.PUSH,
        lane=Lane.NORMAL,
        redirected_from=None,
        state=DeliveryState.WAITING,
        due_at=NOON,
        blocked=False,
        attempts=0,
        created_at=NOON,
        changed_at=NOON,
        settled_at=None,
        error_code=None,
        status=None,
        status_at=None,
        recall=RecallState.NONE,
    )
    return replace(row, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("members", "table"),
    [
        (DeliveryState, words.STATES),
        (Lane, words.LANES),
        (Lane, words.LONG_WAIT),
        (StatusCode, words.STATUSES),
        (PackageKind, words.KINDS),
        (BusinessType, words.BUSINESS),
        (Channel, words.CHANNELS),
        (StatusEffect, words.EFFECTS),
        (RecallState, words.RECALLS),
        (OperationState, words.OPERATION_STATES),
        (Concern, words.CONCERNS),
        (SignedFiles, words.SIGNED),
        (Standing, words.STANDINGS),
        (ExaminationKind, words.EXAMINATIONS),
        (ExaminationState, words.EXAMINATION_STATES),
        (FileStanding, words.FILE_STANDINGS),
        (FilePart, verdicts.FILE_PARTS),
        (SignerRole, words.SIGNER_ROLES),
        (Action, words.EVENTS),
    ],
)
def test_every_member_has_words(members: type[enum.Enum], table: Mapping[enum.Enum, object]) -> None:
    assert set(table) == set(members)


def test_every_reason_that_the_verifier_gives_has_words() -> None:
    assert set(words.REASONS) == {str(reason) for reason in Reason}


def test_every_reason_of_a_file_and_of_an_examination_has_words() -> None:
    ours = {
        file_rules.JUDGED, file_rules.REQUIRED_PRESENT, examine.GIVEN_UP, examine.FAULT, examine.STOPPED, NOTHING_FOUND,
    }  # fmt: skip
    assert set(words.FILE_REASONS) == {str(reason) for reason in FileReason} | ours
    assert words.finding("malware.found", "en").startswith("One of the files")
    assert words.finding("x.y", "vi") == "x.y"


def test_states_differ_in_words_and_shape_and_not_only_in_colour() -> None:
    marks = [*words.STATES.values(), words.RETRYING, words.BLOCKED, words.HANDED_ON]
    for spoken in LANGUAGES:
        assert len({m.words.say(spoken) for m in marks}) == len(marks)
    assert all(m.shape for m in marks)
    assert len({m.shape for m in words.STATES.values()}) == len(words.STATES)
    assert len({m.shape for m in words.CONCERNS.values()}) == len(words.CONCERNS)


@pytest.mark.parametrize("spoken", LANGUAGES)
@pytest.mark.parametrize("standing", Standing)
@pytest.mark.parametrize("signed_by", [None, *SignedBy])
def test_every_verdict_is_a_sentence(spoken: Language, standing: Standing, signed_by: SignedBy | None) -> None:
    verdict = Verdict(
        standing=standing,
        reason="signature.verified",
        judged_at=NOON,
        signed_by=signed_by,
        certificate_sha256="ab" * 32,
        subject="CN=Văn phòng UBND\\, tỉnh Lạng Sơn,C=VN",
    )
    sentence = verdicts.verdict_sentence(verdict, "Sở Y tế", spoken)
    assert sentence.endswith(".")
    assert "{" not in sentence


def test_a_valid_signature_names_signer_and_certificate() -> None:
    verdict = Verdict(
        standing=Standing.VALID,
        reason="signature.verified",
        judged_at=NOON,
        signed_by=SignedBy.SENDER,
        subject="CN=Văn phòng UBND\\, tỉnh Lạng Sơn,C=VN",
    )
    sentence = verdicts.verdict_sentence(verdict, "Văn phòng", "vi")
    assert sentence == "Chữ ký hợp lệ của Văn phòng (chứng thư số Văn phòng UBND, tỉnh Lạng Sơn)."


def test_an_unsigned_document_is_for_information_only() -> None:
    verdict = Verdict(standing=Standing.UNSIGNED, reason="signature.none", judged_at=NOON)
    assert verdicts.verdict_sentence(verdict, "x", "vi").startswith("Không ký: chỉ có giá trị tham khảo")


def test_a_reason_from_elsewhere_stands_for_itself() -> None:
    verdict = Verdict(standing=Standing.INVALID, reason="signature.from_the_future", judged_at=NOON)
    assert "signature.from_the_future" in verdicts.verdict_sentence(verdict, "x", "en")


@pytest.mark.parametrize(
    ("subject", "name"),
    [
        ("O=Không có CN,C=VN", "O=Không có CN,C=VN"),
        ("not a name at all ☹", "not a name at all ☹"),
        (None, "ab" * 8),
    ],
)
def test_a_certificate_without_a_common_name_is_still_named(subject: str | None, name: str) -> None:
    verdict = Verdict(
        standing=Standing.VALID, reason="x", judged_at=NOON, subject=subject, certificate_sha256="ab" * 32
    )
    assert verdicts.certificate_name(verdict) == name


def test_an_unknown_error_code_stands_for_itself() -> None:
    assert words.cause("peer.said_so", "vi") == "peer.said_so"
    assert words.cause("delivery.peer_unreachable", "vi") != "delivery.peer_unreachable"


@pytest.mark.parametrize(
    ("changes", "mark"),
    [
        ({}, words.STATES[DeliveryState.WAITING]),
        ({"channel": Channel.MAILBOX}, words.TO_COLLECT),
        ({"blocked": True}, words.BLOCKED),
        ({"error_code": "delivery.peer_failed"}, words.RETRYING),
        ({"state": DeliveryState.LEASED}, words.STATES[DeliveryState.LEASED]),
        ({"state": DeliveryState.LEASED, "channel": Channel.MAILBOX}, words.COLLECTING),
        ({"state": DeliveryState.DELIVERED, "channel": Channel.MAILBOX}, words.STATES[DeliveryState.DELIVERED]),
        # An abandoned delivery keeps its last error and is still abandoned.
        (
            {"state": DeliveryState.ABANDONED, "error_code": "delivery.peer_failed"},
            words.STATES[DeliveryState.ABANDONED],
        ),
    ],
)
def test_a_delivery_is_marked_by_what_happens_next(changes: dict[str, object], mark: words.Mark) -> None:
    assert words.delivery_mark(a_row(**changes), PackageKind.DOCUMENT) == mark


def test_nothing_more_is_awaited_of_a_status_that_the_next_gateway_has() -> None:
    forwarded = a_row(state=DeliveryState.FORWARDED)
    assert words.delivery_mark(forwarded, PackageKind.STATUS) == words.HANDED_ON
    assert words.delivery_mark(forwarded, PackageKind.DOCUMENT) == words.STATES[DeliveryState.FORWARDED]
    assert words.delivery_mark(a_row(), PackageKind.STATUS) == words.STATES[DeliveryState.WAITING]


@pytest.mark.parametrize(
    ("changes", "minutes", "attention"),
    [
        ({}, 1, None),
        ({}, 4 * 60, "warn"),  # ordinary mail, half a working day
        ({"lane": Lane.FLASH}, 14, None),
        ({"lane": Lane.FLASH}, 15, "warn"),
        ({"error_code": "delivery.peer_failed"}, 1, "warn"),
        ({"state": DeliveryState.ABANDONED}, 1, "bad"),
        ({"state": DeliveryState.REFUSED}, 1, "warn"),
        ({"state": DeliveryState.DELIVERED}, 100_000, None),
        ({"state": DeliveryState.WITHDRAWN}, 100_000, None),
    ],
)
def test_what_is_stuck_stands_out(changes: dict[str, object], minutes: int, attention: str | None) -> None:
    assert words.needs_attention(a_row(**changes), NOON + timedelta(minutes=minutes)) == attention


@pytest.mark.parametrize(
    ("span", "vi", "en"),
    [
        (timedelta(seconds=-5), "0 giây", "0 seconds"),
        (timedelta(seconds=59), "59 giây", "59 seconds"),
        (timedelta(minutes=1), "1 phút", "1 minute"),
        (timedelta(hours=23, minutes=59), "23 giờ", "23 hours"),
        (timedelta(days=2, hours=5), "2 ngày", "2 days"),
    ],
)
def test_ages_are_in_their_largest_whole_unit(span: timedelta, vi: str, en: str) -> None:
    assert (words.age(span, "vi"), words.age(span, "en")) == (vi, en)


def test_every_table_of_words_holds_texts_in_both_languages() -> None:
    tables: tuple[Mapping[enum.Enum, Text | words.Mark], ...] = (
        words.STATES, words.LANES, words.STATUSES, words.KINDS, words.BUSINESS, words.EFFECTS, words.EVENTS,
    )  # fmt: skip
    for table in tables:
        for entry in table.values():
            text = entry if isinstance(entry, Text) else entry.words
            assert text.vi
            assert text.en
