"""Files that are signed in two steps, as the ledger keeps them; on each database."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.event import listen

from gateway.errors import NotFound, SigningCompleted, SigningExpired, TooManySignings
from gateway.ledger import Ledger, signing_requests
from gateway.ledger.actions import Action
from gateway.ledger.engine import writing
from gateway.ledger.records import SigningBounds, SigningRequest, SigningState, new_id
from gateway.model import AgencyCode
from tests.support import pki

AGENCY = AgencyCode("000.00.14.H37")
OTHER = AgencyCode("H37.21")
BOUNDS = SigningBounds(number=2, bytes=1000)
IN_TIME = pki.NOW + timedelta(minutes=14)
TOO_LATE = pki.NOW + timedelta(minutes=15)
KEPT = pki.NOW + timedelta(hours=1)


def a_request(**changes: Any) -> SigningRequest:
    request = SigningRequest(
        id=new_id(),
        agency=AGENCY,
        state=SigningState.PREPARED,
        certificate="ab" * 32,
        kind="pdf",
        source_sha256="cd" * 32,
        size=400,
        prepared=b"{}",
        created_at=pki.NOW,
        expires_at=TOO_LATE,
    )
    return replace(request, **changes)


def complete(ledger: Ledger, request: SigningRequest, signature: str = "01" * 32, **changes: Any) -> SigningRequest:
    given: dict[str, Any] = {"result_sha256": "ef" * 32, "result_size": 900, "stamped": False, "now": IN_TIME}
    return ledger.complete_signing(
        request.id, request.agency, signature_sha256=signature, kept_until=KEPT, **{**given, **changes}
    )


def told(ledger: Ledger) -> list[Action]:
    return [event.action for event in ledger.events() if event.action.startswith("signing.")]


def test_what_was_prepared_is_read_back_by_its_agency_alone(ledger: Ledger) -> None:
    request = a_request()
    ledger.add_signing(request, BOUNDS)
    assert ledger.signing(request.id, AGENCY) == request
    assert ledger.signing(request.id, OTHER) is None


def test_a_completed_request_says_so_and_is_kept_for_its_time(ledger: Ledger) -> None:
    request = a_request()
    ledger.add_signing(request, BOUNDS)
    done = complete(ledger, request)
    assert (done.state, done.completed_at, done.expires_at) == (SigningState.COMPLETED, IN_TIME, KEPT)
    assert ledger.signing(request.id, AGENCY) == done
    assert ledger.expire_signings(now=TOO_LATE) == []
    assert ledger.expire_signings(now=KEPT) == [request.id]
    assert ledger.signing(request.id, AGENCY) is None


def test_the_same_signature_again_changes_nothing(ledger: Ledger) -> None:
    request = a_request()
    ledger.add_signing(request, BOUNDS)
    first = complete(ledger, request)
    assert complete(ledger, request, result_sha256="00" * 32, now=IN_TIME + timedelta(minutes=5)) == first
    assert told(ledger) == [Action.SIGNING_PREPARED, Action.SIGNING_COMPLETED]


def test_another_signature_for_a_completed_request_is_refused(ledger: Ledger) -> None:
    request = a_request()
    ledger.add_signing(request, BOUNDS)
    first = complete(ledger, request)
    with pytest.raises(SigningCompleted):
        complete(ledger, request, "02" * 32)
    assert ledger.signing(request.id, AGENCY) == first


def test_of_two_signatures_at_the_same_moment_one_is_taken(ledger: Ledger) -> None:
    request = a_request()
    ledger.add_signing(request, BOUNDS)
    outcomes: list[str] = []
    start = threading.Barrier(4)

    def attempt(number: int) -> None:
        start.wait()
        try:
            outcomes.append(complete(ledger, request, f"{number:02x}" * 32).signature_sha256 or "")
        except SigningCompleted as refusal:
            outcomes.append(refusal.code)

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = ledger.signing(request.id, AGENCY)
    assert taken is not None
    assert sorted(outcomes) == sorted([str(taken.signature_sha256), *["signing.completed"] * 3])


def test_what_is_completed_in_its_last_moment_is_not_swept_by_whoever_waited_for_it(
    ledger: Ledger, engine: Engine
) -> None:
    request = a_request()
    ledger.add_signing(request, BOUNDS)
    swept: list[list[str]] = []
    began = threading.Event()
    sweep = threading.Thread(target=lambda: swept.append(ledger.expire_signings(now=TOO_LATE)))
    with writing(engine) as connection:
        given = {"signature_sha256": "01" * 32, "result_sha256": "ef" * 32, "result_size": 900, "stamped": False}
        signing_requests.complete(connection, request.id, AGENCY, **given, now=IN_TIME, kept_until=KEPT)
        listen(engine, "before_cursor_execute", lambda *_: began.set())
        sweep.start()
        began.wait(1)
        sweep.join(0.2)  # on PostgreSQL it has chosen the row by now, and waits for it
    sweep.join()
    assert swept == [[]]
    assert ledger.signing(request.id, AGENCY) is not None


def test_an_expired_request_is_not_completed(ledger: Ledger) -> None:
    request = a_request()
    ledger.add_signing(request, BOUNDS)
    with pytest.raises(SigningExpired):
        complete(ledger, request, now=TOO_LATE)


def test_another_agency_completes_and_cancels_nothing(ledger: Ledger) -> None:
    request = a_request()
    ledger.add_signing(request, BOUNDS)
    with pytest.raises(NotFound):
        complete(ledger, replace(request, agency=OTHER))
    with pytest.raises(NotFound):
        ledger.cancel_signing(request.id, OTHER, now=IN_TIME)
    assert ledger.signing(request.id, AGENCY) == request


def test_an_agency_has_no_more_files_prepared_than_it_may(ledger: Ledger) -> None:
    for _ in range(2):
        ledger.add_signing(a_request(), BOUNDS)
    with pytest.raises(TooManySignings):
        ledger.add_signing(a_request(), BOUNDS)
    with pytest.raises(TooManySignings):
        ledger.check_signing_room(AGENCY, 0, BOUNDS, now=pki.NOW)
    ledger.add_signing(a_request(agency=OTHER), BOUNDS)


def test_an_agency_has_no_more_bytes_prepared_than_it_may(ledger: Ledger) -> None:
    ledger.add_signing(a_request(size=700), BOUNDS)
    with pytest.raises(TooManySignings):
        ledger.add_signing(a_request(size=301), BOUNDS)
    ledger.add_signing(a_request(size=300), BOUNDS)


def test_what_is_signed_cancelled_or_over_leaves_room(ledger: Ledger) -> None:
    first, second = a_request(), a_request()
    for request in (first, second):
        ledger.add_signing(request, BOUNDS)
    complete(ledger, first, result_size=100)
    ledger.add_signing(a_request(), BOUNDS)
    ledger.cancel_signing(second.id, AGENCY, now=IN_TIME)
    ledger.add_signing(a_request(), BOUNDS)
    ledger.add_signing(a_request(size=100, created_at=TOO_LATE, expires_at=KEPT), BOUNDS)


def test_what_takes_room_on_the_disk_counts_until_it_is_swept(ledger: Ledger) -> None:
    first, second = a_request(), a_request(size=100)
    for request in (first, second):
        ledger.add_signing(request, BOUNDS)
    complete(ledger, first)
    later = a_request(size=1, created_at=TOO_LATE, expires_at=KEPT)
    with pytest.raises(TooManySignings):
        ledger.add_signing(later, BOUNDS)
    ledger.expire_signings(now=TOO_LATE)
    ledger.add_signing(later, BOUNDS)


def test_of_two_at_the_same_moment_one_takes_the_last_place(ledger: Ledger) -> None:
    ledger.add_signing(a_request(), BOUNDS)
    outcomes: list[str] = []
    start = threading.Barrier(4)

    def attempt() -> None:
        start.wait()
        try:
            ledger.add_signing(a_request(size=1), BOUNDS)
            outcomes.append("kept")
        except TooManySignings as refusal:
            outcomes.append(refusal.code)

    threads = [threading.Thread(target=attempt) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["kept", *["signing.too_many"] * 3]


def test_the_log_tells_what_was_never_signed_and_names_nobody(ledger: Ledger) -> None:
    signed, unsigned = a_request(), a_request()
    for request in (signed, unsigned):
        ledger.add_signing(request, BOUNDS)
    complete(ledger, signed)
    ledger.note_signing_mismatch(unsigned, now=IN_TIME)
    assert sorted(ledger.expire_signings(now=KEPT)) == sorted([signed.id, unsigned.id])
    assert told(ledger) == [
        Action.SIGNING_PREPARED,
        Action.SIGNING_PREPARED,
        Action.SIGNING_COMPLETED,
        Action.SIGNING_MISMATCH,
        Action.SIGNING_EXPIRED,
    ]


def test_ids_without_a_request_are_told_apart(ledger: Ledger) -> None:
    request = a_request()
    ledger.add_signing(request, BOUNDS)
    assert ledger.known_signings([request.id, new_id()]) == {request.id}
