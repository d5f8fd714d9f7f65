"""The national kit's protocol, call by call, as an eOffice system meets it; its wire has tests of its own."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta

import pytest

from gateway.exchange.systems import revoke_system, rotate_secret
from gateway.model import VIETNAM_TIME, DeliveryState, DocumentId, StatusCode
from tests.support import documents
from tests.support.exchange import COMMUNE, DEPARTMENT, PROVINCE, PUSHED, Site
from tests.support.vxp import MARK, VxpSite, VxpSystem, a_vxp, failed, signed, succeeded


@pytest.fixture
def vxp(site: Site) -> VxpSite:
    """The protocol of Lạng Sơn's gateway."""
    return a_vxp(site)


@pytest.fixture
def sender(vxp: VxpSite) -> VxpSystem:
    """The department's system."""
    return vxp.system(DEPARTMENT, id="H37.DEP")


@pytest.fixture
def receiver(vxp: VxpSite) -> VxpSystem:
    """The commune's system."""
    return vxp.system(COMMUNE, id="H37.COM")


def letter(number: int = 1) -> bytes:
    return documents.a_package(
        recipients=(documents.an_organization(COMMUNE),),
        document_id=DocumentId(f"{DEPARTMENT},2026/03/05,{number}/SA-VP"),
        number=documents.DocumentNumber(number=str(number), notation="SA-VP"),
    )


def sent_id(sender: VxpSystem, number: int = 1) -> str:
    return str(succeeded(sender.send(letter(number)))["DocId"])


def received_id(sender: VxpSystem, receiver: VxpSystem) -> str:
    sent_id(sender)
    [row] = receiver.waiting()
    return str(row["docId"])


# Who is calling


def test_a_call_without_headers_is_not_let_in(vxp: VxpSite) -> None:
    answer = vxp.web.post("/vxp/getReceivedEdocList")
    assert (answer.status_code, failed(answer)) == (401, ("15", "request.not_authenticated"))


def test_an_unknown_system_and_a_wrong_secret_look_alike(vxp: VxpSite, sender: VxpSystem) -> None:
    stranger = VxpSystem(vxp.web, "H37.NOBODY", sender.secret)
    liar = VxpSystem(vxp.web, sender.id, "another secret")
    answers = [system.call("countReceiveEdoc") for system in (stranger, liar)]
    assert [(a.status_code, failed(a)) for a in answers] == [(401, ("15", "request.headers_not_signed"))] * 2
    assert answers[0].data == answers[1].data


def test_a_header_that_was_changed_on_the_way_is_named(vxp: VxpSite, sender: VxpSystem) -> None:
    headers = signed({"timestamp": "t", "systemid": sender.id, "docId": "a"}, sender.secret) | {f"{MARK}docId": "b"}
    answer = vxp.web.post("/vxp/getEdoc", headers=headers)
    assert (answer.status_code, failed(answer)) == (401, ("15", "request.headers_differ"))
    assert "XroadVnpt-docId" in json.loads(answer.data)["ErrorDesc"]


def test_both_secrets_count_until_the_overlap_ends(site: Site, sender: VxpSystem) -> None:
    secret = rotate_secret(site.ledger, site.box, sender.id, overlap=timedelta(hours=1), now=site.clock())
    site.clock.forward(seconds=6)
    renewed = VxpSystem(sender.web, sender.id, secret)
    assert [system.call("countReceiveEdoc").status_code for system in (sender, renewed)] == [200, 200]
    site.clock.forward(hours=1, seconds=6)
    assert [system.call("countReceiveEdoc").status_code for system in (sender, renewed)] == [401, 200]


def test_a_revoked_system_is_out_within_seconds(site: Site, sender: VxpSystem) -> None:
    assert sender.call("countReceiveEdoc").status_code == 200
    revoke_system(site.ledger, sender.id, site.clock())
    site.clock.forward(seconds=6)
    assert sender.call("countReceiveEdoc").status_code == 401


def test_a_system_without_an_agency_in_the_directory_is_out(site: Site, sender: VxpSystem) -> None:
    del site.known[DEPARTMENT]
    assert failed(sender.call("countReceiveEdoc")) == ("15", "request.not_authenticated")


