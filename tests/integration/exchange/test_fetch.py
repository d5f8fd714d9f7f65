"""Fetching from axes that speak VXP and LGSP, against a real server that fails as real ones do (domain §2, §5)."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from typing_extensions import override

from gateway.delivery.http import HttpClient, HttpSettings
from gateway.delivery.lgsp import Tokens
from gateway.edxml import kit_reference
from gateway.edxml.reserialise import reserialise
from gateway.errors import GatewayError, LedgerUnavailable
from gateway.exchange.fetch import TRIES, FetchPace, Polled, Poller
from gateway.ledger import Ledger
from gateway.ledger.actions import Action
from gateway.ledger.records import EventRow, Fetched, FetchState, Filter
from gateway.model import (
    AgencyCode,
    Business,
    BusinessType,
    Channel,
    DeliveryState,
    DocumentId,
    Endpoint,
    Hop,
    PackageKind,
    ReceiverChange,
    ResponseFor,
    Standing,
    StatusCode,
)
from gateway.model import DocumentChange as Change
from gateway.signing.sign import sign_package
from tests.support import axis as axes
from tests.support import pki
from tests.support.axis import FakeAxis, an_axis, says
from tests.support.documents import PDF, SENT_AT, a_package, a_status_package, an_organization
from tests.support.exchange import ABOVE, COMMUNE, DEPARTMENT, OTHER_PROVINCE, PUSHED, Site

THEIR_ID = DocumentId("000.00.00.H38,2026/03/04,15/UBND-VP")
EVERY = timedelta(minutes=1)


@pytest.fixture
def axis() -> Iterator[FakeAxis]:
    with an_axis() as running:
        yield running


class Fetching:
    """A gateway that asks one axis, and the operator's view of it."""

    def __init__(self, site: Site, axis: FakeAxis, http: HttpClient) -> None:
        self.site, self.axis = site, axis
        self.secrets = {"axis": axes.SECRET}
        self.tokens = Tokens()
        self._http = http
        self.reach(Channel.VXP)

    def reach(self, channel: Channel) -> None:
        """By which protocol the axis is asked."""
        endpoint = Endpoint(channel=channel, url=self.axis.url, credential="axis", system=axes.SYSTEM)
        self.site.change(ABOVE, endpoint=endpoint)
        self.secrets["axis"] = axes.SECRET if channel is Channel.VXP else axes.LGSP_SECRET

    def poller(self, ledger: Ledger | None = None, **pace: Any) -> Poller:
        parts = replace(self.site.parts, ledger=ledger) if ledger else self.site.parts
        return Poller(
            parts,
            http=self._http,
            secret=self.secrets.get,
            tokens=self.tokens,
            pace=FetchPace(every=EVERY, **pace),
        )

    def poll(self, *, after: timedelta = EVERY, ledger: Ledger | None = None, **pace: Any) -> Polled:
        """Ask the axis once, some time later."""
        self.site.clock.now += after
        return self.poller(ledger, **pace).poll(self.site.known[ABOVE])

    def events(self, *actions: Action) -> list[EventRow]:
        return [event for event in self.site.ledger.events() if event.action in actions]

    def known(self, doc_id: str) -> Fetched:
        return self.site.ledger.fetched(ABOVE, [doc_id])[doc_id]

    def arrived(self) -> list[tuple[str, str]]:
        """Recipient and DocumentId of every document accepted from the axis, oldest first."""
        rows = self.site.ledger.search(Filter(kind=PackageKind.DOCUMENT)).rows
        found = [(str(row.delivery.recipient), str(row.document.document_id)) for row in rows]
        return list(reversed(found))


@pytest.fixture
def fetching(site: Site, axis: FakeAxis) -> Iterator[Fetching]:
    http = HttpClient(HttpSettings(connect_timeout=timedelta(seconds=2), read_timeout=timedelta(seconds=3)))
    yield Fetching(site, axis, http)
    http.close()


def theirs(*recipients: str, **changes: Any) -> bytes:
    """A letter from Lào Cai, which is beyond the axis, to agencies of Lạng Sơn."""
    letter = {
        "sender": an_organization(OTHER_PROVINCE),
        "recipients": tuple(an_organization(code) for code in recipients or (COMMUNE,)),
        "document_id": THEIR_ID,
    }
    return a_package(**{**letter, **changes})


def rewritten(*recipients: str, **changes: Any) -> bytes:
    """The same letter as an axis writes it anew: another hop, no signature, and the attachment in a ZIP."""
    hops = (Hop(code=OTHER_PROVINCE, at=SENT_AT), Hop(code=ABOVE, at=SENT_AT + timedelta(seconds=9)))
    zipped = replace(kit_reference("main", "07-SA-VP.pdf"), content_type="application/zip")
    return theirs(*recipients, **{"trace": hops, "references": (zipped,), **changes})


class Failing(Ledger):
    """A ledger that fails once, at one step."""

    def __init__(self, ledger: Ledger, step: str, error: Exception | None = None) -> None:
        super().__init__(ledger.engine)
        self._step: str | None = step
        self._error = error or LedgerUnavailable()

    def _fail_at(self, step: str) -> None:
        if self._step == step:
            self._step = None
            raise self._error

    @override
    def accept(self, *args: Any, **kwargs: Any) -> Any:
        self._fail_at("accept")
        return super().accept(*args, **kwargs)

    @override
    def note_fetched(self, *args: Any, **kwargs: Any) -> None:
        self._fail_at("note_fetched")
        super().note_fetched(*args, **kwargs)


# The good way


def test_what_the_axis_has_is_accepted_and_then_acknowledged(fetching: Fetching, axis: FakeAxis) -> None:
    axis.put("a1", theirs())
    polled = fetching.poll()
    assert (polled.taken, polled.error) == (1, None)
    assert fetching.arrived() == [(COMMUNE, THEIR_ID)]
    assert axis.statuses() == {"a1": "done"}
    assert axis.names() == ["getReceivedEdocList", "getEdoc", "updateStatus", "getReceivedEdocList"]


