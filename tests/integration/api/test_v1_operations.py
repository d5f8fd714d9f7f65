"""Recall, update and replace in plain words over ``/api/v1``: the gateway writes the packages."""

from __future__ import annotations

import io
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from gateway.exchange import lookup
from gateway.model import (
    AgencyCode,
    Business,
    BusinessType,
    DeliveryState,
    DocumentId,
    Envelope,
    RecallState,
    StatusCode,
)
from tests.support import documents
from tests.support.exchange import COMMUNE, DEPARTMENT, PROVINCE, PUSHED, Site

XML = "application/xml"
WHY = "Gửi nhầm nơi nhận"


@pytest.fixture
def sent(site: Site, client: FlaskClient) -> str:
    """The id of a document for two recipients."""
    raw = documents.a_package(recipients=(documents.an_organization(COMMUNE), documents.an_organization(PUSHED)))
    posted = client.post("/api/v1/documents", data=raw, content_type=XML, headers=site.key(DEPARTMENT))
    return str(posted.get_json()["id"])


def operate(
    site: Site, client: FlaskClient, document: str, what: str, caller: AgencyCode = DEPARTMENT, **body: Any
) -> TestResponse:
    site.clock.forward(minutes=1)
    return client.post(f"/api/v1/documents/{document}/{what}", json=body, headers=site.key(caller))


def written(site: Site, response: TestResponse, spool: Path) -> Envelope:
    """What the package says that the gateway wrote."""
    assert response.status_code in (200, 202), response.data
    with lookup.open_received(site.parts, response.get_json()["id"]) as stored:
        raw = stored.read()
    with documents.read(raw, spool) as package:
        assert package.errors == ()
        return package.envelope


def code_of(response: TestResponse) -> tuple[int, str]:
    return response.status_code, str(json.loads(response.data)["code"])


def states(site: Site, document: str) -> dict[AgencyCode, DeliveryState]:
    return {d.recipient: d.state for d in site.ledger.deliveries(document)}


# Recall


def test_a_recall_is_a_package_of_type_1_that_names_the_document(
    site: Site, client: FlaskClient, sent: str, tmp_path: Path
) -> None:
    envelope = written(site, operate(site, client, sent, "revoke", reason=WHY), tmp_path)
    assert envelope.business == Business(
        type=BusinessType.REVOKE, document_id=documents.an_envelope().document_id, reason=WHY, paper=False
    )
    assert [o.code for o in envelope.recipients] == [COMMUNE, PUSHED]


def test_a_recall_takes_back_what_nobody_has(site: Site, client: FlaskClient, sent: str) -> None:
    operate(site, client, sent, "revoke", reason=WHY)
    assert set(states(site, sent).values()) == {DeliveryState.WITHDRAWN}


def test_a_recall_may_be_of_some_copies_only(site: Site, client: FlaskClient, sent: str) -> None:
    operate(site, client, sent, "revoke", reason=WHY, recipients=[COMMUNE])
    assert states(site, sent) == {COMMUNE: DeliveryState.WITHDRAWN, PUSHED: DeliveryState.WAITING}


def test_the_same_recall_again_is_the_first_one(site: Site, client: FlaskClient, sent: str) -> None:
    first = operate(site, client, sent, "revoke", reason=WHY)
    again = operate(site, client, sent, "revoke", reason=WHY)
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.get_json()["id"] == first.get_json()["id"]


def test_a_wider_recall_is_no_repetition(site: Site, client: FlaskClient, sent: str) -> None:
    operate(site, client, sent, "revoke", reason=WHY, recipients=[COMMUNE])
    assert operate(site, client, sent, "revoke", reason=WHY).status_code == 202
    assert set(states(site, sent).values()) == {DeliveryState.WITHDRAWN}


def test_a_recall_that_was_declined_is_asked_anew_by_the_same_words(site: Site, client: FlaskClient, sent: str) -> None:
    site.collect(COMMUNE)
    operate(site, client, sent, "revoke", reason=WHY, recipients=[COMMUNE])
    answer = {"document": sent, "code": "16", "description": "Đã vào sổ"}
    assert client.post("/api/v1/statuses", json=answer, headers=site.key(COMMUNE)).status_code == 202
    again = operate(site, client, sent, "revoke", reason=WHY, recipients=[COMMUNE])
    assert again.status_code == 202