def test_too_many_calls_of_one_system_are_refused_by_http_too(site: Site) -> None:
    vxp = a_vxp(site, rate_limit="3 per hour")
    busy, calm = vxp.system(DEPARTMENT, id="busy"), vxp.system(COMMUNE, id="calm")
    assert [busy.call("countReceiveEdoc").status_code for _ in range(4)] == [200, 200, 200, 429]
    answer = busy.call("countReceiveEdoc")
    assert (failed(answer), answer.headers["Retry-After"]) == (("429", "request.too_many"), "30")
    assert calm.call("countReceiveEdoc").status_code == 200


def test_too_many_wrong_signatures_from_one_address_are_refused(site: Site) -> None:
    vxp = a_vxp(site, rate_limit="3 per hour")
    liar = VxpSystem(vxp.web, vxp.system(DEPARTMENT).id, "guessed")
    assert [liar.call("countReceiveEdoc").status_code for _ in range(4)] == [401, 401, 401, 429]


# Sending


def test_a_sent_package_is_accepted_without_the_kits_line_end(site: Site, sender: VxpSystem) -> None:
    document = site.ledger.document(sent_id(sender))
    assert document is not None
    assert document.sha256 == hashlib.sha256(letter()).hexdigest()


def test_the_same_package_again_has_the_same_id(sender: VxpSystem) -> None:
    assert sent_id(sender) == sent_id(sender)


def test_the_same_package_over_rest_and_over_the_kit_is_one(site: Site, sender: VxpSystem) -> None:
    first = site.accept(letter())
    assert sent_id(sender) == first.document_id


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("whole", [True, False], ids=["with-line-end", "without"])
@pytest.mark.parametrize("line_end", [True, False], ids=["sent-with-line-end", "sent-bare"])
def test_hash_file_counts_in_each_of_its_forms(
    site: Site, sender: VxpSystem, padded: bool, whole: bool, line_end: bool
) -> None:
    package = letter() + (b"\r\n" if whole else b"")
    digest = hashlib.sha256(package).digest()
    written = digest.hex() if padded else "".join(f"{byte:x}" for byte in digest)
    # With the file's own line end, the kit's stands behind it, or not.
    answer = sender.send(package, hash_file=written, line_end=line_end)
    document = site.ledger.document(str(succeeded(answer)["DocId"]))
    assert document is not None
    assert document.sha256 == digest.hex()


def test_a_package_that_is_not_what_its_hash_says_is_refused_and_kept(site: Site, sender: VxpSystem) -> None:
    answer = sender.send(letter(), hash_file="0" * 64)
    assert (answer.status_code, failed(answer)) == (200, ("21", "package.hash_file_mismatch"))
    [refusal] = site.ledger.refusals()
    assert (refusal.code, refusal.credential_agency) == ("package.hash_file_mismatch", DEPARTMENT)
    assert site.ledger.documents().rows == ()


def test_an_empty_hash_file_is_none(sender: VxpSystem) -> None:
    succeeded(sender.send(letter(), hash_file=""))


def a_form(package: bytes, *, boundary: str = "----kit", filename: str = "a.edxml") -> bytes:
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="note"\r\n\r\nx\r\n--{boundary}\r\n'
    head += f'Content-Disposition: form-data; name="file_doc"; filename="{filename}"\r\n'
    return head.encode() + b"Content-Type: application/xml\r\n\r\n" + package + f"\r\n--{boundary}--\r\n".encode()


@pytest.mark.parametrize(
    "kind",
    ["multipart/form-data; boundary=----kit", "application/octet-stream", "multipart/form-data"],
    ids=["declared", "hidden", "without-its-boundary"],
)
def test_a_real_form_is_read(site: Site, sender: VxpSystem, kind: str) -> None:
    answer = sender.call("sendEdoc", a_form(letter()), kind=kind, messagetype="edoc")
    document = site.ledger.document(str(succeeded(answer)["DocId"]))
    assert document is not None
    assert document.sha256 == hashlib.sha256(letter()).hexdigest()


def test_a_bare_package_under_the_type_of_a_form_is_read(sender: VxpSystem) -> None:
    kind = "multipart/form-data; boundary=----kit"
    succeeded(sender.call("sendEdoc", letter() + b"\r\n", kind=kind, messagetype="edoc"))


