"""Why somebody should look at a document, as lists are marked and filtered by it, in real databases."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import event, text

from gateway.ledger import Ledger
from gateway.ledger.records import (
    Concern,
    ExaminationResult,
    Examined,
    Filter,
    NewDocument,
    NewExamination,
    SignedFiles,
)
from gateway.ledger.revocation import NewWatched, Rejudged
from gateway.model import (
    DeliveryState,
    ExaminationKind,
    ExaminationState,
    FileSignature,
    FileStanding,
    FileVerdict,
    SignerRole,
    Standing,
    StatusCode,
    Verdict,
)
from tests.support.ledger import NOON, OTHER, RECEIVER, SENDER, a_delivery, a_document, a_reply, at

FILES, MALWARE = ExaminationKind.FILES, ExaminationKind.MALWARE
DONE = ExaminationState.DONE


def result(*standings: FileStanding, signer: str | None = None) -> ExaminationResult:
    """One file for each, signed by a person as it stands."""
    return ExaminationResult(
        files=tuple(
            FileVerdict(
                content_id=str(n), name=f"{n}.pdf", format="pdf", standing=each, reason="file.verified", judged_at=NOON,
                signatures=(
                    FileSignature(
                        field="S", role=SignerRole.PERSON, standing=each, reason="file.verified",
                        certificate_sha256=signer,
                    ),
                ),
            )
            for n, each in enumerate(standings)
        )
    )  # fmt: skip


def judged(ledger: Ledger, *standings: FileStanding, **changes: Any) -> NewDocument:
    document = a_document(**changes)
    ledger.accept(document, [a_delivery()], examinations=[NewExamination(kind=FILES, due_at=NOON)])
    settle(ledger, document, *standings)
    return document


def settle(ledger: Ledger, document: NewDocument, *standings: FileStanding) -> None:
    done = Examined(state=DONE, reason="file.judged", result=result(*standings))
    assert ledger.settle_examination(document.id, FILES, done, now=at(1))


def concerns(ledger: Ledger, document: NewDocument) -> tuple[Concern, ...]:
    found = ledger.glances([document.id]).get(document.id)
    return found.concerns if found else ()


def listed(ledger: Ledger, concern: Concern, **filters: Any) -> list[str]:
    """Of both lists, which must agree."""
    asked = Filter(concern=concern, **filters)
    rows = [row.document.id for row in ledger.search(asked).rows]
    assert rows == [row.id for row in ledger.documents(asked).rows]
    return rows


def test_a_document_in_order_has_no_mark_but_its_signatures(ledger: Ledger) -> None:
    plain, good = a_document(), judged(ledger, FileStanding.VALID)
    ledger.accept(plain, [a_delivery()])
    found = ledger.glances([plain.id, good.id])
    assert set(found) == {good.id}
    assert (found[good.id].concerns, found[good.id].signed, found[good.id].pending) == ((), SignedFiles.PERSON, False)


def test_files_that_are_still_to_be_judged_are_pending(ledger: Ledger) -> None:
    document = a_document()
    ledger.accept(document, [a_delivery()], examinations=[NewExamination(kind=FILES, due_at=NOON)])
    found = ledger.glances([document.id])[document.id]
    assert (found.concerns, found.signed, found.pending) == ((), None, True)


def test_what_was_found_in_files_marks_and_filters_the_heaviest_first(ledger: Ledger) -> None:
    document = judged(ledger, FileStanding.UNREADABLE, FileStanding.VALID, FileStanding.ALTERED)
    judged(ledger, FileStanding.VALID)
    assert concerns(ledger, document) == (Concern.ALTERED, Concern.UNREADABLE)
    for concern in Concern:
        expected = [document.id] if concern in (Concern.ALTERED, Concern.UNREADABLE) else []
        assert listed(ledger, concern) == expected


def test_what_is_held_is_marked_until_it_is_let_go(ledger: Ledger) -> None:
    document = a_document()
    held = [NewExamination(kind=kind, holds=True, due_at=NOON) for kind in (FILES, MALWARE)]
    ledger.accept(document, [a_delivery()], examinations=held)
    assert concerns(ledger, document) == (Concern.KEPT,)
    settle(ledger, document, FileStanding.VALID)
    assert concerns(ledger, document) == (Concern.KEPT,)
    ledger.release_examination(document.id, MALWARE, reason="x", actor="van.hanh", now=at(2))
    assert concerns(ledger, document) == (Concern.RELEASED,)
    assert listed(ledger, Concern.KEPT) == []


def test_what_is_refused_says_why_and_goes_on_saying_so_after_it_was_released(ledger: Ledger) -> None:
    document, delivery = a_document(), a_delivery()
    ledger.accept(document, [delivery], examinations=[NewExamination(kind=FILES, holds=True, due_at=NOON)])
    refused = Examined(
        state=ExaminationState.REFUSED, reason="file.signature_required", result=result(FileStanding.UNTRUSTED)
    )
    replies = {delivery.id: a_reply(document, StatusCode.REFUSED)}
    ledger.settle_examination(document.id, FILES, refused, now=at(1), replies=replies)
    assert concerns(ledger, document) == (Concern.MISSING, Concern.KEPT, Concern.UNTRUSTED)
    ledger.release_examination(document.id, FILES, reason="x", actor="van.hanh", now=at(2))
    assert concerns(ledger, document) == (Concern.MISSING, Concern.UNTRUSTED, Concern.RELEASED)


def test_what_was_passed_on_unsearched_is_marked_at_its_acceptance(ledger: Ledger) -> None:
    document = a_document()
    failed = NewExamination(
        kind=MALWARE, state=ExaminationState.FAILED, reason="malware.scanner_unreachable", due_at=NOON
    )
    ledger.accept(document, [a_delivery()], examinations=[failed])
    assert concerns(ledger, document) == (Concern.UNEXAMINED,)


VALID = Verdict(standing=Standing.VALID, reason="signature.verified", judged_at=NOON, certificate_sha256="ab" * 32)
REVOKED = replace(VALID, standing=Standing.INVALID, reason="signature.certificate_revoked", revoked_at=at(-60))


def test_a_package_that_was_judged_again_is_marked_and_stays_so_when_it_is_good_again(ledger: Ledger) -> None:
    document = a_document(verdict=VALID)
    ledger.accept(document, [a_delivery()])
    to_bad = Rejudged(document=document.id, old=VALID, new=REVOKED, cause="revoked")
    assert ledger.rejudge([to_bad], now=at(1)) == [document.id]
    assert concerns(ledger, document) == (Concern.REVOKED, Concern.REJUDGED)
    ledger.rejudge([Rejudged(document=document.id, old=REVOKED, new=VALID, cause="unrevoked")], now=at(2))
    assert concerns(ledger, document) == (Concern.REJUDGED,)


def test_that_a_package_became_known_as_good_is_no_reason_to_look(ledger: Ledger) -> None:
    unknown = replace(VALID, standing=Standing.INDETERMINATE, reason="signature.revocation_unknown")
    document = a_document(verdict=unknown)
    ledger.accept(document, [a_delivery()])
    ledger.rejudge([Rejudged(document=document.id, old=unknown, new=VALID, cause="known")], now=at(1))
    assert concerns(ledger, document) == ()


def test_files_that_are_judged_anew_keep_their_marks_until_then(ledger: Ledger) -> None:
    document = judged(ledger, FileStanding.VALID)
    signer = NewWatched(sha256="cd" * 32, origin="file", subject="CN=Sở", not_after=at(10_000), der=b"der")
    ledger.note_file_signers(document.id, [(signer, False)], now=at(1))
    for standing, marks in (
        (FileStanding.REVOKED, (Concern.REVOKED, Concern.REJUDGED)),
        (FileStanding.VALID, (Concern.REJUDGED,)),
    ):
        before = concerns(ledger, document)
        assert ledger.examine_files_again(signer.sha256, since=NOON, now=at(2)) == 1
        assert concerns(ledger, document) == before
        assert ledger.glances([document.id])[document.id].pending
        settle(ledger, document, standing)
        assert concerns(ledger, document) == marks


def test_what_was_found_is_not_forgotten_when_files_could_not_be_judged_anew(ledger: Ledger) -> None:
    document = judged(ledger, FileStanding.ALTERED)
    signer = NewWatched(sha256="cd" * 32, origin="file", subject="CN=Sở", not_after=at(10_000), der=b"der")
    ledger.note_file_signers(document.id, [(signer, False)], now=at(1))
    assert ledger.examine_files_again(signer.sha256, since=NOON, now=at(2)) == 1
    failed = Examined(state=ExaminationState.FAILED, reason="examination.given_up")
    assert ledger.settle_examination(document.id, FILES, failed, now=at(3))
    assert concerns(ledger, document) == (Concern.ALTERED, Concern.UNEXAMINED)
    assert ledger.glances([document.id])[document.id].signed is SignedFiles.NONE
    assert ["files" in e.data for e in ledger.events() if e.data.get("state") == "failed"] == [False]


def test_of_changes_at_once_none_loses_a_reason(ledger: Ledger) -> None:
    for _ in range(4):
        document = a_document(verdict=VALID)
        new = [NewExamination(kind=kind, due_at=NOON) for kind in (FILES, MALWARE)]
        ledger.accept(document, [a_delivery()], examinations=new)
        altered = Examined(state=DONE, reason="file.judged", result=result(FileStanding.ALTERED))
        failed = Examined(state=ExaminationState.FAILED, reason="malware.scanner_unreachable")
        changes = [
            partial(ledger.settle_examination, document.id, FILES, altered, now=at(1)),
            partial(ledger.settle_examination, document.id, MALWARE, failed, now=at(1)),
            partial(ledger.rejudge, [Rejudged(document=document.id, old=VALID, new=REVOKED, cause="c")], now=at(1)),
        ]
        with ThreadPoolExecutor(len(changes)) as pool:
            assert all(done.result() for done in [pool.submit(change) for change in changes])
        assert concerns(ledger, document) == (
            Concern.ALTERED, Concern.REVOKED, Concern.UNEXAMINED, Concern.REJUDGED
        )  # fmt: skip


# Lists


def test_a_concern_is_filtered_together_with_everything_else(ledger: Ledger) -> None:
    mine = judged(ledger, FileStanding.ALTERED, subject="Đề án")
    other = judged(ledger, FileStanding.ALTERED, sender=OTHER, received_from=OTHER, received_at=at(1))
    altered = Concern.ALTERED
    assert listed(ledger, altered) == [other.id, mine.id]
    assert listed(ledger, altered, agency=SENDER) == [mine.id]
    assert listed(ledger, altered, agency=RECEIVER) == [other.id, mine.id]
    assert listed(ledger, altered, agency=RECEIVER, visible_to=OTHER) == [other.id]
    assert listed(ledger, altered, visible_to=SENDER) == [mine.id]
    assert listed(ledger, altered, text="de an") == [mine.id]
    assert listed(ledger, altered, since=at(1)) == [other.id]
    assert listed(ledger, altered, until=at(1)) == [mine.id]
    assert listed(ledger, altered, states=frozenset({DeliveryState.ABANDONED})) == []
    first = ledger.search(Filter(concern=altered), limit=1)
    following = ledger.search(Filter(concern=altered), limit=1, cursor=first.next)
    assert [row.document.id for row in (*first.rows, *following.rows)] == [other.id, mine.id]


def test_reasons_are_counted_for_a_time_and_what_is_kept_for_ever(ledger: Ledger) -> None:
    judged(ledger, FileStanding.ALTERED, FileStanding.ALTERED)
    judged(ledger, FileStanding.ALTERED, received_at=at(1))
    ledger.accept(a_document(), [a_delivery()], examinations=[NewExamination(kind=FILES, holds=True, due_at=NOON)])
    everything = dict.fromkeys(Concern, 0) | {Concern.ALTERED: 2, Concern.KEPT: 1}
    assert ledger.concern_counts(since=NOON) == everything
    assert ledger.concern_counts(since=at(1)) == everything | {Concern.ALTERED: 1}
    assert ledger.concern_counts(since=at(2)) == everything | {Concern.ALTERED: 0}


def test_a_mark_costs_a_list_no_look_at_what_was_found(ledger: Ledger) -> None:
    """Verdicts on hundreds of files stand in ``result``: it is read for no list."""
    judged(ledger, FileStanding.ALTERED)
    with told(ledger) as statements:
        [row] = ledger.search(Filter(concern=Concern.ALTERED)).rows
        ledger.glances([row.document.id])
        ledger.concern_counts(since=NOON)
    assert len(statements) == 5
    assert not any("result" in statement for statement, _ in statements)


def test_what_concerns_is_found_by_its_index_in_the_order_of_the_list(ledger: Ledger) -> None:
    for minute in range(3):
        judged(ledger, FileStanding.ALTERED, received_at=at(minute))
    with told(ledger) as statements:
        assert len(ledger.search(Filter(concern=Concern.ALTERED), limit=2).rows) == 2
        ledger.concern_counts(since=NOON)
    for statement, parameters in (statements[0], statements[-1]):
        plan = planned(ledger, statement, parameters)
        assert "ix_document_concerns_concern_received_at_document" in plan
        assert not any(slow in plan for slow in ("SCAN document", "SCAN deliveries", "Seq Scan"))


@contextmanager
def told(ledger: Ledger) -> Iterator[list[tuple[str, Any]]]:
    """The statements of the block, each with its parameters, that read tables."""
    found: list[tuple[str, Any]] = []

    def note(_c: object, _u: object, statement: str, parameters: object, *_: object) -> None:
        if statement.startswith("SELECT"):
            found.append((statement, parameters))

    event.listen(ledger.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(ledger.engine, "before_cursor_execute", note)


def planned(ledger: Ledger, statement: str, parameters: Any) -> str:
    sqlite = ledger.engine.dialect.name == "sqlite"
    with ledger.engine.begin() as connection:
        if not sqlite:  # of so few rows it would read all
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        explain = "EXPLAIN QUERY PLAN " if sqlite else "EXPLAIN "
        return "\n".join(str(row) for row in connection.exec_driver_sql(explain + statement, parameters))
