"""Claim, send, settle: the real ledger on both engines, and real receivers on the loopback."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks.webhooks import Webhook

from gateway.delivery.http import HttpClient, HttpSettings
from gateway.delivery.worker import Pace
from gateway.ledger import Ledger
from gateway.ledger.records import Claim, Reply
from gateway.model import AgencyCode, DeliveryState, Lane
from tests.support.deliveries import CIRCUITS, KEY, NOON, PATIENT, QUICK, SECRET, SendingSite
from tests.support.peer import DROPS_THE_ANSWER, PORTAL, Receiver, Request, a_receiver, effects_of, fails
from tests.support.peer import Reply as Says

MINUTE = timedelta(minutes=1)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.005)


def outcomes(site: SendingSite, document: str) -> list[tuple[str, str | None]]:
    return [(a.outcome, a.code) for a in site.ledger.attempts(site.delivery(document).id)]


# One delivery


@pytest.mark.parametrize("stored", [False, True])
def test_a_push_arrives_byte_for_byte_and_is_settled(site: SendingSite, receiver: Receiver, stored: bool) -> None:
    site.push_to("000.00.15.H37", receiver.url)
    body = "<edXML>Công văn</edXML>".encode() * 5000
    document = site.accept("000.00.15.H37", body=body, stored=stored)
    now = datetime.now(UTC)
    assert site.worker(clock=lambda: now).run_once(now) == 1
    row = site.delivery(document)
    assert row.state is DeliveryState.DELIVERED
    (request,) = receiver.requests
    assert request.body == body
    assert request.headers["webhook-id"] == row.id
    Webhook(SECRET).verify(request.body, request.headers, json_parse=False)
    assert outcomes(site, document) == [("delivered", None)]
    assert site.worker().run_once(now + MINUTE) == 0, "and never again"


def test_a_peers_receipt_is_kept_with_the_attempt(site: SendingSite, receiver: Receiver) -> None:
    site.peer_at("000.00.00.G22", receiver.url)
    document = site.accept("000.00.00.G22")
    site.worker().run_once(NOON)
    row = site.delivery(document)
    assert row.state is DeliveryState.FORWARDED
    (attempt,) = site.ledger.attempts(row.id)
    assert attempt.receipt is not None
    facts = site.ledger.document(document)
    assert facts is not None
    assert json.loads(attempt.receipt)["sha256"] == facts.sha256
    assert receiver.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_one_document_for_many_recipients_beyond_a_peer_is_posted_once(site: SendingSite, receiver: Receiver) -> None:
    site.peer_at("000.00.00.G22", receiver.url)
    recipients = [f"000.00.{n:02}.H38" for n in range(1, 21)]
    document = site.accept("000.00.00.G22", *recipients)
    assert site.worker().run_once(NOON) == 20
    (request,) = receiver.requests
    assert sorted(request.headers["gateway-recipients"].split(",")) == recipients
    assert {row.state for row in site.ledger.deliveries(document)} == {DeliveryState.FORWARDED}
    assert set(receiver.effects.values()) == {1}


def test_one_recipient_unknown_to_the_peer_does_not_refuse_the_others(site: SendingSite, receiver: Receiver) -> None:
    site.peer_at("000.00.00.G22", receiver.url)
    receiver.rule = lambda r: (
        fails(422, code="recipient.unknown") if "000.00.99.H38" in r.headers["gateway-recipients"] else None
    )
    document = site.accept("000.00.00.G22", "000.00.01.H38", "000.00.99.H38", "000.00.02.H38")
    site.worker().run_once(NOON)
    states = {row.recipient: row.state for row in site.ledger.deliveries(document)}
    assert states == {
        "000.00.01.H38": DeliveryState.FORWARDED,
        "000.00.99.H38": DeliveryState.REFUSED,
        "000.00.02.H38": DeliveryState.FORWARDED,
    }


def test_a_refusal_ends_it_with_the_peers_code(site: SendingSite, receiver: Receiver) -> None:
    site.peer_at("000.00.00.G22", receiver.url)
    receiver.default = fails(409, code="document.conflict")
    document = site.accept("000.00.00.G22")
    site.worker().run_once(NOON)
    row = site.delivery(document)
    assert (row.state, row.error_code) == (DeliveryState.REFUSED, "delivery.peer_refused")
    assert site.ledger.attempts(row.id)[0].detail == "HTTP 409 document.conflict"


def test_the_arrival_is_reported_in_the_settling_transaction(site: SendingSite, receiver: Receiver) -> None:
    site.push_to("000.00.15.H37", receiver.url)
    document = site.accept("000.00.15.H37")
    asked: list[Claim] = []

    def nothing_to_report(claim: Claim, now: datetime) -> Reply | None:
        asked.append(claim)
        return None

    site.worker(arrival_report=nothing_to_report).run_once(NOON)
    assert [claim.document_id for claim in asked] == [document]
    assert site.delivery(document).state is DeliveryState.DELIVERED


# Failures


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (PORTAL, "delivery.peer_answer_unusable"),
        (fails(503), "delivery.peer_failed"),
        (fails(401), "delivery.endpoint_misconfigured"),
        (Says(302, (("Location", "http://127.0.0.1:1/"),), stores=False), "delivery.endpoint_misconfigured"),
        (DROPS_THE_ANSWER, "delivery.peer_unreachable"),
    ],
)
def test_a_failed_try_is_recorded_and_made_again(site: SendingSite, receiver: Receiver, reply: Says, code: str) -> None:
    site.peer_at("000.00.00.G22", receiver.url)
    receiver.script.append(reply)
    document = site.accept("000.00.00.G22")
    worker = site.worker()
    worker.run_once(NOON)
    row = site.delivery(document)
    assert (row.state, row.error_code, row.due_at) == (DeliveryState.WAITING, code, NOON + MINUTE)
    assert worker.run_once(NOON + timedelta(seconds=59)) == 0
    assert worker.run_once(NOON + MINUTE) == 1
    assert outcomes(site, document) == [("failed", code), ("forwarded", None)]
    assert set(receiver.effects.values()) == {1}


def test_retry_after_moves_the_next_try(site: SendingSite, receiver: Receiver) -> None:
    site.push_to("000.00.15.H37", receiver.url)
    receiver.default = fails(429, retry_after="600")
    document = site.accept("000.00.15.H37")
    site.worker().run_once(NOON)
    assert site.delivery(document).due_at == NOON + timedelta(minutes=10)


def test_two_hundred_dropped_answers_are_two_hundred_effects(site: SendingSite, receiver: Receiver) -> None:
    site.push_to("000.00.15.H37", receiver.url)
    site.peer_at("000.00.00.G22", receiver.url)
    documents = [site.accept("000.00.15.H37") for _ in range(100)] + [site.accept("000.00.00.G22") for _ in range(100)]
    seen: Counter[str] = Counter()

    def drops_the_first_answer(request: Request) -> Says | None:
        name = request.headers.get("webhook-id") or request.headers["content-digest"]
        seen[name] += 1
        return DROPS_THE_ANSWER if seen[name] == 1 else None

    receiver.rule = drops_the_first_answer
    worker = site.worker(circuits=PATIENT, pace=replace(QUICK, batch=100))
    assert worker.run_once(NOON) == 200
    assert {site.delivery(d).state for d in documents} == {DeliveryState.WAITING}
    assert worker.run_once(NOON + MINUTE) == 200
    assert {site.delivery(d).state for d in documents} == {DeliveryState.DELIVERED, DeliveryState.FORWARDED}
    assert len(receiver.effects) == 200
    assert set(receiver.effects.values()) == {1}
    assert set(receiver.repeats.values()) == {1}
    assert len(receiver.requests) == 400


def test_an_endpoint_that_has_moved_is_used_at_its_new_place(site: SendingSite, receiver: Receiver) -> None:
    site.push_to("000.00.15.H37", "http://127.0.0.1:1")
    document = site.accept("000.00.15.H37")
    worker = site.worker()
    worker.run_once(NOON)
    site.push_to("000.00.15.H37", receiver.url)
    worker.run_once(NOON + MINUTE)
    assert outcomes(site, document) == [("failed", "delivery.peer_unreachable"), ("delivered", None)]


def test_an_endpoint_that_has_become_a_peer_is_spoken_to_as_one(site: SendingSite, receiver: Receiver) -> None:
    site.push_to("000.00.15.H37", receiver.url)
    document = site.accept("000.00.15.H37")
    site.peer_at("000.00.15.H37", receiver.url)
    site.worker().run_once(NOON)
    assert site.delivery(document).state is DeliveryState.FORWARDED
    assert receiver.requests[0].path == "/api/v1/documents"


@pytest.mark.parametrize("lacks", ["agency", "endpoint", "secret", "secret's form"])
def test_what_an_operator_must_provide_is_waited_for(site: SendingSite, receiver: Receiver, lacks: str) -> None:
    site.push_to("000.00.15.H37", receiver.url)
    document = site.accept("000.00.15.H37")
    endpoint, worker = site.endpoints["000.00.15.H37"], site.worker()
    match lacks:
        case "agency":
            del site.endpoints["000.00.15.H37"]
        case "endpoint":
            site.endpoints["000.00.15.H37"] = None
        case "secret":
            del site.secrets["push"]
        case _:
            site.secrets["push"] = "not a secret"
    worker.run_once(NOON)
    site.endpoints["000.00.15.H37"], site.secrets["push"] = endpoint, SECRET
    worker.run_once(NOON + MINUTE)
    assert outcomes(site, document) == [("failed", "delivery.endpoint_misconfigured"), ("delivered", None)]


def test_abandoned_means_visible_and_replayable(site: SendingSite, receiver: Receiver) -> None:
    site.push_to("000.00.15.H37", receiver.url)
    receiver.default = fails(500)
    document = site.accept("000.00.15.H37")
    worker, late = site.worker(), NOON + timedelta(days=3)
    worker.run_once(late)
    row = site.delivery(document)
    assert (row.state, row.error_code) == (DeliveryState.ABANDONED, "delivery.peer_failed")
    assert worker.run_once(late + timedelta(days=1)) == 0

    site.ledger.replay([row.id], reason="receiver repaired", actor="operator", now=late)
    worker.run_once(late)
    assert site.delivery(document).state is DeliveryState.WAITING, "patience begins anew"
    receiver.default = Says()
    worker.run_once(late + MINUTE)
    assert site.delivery(document).state is DeliveryState.DELIVERED
    assert {r.headers["webhook-id"] for r in receiver.requests} == {row.id}


# Several at once


def test_the_most_urgent_goes_first(site: SendingSite, receiver: Receiver) -> None:
    site.push_to("000.00.15.H37", receiver.url)
    lanes = [Lane.NORMAL, Lane.FLASH, Lane.URGENT, Lane.FLASH_TIMED, Lane.VERY_URGENT, Lane.NORMAL]
    by_delivery = {site.delivery(site.accept("000.00.15.H37", lane=lane)).id: lane for lane in lanes}
    site.worker(pace=Pace(threads=1)).run_once(NOON)
    assert [by_delivery[r.headers["webhook-id"]] for r in receiver.requests] == sorted(lanes, reverse=True)


def test_while_the_peer_is_down_documents_wait_and_go_in_order_of_urgency_when_it_returns(
    site: SendingSite, receiver: Receiver
) -> None:
    site.peer_at("000.00.00.G22", receiver.url)
    receiver.default = fails(503)
    now = NOON
    worker = site.worker(pace=Pace(threads=1))
    lanes = {site.accept("000.00.00.G22", lane=lane): lane for lane in (Lane.NORMAL,) * 5}
    for _ in range(20):
        worker.run_once(now)
        now += timedelta(minutes=1)
    tries = len(receiver.requests)
    assert tries <= 12, "its circuit was open most of the time"
    lanes |= {site.accept("000.00.00.G22", lane=lane, at=now): lane for lane in (Lane.NORMAL, Lane.FLASH, Lane.URGENT)}
    receiver.default = Says()
    now += CIRCUITS.longest_pause
    while worker.run_once(now):
        pass
    assert {site.delivery(d).state for d in lanes} == {DeliveryState.FORWARDED}
    by_digest = {row.sha256: lane for d, lane in lanes.items() if (row := site.ledger.document(d))}
    order = [by_digest[e.partition(":")[0]] for r in receiver.requests[tries:] for e in effects_of(r)]
    assert order == sorted(lanes.values(), reverse=True)
    assert site.ledger.endpoint(AgencyCode("000.00.00.G22")).open_until is None


def test_an_endpoint_that_hangs_delays_nobody_else(site: SendingSite, receiver: Receiver) -> None:
    release = threading.Event()
    with a_receiver(Says(until=release)) as hanging:
        site.push_to("000.00.66.H37", hanging.url)
        site.push_to("000.00.15.H37", receiver.url)
        stuck = [site.accept("000.00.66.H37", lane=Lane.FLASH) for _ in range(20)]
        others = [site.accept("000.00.15.H37") for _ in range(40)]
        worker, stop = site.worker(), threading.Event()
        thread = threading.Thread(target=worker.run, args=(stop,))
        thread.start()
        try:
            until(lambda: len(receiver.effects) == len(others))
            assert hanging.most_in_flight <= QUICK.per_endpoint
            # While the others went through, nothing of this endpoint had.
            assert DeliveryState.DELIVERED not in {site.delivery(d).state for d in stuck}
        finally:
            stop.set()
            worker.wake()
            release.set()
            thread.join(30)
    assert not thread.is_alive()
    assert {site.delivery(d).state for d in others} == {DeliveryState.DELIVERED}


def test_a_circuit_is_shared_by_all_workers_and_probed_by_one(site: SendingSite, receiver: Receiver) -> None:
    site.push_to("000.00.15.H37", receiver.url)
    receiver.default = fails(500)
    for _ in range(10):
        site.accept("000.00.15.H37")
    one = site.worker("w-1", pace=Pace(threads=1, batch=3))
    two = site.worker("w-2", pace=Pace(threads=1, batch=3))
    assert one.run_once(NOON) == 3
    assert two.run_once(NOON + timedelta(seconds=29)) == 0
    later = NOON + timedelta(seconds=30)
    assert [two.run_once(later), one.run_once(later)] == [1, 0]
    state = site.ledger.endpoint(AgencyCode("000.00.15.H37"))
    assert (state.failures, state.open_until) == (4, later + timedelta(seconds=60))
    receiver.default = Says()
    later += timedelta(seconds=60)
    assert [one.run_once(later) for _ in range(4)] == [1, 3, 3, 3]


def test_a_sender_that_a_peer_does_not_take_from_us_holds_up_nobody_else(site: SendingSite, receiver: Receiver) -> None:
    """One document that its sender's registration stops, the most urgent of all, and twenty that are well."""
    site.peer_at("000.00.00.G22", receiver.url)
    stuck = site.accept("000.00.00.G22", body=b"<stuck/>", lane=Lane.FLASH)
    not_told = fails(403, code="sender.not_allowed")
    receiver.rule = lambda request: not_told if request.body == b"<stuck/>" else None
    worker = site.worker(pace=Pace(threads=1))
    now = NOON
    for _ in range(8):
        assert worker.run_once(now) == 1
        now = site.delivery(stuck).due_at
    well = [site.accept("000.00.00.G22", at=now) for _ in range(20)]
    worker.run_once(now)
    assert {site.delivery(d).state for d in well} == {DeliveryState.FORWARDED}
    assert site.ledger.endpoint(AgencyCode("000.00.00.G22")).failures == 0
    assert site.delivery(stuck).state is DeliveryState.WAITING, "tried again by its own policy"
    receiver.rule = None
    assert worker.run_once(site.delivery(stuck).due_at) == 1
    assert site.delivery(stuck).state is DeliveryState.FORWARDED