def test_the_axis_own_id_stands_in_the_trace(fetching: Fetching, axis: FakeAxis) -> None:
    axis.put("a1", theirs())
    fetching.poll()
    (event,) = fetching.events(Action.AXIS_FETCHED)
    assert event.document == fetching.known("a1").document
    assert event.data["doc_id"] == "a1"


def test_documents_are_fetched_before_the_statuses_on_them(fetching: Fetching, axis: FakeAxis) -> None:
    sent = fetching.site.accept(a_package()).document_id
    axis.put("s1", a_status_package(StatusCode.REGISTERED), kind="status")
    axis.put("a1", theirs())
    fetching.poll()
    assert [call.logical("docId") for call in axis.named("getEdoc")] == ["a1", "s1"]
    (copy,) = (d for d in fetching.site.ledger.deliveries(sent) if d.recipient == OTHER_PROVINCE)
    assert copy.status is StatusCode.REGISTERED


def test_recipients_behind_the_axis_are_its_own_to_deliver(fetching: Fetching, axis: FakeAxis) -> None:
    axis.put("a1", theirs(COMMUNE, OTHER_PROVINCE, "000.00.00.H41"))
    fetching.poll()
    assert fetching.arrived() == [(COMMUNE, THEIR_ID)]


def test_a_recipient_that_cannot_be_reached_does_not_take_the_document_from_the_others(
    fetching: Fetching, axis: FakeAxis
) -> None:
    axis.put("a1", theirs(COMMUNE, "H37.99"))
    fetching.poll()
    assert fetching.arrived() == [(COMMUNE, THEIR_ID)]
    assert axis.statuses() == {"a1": "done"}
    (refusal,) = fetching.site.ledger.refusals()
    assert refusal.code == "recipient.unknown"


def test_one_docid_for_each_recipient_adds_up_to_one_document(fetching: Fetching, axis: FakeAxis) -> None:
    axis.put("a1", theirs(COMMUNE, DEPARTMENT))
    axis.put("a2", theirs(COMMUNE, DEPARTMENT))
    fetching.poll()
    assert fetching.arrived() == [(COMMUNE, THEIR_ID), (DEPARTMENT, THEIR_ID)]
    assert axis.statuses() == {"a1": "done", "a2": "done"}


@pytest.mark.parametrize("escapes", [False, True], ids=["plain", "escaped as Gson does"])
def test_a_large_package_comes_through_the_spool(fetching: Fetching, axis: FakeAxis, escapes: bool) -> None:
    axis.escapes = escapes
    package = theirs(contents={"main": b"%PDF-1.4\n" + bytes(range(256)) * 12_000})
    axis.put("a1", package)
    fetching.poll()
    document = fetching.known("a1").document
    assert document is not None
    row = fetching.site.ledger.document(document)
    assert row is not None
    assert row.size == len(package)


def test_nobody_asks_an_axis_twice_at_the_same_time_or_too_early(fetching: Fetching) -> None:
    assert fetching.poll().asked
    assert not fetching.poll(after=timedelta(seconds=30)).asked
    assert fetching.poll(after=timedelta(seconds=30)).asked
    fetching.site.clock.now += EVERY
    assert fetching.site.ledger.take_inbox(ABOVE, now=fetching.site.clock(), lease=timedelta(minutes=30))
    assert not fetching.poll().asked


# Nothing lost, nothing doubled


def test_nothing_is_acknowledged_before_it_is_durable(fetching: Fetching, axis: FakeAxis) -> None:
    axis.put("a1", theirs())
    failed = fetching.poll(ledger=Failing(fetching.site.ledger, "accept"))
    assert isinstance(failed.error, LedgerUnavailable)
    assert axis.statuses() == {"a1": "initial"}
    fetching.poll()
    assert axis.statuses() == {"a1": "done"}
    assert fetching.arrived() == [(COMMUNE, THEIR_ID)]


def test_a_crash_between_commit_and_acknowledgement_doubles_nothing(fetching: Fetching, axis: FakeAxis) -> None:
    axis.put("a1", theirs())
    fetching.poll(ledger=Failing(fetching.site.ledger, "note_fetched"))
    assert axis.statuses() == {"a1": "initial"}
    fetching.poll()
    assert fetching.arrived() == [(COMMUNE, THEIR_ID)]
    assert axis.statuses() == {"a1": "done"}


@pytest.mark.parametrize(
    "fault", [axes.ANSWER_LOST, axes.DROPPED, axes.PROXY_PAGE, axes.EMPTY, says("20")], ids=lambda f: repr(f.body)
)
def test_after_a_lost_acknowledgement_only_the_acknowledgement_is_repeated(
    fetching: Fetching, axis: FakeAxis, fault: axes.Fault
) -> None:
    axis.put("a1", theirs())
    axis.faults["updateStatus"].append(fault)
    fetching.poll()
    assert fetching.known("a1").acked_at is None
    fetching.poll()
    assert axis.count("getEdoc") == 1
    assert axis.count("updateStatus") == 2
    assert axis.statuses() == {"a1": "done"}
    assert fetching.known("a1").acked_at is not None
    assert fetching.arrived() == [(COMMUNE, THEIR_ID)]