def test_a_form_without_a_file_is_refused(sender: VxpSystem) -> None:
    body = b'------kit\r\nContent-Disposition: form-data; name="note"\r\n\r\nx\r\n------kit--\r\n'
    answer = sender.call("sendEdoc", body, messagetype="edoc")
    assert failed(answer) == ("400", "request.invalid")


def test_a_form_that_ends_within_leaves_nothing_behind(site: Site, sender: VxpSystem) -> None:
    body = a_form(documents.PDF * 20_000)[:-40]
    answer = sender.call("sendEdoc", body, messagetype="edoc")
    assert failed(answer) == ("21", "package.incomplete_upload")
    assert list(site.parts.spool.iterdir()) == []


def test_a_large_package_goes_through_the_spool(site: Site, sender: VxpSystem) -> None:
    raw = documents.a_package(
        recipients=(documents.an_organization(COMMUNE),), contents={"main": documents.PDF + bytes(900_000)}
    )
    document = site.ledger.document(str(succeeded(sender.send(raw))["DocId"]))
    assert document is not None
    assert document.size == len(raw)


def test_a_body_that_was_encoded_is_refused(vxp: VxpSite, sender: VxpSystem) -> None:
    headers = signed({"timestamp": "t", "systemid": sender.id, "messagetype": "edoc"}, sender.secret)
    answer = vxp.web.post("/vxp/sendEdoc", data=letter(), headers=headers | {"Content-Encoding": "gzip"})
    assert failed(answer) == ("10", "request.unsupported_media")


def test_a_package_over_the_limit_is_refused_by_http_too(vxp: VxpSite, sender: VxpSystem) -> None:
    headers = signed({"timestamp": "t", "systemid": sender.id, "messagetype": "edoc"}, sender.secret)
    answer = vxp.web.post(
        "/vxp/sendEdoc", data=b"x", headers=headers, environ_overrides={"CONTENT_LENGTH": str(21 * 1024 * 1024)}
    )
    assert (answer.status_code, failed(answer)) == (413, ("10", "request.body_too_large"))
    assert answer.headers["Connection"] == "close"


def test_a_package_cut_short_is_not_accepted(site: Site, vxp: VxpSite, sender: VxpSystem) -> None:
    headers = signed({"timestamp": "t", "systemid": sender.id, "messagetype": "edoc"}, sender.secret)
    length = {"CONTENT_LENGTH": str(len(letter()) + 2)}
    answer = vxp.web.post("/vxp/sendEdoc", data=letter(), headers=headers, environ_overrides=length)
    assert failed(answer) == ("21", "package.incomplete_upload")
    assert site.ledger.documents().rows == ()


@pytest.mark.parametrize("body", [b"", b"\r\n"], ids=["nothing", "line-end"])
def test_an_empty_package_is_refused(sender: VxpSystem, body: bytes) -> None:
    assert failed(sender.send(body, line_end=False)) == ("10", "package.empty")


def test_a_message_type_that_is_none_is_refused(sender: VxpSystem) -> None:
    assert failed(sender.send(letter(), messagetype="letter")) == ("400", "request.invalid")


@pytest.mark.parametrize("to", [f'["{PUSHED}"]', PUSHED, f"{PUSHED},{COMMUNE}", "[", "{}", "[1]", "[[[["])
def test_the_header_to_changes_nothing(site: Site, sender: VxpSystem, to: str) -> None:
    doc_id = str(succeeded(sender.send(letter(), to=to))["DocId"])
    assert [d.recipient for d in site.ledger.deliveries(doc_id)] == [COMMUNE]


def test_the_package_says_what_it_is(site: Site, sender: VxpSystem) -> None:
    doc_id = str(succeeded(sender.send(letter(), messagetype="status"))["DocId"])
    document = site.ledger.document(doc_id)
    assert document is not None
    assert document.kind == "document"


def test_a_system_sends_for_the_first_of_its_agencies_that_may(site: Site, vxp: VxpSite) -> None:
    both = vxp.system(COMMUNE, DEPARTMENT)
    document = site.ledger.document(sent_id(both))
    assert document is not None
    assert document.received_from == DEPARTMENT