def test_the_answer_about_one_document_closes_a_circuit_that_was_open(site: SendingSite, receiver: Receiver) -> None:
    site.peer_at("000.00.00.G22", receiver.url)
    receiver.default = fails(503)
    for lane in (Lane.FLASH, Lane.NORMAL, Lane.NORMAL):
        site.accept("000.00.00.G22", lane=lane)
    worker = site.worker(pace=Pace(threads=1))
    worker.run_once(NOON)
    opened = site.ledger.endpoint(AgencyCode("000.00.00.G22")).open_until
    assert opened is not None
    receiver.default = fails(403, code="sender.not_allowed")
    assert worker.run_once(opened) == 1
    assert site.ledger.endpoint(AgencyCode("000.00.00.G22")).open_until is None, "somebody is there, and speaks"


@pytest.mark.parametrize(
    "reply",
    [
        fails(401, code="request.not_authenticated"),
        fails(403, code="request.not_permitted"),
        fails(401),
        fails(403),
        fails(404),
    ],
)
def test_credentials_that_are_wrong_for_everything_open_the_circuit(
    site: SendingSite, receiver: Receiver, reply: Says
) -> None:
    site.peer_at("000.00.00.G22", receiver.url)
    receiver.default = reply
    for _ in range(5):
        site.accept("000.00.00.G22")
    site.worker(pace=Pace(threads=1)).run_once(NOON)
    assert site.ledger.endpoint(AgencyCode("000.00.00.G22")).open_until is not None


