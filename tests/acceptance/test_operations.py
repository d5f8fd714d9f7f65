"""
Recalls, updates and replacements between two gateways, as processes: what is asked below is answered above.

The rules one by one are in ``tests/integration/exchange/test_operations.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from gateway.model import DeliveryState, RecallState, StatusCode
from tests.acceptance.test_two_gateways import Pair, a_pair, until
from tests.support.torture import NEIGHBOUR, SENDER

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with a_pair(tmp_path) as made:
        made.lower.start()
        yield made


def operate(pair: Pair, document: str, what: str, **body: Any) -> dict[str, Any]:
    """The sending department asks its own gateway, in JSON."""
    answer = requests.post(
        f"{pair.lower.url}/api/v1/documents/{document}/{what}",
        json=body,
        headers={"Authorization": f"Bearer {pair.lower.key(SENDER)}"},
        timeout=30,
    )
    assert answer.status_code in (200, 202), answer.text
    receipt: dict[str, Any] = answer.json()
    return receipt


def copy(pair: Pair, document: str) -> tuple[DeliveryState, RecallState]:
    """Where the neighbour's copy stands, as the sender's gateway has it."""
    with pair.lower.client(SENDER) as client:
        [delivery] = client.trace(document)["deliveries"]
    return DeliveryState(delivery["state"]), RecallState(delivery["recall"])


def becomes(pair: Pair, document: str, state: DeliveryState, recall: RecallState) -> None:
    until(
        lambda: copy(pair, document) == (state, recall),
        f"the copy is {copy(pair, document)}",
        log=lambda: pair.lower.log_tail() + pair.upper.log_tail(),
    )


def above(pair: Pair) -> list[dict[str, Any]]:
    """The documents that wait for the neighbour."""
    with pair.upper.client(NEIGHBOUR) as client:
        return [item["document"] for item in client.inbox()["items"] if item["document"]["kind"] == "document"]


def collected(pair: Pair, number: int = 7) -> tuple[str, str]:
    """A letter that the neighbour has taken: its id below, and above."""
    below = pair.post(number)["id"]
    until(lambda: above(pair) != [], "nothing arrived", log=pair.lower.log_tail)
    [up] = pair.collect_above()
    becomes(pair, below, DeliveryState.DELIVERED, RecallState.NONE)
    return below, up


def answer(pair: Pair, document: str, code: StatusCode, words: str | None = None) -> None:
    with pair.upper.client(NEIGHBOUR) as client:
        client.report_status(document, code, description=words)


def test_a_recall_is_answered_by_the_gateway_where_the_document_still_waits(pair: Pair) -> None:
    pair.upper.start()
    document = pair.post(7)["id"]
    until(lambda: above(pair) != [], "nothing arrived", log=pair.lower.log_tail)
    operate(pair, document, "revoke", reason="Gửi nhầm")
    becomes(pair, document, DeliveryState.WITHDRAWN, RecallState.WITHDRAWN)
    assert above(pair) == []
    assert pair.statuses_below(document) == ["15"]


def test_a_recall_is_refused_with_16_and_asked_again(pair: Pair) -> None:
    pair.upper.start()
    below, up = collected(pair)
    answer(pair, up, StatusCode.DONE)
    operate(pair, below, "revoke", reason="Gửi nhầm")
    until(lambda: len(above(pair)) == 1, "the recall did not arrive", log=pair.lower.log_tail)
    pair.collect_above()
    answer(pair, up, StatusCode.DISAGREED, "Đã xử lý xong")
    becomes(pair, below, DeliveryState.DELIVERED, RecallState.NONE)
    operate(pair, below, "revoke", reason="Gửi nhầm")
    becomes(pair, below, DeliveryState.DELIVERED, RecallState.REQUESTED)
    until(lambda: len(above(pair)) == 1, "it was not asked again", log=pair.lower.log_tail)
    answer(pair, up, StatusCode.AGREED)
    becomes(pair, below, DeliveryState.WITHDRAWN, RecallState.WITHDRAWN)


def test_an_update_and_a_replacement_are_agreed_to(pair: Pair) -> None:
    pair.upper.start()
    below, up = collected(pair)
    operate(pair, below, "update", reason="Sửa", subject="Bản cập nhật")
    until(lambda: [d["business_type"] for d in above(pair)] == [2], "no update", log=pair.lower.log_tail)
    pair.collect_above()
    answer(pair, up, StatusCode.AGREED)
    becomes(pair, below, DeliveryState.DELIVERED, RecallState.AGREED)
    new = {
        "recipients": [{"code": NEIGHBOUR}],
        "number": {"number": "8", "notation": "SA-VP"},
        "issued_on": "2026-03-06",
        "issued_place": "Lạng Sơn",
        "document_type": {"type": 2, "name": "Công văn"},
        "subject": "Thay thế",
    }
    made = operate(pair, below, "replace", reason="Thay thế", **new)
    becomes(pair, below, DeliveryState.DELIVERED, RecallState.REQUESTED)
    until(lambda: [d["business_type"] for d in above(pair)] == [3], "no replacement", log=pair.lower.log_tail)
    [new_above] = pair.collect_above()
    answer(pair, new_above, StatusCode.AGREED)
    becomes(pair, below, DeliveryState.DELIVERED, RecallState.AGREED)
    with pair.lower.client(SENDER) as client:
        states = [o["state"] for o in client.trace(made["id"])["operations"]]
    assert states == ["agreed"]


def test_a_recall_made_while_the_link_is_down_goes_up_behind_its_document(pair: Pair) -> None:
    """What was tried in vain may have arrived: nobody takes it back before it is known."""
    document = pair.post(7)["id"]
    until(lambda: pair.failures_below().total() > 0, "nobody was tried", log=pair.lower.log_tail)
    operate(pair, document, "revoke", reason="Gửi nhầm")
    assert copy(pair, document)[1] is RecallState.REQUESTED
    pair.upper.start()
    becomes(pair, document, DeliveryState.WITHDRAWN, RecallState.WITHDRAWN)
    assert [row.business_type.value for row in pair.arrived()] == [0, 1]
    assert above(pair) == []


def test_status_13_goes_up_and_15_comes_back(pair: Pair) -> None:
    pair.upper.start()
    below, up = collected(pair)
    with pair.lower.client(SENDER) as client:
        client.report_status(below, StatusCode.RECALL_ASKED, description="Gửi nhầm")
    becomes(pair, below, DeliveryState.DELIVERED, RecallState.REQUESTED)
    until(lambda: asked_above(pair, up) == ["requested"], "13 did not arrive", log=pair.lower.log_tail)
    answer(pair, up, StatusCode.AGREED)
    becomes(pair, below, DeliveryState.WITHDRAWN, RecallState.WITHDRAWN)
    assert asked_above(pair, up) == ["agreed"]


def asked_above(pair: Pair, document: str) -> list[str]:
    with pair.upper.client(NEIGHBOUR) as client:
        return [o["state"] for o in client.trace(document)["operations"]]
