"""
Every rule of the national kit's protocol (domain §2.1), said to a running gateway by a client that knows nothing else.

The client is ``tests/support/vxp_client.py``: raw bytes on a socket, the habits of a Java ``HashMap`` and all.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.model import AgencyCode, DocumentId, DocumentNumber, Level, PackageKind, ResponseFor, StatusCode
from tests.support import documents
from tests.support.agencies import MAILBOX, an_agency
from tests.support.databases import PARAMS
from tests.support.gateways import RunningGateway, a_gateway
from tests.support.systems import a_system
from tests.support.vxp_client import (
    PREFIX,
    Kit,
    Part,
    Reply,
    gson,
    hash_map_order,
    multipart,
    padded_sha256,
    unpadded_sha256,
)

pytestmark = pytest.mark.timeout(600)

PROVINCE, SENDER = AgencyCode("000.00.00.H37"), AgencyCode("000.00.14.H37")
COMMUNE, HAMLET = AgencyCode("H37.21"), AgencyCode("H37.22")
STRANGER = AgencyCode("000.00.15.H37")
AXIS, BEYOND = AgencyCode("00.22.W00"), AgencyCode("000.00.00.H38")
_NUMBERS = itertools.count(1)


@dataclass
class Wire:
    """A gateway and the secrets of the systems that call it."""

    gateway: RunningGateway
    secrets: dict[str, str]

    def kit(self, system: str, **habits: Any) -> Kit:
        """A service object of a system."""
        return Kit(self.gateway.port, system, self.secrets[system], **habits)

    @property
    def sender(self) -> Kit:
        """The department's, new."""
        return self.kit("H37.DEP")

    @property
    def receiver(self) -> Kit:
        """That of the two communes, new."""
        return self.kit("H37.COMMUNES")