def test_documents_keep_coming_while_the_axis_cannot_be_told(fetching: Fetching, axis: FakeAxis) -> None:
    axis.rule = lambda call: axes.PROXY_PAGE if call.name == "updateStatus" else None
    axis.put("a1", theirs())
    axis.put("a2", theirs(document_id=DocumentId("second")))
    polled = fetching.poll()
    assert (polled.taken, polled.error and polled.error.code) == (2, "axis.down")
    axis.rule = None
    fetching.poll()
    fetching.poll()
    assert set(axis.statuses().values()) == {"done"}
    assert axis.count("getEdoc") == 2


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"business": Business(type=BusinessType.REVOKE, document_id=THEIR_ID, reason="Ban hành nhầm")},
    ],
    ids=["new", "recall"],
)
def test_the_same_document_under_two_docids_and_in_other_bytes_is_delivered_once(
    fetching: Fetching, axis: FakeAxis, facts: dict[str, Any]
) -> None:
    axis.put("a1", theirs(**facts))
    axis.put("a2", rewritten(**facts))
    assert axis.inbox["a1"].content != axis.inbox["a2"].content
    fetching.poll()
    assert fetching.arrived() == [(COMMUNE, THEIR_ID)]
    assert axis.statuses() == {"a1": "done", "a2": "done"}
    assert fetching.site.ledger.refusals() == []


def test_another_copy_in_other_bytes_still_reaches_the_recipients_that_are_missing(
    fetching: Fetching, axis: FakeAxis
) -> None:
    axis.put("a1", theirs(COMMUNE))
    axis.put("a2", rewritten(COMMUNE, DEPARTMENT))
    fetching.poll()
    assert fetching.arrived() == [(COMMUNE, THEIR_ID), (DEPARTMENT, THEIR_ID)]


def test_two_updates_that_say_different_things_are_two(fetching: Fetching, axis: FakeAxis) -> None:
    def update(added: str) -> Business:
        change = Change(receivers=True, receiver_changes=(ReceiverChange(code=AgencyCode(added), added=True),))
        return Business(type=BusinessType.UPDATE, document_id=THEIR_ID, reason="Thêm nơi nhận", changes=(change,))

    axis.put("a1", theirs(business=update("H37.21")))
    axis.put("a2", theirs(business=update("H37.22")))
    fetching.poll()
    assert len(fetching.arrived()) == 2


def test_a_recall_asked_again_in_the_same_words_is_another(fetching: Fetching, axis: FakeAxis) -> None:
    """It was declined, and is asked again: only the time at which it set out differs."""
    again = Hop(code=OTHER_PROVINCE, at=SENT_AT + timedelta(days=1))
    recall = Business(type=BusinessType.REVOKE, document_id=THEIR_ID, reason="Ban hành nhầm")
    axis.put("a1", theirs(business=recall))
    axis.put("a2", theirs(business=recall, trace=(again,)))
    fetching.poll()
    assert len(fetching.arrived()) == 2


def test_an_echo_of_our_own_document_is_known_again(fetching: Fetching, axis: FakeAxis) -> None:
    own = {"sender": an_organization(DEPARTMENT), "document_id": DocumentId("000.00.14.H37,2026/03/05,07/SA-VP")}
    fetching.site.accept(theirs(OTHER_PROVINCE, COMMUNE, **own))
    before = fetching.arrived()
    axis.put("a1", rewritten(OTHER_PROVINCE, COMMUNE, **own))
    axis.put("a2", theirs(OTHER_PROVINCE, COMMUNE, **own))
    fetching.poll()
    assert axis.statuses() == {"a1": "done", "a2": "done"}
    assert fetching.arrived() == before
    assert fetching.site.ledger.refusals() == []


@pytest.mark.parametrize(
    "other",
    [{"subject": "V/v khác hẳn"}, {"contents": {"main": b"%PDF-1.4 other"}}],
    ids=lambda other: next(iter(other)),
)
def test_another_document_under_a_known_identity_is_a_conflict_and_not_a_repetition(
    fetching: Fetching, axis: FakeAxis, other: dict[str, Any]
) -> None:
    axis.put("a1", theirs())
    axis.put("a2", theirs(**other))
    fetching.poll()
    assert axis.statuses() == {"a1": "done", "a2": "fail"}
    (refusal,) = fetching.site.ledger.refusals()
    assert refusal.code == "document.conflict"


def test_a_stranger_cannot_send_in_the_name_of_one_of_ours_through_the_axis(fetching: Fetching, axis: FakeAxis) -> None:
    axis.put("a1", theirs(COMMUNE, sender=an_organization(DEPARTMENT)))
    fetching.poll()
    assert fetching.arrived() == []
    assert fetching.known("a1").error_code == "sender.not_allowed"


def test_a_status_that_comes_twice_in_other_bytes_is_recorded_once(fetching: Fetching, axis: FakeAxis) -> None:
    fetching.site.accept(a_package())
    status = a_status_package(StatusCode.REGISTERED)
    axis.put("s1", status, kind="status")
    axis.put("s2", status.replace(b"\n", b"\n "), kind="status")
    fetching.poll()
    assert axis.statuses() == {"s1": "done", "s2": "done"}
    assert fetching.known("s1").document == fetching.known("s2").document


def test_a_status_before_its_document_waits_for_it(fetching: Fetching, axis: FakeAxis) -> None:
    status = a_status_package(
        StatusCode.REGISTERED,
        responses=(ResponseFor(code=DEPARTMENT, document_id=DocumentId("000.00.14.H37,2026/03/05,07/SA-VP")),),
    )
    axis.put("s1", status, kind="status")
    fetching.poll()
    sent = fetching.site.accept(a_package()).document_id
    (copy,) = (d for d in fetching.site.ledger.deliveries(sent) if d.recipient == OTHER_PROVINCE)
    assert copy.status is StatusCode.REGISTERED


# An axis that is not one


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (axes.PROXY_PAGE, "axis.down"),
        (axes.LOGIN_PAGE, "axis.down"),
        (axes.EMPTY, "axis.down"),
        (axes.CUT, "axis.down"),
        (axes.NO_CODE, "axis.down"),
        (axes.Fault(200, b'{"status":"OK","ErrorCode":"0","data":"x"}', "application/json"), "axis.down"),
        (axes.DROPPED, "delivery.peer_unreachable"),
        (says("20"), "delivery.peer_failed"),
    ],
)
def test_a_list_that_is_none_is_an_outage_and_never_an_empty_inbox(
    fetching: Fetching, axis: FakeAxis, fault: axes.Fault, code: str
) -> None:
    axis.faults["getReceivedEdocList"].append(fault)
    polled = fetching.poll()
    assert polled.error is not None
    assert polled.error.code == code
    (inbox,) = fetching.site.ledger.inboxes()
    assert (inbox.failures, inbox.last_error_code, inbox.last_success_at) == (1, code, None)
    (event,) = fetching.events(Action.AXIS_FAILED)
    assert (event.data["via"], event.data["code"]) == (ABOVE, code)


