"""The provincial protocol, call by call, as an eOffice system meets it; the wire itself is the acceptance tests'."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from gateway.exchange import mailbox
from gateway.exchange.systems import SecretBox, revoke_system, rotate_secret
from gateway.ledger.records import Filter
from gateway.model import DeliveryState, Lane, OtherInfo, PackageKind, StatusCode
from tests.support import documents
from tests.support.exchange import COMMUNE, DEPARTMENT, PROVINCE, Site
from tests.support.lgsp import PREFIX, Lgsp, LgspSystem, an_lgsp


@pytest.fixture
def lgsp(site: Site) -> Lgsp:
    """The protocol with its defaults."""
    return an_lgsp(site)


@pytest.fixture
def sender(lgsp: Lgsp) -> LgspSystem:
    """The system of the department, whose documents are signed by nobody."""
    return lgsp.system(DEPARTMENT)


@pytest.fixture
def receiver(lgsp: Lgsp) -> LgspSystem:
    """The system of a commune."""
    return lgsp.system(COMMUNE, id="H37.DN.021")


def to_commune(**changes: Any) -> bytes:
    return documents.a_package(recipients=(documents.an_organization(COMMUNE),), **changes)


def ok(answer: TestResponse) -> Mapping[str, Any]:
    """The whole answer of a call that was carried out."""
    body: Mapping[str, Any] = answer.get_json()
    assert (answer.status_code, body["code"], body["errorDetail"]) == (200, 200, []), body
    return body


def refused(answer: TestResponse) -> tuple[int, int, str]:
    """HTTP status, number and the gateway's own code of a call that was not."""
    body = answer.get_json()
    assert body["success"] is False
    own = body["message"].rpartition("[")[2].rstrip("]")
    assert body["errorDetail"][0]["exception"].startswith(own)
    return answer.status_code, body["code"], own


def waiting_one(lgsp: Lgsp, sender: LgspSystem, receiver: LgspSystem, raw: bytes | None = None) -> str:
    """The ``docId`` of a letter that has been sent and waits."""
    ok(sender.send(to_commune() if raw is None else raw))
    (row,) = lgsp.listed(receiver)
    return str(row["docId"])


def state_of(site: Site, delivery: str) -> DeliveryState:
    row = site.ledger.delivery(delivery)
    assert row is not None
    return row.state


def statuses_of(site: Site) -> list[str]:
    """The statuses of the one document, in the order in which they came."""
    (document,) = site.ledger.documents(Filter(kind=PackageKind.DOCUMENT)).rows
    trace = site.ledger.trace(document.id)
    assert trace is not None
    return [status.code.value for status in trace.statuses]


# Who calls


def test_login_names_the_system(lgsp: Lgsp) -> None:
    system = lgsp.system(DEPARTMENT)
    data = ok(system.login())["data"]
    assert (data["id"], data["name"]) == ("H37.DN.001", "Phần mềm thử")


@pytest.mark.parametrize("changes", [{"password": "x"}, {"username": "H37.DN.999"}, {"password": "mật khẩu"}])
def test_a_wrong_login_is_15(sender: LgspSystem, changes: dict[str, str]) -> None:
    assert refused(sender.login(**changes)) == (401, 15, "request.not_authenticated")


@pytest.mark.parametrize("body", [b"", b"x", b"[]", b"{}", b"[" * 8_000, b'{"username": 7, "password": "x"}'])
def test_a_login_that_is_no_login_is_a_bad_request(lgsp: Lgsp, body: bytes) -> None:
    assert refused(lgsp.web.post(f"{PREFIX}/auth/login", data=body))[:2] == (400, 400)


def test_half_a_character_as_a_password_is_a_wrong_login(lgsp: Lgsp, sender: LgspSystem) -> None:
    body = b'{"username": "H37.DN.001", "password": "\\ud800"}'
    assert refused(lgsp.web.post(f"{PREFIX}/auth/login", data=body)) == (401, 15, "request.not_authenticated")


def test_a_login_of_more_than_8_kb_is_not_read(sender: LgspSystem) -> None:
    assert refused(sender.login(otp="x" * 8192)) == (413, 10, "request.body_too_large")


