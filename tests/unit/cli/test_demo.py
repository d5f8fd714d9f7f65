"""The demo's parts that judge and receive."""

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway.cli.demo.files import a_pdf, a_workbook
from gateway.cli.demo.judge import missing, standing
from gateway.cli.demo.mail import Dispatch
from gateway.cli.demo.patience import Patience
from gateway.cli.demo.receiver import Receiver
from gateway.delivery.push import read_secrets, signature
from gateway.errors import OperatorError
from gateway.model import AgencyCode, DeliveryState

SECRET = "whsec_" + "QUFB" * 10
WEBHOOK = "01a200ec-5c01-75c8-9165-5747b21712ca"


@pytest.fixture
def receiver(tmp_path: Path) -> Receiver:
    made = Receiver(0, SECRET, tmp_path / "in")
    made.server_close()
    return made


def _headers(body: bytes, *, secret: str = SECRET, at: int | None = None) -> dict[str, str]:
    timestamp = int(time.time()) if at is None else at
    signed = signature(read_secrets(secret), webhook_id=WEBHOOK, timestamp=timestamp, body=body)
    return {"webhook-id": WEBHOOK, "webhook-timestamp": str(timestamp), "webhook-signature": signed}


def test_the_receiver_stores_what_is_signed_and_once(receiver: Receiver, tmp_path: Path) -> None:
    body = b"<edXML/>"
    assert [receiver.take(_headers(body).get, body) for _ in range(2)] == [204, 204]
    assert [p.read_bytes() for p in (tmp_path / "in").iterdir()] == [body]


def test_the_receiver_believes_nothing_else(receiver: Receiver, tmp_path: Path) -> None:
    body = b"<edXML/>"
    assert receiver.take(_headers(b"other").get, body) == 401
    assert receiver.take(_headers(body, secret="whsec_" + "QkJC" * 10).get, body) == 401
    assert receiver.take(_headers(body, at=int(time.time()) - 3600).get, body) == 401
    assert receiver.take({"webhook-id": "../../etc"}.get, body) == 400
    assert list((tmp_path / "in").iterdir()) == []


def _dispatch(**changes: object) -> Dispatch:
    wanted = {"name": "07/A", "at": "langson", "by": AgencyCode("H37"), "package": Path("x"), **changes}
    return Dispatch(**wanted)  # type: ignore[arg-type]  # the factory's changes are of any type


def test_what_was_not_accepted_or_not_refused_is_named() -> None:
    down = _dispatch(refused_with="delivery.peer_unreachable")
    let_in = _dispatch(name="10/B", refusal="signature.rejected", posted_id="1")
    as_it_must_be = _dispatch(name="11/C", refusal="recipient.closed", refused_with="recipient.closed")
    said = [text.en for text in missing([down, let_in, as_it_must_be], [], [], [], {})]
    assert len(said) == 2
    assert "07/A" in said[0]
    assert "delivery.peer_unreachable" in said[0]
    assert "10/B" in said[1]


def test_an_expected_recipient_without_a_delivery_is_named() -> None:
    lost = _dispatch(posted_id="1", expected={AgencyCode("H38"): ("01",)})
    assert ["H38" in text.en for text in missing([lost], [], [], [], {})] == [True]


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_demo_waits_as_long_as_something_moves() -> None:
    clock = Clock()
    patience = Patience(still=60, at_most=600, clock=clock)
    for step in range(9):
        clock.now += 59
        assert not patience.over
        patience.see(step)
    assert patience.elapsed == 9 * 59


def test_the_demo_gives_up_when_nothing_moves() -> None:
    clock = Clock()
    patience = Patience(still=60, at_most=600, clock=clock)
    for _ in range(6):
        patience.see("the same")
        clock.now += 11
    assert patience.over


def test_the_demo_ends_at_the_outer_bound_whatever_moves() -> None:
    clock = Clock()
    patience = Patience(still=60, at_most=600, clock=clock)
    while not patience.over:
        clock.now += 10
        patience.see(clock.now)
    assert patience.elapsed == 610


def _standing_of(state: DeliveryState) -> object:
    delivery = SimpleNamespace(id="d1", state=state)
    return standing([_dispatch(posted_id="1")], [], [("langson", SimpleNamespace(delivery=delivery))], [])  # type: ignore[list-item]  # only what is compared


def test_a_try_moves_nothing_and_an_arrival_does() -> None:
    waiting = _standing_of(DeliveryState.WAITING)
    assert waiting == _standing_of(DeliveryState.LEASED)
    assert waiting != _standing_of(DeliveryState.FORWARDED)
    assert waiting != standing([_dispatch(posted_id="1")], [], [], [])


def test_the_files_are_what_they_say() -> None:
    assert a_pdf("Công văn", ["Ủy ban nhân dân"], head="SỞ").startswith(b"%PDF-")
    assert a_workbook([("Đơn vị", "1")]).startswith(b"PK")


def test_a_process_that_ends_is_noticed(tmp_path: Path) -> None:
    from gateway.cli.demo.processes import Children

    with Children(tmp_path) as children:
        children.start("gone", ["gateway", "--config", str(tmp_path / "none.toml"), "serve"])
        with pytest.raises(OperatorError, match="gone has ended"):
            children.wait_ready({"gone": (9, "/")}, Patience(still=300))
        assert children.tail("gone")