@pytest.fixture(scope="module", params=PARAMS)
def wire(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """One gateway for all tests of this page, on each engine: each sends documents of its own."""
    server = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    agencies = [
        an_agency(PROVINCE, "H37", level=Level.PROVINCE, endpoint=MAILBOX),
        an_agency(SENDER, "H37.14", parent=PROVINCE, endpoint=MAILBOX),
        an_agency(STRANGER, parent=PROVINCE, endpoint=MAILBOX),
        an_agency(COMMUNE, "000.00.21.H37", level=Level.COMMUNE, parent=PROVINCE, endpoint=MAILBOX),
        an_agency(HAMLET, level=Level.COMMUNE, parent=PROVINCE, endpoint=MAILBOX),
        an_agency(AXIS, level=Level.NATIONAL, hidden=True, endpoint=MAILBOX),
    ]
    gateway = a_gateway(
        tmp_path_factory.mktemp("vxp"),
        code=PROVINCE,
        agencies=agencies,
        first_levels=["H37"],
        default_route=AXIS,
        web={"rate_limit": "1000000 per minute"},
        ledger_url=server.empty_database() if server else None,
        delivery={"wait_factor": 1},  # what failed stays away for longer than a test lasts
    )
    secrets = {
        "H37.DEP": a_system(gateway, "H37.DEP", SENDER),
        "H37.COMMUNES": a_system(gateway, "H37.COMMUNES", COMMUNE, HAMLET),
        "H37.OTHER": a_system(gateway, "H37.OTHER", STRANGER),
        AXIS: a_system(gateway, AXIS, AXIS, gateway_system=True),
    }
    gateway.start()
    yield Wire(gateway, secrets)
    gateway.stop()


def a_letter(*to: str, sender: str = SENDER, **changes: Any) -> bytes:
    """A document that no other test has, to the commune unless said otherwise."""
    number = next(_NUMBERS)
    return documents.a_package(
        **{
            "sender": documents.an_organization(sender),
            "recipients": tuple(documents.an_organization(code) for code in to or (COMMUNE,)),
            "document_id": DocumentId(f"{sender},2026/03/05,{number}/SA-VP"),
            "number": DocumentNumber(number=str(number), notation="SA-VP"),
        }
        | changes
    )


def a_report(letter_number: str, code: StatusCode = StatusCode.REGISTERED, *, reporter: str = COMMUNE) -> bytes:
    """The commune's report on a letter of this page."""
    return documents.a_status_package(
        code,
        sender=documents.an_organization(reporter),
        responses=(
            ResponseFor(
                code=SENDER,
                number=f"{letter_number}/SA-VP",
                document_id=DocumentId(f"{SENDER},2026/03/05,{letter_number}/SA-VP"),
                issued_on=documents.ISSUED,
            ),
        ),
    )


def sent(wire: Wire, package: bytes, **how: Any) -> str:
    """The document's id, from a system that sends without mishap."""
    reply = wire.sender.send(package, **how)
    assert reply.ok, reply.body
    return str(reply.json()["DocId"])


def one_waiting(wire: Wire) -> tuple[bytes, str]:
    """A new letter and the ``docId`` under which the receiver has it."""
    before = set(wire.receiver.waiting_ids())
    letter = a_letter()
    sent(wire, letter)
    (doc_id,) = set(wire.receiver.waiting_ids()) - before
    return letter, doc_id


def trace(wire: Wire, number: str) -> dict[str, Any]:
    """The way of a letter of the department, as the gateway's own API tells it."""
    with wire.gateway.client(SENDER) as client:
        (row,) = client.documents(document_id=f"{SENDER},2026/03/05,{number}/SA-VP")["documents"]
        return client.trace(row["id"])


def refused(reply: Reply) -> dict[str, Any]:
    """A failure as the kit can read it."""
    content = reply.json()
    assert content["status"] == "FAIL", content
    assert isinstance(content["ErrorCode"], str)
    assert content["ErrorCode"] != "0"
    return content


# Who calls: sign-header, hash-header and the single headers


def test_the_order_of_the_headers_is_that_of_a_hash_map() -> None:
    """As ``new HashMap<>()`` with these keys, put in this order, lists them in Java 17."""
    put = ["timestamp", "systemid", "Content-Type", "from", "servicetype", "messagetype", "hash-file", "to", "docId",
           "filePath", "status", "pageSize", "pageIndex", "fromDate", "toDate", "level"]  # fmt: skip
    listed = ["systemid", "messagetype", "level", "docId", "filePath", "toDate", "pageSize", "fromDate", "servicetype",
              "pageIndex", "hash-file", "from", "to", "timestamp", "Content-Type", "status"]  # fmt: skip
    assert hash_map_order(put) == listed
    assert gson({"a": "x=1&<'>"}) == '{"a":"x\\u003d1\\u0026\\u003c\\u0027\\u003e"}'


def test_the_mac_is_checked_over_the_string_that_came(wire: Wire) -> None:
    """Spaces, another order, escapes: whatever JSON the client wrote is what it signed."""
    kit = wire.sender

    def rewrite(headers: dict[str, str]) -> None:
        values = json.loads(headers[f"{PREFIX}sign-header"])
        text = json.dumps(dict(sorted(values.items(), reverse=True)), indent=1).replace("\n", " ")
        headers[f"{PREFIX}sign-header"] = text
        headers[f"{PREFIX}hash-header"] = hmac.new(kit.secret.encode(), text.encode(), hashlib.sha256).hexdigest()

    kit.spoil = rewrite
    assert kit.received().ok


def test_names_of_headers_come_in_any_case(wire: Wire) -> None:
    assert wire.kit("H37.DEP", lower_case=True).received().ok


def test_a_wrong_secret_is_refused(wire: Wire) -> None:
    kit = wire.sender
    kit.secret += "x"
    assert refused(kit.received())["ErrorCode"] == "15"


def test_an_unknown_system_is_refused_as_a_wrong_secret_is(wire: Wire) -> None:
    kit = wire.sender
    kit.system = "H37.NOBODY"
    unknown = refused(kit.received())
    kit = wire.sender
    kit.secret += "x"
    assert refused(kit.received()) == unknown


@pytest.mark.parametrize("name", ["sign-header", "hash-header", "systemid"])
def test_a_call_without_its_signature_is_refused(wire: Wire, name: str) -> None:
    kit = wire.sender
    kit.spoil = lambda headers: headers.pop(f"{PREFIX}{name}")
    refused(kit.received())


NO_OBJECTS = {
    "empty": "",
    "list": "[]",
    "null": "null",
    "unfinished": "{",
    "text": '"x"',
    "number": '{"XroadVnpt-systemid": 1}',
    "twice": '{"XroadVnpt-systemid": "H37.DEP", "XroadVnpt-systemid": "H37.COMMUNES"}',
    "deep": "[" * 20_000,
    "deep member": '{"XroadVnpt-systemid": ' + '{"a":' * 5_000 + "1" + "}" * 5_001,
    "no number": '{"XroadVnpt-systemid": NaN}',
    "half a letter": '{"XroadVnpt-systemid": "\\ud800"}',
    "without system": "{}",
}


@pytest.mark.parametrize("text", NO_OBJECTS.values(), ids=NO_OBJECTS)
def test_a_sign_header_that_is_no_object_of_texts_is_refused(wire: Wire, text: str) -> None:
    kit = wire.sender

    def replace(headers: dict[str, str]) -> None:
        headers[f"{PREFIX}sign-header"] = text
        headers[f"{PREFIX}hash-header"] = hmac.new(kit.secret.encode(), text.encode(), hashlib.sha256).hexdigest()

    kit.spoil = replace
    refused(kit.received())


def test_a_single_header_that_differs_from_the_signed_one_is_refused(wire: Wire) -> None:
    _, doc_id = one_waiting(wire)
    _, other = one_waiting(wire)
    kit = wire.receiver
    kit.spoil = lambda headers: headers.update({f"{PREFIX}docId": other})
    refused(kit.update(doc_id, "done"))
    assert {doc_id, other} <= set(wire.receiver.waiting_ids())


def test_a_header_that_the_call_uses_and_nobody_signed_is_refused(wire: Wire) -> None:
    _, doc_id = one_waiting(wire)
    kit = wire.receiver
    kit.spoil = lambda headers: headers.update({f"{PREFIX}docId": doc_id})
    refused(kit.call("/updateStatus", {"status": "done"}))
    assert doc_id in wire.receiver.waiting_ids()


@pytest.mark.parametrize("name", ["docId", "docid", "DOCID"])
def test_a_second_unsigned_spelling_of_a_signed_header_is_refused(wire: Wire, name: str) -> None:
    """Two programs may each read another of the two."""
    _, doc_id = one_waiting(wire)
    _, other = one_waiting(wire)
    kit = wire.receiver
    kit.spoil = lambda headers: headers.update({f"{PREFIX.upper() if name == 'docId' else PREFIX}{name}": other})
    refused(kit.update(doc_id, "done"))
    assert {doc_id, other} <= set(wire.receiver.waiting_ids())


def test_the_system_that_signed_is_the_one_that_calls(wire: Wire) -> None:
    """Another system's id as the single header does not lend its mailbox."""
    kit = wire.sender
    kit.spoil = lambda headers: headers.update({f"{PREFIX}systemid": "H37.COMMUNES"})
    refused(kit.received())


def test_headers_that_the_call_does_not_use_may_be_unsigned(wire: Wire) -> None:
    kit = wire.sender
    kit.spoil = lambda headers: headers.update({f"{PREFIX}request-id": "x", f"{PREFIX}docId": "x"})
    assert kit.received().ok


def test_names_in_sign_header_key_decide_nothing(wire: Wire) -> None:
    """What was signed stands in sign-header; the list of names is another writing of it."""
    kit = wire.sender
    kit.spoil = lambda headers: headers.update({f"{PREFIX}sign-header-key": "x;y"})
    assert kit.received().ok
    kit.spoil = lambda headers: headers.pop(f"{PREFIX}sign-header-key")
    assert kit.received().ok


def test_letters_beyond_ascii_are_signed_as_utf_8(wire: Wire) -> None:
    """A path of the client's own machine may hold anything."""
    _, doc_id = one_waiting(wire)
    assert wire.receiver.call("/getEdoc", {"docId": doc_id, "filePath": "/tài liệu/đến/"}).ok


@pytest.mark.parametrize("age", [timedelta(hours=9), timedelta(days=400), timedelta(days=-2)])
def test_the_time_stamp_is_advisory(wire: Wire, age: timedelta) -> None:
    """It is that of the service object, which may live for weeks on a machine whose clock is wrong."""
    assert wire.kit("H37.DEP", made_at=datetime.now(UTC) - age).received().ok


def test_the_same_signed_call_may_be_repeated(wire: Wire) -> None:
    """There is no nonce: a repeated send is the same document."""
    kit, letter = wire.sender, a_letter()
    first = kit.send(letter)
    assert kit.send(letter).json()["DocId"] == first.json()["DocId"]


def test_both_secrets_are_good_while_they_change(wire: Wire, tmp_path: Path) -> None:
    old = a_system(wire.gateway, "H37.ROTATES", STRANGER)
    done = wire.gateway.run("systems", "rotate", "H37.ROTATES", "--overlap-hours", "1", "--json")
    new = json.loads(done.stdout)["secret"]
    assert old != new
    assert [Kit(wire.gateway.port, "H37.ROTATES", secret).received().ok for secret in (old, new)] == [True, True]


def test_a_revoked_system_is_let_in_no_more(wire: Wire) -> None:
    kit = Kit(wire.gateway.port, "H37.GOES", a_system(wire.gateway, "H37.GOES", STRANGER))
    assert kit.received().ok
    wire.gateway.run("systems", "revoke", "H37.GOES")
    deadline = time.monotonic() + 180  # a running process may remember it for some seconds
    while kit.received().json()["status"] == "OK":
        assert time.monotonic() < deadline
        time.sleep(0.2)


# Headers of earlier calls


def test_headers_that_leaked_from_earlier_calls_are_ignored(wire: Wire) -> None:
    """One service object through a whole day: list, fetch, acknowledge, send, list again."""
    _, first = one_waiting(wire)
    kit = wire.receiver
    assert first in kit.waiting_ids()
    kit.fetched(first)
    assert kit.update(first, "processing").ok
    assert kit.send(a_letter(SENDER, sender=COMMUNE)).ok
    assert kit.count().ok
    assert kit.update(first, "done").ok
    assert first not in kit.waiting_ids()


def test_a_leaked_status_hides_nothing_from_the_list(wire: Wire) -> None:
    """``status=done`` of the last acknowledgement comes along with the next list; nobody may lose a document to it."""
    _, first = one_waiting(wire)
    _, second = one_waiting(wire)
    kit = wire.receiver
    assert kit.update(first, "done").ok
    assert second in kit.waiting_ids()


def test_a_leaked_doc_id_hides_nothing_from_the_sent_list(wire: Wire) -> None:
    """``docId`` of what was fetched, and ``from`` of what was sent, come along with getSentEdocList."""
    letter = a_letter(COMMUNE, sender=COMMUNE)
    kit = wire.receiver
    own = kit.send(letter)
    assert own.ok
    doc_id = kit.waiting_ids()[0]
    kit.fetched(doc_id)
    assert own.json()["DocId"] in [item["senderDocId"] for item in kit.sent().json()["data"]]


def test_a_leaked_to_turns_no_later_document_down(wire: Wire) -> None:
    """A kit that sets ``to`` for one document and not for the next still sends the old one."""
    kit = wire.sender
    assert kit.send(a_letter(HAMLET), to=[HAMLET]).ok
    before = set(wire.receiver.waiting_ids())
    assert kit.send(a_letter(COMMUNE)).ok
    assert len(set(wire.receiver.waiting_ids()) - before) == 1


def test_an_id_left_over_from_fetching_is_not_the_one_that_is_acknowledged(wire: Wire) -> None:
    """``docId`` of the fetch leaks into updateStatus of a kit that calls its own ``docid``."""
    _, first = one_waiting(wire)
    _, second = one_waiting(wire)
    kit = wire.receiver
    kit.fetched(first)
    kit.fetched(second)
    assert kit.update(first, "done", name="docid").ok
    left = wire.receiver.waiting_ids()
    assert (first in left, second in left) == (False, True)


# sendEdoc


def test_send_answers_with_a_doc_id(wire: Wire) -> None:
    reply = wire.sender.send(a_letter())
    assert reply.ok
    assert isinstance(reply.json()["DocId"], str)
    assert reply.json()["DocId"]


def test_the_line_end_behind_the_package_is_not_part_of_it(wire: Wire) -> None:
    """The same package with it and without is one document."""
    letter = a_letter()
    with_line_end = wire.kit("H37.DEP", crlf=True).send(letter)
    without = wire.kit("H37.DEP", crlf=False).send(letter)
    assert (with_line_end.ok, without.json().get("DocId")) == (True, with_line_end.json()["DocId"])


def _letter_whose_hash_needs_padding() -> bytes:
    return next(p for p in (a_letter() for _ in range(50)) if unpadded_sha256(p) != padded_sha256(p))


@pytest.mark.parametrize("crlf", [True, False])
@pytest.mark.parametrize("hashed", [unpadded_sha256, padded_sha256])
def test_hash_file_may_be_padded_or_not(wire: Wire, hashed: Any, crlf: bool) -> None:
    letter = _letter_whose_hash_needs_padding()
    assert wire.kit("H37.DEP", crlf=crlf).send(letter, file_hash=hashed(letter)).ok


@pytest.mark.parametrize("hashed", [unpadded_sha256, padded_sha256])
def test_hash_file_may_cover_the_line_end(wire: Wire, hashed: Any) -> None:
    letter = _letter_whose_hash_needs_padding()
    assert wire.kit("H37.DEP", crlf=True).send(letter, file_hash=hashed(letter + b"\r\n")).ok


def test_hash_file_may_be_missing(wire: Wire) -> None:
    assert wire.kit("H37.DEP", hashes=False).send(a_letter()).ok


def test_a_wrong_hash_file_is_refused(wire: Wire) -> None:
    letter = a_letter()
    refused(wire.sender.send(letter, file_hash=unpadded_sha256(letter + b"x")))
    assert wire.sender.send(letter).ok, "nothing was kept of it"


def test_a_package_in_real_multipart_is_accepted(wire: Wire) -> None:
    """As kits that write the syntax, too, with the field that the national one only names."""
    letter = a_letter()
    part = Part("file_doc", letter, filename="a.edxml", content_type="application/xml")
    content_type, body = multipart([part])
    kit = wire.sender
    logical = {"from": kit.system, "servicetype": "eDoc", "messagetype": "edoc", "hash-file": padded_sha256(letter)}
    reply = kit.call("/sendEdoc", logical, body=body, content_type=content_type)
    assert reply.ok
    assert wire.sender.send(letter).json()["DocId"] == reply.json()["DocId"]


def test_the_body_is_asked_for_when_the_client_waits(wire: Wire) -> None:
    reply = wire.kit("H37.DEP", expects=True).send(a_letter())
    assert (reply.invited, reply.ok) == (True, True)


def test_the_body_of_a_stranger_is_not_asked_for(wire: Wire) -> None:
    kit = wire.kit("H37.DEP", expects=True)
    kit.secret += "x"
    reply = kit.send(a_letter())
    assert not reply.invited
    refused(reply)


def test_the_header_to_narrows_nothing(wire: Wire) -> None:
    letter = a_letter(COMMUNE, HAMLET)
    before = set(wire.receiver.waiting_ids())
    assert wire.sender.send(letter, to=[COMMUNE]).ok
    assert len(set(wire.receiver.waiting_ids()) - before) == 2


def test_the_header_to_may_be_long(wire: Wire) -> None:
    assert wire.sender.send(a_letter(COMMUNE), to=[f"H37.{n}" for n in range(800)]).ok


def test_the_header_to_adds_nobody(wire: Wire) -> None:
    before = set(wire.kit("H37.OTHER").waiting_ids())
    assert wire.sender.send(a_letter(COMMUNE), to=[COMMUNE, STRANGER]).ok
    assert set(wire.kit("H37.OTHER").waiting_ids()) == before


def test_a_recipient_under_both_generations_of_codes_gets_one_copy(wire: Wire) -> None:
    before = set(wire.receiver.waiting_ids())
    assert wire.sender.send(a_letter(COMMUNE, "000.00.21.H37")).ok
    assert len(set(wire.receiver.waiting_ids()) - before) == 1


def test_a_sender_may_use_either_of_its_codes(wire: Wire) -> None:
    """From by QĐ 20, header by TT 10: the same agency."""
    assert wire.sender.send(a_letter(sender="H37.14"), sender=SENDER).ok


def test_a_notation_with_its_year_stays_whole(wire: Wire) -> None:
    """``12/2024/QĐ-UBND``: whoever splits at every stroke loses the status that names it."""
    number = DocumentNumber(number="12", notation="2024/QĐ-UBND")
    name = DocumentId(f"{SENDER},2026/03/05,12/2024/QĐ-UBND")
    before = set(wire.receiver.waiting_ids())
    doc_id = sent(wire, a_letter(number=number, document_id=name))
    (item,) = wire.sender.sent(docId=doc_id).json()["data"]
    assert item["notation"] == "12/2024/QĐ-UBND"
    (received,) = set(wire.receiver.waiting_ids()) - before
    assert wire.receiver.update(received, "done").ok
    known = set(wire.sender.waiting_ids("status"))
    about = ResponseFor(code=SENDER, number="12/2024/QĐ-UBND", issued_on=documents.ISSUED)
    report = documents.a_status_package(sender=documents.an_organization(COMMUNE), responses=(about,))
    assert wire.receiver.send(report, kind="status").ok
    assert len(set(wire.sender.waiting_ids("status")) - known) == 1
    (item,) = wire.sender.sent(docId=doc_id).json()["data"]
    assert item["receiveStatus"] == "03"


def test_a_status_that_is_sent_as_a_document_is_a_status(wire: Wire) -> None:
    """Some kits send 15 and 16 with messagetype ``edoc``."""
    letter, doc_id = one_waiting(wire)
    number = _number_of(letter)
    assert wire.receiver.update(doc_id, "done").ok
    before = set(wire.sender.waiting_ids("status"))
    assert wire.receiver.send(a_report(number), kind="edoc").ok
    (report,) = set(wire.sender.waiting_ids("status")) - before
    assert b"<edXML:StatusCode>03<" in wire.sender.fetched(report)
    assert report not in wire.sender.waiting_ids("edoc")


def _number_of(letter: bytes) -> str:
    return letter.partition(b"<edXML:CodeNumber>")[2].partition(b"<")[0].decode()


def test_a_system_sends_for_each_of_its_agencies(wire: Wire) -> None:
    """From in the package is the real agency, the header ``from`` that of the system."""
    for agency in (COMMUNE, HAMLET):
        assert wire.receiver.send(a_letter(SENDER, sender=agency)).ok


def test_a_system_does_not_send_for_other_agencies(wire: Wire) -> None:
    refused(wire.kit("H37.OTHER").send(a_letter()))


def test_the_header_from_may_name_the_agency(wire: Wire) -> None:
    assert wire.sender.send(a_letter(), sender=SENDER).ok


def test_an_unknown_recipient_is_refused_by_its_code(wire: Wire) -> None:
    assert refused(wire.sender.send(a_letter("H37.99")))["ErrorCode"] == "18"


@pytest.mark.parametrize("body", [b"", b"<html><body>502</body></html>", b"<edXML", b"{}"])
def test_what_is_no_package_is_refused(wire: Wire, body: bytes) -> None:
    assert refused(wire.sender.send(body))["ErrorCode"] in {"10", "22"}


def test_the_same_package_sent_twice_at_once_is_one_document(wire: Wire) -> None:
    letter, before = a_letter(), set(wire.receiver.waiting_ids())
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda _: wire.sender.send(letter), range(4)))
    assert len({reply.json()["DocId"] for reply in replies}) == 1
    assert len(set(wire.receiver.waiting_ids()) - before) == 1