def test_a_document_that_always_fails_does_not_keep_the_others_waiting(site: SendingSite, receiver: Receiver) -> None:
    """Whatever is wrong with it: its turn as the probe comes once, and then it is another's."""
    site.push_to("000.00.15.H37", receiver.url)
    receiver.rule = lambda request: fails(500) if request.body == b"<poison/>" else None
    poison = site.accept("000.00.15.H37", body=b"<poison/>", lane=Lane.FLASH)
    worker = site.worker(pace=Pace(threads=1), circuits=replace(CIRCUITS, opens_after=1))
    worker.run_once(NOON)
    well = [site.accept("000.00.15.H37", at=NOON + timedelta(seconds=s)) for s in (20, 70, 80)]
    assert worker.run_once(NOON + timedelta(seconds=30)) == 1
    assert worker.run_once(NOON + timedelta(seconds=90)) == 1
    while worker.run_once(NOON + timedelta(seconds=90)):
        pass
    assert {site.delivery(d).state for d in well} == {DeliveryState.DELIVERED}
    assert site.delivery(poison).state is DeliveryState.WAITING


def test_a_lost_lease_changes_nothing_and_doubles_nothing(site: SendingSite, receiver: Receiver) -> None:
    """The first worker is slow beyond its lease; the second sends again; the receiver has it once."""
    release = threading.Event()
    site.push_to("000.00.15.H37", receiver.url)
    receiver.script.append(Says(until=release))
    document = site.accept("000.00.15.H37")
    slow = threading.Thread(target=site.worker("slow", pace=replace(QUICK, lease=MINUTE)).run_once, args=(NOON,))
    slow.start()
    until(lambda: len(receiver.requests) == 1)
    site.worker("second").run_once(NOON + MINUTE)
    release.set()
    slow.join(30)
    row = site.delivery(document)
    assert row.state is DeliveryState.DELIVERED
    assert [(a.worker, a.outcome) for a in site.ledger.attempts(row.id)] == [("slow", "lost"), ("second", "delivered")]
    assert dict(receiver.effects) == {row.id: 1}