def test_a_list_without_the_member_data_is_empty(fetching: Fetching, axis: FakeAxis) -> None:
    axis.faults["getReceivedEdocList"] += [says("0"), says("0", data=None)]
    assert fetching.poll().error is None


def test_an_outage_is_told_once_for_each_cause_and_so_is_its_end(fetching: Fetching, axis: FakeAxis) -> None:
    axis.rule = lambda call: axes.PROXY_PAGE
    for _ in range(3):
        fetching.poll(after=timedelta(hours=1))
    axis.rule = lambda call: says("15")
    fetching.poll(after=timedelta(hours=1))
    axis.rule = None
    fetching.poll(after=timedelta(hours=1))
    assert [e.data["code"] for e in fetching.events(Action.AXIS_FAILED)] == ["axis.down", "axis.not_authenticated"]
    (recovered,) = fetching.events(Action.AXIS_RECOVERED)
    assert recovered.data["failures"] == 4


def test_a_broken_axis_is_asked_ever_more_rarely_up_to_ten_minutes(fetching: Fetching, axis: FakeAxis) -> None:
    axis.rule = lambda call: axes.PROXY_PAGE
    waits = []
    for _ in range(6):
        fetching.poll(after=timedelta(hours=1))
        (inbox,) = fetching.site.ledger.inboxes()
        waits.append((inbox.due_at - fetching.site.clock()) / timedelta(minutes=1))
    assert waits == [1, 2, 4, 8, 10, 10]


def test_a_wrong_secret_is_named_and_the_rotated_one_used_without_a_restart(fetching: Fetching, axis: FakeAxis) -> None:
    axis.put("a1", theirs())
    axis.secrets = {"new"}
    poller = fetching.poller()
    failed = poller.poll(fetching.site.known[ABOVE])
    assert failed.error is not None
    assert failed.error.code == "axis.not_authenticated"
    fetching.secrets["axis"] = "new"
    fetching.site.clock.forward(minutes=1)
    assert poller.poll(fetching.site.known[ABOVE]).taken == 1


def test_an_endpoint_without_its_secret_is_named(fetching: Fetching) -> None:
    fetching.secrets.clear()
    failed = fetching.poll()
    assert failed.error is not None
    assert failed.error.code == "delivery.endpoint_misconfigured"


# Packages that cannot be taken


def test_a_package_that_we_refuse_is_kept_answered_fail_and_tried_again(fetching: Fetching, axis: FakeAxis) -> None:
    axis.put("a1", b"<no-edxml/>")
    fetching.poll()
    (refusal,) = fetching.site.ledger.refusals()
    assert (refusal.code, refusal.credential_agency) == ("package.unknown", ABOVE)
    assert axis.statuses() == {"a1": "fail"}
    (event,) = fetching.events(Action.AXIS_NOT_TAKEN)
    assert (event.data["doc_id"], event.data["code"]) == ("a1", "package.unknown")
    fetching.poll(after=timedelta(seconds=61))
    assert axis.count("getEdoc") == 2


def test_after_five_tries_an_operator_has_to_act_and_the_axis_is_not_troubled_any_more(
    fetching: Fetching, axis: FakeAxis
) -> None:
    axis.put("a1", b"<no-edxml/>")
    for _ in range(TRIES + 3):
        fetching.poll(after=timedelta(days=1))
    assert axis.count("getEdoc") == axis.count("updateStatus") == TRIES
    assert fetching.known("a1").state is FetchState.GIVEN_UP
    (event,) = fetching.events(Action.AXIS_GIVEN_UP)
    assert event.data["code"] == "package.unknown"


def test_what_was_given_up_comes_in_once_an_operator_has_repaired_the_cause(fetching: Fetching, axis: FakeAxis) -> None:
    axis.put("a1", theirs("H37.77"))
    for _ in range(TRIES):
        fetching.poll(after=timedelta(days=1))
    newcomer = replace(fetching.site.known[COMMUNE], code=AgencyCode("H37.77"))
    fetching.site.known[newcomer.code] = newcomer
    assert fetching.site.ledger.retry_fetched(ABOVE, ["a1"], actor="test", now=fetching.site.clock()) == 1
    fetching.poll()
    assert fetching.arrived() == [("H37.77", THEIR_ID)]
    assert axis.statuses() == {"a1": "done"}


def test_one_bad_package_stops_none_of_the_others(fetching: Fetching, axis: FakeAxis) -> None:
    axis.put("bad", b"<no-edxml/>")
    axis.put("gone", theirs(document_id=DocumentId("gone")))
    axis.put("good", theirs())
    axis.rule = lambda call: says("21") if call.name == "getEdoc" and call.logical("docId") == "gone" else None
    fetching.poll()
    assert fetching.arrived() == [(COMMUNE, THEIR_ID)]
    assert axis.statuses()["good"] == "done"


