"""Sending to axes that speak VXP and LGSP, against a real server, with the faults that real ones have (domain §2)."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.delivery.http import HttpClient, HttpSettings
from gateway.delivery.lgsp import Tokens
from gateway.delivery.vxp import VxpAxis
from gateway.errors import AxisDown
from gateway.model import BusinessType, Channel, DeliveryState
from tests.support import axis as axes
from tests.support.axis import FakeAxis, an_axis, lgsp_says, says
from tests.support.deliveries import NOON, SendingSite
from tests.support.documents import a_package

NATIONAL = "000.00.22.W00"
LAO_CAI, YEN_BAI = "000.00.00.H38", "000.00.00.H63"


@pytest.fixture
def axis() -> Iterator[FakeAxis]:
    with an_axis() as running:
        yield running


@pytest.fixture
def vxp(site: SendingSite, axis: FakeAxis) -> SendingSite:
    site.axis_at(NATIONAL, axis.url)
    return site


@pytest.fixture
def lgsp(site: SendingSite, axis: FakeAxis) -> SendingSite:
    site.axis_at(NATIONAL, axis.url, Channel.LGSP, axes.LGSP_SECRET)
    return site


def a_document(site: SendingSite, *recipients: str, **facts: Any) -> str:
    """One letter for these recipients beyond the axis; the gateway's id."""
    named = {
        "document_id": "000.00.14.H37,2026/03/05,07/SA-VP",
        "number": "07",
        "notation": "SA-VP",
        "subject": "V/v kiểm thử liên thông văn bản",
    }
    return site.accept(NATIONAL, *(recipients or (LAO_CAI,)), body=a_package(), **{**named, **facts})


def later(site: SendingSite, hours: int = 5, **changes: Any) -> int:
    """Try what is due some hours later."""
    return site.worker(**changes).run_once(NOON + timedelta(hours=hours))


def code_of(site: SendingSite, document: str) -> str | None:
    return site.ledger.attempts(site.delivery(document).id)[-1].code


def receipt_of(site: SendingSite, document: str) -> dict[str, Any]:
    receipt = site.ledger.attempts(site.delivery(document).id)[-1].receipt
    assert receipt is not None
    found: dict[str, Any] = json.loads(receipt)
    return found


# VXP: what goes out


def test_a_package_arrives_byte_for_byte_and_the_docid_is_kept_as_its_receipt(vxp: SendingSite, axis: FakeAxis) -> None:
    document = a_document(vxp)
    vxp.worker().run_once(NOON)
    assert axis.packages == [a_package()]
    assert vxp.delivery(document).state is DeliveryState.FORWARDED
    assert receipt_of(vxp, document)["docId"] == axis.sent[0]["senderDocId"]


def test_recipients_behind_one_axis_go_in_one_call_that_names_them(vxp: SendingSite, axis: FakeAxis) -> None:
    a_document(vxp, LAO_CAI, YEN_BAI)
    vxp.worker().run_once(NOON)
    (call,) = axis.named("sendEdoc")
    assert json.loads(call.logical("to") or "") == [LAO_CAI, YEN_BAI]


def test_the_headers_are_those_of_the_kit(vxp: SendingSite, axis: FakeAxis) -> None:
    a_document(vxp)
    vxp.worker().run_once(NOON)
    (call,) = axis.named("sendEdoc")
    assert call.logical("from") == call.logical("systemid") == axes.SYSTEM
    assert (call.logical("servicetype"), call.logical("messagetype")) == ("eDoc", "edoc")
    assert call.headers["content-type"] == call.logical("content-type") == "application/octet-stream"
    assert call.logical("version") == "3.0.201608"
    assert call.logical("timestamp") == "02032026T120000+0000"
    assert call.body.endswith(b"</edXML>\n\r\n")


def test_the_hash_is_written_without_leading_zeros_as_the_kit_does(vxp: SendingSite, axis: FakeAxis) -> None:
    # Bytes below 16 in its SHA-256 make the two spellings differ.
    vxp.accept(NATIONAL, LAO_CAI, body=b"<edXML>3</edXML>")
    vxp.worker().run_once(NOON)
    (call,) = axis.named("sendEdoc")
    digest = hashlib.sha256(b"<edXML>3</edXML>")
    assert call.logical("hash-file") != digest.hexdigest()
    assert call.logical("hash-file") == "".join(f"{byte:x}" for byte in digest.digest())


