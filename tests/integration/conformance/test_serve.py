"""``gateway conformance serve``: what a client does right and wrong is told rule by rule."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import exits
from gateway.conformance import samples
from gateway.conformance.axis import PARTNER
from gateway.conformance.rules import Outcome
from gateway.conformance.stand import RULES, a_stand
from gateway.conformance.watch import Watch
from gateway.model import AgencyCode, StatusCode
from tests.support import documents
from tests.support.vxp_client import Kit, LgspClient, Reply

AGENCY = AgencyCode("000.00.14.H37")
SYSTEM, SECRET = "H37.QLVB", "bi-mat-de-thu"


@dataclass
class Stand:
    """The kit's server, served."""

    protocol: str
    port: int
    watch: Watch

    def outcomes(self) -> dict[str, str]:
        """Rule → outcome, without the protocol's name."""
        return {r.rule.id.partition(".")[2]: r.outcome.value for r in self.watch.report().lines}

    def kit(self, **habits: Any) -> Kit:
        """The national kit's client."""
        return Kit(self.port, SYSTEM, SECRET, **habits)

    def lgsp(self) -> LgspClient:
        """A client of the provincial axis."""
        return LgspClient(self.port, SYSTEM, SECRET)


@contextlib.contextmanager
def served(protocol: str, *, faults: bool = True) -> Iterator[Stand]:
    watch = Watch(protocol, RULES[protocol])
    server = a_stand(
        ("127.0.0.1", 0), watch, protocol=protocol, system=SYSTEM, secret=SECRET, agency=AGENCY, faults=faults
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Stand(protocol, server.port, watch)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def vxp() -> Iterator[Stand]:
    with served("vxp") as stand:
        yield stand


@pytest.fixture
def lgsp() -> Iterator[Stand]:
    with served("lgsp") as stand:
        yield stand


def a_letter(**changes: Any) -> bytes:
    """A document of the client to the kit's agency."""
    return documents.a_package(
        **{"sender": documents.an_organization(AGENCY), "recipients": (documents.an_organization(PARTNER),)} | changes
    )


def until_answered(call: Callable[[], Reply]) -> Reply:
    """As a client that is right does: the same once more when there was no answer, or none that can be read."""
    for _ in range(3):
        with contextlib.suppress(AssertionError, ValueError, OSError):
            reply = call()
            reply.json()
            return reply
    raise AssertionError("no answer")


def report(letter: samples.Letter, code: StatusCode) -> bytes:
    """What the client says of a document that it received."""
    return samples.a_report(letter, AGENCY, code)


def letter_of(raw: bytes) -> samples.Letter:
    """A received package as one that can be reported on."""
    return samples.Letter(envelope=samples.seen_in(raw).envelope, content=b"", raw=raw)


def work(list_ids: Callable[[str], list[str]], fetch: Callable[[str], bytes], done: Callable[[str], Reply],
         send: Callable[[bytes, str], Reply]) -> None:  # fmt: skip
    """A client that does all that it should."""
    until_answered(lambda: send(a_letter(), "edoc"))
    for _ in range(2):  # the recall comes when the first document has arrived
        for doc_id in list_ids("edoc"):
            raw = fetch(doc_id)
            until_answered(lambda d=doc_id: done(d))  # type: ignore[misc]  # mypy cannot see the type of a default
            letter = letter_of(raw)
            if b"BussinessDocType>1<" in raw:
                send(report(letter, StatusCode.AGREED), "status")
            else:
                for code in (StatusCode.ARRIVED, StatusCode.REGISTERED):
                    send(report(letter, code), "status")
    until_answered(lambda: send(report(letter, StatusCode.DISAGREED), "status"))
    for doc_id in list_ids("status"):
        fetch(doc_id)
        until_answered(lambda d=doc_id: done(d))  # type: ignore[misc]  # as above


def test_a_vxp_client_that_is_right_keeps_every_rule(vxp: Stand) -> None:
    kit = vxp.kit()

    def listed(kind: str) -> list[str]:
        return [i["docId"] for i in until_answered(lambda: kit.received(kind)).json()["data"]]

    work(listed, kit.fetched, lambda d: kit.update(d, "done"), lambda raw, kind: kit.send(raw, kind=kind))
    listed("edoc")
    assert {name for name, outcome in vxp.outcomes().items() if outcome != "pass"} == set()


def test_an_lgsp_client_that_is_right_keeps_every_rule(lgsp: Stand) -> None:
    client = lgsp.lgsp()

    def again(call: Callable[[], Reply]) -> Reply:
        reply = until_answered(call)
        if reply.status == 401:
            client.login()
            reply = until_answered(call)
        return reply

    def listed(kind: str) -> list[str]:
        return [i["docId"] for i in again(lambda: client.listed(_day(-1), _day(1), kind=kind)).json()["data"]]

    def fetched(doc_id: str) -> bytes:
        return base64.b64decode(again(lambda: client.fetch(doc_id)).json()["data"]["data"])

    client.login()
    work(listed, fetched, lambda d: again(lambda: client.update(d, "done")),
         lambda raw, kind: again(lambda: client.send(raw, kind=kind)))  # fmt: skip
    listed("edoc")
    assert {name for name, outcome in lgsp.outcomes().items() if outcome != "pass"} == set()


def _day(offset: int) -> str:
    return f"{datetime.now(UTC) + timedelta(hours=7, days=offset):%Y/%m/%d}"


@pytest.mark.parametrize("habits", [{"expects": True}, {"lower_case": True}, {"pads": True}, {"crlf": False}])
def test_habits_of_kits_are_no_faults(habits: dict[str, Any]) -> None:
    with served("vxp", faults=False) as stand:
        assert stand.kit(**habits).send(a_letter()).ok
        assert "fail" not in stand.outcomes().values()


# What is wrong is named


def test_a_wrong_mac_is_told(vxp: Stand) -> None:
    Kit(vxp.port, SYSTEM, "another").received()
    assert vxp.outcomes()["signature"] == "fail"


def test_headers_other_than_signed_are_told(vxp: Stand) -> None:
    kit = vxp.kit()
    kit.spoil = lambda headers: headers.update({"XroadVnpt-messagetype": "status"})
    kit.received()
    assert vxp.outcomes()["signature.headers"] == "fail"


def test_leaked_headers_are_no_fault(vxp: Stand) -> None:
    kit = vxp.kit()
    kit.received()
    kit.update("x", "done")
    kit.received()
    assert vxp.outcomes()["signature.headers"] == "pass"


def test_two_spellings_of_one_name_are_no_fault() -> None:
    """``docId`` of the fetch is left over in an updateStatus that says ``docid``."""
    with served("vxp", faults=False) as stand:
        kit = stand.kit()
        kit.send(a_letter())
        (document, *_), (status, *_) = kit.waiting_ids(), kit.waiting_ids("status")
        kit.fetched(document)
        kit.fetched(status)
        assert kit.update(document, "done", name="docid").ok
        assert stand.outcomes()["signature.headers"] == "pass"
        assert (document in kit.waiting_ids(), status in kit.waiting_ids("status")) == (False, True)


def test_a_wrong_hash_file_is_told(vxp: Stand) -> None:
    vxp.kit().send(a_letter(), file_hash="0" * 64)
    assert vxp.outcomes()["hash-file"] == "fail"


def test_what_is_no_package_is_told(vxp: Stand) -> None:
    assert not vxp.kit().send(b"<edXML").ok
    assert vxp.outcomes()["send.package"] == "fail"


def test_another_agency_as_sender_is_told(vxp: Stand) -> None:
    assert not vxp.kit().send(a_letter(sender=documents.an_organization("000.00.15.H37"))).ok
    assert vxp.outcomes()["send.from"] == "fail"


def test_a_uuid_as_document_id_is_told(vxp: Stand) -> None:
    package = a_letter(document_id="9f1c2f0e-6a52-4c5b-8a5f-1f2e3d4c5b6a")
    with contextlib.suppress(AssertionError):
        vxp.kit().send(package)
    assert vxp.outcomes()["send.document-id"] == "fail"


def test_a_status_sent_as_a_document_is_told(vxp: Stand) -> None:
    kit = vxp.kit()
    letter = letter_of(kit.fetched(kit.waiting_ids()[0]))
    kit.send(report(letter, StatusCode.ARRIVED), kind="edoc")
    assert vxp.outcomes()["send.kind"] == "fail"


def test_a_second_document_id_after_a_lost_answer_is_told(vxp: Stand) -> None:
    """How documents come twice elsewhere: a new UUID for each try."""
    for name in ("6a52", "4c5b"):
        with contextlib.suppress(AssertionError):
            vxp.kit().send(a_letter(document_id=name))
    assert vxp.outcomes()["send.ambiguous"] == "fail"


def test_a_look_into_the_sent_list_after_a_lost_answer_is_right(vxp: Stand) -> None:
    with contextlib.suppress(AssertionError):
        vxp.kit().send(a_letter())
    assert vxp.kit().sent().json()["data"][0]["notation"] == "07/SA-VP"
    assert vxp.outcomes()["send.ambiguous"] == "pass"


def test_done_without_fetching_is_told(vxp: Stand) -> None:
    kit = vxp.kit()
    assert kit.update(kit.waiting_ids()[0], "done").ok
    assert vxp.outcomes()["ack.after-get"] == "fail"


def test_a_report_on_nothing_is_told(vxp: Stand) -> None:
    kit = vxp.kit()
    kit.send(documents.a_status_package(sender=documents.an_organization(AGENCY)), kind="status")
    assert vxp.outcomes()["status.about"] == "fail"


def test_what_nobody_did_is_open(vxp: Stand) -> None:
    assert set(vxp.outcomes().values()) == {Outcome.OPEN.value}


def test_on_a_good_day_nothing_is_lost() -> None:
    with served("vxp", faults=False) as stand:
        kit = stand.kit()
        assert kit.send(a_letter()).ok
        assert [kit.received().status for _ in range(3)] == [200, 200, 200]
        assert kit.update(kit.waiting_ids()[0], "done").ok


def test_a_call_without_the_two_headers_is_told(lgsp: Stand) -> None:
    client = lgsp.lgsp()
    client.login()
    client.call("GET", "/v1/getEdoc?docId=x", leave_out=["X-SecretKey"])
    assert lgsp.outcomes()["headers"] == "fail"


def test_a_body_in_chunks_is_told(lgsp: Stand) -> None:
    client = lgsp.lgsp()
    client.login()
    assert client.send(a_letter(), length=False).status == 411
    assert lgsp.outcomes()["send.length"] == "fail"


@pytest.mark.parametrize(("days", "outcome"), [((0, 0), "fail"), ((-9, -2), "open"), ((-1, 1), "pass")])
def test_a_window_without_a_day_is_told(lgsp: Stand, days: tuple[int, int], outcome: str) -> None:
    client = lgsp.lgsp()
    client.login()
    client.listed(*map(_day, days))
    assert lgsp.outcomes()["list.exclusive"] == outcome


def test_a_login_for_each_call_is_told(lgsp: Stand) -> None:
    client = lgsp.lgsp()
    for _ in range(11):
        client.login()
        client.listed(_day(-1), _day(1))
    assert lgsp.outcomes()["login.shared"] == "fail"


# The command


def test_the_command_serves_reports_and_ends(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    port_file = tmp_path / "port"
    command = ["-m", "gateway", "--lang", "en", "conformance", "serve", "--protocol", "vxp", "--port", "0"]
    command += ["--port-file", str(port_file), "--system", SYSTEM, "--agency", AGENCY, "--json"]
    process = subprocess.Popen(
        [sys.executable, *command, "--secret-file", str(tmp_path / "secret")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 30
        while not (port_file.exists() and port_file.read_text().strip()):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        port = int(port_file.read_text())
        Kit(port, SYSTEM, "wrong").received()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/conformance", timeout=60) as answer:
            live = json.load(answer)
    finally:
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=30)
    assert process.returncode == exits.FAILED
    assert json.loads(output) == live
    assert "FAIL  vxp-client.signature" in errors
