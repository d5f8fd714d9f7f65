"""What is wrong with a document's files is found before anybody has it; what cannot be found out is shown, or held."""

from __future__ import annotations

import contextlib
import errno
import threading
import time
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.errors import (
    DocumentKeptBack,
    FileReaderUnavailable,
    FileSignatureRequired,
    LedgerUnavailable,
    MalwareFound,
)
from gateway.exchange import examine, mailbox, operations
from gateway.exchange.examine import ExaminationPace, Examiner
from gateway.exchange.file_rules import decide
from gateway.exchange.parts import ExaminationRules, type_key
from gateway.ledger import Ledger
from gateway.ledger.actions import Action
from gateway.ledger.records import ExaminationRow, Examined, OperationState
from gateway.model import (
    AgencyCode,
    Business,
    BusinessType,
    DeliveryState,
    DocumentChange,
    DocumentId,
    DocumentType,
    ExaminationKind,
    ExaminationState,
    FileSignature,
    FileStanding,
    FileVerdict,
    RecallState,
    SignerRole,
    StatusCode,
)
from gateway.payloads import FileStore
from gateway.scanning import Address
from gateway.signing.files.reasons import FileReason
from gateway.signing.files.required import RequiredSignatures
from gateway.signing.keys import SigningKey
from tests.support import documents, pdfs, pki
from tests.support.clamd import MALWARE, FakeClamd, Fault, running_clamd, scanner
from tests.support.exchange import COMMUNE, DEPARTMENT, PROVINCE, PUSHED, Site, registered
from tests.support.programs import needs

PERSON, AGENCY = SignerRole.PERSON, SignerRole.AGENCY
BOTH = frozenset({PERSON, AGENCY})
FILES, MALWARE_KIND = ExaminationKind.FILES, ExaminationKind.MALWARE
DECISION = DocumentType(type=1, detail=2, name="Quyết định")


def verdict(
    *signatures: tuple[SignerRole, FileStanding], standing: FileStanding | None = None, **changes: Any
) -> FileVerdict:
    """On a file that is signed so."""
    made = tuple(
        FileSignature(field=f"S{n}", role=role, standing=found, reason="file.test")
        for n, (role, found) in enumerate(signatures)
    )
    worst = standing or (signatures[0][1] if signatures else FileStanding.UNSIGNED)
    return replace(
        FileVerdict(
            content_id="main", name="van-ban.pdf", format="pdf", standing=worst, reason="file.test", signatures=made,
            judged_at=pki.NOW,
        ),
        **changes,
    )  # fmt: skip


GOOD = verdict((PERSON, FileStanding.VALID), (AGENCY, FileStanding.VALID))


@dataclass
class Reader:
    """Judges every file as the test says, and keeps what it was asked."""

    answers: tuple[FileVerdict, ...] = (GOOD,)
    fails: Exception | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)

    def inspect(self, path: Path, **question: Any) -> tuple[FileVerdict, ...]:
        self.asked.append({"content": path.read_bytes(), **question})
        if self.fails is not None:
            raise self.fails
        return tuple(
            replace(a, content_id=question["content_id"], name=question["name"], judged_at=question["at"])
            for a in self.answers
        )


def rule(site: Site, **changes: Any) -> None:
    site.rule(examinations=replace(ExaminationRules(inspect=True), **changes))


def demand(site: Site, **changes: Any) -> None:
    """Decisions need both signatures inside a file."""
    rule(site, require={type_key("Quyết định"): BOTH}, **changes)


def sent(site: Site, *recipients: AgencyCode, contents: bytes = documents.PDF, **changes: Any) -> str:
    site.clock.forward(minutes=1)
    to = tuple(documents.an_organization(r) for r in recipients or (COMMUNE,))
    envelope = {"recipients": to, "document_type": DECISION, **changes}
    return site.accept(documents.a_package(contents={"main": contents}, **envelope)).document_id


def examiner(site: Site, reader: Reader, **pace: Any) -> Examiner:
    return Examiner(site.parts, reader=lambda: contextlib.nullcontext(reader), pace=ExaminationPace(**pace))


def examined(site: Site, reader: Reader | None = None, kind: ExaminationKind = FILES, **pace: Any) -> Reader:
    """Let everything that is due be examined."""
    reader = reader or Reader()
    job = examiner(site, reader, **pace)
    while job.examine_next([kind], reader):
        pass
    return reader


def only(site: Site, document: str) -> ExaminationRow:
    (row,) = site.ledger.examinations(document)
    return row


