"""Replay and withdrawal, refusals, keys and operators."""

import pytest

from gateway.errors import NotFound, ReasonRequired, StateConflict, TransitionForbidden
from gateway.ledger import Action, Ledger
from gateway.ledger.records import (
    Abandoned,
    ApiKey,
    Delivered,
    Filter,
    NewRefusal,
    Operator,
    OperatorRole,
    Outcome,
    RefusalBounds,
    Refused,
    new_id,
)
from gateway.model import AgencyCode, DeliveryState, StatusCode
from tests.support.ledger import (
    NOON,
    OTHER,
    RECEIVER,
    SENDER,
    a_delivery,
    a_document,
    a_status,
    at,
    claim,
    claim_one,
    report,
)

REASON = "đường truyền đã thông"


def ended(ledger: Ledger, outcome: Outcome, **delivery: object) -> str:
    """A delivery that ended so; its id."""
    made = a_delivery(**delivery)  # type: ignore[arg-type] # fields of the delivery
    ledger.accept(a_document(), [made])
    ledger.settle(claim_one(ledger), outcome, now=NOON)
    return made.id


def abandoned(ledger: Ledger, **delivery: object) -> str:
    """A delivery that was given up."""
    return ended(ledger, Abandoned(code="delivery.peer_failed", detail="503"), **delivery)


@pytest.mark.parametrize(
    "outcome", [Abandoned(code="c", detail=""), Refused(code="c", detail="")], ids=["abandoned", "refused"]
)
def test_a_replayed_delivery_is_due_at_once_and_begins_anew(ledger: Ledger, outcome: Outcome) -> None:
    delivery_id = ended(ledger, outcome)
    assert ledger.replay([delivery_id], reason=REASON, actor="lan", now=at(60)) == [delivery_id]
    got = claim_one(ledger, at(60))
    assert (got.delivery_id, got.attempt, got.trying_since) == (delivery_id, 1, at(60))
    ledger.settle(got, Delivered(), now=at(61))
    assert [a.number for a in ledger.attempts(delivery_id)] == [1, 2]
    replayed = next(e for e in ledger.events() if e.action is Action.DELIVERY_REPLAYED)
    assert (replayed.actor, replayed.data["reason"]) == ("lan", REASON)


def test_after_a_replay_a_refusal_no_longer_ends_the_statuses(ledger: Ledger) -> None:
    document = a_document()
    delivery = a_delivery()
    ledger.accept(document, [delivery])
    ledger.settle(claim_one(ledger), Delivered(), now=NOON)
    report(ledger, a_status(document, StatusCode.REFUSED))
    ledger.replay([delivery.id], reason=REASON, actor="lan", now=at(1))
    report(ledger, a_status(document, StatusCode.REGISTERED, reported_at=at(2)))
    row = ledger.delivery(delivery.id)
    assert row is not None
    assert row.status is StatusCode.REGISTERED


@pytest.mark.parametrize("outcome", [Abandoned(code="c", detail=""), Refused(code="mailbox.refused", detail="")])
def test_a_replayed_delivery_has_no_fault_until_a_try_fails_again(ledger: Ledger, outcome: Outcome) -> None:
    delivery_id = ended(ledger, outcome)
    ledger.replay([delivery_id], reason=REASON, actor="lan", now=at(60))
    row = ledger.delivery(delivery_id)
    assert row is not None
    assert row.error_code is None
    # Why it had ended stays known.
    assert [a.code for a in ledger.attempts(delivery_id)] == [outcome.code]


def test_replay_by_id_is_all_or_nothing(ledger: Ledger) -> None:
    replayable = abandoned(ledger)
    done = ended(ledger, Delivered())
    with pytest.raises(TransitionForbidden):
        ledger.replay([replayable, done], reason=REASON, actor="lan", now=NOON)
    with pytest.raises(NotFound):
        ledger.replay([replayable, new_id()], reason=REASON, actor="lan", now=NOON)
    for reason in ("", "  "):
        with pytest.raises(ReasonRequired):
            ledger.replay([replayable], reason=reason, actor="lan", now=NOON)
    row = ledger.delivery(replayable)
    assert row is not None
    assert row.state is DeliveryState.ABANDONED
    assert ledger.replay([], reason=REASON, actor="lan", now=NOON) == []