def test_a_large_package_comes_out_as_it_went_in(wire: Wire) -> None:
    """Eight megabytes: above what the ledger keeps, and what the gateway completes."""
    content = documents.PDF + hashlib.shake_256(b"large").digest(8 * 1024 * 1024)
    letter = a_letter(contents={"main": content})
    before = set(wire.receiver.waiting_ids())
    assert wire.kit("H37.DEP", expects=True).send(letter).ok
    (doc_id,) = set(wire.receiver.waiting_ids()) - before
    for package in (wire.receiver.download(doc_id).body, wire.receiver.fetched(doc_id)):
        assert base64.b64encode(content) in package
    assert wire.receiver.update(doc_id, "done").ok


def test_other_bytes_under_a_used_document_id_are_refused(wire: Wire) -> None:
    letter = a_letter()
    sent(wire, letter)
    refused(wire.sender.send(letter.replace("kiểm thử".encode(), "thay đổi".encode())))


# The answers


def test_answers_have_the_envelope_of_the_kit(wire: Wire) -> None:
    content = wire.sender.received().json()
    assert (content["status"], content["ErrorCode"], content["ErrorDesc"]) == ("OK", "0", "Thanh cong")
    assert isinstance(content["data"], list)


def test_the_answer_to_send_is_ascii(wire: Wire) -> None:
    """The kit reads it as such."""
    answers = [wire.sender.send(a_letter()), wire.sender.send(a_letter("H37.99")), wire.sender.send(b"x")]
    assert [a.body.isascii() for a in answers] == [True, True, True]