def state(site: Site, document: str) -> tuple[DeliveryState, bool]:
    (delivery,) = site.ledger.deliveries(document)
    return delivery.state, delivery.blocked


def told(site: Site) -> list[tuple[StatusCode, str | None]]:
    """What statuses the department was sent."""
    rows = mailbox.peek(site.parts, caller=site.known[DEPARTMENT], limit=50, after=None).rows
    traces = [site.ledger.trace(row.document.id) for row in rows]
    return [(s.code, s.description) for trace in traces if trace for s in trace.statuses]


HELD, GOES, REFUSED = (DeliveryState.WAITING, True), (DeliveryState.WAITING, False), (DeliveryState.REFUSED, True)


# What is demanded, and whether it is met


@pytest.mark.parametrize(
    ("files", "required", "unknown", "ends"),
    [
        ([], frozenset(), "hold", "file.judged"),
        ([verdict()], frozenset(), "refuse", "file.judged"),
        ([GOOD], BOTH, "hold", "file.required_signatures_valid"),
        ([verdict(), GOOD], BOTH, "hold", "file.required_signatures_valid"),
        ([verdict((PERSON, FileStanding.VALID_WEAK))], {PERSON}, "hold", "file.required_signatures_valid"),
        ([replace(GOOD, standing=FileStanding.ALTERED)], BOTH, "hold", "file.signature_required"),
        ([verdict()], BOTH, "accept", "file.signature_required"),
        ([], BOTH, "accept", "file.signature_required"),
        ([verdict((PERSON, FileStanding.VALID))], BOTH, "accept", "file.signature_required"),
        # Each signed by one of them is no dispatch signed by both.
        ([verdict((PERSON, FileStanding.VALID)), verdict((AGENCY, FileStanding.VALID))], BOTH, "accept",
         "file.signature_required"),
        ([verdict((PERSON, FileStanding.UNTRUSTED), (AGENCY, FileStanding.VALID))], BOTH, "accept",
         "file.signature_required"),
        ([verdict((PERSON, FileStanding.REVOKED))], {PERSON}, "accept", "file.signature_required"),
        ([verdict((SignerRole.UNKNOWN, FileStanding.VALID))], {PERSON}, "accept", "file.signature_required"),
        ([verdict((PERSON, FileStanding.INDETERMINATE))], {PERSON}, "accept", "file.revocation_unknown"),
        ([verdict((PERSON, FileStanding.INDETERMINATE))], {PERSON}, "refuse", "file.signature_required"),
    ],
)  # fmt: skip
def test_one_file_must_carry_every_required_signature(
    files: Sequence[FileVerdict], required: frozenset[SignerRole], unknown: str, ends: str
) -> None:
    outcome = decide(files, RequiredSignatures(main=frozenset(required), others=frozenset()), unknown=unknown)
    assert isinstance(outcome, Examined)
    assert outcome.reason == ends
    assert (outcome.state is ExaminationState.REFUSED) == (ends == "file.signature_required")


@pytest.mark.parametrize("standing", FileStanding)
def test_the_sender_is_told_in_the_language_of_the_wire_what_is_wrong(standing: FileStanding) -> None:
    outcome = decide([verdict(standing=standing)], RequiredSignatures(main=BOTH), unknown="hold")
    assert isinstance(outcome, Examined)
    assert outcome.detail is not None
    if standing is FileStanding.ALTERED:
        assert outcome.detail == "Tệp «van-ban.pdf» bị sửa sau khi ký."
    else:
        start = "Tệp «van-ban.pdf» thiếu chữ ký hợp lệ của cơ quan, người có thẩm quyền ("
        assert outcome.detail.startswith(start)
        assert standing.value not in outcome.detail.removeprefix(start)


def test_what_only_revocation_stands_against_waits_where_that_is_the_rule() -> None:
    found = [verdict((PERSON, FileStanding.INDETERMINATE))]
    required = RequiredSignatures(main=frozenset({PERSON}))
    assert decide(found, required, unknown="hold") is FileReason.REVOCATION_UNKNOWN