def test_a_token_ends_after_half_an_hour(site: Site, lgsp: Lgsp, sender: LgspSystem) -> None:
    site.clock.forward(minutes=29)
    lgsp.listed(sender)
    site.clock.forward(minutes=1)
    assert refused(sender.days(lgsp.today(), lgsp.today(1))) == (401, 401, "request.session_ended")
    ok(sender.login())
    lgsp.listed(sender)


def test_a_token_does_not_help_a_wrong_secret(lgsp: Lgsp, sender: LgspSystem) -> None:
    sender.headers["X-SecretKey"] = "x"
    assert refused(sender.fetch("x"))[1] == 15


def test_both_secrets_work_during_the_overlap_of_a_rotation(site: Site, lgsp: Lgsp, sender: LgspSystem) -> None:
    new = rotate_secret(site.ledger, site.box, sender.id, overlap=timedelta(hours=1), now=site.clock())
    site.clock.forward(seconds=6)  # longer than a system is remembered
    lgsp.listed(sender)
    sender.secret = new
    ok(sender.login())
    lgsp.listed(sender)


def test_after_the_overlap_the_old_secret_is_15(site: Site, lgsp: Lgsp, sender: LgspSystem) -> None:
    rotate_secret(site.ledger, site.box, sender.id, overlap=timedelta(minutes=5), now=site.clock())
    site.clock.forward(minutes=6)
    assert refused(sender.fetch("x"))[1] == 15


def test_a_revoked_system_is_15(site: Site, lgsp: Lgsp, sender: LgspSystem) -> None:
    revoke_system(site.ledger, sender.id, site.clock())
    site.clock.forward(seconds=6)
    assert refused(sender.fetch("x"))[1] == 15
    assert refused(sender.login())[1] == 15


def test_a_token_of_another_system_is_none(sender: LgspSystem, receiver: LgspSystem) -> None:
    sender.headers["Authorization"] = receiver.headers["Authorization"]
    assert refused(sender.fetch("x")) == (401, 401, "request.session_ended")


def test_one_login_may_serve_several_systems_where_the_operator_says_so(site: Site) -> None:
    lgsp = an_lgsp(site, shared_login=True)
    sender, receiver = lgsp.system(DEPARTMENT), lgsp.system(COMMUNE, id="H37.DN.021")
    sender.headers["Authorization"] = receiver.headers["Authorization"]
    lgsp.listed(sender)
    revoke_system(site.ledger, receiver.id, site.clock())
    site.clock.forward(seconds=6)
    assert refused(sender.fetch("x"))[1] == 401


def test_a_newer_login_ends_the_older_token_where_the_operator_says_so(site: Site) -> None:
    lgsp = an_lgsp(site, single_token=True)
    sender = lgsp.system(DEPARTMENT)
    older = dict(sender.headers)
    ok(sender.login())
    lgsp.listed(sender)
    sender.headers = older
    assert refused(sender.fetch("x")) == (401, 401, "request.session_ended")


def test_a_newer_login_is_known_to_every_process(site: Site) -> None:
    here = an_lgsp(site, single_token=True)
    sender = here.system(DEPARTMENT)
    there = LgspSystem(an_lgsp(site, single_token=True).web, sender.id, sender.secret)
    ok(there.login())
    assert refused(sender.fetch("x"))[1] == 401


def test_who_comes_too_often_is_told_to_wait(site: Site) -> None:
    lgsp = an_lgsp(site, rate_limit="2 per minute")
    system = lgsp.system(DEPARTMENT)
    system.fetch("x")
    answer = system.fetch("x")
    assert refused(answer) == (429, 20, "request.too_many")
    assert answer.headers["Retry-After"]


def test_wrong_credentials_are_counted_by_address(site: Site) -> None:
    lgsp = an_lgsp(site, rate_limit="3 per minute")
    stranger = LgspSystem(lgsp.web, "H37.DN.999", "x")
    assert [stranger.login().status_code for _ in range(4)] == [401, 401, 401, 429]