def test_the_reason_of_a_failure_is_ascii_and_names_the_stable_code(wire: Wire) -> None:
    reason = refused(wire.sender.send(a_letter("H37.99")))["ErrorDesc"]
    assert reason.isascii()
    assert "recipient.unknown" in reason


def test_failures_are_json_with_an_http_status_that_the_kit_never_sees(wire: Wire) -> None:
    for reply in (wire.sender.fetch("nobody"), wire.sender.download("nobody"), wire.sender.call("/nothing")):
        refused(reply)
        assert reply.headers["content-type"].startswith("application/json")


# getReceivedEdocList, getEdoc, downloadEdoc, updateStatus


def test_the_list_shows_what_the_kit_reads(wire: Wire) -> None:
    _, doc_id = one_waiting(wire)
    (item,) = [i for i in wire.receiver.waiting() if i["docId"] == doc_id]
    assert {"docId", "serviceType", "messageType", "created_time", "updated_time", "from", "to", "status",
            "status_desc"} <= item.keys()  # fmt: skip
    shown = {name: item[name] for name in ("serviceType", "messageType", "from", "to", "status")}
    wanted = {"serviceType": "eDoc", "messageType": "edoc", "from": SENDER, "to": COMMUNE, "status": "initial"}
    assert shown == wanted