def test_a_fault_of_ours_met_by_one_package_stops_none_of_the_others(fetching: Fetching, axis: FakeAxis) -> None:
    axis.put("a1", theirs())
    axis.put("a2", theirs(document_id=DocumentId("second")))
    fetching.poll(ledger=Failing(fetching.site.ledger, "accept", ZeroDivisionError("a bug")))
    assert fetching.known("a1").error_code == GatewayError.code
    assert fetching.arrived() == [(COMMUNE, "second")]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"status":"OK","ErrorCode":"0","data":"@@@@"}', "axis.package_unusable"),
        (b'{"status":"OK","ErrorCode":"0","data":""}', "axis.package_unusable"),
        (b'{"status":"OK","ErrorCode":"0"}', "axis.package_unusable"),
        (b'{"status":"OK","ErrorCode":"0","data":"QUJD"}', "package.malformed"),
        (b'{"status":"OK","ErrorCode":"0","data":"' + b"A" * 5001 + b'"}', "axis.package_unusable"),
    ],
)
def test_what_is_no_package_under_a_docid_is_named(fetching: Fetching, axis: FakeAxis, body: bytes, code: str) -> None:
    axis.put("a1", theirs())
    axis.faults["getEdoc"].append(axes.Fault(200, body, "application/json"))
    fetching.poll()
    assert fetching.known("a1").error_code == code
    assert axis.statuses() == {"a1": "fail"}


def test_a_package_larger_than_we_accept_is_not_read_to_its_end(fetching: Fetching, axis: FakeAxis) -> None:
    axis.put("a1", b"<edXML>" + b"x" * (21 * 1024 * 1024))
    fetching.poll()
    assert fetching.known("a1").error_code == "request.body_too_large"


def test_a_package_that_the_axis_cannot_hand_out_now_is_not_refused_for_it(fetching: Fetching, axis: FakeAxis) -> None:
    axis.put("a1", theirs())
    axis.rule = lambda call: says("20") if call.name == "getEdoc" else None
    for _ in range(TRIES + 2):
        fetching.poll(after=timedelta(days=1))
    assert axis.statuses() == {"a1": "initial"}
    assert len(fetching.events(Action.AXIS_NOT_TAKEN)) == 1
    axis.rule = None
    fetching.poll(after=timedelta(days=1))
    assert axis.statuses() == {"a1": "done"}


def test_an_axis_that_hands_out_nothing_at_all_has_failed_itself(fetching: Fetching, axis: FakeAxis) -> None:
    for n in range(9):
        axis.put(f"a{n}", theirs(document_id=DocumentId(f"d{n}")))
    axis.rule = lambda call: axes.PROXY_PAGE if call.name == "getEdoc" else None
    polled = fetching.poll()
    assert polled.error is not None
    assert polled.error.code == "axis.down"
    assert axis.count("getEdoc") == 2


# A list that never shrinks, a silence


def test_a_list_that_never_shrinks_is_answered_ever_more_rarely_and_told_once(
    fetching: Fetching, axis: FakeAxis
) -> None:
    axis.never_shrinks = True
    axis.put("a1", theirs())
    for _ in range(60):
        fetching.poll()
    assert axis.count("getEdoc") == 1
    assert axis.count("updateStatus") == 6  # after 0, 1, 3, 7, 15 and 31 minutes
    (event,) = fetching.events(Action.AXIS_LISTS_AGAIN)
    assert event.data["doc_id"] == "a1"
    assert fetching.arrived() == [(COMMUNE, THEIR_ID)]


def test_an_inbox_that_is_silent_for_too_long_is_an_alarm_once_until_something_comes(
    fetching: Fetching, axis: FakeAxis
) -> None:
    def hours(count: int) -> None:
        for _ in range(count):
            fetching.poll(after=timedelta(hours=1), silent_after=timedelta(hours=5))

    axis.put("a1", theirs())
    hours(5)
    assert fetching.events(Action.AXIS_SILENT) == []
    hours(4)
    (silent,) = fetching.events(Action.AXIS_SILENT)
    assert silent.data["via"] == ABOVE
    (inbox,) = fetching.site.ledger.inboxes()
    assert inbox.silent_since is not None
    axis.put("a2", theirs(document_id=DocumentId("second")))
    hours(2)
    assert len(fetching.events(Action.AXIS_HEARD)) == 1
    hours(6)
    assert len(fetching.events(Action.AXIS_SILENT)) == 2


def test_an_axis_that_never_said_anything_is_silent_too(fetching: Fetching) -> None:
    for _ in range(7):
        fetching.poll(after=timedelta(hours=1), silent_after=timedelta(hours=5))
    assert len(fetching.events(Action.AXIS_SILENT)) == 1


# LGSP


def test_lgsp_is_fetched_from_with_one_login(fetching: Fetching, axis: FakeAxis) -> None:
    fetching.reach(Channel.LGSP)
    axis.put("a1", theirs())
    axis.put("s1", a_status_package(StatusCode.ARRIVED), kind="status")
    fetching.site.accept(a_package())
    assert fetching.poll().taken == 2
    assert axis.statuses() == {"a1": "done", "s1": "done"}
    assert axis.count("login") == 1


def test_a_token_killed_by_another_login_costs_one_login_and_no_document(fetching: Fetching, axis: FakeAxis) -> None:
    fetching.reach(Channel.LGSP)
    fetching.poll()
    axis.tokens.append("of another program")
    axis.put("a1", theirs())
    polled = fetching.poll()
    assert (polled.taken, polled.error) == (1, None)
    assert axis.count("login") == 2


def test_windows_overlap_and_are_of_two_to_seven_days(fetching: Fetching, axis: FakeAxis) -> None:
    fetching.reach(Channel.LGSP)
    fetching.poll()
    fetching.poll()
    fetching.poll(after=timedelta(days=10))
    calls = [c.query for c in axis.named("syncReceivedEdocList") if c.query["messageType"] == "edoc"]
    # 30 days back in five windows at first, then one, and after ten days two that begin a day before the last poll.
    assert len(calls) == 5 + 1 + 2
    last = fetching.site.clock() - timedelta(days=10)
    assert calls[-2]["fromDate"] == f"{last - timedelta(days=1):%Y/%m/%d}"
    assert calls[-1]["toDate"] == f"{fetching.site.clock() + timedelta(days=1):%Y/%m/%d}"


def test_what_lgsp_lists_again_was_acknowledged_and_is_left_alone(fetching: Fetching, axis: FakeAxis) -> None:
    fetching.reach(Channel.LGSP)
    axis.never_shrinks = True
    axis.put("a1", theirs())
    for _ in range(9):
        fetching.poll()
    assert (axis.count("getEdoc"), axis.count("updateStatus")) == (1, 1)


