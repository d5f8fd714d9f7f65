"""
Every rule of the provincial axis' protocol (domain §2.2), said to a running gateway.

The client is ``tests/support/vxp_client.py``, which knows nothing but the description.
"""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.model import AgencyCode, DocumentId, DocumentNumber, Level, StatusCode
from tests.support import documents
from tests.support.agencies import MAILBOX, an_agency
from tests.support.databases import PARAMS
from tests.support.gateways import RunningGateway, a_gateway
from tests.support.systems import a_system
from tests.support.vxp_client import LgspClient, Part, Reply, multipart

pytestmark = pytest.mark.timeout(600)

PROVINCE, SENDER = AgencyCode("000.00.00.H37"), AgencyCode("000.00.14.H37")
COMMUNE, STRANGER = AgencyCode("H37.21"), AgencyCode("000.00.15.H37")
OLD, NEW, OTHER_NEW = AgencyCode("000.00.24.H37"), AgencyCode("H37.31"), AgencyCode("H37.32")
VIETNAM = timedelta(hours=7)
_NUMBERS = itertools.count(1)


@dataclass
class Wire:
    """A gateway and the secrets of the systems that call it."""

    gateway: RunningGateway
    secrets: dict[str, str]

    def client(self, system: str, *, logs_in: bool = True) -> LgspClient:
        """A client of a system, with a token."""
        client = LgspClient(self.gateway.port, system, self.secrets[system])
        if logs_in:
            succeeded(client.login())
        return client