def test_documents_and_statuses_are_listed_apart(wire: Wire) -> None:
    _, doc_id = one_waiting(wire)
    assert wire.receiver.update(doc_id, "done").ok
    assert not set(wire.sender.waiting_ids("status")) & set(wire.sender.waiting_ids("edoc"))


@pytest.mark.parametrize("body", [b"", b"{}"])
def test_the_body_of_the_list_may_be_empty_or_trivial(wire: Wire, body: bytes) -> None:
    logical = {"servicetype": "eDoc", "messagetype": "edoc"}
    assert wire.sender.call("/getReceivedEdocList", logical, body=body).ok


def test_the_list_may_be_read_in_pages(wire: Wire) -> None:
    for _ in range(3):
        one_waiting(wire)
    everything = wire.receiver.waiting_ids()
    pages = []
    for index in itertools.count(1):
        page = wire.receiver.received(pageSize="2", pageIndex=str(index)).json()["data"]
        pages += [item["docId"] for item in page]
        if not page:
            break
    assert pages == everything


@pytest.mark.parametrize("form", ["%Y/%m/%d", "%d/%m/%Y", "%Y-%m-%d", "%d%m%Y", ""])
def test_filters_that_other_clients_send_hide_nothing_new(wire: Wire, form: str) -> None:
    """Seen in the field with the list, their effect unknown: dates in any form, a status, pages."""
    _, doc_id = one_waiting(wire)
    today = datetime.now(UTC) + timedelta(hours=7)
    dates = [f"{today + timedelta(days=n):{form}}" if form else "" for n in (-1, 1)]
    listed = wire.receiver.received(fromDate=dates[0], toDate=dates[1], status="initial", pageSize="500", pageIndex="1")
    assert doc_id in [item["docId"] for item in listed.json()["data"]]