def test_a_package_from_the_payload_store_is_streamed(vxp: SendingSite, axis: FakeAxis) -> None:
    body = b"<edXML>" + b"x" * 3_000_000 + b"</edXML>"
    vxp.accept(NATIONAL, LAO_CAI, body=body, stored=True)
    vxp.worker().run_once(NOON)
    assert axis.packages == [body]


# VXP: answers that are none


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (axes.PROXY_PAGE, "axis.down"),
        (axes.LOGIN_PAGE, "axis.down"),
        (axes.EMPTY, "axis.down"),
        (axes.CUT, "axis.down"),
        (axes.NO_CODE, "axis.down"),
        (axes.Fault(200, b"[]", "application/json"), "axis.down"),
        (axes.Fault(404, b"<html>", "text/html"), "delivery.endpoint_misconfigured"),
        (axes.Fault(400, b"<html>", "text/html"), "axis.down"),
        (says("0"), "axis.down"),  # success without a DocId
        (says("0", status=502, DocId="x"), "axis.down"),
        (says("20"), "delivery.peer_failed"),
        (says("77"), "delivery.peer_failed"),  # nobody has documented it
        (says("15"), "axis.not_authenticated"),
        (says("99", description="Sai ma [sender.not_allowed]"), "delivery.sender_not_accepted"),
        (axes.Fault(429, b"", "text/plain"), "delivery.peer_failed"),
    ],
)
def test_what_is_no_success_is_tried_again_under_its_name(
    vxp: SendingSite, axis: FakeAxis, fault: axes.Fault, code: str
) -> None:
    axis.faults["sendEdoc"].append(fault)
    document = a_document(vxp)
    vxp.worker().run_once(NOON)
    assert (vxp.delivery(document).state, code_of(vxp, document)) == (DeliveryState.WAITING, code)
    later(vxp)
    assert vxp.delivery(document).state is DeliveryState.FORWARDED


@pytest.mark.parametrize("code", ["10", "18", "19", "22", "23"])
def test_codes_that_the_table_calls_final_refuse_the_document(vxp: SendingSite, axis: FakeAxis, code: str) -> None:
    axis.faults["sendEdoc"].append(says(code))
    document = a_document(vxp)
    vxp.worker().run_once(NOON)
    assert vxp.delivery(document).state is DeliveryState.REFUSED


def test_code_21_is_tried_once_more_and_is_final_then(vxp: SendingSite, axis: FakeAxis) -> None:
    axis.faults["sendEdoc"] += [says("21"), says("21")]
    document = a_document(vxp)
    vxp.worker().run_once(NOON)
    assert vxp.delivery(document).state is DeliveryState.WAITING
    later(vxp)
    assert vxp.delivery(document).state is DeliveryState.REFUSED


def test_one_unknown_recipient_does_not_refuse_those_sent_with_it(vxp: SendingSite, axis: FakeAxis) -> None:
    axis.rule = lambda call: says("18") if YEN_BAI in (call.logical("to") or "") else None
    document = a_document(vxp, LAO_CAI, YEN_BAI)
    vxp.worker().run_once(NOON)
    states = {d.recipient: d.state for d in vxp.ledger.deliveries(document)}
    assert states == {LAO_CAI: DeliveryState.FORWARDED, YEN_BAI: DeliveryState.REFUSED}


def test_an_axis_that_is_down_opens_its_circuit_with_its_cause(vxp: SendingSite, axis: FakeAxis) -> None:
    axis.rule = lambda call: axes.PROXY_PAGE
    for _ in range(3):
        a_document(vxp, document_id=None, identity=f"x{_}")
        vxp.worker().run_once(NOON)
    (state,) = vxp.ledger.endpoints()
    assert (state.last_error_code, state.open_until is not None) == ("axis.down", True)


# VXP: a lost answer


def test_what_the_axis_stored_before_it_fell_silent_is_found_and_not_sent_twice(
    vxp: SendingSite, axis: FakeAxis
) -> None:
    axis.faults["sendEdoc"].append(axes.ANSWER_LOST)
    document = a_document(vxp)
    vxp.worker().run_once(NOON)
    assert code_of(vxp, document) == "axis.answer_lost"
    later(vxp)
    assert len(axis.packages) == 1
    assert vxp.delivery(document).state is DeliveryState.FORWARDED
    assert receipt_of(vxp, document)["found"] == "getSentEdocList"