def test_what_was_declined_is_asked_anew_even_within_the_same_second(
    site: Site, client: FlaskClient, sent: str
) -> None:
    site.collect(COMMUNE)
    body = {"reason": WHY, "recipients": [COMMUNE]}
    path, key = f"/api/v1/documents/{sent}/revoke", site.key(DEPARTMENT)
    first = client.post(path, json=body, headers=key).get_json()["id"]
    site.clock.forward(milliseconds=1)
    answer = {"document": sent, "code": "16", "description": "Đã vào sổ"}
    client.post("/api/v1/statuses", json=answer, headers=site.key(COMMUNE))
    again = client.post(path, json=body, headers=key)
    assert (again.status_code, again.get_json()["id"] != first) == (202, True)


def test_what_came_again_by_an_update_is_asked_for_by_the_same_words(
    site: Site, client: FlaskClient, sent: str
) -> None:
    operate(site, client, sent, "revoke", reason=WHY, recipients=[COMMUNE])
    changed = operate(site, client, sent, "update", reason="Gửi lại", added=[COMMUNE]).get_json()["id"]
    site.collect(COMMUNE)
    again = operate(site, client, sent, "revoke", reason=WHY, recipients=[COMMUNE])
    assert again.status_code == 202
    recalls = {d.recipient: d.recall for d in site.ledger.deliveries(changed)}
    assert recalls[COMMUNE] is RecallState.REQUESTED


def test_what_was_refused_and_sent_again_is_asked_for_by_the_same_words(
    site: Site, client: FlaskClient, sent: str
) -> None:
    site.collect(COMMUNE)
    operate(site, client, sent, "revoke", reason=WHY, recipients=[COMMUNE])
    site.accept(
        documents.a_status_package(StatusCode.REFUSED, sender=documents.an_organization(COMMUNE)), caller=COMMUNE
    )
    [refused] = [d.id for d in site.ledger.deliveries(sent) if d.recipient == COMMUNE]
    site.ledger.replay([refused], reason="Gửi lại", actor="test", now=site.clock())
    again = operate(site, client, sent, "revoke", reason=WHY, recipients=[COMMUNE])
    assert again.status_code == 202
    assert states(site, sent)[COMMUNE] is DeliveryState.WITHDRAWN


def test_an_added_receiver_that_has_declined_is_asked_anew_by_the_same_words(
    site: Site, client: FlaskClient, sent: str
) -> None:
    operate(site, client, sent, "update", reason="Thêm nơi nhận", added=[PROVINCE])
    site.collect(PROVINCE)
    asked = operate(site, client, sent, "revoke", reason=WHY, recipients=[PROVINCE]).get_json()["id"]
    site.collect(PROVINCE)
    no = {"document": asked, "code": "16", "description": "Đã vào sổ"}
    client.post("/api/v1/statuses", json=no, headers=site.key(PROVINCE))
    assert operate(site, client, sent, "revoke", reason=WHY, recipients=[PROVINCE]).status_code == 202


def test_a_receiver_answers_15_in_json(site: Site, client: FlaskClient, sent: str) -> None:
    site.collect(COMMUNE)
    operate(site, client, sent, "revoke", reason=WHY, recipients=[COMMUNE])
    client.post("/api/v1/statuses", json={"document": sent, "code": "15"}, headers=site.key(COMMUNE))
    assert states(site, sent)[COMMUNE] is DeliveryState.WITHDRAWN


def test_a_receiver_answers_by_the_id_of_the_recall_too(site: Site, client: FlaskClient, sent: str) -> None:
    site.collect(COMMUNE)
    asked = operate(site, client, sent, "revoke", reason=WHY, recipients=[COMMUNE]).get_json()["id"]
    client.post("/api/v1/statuses", json={"document": asked, "code": "15"}, headers=site.key(COMMUNE))
    assert states(site, sent)[COMMUNE] is DeliveryState.WITHDRAWN


def test_the_same_answer_to_a_second_update_is_an_answer(site: Site, client: FlaskClient, sent: str) -> None:
    site.collect(COMMUNE)
    agreed = {"document": sent, "code": "15"}
    for subject in ("Lần một", "Lần hai"):
        operate(site, client, sent, "update", reason="Sửa", subject=subject)
        site.clock.forward(minutes=1)
        client.post("/api/v1/statuses", json=agreed, headers=site.key(COMMUNE))
    [copy] = [d for d in site.ledger.deliveries(sent) if d.recipient == COMMUNE]
    assert copy.recall is RecallState.AGREED