@pytest.fixture(scope="module", params=PARAMS)
def wire(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """One gateway for all tests of this page, on each engine: each sends documents of its own."""
    server = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
    agencies = [
        an_agency(PROVINCE, "H37", level=Level.PROVINCE, endpoint=MAILBOX),
        an_agency(SENDER, parent=PROVINCE, endpoint=MAILBOX),
        an_agency(STRANGER, parent=PROVINCE, endpoint=MAILBOX),
        an_agency(COMMUNE, level=Level.COMMUNE, parent=PROVINCE, endpoint=MAILBOX),
        an_agency(NEW, level=Level.COMMUNE, parent=PROVINCE, endpoint=MAILBOX),
        an_agency(OTHER_NEW, level=Level.COMMUNE, parent=PROVINCE, endpoint=MAILBOX),
        an_agency(OLD, level=Level.DISTRICT, parent=PROVINCE, valid_to=yesterday, successors=(NEW, OTHER_NEW)),
    ]
    gateway = a_gateway(
        tmp_path_factory.mktemp("lgsp"),
        code=PROVINCE,
        agencies=agencies,
        first_levels=["H37"],
        web={"rate_limit": "1000000 per minute"},
        ledger_url=server.empty_database() if server else None,
        delivery={"wait_factor": 1},  # what failed stays away for longer than a test lasts
    )
    secrets = {
        "H37.DN.001": a_system(gateway, "H37.DN.001", SENDER),
        "H37.DN.021": a_system(gateway, "H37.DN.021", COMMUNE),
        "H37.DN.015": a_system(gateway, "H37.DN.015", STRANGER),
    }
    gateway.start()
    yield Wire(gateway, secrets)
    gateway.stop()


@pytest.fixture(scope="module")
def sender(wire: Wire) -> LgspClient:
    """The department's system, logged in."""
    return wire.client("H37.DN.001")


@pytest.fixture(scope="module")
def receiver(wire: Wire) -> LgspClient:
    """The commune's."""
    return wire.client("H37.DN.021")


def a_letter(to: str = COMMUNE, *, sender: str = SENDER, **changes: Any) -> bytes:
    """A document that no other test has."""
    number = next(_NUMBERS)
    return documents.a_package(
        **{
            "sender": documents.an_organization(sender),
            "recipients": (documents.an_organization(to),),
            "document_id": DocumentId(f"{sender},2026/03/05,{number}/SA-VP"),
            "number": DocumentNumber(number=str(number), notation="SA-VP"),
        }
        | changes
    )


def succeeded(reply: Reply) -> Any:
    """The data of an answer in the shape that the axis really has."""
    content = reply.json()
    assert (reply.status, content["code"]) in {(200, 200), (200, 0)}, content
    return content.get("data")


def error_code(reply: Reply) -> int:
    """The number of a failure."""
    content = reply.json()
    assert isinstance(content["message"], str)
    assert content["code"] not in (0, 200), content
    return int(content["code"])


def day(offset: int) -> str:
    """A date of Vietnam, so many days from today."""
    return f"{datetime.now(UTC) + VIETNAM + timedelta(days=offset):%Y/%m/%d}"


def waiting(client: LgspClient, kind: str = "edoc") -> list[str]:
    """The ``docId`` of all that is listed: two days, since the last one does not count."""
    return [item["docId"] for item in succeeded(client.listed(day(-1), day(1), kind=kind))]


def one_waiting(sender: LgspClient, receiver: LgspClient) -> tuple[bytes, str]:
    """A new letter and the ``docId`` under which the receiver has it."""
    before = set(waiting(receiver))
    letter = a_letter()
    succeeded(sender.send(letter))
    (doc_id,) = set(waiting(receiver)) - before
    return letter, doc_id


def fetched(client: LgspClient, doc_id: str) -> bytes:
    """The package of a ``docId``."""
    return base64.b64decode(succeeded(client.fetch(doc_id))["data"], validate=True)


# login


def test_login_gives_a_token(wire: Wire) -> None:
    client = wire.client("H37.DN.001", logs_in=False)
    assert succeeded(client.login())["token"] == client.token


def test_a_wrong_password_gives_none(wire: Wire) -> None:
    client = wire.client("H37.DN.001", logs_in=False)
    reply = client.login(password="wrong")
    assert reply.status in (200, 401)
    assert error_code(reply) in (15, 401)
    assert client.token is None


@pytest.mark.parametrize("changes", [{"username": None}, {"password": 7}, {"username": "x" * 100_000}])
def test_a_login_of_another_shape_is_refused(wire: Wire, changes: dict[str, Any]) -> None:
    client = wire.client("H37.DN.001", logs_in=False)
    client.login(**changes)
    assert client.token is None


def test_a_newer_login_leaves_the_older_token_alone(wire: Wire) -> None:
    """Friendlier than the real axis, where it dies."""
    first, second = wire.client("H37.DN.001"), wire.client("H37.DN.001")
    assert isinstance(waiting(second), list)
    assert isinstance(waiting(first), list)


def test_a_token_is_good_for_thirty_minutes(wire: Wire) -> None:
    client = wire.client("H37.DN.001")
    payload = str(client.token).split(".")[1]
    facts = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert facts["exp"] - facts["iat"] == 30 * 60


def test_login_takes_the_members_that_clients_send(wire: Wire) -> None:
    """Of the kit's body only user and password count."""
    client = wire.client("H37.DN.001", logs_in=False)
    succeeded(client.login(applicationCode="khac", otp="123456", typeObjs=[]))


# The three headers of every call


@pytest.mark.parametrize("name", ["Authorization", "X-SystemId", "X-SecretKey"])
def test_each_of_the_three_headers_is_needed(wire: Wire, sender: LgspClient, name: str) -> None:
    target = f"/v1/syncReceivedEdocList?messageType=edoc&fromDate={day(-1)}&toDate={day(1)}"
    reply = sender.call("GET", target, leave_out=[name])
    assert error_code(reply) == (401 if name == "Authorization" else 15)


@pytest.mark.parametrize("name", ["X_SystemId", "X_SecretKey"])
def test_a_wrong_system_or_secret_is_15(sender: LgspClient, name: str) -> None:
    assert error_code(sender.call("GET", "/v1/getEdoc?docId=x", **{name: "H37.DN.999"})) == 15


@pytest.mark.parametrize("token", ["", "x", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJIMzcuRE4uMDAxIn0."])
def test_a_token_that_is_none_is_401(wire: Wire, token: str) -> None:
    """The status on which clients log in anew."""
    client = wire.client("H37.DN.001", logs_in=False)
    client.token = token
    assert client.listed(day(-1), day(1)).status == 401


def test_a_token_of_another_system_is_refused(wire: Wire, receiver: LgspClient) -> None:
    client = wire.client("H37.DN.001", logs_in=False)
    client.token = receiver.token
    assert client.listed(day(-1), day(1)).status == 401


# sendEdoc


def test_send_takes_a_file_in_multipart(sender: LgspClient, receiver: LgspClient) -> None:
    letter, doc_id = one_waiting(sender, receiver)
    assert letter.partition(b"<AttachmentEncoded>")[2].split() == (
        fetched(receiver, doc_id).partition(b"<AttachmentEncoded>")[2].split()
    )


def test_send_answers_with_the_document_s_id(sender: LgspClient) -> None:
    assert succeeded(sender.send(a_letter()))["docId"]


def test_the_same_package_again_is_the_same_document(sender: LgspClient) -> None:
    letter = a_letter()
    first, second = (succeeded(sender.send(letter))["docId"] for _ in range(2))
    assert first == second


def test_the_message_type_may_stand_before_the_file(sender: LgspClient) -> None:
    parts = [Part("messageType", b"edoc"), Part("edocFile", a_letter(), "a.edxml", "application/xml")]
    content_type, body = multipart(parts)
    succeeded(sender.call("POST", "/v1/sendEdoc", body, content_type=content_type))


def test_a_body_in_chunks_is_refused(sender: LgspClient) -> None:
    assert sender.send(a_letter(), length=False).status == 411


def test_a_post_without_the_file_is_10(sender: LgspClient) -> None:
    content_type, body = multipart([Part("messageType", b"edoc")])
    assert error_code(sender.call("POST", "/v1/sendEdoc", body, content_type=content_type)) == 10


@pytest.mark.parametrize("body", [b"", b"no XML at all", b"%PDF-1.4"])
def test_what_is_no_package_is_10_or_22(sender: LgspClient, body: bytes) -> None:
    assert error_code(sender.send(body)) in (10, 22)


def test_edxml_that_lacks_what_it_must_have_is_22(sender: LgspClient) -> None:
    assert error_code(sender.send(a_letter(number=DocumentNumber(), subject=None))) == 22


def test_a_recipient_that_does_not_exist_is_18(sender: LgspClient) -> None:
    assert error_code(sender.send(a_letter("H37.99"))) == 18


def test_a_sender_that_is_not_the_system_s_is_19(sender: LgspClient) -> None:
    assert error_code(sender.send(a_letter(sender=STRANGER))) == 19


def test_a_recipient_that_was_closed_is_23(sender: LgspClient) -> None:
    assert error_code(sender.send(a_letter(OLD))) == 23


def test_a_report_is_sent_as_message_type_status(sender: LgspClient, receiver: LgspClient) -> None:
    letter, doc_id = one_waiting(sender, receiver)
    succeeded(receiver.update(doc_id, "done"))
    before = set(waiting(sender, "status"))
    number = letter.partition(b"<edXML:CodeNumber>")[2].partition(b"<")[0].decode()
    (about,) = documents.a_status().responses
    report = documents.a_status_package(
        StatusCode.REGISTERED,
        sender=documents.an_organization(COMMUNE),
        responses=(_about(about, number),),
    )
    succeeded(receiver.send(report, kind="status"))
    (found,) = set(waiting(sender, "status")) - before
    assert b"<edXML:StatusCode>03<" in fetched(sender, found)


def _about(about: Any, number: str) -> Any:
    return replace(about, code=SENDER, number=f"{number}/SA-VP", document_id=f"{SENDER},2026/03/05,{number}/SA-VP")


# syncReceivedEdocList


def test_the_list_shows_each_document_with_its_id(sender: LgspClient, receiver: LgspClient) -> None:
    _, doc_id = one_waiting(sender, receiver)
    items = succeeded(receiver.listed(day(-1), day(1)))
    assert doc_id in [item["docId"] for item in items]


def test_the_second_date_is_exclusive(sender: LgspClient, receiver: LgspClient) -> None:
    one_waiting(sender, receiver)
    assert succeeded(receiver.listed(day(-1), day(0))) == []


def test_a_window_of_one_day_is_empty(sender: LgspClient, receiver: LgspClient) -> None:
    one_waiting(sender, receiver)
    assert succeeded(receiver.listed(day(0), day(0))) == []


def test_a_window_of_seven_days_is_answered(receiver: LgspClient) -> None:
    assert isinstance(succeeded(receiver.listed(day(-6), day(1))), list)


def test_a_longer_window_is_refused(receiver: LgspClient) -> None:
    error_code(receiver.listed(day(-8), day(1)))


@pytest.mark.parametrize("dates", [("2026-03-05", "2026-03-06"), ("", ""), ("2026/02/30", "2026/03/01"), ("x", "y")])
def test_dates_of_another_form_are_refused(receiver: LgspClient, dates: tuple[str, str]) -> None:
    error_code(receiver.listed(*dates))


def test_another_message_type_is_refused(receiver: LgspClient) -> None:
    error_code(receiver.listed(day(-1), day(1), kind="letter"))


def test_a_system_sees_its_own_agencies_only(wire: Wire, sender: LgspClient, receiver: LgspClient) -> None:
    _, doc_id = one_waiting(sender, receiver)
    assert doc_id not in waiting(wire.client("H37.DN.015"))


# getEdoc, updateStatus


def test_what_is_fetched_and_not_acknowledged_is_listed_again(sender: LgspClient, receiver: LgspClient) -> None:
    _, doc_id = one_waiting(sender, receiver)
    fetched(receiver, doc_id)
    assert doc_id in waiting(receiver)


def test_what_is_done_is_gone(sender: LgspClient, receiver: LgspClient) -> None:
    _, doc_id = one_waiting(sender, receiver)
    succeeded(receiver.update(doc_id, "done"))
    assert doc_id not in waiting(receiver)


def test_done_may_be_repeated(sender: LgspClient, receiver: LgspClient) -> None:
    _, doc_id = one_waiting(sender, receiver)
    for _ in range(2):
        succeeded(receiver.update(doc_id, "done"))


def test_fail_comes_back_later(sender: LgspClient, receiver: LgspClient) -> None:
    _, doc_id = one_waiting(sender, receiver)
    succeeded(receiver.update(doc_id, "fail"))
    assert doc_id not in waiting(receiver)
    succeeded(receiver.update(doc_id, "done"))  # or it would come back into another test's list


def test_processing_stays_listed(sender: LgspClient, receiver: LgspClient) -> None:
    _, doc_id = one_waiting(sender, receiver)
    succeeded(receiver.update(doc_id, "processing"))
    assert doc_id in waiting(receiver)


def test_a_business_status_may_be_posted_as_a_transport_status(sender: LgspClient, receiver: LgspClient) -> None:
    """As software in Lạng Sơn does with 02 to 06: the sender of the document gets to know."""
    _, doc_id = one_waiting(sender, receiver)
    succeeded(receiver.update(doc_id, "done"))
    before = set(waiting(sender, "status"))
    succeeded(receiver.update(doc_id, "03"))
    (report,) = set(waiting(sender, "status")) - before
    assert b"<edXML:StatusCode>03<" in fetched(sender, report)


@pytest.mark.parametrize("doc_id", ["x", "01a20106-0408-75a3-a68a-cf9a0a978fa7", "..%2F..%2Fetc%2Fpasswd"])
def test_a_document_that_does_not_exist_is_an_error(receiver: LgspClient, doc_id: str) -> None:
    error_code(receiver.fetch(doc_id))


@pytest.mark.parametrize("call", ["fetch", "update"])
def test_another_system_s_document_does_not_exist(
    wire: Wire, sender: LgspClient, receiver: LgspClient, call: str
) -> None:
    _, doc_id = one_waiting(sender, receiver)
    stranger = wire.client("H37.DN.015")
    error_code(stranger.fetch(doc_id) if call == "fetch" else stranger.update(doc_id, "done"))
    assert doc_id in waiting(receiver)


# The shape of the answers


def test_a_failure_has_the_shape_that_the_axis_really_has(sender: LgspClient) -> None:
    content = sender.send(a_letter("H37.99")).json()
    assert {"code", "message", "errorDetail"} <= content.keys()
    assert isinstance(content["errorDetail"], list)
    assert "exception" in content["errorDetail"][0]


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LgspClient]:
    """A gateway that answers as the vendor's document has it."""
    agencies = [an_agency(PROVINCE, level=Level.PROVINCE, endpoint=MAILBOX)]
    gateway = a_gateway(
        tmp_path_factory.mktemp("documented"),
        code=PROVINCE,
        agencies=agencies,
        first_levels=["H37"],
        lgsp={"response": "documented", "single_token": True},
    )
    secret = a_system(gateway, "H37", PROVINCE)
    gateway.start()
    client = LgspClient(gateway.port, "H37", secret)
    client.login()
    yield client
    gateway.stop()


def test_where_one_token_is_allowed_a_newer_login_kills_the_older(documented: LgspClient) -> None:
    """As on the real axis, for who wants to try a client against it."""
    older = documented.token
    documented.login()
    newer, documented.token = documented.token, older
    assert documented.listed(day(-1), day(1)).status == 401
    documented.token = newer
    assert documented.listed(day(-1), day(1)).status == 200


def test_the_documented_shape_of_success_is_there_for_who_wants_it(documented: LgspClient) -> None:
    content = documented.send(a_letter(PROVINCE, sender=PROVINCE)).json()
    assert content["success"] is True
    assert content["docId"]
    assert {"docId", "status", "errorCode", "errorDesc"} <= content["data"].keys()


def test_the_documented_shape_of_failure_has_its_number(documented: LgspClient) -> None:
    content = documented.send(a_letter("H37.99", sender=PROVINCE)).json()
    assert content["success"] is False
    assert int(content["data"]["errorCode"]) == 18