def test_a_time_out_after_storing_is_found_in_the_sent_list(vxp: SendingSite, axis: FakeAxis) -> None:
    answered = threading.Event()
    axis.faults["sendEdoc"].append(axes.Fault(takes_effect=True, until=answered))
    document = a_document(vxp)
    patient, vxp.http = vxp.http, HttpClient(HttpSettings(read_timeout=timedelta(milliseconds=300)))
    try:
        vxp.worker().run_once(NOON)
    finally:
        answered.set()
        vxp.http.close()
        vxp.http = patient
    assert code_of(vxp, document) == "axis.answer_lost"
    later(vxp)
    assert len(axis.packages) == 1
    assert vxp.delivery(document).state is DeliveryState.FORWARDED


def test_what_the_axis_did_not_store_is_sent_again_with_the_same_bytes(vxp: SendingSite, axis: FakeAxis) -> None:
    axis.faults["sendEdoc"].append(axes.DROPPED)
    document = a_document(vxp)
    vxp.worker().run_once(NOON)
    later(vxp)
    assert axis.packages == [a_package()]
    first, second = axis.named("sendEdoc")
    assert first.body == second.body
    assert vxp.delivery(document).state is DeliveryState.FORWARDED


def test_only_the_recipients_that_are_not_in_the_sent_list_are_sent_to(vxp: SendingSite, axis: FakeAxis) -> None:
    axis.faults["sendEdoc"].append(axes.ANSWER_LOST)
    document = a_document(vxp, LAO_CAI, YEN_BAI)
    vxp.worker().run_once(NOON)
    axis.sent = [row for row in axis.sent if row["toCode"] == LAO_CAI]
    later(vxp)
    assert json.loads(axis.named("sendEdoc")[-1].logical("to") or "") == [YEN_BAI]
    assert {d.state for d in vxp.ledger.deliveries(document)} == {DeliveryState.FORWARDED}


def test_a_replay_looks_into_the_sent_list_too(vxp: SendingSite, axis: FakeAxis) -> None:
    axis.faults["sendEdoc"] += [axes.ANSWER_LOST]
    document = a_document(vxp)
    vxp.worker().run_once(NOON)
    axis.faults["getSentEdocList"].append(axes.PROXY_PAGE)
    much_later = NOON + timedelta(days=20)
    vxp.worker().run_once(much_later)
    assert vxp.delivery(document).state is DeliveryState.ABANDONED
    vxp.ledger.replay([vxp.delivery(document).id], reason="x", actor="test", now=much_later)
    vxp.worker().run_once(much_later)
    assert len(axis.packages) == 1
    assert vxp.delivery(document).state is DeliveryState.FORWARDED


def test_nothing_is_sent_again_while_the_sent_list_cannot_be_read(vxp: SendingSite, axis: FakeAxis) -> None:
    axis.faults["sendEdoc"].append(axes.ANSWER_LOST)
    axis.faults["getSentEdocList"].append(axes.PROXY_PAGE)
    document = a_document(vxp)
    vxp.worker().run_once(NOON)
    later(vxp)
    assert axis.count("sendEdoc") == 1
    assert code_of(vxp, document) == "axis.down"


@pytest.mark.parametrize("status", [429, 503])
def test_nothing_is_sent_again_while_the_sent_list_is_busy(vxp: SendingSite, axis: FakeAxis, status: int) -> None:
    axis.faults["sendEdoc"].append(axes.ANSWER_LOST)
    axis.faults["getSentEdocList"].append(says("20", status=status))
    document = a_document(vxp)
    vxp.worker().run_once(NOON)
    later(vxp)
    assert axis.count("sendEdoc") == 1
    assert code_of(vxp, document) == "axis.down"


def test_an_axis_without_a_sent_list_is_sent_to_again(vxp: SendingSite, axis: FakeAxis) -> None:
    axis.faults["sendEdoc"].append(axes.ANSWER_LOST)
    axis.faults["getSentEdocList"].append(says("20"))
    document = a_document(vxp)
    vxp.worker().run_once(NOON)
    later(vxp)
    assert vxp.delivery(document).state is DeliveryState.FORWARDED