@pytest.mark.parametrize(
    ("kind", "required"),
    [
        (DocumentType(type=1, detail=2, name="  QUYẾT định "), BOTH),
        (DocumentType(type=1, detail=2, name=unicodedata.normalize("NFD", "QUYẾT ĐỊNH")), BOTH),
        # Spaces that nobody sees, and letters of double width.
        (DocumentType(type=1, detail=2, name="Quyết  định"), BOTH),
        (DocumentType(type=1, detail=2, name="Quyết\u00a0định"), BOTH),
        (DocumentType(type=1, detail=2, name="Quyết\u200b định\ufeff"), BOTH),
        (DocumentType(type=1, detail=2, name="Ｑuyết định"), BOTH),
        (DocumentType(type=1, detail=7, name="Giấy mời"), frozenset({AGENCY})),
        (DocumentType(type=1, detail=9, name="Công văn"), frozenset({PERSON})),
        (None, frozenset({PERSON})),
        (DocumentType(type=1, detail=7, name="Quyết định"), BOTH),
    ],
)
def test_a_type_is_known_by_its_name_then_by_its_number(
    kind: DocumentType | None, required: frozenset[SignerRole]
) -> None:
    table = {type_key("Quyết định"): BOTH, "7": frozenset({AGENCY}), "*": frozenset({PERSON})}
    assert ExaminationRules(require=table).required(kind).main == required
    assert ExaminationRules(require_others=table).required(kind).others == required


# Files


def test_files_are_judged_after_acceptance_and_hold_nothing_where_nothing_is_required(site: Site) -> None:
    rule(site)
    document = sent(site)
    assert state(site, document) == GOES
    reader = examined(site)
    row = only(site, document)
    assert (row.state, row.reason) == (ExaminationState.DONE, "file.judged")
    assert row.result is not None
    (one,) = row.result.files
    assert (one.content_id, one.name, one.has_person, one.has_agency) == ("main", "07-SA-VP.pdf", True, True)
    (question,) = reader.asked
    assert question["content"] == documents.PDF
    assert question["at"] == site.ledger.document(document).received_at  # type: ignore[union-attr]
    assert {r.role for r in question["registered"]} == {AGENCY}


def test_a_required_signature_is_waited_for_and_then_the_document_goes(site: Site) -> None:
    demand(site)
    document = sent(site)
    assert state(site, document) == HELD
    assert mailbox.peek(site.parts, caller=site.known[COMMUNE], limit=9, after=None).rows == ()
    examined(site)
    assert state(site, document) == GOES
    assert only(site, document).reason == "file.required_signatures_valid"


def test_a_document_without_the_required_signature_is_refused_and_its_sender_told(site: Site) -> None:
    demand(site)
    document = sent(site, COMMUNE, PUSHED)
    examined(site, Reader((verdict((PERSON, FileStanding.VALID)),)))
    assert {(d.state, d.blocked) for d in site.ledger.deliveries(document)} == {REFUSED}
    statuses = told(site)
    assert [code for code, _ in statuses] == [StatusCode.REFUSED] * 2
    assert all(words and "«07-SA-VP.pdf» thiếu chữ ký hợp lệ của cơ quan (hợp lệ)" in words for _, words in statuses)
    assert all(words and "[file.signature_required]" in words for _, words in statuses)
    row = only(site, document)
    assert (row.state, row.reason) == (ExaminationState.REFUSED, "file.signature_required")
    actions = [e.action for e in site.ledger.events()]
    assert actions.count(Action.DELIVERY_REJECTED) == 2


def signed_with(person: SigningKey, agency: SigningKey) -> FileVerdict:
    """Both signatures, valid, by these certificates."""
    roles = [(PERSON, person), (AGENCY, agency)]
    made = (
        replace(s, certificate_sha256=key.certificate_sha256)
        for s, (_, key) in zip(GOOD.signatures, roles, strict=True)
    )
    return replace(GOOD, signatures=tuple(made))


def keys_of(site: Site, agency: AgencyCode, *roles: str, **changes: Any) -> None:
    """Register the certificate of a person, or the seal, for an agency."""
    keys = {"person": pki.person(), "agency": pki.agency_seal()}
    site.change(agency, certificates=tuple(registered(keys[role], role) for role in roles), **changes)


BOTH_KEYS = ("person", "agency")


@pytest.mark.parametrize(
    ("holder", "roles", "ends"),
    [
        (DEPARTMENT, BOTH_KEYS, GOES),
        # Nobody registered them: their subjects say what they are.
        (None, (), GOES),
        # Genuine, and another agency's: a decision of the commune that the department sends as its own.
        (COMMUNE, BOTH_KEYS, REFUSED),
        (COMMUNE, ("agency",), REFUSED),
        (PROVINCE, ("person",), REFUSED),
    ],
)
def test_only_the_senders_own_signatures_are_what_is_required(
    site: Site, holder: AgencyCode | None, roles: tuple[str, ...], ends: tuple[DeliveryState, bool]
) -> None:
    demand(site)
    if holder is not None:
        keys_of(site, holder, *roles)
    document = sent(site)
    examined(site, Reader((signed_with(pki.person(), pki.agency_seal()),)))
    assert state(site, document) == ends
    if ends == REFUSED:
        assert "Chữ ký bằng chứng thư của cơ quan khác không được tính." in (only(site, document).detail or "")
        result = only(site, document).result  # what was found is shown as it is
        assert result is not None
        assert [s.standing for s in result.files[0].signatures] == [FileStanding.VALID] * 2