def test_replay_in_bulk_takes_what_the_filter_names_and_can_be_replayed(ledger: Ledger) -> None:
    wanted = [abandoned(ledger) for _ in range(4)]
    elsewhere = abandoned(ledger, recipient=OTHER)
    ended(ledger, Delivered())
    filters = Filter(recipient=RECEIVER)
    assert ledger.replay(filters, reason=REASON, actor="lan", now=NOON, limit=3) == wanted[:3]
    assert ledger.replay(filters, reason=REASON, actor="lan", now=NOON, limit=3) == wanted[3:]
    assert ledger.replay(filters, reason=REASON, actor="lan", now=NOON) == []
    assert ledger.replay(Filter(agency=OTHER, text="dong dang"), reason=REASON, actor="lan", now=NOON) == [elsewhere]
    assert len([e for e in ledger.events() if e.action is Action.DELIVERY_REPLAYED]) == 5


def test_a_bulk_larger_than_one_statement_is_replayed_whole(ledger: Ledger) -> None:
    recipients = [AgencyCode(f"H38.{n}") for n in range(1_200)]
    ledger.accept(a_document(), [a_delivery(r, via=OTHER) for r in recipients])
    for got in claim(ledger, limit=1_200, per_endpoint=1_200)[:40]:
        ledger.settle(got, Abandoned(code="c", detail=""), now=NOON)
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE deliveries SET state = 'abandoned'")
    assert len(ledger.replay(Filter(via=OTHER), reason=REASON, actor="lan", now=NOON)) == 1_200
    assert ledger.counts().states[DeliveryState.WAITING] == 1_200


def test_what_waits_or_was_abandoned_can_be_withdrawn(ledger: Ledger) -> None:
    waiting = a_delivery()
    gone = abandoned(ledger)
    ledger.accept(a_document(), [waiting])
    assert ledger.withdraw([gone, waiting.id], reason="gửi nhầm", actor="lan", now=at(1)) == sorted([gone, waiting.id])
    assert claim(ledger, at(1)) == []
    row = ledger.delivery(waiting.id)
    assert row is not None
    assert (row.state, row.settled_at) == (DeliveryState.WITHDRAWN, at(1))
    for again in ([waiting.id], [ended(ledger, Delivered())]):
        with pytest.raises(TransitionForbidden):
            ledger.withdraw(again, reason="x", actor="lan", now=NOON)
    with pytest.raises(NotFound):
        ledger.withdraw([new_id()], reason="x", actor="lan", now=NOON)
    with pytest.raises(ReasonRequired):
        ledger.withdraw([gone], reason="", actor="lan", now=NOON)


# Refusals


def a_refusal(payload: bytes | None = b"<x/>", **changes: object) -> NewRefusal:
    values: dict[str, object] = {
        "at": NOON,
        "credential_agency": SENDER,
        "code": "package.malformed",
        "path": "MessageHeader",
        "detail": "The package is not well-formed.",
        "sha256": "a" * 64,
        "size": len(payload or b""),
        "payload": payload,
    }
    return NewRefusal(**(values | changes))  # type: ignore[arg-type] # fields of the refusal


def test_a_refused_package_is_kept_for_a_look(ledger: Ledger) -> None:
    number = ledger.record_refusal(a_refusal())
    unknown = ledger.record_refusal(a_refusal(None, credential_agency=None, sha256=None, path=None))
    newest, first = ledger.refusals()
    assert (first.id, first.code, first.path, first.payload_kept, first.at) == (
        number, "package.malformed", "MessageHeader", True, NOON,
    )  # fmt: skip
    assert (newest.id, newest.credential_agency, newest.payload_kept) == (unknown, None, False)
    assert ledger.refusal_payload(number) == b"<x/>"
    assert ledger.refusal_payload(unknown) is None
    assert ledger.refusal_payload(10**6) is None
    assert [r.id for r in ledger.refusals(limit=1)] == [unknown]
    assert [r.id for r in ledger.refusals(before=unknown)] == [number]
    assert ledger.counts().refusals == 2
    assert [e.action for e in ledger.events()] == [Action.DOCUMENT_REFUSED] * 2


def test_refusals_are_bounded_in_number_and_bytes(ledger: Ledger) -> None:
    bounded = Ledger(ledger.engine, refusals=RefusalBounds(rows=5, payload_bytes=250, largest_payload=100))
    numbers = [bounded.record_refusal(a_refusal(bytes(100))) for _ in range(8)]
    rows = bounded.refusals()
    assert [r.id for r in rows] == numbers[:2:-1]
    assert [r.payload_kept for r in rows] == [True, True, False, False, False]
    too_large = bounded.record_refusal(a_refusal(bytes(101)))
    assert bounded.refusal_payload(too_large) is None
    assert bounded.refusal_payload(numbers[-1]) == bytes(100)