# Both at once


def test_the_document_and_its_recall_arrive_in_order(fetching: Fetching, axis: FakeAxis) -> None:
    axis.put("a1", theirs(PUSHED))
    axis.put("a2", theirs(PUSHED, business=Business(type=BusinessType.REVOKE, document_id=THEIR_ID, reason="Nhầm")))
    fetching.poll()
    assert axis.statuses() == {"a1": "done", "a2": "done"}


def test_the_poller_runs_until_it_is_stopped(fetching: Fetching, axis: FakeAxis) -> None:
    axis.put("a1", theirs())
    stop = threading.Event()
    thread = threading.Thread(target=fetching.poller(look=timedelta(milliseconds=20)).run, args=(stop,))
    thread.start()
    try:
        deadline = threading.Event()
        for _ in range(500):
            if axis.statuses()["a1"] == "done":
                break
            deadline.wait(0.02)
    finally:
        stop.set()
        thread.join(10)
    assert axis.statuses() == {"a1": "done"}
    assert not thread.is_alive()


def test_everything_known_of_an_axis_is_there_for_the_operator(fetching: Fetching, axis: FakeAxis) -> None:
    axis.put("a1", theirs("H37.77"))
    axis.put("a2", theirs())
    fetching.poll()
    (trouble,) = fetching.site.ledger.fetch_troubles()
    assert (trouble.doc_id, trouble.error_code, trouble.kind) == ("a1", "recipient.unknown", PackageKind.DOCUMENT)
    assert fetching.site.ledger.fetch_counts() == {(ABOVE, FetchState.NOT_TAKEN): 1}
    (inbox,) = fetching.site.ledger.inboxes()
    assert inbox.last_success_at == inbox.last_arrival_at == fetching.site.clock()


def test_a_document_from_the_axis_is_forwarded_by_no_other_way_than_to_its_recipients(
    fetching: Fetching, axis: FakeAxis
) -> None:
    axis.put("a1", theirs(COMMUNE))
    fetching.poll()
    document = fetching.known("a1").document
    assert document is not None
    assert [d.state for d in fetching.site.ledger.deliveries(document)] == [DeliveryState.WAITING]


def test_the_secret_of_lgsp_is_read_anew(fetching: Fetching, axis: FakeAxis) -> None:
    fetching.reach(Channel.LGSP)
    fetching.secrets["axis"] = json.dumps({**json.loads(axes.LGSP_SECRET), "password": "old"})
    failed = fetching.poll()
    assert failed.error is not None
    assert failed.error.code == "axis.not_authenticated"
    fetching.secrets["axis"] = axes.LGSP_SECRET
    assert fetching.poll().error is None


def test_the_metrics_count_axes_by_how_they_answer(fetching: Fetching, axis: FakeAxis) -> None:
    def shown() -> str:
        return fetching.site.client().get("/metrics").text

    axis.put("a1", b"<no-edxml/>")
    fetching.poll()
    assert 'gateway_axes{state="answering"} 1.0' in shown()
    assert 'gateway_axis_packages{state="not_taken"} 1.0' in shown()
    axis.rule = lambda call: axes.PROXY_PAGE
    fetching.poll()
    assert 'gateway_axes{state="failing"} 1.0' in shown()


# As the national axis really writes packages anew


def as_the_axis_writes_it(site: Site, raw: bytes, seconds: int = 9) -> bytes:
    at = SENT_AT + timedelta(seconds=seconds)
    return reserialise(raw, axis=ABOVE, at=at, limits=site.parts.rules.limits, spool=site.parts.spool)


def test_what_the_axis_wrote_anew_twice_is_one_document_with_the_senders_files(
    fetching: Fetching, axis: FakeAxis
) -> None:
    signed = sign_package(theirs(), pki.other_agency())
    for number, doc_id in enumerate(("a1", "a2")):
        axis.put(doc_id, as_the_axis_writes_it(fetching.site, signed, number))
    assert axis.inbox["a1"].content != axis.inbox["a2"].content
    fetching.poll()
    assert fetching.arrived() == [(COMMUNE, THEIR_ID)]
    row = fetching.site.ledger.document(fetching.known("a1").document or "")
    assert row is not None
    # The signature is lost on the way, and is not believed; the files are those that were sent.
    assert row.verdict.standing is Standing.UNVERIFIABLE
    assert [a.sha256 for a in row.attachments] == [hashlib.sha256(PDF + b"%main\n").hexdigest()]


def test_our_own_signed_document_is_known_again_as_the_axis_wrote_it(fetching: Fetching, axis: FakeAxis) -> None:
    signed = sign_package(a_package(), pki.agency())
    fetching.site.accept(signed)
    before = fetching.arrived()
    axis.put("a1", as_the_axis_writes_it(fetching.site, signed))
    fetching.poll()
    assert axis.statuses() == {"a1": "done"}
    assert fetching.arrived() == before


@pytest.mark.parametrize("code", [code for code in StatusCode if code is not StatusCode.RECALL_ASKED])
def test_every_status_of_a_receiver_comes_through_as_the_axis_wrote_it(
    fetching: Fetching, axis: FakeAxis, code: StatusCode
) -> None:
    fetching.site.accept(a_package())
    axis.put("s1", as_the_axis_writes_it(fetching.site, a_status_package(code)), kind="status")
    fetching.poll()
    assert axis.statuses() == {"s1": "done"}


def test_a_sender_asks_its_document_back_through_the_axis(fetching: Fetching, axis: FakeAxis) -> None:
    axis.put("a1", as_the_axis_writes_it(fetching.site, theirs()))
    asked = a_status_package(
        StatusCode.RECALL_ASKED, responses=(ResponseFor(code=COMMUNE, document_id=THEIR_ID, number="07/SA-VP"),)
    )
    axis.put("s1", as_the_axis_writes_it(fetching.site, asked), kind="status")
    fetching.poll()
    assert axis.statuses() == {"a1": "done", "s1": "done"}


