"""The checks of the kit see what they are for: our gateway with one thing wrong fails just the rule about it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gateway.conformance import lgsp_checks, vxp_checks
from gateway.conformance.lgsp_checks import Lgsp
from gateway.conformance.rules import Outcome, Report
from gateway.conformance.vxp_checks import Vxp
from gateway.conformance.wire import Answer, Server
from gateway.model import AgencyCode, Level
from tests.support.agencies import MAILBOX, an_agency
from tests.support.gateways import a_gateway
from tests.support.systems import a_system

PROVINCE, OWN = AgencyCode("000.00.00.H37"), AgencyCode("000.00.14.H37")
SYSTEM = "H37.QLVB"

Alter = Callable[["Said", Answer], Answer]


@dataclass(frozen=True)
class Said:
    """What was asked."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    fetched: set[str]
    """Ids that were fetched before."""

    @property
    def call(self) -> str:
        return self.target.partition("?")[0].rpartition("/")[2]

    def logical(self, name: str) -> str:
        """A header of the national kit."""
        return self.headers.get(f"XroadVnpt-{name}", "")


@dataclass(frozen=True, kw_only=True)
class Liar(Server):
    """A gateway of ours whose answers are altered on their way."""

    alter: Alter
    fetched: set[str] = field(default_factory=set)

    def ask(
        self, method: str, target: str, headers: Sequence[tuple[str, str]], body: bytes = b"", *, waits: bool = False
    ) -> Answer:
        """As its base, and then untrue."""
        said = Said(method, target, dict(headers), body, set(self.fetched))
        answer = super().ask(method, target, headers, body, waits=waits)
        if said.call == "getEdoc":
            self.fetched.add(said.logical("docId") or target.rpartition("=")[2])
        return self.alter(said, answer)


def with_json(answer: Answer, **changes: Any) -> Answer:
    content = json.loads(answer.body) | changes
    return replace(answer, body=json.dumps(content, ensure_ascii=False).encode())


def html(_: Said, answer: Answer) -> Answer:
    return replace(answer, status=502, body=b"<html>Bad Gateway</html>", headers={"content-type": "text/html"})


def believes_everybody(said: Said, answer: Answer) -> Answer:
    if said.call == "getReceivedEdocList":
        return with_json(answer, status="OK", ErrorCode="0", data=[])
    return answer


def numbers(_: Said, answer: Answer) -> Answer:
    """ErrorCode as a number, where the kit compares texts."""
    return with_json(answer, ErrorCode=int(json.loads(answer.body).get("ErrorCode", "0")))


def accents(said: Said, answer: Answer) -> Answer:
    return with_json(answer, ErrorDesc="Sai định dạng") if said.call == "sendEdoc" else answer


def another_id(said: Said, answer: Answer) -> Answer:
    """Every send makes a new document."""
    if said.call == "sendEdoc" and json.loads(answer.body)["status"] == "OK":
        return with_json(answer, DocId=str(id(said)))
    return answer


def destroys(said: Said, answer: Answer) -> Answer:
    """As a server does that takes packages for text."""
    if said.call == "getEdoc" and json.loads(answer.body)["status"] == "OK":
        spoilt = base64.b64decode(json.loads(answer.body)["data"]).replace(b">JVBERi0", b">JVBERi8", 1)
        return with_json(answer, data=base64.b64encode(spoilt).decode())
    return answer


def fetching_is_acknowledging(said: Said, answer: Answer) -> Answer:
    if said.call == "getReceivedEdocList":
        rows = [row for row in json.loads(answer.body).get("data", []) if row["docId"] not in said.fetched]
        return with_json(answer, data=rows)
    return answer


def lacks_a_member(said: Said, answer: Answer) -> Answer:
    if said.call == "getReceivedEdocList":
        rows = [{k: v for k, v in row.items() if k != "from"} for row in json.loads(answer.body).get("data", [])]
        return with_json(answer, data=rows)
    return answer


def forgets_what_was_sent(said: Said, answer: Answer) -> Answer:
    return with_json(answer, data=[]) if said.call == "getSentEdocList" else answer


def texts(said: Said, answer: Answer) -> Answer:
    """The version of a unit as a text."""
    if said.call == "getSynchronizeUnit":
        return with_json(answer, data=[row | {"version": "1"} for row in json.loads(answer.body)["data"]])
    return answer