@pytest.mark.parametrize(
    "other",
    [{"notation": "08/SA-VP"}, {"title": "V/v khác"}, {"fromCode": "000.00.15.H37"}, {"toCode": YEN_BAI}],
    ids=lambda other: next(iter(other)),
)
def test_another_document_in_the_sent_list_is_not_taken_for_this_one(
    vxp: SendingSite, axis: FakeAxis, other: dict[str, str]
) -> None:
    axis.faults["sendEdoc"].append(axes.ANSWER_LOST)
    a_document(vxp)
    vxp.worker().run_once(NOON)
    axis.sent[0].update(other)
    later(vxp)
    assert axis.count("sendEdoc") == 2


def test_a_recall_is_not_taken_for_sent_because_its_document_was(vxp: SendingSite, axis: FakeAxis) -> None:
    a_document(vxp)
    vxp.worker().run_once(NOON)
    axis.faults["sendEdoc"].append(axes.DROPPED)
    recall = vxp.accept(
        NATIONAL,
        LAO_CAI,
        body=b"<edXML>recall</edXML>",
        business_type=BusinessType.REVOKE,
        revision="r",
        document_id="000.00.14.H37,2026/03/05,07/SA-VP",
    )
    vxp.worker().run_once(NOON)
    later(vxp)
    assert axis.packages[-1] == b"<edXML>recall</edXML>"
    assert vxp.delivery(recall).state is DeliveryState.FORWARDED


def test_an_axis_that_goes_by_the_package_gets_it_once_though_it_has_more_recipients_than_one_call(
    vxp: SendingSite, axis: FakeAxis
) -> None:
    everybody = [f"000.00.00.G{n:02}" for n in range(1, 91)]
    axis.heeds_to = False
    axis.everybody = everybody
    document = a_document(vxp, *everybody)
    worker = vxp.worker()
    for _ in range(3):
        worker.run_once(NOON)
    assert {d.state for d in vxp.ledger.deliveries(document)} == {DeliveryState.FORWARDED}
    assert len(axis.packages) == 1


def test_an_axis_that_heeds_the_recipients_named_is_given_all_of_them(vxp: SendingSite, axis: FakeAxis) -> None:
    everybody = [f"000.00.00.G{n:02}" for n in range(1, 91)]
    a_document(vxp, *everybody)
    worker = vxp.worker()
    for _ in range(3):
        worker.run_once(NOON)
    assert sorted(row["toCode"] for row in axis.sent) == everybody


# Secrets


def test_a_rotated_secret_is_used_at_the_next_try_without_a_restart(vxp: SendingSite, axis: FakeAxis) -> None:
    axis.secrets = {"new"}
    document = a_document(vxp)
    worker = vxp.worker()
    worker.run_once(NOON)
    assert code_of(vxp, document) == "axis.not_authenticated"
    vxp.secrets["axis"] = "new"
    worker.run_once(NOON + timedelta(hours=5))
    assert vxp.delivery(document).state is DeliveryState.FORWARDED


@pytest.mark.parametrize("missing", ["system", "credential", "secret"])
def test_an_axis_that_is_not_configured_whole_halts_under_its_name(
    vxp: SendingSite, axis: FakeAxis, missing: str
) -> None:
    document = a_document(vxp)
    if missing == "secret":
        del vxp.secrets["axis"]
    else:
        endpoint = vxp.endpoints[NATIONAL]
        assert endpoint is not None
        vxp.endpoints[NATIONAL] = endpoint.__class__(
            channel=endpoint.channel,
            url=endpoint.url,
            credential=None if missing == "credential" else "axis",
            system=None if missing == "system" else axes.SYSTEM,
        )
    vxp.worker().run_once(NOON)
    assert code_of(vxp, document) == "delivery.endpoint_misconfigured"
    assert axis.calls == []


# LGSP


@pytest.mark.parametrize("documented", [False, True], ids=["real shape", "documented shape"])
def test_a_package_reaches_lgsp_as_a_form_in_either_shape_of_answer(
    lgsp: SendingSite, axis: FakeAxis, documented: bool
) -> None:
    axis.documented = documented
    document = a_document(lgsp)
    lgsp.worker().run_once(NOON)
    assert axis.packages == [a_package()]
    assert lgsp.delivery(document).state is DeliveryState.FORWARDED
    assert receipt_of(lgsp, document)["docId"]


