"""``gateway catalogue``: from a real axis over the wire, and from answers that somebody saved."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli.root import root
from gateway.ledger.actions import Action
from gateway.model import Channel, Endpoint, Level
from tests.support.agencies import MAILBOX, an_agency
from tests.support.catalogue import a_unit, an_answer
from tests.support.gateways import RunningGateway, a_gateway, start_gateway
from tests.support.systems import a_system

NATION, PROVINCE, NEIGHBOUR = "000.00.22.W00", "000.00.00.H37", "000.00.00.H41"
SYSTEM = "00.37.W00"


def a_province(folder: Path, axis: Endpoint) -> RunningGateway:
    """Prepared, not served."""
    agencies = [
        an_agency(PROVINCE, "H37", level=Level.PROVINCE, endpoint=MAILBOX),
        an_agency(NATION, level=Level.NATIONAL, endpoint=axis, hidden=True),
    ]
    return a_gateway(
        folder, code=PROVINCE, first_levels=["H37"], default_route=NATION, agencies=agencies, secrets=["axis"]
    )


def axis_at(url: str) -> Endpoint:
    return Endpoint(channel=Channel.VXP, url=url, credential="axis", system=SYSTEM)


@pytest.fixture
def idle(tmp_path: Path) -> RunningGateway:
    return a_province(tmp_path / "h37", axis_at("http://127.0.0.1:9/vxp"))


@pytest.fixture
def nation(tmp_path: Path) -> Iterator[RunningGateway]:
    agencies = [
        an_agency(NATION, level=Level.NATIONAL, endpoint=MAILBOX, hidden=True),
        an_agency(PROVINCE, "H37", level=Level.PROVINCE, endpoint=MAILBOX),
        an_agency("H37.99", level=Level.DEPARTMENT, parent=PROVINCE),
        an_agency(NEIGHBOUR, "H41", level=Level.PROVINCE, name="UBND tỉnh Nghệ An", endpoint=MAILBOX),
        an_agency("H41.5", "000.00.05.H41", parent=NEIGHBOUR, name="Sở Tài chính tỉnh Nghệ An"),
    ]
    gateway = start_gateway(tmp_path / "nation", code=NATION, agencies=agencies)
    yield gateway
    gateway.kill()


def call(gateway: RunningGateway, *arguments: str, code: int = 0, language: str = "en") -> Result:
    """One command in this process."""
    done = CliRunner().invoke(root, ["--lang", language, "--config", str(gateway.config), *arguments])
    assert done.exit_code == code, f"{arguments}: {done.exit_code}\n{done.output}\n{done.exception!r}"
    return done


def answered(gateway: RunningGateway, *arguments: str) -> Any:
    return json.loads(call(gateway, "catalogue", *arguments, "--json").stdout)


def saved(folder: Path, name: str, *rows: Mapping[str, Any]) -> str:
    path = folder / name
    path.write_bytes(an_answer(rows).getvalue())
    return str(path)


NGHE_AN = a_unit("a", "H41", name="UBND tỉnh Nghệ An")
FINANCE = a_unit("b", "H41.5", "a", name="Sở Tài chính tỉnh Nghệ An")


def test_the_catalogue_comes_from_an_axis_over_its_protocol(nation: RunningGateway, tmp_path: Path) -> None:
    province = a_province(tmp_path / "h37", axis_at(f"{nation.url}/vxp"))
    province.set_secret("axis", a_system(nation, SYSTEM, PROVINCE, gateway_system=True))
    first = answered(province, "sync", "--from", NATION)
    assert (first["source"], first["version"]) == (NATION, 2)
    [facts] = json.loads(call(province, "agencies", "list", "tai chinh", "--json").stdout)
    assert (facts["code"], facts["aliases"], facts["parent"]) == ("H41.5", ["000.00.05.H41"], NEIGHBOUR)
    assert facts["through"] == NATION
    [missing] = answered(province, "status", "--details")["missing"]
    assert missing["code"] == "H37.99"
    again = answered(province, "sync", "--from", NATION, "--full")
    assert (again["version"], again["counts"].get("updated", 0)) == (None, 0)


def test_a_wrong_secret_is_named(nation: RunningGateway, tmp_path: Path) -> None:
    province = a_province(tmp_path / "h37", axis_at(f"{nation.url}/vxp"))
    a_system(nation, SYSTEM, PROVINCE, gateway_system=True)
    province.set_secret("axis", "another secret of the right form")
    failed = call(province, "catalogue", "sync", "--from", NATION, "--json", code=4)
    assert json.loads(failed.stderr)["error"]["code"] == "axis.not_authenticated"


def test_an_axis_that_does_not_answer_may_later(idle: RunningGateway) -> None:
    idle.set_secret("axis", "x" * 20)
    call(idle, "catalogue", "sync", "--from", NATION, code=3)


def test_only_vxp_has_a_catalogue(tmp_path: Path) -> None:
    province = a_province(tmp_path / "h37", MAILBOX)
    failed = call(province, "catalogue", "sync", "--from", NATION, "--json", code=4)
    assert json.loads(failed.stderr)["error"]["code"] == "delivery.endpoint_misconfigured"


def test_saved_answers_are_put_in_force(idle: RunningGateway, tmp_path: Path) -> None:
    units = saved(tmp_path, "units.json", NGHE_AN, FINANCE)
    level = saved(tmp_path, "level2.json", {"id": 7, "code": "H41.5", "name": "x", "code102": "000.00.05.H41"})
    run = answered(idle, "sync", "--file", units, "--level-file", level)
    assert (run["counts"]["added"], run["source"], run["version"]) == (2, "units.json, level2.json", 2)
    [unit] = answered(idle, "search", "so tai chinh")
    assert (unit["code"], unit["agency"]["aliases"], unit["standing"]) == ("H41.5", ["000.00.05.H41"], "in_force")


def test_a_sync_that_changes_the_directory_leaves_an_event(idle: RunningGateway, tmp_path: Path) -> None:
    units = saved(tmp_path, "units.json", NGHE_AN, FINANCE)
    answered(idle, "sync", "--file", units)
    answered(idle, "sync", "--file", units)
    ledger = idle.ledger()
    [event] = [e for e in ledger.events(limit=10) if e.action == Action.DIRECTORY_CHANGED]
    ledger.engine.dispose()
    assert event.data is not None
    assert (event.data["version"], event.data["added"], event.data["source"]) == (2, 2, "units.json")


def test_an_unusable_answer_names_the_file(idle: RunningGateway, tmp_path: Path) -> None:
    path = tmp_path / "units.json"
    path.write_text("<html>502 Bad Gateway</html>")
    failed = call(idle, "catalogue", "sync", "--file", str(path), "--json", code=4)
    error = json.loads(failed.stderr)["error"]
    assert error["code"] == "catalogue.unusable"
    assert error["detail"].startswith("units.json: ")


@pytest.mark.parametrize("arguments", [(), ("--from", NATION, "--file", "x.json")], ids=["neither", "both"])
def test_the_catalogue_comes_from_one_place(
    idle: RunningGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    saved(tmp_path, "x.json", NGHE_AN)
    monkeypatch.chdir(tmp_path)
    call(idle, "catalogue", "sync", *arguments, code=2)


def test_the_own_agencies_are_listed_without_those_of_the_catalogue(idle: RunningGateway, tmp_path: Path) -> None:
    answered(idle, "sync", "--file", saved(tmp_path, "units.json", NGHE_AN, FINANCE))
    listed = json.loads(call(idle, "agencies", "list", "--json").stdout)
    assert {agency["code"] for agency in listed} == {PROVINCE, NATION}


@pytest.mark.parametrize("language", ["vi", "en"])
def test_people_read_the_state_in_their_language(idle: RunningGateway, tmp_path: Path, language: str) -> None:
    rows = [NGHE_AN, FINANCE, a_unit("x", "H44.9", "a"), a_unit("p", "H37", deleted=True), a_unit("q", "H37.99", "p")]
    call(idle, "catalogue", "sync", "--file", saved(tmp_path, "units.json", *rows), language=language)
    shown = call(idle, "catalogue", "status", "--details", language=language).stdout
    assert {"H44.9", "H37.99", PROVINCE, "units.json"} <= set(shown.split())
    assert ("own file" in shown) is (language == "en")
