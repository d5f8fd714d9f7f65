"""What was turned away."""

from __future__ import annotations

import re

from flask.testing import FlaskClient

from gateway.ledger import Ledger
from gateway.ledger.actions import Action
from gateway.ledger.records import NewRefusal
from tests.support.console import SCIENCE
from tests.support.ledger import NOON


def a_refusal(**changes: object) -> NewRefusal:
    values: dict[str, object] = {
        "at": NOON,
        "credential_agency": SCIENCE,
        "code": "recipient.unknown",
        "path": "MessageHeader.To.OrganId",
        "detail": "Nobody is known as 000.99.99.H37.",
        "sha256": "cd" * 32,
        "size": 5000,
        "payload": b"<edXML/>",
    }
    return NewRefusal(**(values | changes))  # type: ignore[arg-type]


def test_nothing_refused_is_said(operator: FlaskClient) -> None:
    assert "Chưa từ chối gói tin nào" in operator.get("/console/refusals").text


def test_a_refusal_says_from_whom_and_why(viewer: FlaskClient, ledger: Ledger) -> None:
    ledger.record_refusal(a_refusal())
    ledger.record_refusal(a_refusal(credential_agency=None, sha256=None, payload=None, detail="<script>x</script>"))
    page = viewer.get("/console/refusals").text
    assert "Sở Khoa học và Công nghệ tỉnh Lạng Sơn" in page
    assert "Danh bạ không có cơ quan nhận mang mã định danh này." in page
    assert "recipient.unknown" in page
    assert "MessageHeader.To.OrganId" in page
    assert "không xác định được" in page
    assert "chưa đọc hết" in page
    assert "<script>x" not in page


def test_refusals_are_paged_without_gaps(operator: FlaskClient, ledger: Ledger) -> None:
    for n in range(103):
        ledger.record_refusal(a_refusal(path=f"P{n}"))
    seen: list[str] = []
    address: str | None = "/console/refusals"
    pages = 0
    while address:
        page = operator.get(address).text
        seen += re.findall(r"tại (P\d+)<", page)
        found = re.search(r'rel="next" href="([^"]+)"', page)
        address = found[1] if found else None
        pages += 1
    assert pages == 3
    assert seen == [f"P{n}" for n in reversed(range(103))]
    assert "Không còn gói tin cũ hơn" in operator.get("/console/refusals?before=1").text


def test_a_refused_package_is_taken_out_as_bytes_by_operators_alone(
    operator: FlaskClient, viewer: FlaskClient, ledger: Ledger
) -> None:
    kept = ledger.record_refusal(a_refusal())
    answer = operator.get(f"/console/refusals/{kept}/package")
    assert answer.data == b"<edXML/>"
    assert answer.content_type == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == f"attachment; filename=refused-{kept}.bin"
    last = ledger.events()[-1]
    assert (last.action, last.actor, last.data["refusal"]) == (
        Action.OPERATOR_PACKAGE_DOWNLOADED,
        "van.hanh",
        str(kept),
    )
    assert viewer.get(f"/console/refusals/{kept}/package").status_code == 403
    dropped = ledger.record_refusal(a_refusal(payload=None))
    gone = operator.get(f"/console/refusals/{dropped}/package")
    assert gone.status_code == 404
    assert "Gói tin không được giữ lại" in gone.text