def test_the_signatures_of_an_agency_that_it_has_succeeded_are_the_senders_own(site: Site) -> None:
    demand(site)
    keys_of(site, PUSHED, *BOTH_KEYS, valid_to=date(2026, 1, 1), successors=(DEPARTMENT,), closed_reason="thử")
    document = sent(site)
    examined(site, Reader((signed_with(pki.person(), pki.agency_seal()),)))
    assert state(site, document) == GOES


def test_what_was_refused_for_one_recipient_goes_to_no_other(site: Site) -> None:
    demand(site)
    to = tuple(documents.an_organization(r) for r in (COMMUNE, PUSHED))
    raw = documents.a_package(recipients=to, document_type=DECISION)
    document = site.accept(raw, only=[COMMUNE]).document_id
    examined(site, Reader((verdict(),)))
    with pytest.raises(DocumentKeptBack):
        site.accept(raw)
    assert state(site, document) == REFUSED
    assert site.accept(raw, only=[COMMUNE]).duplicate


def test_a_type_that_requires_signatures_is_refused_at_once_without_a_file(site: Site) -> None:
    demand(site)
    with pytest.raises(FileSignatureRequired):
        site.accept(documents.a_package(contents={}, references=(), document_type=DECISION))
    assert site.ledger.refusals()[0].code == "file.signature_required"


def test_other_types_are_not_held(site: Site) -> None:
    demand(site)
    document = sent(site, document_type=DocumentType(type=1, detail=3, name="Công văn"))
    assert state(site, document) == GOES


def test_a_status_and_a_package_without_files_are_not_examined(site: Site) -> None:
    rule(site)
    bare = site.accept(documents.a_package(contents={}, references=())).document_id
    assert site.ledger.examinations(bare) == ()


@pytest.mark.parametrize("reason", [FileReason.READER_CRASHED, FileReason.READER_STALLED])
def test_a_reader_that_failed_is_no_reason_to_refuse_at_once(site: Site, reason: FileReason) -> None:
    demand(site)
    document = sent(site)
    bad = Reader((verdict(standing=FileStanding.UNREADABLE, reason=reason),))
    for _ in range(4):
        examined(site, bad)
        assert state(site, document) == HELD
        assert only(site, document).reason == reason
        site.clock.forward(hours=1)
    examined(site, bad)
    assert state(site, document) == REFUSED


def test_unknown_revocation_waits_until_it_is_known(site: Site) -> None:
    demand(site, revocation_unknown="hold")
    document = sent(site)
    unknown = verdict((PERSON, FileStanding.INDETERMINATE), (AGENCY, FileStanding.VALID))
    examined(site, Reader((unknown,)))
    assert (state(site, document), only(site, document).reason) == (HELD, "file.revocation_unknown")
    site.clock.forward(hours=1)
    # Verdicts of an hour ago are not those of now.
    assert len(examined(site).asked) == 1
    assert state(site, document) == GOES


def test_the_same_file_is_read_once_for_many_documents(site: Site) -> None:
    rule(site)
    for number in range(3):
        sent(site, document_id=f"000.00.14.H37,2026/03/05,{number}/SA-VP")
    sent(site, contents=documents.PDF + b"%", document_id="000.00.14.H37,2026/03/05,9/SA-VP")
    reader = examined(site)
    assert len(reader.asked) == 2
    moments = {
        e.result.files[0].judged_at for d in site.ledger.documents().rows for e in [only(site, d.id)] if e.result
    }
    assert len(moments) == 4


def test_what_cannot_be_read_is_tried_again_and_then_given_up_when_it_holds_nothing(site: Site) -> None:
    rule(site)
    document = sent(site)
    broken = Reader(fails=RuntimeError("a bug"))
    with capture_logs() as logged:
        for _ in range(4):
            examined(site, broken)
            assert only(site, document).reason == "examination.fault"
            site.clock.forward(hours=1)
        examined(site, broken)
    assert [line["event"] for line in logged].count("examination.fault") == 5
    assert (only(site, document).state, only(site, document).reason) == (
        ExaminationState.FAILED,
        "examination.given_up",
    )
    assert state(site, document) == GOES


