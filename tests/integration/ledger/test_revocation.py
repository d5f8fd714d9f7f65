"""What is known of revocation, in real databases: items, failures, watched certificates, changed verdicts."""

import hashlib
import threading
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from gateway.errors import LeaseLost
from gateway.ledger import Ledger
from gateway.ledger.actions import Action
from gateway.ledger.records import Examined, NewExamination
from gateway.ledger.revocation import Expiring, Finding, NewWatched, Rejudged, StoredItem
from gateway.model import ExaminationKind, ExaminationState, SignedBy, Standing, Verdict
from tests.support.ledger import NOON, a_document, at

LEASE = timedelta(minutes=5)
CRL = "http://ca.example/root.crl"
CERTIFICATE = "ab" * 32
VALID = Verdict(
    standing=Standing.VALID,
    reason="signature.verified",
    judged_at=NOON,
    signed_by=SignedBy.SENDER,
    certificate_sha256=CERTIFICATE,
)
INVALID = replace(VALID, standing=Standing.INVALID, reason="signature.certificate_revoked", revoked_at=at(-60))


def an_item(content: bytes = b"1", *, name: str = CRL, of: datetime = NOON) -> StoredItem:
    digest = hashlib.sha256(content).hexdigest()
    return StoredItem(
        name=name, kind="crl", der=content, sha256=digest, this_update=of, next_update=of + timedelta(days=1)
    )


def watched(sha256: str = CERTIFICATE, origin: str = "registered") -> NewWatched:
    return NewWatched(sha256=sha256, origin=origin, subject="CN=Sở", not_after=at(10_000), der=b"der")


def actions(ledger: Ledger) -> list[Action]:
    """The latest first."""
    return [e.action for e in reversed(ledger.events())]


# Rounds


def test_one_process_has_the_round_until_its_lease_ends(ledger: Ledger) -> None:
    assert ledger.take_revocation_round(now=NOON, lease=LEASE)
    assert not ledger.take_revocation_round(now=at(4), lease=LEASE)
    assert ledger.take_revocation_round(now=at(5), lease=LEASE)
    ledger.end_revocation_round(now=at(6), due_at=at(7))
    assert ledger.last_revocation_round() == at(6)
    assert not ledger.take_revocation_round(now=at(6.5), lease=LEASE)
    assert ledger.take_revocation_round(now=at(6.5), lease=LEASE, at_once=True)


def test_a_clock_that_was_ahead_does_not_stop_rounds_for_ever(ledger: Ledger) -> None:
    assert ledger.take_revocation_round(now=at(60 * 24 * 365), lease=LEASE)
    assert ledger.take_revocation_round(now=NOON, lease=LEASE)


