"""The provincial protocol as it is served: its page's examples run, and a large package is never held."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.api.lgsp.answers import NUMBERS, http_status_of, number_of
from gateway.errors import every_error
from gateway.model import AgencyCode, Level
from tests.support import documents
from tests.support.agencies import MAILBOX, an_agency
from tests.support.gateways import RunningGateway, a_gateway
from tests.support.pages import example
from tests.support.programs import needs
from tests.support.systems import a_system
from tests.support.vxp_client import LgspClient

PAGE = Path(__file__).resolve().parents[3] / "docs" / "integrate" / "lgsp.md"
PROVINCE, SENDER, COMMUNE = AgencyCode("000.00.00.H37"), AgencyCode("000.00.14.H37"), AgencyCode("H37.21")
LARGE = 48 * 1024 * 1024
"""Bytes of a file; held once it would be seen, and Base64 holds it twice."""


@dataclass
class Served:
    """A gateway and the secrets of two systems."""

    gateway: RunningGateway
    secrets: dict[str, str]

    @property
    def peak(self) -> int:
        """The most memory that the web process has had, in bytes."""
        assert self.gateway.process is not None
        status = Path(f"/proc/{self.gateway.process.pid}/status").read_text(encoding="ascii")
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One gateway for the tests of this page."""
    agencies = [
        an_agency(PROVINCE, "H37", level=Level.PROVINCE, endpoint=MAILBOX),
        an_agency(SENDER, parent=PROVINCE, endpoint=MAILBOX),
        an_agency(COMMUNE, level=Level.COMMUNE, parent=PROVINCE, endpoint=MAILBOX),
    ]
    gateway = a_gateway(tmp_path_factory.mktemp("lgsp"), code=PROVINCE, agencies=agencies, first_levels=["H37"])
    secrets = {"S": a_system(gateway, "S", SENDER), "R": a_system(gateway, "R", COMMUNE)}
    gateway.start()
    yield Served(gateway, secrets)
    gateway.stop()


def to_commune(**changes: Any) -> bytes:
    return documents.a_package(recipients=(documents.an_organization(COMMUNE),), **changes)


def test_the_python_of_the_page_sends_and_collects(served: Served, tmp_path: Path) -> None:
    space: dict[str, Any] = {}
    exec(compile(example(PAGE, "python", "# lgsp.py"), "lgsp.py", "exec"), space)  # the page's own code
    exchange, url = space["exchange"], f"{served.gateway.url}/lgsp"
    assert exchange(url, "S", served.secrets["S"], to_commune(), tmp_path) == []
    (doc_id,) = exchange(url, "R", served.secrets["R"], None, tmp_path)
    assert b"SA-VP" in (tmp_path / f"{doc_id}.edxml").read_bytes()
    assert exchange(url, "R", served.secrets["R"], None, tmp_path) == []
    with pytest.raises(RuntimeError, match=r"package\.malformed"):
        exchange(url, "S", served.secrets["S"], b"x", tmp_path)
    with pytest.raises(RuntimeError, match=r"request\.not_authenticated"):
        exchange(url, "S", "x", None, tmp_path)


@needs("bash", "curl")
def test_the_curl_of_the_page_sends_and_lists(served: Served, tmp_path: Path) -> None:
    (tmp_path / "van-ban.edxml").write_bytes(to_commune(document_id="000.00.14.H37,2026/03/05,curl"))
    own = {"GATEWAY_URL": served.gateway.url, "SYSTEM": "S", "SECRET": served.secrets["S"], "PATH": os.environ["PATH"]}
    script = example(PAGE, "sh").replace('-F "messageType=edoc"', '-F "messageType=edoc"; echo')
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path, env=own, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    sent, listed = map(json.loads, done.stdout.splitlines())
    assert sent["docId"]
    assert (listed["code"], listed["data"]) == (200, [])


def test_the_ten_lines_of_the_page_send(served: Served, tmp_path: Path) -> None:
    own = {"GATEWAY_URL": served.gateway.url, "SYSTEM": "S", "SECRET": served.secrets["S"]}
    (tmp_path / "van-ban.edxml").write_bytes(to_commune(document_id="000.00.14.H37,2026/03/05,ten"))
    done = subprocess.run(
        [sys.executable, "-c", example(PAGE, "python", "# send.py"), "van-ban.edxml"],
        cwd=tmp_path, env=os.environ | own, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "'code': 200" in done.stdout


@pytest.mark.slow
def test_a_large_package_passes_without_being_held(served: Served) -> None:
    sender = LgspClient(served.gateway.port, "S", served.secrets["S"])
    receiver = LgspClient(served.gateway.port, "R", served.secrets["R"])
    sender.login()
    receiver.login()
    raw = to_commune(document_id="000.00.14.H37,2026/03/05,large", contents={"main": documents.PDF + os.urandom(LARGE)})
    before = served.peak
    doc_id = sender.send(raw).json()["docId"]
    ledger = served.gateway.ledger()
    (delivery,) = ledger.deliveries(doc_id)
    ledger.engine.dispose()
    package = base64.b64decode(receiver.fetch(delivery.id).json()["data"]["data"], validate=True)
    assert package == raw
    assert served.peak - before < LARGE / 2


# The table of numbers


def table() -> list[list[str]]:
    text = (
        PAGE.read_text(encoding="utf-8").partition("<!-- numbers: begin -->")[2].partition("<!-- numbers: end -->")[0]
    )
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")
    ]
    return cells[2:]


def test_the_page_explains_every_number_that_is_used() -> None:
    shown = {number for row in table() for number in re.findall(r"\d+", row[0])}
    used = {str(number_of(error) or http_status_of(error)) for error in every_error()}
    assert used <= shown
    assert {str(number) for number in NUMBERS.values() if number is not None} <= shown


def test_the_page_says_which_http_status_goes_with_each_number() -> None:
    shown = {number: row[1] for row in table() for number in re.findall(r"\d+", row[0])}
    for error in every_error():
        number, http = str(number_of(error) or http_status_of(error)), str(http_status_of(error))
        assert shown[number] == "the same" or http in shown[number], (error.code, number, http)


def test_every_number_of_the_protocol_is_used() -> None:
    assert {number for number in NUMBERS.values() if number} == {10, 15, 18, 19, 20, 21, 22, 23}