def test_what_holds_is_never_given_up(site: Site) -> None:
    demand(site)
    document = sent(site)
    unavailable = Reader(fails=FileReaderUnavailable())
    for _ in range(8):
        examined(site, unavailable)
        site.clock.forward(hours=1)
    assert only(site, document).reason == "files.reader_unavailable"
    assert (only(site, document).state, state(site, document)) == (ExaminationState.PENDING, HELD)
    examined(site)
    assert state(site, document) == GOES


def test_what_would_take_too_long_is_left_unread(site: Site) -> None:
    rule(site)
    references = tuple(documents.kit_reference(name, f"{name}.pdf") for name in ("a", "b"))
    files = {"a": documents.PDF, "b": documents.PDF + b"%"}
    document = site.accept(documents.a_package(contents=files, references=references)).document_id

    class Slow(Reader):
        def inspect(self, path: Path, **question: Any) -> tuple[FileVerdict, ...]:
            seconds[0] += 9 * 60
            # The clock may be set meanwhile: that is no reason to leave a file unread.
            site.clock.forward(days=1)
            return super().inspect(path, **question)

    seconds = [0.0]
    job = Examiner(site.parts, reader=lambda: contextlib.nullcontext(slow), monotonic=lambda: seconds[0])
    slow = Slow()
    assert job.examine_next([FILES], slow)
    result = only(site, document).result
    assert result is not None
    assert [f.reason for f in result.files] == ["file.test", FileReason.READER_STALLED]