def test_two_workers_on_one_ledger_send_each_document_once(site: SendingSite, receiver: Receiver) -> None:
    site.push_to("000.00.15.H37", receiver.url)
    site.peer_at("000.00.00.G22", receiver.url)
    documents = [site.accept(via) for via in ("000.00.15.H37", "000.00.00.G22") for _ in range(30)]
    stop = threading.Event()
    workers = [site.worker(f"w-{n}", pace=replace(QUICK, batch=4)) for n in range(2)]
    threads = [threading.Thread(target=w.run, args=(stop,)) for w in workers]
    for thread in threads:
        thread.start()
    try:
        until(lambda: all(not site.delivery(d).state.is_open for d in documents))
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert len(receiver.requests) == 60
    assert set(receiver.effects.values()) == {1}


def test_told_to_stop_it_leaves_nothing_leased(ledger: Ledger, receiver: Receiver) -> None:
    patient = HttpClient(HttpSettings(read_timeout=timedelta(seconds=60)))
    site = SendingSite(ledger, patient)
    release = threading.Event()
    site.push_to("000.00.15.H37", receiver.url)
    receiver.default = Says(until=release)
    documents = [site.accept("000.00.15.H37") for _ in range(10)]
    worker, stop = site.worker(), threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    until(lambda: receiver.in_flight == 2)
    stop.set()
    worker.wake()
    until(lambda: sum(site.delivery(d).state is DeliveryState.WAITING for d in documents) == 8)
    release.set()
    thread.join(30)
    states = Counter(site.delivery(d).state for d in documents)
    patient.close()
    assert states == {DeliveryState.DELIVERED: 2, DeliveryState.WAITING: 8}
    assert all(site.delivery(d).attempts == 0 for d in documents if site.delivery(d).state is DeliveryState.WAITING)