def test_a_system_does_not_send_for_others(site: Site, receiver: VxpSystem) -> None:
    answer = receiver.send(letter())
    assert (answer.status_code, failed(answer)) == (200, ("19", "sender.not_allowed"))
    [refusal] = site.ledger.refusals()
    assert refusal.credential_agency == COMMUNE


def test_faults_of_a_package_are_named(sender: VxpSystem) -> None:
    raw = documents.a_package(recipients=(documents.an_organization(COMMUNE),), subject=None)
    answer = sender.send(raw)
    assert failed(answer) == ("22", "package.invalid")
    assert "N.MessageHeader.Subject" in json.loads(answer.data)["ErrorDesc"]


def test_recipients_that_nobody_knows_are_named(sender: VxpSystem) -> None:
    raw = documents.a_package(recipients=(documents.an_organization("H37.404"),))
    answer = sender.send(raw)
    assert failed(answer) == ("18", "recipient.unknown")
    assert "H37.404" in json.loads(answer.data)["ErrorDesc"]


def test_a_spool_that_cannot_be_used_is_said_to_http_too(site: Site, sender: VxpSystem) -> None:
    site.parts.spool.rmdir()
    answer = sender.send(documents.a_package(contents={"main": documents.PDF + bytes(900_000)}))
    site.parts.spool.mkdir()
    assert (answer.status_code, failed(answer)) == (503, ("20", "payload.store_unavailable"))


def test_a_ledger_that_fails_says_no_more(site: Site, sender: VxpSystem) -> None:
    sender.call("countReceiveEdoc")
    with site.ledger.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE deliveries")
    answer = sender.call("countReceiveEdoc")
    assert (answer.status_code, failed(answer)[0]) == (503, "20")
    assert b"deliveries" not in answer.data


# Another gateway


def test_a_gateway_is_served_only_what_is_beyond_it(site: Site, vxp: VxpSite) -> None:
    centre = vxp.system(DEPARTMENT, id="centre", gateway=True)
    below = (documents.an_organization(DEPARTMENT), documents.an_organization(COMMUNE))
    doc_id = str(succeeded(centre.send(documents.a_package(recipients=below)))["DocId"])
    assert [d.recipient for d in site.ledger.deliveries(doc_id)] == [COMMUNE]


def test_a_gateway_is_refused_a_document_that_is_all_its_own(site: Site, vxp: VxpSite) -> None:
    centre = vxp.system(DEPARTMENT, id="centre", gateway=True)
    raw = documents.a_package(recipients=(documents.an_organization(DEPARTMENT),))
    assert failed(centre.send(raw)) == ("18", "recipient.unreachable")
    assert site.ledger.documents().rows == ()


def test_what_a_gateway_collects_is_forwarded_and_has_not_arrived(site: Site, vxp: VxpSite, sender: VxpSystem) -> None:
    centre = vxp.system(COMMUNE, id="centre", gateway=True)
    doc_id = received_id(sender, centre)
    succeeded(centre.update(doc_id, "done"))
    delivery = site.ledger.delivery(doc_id)
    assert delivery is not None
    assert (delivery.state, delivery.status) == (DeliveryState.FORWARDED, None)
    assert sender.waiting("status") == []


# Collecting


def test_what_waits_is_listed_until_it_is_done(sender: VxpSystem, receiver: VxpSystem) -> None:
    doc_id = received_id(sender, receiver)
    succeeded(receiver.call("getEdoc", b"{}", docId=doc_id))
    assert [row["docId"] for row in receiver.waiting()] == [doc_id]
    succeeded(receiver.update(doc_id, "processing"))
    assert [(row["docId"], row["status"]) for row in receiver.waiting()] == [(doc_id, "processing")]
    succeeded(receiver.update(doc_id, "done"))
    assert receiver.waiting() == []
    succeeded(receiver.update(doc_id, "done"))


def test_the_list_has_the_members_that_the_kit_reads(site: Site, sender: VxpSystem, receiver: VxpSystem) -> None:
    sent_id(sender)
    [row] = receiver.waiting()
    assert set(row) == {"docId", "serviceType", "messageType", "created_time", "updated_time", "from", "to", "status",
                        "status_desc"}  # fmt: skip
    assert (row["serviceType"], row["messageType"], row["status"]) == ("eDoc", "edoc", "initial")
    assert row["created_time"] == f"{site.clock().astimezone(VIETNAM_TIME):%Y/%m/%d %H:%M:%S}"