def test_a_system_sees_its_own_agencies_only(wire: Wire) -> None:
    _, doc_id = one_waiting(wire)
    assert doc_id not in wire.kit("H37.OTHER").waiting_ids()


def test_get_edoc_has_the_whole_package_as_base64(wire: Wire) -> None:
    letter, doc_id = one_waiting(wire)
    fetched = base64.b64decode(wire.receiver.fetch(doc_id).json()["data"], validate=True)
    body = fetched.partition(b"<AttachmentEncoded>")[2]
    assert body.split() == letter.partition(b"<AttachmentEncoded>")[2].split(), "the content is as it was sent"


def test_download_has_the_same_bytes_raw(wire: Wire) -> None:
    _, doc_id = one_waiting(wire)
    assert wire.receiver.download(doc_id).body == wire.receiver.fetched(doc_id)


@pytest.mark.parametrize("name", ["docId", "docid"])
def test_the_id_comes_under_both_spellings(wire: Wire, name: str) -> None:
    _, doc_id = one_waiting(wire)
    assert wire.receiver.fetch(doc_id, name=name).ok
    assert wire.receiver.update(doc_id, "done", name=name).ok
    assert doc_id not in wire.receiver.waiting_ids()


def test_what_is_fetched_and_not_acknowledged_is_listed_again(wire: Wire) -> None:
    _, doc_id = one_waiting(wire)
    wire.receiver.fetched(doc_id)
    wire.receiver.download(doc_id)
    assert doc_id in wire.receiver.waiting_ids()


def test_what_is_acknowledged_is_gone(wire: Wire) -> None:
    _, doc_id = one_waiting(wire)
    wire.receiver.fetched(doc_id)
    assert wire.receiver.update(doc_id, "done").ok
    assert doc_id not in wire.receiver.waiting_ids()


def test_an_acknowledgement_may_be_repeated(wire: Wire) -> None:
    _, doc_id = one_waiting(wire)
    first = wire.receiver.update(doc_id, "done")
    assert first.ok
    assert wire.receiver.update(doc_id, "done").json() == first.json()


def test_what_was_acknowledged_can_still_be_fetched(wire: Wire) -> None:
    """Whoever lost it after all asks for it again."""
    _, doc_id = one_waiting(wire)
    before = wire.receiver.fetched(doc_id)
    assert wire.receiver.update(doc_id, "done").ok
    assert wire.receiver.fetched(doc_id) == before


def test_what_is_in_processing_stays_listed_until_it_is_done(wire: Wire) -> None:
    _, doc_id = one_waiting(wire)
    assert wire.receiver.update(doc_id, "processing").ok
    (item,) = [i for i in wire.receiver.waiting() if i["docId"] == doc_id]
    assert item["status"] == "processing"
    assert wire.receiver.update(doc_id, "done").ok
    assert doc_id not in wire.receiver.waiting_ids()


def test_what_failed_comes_back_later_and_is_counted(wire: Wire) -> None:
    letter, doc_id = one_waiting(wire)
    assert wire.receiver.update(doc_id, "fail").ok
    assert doc_id not in wire.receiver.waiting_ids(), "not at once"
    number = _number_of(letter)
    (delivery,) = trace(wire, number)["deliveries"]
    assert (delivery["state"], delivery["attempts"]) == ("waiting", 1)


def test_another_status_is_refused(wire: Wire) -> None:
    _, doc_id = one_waiting(wire)
    refused(wire.receiver.update(doc_id, "06"))
    assert doc_id in wire.receiver.waiting_ids()