def test_wrong_credentials_of_strangers_do_not_hide_that_a_token_has_ended(site: Site) -> None:
    lgsp = an_lgsp(site, rate_limit="3 per minute")
    system, stranger = lgsp.system(DEPARTMENT), LgspSystem(lgsp.web, "H37.DN.999", "x")
    site.clock.forward(minutes=30)
    assert [stranger.login().status_code for _ in range(4)] == [401, 401, 401, 429]
    assert refused(system.fetch("x")) == (401, 401, "request.session_ended")


def test_calls_without_a_token_are_counted_by_system(site: Site) -> None:
    lgsp = an_lgsp(site, rate_limit="3 per minute")
    system = lgsp.system(DEPARTMENT)
    system.headers["Authorization"] = "Bearer x"
    assert [system.fetch("x").status_code for _ in range(3)] == [401, 401, 429]


def test_a_system_without_an_agency_in_the_directory_is_15(site: Site, lgsp: Lgsp, sender: LgspSystem) -> None:
    del site.known[DEPARTMENT]
    assert refused(sender.fetch("x"))[1] == 15


# sendEdoc


def test_sending_answers_in_both_shapes_at_once(sender: LgspSystem) -> None:
    body = ok(sender.send(to_commune()))
    assert body["success"] is True
    assert body["docId"] == body["data"]["docId"]
    assert (body["data"]["status"], body["data"]["errorCode"]) == ("OK", "0")


def test_the_document_that_was_sent_is_the_package_byte_for_byte(site: Site, sender: LgspSystem) -> None:
    raw = to_commune(contents={"main": documents.PDF + bytes(range(256)) * 4000})
    document = site.ledger.document(ok(sender.send(raw))["docId"])
    assert document is not None
    assert document.size == len(raw)


def test_the_same_package_again_is_the_same_document(sender: LgspSystem) -> None:
    assert ok(sender.send(to_commune()))["docId"] == ok(sender.send(to_commune()))["docId"]


@pytest.mark.parametrize(
    ("raw", "number", "code"),
    [
        (b"", 10, "package.empty"),
        (b"x", 22, "package.malformed"),
        (b"<!DOCTYPE edXML><edXML/>", 10, "package.forbidden_markup"),
        (b"<x/>", 22, "package.unknown"),
        (to_commune(subject=None), 22, "package.invalid"),
        (documents.a_package(recipients=(documents.an_organization("H37.404"),)), 18, "recipient.unknown"),
        (to_commune(sender=documents.an_organization(PROVINCE)), 19, "sender.not_allowed"),
        (to_commune(sender=documents.an_organization("H37.404")), 19, "sender.unknown"),
    ],
)
def test_a_refused_document_has_its_number_and_http_says_200(
    site: Site, sender: LgspSystem, raw: bytes, number: int, code: str
) -> None:
    assert refused(sender.send(raw)) == (200, number, code)
    assert [refusal.code for refusal in site.ledger.refusals()] == [code]


def test_other_bytes_under_a_used_id_are_10(sender: LgspSystem) -> None:
    ok(sender.send(to_commune()))
    assert refused(sender.send(to_commune(subject="Khác"))) == (200, 10, "document.conflict")


def test_a_form_without_the_file_is_10(lgsp: Lgsp, sender: LgspSystem) -> None:
    answer = lgsp.web.post(
        f"{PREFIX}/sendEdoc", data={"messageType": "edoc"}, headers=sender.headers, content_type="multipart/form-data"
    )
    assert refused(answer) == (200, 10, "package.empty")


def test_a_form_with_two_files_is_a_bad_request(lgsp: Lgsp, sender: LgspSystem) -> None:
    files = [(io.BytesIO(to_commune()), "a.edxml"), (io.BytesIO(to_commune()), "b.edxml")]
    answer = lgsp.web.post(f"{PREFIX}/sendEdoc", data={"edocFile": files}, headers=sender.headers)
    assert refused(answer)[:2] == (400, 400)