def test_codes_are_listed_as_the_package_wrote_them(sender: VxpSystem, vxp: VxpSite) -> None:
    sent = documents.a_package(
        sender=documents.an_organization("H37.14"), recipients=(documents.an_organization("H37"),)
    )
    succeeded(sender.send(sent))
    [row] = vxp.system(PROVINCE, id="H37.PRO").waiting()
    assert (row["from"], row["to"]) == ("H37.14", "H37")


def test_what_failed_comes_back_with_a_delay_and_its_try_counted(
    site: Site, sender: VxpSystem, receiver: VxpSystem
) -> None:
    doc_id = received_id(sender, receiver)
    succeeded(receiver.update(doc_id, "fail"))
    assert receiver.waiting() == []
    site.clock.forward(hours=12)
    assert [(row["docId"], row["status"]) for row in receiver.waiting()] == [(doc_id, "fail")]
    delivery = site.ledger.delivery(doc_id)
    assert delivery is not None
    assert (delivery.state, delivery.attempts, delivery.error_code) == (DeliveryState.WAITING, 1, "mailbox.failed")


def test_done_reports_the_arrival_to_the_sender(sender: VxpSystem, receiver: VxpSystem) -> None:
    succeeded(receiver.update(received_id(sender, receiver), "done"))
    [report] = sender.waiting("status")
    raw = base64.b64decode(succeeded(sender.call("getEdoc", docId=report["docId"]))["data"])
    assert b"<edXML:StatusCode>01</edXML:StatusCode>" in raw


@pytest.mark.parametrize("status", ["", "DONE", "Done"])
def test_letter_case_of_a_status_does_not_matter_but_there_must_be_one(
    sender: VxpSystem, receiver: VxpSystem, status: str
) -> None:
    answer = receiver.update(received_id(sender, receiver), status)
    assert json.loads(answer.data)["ErrorCode"] == ("0" if status else "400")


def test_with_two_spellings_the_acknowledged_document_is_the_one_that_was_not_left_over(
    vxp: VxpSite, sender: VxpSystem, receiver: VxpSystem
) -> None:
    sent_id(sender, 1)
    sent_id(sender, 2)
    fetched, acknowledged = sorted(row["docId"] for row in receiver.waiting())
    logical = {"timestamp": "t", "systemid": receiver.id, "docId": fetched, "docid": acknowledged, "status": "done"}
    headers = signed(logical, receiver.secret)
    pairs = [(name, value) for name, value in headers.items()]
    succeeded(vxp.web.post("/vxp/updateStatus", data=b"{}", headers=pairs))
    assert [row["docId"] for row in receiver.waiting()] == [fetched]


def test_get_edoc_has_the_whole_package_and_its_length(site: Site, sender: VxpSystem, receiver: VxpSystem) -> None:
    doc_id = received_id(sender, receiver)
    answer = receiver.call("getEdoc", b"{}", docId=doc_id)
    row = site.ledger.log_row(doc_id)
    assert row is not None
    raw = base64.b64decode(succeeded(answer)["data"])
    assert hashlib.sha256(raw).hexdigest() == row.document.sent_sha256
    assert int(answer.headers["Content-Length"]) == len(answer.data)


def test_download_has_the_same_bytes_raw(sender: VxpSystem, receiver: VxpSystem) -> None:
    doc_id = received_id(sender, receiver)
    raw = base64.b64decode(succeeded(receiver.call("getEdoc", docId=doc_id))["data"])
    answer = receiver.call("downloadEdoc", method="GET", docId=doc_id)
    assert (answer.data, int(answer.headers["Content-Length"])) == (raw, len(raw))


def test_a_download_that_fails_says_so_to_http(receiver: VxpSystem) -> None:
    answer = receiver.call("downloadEdoc", method="GET", docId="nothing")
    assert (answer.status_code, failed(answer)) == (404, ("404", "request.not_found"))


