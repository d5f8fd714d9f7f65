"""
A province behind an axis that writes every package anew, as the real one does (domain §1.9): two processes over VXP.

Documents go up and come down, all nine statuses and all four business types with them; envelope signatures do not
survive what the axis hands out, the unwrapped files do, and what can be known of each document is said.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import requests

from gateway.cli.founding import CERTIFICATE
from gateway.evidence.seal import check_seal
from gateway.ledger.records import DocumentRow, Filter
from gateway.model import AgencyCode, BusinessType, Channel, DocumentId, PackageKind, RecallState, Standing
from gateway.signing.keys import load_certificates
from tests.acceptance.test_axis_above import COMMUNE, DEPARTMENT, NEIGHBOUR, OTHER, Country, a_country, until
from tests.support import documents
from tests.support.gateways import RunningGateway

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Way:
    """From where to where documents of a test go."""

    country: Country
    sent_at: RunningGateway
    sender: AgencyCode
    got_at: RunningGateway
    first: AgencyCode
    second: AgencyCode
    number: int

    @property
    def name(self) -> DocumentId:
        """Of the one document of this test."""
        return DocumentId(f"{self.sender},2026/03/05,{self.number}/SA-VP")

    def post(self) -> str:
        """The sender's letter to both; its gateway's id of it."""
        return self.country.post(self.sent_at, self.sender, self.first, self.second, number=self.number)[0]

    def operate(self, document: str, what: str, **request: Any) -> str:
        """The sender's gateway's id of a recall, an update or a replacement; ``request`` as ``requests`` takes it."""
        answer = requests.post(
            f"{self.sent_at.url}/api/v1/documents/{document}/{what}",
            headers={"Authorization": f"Bearer {self.sent_at.key(self.sender)}"},
            timeout=30,
            **request,
        )
        assert answer.status_code in (200, 202), answer.text
        return str(answer.json()["id"])

    def waiting(self, owner: AgencyCode, kind: BusinessType | None) -> dict[str, Any] | None:
        """What waits for a receiver: the document, or an operation on it of that business type; ``None``: a status."""
        wanted = PackageKind.STATUS if kind is None else PackageKind.DOCUMENT
        with self.got_at.client(owner) as client:
            for item in client.inbox(limit=200)["items"]:
                document = item["document"]
                is_it = kind is None or (document["document_id"], document["business_type"]) == (self.name, kind.value)
                if document["kind"] == wanted and is_it:
                    found: dict[str, Any] = item
                    return found
        return None

    def take(self, owner: AgencyCode, kind: BusinessType | None = BusinessType.NEW, *, refuse: str = "") -> str:
        """A receiver collects, or refuses, what comes for it; its gateway's id of it."""
        until(lambda: self.waiting(owner, kind) is not None, f"nothing came for {owner}", self.country.logs)
        item = self.waiting(owner, kind)
        assert item is not None
        with self.got_at.client(owner) as client:
            token = client.lock(item["delivery"])["token"]
            if refuse:
                client.refuse(item["delivery"], token, reason=refuse)
            else:
                client.acknowledge(item["delivery"], token)
        return str(item["document"]["id"])

    def report(self, owner: AgencyCode, document: str, *codes: str, reason: str | None = None) -> None:
        with self.got_at.client(owner) as client:
            for code in codes:
                client.report_status(document, code, description=reason)

    def statuses(self, document: str) -> set[str]:
        """Codes that the sender sees on a document."""
        return set(self.country.statuses(self.sent_at, self.sender, document))

    def recall(self, document: str, recipient: AgencyCode) -> RecallState:
        """What has become of the sender's last request."""
        ledger = self.sent_at.ledger()
        try:
            return next(d.recall for d in ledger.deliveries(document) if d.recipient == recipient)
        finally:
            ledger.engine.dispose()

    def until_recall(self, document: str, recipient: AgencyCode, state: RecallState) -> None:
        until(
            lambda: self.recall(document, recipient) is state,
            f"the recall does not become {state}",
            self.country.logs,
        )


def document_at(gateway: RunningGateway, document: str) -> DocumentRow:
    ledger = gateway.ledger()
    try:
        found = ledger.document(document)
    finally:
        ledger.engine.dispose()
    assert found is not None
    return found


def copies_of(gateway: RunningGateway, name: DocumentId) -> int:
    """How many documents of that DocumentId a gateway has."""
    ledger = gateway.ledger()
    try:
        rows = ledger.search(Filter(kind=PackageKind.DOCUMENT), limit=200).rows
    finally:
        ledger.engine.dispose()
    found = {r.document.id for r in rows if r.document.document_id == name}
    return len(found)


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Country]:
    with a_country(tmp_path_factory.mktemp("country"), Channel.VXP, exchange_above={"reserialise": True}) as made:
        yield made


_numbers = iter(range(100, 1000))


@pytest.fixture(params=["up", "down"])
def way(request: pytest.FixtureRequest, country: Country) -> Way:
    up = request.param == "up"
    return Way(
        country=country,
        sent_at=country.province if up else country.axis,
        sender=DEPARTMENT if up else NEIGHBOUR,
        got_at=country.axis if up else country.province,
        first=NEIGHBOUR if up else DEPARTMENT,
        second=OTHER if up else COMMUNE,
        number=next(_numbers),
    )


