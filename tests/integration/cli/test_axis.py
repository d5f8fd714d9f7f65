"""``gateway axis`` and what the doctor says of axes: every fault visible with its cause."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.doctor import Grade, examine
from gateway.model import AgencyCode, Channel, Endpoint, Level
from tests.integration.cli.test_life import COMMUNE, agencies, call
from tests.support import axis as axes
from tests.support.agencies import an_agency
from tests.support.axis import FakeAxis, an_axis
from tests.support.documents import a_package, an_organization
from tests.support.gateways import RunningGateway, a_gateway

AXIS = AgencyCode("000.00.99.W00")
STRANGER = "000.00.00.H39"


@pytest.fixture
def axis() -> Iterator[FakeAxis]:
    with an_axis() as running:
        yield running


@pytest.fixture
def gateway(tmp_path: Path, axis: FakeAxis) -> RunningGateway:
    """Prepared, not served; its agencies of old, and an axis above them."""
    made = a_gateway(
        tmp_path / "h37",
        code="000.00.00.H37",
        first_levels=["H37"],
        default_route=AXIS,
        agencies=[*(a for a in agencies() if a.endpoint is None or a.endpoint.channel is not Channel.PEER)],
        secrets=["axis"],
    )
    made.set_secret("axis", axes.SECRET)
    join_axis(made, axis, Channel.VXP)
    return made


def join_axis(gateway: RunningGateway, axis: FakeAxis, channel: Channel, **changes: Any) -> None:
    endpoint = Endpoint(channel=channel, url=axis.url, credential="axis", system=axes.SYSTEM)
    above = an_agency(AXIS, level=Level.NATIONAL, hidden=True, endpoint=replace(endpoint, **changes))
    own = [a for a in agencies() if a.endpoint is None or a.endpoint.channel is not Channel.PEER]
    gateway.set_agencies([*own, above])


def a_letter(*recipients: str) -> bytes:
    return a_package(
        sender=an_organization(STRANGER), recipients=tuple(an_organization(code) for code in recipients or (COMMUNE,))
    )


def grades(gateway: RunningGateway, now: datetime | None = None) -> Mapping[str, Grade]:
    return {f.name: f.grade for f in examine(gateway.settings, now=now or datetime.now(UTC))}


def result(gateway: RunningGateway, *arguments: str, code: int = 0) -> Any:
    return json.loads(call(gateway, *arguments, "--json", code=code).stdout)


def test_poll_takes_what_the_axis_has(gateway: RunningGateway, axis: FakeAxis) -> None:
    axis.put("a1", a_letter())
    assert result(gateway, "axis", "poll", AXIS) == {
        "taken": 1,
        "not_taken": 0,
        "complete": True,
        "error": None,
        "detail": None,
    }
    assert axis.statuses() == {"a1": "done"}


def test_poll_says_why_an_axis_failed(gateway: RunningGateway, axis: FakeAxis) -> None:
    axis.rule = lambda called: axes.PROXY_PAGE
    assert result(gateway, "axis", "poll", AXIS, code=1)["error"] == "axis.down"
    assert "axis.down" in call(gateway, "axis", "poll", AXIS, code=1).stdout


def test_poll_of_what_is_no_axis_is_not_found(gateway: RunningGateway) -> None:
    call(gateway, "axis", "poll", COMMUNE, code=1)


def test_status_shows_the_cause_of_every_trouble(gateway: RunningGateway, axis: FakeAxis) -> None:
    axis.put("bad", b"<no-edxml/>")
    call(gateway, "axis", "poll", AXIS, code=1)
    axis.rule = lambda called: axes.PROXY_PAGE
    call(gateway, "axis", "poll", AXIS, code=1)
    shown = result(gateway, "axis", "status", code=1)
    (inbox,), (trouble,) = shown["axes"], shown["not_taken"]
    assert (inbox["via"], inbox["failures"], inbox["last_error_code"]) == (AXIS, 1, "axis.down")
    assert (trouble["doc_id"], trouble["error_code"], trouble["attempts"]) == ("bad", "package.unknown", 1)
    text = call(gateway, "axis", "status", code=1).stdout
    assert "package.unknown" in text


def test_retry_lets_packages_be_fetched_again(gateway: RunningGateway, axis: FakeAxis) -> None:
    axis.put("bad", b"<no-edxml/>")
    call(gateway, "axis", "poll", AXIS, code=1)
    axis.inbox["bad"].content = a_letter()
    assert result(gateway, "axis", "retry", AXIS, "bad") == {"retried": 1}
    assert result(gateway, "axis", "poll", AXIS)["taken"] == 1
    call(gateway, "axis", "retry", AXIS, "bad", code=1)


def test_what_nobody_needs_is_dismissed_and_no_trouble_any_more(gateway: RunningGateway, axis: FakeAxis) -> None:
    axis.put("bad", b"<no-edxml/>")
    call(gateway, "axis", "poll", AXIS, code=1)
    assert result(gateway, "axis", "dismiss", AXIS, "bad", "--reason", "Nơi gửi đã gửi lại") == {"dismissed": 1}
    assert result(gateway, "axis", "status")["not_taken"] == []
    assert result(gateway, "axis", "poll", AXIS)["not_taken"] == 0


def test_what_was_dismissed_is_fetched_again_when_its_id_is_named(gateway: RunningGateway, axis: FakeAxis) -> None:
    axis.put("bad", b"<no-edxml/>")
    call(gateway, "axis", "poll", AXIS, code=1)
    call(gateway, "axis", "dismiss", AXIS, "bad", "--reason", "Nhầm")
    axis.inbox["bad"].content = a_letter()
    assert result(gateway, "axis", "retry", AXIS) == {"retried": 0}
    assert result(gateway, "axis", "retry", AXIS, "bad") == {"retried": 1}
    assert result(gateway, "axis", "poll", AXIS)["taken"] == 1


def test_dismissing_needs_a_reason(gateway: RunningGateway, axis: FakeAxis) -> None:
    axis.put("bad", b"<no-edxml/>")
    call(gateway, "axis", "poll", AXIS, code=1)
    call(gateway, "axis", "dismiss", AXIS, "bad", "--reason", " ", code=1)
    assert [one["doc_id"] for one in result(gateway, "axis", "status")["not_taken"]] == ["bad"]


def test_the_doctor_asks_a_vxp_axis_and_is_content(gateway: RunningGateway, axis: FakeAxis) -> None:
    call(gateway, "axis", "poll", AXIS)
    found = grades(gateway)
    assert (found[f"link.{AXIS}"], found[f"axis.{AXIS}"]) == (Grade.OK, Grade.OK)
    assert "countReceiveEdoc" in axis.names()


@pytest.mark.parametrize("trouble", ["page", "secret", "away"])
def test_the_doctor_sees_an_axis_that_does_not_answer(gateway: RunningGateway, axis: FakeAxis, trouble: str) -> None:
    if trouble == "page":
        axis.rule = lambda called: axes.PROXY_PAGE
    elif trouble == "secret":
        axis.secrets = {"rotated"}
    else:
        join_axis(gateway, axis, Channel.VXP, url="http://127.0.0.1:9")
    call(gateway, "axis", "poll", AXIS, code=1)
    found = grades(gateway)
    assert (found[f"link.{AXIS}"], found[f"axis.{AXIS}"]) == (Grade.WARN, Grade.WARN)


def test_the_doctor_reads_the_secret_of_an_lgsp_axis_and_does_not_log_in(
    gateway: RunningGateway, axis: FakeAxis
) -> None:
    join_axis(gateway, axis, Channel.LGSP)
    assert grades(gateway)[f"endpoint.{AXIS}"] is Grade.FAIL
    gateway.set_secret("axis", axes.LGSP_SECRET)
    assert grades(gateway)[f"endpoint.{AXIS}"] is Grade.OK
    assert axis.calls == []


def test_the_doctor_sees_silence_and_that_nobody_asks_any_more(gateway: RunningGateway, axis: FakeAxis) -> None:
    call(gateway, "axis", "poll", AXIS)
    later = datetime.now(UTC) + timedelta(hours=3)
    assert grades(gateway, later)[f"axis.{AXIS}"] is Grade.WARN


def test_the_doctor_fails_when_packages_wait_for_an_operator(gateway: RunningGateway, axis: FakeAxis) -> None:
    axis.put("bad", b"<no-edxml/>")
    call(gateway, "axis", "poll", AXIS, code=1)
    assert grades(gateway)["axis.not_taken"] is Grade.WARN
    ledger = gateway.ledger()
    try:
        (one,) = ledger.fetch_troubles()
        ledger.note_fetched(replace(one, state=type(one.state).GIVEN_UP))
    finally:
        ledger.engine.dispose()
    assert grades(gateway)["axis.not_taken"] is Grade.FAIL


def test_status_names_an_axis_that_nobody_has_asked_yet(gateway: RunningGateway) -> None:
    assert result(gateway, "axis", "status") == {"axes": [], "never_asked": [AXIS], "not_taken": []}
    assert AXIS in call(gateway, "axis", "status").stdout


def test_the_doctor_sees_acknowledgements_that_the_axis_does_not_take(gateway: RunningGateway, axis: FakeAxis) -> None:
    axis.put("a1", a_letter())
    axis.rule = lambda called: axes.says("10") if called.name == "updateStatus" else None
    call(gateway, "axis", "poll", AXIS)
    assert "axis.unacknowledged" not in grades(gateway)
    assert grades(gateway, datetime.now(UTC) + timedelta(hours=2))["axis.unacknowledged"] is Grade.WARN