# What the other end of our own kind says, and orders


def test_a_docid_that_the_axis_no_longer_knows_is_not_taken_for_a_wrong_address(
    fetching: Fetching, axis: FakeAxis
) -> None:
    axis.put("gone", theirs())
    axis.put("good", theirs(document_id=DocumentId("second")))
    missing = says("404", status=404, description="Khong tim thay [request.not_found]")
    axis.rule = lambda call: missing if call.logical("docId") == "gone" else None
    polled = fetching.poll()
    assert polled.error is None
    assert fetching.known("gone").error_code == "delivery.peer_refused"
    assert axis.statuses()["good"] == "done"


def test_what_is_listed_newest_first_is_fetched_oldest_first(fetching: Fetching, axis: FakeAxis) -> None:
    axis.put("recall", theirs(business=Business(type=BusinessType.REVOKE, document_id=THEIR_ID, reason="Nhầm")))
    axis.put("letter", theirs())
    axis.created = {"recall": "2026/03/05 09:00:00", "letter": "2026/03/05 08:00:00"}
    fetching.poll()
    assert [call.logical("docId") for call in axis.named("getEdoc")] == ["letter", "recall"]


def test_an_axis_that_asks_for_some_time_gets_it_and_no_package_is_blamed(fetching: Fetching, axis: FakeAxis) -> None:
    axis.put("a1", theirs())
    busy = says("429", status=429, description="Qua nhieu yeu cau [request.too_many]")
    axis.faults["getEdoc"].append(replace(busy, headers=(("Retry-After", "300"),)))
    fetching.poll()
    assert fetching.site.ledger.fetch_troubles() == []
    (inbox,) = fetching.site.ledger.inboxes()
    assert timedelta(minutes=4) < inbox.due_at - fetching.site.clock() <= timedelta(minutes=5)
    fetching.poll(after=timedelta(minutes=5))
    assert axis.statuses() == {"a1": "done"}


def test_the_poller_outlives_a_fault_that_nobody_foresaw(fetching: Fetching, axis: FakeAxis) -> None:
    axis.put("a1", theirs())
    good, faults = fetching.site.parts.directory, iter([ZeroDivisionError("a bug")])

    def directory() -> Any:
        for fault in faults:
            raise fault
        return good()

    fetching.site.parts = replace(fetching.site.parts, directory=directory)
    stop = threading.Event()
    thread = threading.Thread(target=fetching.poller(look=timedelta(milliseconds=20)).run, args=(stop,))
    thread.start()
    try:
        for _ in range(500):
            if axis.statuses()["a1"] == "done":
                break
            stop.wait(0.02)
    finally:
        stop.set()
        thread.join(10)
    assert axis.statuses() == {"a1": "done"}


# One docId, or one answer, must not keep the others


NO_PAGE = axes.Fault(404, b"", "text/plain")
"""What a web server says of an address that it does not know, and many an axis of a docId."""


@pytest.mark.parametrize("channel", [Channel.VXP, Channel.LGSP])
def test_a_docid_answered_by_an_empty_404_keeps_nothing_behind_it(
    fetching: Fetching, axis: FakeAxis, channel: Channel
) -> None:
    fetching.reach(channel)
    axis.put("gone", theirs())
    axis.put("good", theirs(document_id=DocumentId("second")))
    axis.rule = lambda call: NO_PAGE if "gone" in (call.logical("docId"), call.query.get("docId")) else None
    fetching.poll()
    assert fetching.arrived() == [(COMMUNE, "second")]
    assert fetching.known("gone").error_code == "delivery.endpoint_misconfigured"


def test_an_acknowledgement_answered_by_an_empty_404_keeps_nothing_from_being_fetched(
    fetching: Fetching, axis: FakeAxis
) -> None:
    axis.put("a1", theirs())
    axis.rule = lambda call: NO_PAGE if call.name == "updateStatus" and call.logical("docId") == "a1" else None
    fetching.poll()
    axis.put("a2", theirs(document_id=DocumentId("second")))
    fetching.poll()
    assert fetching.arrived() == [(COMMUNE, THEIR_ID), (COMMUNE, "second")]
    assert fetching.known("a1").acks == 2


def test_a_spool_that_cannot_be_used_is_not_told_to_the_axis_as_the_packages_fault(
    fetching: Fetching, axis: FakeAxis
) -> None:
    axis.put("a1", theirs())
    spool = fetching.site.parts.spool
    fetching.site.parts = replace(fetching.site.parts, spool=spool / "not there")
    polled = fetching.poll()
    assert polled.error is not None
    assert polled.error.code == "payload.store_unavailable"
    assert axis.statuses() == {"a1": "initial"}
    assert fetching.site.ledger.fetch_troubles() == []


def test_an_operation_whose_stored_package_is_gone_keeps_nothing_behind_it(fetching: Fetching, axis: FakeAxis) -> None:
    recall = Business(type=BusinessType.REVOKE, document_id=THEIR_ID, reason="Nhầm")
    axis.put("a1", theirs())
    axis.put("a2", theirs(business=recall))
    fetching.poll()
    lost = fetching.site.ledger.documents_named(
        AgencyCode(OTHER_PROVINCE), THEIR_ID.key, business_type=BusinessType.REVOKE
    )
    assert lost
    with fetching.site.ledger.engine.begin() as connection:
        connection.execute(text("DELETE FROM payloads WHERE sha256 = :s"), {"s": lost[0].sent_sha256})
    axis.put("a3", rewritten(business=recall))
    axis.put("a4", theirs(document_id=DocumentId("second")))
    fetching.poll()
    assert (COMMUNE, "second") in fetching.arrived()