@pytest.mark.parametrize("call", ["fetch", "download", "done", "fail"])
def test_another_system_s_document_is_as_one_that_does_not_exist(wire: Wire, call: str) -> None:
    _, doc_id = one_waiting(wire)
    kit = wire.kit("H37.OTHER")
    calls = {
        "fetch": kit.fetch,
        "download": kit.download,
        "done": lambda d: kit.update(d, "done"),
        "fail": lambda d: kit.update(d, "fail"),
    }
    theirs = refused(calls[call](doc_id))
    nobodys = refused(calls[call]("01a20106-0408-75a3-a68a-cf9a0a978fa7"))
    assert theirs["ErrorCode"] == nobodys["ErrorCode"]
    assert doc_id in wire.receiver.waiting_ids()


@pytest.mark.parametrize("doc_id", ["", "x", "../../etc/passwd", "' OR 1=1 --"])
def test_a_doc_id_that_is_none_is_refused(wire: Wire, doc_id: str) -> None:
    refused(wire.receiver.fetch(doc_id))


# Counts


def test_the_counts_are_those_of_the_lists(wire: Wire) -> None:
    _, doc_id = one_waiting(wire)
    assert wire.receiver.count().json()["count"] == len(wire.receiver.waiting())
    wire.receiver.update(doc_id, "done")
    assert wire.sender.count("countReceiveStatus", "status").json()["count"] == len(wire.sender.waiting("status"))


def test_a_count_that_fails_has_none(wire: Wire) -> None:
    kit = wire.sender
    kit.secret += "x"
    assert "count" not in refused(kit.count())


# Business statuses


def test_the_gateway_reports_the_arrival(wire: Wire) -> None:
    """01 is the system's to send, as a status package, once the receiver's has the document."""
    before = set(wire.sender.waiting_ids("status"))
    _, doc_id = one_waiting(wire)
    assert set(wire.sender.waiting_ids("status")) == before
    assert wire.receiver.update(doc_id, "done").ok
    (report,) = set(wire.sender.waiting_ids("status")) - before
    assert b"<edXML:StatusCode>01<" in wire.sender.fetched(report)


def test_a_report_travels_as_a_status_package(wire: Wire) -> None:
    letter, doc_id = one_waiting(wire)
    assert wire.receiver.update(doc_id, "done").ok
    before = set(wire.sender.waiting_ids("status"))
    assert wire.receiver.send(a_report(_number_of(letter)), kind="status").ok
    (report,) = set(wire.sender.waiting_ids("status")) - before
    assert b"<edXML:StatusCode>03<" in wire.sender.fetched(report)
    assert wire.sender.update(report, "done").ok
    assert report not in wire.sender.waiting_ids("status")


# getSentEdocList


def test_the_sent_list_shows_what_the_kit_reads(wire: Wire) -> None:
    doc_id = sent(wire, a_letter())
    (item,) = [i for i in wire.sender.sent().json()["data"] if i["senderDocId"] == doc_id]
    assert {"serviceType", "messageType", "receiverDocId", "senderDocId", "fromCode", "toCode", "title", "notation",
            "sentTime", "receivedTime", "sendStatus", "sendStatusDesc", "receiveStatus",
            "receiveStatusDesc"} <= item.keys()  # fmt: skip
    assert (item["fromCode"], item["toCode"]) == (SENDER, COMMUNE)


def test_the_sent_list_finds_a_document_by_its_id(wire: Wire) -> None:
    doc_id = sent(wire, a_letter(COMMUNE, HAMLET))
    sent(wire, a_letter())
    items = wire.sender.sent(docId=doc_id).json()["data"]
    assert [(i["senderDocId"], i["toCode"]) for i in items] == [(doc_id, COMMUNE), (doc_id, HAMLET)]


def test_the_sent_list_tells_by_number_whether_an_ambiguous_send_arrived(wire: Wire) -> None:
    """What a client does that got no answer: look for its notation and title before it sends again."""
    letter = a_letter(subject="V/v gửi không rõ kết quả")
    doc_id = sent(wire, letter)
    (item,) = [i for i in wire.sender.sent().json()["data"] if i["senderDocId"] == doc_id]
    assert item["title"] == "V/v gửi không rõ kết quả"
    assert _number_of(letter) in item["notation"]


def test_the_sent_list_follows_the_receiver(wire: Wire) -> None:
    letter, received = one_waiting(wire)
    doc_id = sent(wire, letter)
    before = wire.sender.sent(docId=doc_id).json()["data"][0]
    assert wire.receiver.update(received, "done").ok
    after = wire.sender.sent(docId=doc_id).json()["data"][0]
    assert (before["sendStatus"], after["sendStatus"]) == ("initial", "done")
    assert after["receiverDocId"] == received


# Catalogue


def test_the_catalogue_has_both_generations_of_codes(wire: Wire) -> None:
    rows = {row["code"]: row for row in wire.sender.call("/getAgenciesList", body=b"").json()["data"]}
    assert {"id", "pid", "code", "name", "mail", "oldCode"} <= next(iter(rows.values())).keys()
    assert COMMUNE in rows or "000.00.21.H37" in rows


def test_the_catalogue_of_the_new_codes_has_the_old_ones_beside_them(wire: Wire) -> None:
    levels = [wire.sender.call("/getAgenciesListQD20", {"level": str(n)}, body=b"").json()["data"] for n in (1, 2, 3)]
    rows = [row for level in levels for row in level]
    assert all({"id", "code", "name", "mail", "code102"} <= row.keys() for row in rows)
    assert ("H37", PROVINCE) in [(row["code"], row["code102"]) for row in levels[0]]
    assert (COMMUNE, "000.00.21.H37") in [(row["code"], row["code102"]) for row in rows]