@pytest.mark.parametrize("call", ["getEdoc", "downloadEdoc", "updateStatus"])
def test_another_systems_document_is_not_there(vxp: VxpSite, sender: VxpSystem, receiver: VxpSystem, call: str) -> None:
    doc_id = received_id(sender, receiver)
    other = vxp.system(PROVINCE, id="H37.PRO")
    answer = other.call(call, method="GET" if call == "downloadEdoc" else "POST", docId=doc_id, status="done")
    assert failed(answer) == ("404", "request.not_found")
    assert [row["docId"] for row in receiver.waiting()] == [doc_id]


def test_counts_are_by_call_whatever_message_type_was_left_over(sender: VxpSystem, receiver: VxpSystem) -> None:
    succeeded(receiver.update(received_id(sender, receiver), "done"))
    sent_id(sender, 2)
    assert succeeded(receiver.call("countReceiveEdoc", messagetype="status"))["count"] == 1
    assert succeeded(receiver.call("countReceiveStatus", messagetype="edoc"))["count"] == 0
    assert succeeded(sender.call("countReceiveStatus"))["count"] == 1


def test_documents_and_statuses_are_listed_apart_or_together(sender: VxpSystem, receiver: VxpSystem) -> None:
    succeeded(receiver.update(received_id(sender, receiver), "done"))
    assert [row["messageType"] for row in sender.waiting("status")] == ["status"]
    assert sender.waiting("edoc") == []
    assert len(json.loads(sender.call("getReceivedEdocList").data)["data"]) == 1


def test_pages_follow_one_another(sender: VxpSystem, receiver: VxpSystem) -> None:
    for number in range(1, 6):
        sent_id(sender, number)
    every = [row["docId"] for row in receiver.waiting()]
    pages = [[row["docId"] for row in receiver.waiting(pageSize="2", pageIndex=str(i))] for i in (0, 1, 2, 3, 4)]
    assert pages == [every[:2], every[:2], every[2:4], every[4:], []]


@pytest.mark.parametrize("paging", [{"pageSize": "-1"}, {"pageIndex": "x"}, {"pageSize": "500", "pageIndex": "999999"}])
def test_a_page_that_cannot_be_is_refused(receiver: VxpSystem, paging: dict[str, str]) -> None:
    answer = receiver.call("getReceivedEdocList", **paging)
    assert failed(answer) == ("400", "request.invalid")


def test_a_window_of_days_holds_its_last_day(site: Site, sender: VxpSystem, receiver: VxpSystem) -> None:
    sent_id(sender)
    today = f"{site.clock() + timedelta(hours=7):%Y/%m/%d}"
    yesterday = f"{site.clock() + timedelta(hours=7) - timedelta(days=1):%Y-%m-%d}"
    assert len(receiver.waiting(fromDate=today, toDate=today)) == 1
    assert receiver.waiting(fromDate=yesterday, toDate=yesterday) == []


def test_what_waited_through_an_outage_is_in_every_list_up_to_now(
    site: Site, sender: VxpSystem, receiver: VxpSystem
) -> None:
    sent_id(sender)
    site.clock.forward(days=40)
    today = f"{site.clock() + timedelta(hours=7):%Y/%m/%d}"
    assert len(receiver.waiting(fromDate=today, toDate=today)) == 1
    assert len(receiver.waiting(fromDate=today)) == 1


@pytest.mark.parametrize("behind", [timedelta(0), timedelta(seconds=2), timedelta(hours=7)], ids=["", "slow", "in-utc"])
def test_a_window_up_to_now_by_the_clients_own_clock_has_no_beginning(
    site: Site, sender: VxpSystem, receiver: VxpSystem, behind: timedelta
) -> None:
    sent_id(sender)
    site.clock.forward(days=9)
    now = site.clock().astimezone(VIETNAM_TIME) - behind
    window = {"fromDate": f"{now - timedelta(days=2):%Y/%m/%d %H:%M:%S}", "toDate": f"{now:%Y/%m/%d %H:%M:%S}"}
    assert len(receiver.waiting(**window)) == 1


def test_a_window_that_is_over_has_a_beginning(site: Site, sender: VxpSystem, receiver: VxpSystem) -> None:
    sent_id(sender)
    site.clock.forward(days=9)
    now = site.clock().astimezone(VIETNAM_TIME)
    window = {"fromDate": f"{now - timedelta(days=5):%Y/%m/%d}", "toDate": f"{now - timedelta(days=3):%Y/%m/%d}"}
    assert receiver.waiting(**window) == []