def test_a_list_without_a_single_usable_docid_is_no_empty_inbox(fetching: Fetching, axis: FakeAxis) -> None:
    axis.faults["getReceivedEdocList"].append(says("0", data=[{"id": "a1"}, {"docId": "à"}]))
    polled = fetching.poll()
    assert polled.error is not None
    assert polled.error.code == "axis.down"


def test_a_docid_that_is_a_number_is_asked_for_by_its_digits(fetching: Fetching, axis: FakeAxis) -> None:
    axis.put("17", theirs())
    axis.faults["getReceivedEdocList"].append(says("0", data=[{"docId": 17}]))
    fetching.poll()
    assert axis.statuses() == {"17": "done"}


def test_a_retry_after_beyond_all_time_is_no_fault_of_ours(fetching: Fetching, axis: FakeAxis) -> None:
    header = ("Retry-After", "Fri, 31 Dec 9999 23:59:59 -1200")
    axis.faults["getReceivedEdocList"].append(replace(says("20", status=503), headers=(header,)))
    polled = fetching.poll()
    assert polled.error is not None
    assert polled.error.code == "delivery.peer_failed"


class Startled(Ledger):
    """A ledger with a bug where fetched packages are looked for."""

    @override
    def fetched(self, *args: Any, **kwargs: Any) -> Any:
        raise ZeroDivisionError("a bug")


def test_what_nobody_foresaw_at_an_axis_is_there_for_the_operator(fetching: Fetching, axis: FakeAxis) -> None:
    axis.put("a1", theirs())
    polled = fetching.poll(ledger=Startled(fetching.site.ledger.engine))
    assert polled.error is not None
    (inbox,) = fetching.site.ledger.inboxes()
    assert (inbox.failures, inbox.last_error_code) == (1, GatewayError.code)


def test_a_clock_that_was_hours_ahead_does_not_stop_the_fetching_for_hours(fetching: Fetching, axis: FakeAxis) -> None:
    fetching.poll(after=timedelta(hours=5))
    axis.put("a1", theirs())
    assert fetching.poll(after=timedelta(hours=-5) + EVERY).taken == 1


def test_telling_again_ends_with_the_round_and_goes_on_in_the_next(fetching: Fetching, axis: FakeAxis) -> None:
    axis.never_shrinks = True
    for n in range(3):
        axis.put(f"a{n}", theirs(document_id=DocumentId(f"d{n}")))
    fetching.poll()
    assert axis.count("updateStatus") == 3
    short = fetching.poll(after=timedelta(hours=1), round=timedelta(0))
    assert (axis.count("updateStatus"), short.complete) == (3, False)
    fetching.poll()
    assert axis.count("updateStatus") == 6


def test_of_a_list_longer_than_is_read_its_beginning_is_taken(fetching: Fetching, axis: FakeAxis) -> None:
    axis.put("a1", theirs())
    rows = [{"docId": "a1", "from": "x" * 500}, *({"docId": f"b{n}", "from": "x" * 999} for n in range(9000))]
    axis.faults["getReceivedEdocList"].append(says("0", data=rows))
    axis.rule = lambda call: says("21") if call.name == "getEdoc" and call.logical("docId") != "a1" else None
    fetching.poll()
    assert axis.statuses() == {"a1": "done"}


def test_what_the_axis_could_not_hand_out_is_not_given_up_at_the_first_refusal(
    fetching: Fetching, axis: FakeAxis
) -> None:
    axis.put("a1", b"<no-edxml/>")
    axis.rule = lambda call: says("20") if call.name == "getEdoc" else None
    for _ in range(TRIES + 2):
        fetching.poll(after=timedelta(days=1))
    axis.rule = None
    for _ in range(TRIES):
        assert fetching.known("a1").state is FetchState.NOT_TAKEN
        fetching.poll(after=timedelta(days=1))
    assert fetching.known("a1").state is FetchState.GIVEN_UP


def test_an_axis_that_cannot_be_told_and_still_hands_out_is_not_silent(fetching: Fetching, axis: FakeAxis) -> None:
    axis.rule = lambda call: axes.PROXY_PAGE if call.name == "updateStatus" else None
    for n in range(6):
        axis.put(f"a{n}", theirs(document_id=DocumentId(f"d{n}")))
        fetching.poll(after=timedelta(hours=1), silent_after=timedelta(hours=5))
    axis.rule = None
    fetching.poll(after=timedelta(hours=1), silent_after=timedelta(hours=5))
    assert fetching.events(Action.AXIS_RECOVERED)
    assert fetching.events(Action.AXIS_SILENT) == []


def test_two_texts_without_files_are_two_documents_and_a_repeated_one_is_not(
    fetching: Fetching, axis: FakeAxis
) -> None:
    axis.put("a1", theirs(references=(), content="Hoãn họp"))
    axis.put("a2", rewritten(references=(), content="Hoãn họp"))
    axis.put("a3", rewritten(references=(), content="Vẫn họp"))
    fetching.poll()
    assert axis.statuses() == {"a1": "done", "a2": "done", "a3": "fail"}
    assert fetching.known("a3").error_code == "document.conflict"


def test_an_axis_that_takes_no_fail_does_not_end_the_tries(fetching: Fetching, axis: FakeAxis) -> None:
    axis.put("a1", b"<no-edxml/>")
    axis.rule = lambda call: says("10") if call.name == "updateStatus" else None
    for _ in range(TRIES):
        fetching.poll(after=timedelta(days=1))
    assert axis.count("getEdoc") == TRIES
    assert fetching.known("a1").state is FetchState.GIVEN_UP


def test_an_axis_that_has_forgotten_what_was_taken_is_told_once(fetching: Fetching, axis: FakeAxis) -> None:
    axis.put("a1", theirs())
    gone = says("404", description="Khong tim thay [request.not_found]")
    axis.rule = lambda call: gone if call.name == "updateStatus" else None
    fetching.poll()
    axis.inbox.clear()
    fetching.poll(after=timedelta(days=2))
    assert axis.count("updateStatus") == 1