def test_lgsp_is_told_the_length_and_all_three_headers(lgsp: SendingSite, axis: FakeAxis) -> None:
    a_document(lgsp)
    lgsp.worker().run_once(NOON)
    (call,) = axis.named("sendEdoc")
    assert int(call.headers["content-length"]) == len(call.body)
    assert "transfer-encoding" not in call.headers
    assert (call.headers["x-systemid"], call.headers["x-secretkey"]) == (axes.SYSTEM, axes.SECRET)


def test_one_login_serves_many_sends(lgsp: SendingSite, axis: FakeAxis) -> None:
    for n in range(5):
        a_document(lgsp, document_id=f"d{n}", identity=f"d{n}", number=str(n))
    lgsp.worker().run_once(NOON)
    assert axis.count("login") == 1
    assert len(axis.packages) == 5


def test_a_token_killed_by_another_login_is_renewed_once_and_the_send_goes_on(
    lgsp: SendingSite, axis: FakeAxis
) -> None:
    worker = lgsp.worker()
    a_document(lgsp)
    worker.run_once(NOON)
    axis.tokens.append("of-another-program")
    second = a_document(lgsp, document_id="d2", identity="d2")
    worker.run_once(NOON)
    assert lgsp.delivery(second).state is DeliveryState.FORWARDED
    assert axis.count("login") == 2


def test_a_killed_token_that_is_told_with_status_200_is_not_used_for_another_half_hour(
    lgsp: SendingSite, axis: FakeAxis
) -> None:
    axis.faults["sendEdoc"].append(lgsp_says(401))
    document, worker = a_document(lgsp), lgsp.worker()
    worker.run_once(NOON)
    worker.run_once(NOON + timedelta(hours=5))
    assert axis.count("login") == 2
    assert lgsp.delivery(document).state is DeliveryState.FORWARDED


def test_a_token_that_never_works_is_the_credentials_fault(lgsp: SendingSite, axis: FakeAxis) -> None:
    axis.rule = lambda call: axes.Fault(401, b"", "text/plain") if call.name == "sendEdoc" else None
    document = a_document(lgsp)
    lgsp.worker().run_once(NOON)
    assert code_of(lgsp, document) == "axis.not_authenticated"
    assert axis.count("login") == 2


def test_a_wrong_password_is_named_and_a_corrected_one_used_at_once(lgsp: SendingSite, axis: FakeAxis) -> None:
    good = json.loads(axes.LGSP_SECRET)
    lgsp.secrets["axis"] = json.dumps({**good, "password": "old"})
    document = a_document(lgsp)
    worker = lgsp.worker()
    worker.run_once(NOON)
    assert code_of(lgsp, document) == "axis.not_authenticated"
    lgsp.secrets["axis"] = axes.LGSP_SECRET
    worker.run_once(NOON + timedelta(hours=5))
    assert lgsp.delivery(document).state is DeliveryState.FORWARDED


@pytest.mark.parametrize(
    "secret",
    ["just-a-word", "{", '{"username": "a"}', 'username = "a"', json.dumps({"username": 1})],
)
def test_a_secret_of_another_form_is_a_misconfigured_endpoint_and_is_not_repeated(
    lgsp: SendingSite, axis: FakeAxis, secret: str
) -> None:
    lgsp.secrets["axis"] = secret
    document = a_document(lgsp)
    lgsp.worker().run_once(NOON)
    attempt = lgsp.ledger.attempts(lgsp.delivery(document).id)[-1]
    assert attempt.code == "delivery.endpoint_misconfigured"
    assert secret not in (attempt.detail or "")


def test_the_secret_may_be_toml(lgsp: SendingSite, axis: FakeAxis) -> None:
    lgsp.secrets["axis"] = "\n".join(f'{k} = "{v}"' for k, v in json.loads(axes.LGSP_SECRET).items())
    document = a_document(lgsp)
    lgsp.worker().run_once(NOON)
    assert lgsp.delivery(document).state is DeliveryState.FORWARDED