def test_a_recall_must_say_why(site: Site, client: FlaskClient, sent: str) -> None:
    assert code_of(operate(site, client, sent, "revoke", reason=" ")) == (422, "request.reason_required")


def test_a_recall_of_one_who_never_got_it_names_him(site: Site, client: FlaskClient, sent: str) -> None:
    response = operate(site, client, sent, "revoke", reason=WHY, recipients=["H37.99"])
    assert code_of(response) == (422, "recipient.not_in_package")
    assert json.loads(response.data)["recipients"] == ["H37.99"]


def test_what_was_taken_back_cannot_be_recalled_for_another_reason(site: Site, client: FlaskClient, sent: str) -> None:
    operate(site, client, sent, "revoke", reason=WHY)
    response = operate(site, client, sent, "revoke", reason="Lý do khác")
    assert code_of(response) == (409, "operation.nothing_to_ask")


def test_its_receiver_cannot_recall_a_document(site: Site, client: FlaskClient, sent: str) -> None:
    response = operate(site, client, sent, "revoke", caller=COMMUNE, reason=WHY)
    assert code_of(response) == (403, "request.not_permitted")


def test_what_is_not_the_callers_is_not_found(site: Site, client: FlaskClient) -> None:
    raw = documents.a_package(
        sender=documents.an_organization(PUSHED), recipients=(documents.an_organization(COMMUNE),)
    )
    posted = client.post("/api/v1/documents", data=raw, content_type=XML, headers=site.key(PUSHED))
    response = operate(site, client, posted.get_json()["id"], "revoke", reason=WHY)
    assert code_of(response) == (404, "request.not_found")


def test_a_successor_recalls_in_its_own_name(site: Site, client: FlaskClient, sent: str, tmp_path: Path) -> None:
    site.change(DEPARTMENT, valid_to=date(2026, 1, 1), successors=(PUSHED,), closed_reason="thử")
    response = operate(site, client, sent, "revoke", caller=PUSHED, reason=WHY, recipients=[COMMUNE])
    assert written(site, response, tmp_path).sender.code == PUSHED
    assert states(site, sent)[COMMUNE] is DeliveryState.WITHDRAWN


# Update


def test_an_update_carries_everything_that_it_does_not_change(
    site: Site, client: FlaskClient, sent: str, tmp_path: Path
) -> None:
    envelope = written(site, operate(site, client, sent, "update", reason="Sửa", subject="Bản mới"), tmp_path)
    before = documents.an_envelope()
    assert (envelope.subject, envelope.number, envelope.document_id) == ("Bản mới", before.number, before.document_id)
    assert envelope.business_type is BusinessType.UPDATE
    assert [r.name for r in envelope.references] == [r.name for r in before.references]


def test_an_update_keeps_the_files_bit_by_bit(site: Site, client: FlaskClient, sent: str) -> None:
    made = operate(site, client, sent, "update", reason="Sửa", subject="Bản mới").get_json()["id"]
    old, new = site.ledger.document(sent), site.ledger.document(made)
    assert old is not None
    assert new is not None
    assert [a.sha256 for a in new.attachments] == [a.sha256 for a in old.attachments]


def test_the_files_of_an_update_take_the_place_of_all_that_there_were(
    site: Site, client: FlaskClient, sent: str
) -> None:
    form = {
        "metadata": json.dumps({"reason": "Sửa tệp"}),
        "file": (io.BytesIO(documents.PDF + b"%new\n"), "moi.pdf", "application/pdf"),
    }
    response = client.post(f"/api/v1/documents/{sent}/update", data=form, headers=site.key(DEPARTMENT))
    assert response.status_code == 202
    made = site.ledger.document(response.get_json()["id"])
    assert made is not None
    assert [a.name for a in made.attachments] == ["moi.pdf"]


def test_an_update_may_add_recipients(site: Site, client: FlaskClient, sent: str, tmp_path: Path) -> None:
    response = operate(site, client, sent, "update", reason="Thêm nơi nhận", added=["H37"])
    envelope = written(site, response, tmp_path)
    assert [o.code for o in envelope.recipients] == [COMMUNE, PUSHED, "H37"]
    assert envelope.business is not None
    [change] = envelope.business.changes
    assert (change.content, change.receivers, [c.code for c in change.receiver_changes]) == (False, True, ["H37"])


def test_the_same_update_again_is_the_first_one(site: Site, client: FlaskClient, sent: str) -> None:
    codes = [
        operate(site, client, sent, "update", reason="Thêm", added=["H37"], priority=1).status_code for _ in range(3)
    ]
    assert codes == [202, 200, 200]