def test_the_units_to_synchronise_have_their_versions(wire: Wire) -> None:
    rows = wire.sender.call("/getSynchronizeUnit", body=b"").json()["data"]
    assert all({"id", "pid", "code", "name", "mail", "version", "centerCode", "deleted", "modifyDate",
                "isAgency"} <= row.keys() for row in rows)  # fmt: skip
    assert {type(row["version"]) for row in rows} == {int}
    assert {type(row["deleted"]) for row in rows} | {type(row["isAgency"]) for row in rows} == {bool}


# registerAgency, deleteAgency


def _registration(code: str) -> dict[str, str]:
    names = ("id", "pcode", "code", "name", "mail", "mobile", "fax")
    return dict(zip(names, ("", "H37", code, "Chi cục Thử", "a@example.vn", "", ""), strict=True))


def test_nobody_registers_an_agency_himself(wire: Wire) -> None:
    """The call becomes a request that an operator decides."""
    assert wire.sender.call("/registerAgency", body=json.dumps(_registration("H37.77")).encode()).ok
    assert "H37.77" not in wire.gateway.run("agencies", "list", "--json").stdout
    assert "H37.77" in wire.gateway.run("agencies", "requests", "--json").stdout
    assert refused(wire.sender.send(a_letter("H37.77")))["ErrorCode"] == "18"


@pytest.mark.parametrize("missing", ["code", "name", "mail"])
def test_a_registration_needs_code_name_and_mail(wire: Wire, missing: str) -> None:
    wanted = _registration("H37.78") | {missing: ""}
    refused(wire.sender.call("/registerAgency", body=json.dumps(wanted).encode()))


def test_nobody_deletes_an_agency_himself(wire: Wire) -> None:
    """Neither in the body nor, as the kit has every parameter, in a header."""
    assert wire.receiver.call("/deleteAgency", {"AgencyCode": HAMLET}).ok
    assert wire.sender.send(a_letter(HAMLET)).ok


# A system that is an axis itself


def test_what_is_for_others_waits_for_the_axis_above(wire: Wire) -> None:
    axis = wire.kit(AXIS)
    letter = a_letter(BEYOND)
    sent(wire, letter)
    number = _number_of(letter)
    found = [i for i in axis.waiting() if f",{number}/SA-VP<".encode() in axis.fetched(i["docId"])]
    assert [i["to"] for i in found] == [BEYOND]
    reports = set(wire.sender.waiting_ids("status"))
    assert axis.update(found[0]["docId"], "done").ok
    assert set(wire.sender.waiting_ids("status")) == reports, "collected by an axis is forwarded, not arrived"
    assert [d["state"] for d in trace(wire, number)["deliveries"]] == ["forwarded"]


def test_an_axis_hands_over_what_comes_from_beyond(wire: Wire) -> None:
    before = set(wire.receiver.waiting_ids())
    assert wire.kit(AXIS).send(a_letter(COMMUNE, sender=BEYOND)).ok
    assert len(set(wire.receiver.waiting_ids()) - before) == 1


def test_an_axis_does_not_send_for_our_own(wire: Wire) -> None:
    refused(wire.kit(AXIS).send(a_letter(COMMUNE, sender=SENDER)))


def test_recipients_behind_the_axis_are_its_own_to_deliver(wire: Wire) -> None:
    axis = wire.kit(AXIS)
    waits = set(axis.waiting_ids())
    before = set(wire.receiver.waiting_ids())
    assert axis.send(a_letter(COMMUNE, "000.00.00.H41", sender=BEYOND)).ok
    assert len(set(wire.receiver.waiting_ids()) - before) == 1
    assert set(axis.waiting_ids()) == waits, "nothing goes back to where it came from"


# Where it is


@pytest.fixture(scope="module")
def rooted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    """A system that writes to itself, at a gateway without a prefix and with little patience."""
    agencies = [an_agency(PROVINCE, level=Level.PROVINCE, endpoint=MAILBOX)]
    gateway = a_gateway(
        tmp_path_factory.mktemp("root"), code=PROVINCE, agencies=agencies, first_levels=["H37"], vxp={"prefix": ""}
    )
    secret = a_system(gateway, "H37", PROVINCE)
    gateway.start()
    yield Kit(gateway.port, "H37", secret, prefix="", forgets=True)
    gateway.stop()


def test_the_protocol_may_stand_at_the_root(rooted: Kit) -> None:
    """An eOffice system is pointed at us by its endpoint alone, which has no path."""
    assert rooted.received().ok


def test_what_failed_is_listed_again_after_its_delay(rooted: Kit) -> None:
    """However often it fails: it waits for whoever can take it."""
    assert rooted.send(a_letter(PROVINCE, sender=PROVINCE)).ok
    (doc_id,) = rooted.waiting_ids()
    for _ in range(3):
        assert rooted.update(doc_id, "fail").ok
        deadline = time.monotonic() + 180
        while doc_id not in rooted.waiting_ids():
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert rooted.update(doc_id, "done").ok
    assert doc_id not in rooted.waiting_ids()


def test_what_came_by_the_kit_is_a_document_like_any_other(wire: Wire) -> None:
    letter = a_letter()
    sent(wire, letter)
    assert trace(wire, _number_of(letter))["document"]["kind"] == PackageKind.DOCUMENT.value