LIES: list[tuple[Alter, str]] = [
    (html, "vxp.envelope"),
    (believes_everybody, "vxp.signature.wrong"),
    (believes_everybody, "vxp.signature.differs"),
    (believes_everybody, "vxp.signature.unknown"),
    (numbers, "vxp.envelope"),
    (accents, "vxp.answer.ascii"),
    (another_id, "vxp.send.repeated"),
    (destroys, "vxp.get"),
    (fetching_is_acknowledging, "vxp.list.again"),
    (lacks_a_member, "vxp.list"),
    (forgets_what_was_sent, "vxp.sent"),
    (texts, "vxp.agencies.synchronise"),
]


@dataclass
class Truth:
    """A gateway of ours, and the system that examines it."""

    url: str
    secret: str

    def vxp(self, alter: Alter) -> Report:
        """Examined through a liar."""
        server = Liar(url=f"{self.url}/vxp", alter=alter)
        return Report(tuple(vxp_checks.book.run(Vxp(server, SYSTEM, self.secret, sender=OWN, receiver=OWN))))

    def lgsp(self, alter: Alter) -> Report:
        """As well."""
        server = Liar(url=f"{self.url}/lgsp", alter=alter)
        lgsp = Lgsp(server, SYSTEM, self.secret, username=SYSTEM, password=self.secret, application="edoc",
                    sender=OWN, receiver=OWN)  # fmt: skip
        return Report(tuple(lgsp_checks.book.run(lgsp)))


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Truth]:
    agencies = [
        an_agency(PROVINCE, level=Level.PROVINCE, endpoint=MAILBOX),
        an_agency(OWN, parent=PROVINCE, endpoint=MAILBOX),
    ]
    web = {"rate_limit": "1000000 per minute"}
    gateway = a_gateway(
        tmp_path_factory.mktemp("truth"), code=PROVINCE, agencies=agencies, first_levels=["H37"], web=web
    )
    secret = a_system(gateway, SYSTEM, OWN)
    gateway.start()
    yield Truth(gateway.url, secret)
    gateway.stop()


def failed(report: Report) -> set[str]:
    return {line.rule.id for line in report.lines if line.outcome is Outcome.FAIL}


def test_the_truth_passes(truth: Truth) -> None:
    def nothing(_: Said, answer: Answer) -> Answer:
        return answer

    assert failed(truth.vxp(nothing)) | failed(truth.lgsp(nothing)) == set()


@pytest.mark.parametrize(("alter", "rule"), LIES, ids=[f"{alter.__name__}-{rule}" for alter, rule in LIES])
def test_a_lie_is_seen_by_its_rule(truth: Truth, alter: Alter, rule: str) -> None:
    assert rule in failed(truth.vxp(alter))


def test_every_failure_says_why_in_both_languages(truth: Truth) -> None:
    lines = [line for line in truth.vxp(html).lines if line.outcome is Outcome.FAIL]
    assert lines
    assert all(line.reason and line.reason.vi and line.reason.en for line in lines)


def lgsp_any_day(said: Said, answer: Answer) -> Answer:
    """A window of any length is good, and one of a day has something in it."""
    if said.call == "syncReceivedEdocList" and answer.status != 401:
        rows = json.loads(answer.body).get("data") or [{"docId": "x"}]
        return replace(with_json(answer, success=True, code=200, data=rows), status=200)
    return answer


def lgsp_other_numbers(_: Said, answer: Answer) -> Answer:
    content = json.loads(answer.body)
    good = content.get("code") in (0, 200)
    return answer if good else replace(answer, body=json.dumps({"code": 20, "message": "Loi"}).encode())


def lgsp_no_401(_: Said, answer: Answer) -> Answer:
    return replace(answer, status=200) if answer.status == 401 else answer


@pytest.mark.parametrize(
    ("alter", "rule"),
    [
        (html, "lgsp.login"),
        (lgsp_any_day, "lgsp.list.week"),
        (lgsp_any_day, "lgsp.list.exclusive"),
        (lgsp_other_numbers, "lgsp.headers.secret"),
        (lgsp_other_numbers, "lgsp.send.unknown-recipient"),
        (lgsp_no_401, "lgsp.token"),
    ],
)
def test_a_lie_of_the_provincial_axis_is_seen_by_its_rule(truth: Truth, alter: Alter, rule: str) -> None:
    assert rule in failed(truth.lgsp(alter))