# Keys and operators


def a_key(prefix: str, **changes: object) -> ApiKey:
    values: dict[str, object] = {
        "id": new_id(),
        "prefix": prefix,
        "secret_sha256": "b" * 64,
        "agency": SENDER,
        "scopes": frozenset({"documents:write", "inbox"}),
        "label": "eOffice",
        "created_at": NOON,
    }
    return ApiKey(**(values | changes))  # type: ignore[arg-type] # fields of the key


def test_a_key_is_found_by_its_prefix(ledger: Ledger) -> None:
    key, other = a_key("gw_1"), a_key("gw_2", agency=OTHER, created_at=at(1), expires_at=at(9))
    for k in (key, other):
        ledger.add_key(k, actor="lan")
    assert ledger.find_key("gw_1") == key
    assert ledger.find_key("gw_3") is None
    assert ledger.keys() == [key, other]
    assert ledger.keys(OTHER) == [other]
    with pytest.raises(Exception, match=r"(?i)unique"):
        ledger.add_key(a_key("gw_1"), actor="lan")


def test_a_revocation_may_lie_ahead_and_only_comes_nearer(ledger: Ledger) -> None:
    ledger.add_key(a_key("gw_1"), actor="lan")
    assert ledger.revoke_key("gw_1", at=at(60), actor="lan", now=NOON).revoked_at == at(60)
    assert ledger.revoke_key("gw_1", at=at(90), actor="lan", now=NOON).revoked_at == at(60)
    revoked = ledger.revoke_key("gw_1", at=NOON, actor="lan", now=NOON)
    assert not revoked.is_valid(NOON)
    assert [e.action for e in ledger.events()].count(Action.KEY_REVOKED) == 2
    with pytest.raises(NotFound):
        ledger.revoke_key("gw_9", at=NOON, actor="lan", now=NOON)


def test_the_use_of_a_key_is_noted_to_the_hour(ledger: Ledger) -> None:
    key = a_key("gw_1")
    ledger.add_key(key, actor="lan")
    for moment, noted in [(NOON, NOON), (at(59), NOON), (at(60), at(60))]:
        ledger.touch_key(key, now=moment)  # as a process would that read the key long ago
        found = ledger.find_key("gw_1")
        assert found is not None
        assert found.last_used_at == noted
        ledger.touch_key(found, now=moment)


def an_operator(login: str, **changes: object) -> Operator:
    values: dict[str, object] = {
        "id": new_id(),
        "login": login,
        "password_hash": "$argon2id$",
        "role": OperatorRole.VIEWER,
        "language": "vi",
        "created_at": NOON,
    }
    return Operator(**(values | changes))  # type: ignore[arg-type] # fields of the operator


def test_operators_are_kept_changed_and_disabled(ledger: Ledger) -> None:
    lan, an = an_operator("lan"), an_operator("an", role=OperatorRole.ADMIN)
    for person in (lan, an):
        ledger.add_operator(person, actor="cli")
    assert ledger.operators() == [an, lan]
    assert ledger.find_operator("lan") == lan == ledger.operator(lan.id)
    assert ledger.find_operator("LAN") is None
    assert ledger.operator("x") is None
    with pytest.raises(StateConflict):
        ledger.add_operator(an_operator("lan"), actor="cli")
    changed = ledger.change_operator(
        "lan", actor="an", now=at(1), role=OperatorRole.OPERATOR, language="en", password_hash="$new", disabled=True
    )
    assert (changed.role, changed.language, changed.password_hash, changed.disabled_at) == (
        OperatorRole.OPERATOR, "en", "$new", at(1),
    )  # fmt: skip
    assert ledger.change_operator("lan", actor="an", now=at(2), disabled=False).disabled_at is None
    assert ledger.change_operator("lan", actor="an", now=at(2)).role is OperatorRole.OPERATOR
    ledger.note_login("lan", now=at(3))
    found = ledger.find_operator("lan")
    assert found is not None
    assert found.last_login_at == at(3)
    with pytest.raises(NotFound):
        ledger.change_operator("nobody", actor="an", now=NOON, language="en")
    assert "$new" not in str([e.data for e in ledger.events()])