@pytest.mark.parametrize("date", ["05032026", "yesterday", "2014/02/30"])
def test_a_date_that_nobody_understands_hides_nothing(sender: VxpSystem, receiver: VxpSystem, date: str) -> None:
    sent_id(sender)
    assert len(receiver.waiting(fromDate=date, toDate=date)) == 1


# The sent list


def test_a_sent_document_is_listed_with_how_far_it_came(sender: VxpSystem, receiver: VxpSystem) -> None:
    doc_id = sent_id(sender)
    [row] = sender.sent()
    [received] = receiver.waiting()
    assert (row["senderDocId"], row["receiverDocId"]) == (doc_id, received["docId"])
    assert (row["fromCode"], row["toCode"], row["notation"]) == (DEPARTMENT, COMMUNE, "1/SA-VP")
    assert (row["title"], row["documentId"]) == (
        "V/v kiểm thử liên thông văn bản",
        f"{DEPARTMENT},2026/03/05,1/SA-VP",
    )
    assert (row["sendStatus"], row["receivedTime"], row["receiveStatus"]) == ("initial", "", "")
    succeeded(receiver.update(received["docId"], "done"))
    [row] = sender.sent()
    assert (row["sendStatus"], row["receiveStatus"]) == ("done", StatusCode.ARRIVED)
    assert row["receivedTime"]


def test_sent_statuses_are_listed_apart(sender: VxpSystem, receiver: VxpSystem) -> None:
    succeeded(receiver.update(received_id(sender, receiver), "done"))
    report = documents.a_status_package(
        sender=documents.an_organization(COMMUNE),
        responses=(documents.ResponseFor(code=DEPARTMENT, document_id=DocumentId(f"{DEPARTMENT},2026/03/05,1/SA-VP")),),
    )
    succeeded(receiver.send(report, messagetype="status"))
    assert receiver.sent("edoc") == []
    assert {row["messageType"] for row in receiver.sent("status")} == {"status"}


def test_one_sent_document_is_found_by_either_of_its_ids(sender: VxpSystem) -> None:
    doc_id = sent_id(sender)
    sent_id(sender, 2)
    by_gateway, by_sender = sender.sent(docId=doc_id), sender.sent(docId=f"{DEPARTMENT},2026/03/05,1/SA-VP")
    assert [row["senderDocId"] for row in by_gateway] == [row["senderDocId"] for row in by_sender] == [doc_id]


def test_a_doc_id_left_over_from_fetching_is_no_filter(vxp: VxpSite, sender: VxpSystem, receiver: VxpSystem) -> None:
    fetched = received_id(sender, receiver)
    both = vxp.system(COMMUNE, DEPARTMENT, id="H37.BOTH")
    assert len(both.sent(docId=fetched)) == 1
    assert sender.sent(docId=fetched) == []
    assert sender.sent(docId="nothing") == []


def test_the_header_from_chooses_among_a_systems_agencies(vxp: VxpSite, sender: VxpSystem) -> None:
    sent_id(sender)
    both = vxp.system(COMMUNE, DEPARTMENT, id="H37.BOTH")
    found = [len(both.sent(**{"from": code})) for code in ("H37.BOTH", DEPARTMENT, "H37.14", COMMUNE)]
    assert found == [1, 1, 1, 0]


def test_the_header_from_of_another_agency_is_refused(sender: VxpSystem) -> None:
    assert failed(sender.call("getSentEdocList", **{"from": COMMUNE})) == ("403", "request.not_permitted")


# What is no call


@pytest.mark.parametrize(("method", "call"), [("POST", "nothing"), ("GET", "sendEdoc"), ("POST", "a/b")])
def test_a_call_that_is_none_is_answered_in_the_envelope(sender: VxpSystem, method: str, call: str) -> None:
    assert failed(sender.call(call, method=method)) == ("404", "request.not_found")


def test_no_answer_may_be_kept_on_the_way(sender: VxpSystem) -> None:
    assert sender.call("countReceiveEdoc").headers["Cache-Control"] == "no-store"