def test_of_processes_that_want_a_round_at_the_same_moment_one_gets_it(ledger: Ledger) -> None:
    got: list[bool] = []
    go = threading.Barrier(6)

    def take() -> None:
        go.wait()
        got.append(ledger.take_revocation_round(now=NOON, lease=LEASE))

    threads = [threading.Thread(target=take) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [False] * 5 + [True]


# Items


def test_what_is_new_is_handed_out_once_and_the_version_grows(ledger: Ledger) -> None:
    assert ledger.revocation_items({}) == (0, set(), [])
    assert ledger.keep_revocation(an_item(), now=NOON, due_at=at(60))
    version, present, items = ledger.revocation_items({})
    assert (version, present, items) == (1, {CRL}, [an_item()])
    known = {CRL: items[0].sha256}
    assert ledger.revocation_items(known) == (1, {CRL}, [])
    # The same again says nothing new: what was found by it need not be found again.
    assert not ledger.keep_revocation(an_item(), now=at(60), due_at=at(120))
    assert ledger.revocation_version() == 1
    assert ledger.keep_revocation(an_item(b"2", of=at(60)), now=at(60), due_at=at(120))
    assert ledger.revocation_items(known) == (2, {CRL}, [an_item(b"2", of=at(60))])


def test_an_older_crl_takes_no_revocation_back(ledger: Ledger) -> None:
    ledger.keep_revocation(an_item(b"new", of=at(10)), now=at(10), due_at=at(60))
    assert not ledger.keep_revocation(an_item(b"old", of=NOON), now=at(20), due_at=at(60))
    assert [i.der for i in ledger.revocation_items({})[2]] == [b"new"]


def test_a_failure_is_told_once_per_cause_and_leaves_what_is_known(ledger: Ledger) -> None:
    ledger.keep_revocation(an_item(), now=NOON, due_at=at(60))
    for minute, code in ((60, "a.b"), (61, "a.b"), (62, "c.d")):
        ledger.revocation_failed(CRL, code=code, detail="x" * 900, now=at(minute), due_at=at(minute + 1))
    (source,) = ledger.revocation_sources()
    assert (source.failures, source.last_error_code, source.last_success_at) == (3, "c.d", NOON)
    assert source.last_error_detail is not None
    assert len(source.last_error_detail) == 500
    assert [i.der for i in ledger.revocation_items({})[2]] == [b"1"]
    assert actions(ledger) == [Action.REVOCATION_FAILED] * 2
    ledger.keep_revocation(an_item(), now=at(63), due_at=at(120))
    (source,) = ledger.revocation_sources()
    assert source.failures == 0
    assert actions(ledger)[0] is Action.REVOCATION_RECOVERED


def test_sources_are_planned_once_and_dropped_with_what_they_gave(ledger: Ledger) -> None:
    ledger.plan_revocation({CRL: "crl", "ocsp:1 http://o.example": "ocsp"}, now=NOON)
    ledger.keep_revocation(an_item(), now=NOON, due_at=at(60))
    ledger.plan_revocation({CRL: "crl"}, now=at(1))
    assert [(s.name, s.due_at) for s in ledger.revocation_sources()] == [
        (CRL, at(60)),
        ("ocsp:1 http://o.example", NOON),
    ]
    ledger.drop_revocation([CRL], now=at(2))
    assert ledger.revocation_items({CRL: an_item().sha256}) == (2, set(), [])


# Certificates


def test_certificates_of_strangers_are_watched_within_bounds_and_registered_ones_always(ledger: Ledger) -> None:
    ledger.watch_certificates([watched()], now=NOON)
    for n in range(5):
        ledger.watch_certificates([watched(f"{n:064}", "file")], now=at(n), most_of_files=3)
    assert {c.sha256 for c in ledger.watched_certificates()} == {CERTIFICATE, *(f"{n:064}" for n in (2, 3, 4))}
    assert ledger.certificates_der([CERTIFICATE, "0" * 64]) == {CERTIFICATE: b"der"}


def test_a_certificate_met_in_a_file_and_registered_later_counts_as_registered(ledger: Ledger) -> None:
    ledger.watch_certificates([watched(origin="file")], now=NOON)
    ledger.watch_certificates([watched()], now=NOON)
    ledger.watch_certificates([watched(origin="file")], now=NOON)
    assert [c.origin for c in ledger.watched_certificates()] == ["registered"]


def test_a_revocation_is_told_once_and_so_is_its_end(ledger: Ledger) -> None:
    ledger.watch_certificates([watched()], now=NOON)
    revoked = Finding(sha256=CERTIFICATE, state="revoked", revoked_at=at(-60), reason="key_compromise")
    ledger.note_revocation([revoked], now=at(1))
    ledger.note_revocation([revoked], now=at(2))
    (one,) = ledger.watched_certificates()
    assert (one.state, one.revoked_at, one.reason, one.checked_at) == ("revoked", at(-60), "key_compromise", at(2))
    ledger.note_revocation([Finding(sha256=CERTIFICATE, state="good")], now=at(3))
    assert actions(ledger) == [Action.CERTIFICATE_UNREVOKED, Action.CERTIFICATE_REVOKED]


def test_each_threshold_is_announced_once_and_again_only_for_another_end(ledger: Ledger) -> None:
    ledger.watch_certificates([watched()], now=NOON)

    def announce(days: int, ends: datetime) -> None:
        facts = {"agency": "H37.21"}
        ledger.announce_expiring([Expiring(sha256=CERTIFICATE, ends=ends, days=days, facts=facts)], now=NOON)

    for days in (60, 60, 30, 30, 60, 7, 7):
        announce(days, at(10_000))
    announce(60, at(20_000))
    told = [e.data["days"] for e in ledger.events() if e.action is Action.CERTIFICATE_EXPIRING]
    assert told == [60, 30, 7, 60]


# Judgements


def test_documents_are_found_by_the_certificate_that_verified_them(ledger: Ledger) -> None:
    one, two, three = (a_document(verdict=VALID, received_at=at(n)) for n in range(3))
    other = a_document(verdict=replace(VALID, certificate_sha256="cd" * 32))
    for document in (one, two, three, other, a_document()):
        ledger.accept(document, [])
    assert [d for d, _, _ in ledger.documents_verified_by(CERTIFICATE)] == [one.id, two.id, three.id]
    assert [d for d, _, _ in ledger.documents_verified_by(CERTIFICATE, since=at(1))] == [two.id, three.id]
    page = ledger.documents_verified_by(CERTIFICATE, limit=2)
    rest = ledger.documents_verified_by(CERTIFICATE, after=(page[-1][1], page[-1][0]))
    assert [d for d, _, _ in rest] == [three.id]


def test_a_changed_verdict_keeps_the_former_ones_and_is_told(ledger: Ledger) -> None:
    document = a_document(verdict=VALID)
    ledger.accept(document, [])
    assert ledger.judgements(document.id) == ()
    change = Rejudged(document=document.id, old=VALID, new=INVALID, cause="revoked")
    assert ledger.rejudge([change], now=at(5)) == [document.id]
    assert ledger.rejudge([change], now=at(6)) == []  # not what it is any more
    back = Rejudged(document=document.id, old=INVALID, new=VALID, cause="unrevoked")
    assert ledger.rejudge([back], now=at(7)) == [document.id]
    row = ledger.document(document.id)
    assert row is not None
    assert row.verdict == VALID
    told = [(j.at, j.cause, j.verdict) for j in ledger.judgements(document.id)]
    assert told == [(NOON, "receipt", VALID), (at(5), "revoked", INVALID), (at(7), "unrevoked", VALID)]
    latest, _ = ledger.changed_verdicts(limit=5)
    assert (latest[1].document, latest[1].cause) == (document.id, "unrevoked")
    assert [j.cause for _, j in ledger.changed_verdicts(limit=5, before=latest[0])] == ["revoked"]
    events = [e for e in ledger.events() if e.action is Action.DOCUMENT_REJUDGED]
    assert [(e.data["old"], e.data["new"]) for e in events] == [("valid", "invalid"), ("invalid", "valid")]
    assert events[0].data["revoked_at"] == at(-60).isoformat()


# Signers inside files


def examined(ledger: Ledger, received: datetime, *, undecided: bool) -> str:
    """A document whose file is signed by the certificate, and was judged."""
    document = a_document(received_at=received)
    pending = NewExamination(kind=ExaminationKind.FILES, due_at=received)
    ledger.accept(document, [], examinations=[pending])
    done = Examined(state=ExaminationState.DONE, reason="file.judged")
    assert ledger.settle_examination(document.id, ExaminationKind.FILES, done, now=received)
    ledger.note_file_signers(document.id, [(watched(origin="file"), undecided)], now=received)
    return document.id


def again(ledger: Ledger, *documents: str) -> list[bool]:
    """Which of the documents are to be examined."""
    return [ledger.examinations(d)[0].state is ExaminationState.PENDING for d in documents]


def test_files_are_judged_anew_from_the_date_of_a_revocation_on(ledger: Ledger) -> None:
    before, since = examined(ledger, at(0), undecided=False), examined(ledger, at(10), undecided=False)
    assert ledger.examine_files_again(CERTIFICATE, since=at(5), now=at(20)) == 1
    assert again(ledger, before, since) == [False, True]
    assert ledger.examine_files_again("cd" * 32, since=at(0), now=at(20)) == 0


def test_files_are_judged_anew_that_were_judged_without_knowing(ledger: Ledger) -> None:
    known, unknown = examined(ledger, at(0), undecided=False), examined(ledger, at(0), undecided=True)
    assert ledger.examine_files_again(CERTIFICATE, since=None, now=at(20)) == 1
    assert again(ledger, known, unknown) == [False, True]
    ledger.note_file_signers(unknown, [(watched(origin="file"), False)], now=at(21))
    assert ledger.examine_files_again(CERTIFICATE, since=None, now=at(22)) == 0


def test_whoever_judges_files_while_something_becomes_known_does_not_end_it(ledger: Ledger) -> None:
    kind = ExaminationKind.FILES
    document = a_document()
    ledger.accept(document, [], examinations=[NewExamination(kind=kind, holds=True, due_at=NOON)])
    (begun,) = ledger.claim_examinations([kind], now=at(1), lease=LEASE, limit=1)
    ledger.note_file_signers(document.id, [(watched(origin="file"), False)], now=at(1))
    assert ledger.examine_files_again(CERTIFICATE, since=NOON, now=at(2)) == 1
    done = Examined(state=ExaminationState.DONE, reason="file.judged")
    with pytest.raises(LeaseLost):
        ledger.settle_examination(document.id, kind, done, now=at(3), token=begun.token)
    # It waits for nobody's lease, and holds what it held.
    (again,) = ledger.claim_examinations([kind], now=at(3), lease=LEASE, limit=1)
    assert again.holds
    assert ledger.settle_examination(document.id, kind, done, now=at(4), token=again.token)