def test_after_a_lost_answer_lgsp_gets_the_same_bytes_again(lgsp: SendingSite, axis: FakeAxis) -> None:
    axis.faults["sendEdoc"].append(axes.ANSWER_LOST)
    document = a_document(lgsp)
    lgsp.worker().run_once(NOON)
    assert code_of(lgsp, document) == "axis.answer_lost"
    later(lgsp)
    assert axis.packages == [a_package(), a_package()]
    assert lgsp.delivery(document).state is DeliveryState.FORWARDED


@pytest.mark.parametrize(
    ("fault", "state", "code"),
    [
        (lgsp_says(18), DeliveryState.REFUSED, "delivery.peer_refused"),
        (lgsp_says(20), DeliveryState.WAITING, "delivery.peer_failed"),
        (lgsp_says(15), DeliveryState.WAITING, "axis.not_authenticated"),
        (lgsp_says(200, errorDetail=[{"exception": "x"}]), DeliveryState.WAITING, "delivery.peer_failed"),
        (
            axes.Fault(200, b'{"success": false, "data": {"errorCode": "22"}}', "application/json"),
            DeliveryState.REFUSED,
            "delivery.peer_refused",
        ),
        (axes.Fault(200, b'{"success": false}', "application/json"), DeliveryState.WAITING, "delivery.peer_failed"),
        (lgsp_says(0, success=False), DeliveryState.WAITING, "delivery.peer_failed"),
        (axes.Fault(200, b'{"data": {}}', "application/json"), DeliveryState.WAITING, "axis.down"),
        (axes.PROXY_PAGE, DeliveryState.WAITING, "axis.down"),
    ],
)
def test_answers_of_lgsp_mean_what_the_table_says(
    lgsp: SendingSite, axis: FakeAxis, fault: axes.Fault, state: DeliveryState, code: str
) -> None:
    axis.faults["sendEdoc"].append(fault)
    document = a_document(lgsp)
    lgsp.worker().run_once(NOON)
    assert (lgsp.delivery(document).state, code_of(lgsp, document)) == (state, code)


# Tokens


def test_threads_that_lose_a_token_together_log_in_once() -> None:
    holder = Tokens().holder("http://axis.example", "s", "x")
    logins: list[str] = []
    together = threading.Barrier(8)

    def login() -> str:
        logins.append("")
        return f"token-{len(logins)}"

    def use(_: int) -> str:
        first = holder.token(login)
        together.wait(10)
        return holder.token(login, spoiled=first)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(use, range(8))) == {"token-2"}
    assert len(logins) == 2


def test_a_token_is_not_used_past_29_minutes() -> None:
    now = [0.0]
    holder = Tokens(lambda: now[0]).holder("http://axis.example", "s", "x")
    given = iter(["first", "second"])
    assert holder.token(lambda: next(given)) == "first"
    now[0] = 29 * 60 - 1
    assert holder.token(lambda: next(given)) == "first"
    now[0] = 29 * 60
    assert holder.token(lambda: next(given)) == "second"


# The catalogue


def test_the_catalogue_comes_as_a_file_that_is_gone_afterwards(
    site: SendingSite, axis: FakeAxis, tmp_path: Path
) -> None:
    axis.data["getAgenciesListQD20"] = [{"code": f"H{n}"} for n in range(9)]
    folder = tmp_path / "spool"
    folder.mkdir()
    client = VxpAxis(http=site.http, url=axis.url, system=axes.SYSTEM, secret=axes.SECRET)
    with client.catalogue("getAgenciesListQD20", folder=folder, now=NOON, level="1") as file:
        assert len(json.load(file)["data"]) == 9
    (call,) = axis.named("getAgenciesListQD20")
    assert call.logical("level") == "1"
    assert list(folder.iterdir()) == []


def test_a_catalogue_that_is_a_proxys_page_is_an_axis_that_is_down(
    site: SendingSite, axis: FakeAxis, tmp_path: Path
) -> None:
    axis.faults["getAgenciesList"].append(axes.PROXY_PAGE)
    client = VxpAxis(http=site.http, url=axis.url, system=axes.SYSTEM, secret=axes.SECRET)
    with pytest.raises(AxisDown), client.catalogue("getAgenciesList", folder=tmp_path, now=NOON):
        pass