@pytest.mark.parametrize("kind", ["application/xml", "multipart/form-data"])
def test_a_body_that_is_no_form_is_10(lgsp: Lgsp, sender: LgspSystem, kind: str) -> None:
    answer = lgsp.web.post(f"{PREFIX}/sendEdoc", data=to_commune(), headers=sender.headers, content_type=kind)
    assert refused(answer) == (415, 10, "request.unsupported_media")
    assert answer.headers["Connection"] == "close"


def test_a_body_without_a_length_is_411(lgsp: Lgsp, sender: LgspSystem) -> None:
    answer = lgsp.web.post(
        f"{PREFIX}/sendEdoc",
        input_stream=io.BytesIO(b"x"),
        headers=sender.headers,
        content_type="multipart/form-data; boundary=x",
        environ_overrides={"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True},
    )
    assert refused(answer) == (411, 10, "request.length_required")


def test_a_body_over_the_limit_is_10_and_413(lgsp: Lgsp, sender: LgspSystem, site: Site) -> None:
    answer = lgsp.web.post(
        f"{PREFIX}/sendEdoc",
        input_stream=io.BytesIO(b"x"),
        headers=sender.headers,
        content_type="multipart/form-data; boundary=x",
        environ_overrides={"CONTENT_LENGTH": str(21 * 1024 * 1024)},
    )
    assert refused(answer) == (413, 10, "request.body_too_large")
    assert [refusal.code for refusal in site.ledger.refusals()] == ["request.body_too_large"]


def test_the_package_says_what_kind_it_is_and_the_form_does_not(site: Site, sender: LgspSystem) -> None:
    document = site.ledger.document(ok(sender.send(to_commune(), kind="status"))["docId"])
    assert document is not None
    assert document.kind is PackageKind.DOCUMENT


def test_a_kind_that_there_is_not_is_a_bad_request(sender: LgspSystem) -> None:
    assert refused(sender.send(to_commune(), kind="letter"))[:2] == (400, 400)


def test_a_system_sends_for_each_of_its_agencies(lgsp: Lgsp) -> None:
    both = lgsp.system(COMMUNE, DEPARTMENT)
    ok(both.send(to_commune()))


def test_a_spool_that_cannot_be_used_is_trouble_of_the_axis(site: Site, sender: LgspSystem) -> None:
    site.parts.spool.rmdir()
    answer = sender.send(to_commune(contents={"main": documents.PDF + bytes(700_000)}))
    site.parts.spool.mkdir()
    assert refused(answer) == (503, 20, "payload.store_unavailable")


# Lists


def test_the_list_says_whose_each_document_is(lgsp: Lgsp, sender: LgspSystem, receiver: LgspSystem) -> None:
    waiting_one(lgsp, sender, receiver)
    answer = ok(receiver.days(lgsp.today(), lgsp.today(1)))
    (row,) = answer["data"]
    assert answer["count"] == 1
    assert (row["from"], row["to"], row["status"], row["messageType"]) == (DEPARTMENT, COMMUNE, "initial", "edoc")


def test_the_last_day_is_not_part_of_the_list(lgsp: Lgsp, sender: LgspSystem, receiver: LgspSystem) -> None:
    waiting_one(lgsp, sender, receiver)
    assert ok(receiver.days(lgsp.today(-1), lgsp.today()))["data"] == []
    assert ok(receiver.days(lgsp.today(), lgsp.today()))["data"] == []


@pytest.mark.parametrize(("days", "refuses"), [(7, False), (8, True)])
def test_a_window_of_more_than_seven_days_is_refused(
    lgsp: Lgsp, receiver: LgspSystem, days: int, refuses: bool
) -> None:
    answer = receiver.days(lgsp.today(1 - days), lgsp.today(1))
    assert answer.status_code == (400 if refuses else 200)


def test_days_end_at_midnight_in_viet_nam(site: Site, lgsp: Lgsp, sender: LgspSystem, receiver: LgspSystem) -> None:
    """At 23:30 and at 00:30 in Việt Nam it is the same day by UTC."""
    site.clock.now = site.clock.now.replace(hour=16, minute=30)
    for system in (sender, receiver):
        ok(system.login())
    waiting_one(lgsp, sender, receiver)
    first_day = lgsp.today()
    site.clock.forward(hours=1)
    ok(receiver.login())
    assert lgsp.today() != first_day
    assert len(ok(receiver.days(first_day, lgsp.today()))["data"]) == 1
    assert ok(receiver.days(lgsp.today(), lgsp.today(1)))["data"] == []


def test_what_has_waited_for_weeks_is_in_the_list_of_today(
    site: Site, lgsp: Lgsp, sender: LgspSystem, receiver: LgspSystem
) -> None:
    doc_id = waiting_one(lgsp, sender, receiver)
    site.clock.forward(days=20)
    ok(receiver.login())
    assert [row["docId"] for row in lgsp.listed(receiver)] == [doc_id]
    assert ok(receiver.days(lgsp.today(-5), lgsp.today(-1)))["data"] == []


def test_what_is_older_is_also_in_the_list_of_the_last_seven_whole_days(
    site: Site, lgsp: Lgsp, sender: LgspSystem, receiver: LgspSystem
) -> None:
    """A client that writes the day of now into toDate never asks for tomorrow."""
    doc_id = waiting_one(lgsp, sender, receiver)
    site.clock.forward(days=9)
    ok(receiver.login())
    assert [row["docId"] for row in ok(receiver.days(lgsp.today(-7), lgsp.today()))["data"]] == [doc_id]


def test_nothing_lies_between_the_widest_window_and_what_is_older(
    site: Site, lgsp: Lgsp, sender: LgspSystem, receiver: LgspSystem
) -> None:
    """At noon a document comes; half past midnight a week later no window that reaches up to now begins before it."""
    site.clock.now = site.clock.now.replace(hour=5, minute=0)
    for system in (sender, receiver):
        ok(system.login())
    doc_id = waiting_one(lgsp, sender, receiver)
    site.clock.forward(days=6, hours=12, minutes=30)
    ok(receiver.login())
    assert [row["docId"] for row in ok(receiver.days(lgsp.today(-6), lgsp.today(1)))["data"]] == [doc_id]


def test_what_is_urgent_stands_before_what_has_waited_for_weeks(
    site: Site, lgsp: Lgsp, sender: LgspSystem, receiver: LgspSystem
) -> None:
    old = waiting_one(lgsp, sender, receiver)
    site.clock.forward(days=20)
    for system in (sender, receiver):
        ok(system.login())
    urgent = OtherInfo(priority=Lane.FLASH, promulgation_amount=1, page_amount=2, direction=False)
    ok(sender.send(to_commune(document_id="000.00.14.H37,2026/03/25,urgent", other=urgent)))
    assert [row["docId"] for row in lgsp.listed(receiver)][1:] == [old]


def test_a_day_before_all_time_is_no_day(receiver: LgspSystem) -> None:
    """The first day of the calendar in Việt Nam begins before it by UTC."""
    assert refused(receiver.days("0001/01/01", "0001/01/02")) == (400, 400, "request.window_refused")


def test_reports_are_a_list_of_their_own(lgsp: Lgsp, sender: LgspSystem, receiver: LgspSystem) -> None:
    ok(receiver.update(waiting_one(lgsp, sender, receiver), "done"))
    assert lgsp.listed(sender) == []
    (row,) = lgsp.listed(sender, kind="status")
    assert row["messageType"] == "status"


@pytest.mark.parametrize("query", [{}, {"messageType": "x"}, {"fromDate": "2026/03/05"}])
def test_a_list_that_is_badly_asked_for_is_no_empty_list(
    lgsp: Lgsp, receiver: LgspSystem, query: dict[str, str]
) -> None:
    answer = lgsp.web.get(f"{PREFIX}/syncReceivedEdocList", query_string=query, headers=receiver.headers)
    assert refused(answer)[:2] == (400, 400)


# getEdoc


def test_fetching_brings_the_whole_package_and_settles_nothing(
    site: Site, lgsp: Lgsp, sender: LgspSystem, receiver: LgspSystem
) -> None:
    doc_id = waiting_one(lgsp, sender, receiver)
    answer = receiver.fetch(doc_id)
    data = ok(answer)["data"]
    row = site.ledger.log_row(doc_id)
    assert row is not None
    package = base64.b64decode(data["data"], validate=True)
    assert mailbox.package(site.parts, doc_id, [site.known[COMMUNE]])[1].read() == package
    assert (data["docId"], data["from"], data["edocCode"]) == (doc_id, DEPARTMENT, "07/SA-VP")
    assert int(answer.headers["Content-Length"]) == len(answer.data)
    assert state_of(site, doc_id) is DeliveryState.LEASED


def test_a_package_of_the_payload_store_is_fetched_whole(lgsp: Lgsp, sender: LgspSystem, receiver: LgspSystem) -> None:
    raw = to_commune(contents={"main": documents.PDF + bytes(range(256)) * 8000})
    doc_id = waiting_one(lgsp, sender, receiver, raw)
    fetched = base64.b64decode(ok(receiver.fetch(doc_id))["data"]["data"], validate=True)
    assert raw.partition(b"<AttachmentEncoded>")[2][:100_000] in fetched


@pytest.mark.parametrize("doc_id", ["", "x", "01a20106-0408-75a3-a68a-cf9a0a978fa7"])
def test_what_is_not_there_is_not_found(receiver: LgspSystem, doc_id: str) -> None:
    assert refused(receiver.fetch(doc_id)) == (404, 404, "request.not_found")


def test_what_is_another_systems_is_not_found(lgsp: Lgsp, sender: LgspSystem, receiver: LgspSystem) -> None:
    doc_id = waiting_one(lgsp, sender, receiver)
    assert refused(sender.fetch(doc_id))[1] == 404
    for status in ("done", "03", "02"):
        assert refused(sender.update(doc_id, status))[1] == 404


# updateStatus


def test_done_is_gone_and_the_sender_learns_of_the_arrival(
    site: Site, lgsp: Lgsp, sender: LgspSystem, receiver: LgspSystem
) -> None:
    doc_id = waiting_one(lgsp, sender, receiver)
    for _ in range(2):
        assert ok(receiver.update(doc_id, "done"))["docId"] == doc_id
    assert lgsp.listed(receiver) == []
    assert statuses_of(site) == ["01"]


def test_processing_stays_listed(site: Site, lgsp: Lgsp, sender: LgspSystem, receiver: LgspSystem) -> None:
    doc_id = waiting_one(lgsp, sender, receiver)
    ok(receiver.update(doc_id, "processing"))
    assert [row["status"] for row in lgsp.listed(receiver)] == ["processing"]
    assert state_of(site, doc_id) is DeliveryState.LEASED


def test_fail_comes_back_after_a_delay_with_its_reason(
    site: Site, lgsp: Lgsp, sender: LgspSystem, receiver: LgspSystem
) -> None:
    doc_id = waiting_one(lgsp, sender, receiver)
    ok(receiver.update(doc_id, "fail", reason="Tệp không mở được"))
    assert lgsp.listed(receiver) == []
    site.clock.forward(minutes=2)
    assert [row["status"] for row in lgsp.listed(receiver)] == ["fail"]


def test_what_a_gateway_collects_is_forwarded_and_makes_no_arrival(site: Site, lgsp: Lgsp, sender: LgspSystem) -> None:
    centre = lgsp.system(COMMUNE, id="H37.TT", gateway=True)
    ok(centre.update(waiting_one(lgsp, sender, centre), "done"))
    assert statuses_of(site) == []


def test_an_arrival_that_a_gateway_reports_reaches_the_sender_once(site: Site, lgsp: Lgsp, sender: LgspSystem) -> None:
    centre = lgsp.system(COMMUNE, id="H37.TT", gateway=True)
    doc_id = waiting_one(lgsp, sender, centre)
    for _ in range(2):
        ok(centre.update(doc_id, "01"))
    assert (statuses_of(site), state_of(site, doc_id)) == (["01"], DeliveryState.DELIVERED)


def test_01_is_done_and_no_second_arrival(site: Site, lgsp: Lgsp, sender: LgspSystem, receiver: LgspSystem) -> None:
    doc_id = waiting_one(lgsp, sender, receiver)
    for _ in range(2):
        ok(receiver.update(doc_id, "01"))
    assert statuses_of(site) == ["01"]
    assert state_of(site, doc_id) is DeliveryState.DELIVERED


def test_a_report_on_a_report_is_refused_and_leaves_it_listed(
    lgsp: Lgsp, sender: LgspSystem, receiver: LgspSystem
) -> None:
    ok(receiver.update(waiting_one(lgsp, sender, receiver), "done"))
    (row,) = lgsp.listed(sender, kind="status")
    assert refused(sender.update(row["docId"], "03"))[0] == 403
    assert len(lgsp.listed(sender, kind="status")) == 1
    ok(sender.update(row["docId"], "01"))
    assert lgsp.listed(sender, kind="status") == []


def test_a_gateway_may_say_of_a_report_that_it_has_arrived(lgsp: Lgsp, receiver: LgspSystem) -> None:
    centre = lgsp.system(DEPARTMENT, id="H37.TT", gateway=True)
    ok(lgsp.system(DEPARTMENT).send(to_commune()))
    (letter,) = lgsp.listed(receiver)
    ok(receiver.update(letter["docId"], "done"))
    (row,) = lgsp.listed(centre, kind="status")
    ok(centre.update(row["docId"], "01"))
    assert lgsp.listed(centre, kind="status") == []


def test_progress_counts_as_collected_and_is_reported_to_the_sender(
    site: Site, lgsp: Lgsp, sender: LgspSystem, receiver: LgspSystem
) -> None:
    doc_id = waiting_one(lgsp, sender, receiver)
    for status in ("03", "04", "05", "06", "06"):
        ok(receiver.update(doc_id, status))
    assert statuses_of(site) == ["01", "03", "04", "05", "06"]
    assert len(lgsp.listed(sender, kind="status")) == 5


@pytest.mark.parametrize(("given", "kept"), [("Sai địa chỉ", "Sai địa chỉ"), (None, "không nêu lý do")])
def test_02_refuses_also_without_the_reason_that_the_protocol_has_no_place_for(
    lgsp: Lgsp, sender: LgspSystem, receiver: LgspSystem, given: str | None, kept: str
) -> None:
    doc_id = waiting_one(lgsp, sender, receiver)
    ok(receiver.update(doc_id, "02", reason=given))
    assert state_of(lgsp.site, doc_id) is DeliveryState.REFUSED
    (document,) = lgsp.site.ledger.documents(Filter(kind=PackageKind.DOCUMENT)).rows
    trace = lgsp.site.ledger.trace(document.id)
    assert trace is not None
    assert kept in str(trace.statuses[0].description)


def test_a_long_reason_that_is_sent_again_is_no_second_report(
    site: Site, lgsp: Lgsp, sender: LgspSystem, receiver: LgspSystem
) -> None:
    doc_id = waiting_one(lgsp, sender, receiver)
    for _ in range(2):
        ok(receiver.update(doc_id, "02", reason="Văn bản không thuộc thẩm quyền. " * 100))
        site.clock.forward(minutes=1)
    assert statuses_of(site) == ["02"]


def test_13_asks_every_receiver_to_give_the_document_back(
    site: Site, lgsp: Lgsp, sender: LgspSystem, receiver: LgspSystem
) -> None:
    both = documents.a_package(
        recipients=(documents.an_organization(COMMUNE), documents.an_organization(PROVINCE)),
    )
    doc_id = ok(sender.send(both))["docId"]
    ok(sender.update(doc_id, "13", reason="Gửi nhầm"))
    assert statuses_of(site).count(StatusCode.RECALL_ASKED.value) == 2
    assert refused(receiver.update(doc_id, "13"))[0] in (403, 404)


def test_a_system_asks_back_what_one_of_its_agencies_sent_to_another(site: Site, lgsp: Lgsp) -> None:
    both = lgsp.system(COMMUNE, DEPARTMENT)
    sent = ok(both.send(to_commune()))["docId"]
    ok(both.update(sent, "13", reason="Gửi nhầm"))
    assert statuses_of(site) == ["13", "15"]


def test_13_is_not_the_receivers_to_ask(lgsp: Lgsp, sender: LgspSystem, receiver: LgspSystem) -> None:
    sent = ok(sender.send(to_commune()))["docId"]
    assert refused(receiver.update(sent, "13")) == (403, 403, "request.not_permitted")


def test_15_and_16_answer_what_was_asked_back(site: Site, lgsp: Lgsp, sender: LgspSystem, receiver: LgspSystem) -> None:
    sent = ok(sender.send(to_commune()))["docId"]
    (row,) = lgsp.listed(receiver)
    ok(receiver.update(row["docId"], "done"))
    for asked, answered in (("13", "16"), ("13", "15")):
        ok(sender.update(sent, asked, reason="Gửi nhầm"))
        ok(receiver.update(row["docId"], answered, reason="Đã xử lý"))
        site.clock.forward(minutes=1)
    assert statuses_of(site) == ["01", "13", "16", "13", "15"]
    assert len(lgsp.listed(receiver, kind="status")) == 2
    assert len(lgsp.listed(sender, kind="status")) == 3


def test_13_takes_back_at_once_what_nobody_has_collected(
    site: Site, lgsp: Lgsp, sender: LgspSystem, receiver: LgspSystem
) -> None:
    sent = ok(sender.send(to_commune()))["docId"]
    ok(sender.update(sent, "13", reason="Gửi nhầm"))
    assert lgsp.listed(receiver) == []
    assert statuses_of(site) == ["13", "15"]


@pytest.mark.parametrize("status", ["", "xong", "99", 3, None])
def test_another_status_is_a_bad_request(lgsp: Lgsp, sender: LgspSystem, receiver: LgspSystem, status: object) -> None:
    assert refused(receiver.update(waiting_one(lgsp, sender, receiver), status))[:2] == (400, 400)


def test_a_reason_that_is_no_text_is_a_bad_request(lgsp: Lgsp, sender: LgspSystem, receiver: LgspSystem) -> None:
    doc_id = waiting_one(lgsp, sender, receiver)
    assert refused(receiver.update(doc_id, "fail", reason={"a": 1}))[:2] == (400, 400)


# Shapes, and what lies outside


def test_the_documented_shape_has_nothing_else(site: Site) -> None:
    lgsp = an_lgsp(site, shape="documented")
    sender, receiver = lgsp.system(DEPARTMENT), lgsp.system(COMMUNE, id="H37.DN.021")
    sent = sender.send(to_commune()).get_json()
    assert set(sent) == {"success", "message", "docId", "data"}
    (row,) = lgsp.listed(receiver)
    assert base64.b64decode(receiver.fetch(row["docId"]).get_json()["data"]["data"])
    wrong = sender.send(b"x").get_json()
    assert set(wrong) == {"success", "message", "docId", "data"}
    assert (wrong["success"], wrong["docId"], wrong["data"]["errorCode"]) == (False, None, "22")


def test_the_documented_shape_says_what_is_wrong_too(site: Site) -> None:
    lgsp = an_lgsp(site, shape="documented")
    data = lgsp.system(DEPARTMENT).send(to_commune(subject=None)).get_json()["data"]
    assert "N.MessageHeader.Subject" in data["errorDesc"]


def test_what_goes_wrong_inside_says_nothing_of_its_cause(site: Site, sender: LgspSystem) -> None:
    key = site.parts.spool.parent / "systems.key"
    key.write_bytes(b"not a key")
    site.box = SecretBox(key)  # of another process, which has not read it yet
    answer = LgspSystem(an_lgsp(site).web, sender.id, sender.secret).login()
    assert refused(answer) == (500, 20, "key.unusable")
    assert "systems.key" not in answer.get_data(as_text=True)


def test_a_method_that_a_call_has_not_is_405(lgsp: Lgsp, sender: LgspSystem) -> None:
    assert lgsp.web.get(f"{PREFIX}/sendEdoc", headers=sender.headers).status_code == 405


def test_the_protocol_can_be_served_at_the_root(site: Site) -> None:
    web = an_lgsp(site, prefix="").web
    assert web.get("/v1/getEdoc").status_code == 401
    assert web.get(f"{PREFIX}/getEdoc").status_code == 404