def test_the_files_arrive_as_they_were_sent(way: Way) -> None:
    sent = way.post()
    for owner in (way.first, way.second):
        got = document_at(way.got_at, way.take(owner))
        assert [(a.name, a.sha256) for a in got.attachments] == [
            (a.name, a.sha256) for a in document_at(way.sent_at, sent).attachments
        ]


def test_both_recipients_get_one_copy_of_one_document(way: Way) -> None:
    way.post()
    assert way.take(way.first) == way.take(way.second)
    assert copies_of(way.got_at, way.name) == 1


@pytest.mark.parametrize("way", ["down"], indirect=True)
def test_of_what_the_axis_has_written_anew_the_signature_is_said_to_prove_nothing(way: Way) -> None:
    sent = way.post()
    got = document_at(way.got_at, way.take(way.first))
    assert got.sha256 != document_at(way.sent_at, sent).sha256
    assert got.verdict.standing is Standing.UNVERIFIABLE


@pytest.mark.parametrize("way", ["down"], indirect=True)
def test_the_evidence_seals_the_files_that_were_sent_and_a_signature_that_nobody_can_judge(way: Way) -> None:
    sent = way.post()
    got = way.take(way.first)
    answer = requests.get(
        f"{way.got_at.url}/api/v1/documents/{got}/evidence",
        headers={"Authorization": f"Bearer {way.got_at.key(way.first)}", "Accept": "application/json"},
        timeout=30,
    ).json()
    own = load_certificates(way.got_at.settings.data / CERTIFICATE)[0]
    facts = check_seal(answer["seal"].encode(), own)
    assert facts.verdict.standing is Standing.UNVERIFIABLE
    assert [a.sha256 for a in facts.attachments] == [a.sha256 for a in document_at(way.sent_at, sent).attachments]


@pytest.mark.parametrize("way", ["up"], indirect=True)
def test_of_what_goes_up_the_provinces_signature_still_proves_who_handed_it_over(way: Way) -> None:
    way.post()
    assert document_at(way.got_at, way.take(way.first)).verdict.standing is Standing.VALID


def test_all_nine_statuses_reach_the_other_side(way: Way) -> None:
    sent = way.post()
    way.take(way.second, refuse="Không thuộc thẩm quyền")
    got = way.take(way.first)
    way.report(way.first, got, "03", "04", "05", "06")
    progress = {"01", "02", "03", "04", "05", "06"}
    until(lambda: way.statuses(sent) >= progress, f"not all came: {way.statuses(sent)}", way.country.logs)
    with way.sent_at.client(way.sender) as client:
        client.report_status(sent, "13", description="Gửi nhầm", agency=way.first)
    way.take(way.first, None)
    way.report(way.first, got, "16", reason="Đã xử lý xong")
    way.until_recall(sent, way.first, RecallState.NONE)
    with way.sent_at.client(way.sender) as client:
        client.report_status(sent, "13", description="Đề nghị xem lại", agency=way.first)
    way.take(way.first, None)
    way.report(way.first, got, "15")
    way.until_recall(sent, way.first, RecallState.WITHDRAWN)
    assert way.statuses(sent) >= progress | {"13", "15", "16"}


@pytest.mark.parametrize(
    ("what", "kind", "body"),
    [
        ("revoke", BusinessType.REVOKE, {}),
        ("update", BusinessType.UPDATE, {"subject": "V/v kiểm thử liên thông văn bản (cập nhật)"}),
    ],
)
def test_an_operation_reaches_the_receiver_and_its_answer_the_sender(
    way: Way, what: str, kind: BusinessType, body: dict[str, Any]
) -> None:
    sent = way.post()
    got = way.take(way.first)
    way.operate(sent, what, json={"reason": "Sai sót khi phát hành", **body})
    way.take(way.first, kind)
    way.report(way.first, got, "15")
    way.until_recall(sent, way.first, RecallState.WITHDRAWN if kind is BusinessType.REVOKE else RecallState.AGREED)


def test_a_replacement_reaches_the_receiver_and_its_answer_the_sender(way: Way) -> None:
    sent = way.post()
    way.take(way.first)
    number = next(_numbers)
    new = {
        "reason": "Thay thế toàn bộ",
        "recipients": [{"code": way.first}],
        "number": {"number": str(number), "notation": "SA-VP"},
        "issued_on": "2026-03-05",
        "issued_place": "Nơi ban hành",
        "document_type": {"type": 2, "name": "Công văn"},
        "subject": "V/v thay thế",
    }
    way.operate(sent, "replace", files={"metadata": (None, json.dumps(new)), "file": ("thay-the.pdf", documents.PDF)})
    successor = replace(way, number=number)
    got = successor.take(way.first, BusinessType.REPLACE)
    way.report(way.first, got, "15")
    way.until_recall(sent, way.first, RecallState.AGREED)


def test_a_recall_of_what_nobody_collected_is_answered_without_its_receiver(way: Way) -> None:
    sent = way.post()
    until(lambda: way.waiting(way.second, BusinessType.NEW) is not None, "it did not come", way.country.logs)
    way.operate(sent, "revoke", json={"reason": "Gửi nhầm", "recipients": [way.second]})
    way.until_recall(sent, way.second, RecallState.WITHDRAWN)
    assert way.waiting(way.second, BusinessType.NEW) is None
