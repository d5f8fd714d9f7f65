"""The examples of ``docs/integrate/vxp.md`` work as they stand, against a running gateway."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.model import Level
from tests.support import documents
from tests.support.agencies import an_agency
from tests.support.exchange import COMMUNE, DEPARTMENT, MAILBOX, PROVINCE
from tests.support.gateways import RunningGateway, a_gateway
from tests.support.pages import example
from tests.support.programs import needs
from tests.support.systems import a_system

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "integrate" / "vxp.md"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RunningGateway]:
    agencies = [
        an_agency(PROVINCE, level=Level.PROVINCE, endpoint=MAILBOX),
        an_agency(DEPARTMENT, level=Level.DEPARTMENT, parent=PROVINCE, endpoint=MAILBOX),
        an_agency(COMMUNE, level=Level.COMMUNE, parent=PROVINCE, endpoint=MAILBOX),
    ]
    made = a_gateway(tmp_path / "gateway", code=PROVINCE, agencies=agencies, first_levels=["H37"])
    yield made
    made.stop()


def a_letter() -> bytes:
    return documents.a_package(recipients=(documents.an_organization(COMMUNE),))


def test_the_ten_lines_of_the_page_send(gateway: RunningGateway, tmp_path: Path) -> None:
    secret = a_system(gateway, "H37.DEP", DEPARTMENT)
    gateway.start()
    own = {"GATEWAY_URL": gateway.url, "SYSTEM": "H37.DEP", "SECRET": secret}
    (tmp_path / "van-ban.edxml").write_bytes(a_letter())
    done = subprocess.run(
        [sys.executable, "-c", example(PAGE, "python", "# send.py"), "van-ban.edxml"],
        cwd=tmp_path, env=os.environ | own, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "'ErrorCode': '0'" in done.stdout


def test_the_example_in_python_sends_and_collects(gateway: RunningGateway, tmp_path: Path) -> None:
    sender, receiver = a_system(gateway, "H37.DEP", DEPARTMENT), a_system(gateway, "H37.COM", COMMUNE)
    gateway.start()
    space: dict[str, Any] = {}
    exec(compile(example(PAGE, "python", "# vxp.py"), "vxp.py", "exec"), space)  # the page's own code
    exchange, url = space["exchange"], f"{gateway.url}/vxp"
    assert exchange(url, "H37.DEP", sender, a_letter(), tmp_path) == []
    [doc_id] = exchange(url, "H37.COM", receiver, None, tmp_path)
    assert (tmp_path / f"{doc_id}.edxml").read_bytes().startswith(b"<?xml")
    assert exchange(url, "H37.COM", receiver, None, tmp_path) == []
    with pytest.raises(RuntimeError, match=r"^15: .*\[request\.headers_not_signed\]$"):
        exchange(url, "H37.COM", sender, None, tmp_path)


@needs("bash", "curl", "openssl")
def test_the_example_in_curl_sends_and_lists(gateway: RunningGateway, tmp_path: Path) -> None:
    secret = a_system(gateway, "H37.BOTH", DEPARTMENT, COMMUNE)
    gateway.start()
    (tmp_path / "van-ban.edxml").write_bytes(a_letter())
    own = {"GATEWAY_URL": gateway.url, "SYSTEM": "H37.BOTH", "SECRET": secret}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", example(PAGE, "sh")],
        cwd=tmp_path, env=os.environ | own, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    sent, waiting = (json.loads(f"{{{part}") for part in done.stdout.split("{", 2)[1:])
    assert sent["DocId"]
    assert [row["to"] for row in waiting["data"]] == [COMMUNE]


def test_a_signed_header_of_a_thousand_recipients_reaches_each_server(gateway: RunningGateway) -> None:
    secret = a_system(gateway, "H37.DEP", DEPARTMENT)
    space: dict[str, Any] = {}
    exec(compile(example(PAGE, "python", "# vxp.py"), "vxp.py", "exec"), space)  # the page's own code
    to = json.dumps([f"000.00.{i % 100:02}.H{i // 100 + 10}" for i in range(1_000)], separators=(",", ":"))
    for processes in (1, 2):
        gateway.start(processes=processes)
        answer = space["call"](
            f"{gateway.url}/vxp", "H37.DEP", secret, "sendEdoc", a_letter(), messagetype="edoc", to=to
        )
        assert answer["ErrorDesc"] == "Thanh cong"
        gateway.stop()