def test_two_updates_of_other_words_are_two(site: Site, client: FlaskClient, sent: str) -> None:
    codes = [operate(site, client, sent, "update", reason="Sửa", subject=s).status_code for s in ("Một", "Hai")]
    assert codes == [202, 202]


# Replacement

NEW = {
    "recipients": [{"code": COMMUNE}],
    "number": {"number": "08", "notation": "SA-VP"},
    "issued_on": "2026-03-06",
    "issued_place": "Lạng Sơn",
    "document_type": {"type": 2, "name": "Công văn"},
    "subject": "Thay thế công văn số 07",
    "reason": "Thay thế",
}


def test_a_replacement_is_a_new_document_that_names_the_old_one(
    site: Site, client: FlaskClient, sent: str, tmp_path: Path
) -> None:
    envelope = written(site, operate(site, client, sent, "replace", **NEW), tmp_path)
    assert envelope.document_id == DocumentId("000.00.14.H37,2026/03/06,08/SA-VP")
    assert envelope.business is not None
    [replaced] = envelope.business.replacements
    assert replaced.document_id == documents.an_envelope().document_id


def test_a_replacement_asks_who_has_the_old_one(site: Site, client: FlaskClient, sent: str) -> None:
    site.collect(COMMUNE)
    operate(site, client, sent, "replace", **NEW)
    recalls = {d.recipient: d.recall for d in site.ledger.deliveries(sent)}
    assert recalls == {COMMUNE: RecallState.REQUESTED, PUSHED: RecallState.NONE}


def test_the_same_replacement_again_is_the_first_one(site: Site, client: FlaskClient, sent: str) -> None:
    codes = [operate(site, client, sent, "replace", **NEW).status_code for _ in range(2)]
    assert codes == [202, 200]


def test_a_replacement_with_files_is_posted_as_a_form(site: Site, client: FlaskClient, sent: str) -> None:
    form = {
        "metadata": json.dumps(NEW),
        "file": (io.BytesIO(documents.PDF), "08.pdf", "application/pdf"),
    }
    response = client.post(f"/api/v1/documents/{sent}/replace", data=form, headers=site.key(DEPARTMENT))
    assert response.status_code == 202


# What is shown


def test_the_trace_says_what_was_asked_and_who_answered(site: Site, client: FlaskClient, sent: str) -> None:
    asked = operate(site, client, sent, "revoke", reason=WHY, recipients=[COMMUNE]).get_json()["id"]
    trace = client.get(f"/api/v1/documents/{sent}/trace", headers=site.key(DEPARTMENT)).get_json()
    [operation] = trace["operations"]
    assert (operation["package"], operation["business_type"], operation["state"]) == (asked, 1, "agreed")
    assert operation["answered_by"] == site.parts.site.code
    assert {d["recipient"]: d["recall"] for d in trace["deliveries"]} == {COMMUNE: "withdrawn", PUSHED: "none"}


def test_what_waits_for_an_answer_is_listed(site: Site, client: FlaskClient, sent: str) -> None:
    site.collect(COMMUNE)
    asked = operate(site, client, sent, "revoke", reason=WHY, recipients=[COMMUNE]).get_json()["id"]

    def listed(state: str, agency: AgencyCode) -> set[str]:
        found = client.get(f"/api/v1/documents?operation={state}", headers=site.key(agency)).get_json()
        return {document["id"] for document in found["documents"]}

    assert (listed("requested", DEPARTMENT), listed("orphan", DEPARTMENT)) == ({sent, asked}, set())
    assert (listed("requested", COMMUNE), listed("requested", PUSHED)) == ({sent, asked}, set())


@pytest.mark.parametrize("what", ["revoke", "update", "replace"])
def test_no_operation_without_a_key_for_sending(site: Site, client: FlaskClient, sent: str, what: str) -> None:
    response = client.post(f"/api/v1/documents/{sent}/{what}", json={}, headers=site.key(DEPARTMENT, ("read",)))
    assert code_of(response) == (403, "request.not_permitted")


@pytest.mark.parametrize("what", ["revoke", "update", "replace"])
def test_a_body_of_another_shape_is_named(site: Site, client: FlaskClient, sent: str, what: str) -> None:
    response = operate(site, client, sent, what, nonsense=1)
    assert response.status_code in (400, 422)
    assert code_of(response)[1] == "request.invalid"