class Unwell:
    """A ledger that records nothing of how examinations end, once."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._fails = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def settle_examination(self, *args: Any, **options: Any) -> bool:
        if self._fails:
            self._fails = False
            raise LedgerUnavailable
        return self._ledger.settle_examination(*args, **options)


def test_an_ending_that_could_not_be_recorded_is_tried_again_soon(site: Site) -> None:
    demand(site)
    document = sent(site)
    site.parts = replace(site.parts, ledger=Unwell(site.ledger))  # type: ignore[arg-type] # it is one but for that
    reader = examined(site)
    assert (state(site, document), only(site, document).reason) == (HELD, "ledger.unavailable")
    site.clock.forward(minutes=1)
    examined(site, reader)
    assert state(site, document) == GOES


def test_a_full_disk_and_a_lost_package_are_called_so(site: Site, tmp_path: Path) -> None:
    demand(site)
    site.rule(inline_bytes=0)
    document = sent(site)
    examined(site, Reader(fails=OSError(errno.ENOSPC, "No space left on device")))
    assert (state(site, document), only(site, document).reason) == (HELD, "storage.full")
    site.clock.forward(minutes=1)
    parts = site.parts
    site.parts = replace(parts, payloads=FileStore(tmp_path / "empty"))
    examined(site)
    assert (state(site, document), only(site, document).reason) == (HELD, "payload.missing")
    site.parts = parts
    site.clock.forward(minutes=1)
    examined(site)
    assert state(site, document) == GOES


def test_who_is_told_to_stop_leaves_the_rest_to_the_next_at_once(site: Site) -> None:
    demand(site)
    references = tuple(documents.kit_reference(name, f"{name}.pdf") for name in ("a", "b"))
    files = {"a": documents.PDF, "b": documents.PDF + b"%"}
    to = (documents.an_organization(COMMUNE),)
    raw = documents.a_package(recipients=to, contents=files, references=references, document_type=DECISION)
    document = site.accept(raw).document_id
    stop = threading.Event()

    class Last(Reader):
        def inspect(self, path: Path, **question: Any) -> tuple[FileVerdict, ...]:
            stop.set()
            return super().inspect(path, **question)

    last = Last()
    examiner(site, last, look=timedelta(milliseconds=5)).run(stop)
    assert len(last.asked) == 1
    assert (state(site, document), only(site, document).reason) == (HELD, "examination.stopped")
    examined(site)
    assert state(site, document) == GOES


def test_what_a_dead_examiner_had_begun_is_taken_over_within_a_minute(site: Site) -> None:
    demand(site)
    document = sent(site)
    pace = ExaminationPace()
    (dead,) = site.ledger.claim_examinations([FILES], now=site.clock(), lease=pace.lease, limit=1)
    reader = examined(site)
    assert (len(reader.asked), state(site, document)) == (0, HELD)
    site.clock.forward(minutes=1)
    examined(site, reader)
    assert (len(reader.asked), state(site, document)) == (1, GOES)
    # It was not dead, after all: what it found comes too late.
    outcome = Examined(state=ExaminationState.REFUSED, reason="file.test")
    assert not examine.settle(site.parts, document, FILES, outcome, token=dead.token)
    assert state(site, document) == GOES


@pytest.mark.parametrize("hours", [1, -1], ids=["an hour forward", "an hour back"])
def test_a_living_examiner_keeps_what_it_has_begun_whatever_becomes_of_the_clock(site: Site, hours: int) -> None:
    demand(site)
    document = sent(site)
    others: list[Reader] = []

    class Long(Reader):
        def inspect(self, path: Path, **question: Any) -> tuple[FileVerdict, ...]:
            site.clock.forward(hours=hours)
            until = time.monotonic() + 60
            while not timedelta(0) < only(site, document).due_at - site.clock() <= timedelta(minutes=1):
                assert time.monotonic() < until, "it was not heard of"
                time.sleep(0.01)
            others.append(examined(site))
            return super().inspect(path, **question)

    # Heard of many times a second, and gone after a minute: so the test takes no minute.
    job = examiner(site, reader := Long(), lease=timedelta(milliseconds=300))
    real = site.ledger.extend_examination
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(site.ledger, "extend_examination", lambda c, lease, now: real(c, lease=lease * 200, now=now))
        assert job.examine_next([FILES], reader)
    assert ([len(r.asked) for r in others], len(reader.asked)) == ([0], 1)
    assert state(site, document) == GOES


def test_an_examiner_that_hangs_keeps_a_document_from_others_only_for_a_while(site: Site) -> None:
    demand(site)
    document = sent(site)
    seconds = [0.0]

    def heard_of() -> bool:
        return any(thread.name == "examining" for thread in threading.enumerate())

    class Hanging(Reader):
        def inspect(self, path: Path, **question: Any) -> tuple[FileVerdict, ...]:
            assert heard_of()
            seconds[0] = 3600.0
            until = time.monotonic() + 60
            while heard_of():
                assert time.monotonic() < until, "it is heard of for ever"
                time.sleep(0.01)
            site.clock.forward(minutes=2)
            examined(site)
            return super().inspect(path, **question)

    pace = ExaminationPace(lease=timedelta(milliseconds=300))
    job = Examiner(
        site.parts,
        reader=lambda: contextlib.nullcontext(hanging),
        pace=pace,
        monotonic=lambda: seconds[0],
    )
    hanging = Hanging()
    assert job.examine_next([FILES], hanging)
    assert state(site, document) == GOES
    assert len([e for e in site.ledger.events() if e.action is Action.DOCUMENT_EXAMINED]) == 1


def test_senders_take_turns_whoever_has_sent_more(site: Site) -> None:
    rule(site)
    queue = [sent(site, document_id=DocumentId(f"{DEPARTMENT},2026/03/05,{n}/QĐ")) for n in range(3)]
    site.clock.forward(minutes=1)
    to = (documents.an_organization(DEPARTMENT),)
    raw = documents.a_package(
        sender=documents.an_organization(COMMUNE),
        recipients=to,
        document_id=DocumentId(f"{COMMUNE},2026/03/05,7/QĐ"),
    )
    other = site.accept(raw, caller=COMMUNE).document_id
    reader, order = Reader(), []
    job = examiner(site, reader)
    while job.examine_next([FILES], reader):
        done = [d for d in (*queue, other) if only(site, d).state is ExaminationState.DONE and d not in order]
        order += done
    assert order == [queue[0], other, queue[1], queue[2]]


def test_what_a_clock_put_off_that_was_ahead_is_done_once_it_is_right(site: Site) -> None:
    demand(site)
    site.clock.forward(hours=1)
    document = sent(site)
    assert site.ledger.claim_examinations([FILES], now=site.clock(), lease=timedelta(minutes=1), limit=1)
    site.clock.forward(hours=-1)
    reader = Reader()
    job = examiner(site, reader)
    assert not job.examine_next([FILES], reader)
    assert [job.set_right(), job.set_right()] == [1, 0]
    assert job.examine_next([FILES], reader)
    assert (len(reader.asked), state(site, document)) == (1, GOES)


# With the real reader


def test_a_signed_dispatch_goes_and_an_unsigned_one_does_not(site: Site) -> None:
    from gateway.signing.files import Inspector

    demand(site)
    signed = sent(site, contents=pdfs.issued())
    unsigned = sent(site, contents=pdfs.plain(), document_id="000.00.14.H37,2026/03/05,8/SA-VP")
    with Inspector() as reader:
        job = Examiner(site.parts, reader=lambda: contextlib.nullcontext(reader))
        while job.examine_next([FILES], reader):
            pass
    result = only(site, signed).result
    assert result is not None
    (one,) = result.files
    assert (one.format, one.standing, one.has_person, one.has_agency) == ("pdf", FileStanding.VALID, True, True)
    assert state(site, signed) == GOES
    assert state(site, unsigned) == REFUSED


# Malware


@pytest.fixture(scope="module")
def clamd() -> Iterator[Address]:
    with running_clamd() as address:
        yield address


@contextlib.contextmanager
def scanned_by(site: Site, fault: Fault, **rules: Any) -> Iterator[FakeClamd]:
    """A site whose clamd behaves so."""
    rule(site, **({"inspect": False} | rules))
    peer = FakeClamd(fault)
    with peer.listening() as address:
        site.parts = replace(site.parts, scanner=scanner(address, pause=timedelta(0)))
        yield peer


@needs("clamd")
def test_malware_is_refused_by_name_and_not_kept(site: Site, clamd: Address) -> None:
    site.parts = replace(site.parts, scanner=scanner(clamd))
    raw = documents.a_package(contents={"main": MALWARE})
    with pytest.raises(MalwareFound) as refused:
        site.accept(raw)
    assert (refused.value.file, refused.value.code) == ("07-SA-VP.pdf", "malware.found")
    assert "Thu.Nghiem-1" in refused.value.detail
    (refusal,) = site.ledger.refusals()
    assert (refusal.code, refusal.payload_kept, refusal.sha256 is None) == ("malware.found", False, False)
    assert site.ledger.documents().rows == ()


@needs("clamd")
def test_a_clean_document_says_who_searched_it(site: Site, clamd: Address) -> None:
    site.parts = replace(site.parts, scanner=scanner(clamd))
    document = sent(site)
    row = only(site, document)
    assert (row.kind, row.state, row.reason) == (MALWARE_KIND, ExaminationState.DONE, "malware.none")
    assert row.result is not None
    assert row.result.scanned == 1
    assert (row.result.scanner or "").startswith("ClamAV")
    assert state(site, document) == GOES


def test_what_nobody_searched_is_held_until_somebody_does(site: Site) -> None:
    with scanned_by(site, Fault(answer=None)) as peer:
        document = sent(site)
        assert (state(site, document), only(site, document).reason) == (HELD, "malware.scanner_unreachable")
        examined(site, kind=MALWARE_KIND)
        assert state(site, document) == HELD
        peer.fault = Fault()
        examined(site, kind=MALWARE_KIND)
        assert state(site, document) == HELD  # it waits for its next try
        site.clock.forward(minutes=1)
        examined(site, kind=MALWARE_KIND)
    assert state(site, document) == GOES
    assert only(site, document).reason == "malware.none"


def test_malware_found_later_is_refused_and_its_sender_told(site: Site) -> None:
    with scanned_by(site, Fault(answer=None)) as peer:
        document = sent(site)
        peer.fault = Fault(answer=b"stream: Thu.Nghiem-1 FOUND\0")
        examined(site, kind=MALWARE_KIND)
    assert state(site, document) == REFUSED
    ((code, words),) = told(site)
    assert code is StatusCode.REFUSED
    assert words is not None
    assert "07-SA-VP.pdf: Thu.Nghiem-1" in words
    assert not site.ledger.may_see(document, COMMUNE)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault(answer=None), "malware.scanner_unreachable"),
        (Fault(answer=b"INSTREAM size limit exceeded. ERROR\0"), "malware.too_large"),
        (Fault(answer=b"?\0"), "malware.scanner_answer_unusable"),
    ],
)
def test_where_the_operator_wants_it_what_nobody_searched_goes_and_says_so(site: Site, fault: Fault, code: str) -> None:
    with scanned_by(site, fault, unscanned="pass"):
        document = sent(site)
    row = only(site, document)
    assert (row.state, row.reason, row.result) == (ExaminationState.FAILED, code, None)
    assert state(site, document) == GOES


def test_what_is_too_large_to_search_is_held_for_an_operator(site: Site) -> None:
    with scanned_by(site, Fault(answer=b"INSTREAM size limit exceeded. ERROR\0")):
        document = sent(site)
        examined(site, kind=MALWARE_KIND)
    assert (state(site, document), only(site, document).reason) == (HELD, "malware.too_large")
    examine.release(site.parts, document, MALWARE_KIND, reason="đã quét bằng tay", actor="thu")
    assert state(site, document) == GOES


def test_what_is_too_large_is_not_searched_again_and_again_until_the_settings_change(site: Site) -> None:
    rule(site, inspect=False)
    peer = FakeClamd(Fault())
    with peer.listening() as address:
        site.parts = replace(site.parts, scanner=scanner(address, max_bytes=4))
        document = sent(site)
        waits, reader = [], Reader()
        for _ in range(10):
            assert examiner(site, reader).examine_next([MALWARE_KIND], reader)
            waits.append(only(site, document).due_at - site.clock())
            site.clock.now = only(site, document).due_at
        assert waits[:3] == [timedelta(minutes=m) for m in (10, 20, 40)]
        assert waits[-2:] == [timedelta(days=1)] * 2
        assert (state(site, document), only(site, document).reason) == (HELD, "malware.too_large")
        # The settings are read when the program starts.
        site.parts = replace(site.parts, scanner=scanner(address))
        job, stop = examiner(site, reader, look=timedelta(milliseconds=5)), threading.Event()
        thread = threading.Thread(target=job.run, args=(stop,))
        thread.start()
        until = time.monotonic() + 60
        while state(site, document) != GOES and time.monotonic() < until:
            time.sleep(0.01)
        stop.set()
        thread.join()
    assert (state(site, document), only(site, document).reason) == (GOES, "malware.none")


def test_settings_that_have_changed_let_go_what_is_held(site: Site) -> None:
    with scanned_by(site, Fault(answer=None)):
        first = sent(site)
        rule(site, inspect=False, unscanned="pass")
        examined(site, kind=MALWARE_KIND)
        assert (only(site, first).state, state(site, first)) == (ExaminationState.RELEASED, GOES)


def test_a_repeat_is_not_searched_again(site: Site) -> None:
    with scanned_by(site, Fault()) as peer:
        raw = documents.a_package()
        site.accept(raw)
        before = len(peer.files)
        assert site.accept(raw).duplicate
        assert len(peer.files) == before == 1


# Operations


def test_a_refused_update_leaves_the_copy_as_it_was_and_answers_its_sender(site: Site) -> None:
    rule(site)
    document = sent(site)
    site.collect(COMMUNE)
    demand(site)
    change = Business(type=BusinessType.UPDATE, reason="Sửa số liệu", changes=(DocumentChange(content=True),))
    update = sent(site, business=change)
    assert state(site, update) == HELD
    site.collect(DEPARTMENT)  # the arrivals so far
    examined(site, Reader((verdict(),)))
    (copy,) = site.ledger.deliveries(document)
    assert (copy.state, copy.recall, copy.status) == (DeliveryState.DELIVERED, RecallState.NONE, StatusCode.ARRIVED)
    assert state(site, update) == REFUSED
    (request,) = site.ledger.operations_on(update)
    assert request.state is OperationState.DECLINED
    assert [code for code, _ in told(site)] == [StatusCode.DISAGREED]


def test_a_held_document_is_recalled_without_ever_being_seen(site: Site) -> None:
    demand(site)
    document = sent(site)
    operations.revoke(site.parts, caller=site.known[DEPARTMENT], document_id=document, reason="Gửi nhầm")
    assert state(site, document) == (DeliveryState.WITHDRAWN, False)
    examined(site)
    assert state(site, document) == (DeliveryState.WITHDRAWN, False)
    assert mailbox.peek(site.parts, caller=site.known[COMMUNE], limit=9, after=None).rows == ()
    assert [code for code, _ in told(site)] == [StatusCode.AGREED]


# Running


def test_the_job_examines_until_it_is_told_to_stop(site: Site) -> None:
    demand(site)
    document = sent(site)
    stop, seen = threading.Event(), threading.Event()

    class Watching(Reader):
        def inspect(self, path: Path, **question: Any) -> tuple[FileVerdict, ...]:
            seen.set()
            return super().inspect(path, **question)

    job = examiner(site, Watching(), look=timedelta(milliseconds=5))
    thread = threading.Thread(target=job.run, args=(stop,))
    thread.start()
    assert seen.wait(10)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert state(site, document) == GOES


def test_settling_twice_is_done_once(site: Site) -> None:
    demand(site)
    document = sent(site)
    refused = Examined(state=ExaminationState.REFUSED, reason="signature.certificate_revoked", detail="Đã thu hồi.")
    assert examine.settle(site.parts, document, FILES, refused)
    assert not examine.settle(site.parts, document, FILES, refused)
    ((_, words),) = told(site)
    assert words == "Trục liên thông đã kiểm tra và không chuyển văn bản: Đã thu hồi. [signature.certificate_revoked]"
