"""Sending again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace as changed

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from gateway.ledger import Ledger
from gateway.ledger.actions import Action
from gateway.ledger.records import Abandoned
from gateway.model import AgencyCode, Channel, DeliveryState
from tests.support.console import (
    COMMUNE,
    Clock,
    a_console,
    a_days_work,
    abandoned,
    accept,
    add_person,
    log_in,
    token,
    try_one,
)
from tests.support.ledger import NOON, a_delivery, a_reply


def replay(client: FlaskClient, ids: Sequence[str], reason: str = "Đường truyền đã thông") -> TestResponse:
    page = client.get("/console/replay", query_string={"delivery": ids})
    form = {"csrf_token": token(page), "delivery": list(ids), "reason": reason, "next": "/console/?state=abandoned"}
    return client.post("/console/replay", data=form)


def states(ledger: Ledger, ids: Sequence[str]) -> set[DeliveryState]:
    return {row.state for row in (ledger.delivery(i) for i in ids) if row}


def test_selected_deliveries_are_sent_again_with_reason_and_name(operator: FlaskClient, ledger: Ledger) -> None:
    ids = [abandoned(ledger)[1] for _ in range(3)]
    answer = replay(operator, ids)
    assert (answer.status_code, answer.location) == (303, "/console/?state=abandoned")
    assert states(ledger, ids) == {DeliveryState.WAITING}
    events = [e for e in ledger.events() if e.action is Action.DELIVERY_REPLAYED]
    assert [(e.actor, e.data["reason"]) for e in events] == [("van.hanh", "Đường truyền đã thông")] * 3
    assert "Đã đưa 3 lượt vào hàng chờ gửi lại" in operator.get(answer.location).text


def test_the_page_before_shows_what_and_changes_nothing(operator: FlaskClient, ledger: Ledger) -> None:
    document, delivery = abandoned(ledger, subject="Báo cáo tuần")
    page = operator.get("/console/replay", query_string={"delivery": [delivery, "unknown"]}).text
    assert "Báo cáo tuần" in page
    assert "1 lượt đã đổi trạng thái" in page
    assert states(ledger, [delivery]) == {DeliveryState.ABANDONED}
    assert document.id in page


def test_a_reason_is_required(operator: FlaskClient, ledger: Ledger) -> None:
    _, delivery = abandoned(ledger)
    answer = replay(operator, [delivery], reason=" \n ")
    assert answer.status_code == 400
    assert "Hãy nêu lý do" in answer.text
    assert states(ledger, [delivery]) == {DeliveryState.ABANDONED}


def test_a_refused_copy_that_is_sent_again_waits_to_be_collected(operator: FlaskClient, ledger: Ledger) -> None:
    ids = a_days_work(ledger, NOON)
    [leg] = ledger.deliveries(ids["refused"])
    assert replay(operator, [leg.id]).status_code == 303
    page = operator.get(f"/console/documents/{ids['refused']}").text
    assert "Chờ nơi nhận lấy" in page
    assert "Gửi lỗi, sẽ thử lại" not in page
    assert "Gửi nhầm cơ quan" in page  # why it had been refused


def test_a_status_is_sent_again_under_its_name(operator: FlaskClient, ledger: Ledger) -> None:
    document = accept(ledger, a_delivery(COMMUNE), number="12", notation="UBND-VP")
    reply = a_reply(document)
    [upwards] = reply.deliveries
    package = changed(reply.document, number=None, notation=None)
    ledger.accept(package, [changed(upwards, channel=Channel.PUSH)], reply.status)
    try_one(ledger, upwards.id, Abandoned(code="delivery.peer_unreachable", detail="x"), NOON)
    page = operator.get("/console/replay", query_string={"delivery": upwards.id}).text
    assert "01 Đã đến" in page
    assert "12/UBND-VP" in page


def test_sending_again_has_one_name(operator: FlaskClient, ledger: Ledger) -> None:
    document, delivery = abandoned(ledger)
    for address in ("/console/", f"/console/documents/{document.id}", f"/console/replay?delivery={delivery}"):
        page = operator.get(address).text
        assert "Gửi lại" in page
        assert "chuyển lại" not in page.lower()


def test_a_double_click_replays_once(operator: FlaskClient, ledger: Ledger) -> None:
    _, delivery = abandoned(ledger)
    page = operator.get("/console/replay", query_string={"delivery": delivery})
    form = {"csrf_token": token(page), "delivery": delivery, "reason": "x"}
    first, second = operator.post("/console/replay", data=form), operator.post("/console/replay", data=form)
    assert (first.status_code, second.status_code) == (303, 303)
    assert len([e for e in ledger.events() if e.action is Action.DELIVERY_REPLAYED]) == 1


def test_two_operators_at_once_replay_each_delivery_once(ledger: Ledger, clock: Clock) -> None:
    ids = [abandoned(ledger)[1] for _ in range(2)]

    def beaten(wanted: Sequence[str], reason: str, actor: str) -> int:
        # Between the look and the deed somebody else replays the first one.
        row = ledger.delivery(ids[0])
        if row is not None and row.state is DeliveryState.ABANDONED:
            ledger.replay([ids[0]], reason="nhanh hơn", actor="khac", now=NOON)
        return len(ledger.replay(wanted, reason=reason, actor=actor, now=NOON))

    add_person(ledger)
    client = a_console(ledger, clock, replay=beaten).test_client()
    log_in(client)
    assert replay(client, ids).status_code == 303
    assert states(ledger, ids) == {DeliveryState.WAITING}
    events = [e for e in ledger.events() if e.action is Action.DELIVERY_REPLAYED]
    assert sorted(e.actor or "" for e in events) == ["khac", "van.hanh"]


def test_what_is_on_its_way_is_left_alone(operator: FlaskClient, ledger: Ledger) -> None:
    leg = a_delivery(COMMUNE)
    accept(ledger, leg)
    answer = replay(operator, [leg.id])
    assert answer.status_code == 303
    assert "Không có lượt nào cần gửi lại" in operator.get(answer.location).text
    assert states(ledger, [leg.id]) == {DeliveryState.WAITING}
    assert "Không còn gì để gửi lại" in operator.get(f"/console/replay?delivery={leg.id}").text


def test_all_failed_recipients_of_a_document_are_one_form(operator: FlaskClient, ledger: Ledger) -> None:
    legs = [a_delivery(AgencyCode(f"H37.40.{n}")) for n in range(60)]
    document = accept(ledger, *legs)
    for leg in legs[:55]:
        try_one(ledger, leg.id, Abandoned(code="delivery.peer_unreachable", detail="x"), NOON)
    page = operator.get(f"/console/documents/{document.id}").text
    assert "Gửi lại 55 nơi chưa tới…" in page
    review = operator.get(f"/console/replay?document={document.id}")
    ids = re.findall(r'name="delivery" value="([^"]+)"', review.text)
    assert len(ids) == 55
    form = {"csrf_token": token(review), "delivery": ids, "reason": "x"}
    assert operator.post("/console/replay", data=form).status_code == 303
    assert ledger.counts().states[DeliveryState.ABANDONED] == 0


def test_a_viewer_cannot_replay(viewer: FlaskClient, ledger: Ledger) -> None:
    _, delivery = abandoned(ledger)
    form = {"csrf_token": token(viewer.get("/console/")), "delivery": delivery, "reason": "x"}
    answer = viewer.post("/console/replay", data=form)
    assert answer.status_code == 403
    assert "Tài khoản của bạn chỉ được xem" in answer.text
    assert states(ledger, [delivery]) == {DeliveryState.ABANDONED}
