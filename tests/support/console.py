"""A console on a real ledger, people to log in to it, and a day's work to look at."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, BinaryIO

from flask import Flask
from flask.testing import FlaskClient
from jinja2 import StrictUndefined
from werkzeug.test import TestResponse

from gateway.console.install import install
from gateway.console.parts import ConsoleParts
from gateway.console.passwords import hash_password
from gateway.directory import Directory
from gateway.errors import PayloadMissing
from gateway.ledger import Ledger
from gateway.ledger.records import (
    Abandoned,
    Claim,
    Delivered,
    Failed,
    Forwarded,
    NewDocument,
    NewRefusal,
    Operator,
    OperatorRole,
    Outcome,
    Reply,
    new_id,
)
from gateway.model import (
    Agency,
    AgencyCode,
    Attachment,
    BusinessType,
    Channel,
    Lane,
    Severity,
    SignedBy,
    Standing,
    StatusCode,
    Verdict,
    Violation,
)
from tests.support.agencies import MAILBOX, PEER, PUSH, a_directory, an_agency
from tests.support.ledger import NOON, a_delivery, a_document, a_reply, a_status, report

PASSWORD = "mật khẩu rất dài"

PROVINCE = (
    an_agency("H37", "000.00.00.H37", name="Ủy ban nhân dân tỉnh Lạng Sơn", endpoint=PUSH),
    an_agency("H37.1", "000.00.01.H37", name="Văn phòng Ủy ban nhân dân tỉnh Lạng Sơn", parent="H37", endpoint=PUSH),
    an_agency("H37.14", "000.00.14.H37", name="Sở Khoa học và Công nghệ tỉnh Lạng Sơn", parent="H37", endpoint=PUSH),
    an_agency("H37.14.2", "000.02.14.H37", name="Ủy ban nhân dân xã Đồng Đăng", parent="H37", endpoint=MAILBOX),
    an_agency(
        "H37.22", "000.00.22.H37", name="Sở Nông nghiệp và Môi trường tỉnh Lạng Sơn", parent="H37", endpoint=PUSH
    ),
    an_agency("H38", "000.00.00.H38", name="Ủy ban nhân dân tỉnh Lào Cai", endpoint=PEER),
    an_agency("G22", "000.00.00.G22", name="Văn phòng Chính phủ", endpoint=PEER),
)
"""Real names of the trade; no data of persons."""

OFFICE, SCIENCE, COMMUNE, FARMING, LAO_CAI, NATIONAL = (
    AgencyCode(c) for c in ("H37.1", "H37.14", "H37.14.2", "H37.22", "H38", "G22")
)


@dataclass
class Clock:
    """Time that stands until told."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now

    def pass_time(self, **span: float) -> None:
        self.now += timedelta(**span)


def replaying(ledger: Ledger, clock: Callable[[], datetime]) -> Callable[[Sequence[str], str, str], int]:
    """The use case in its smallest form."""

    def replay(ids: Sequence[str], reason: str, actor: str) -> int:
        return len(ledger.replay(ids, reason=reason, actor=actor, now=clock()))

    return replay


def opening(ledger: Ledger) -> Callable[[str], BinaryIO]:
    """Packages that are kept in the ledger."""

    def open_package(document_id: str) -> BinaryIO:
        document = ledger.document(document_id)
        content = ledger.payload(document.sha256) if document else None
        if content is None:
            raise PayloadMissing
        return io.BytesIO(content)

    return open_package


def a_console(ledger: Ledger, clock: Callable[[], datetime], **changes: Any) -> Flask:
    """An application that serves nothing but the console; a name missing in a template is an error."""
    directory: Directory = a_directory(PROVINCE)
    values: dict[str, Any] = {
        "ledger": ledger,
        "directory": lambda: directory,
        "clock": clock,
        "replay": replaying(ledger, clock),
        "open_package": opening(ledger),
        "export_evidence": lambda trace, actor: io.BytesIO(f"{trace.document.id} {actor}".encode()),
        "session_key": b"k" * 32,
        "gateway_name": "Trục liên thông tỉnh Lạng Sơn",
        "login_rate_limit": "1000 per minute",
    }
    app = Flask("console-under-test")
    app.jinja_env.undefined = StrictUndefined
    install(app, ConsoleParts(**(values | changes)))
    return app


def add_person(
    ledger: Ledger, login: str = "van.hanh", role: OperatorRole = OperatorRole.OPERATOR, **changes: Any
) -> Operator:
    """Somebody who may log in with ``PASSWORD``."""
    values: dict[str, Any] = {
        "id": new_id(),
        "login": login,
        "password_hash": hash_password(PASSWORD),
        "role": role,
        "language": "vi",
        "created_at": NOON,
    }
    person = Operator(**(values | changes))
    ledger.add_operator(person, actor="test")
    return person


def token(page: TestResponse) -> str:
    """The CSRF token of a page's first form."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]


def log_in(client: FlaskClient, login: str = "van.hanh", password: str = PASSWORD, **form: str) -> TestResponse:
    """Fill in the log-in page."""
    csrf = token(client.get("/console/login"))
    return client.post("/console/login", data={"csrf_token": csrf, "login": login, "password": password, **form})


# A day's work


def accept(ledger: Ledger, *deliveries: Any, **changes: Any) -> NewDocument:
    """Have a document accepted."""
    document = a_document(**changes)
    ledger.accept(document, deliveries)
    return document


def try_one(
    ledger: Ledger, delivery_id: str, outcome: Outcome, now: datetime, about: NewDocument | None = None
) -> None:
    """Let a worker try one delivery; ``about`` has the automatic status 01 sent back."""
    claims = ledger.claim(worker="w1", now=now, lease=timedelta(minutes=5), limit=500, per_endpoint=500)
    mine: Claim = next(c for c in claims if c.delivery_id == delivery_id)
    ledger.release([c for c in claims if c is not mine], now=now)
    ledger.settle(mine, outcome, now=now, reply=a_reply_at(about, now, mine.recipient) if about else None)


def a_reply_at(about: NewDocument, now: datetime, reporter: AgencyCode, code: StatusCode = StatusCode.ARRIVED) -> Reply:
    """The status that the gateway answers with at that moment."""
    reply = a_reply(about, code, reporter=reporter, copy_of=(reporter,), reported_at=now)
    return replace(reply, document=replace(reply.document, sender=reporter, received_at=now))


def abandoned(ledger: Ledger, now: datetime = NOON, **changes: Any) -> tuple[NewDocument, str]:
    """A document whose one delivery was given up; with the delivery's id."""
    delivery = a_delivery(SCIENCE, recipient_name="Sở Khoa học và Công nghệ tỉnh Lạng Sơn", due_at=now)
    document = accept(ledger, delivery, received_at=now, **changes)
    try_one(ledger, delivery.id, Abandoned(code="delivery.peer_unreachable", detail="connection refused"), now)
    return document, delivery.id


def a_days_work(ledger: Ledger, now: datetime) -> dict[str, str]:
    """
    Fill a ledger with one of everything that operators meet.

    :return: the gateway's ids of the documents worth opening, by what they show.
    """
    return _Day(ledger, now).work()


class _Day:
    def __init__(self, ledger: Ledger, now: datetime) -> None:
        self.ledger, self.now = ledger, now
        self.ids: dict[str, str] = {}

    def ago(self, **span: float) -> datetime:
        return self.now - timedelta(**span)

    def to(self, agency: AgencyCode, at: datetime, **changes: Any) -> Any:
        known: Agency = next(a for a in PROVINCE if a.code == agency)
        assert known.endpoint is not None
        values = {"recipient_name": known.name, "channel": known.endpoint.channel, "due_at": at}
        return a_delivery(agency, **(values | changes))

    def document(self, name: str, at: datetime, *deliveries: Any, **changes: Any) -> NewDocument:
        sender = changes.pop("sender", OFFICE)
        known = next(a for a in PROVINCE if a.code == sender)
        given: dict[str, Any] = {
            "sender": sender,
            "sender_name": known.name,
            "received_from": sender,
            "received_at": at,
        }
        lane = changes.get("lane", Lane.NORMAL)
        made = accept(self.ledger, *(d for d in deliveries), **(given | changes | {"lane": lane}))
        self.ids[name] = made.id
        return made

    def work(self) -> dict[str, str]:
        self.finished()
        self.many()
        self.hostile()
        self.waiting()
        self.refused()
        self.failing()
        self.given_up()
        self.refusals()
        return self.ids

    def finished(self) -> None:
        at = self.ago(hours=6)
        to_science, to_commune = self.to(SCIENCE, at), self.to(COMMUNE, at)
        made = self.document(
            "finished",
            at,
            to_science,
            to_commune,
            number="1204",
            notation="UBND-KGVX",
            type_name="Công văn",
            subject="V/v triển khai Đề án số hóa hồ sơ, giấy tờ trong giải quyết thủ tục hành chính năm 2026",
            lane=Lane.URGENT,
            verdict=Verdict(
                standing=Standing.VALID,
                reason="signature.verified",
                judged_at=at,
                signed_by=SignedBy.SENDER,
                certificate_sha256="ab" * 32,
                subject="CN=Văn phòng UBND tỉnh Lạng Sơn,O=UBND tỉnh Lạng Sơn,C=VN",
                signature_method="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
                digest_method="http://www.w3.org/2001/04/xmlenc#sha256",
                canonicalization="http://www.w3.org/2001/10/xml-exc-c14n#",
            ),
            attachments=(an_attachment("1204-UBND-KGVX.pdf"), an_attachment("Phụ lục I.xlsx", size=48_213)),
            warnings=(
                Violation(
                    code="M.MessageHeader.PromulgationInfo.PromulgationDate",
                    severity=Severity.WARNING,
                    vi="Ngày ban hành sau ngày gửi.",
                    en="The date of issue is later than the date of sending.",
                ),
            ),
        )
        try_one(self.ledger, to_science.id, Delivered(), self.ago(hours=5.9), about=made)
        for code, hours in ((StatusCode.REGISTERED, 5.0), (StatusCode.ASSIGNED, 4.5), (StatusCode.DONE, 1.0)):
            reported = self.ago(hours=hours)
            status = a_status(made, code, reporter=SCIENCE, copy_of=(SCIENCE,), reported_at=reported)
            report(self.ledger, status, received_at=reported)

    def many(self) -> None:
        at = self.ago(hours=2)
        legs = [self.to(OFFICE, at, recipient_name="Văn phòng Ủy ban nhân dân tỉnh Lạng Sơn")]
        legs += [
            a_delivery(
                AgencyCode(f"H37.40.{n}"),
                recipient_name=f"Ủy ban nhân dân xã số {n}",
                via=AgencyCode("H37.14.2"),
                channel=Channel.MAILBOX,
                due_at=at,
            )
            for n in range(1, 300)
        ]
        self.document(
            "many",
            at,
            *legs,
            sender=FARMING,
            number="88",
            notation="TB-SNNMT",
            type_name="Thông báo",
            subject="Thông báo lịch kiểm tra công tác phòng cháy, chữa cháy rừng mùa khô",
        )

    def hostile(self) -> None:
        at = self.ago(minutes=50)
        self.document(
            "hostile",
            at,
            self.to(COMMUNE, at),
            sender=SCIENCE,
            number="<b>7</b>",
            notation="\u202eFDP.exe",
            type_name='"><img src=x onerror=alert(1)>',
            subject="<script>alert('đề án')</script> " + "khôngcókhoảngtrắng" * 12,
            attachments=(an_attachment("cong-van\u202efdp.exe", size=0), an_attachment("../../etc/passwd")),
            verdict=Verdict(standing=Standing.UNVERIFIABLE, reason="signature.foreign_namespace", judged_at=at),
        )

    def waiting(self) -> None:
        at = self.ago(hours=9)
        first = self.document(
            "waiting",
            at,
            self.to(COMMUNE, at),
            number="310",
            notation="QĐ-UBND",
            subject="Quyết định về việc phê duyệt kế hoạch sử dụng đất năm 2027 của xã Đồng Đăng",
            lane=Lane.VERY_URGENT,
        )
        later = self.ago(minutes=40)
        self.document(
            "recall",
            later,
            self.to(COMMUNE, later),
            number="310",
            notation="QĐ-UBND",
            subject="Thu hồi Quyết định 310/QĐ-UBND do nhầm phụ lục",
            business_type=BusinessType.REVOKE,
            revision="r1",
            targets=(first.identity,),
        )

    def refused(self) -> None:
        at = self.ago(minutes=35)
        leg = self.to(COMMUNE, at)
        made = self.document(
            "refused", at, leg, number="19", notation="GM-VP", type_name="Giấy mời", subject="Mời họp giao ban quý IV"
        )
        lock = self.ledger.lock(leg.id, COMMUNE, now=self.ago(minutes=30), lease=timedelta(minutes=5))
        self.ledger.refuse(
            leg.id,
            COMMUNE,
            lock.token,
            reason="Gửi nhầm cơ quan, đề nghị gửi lại Phòng Văn hóa.",
            now=self.ago(minutes=29),
            reply=a_reply_at(made, self.ago(minutes=29), COMMUNE, StatusCode.REFUSED),
        )

    def failing(self) -> None:
        at = self.ago(minutes=25)
        legs = self.to(LAO_CAI, at), self.to(NATIONAL, at)
        self.document(
            "failing",
            at,
            *legs,
            number="56",
            notation="CĐ-UBND",
            type_name="Công điện",
            subject="Công điện về ứng phó mưa lũ, sạt lở đất trên địa bàn các xã biên giới",
            lane=Lane.FLASH,
        )
        failed = Failed(
            code="delivery.peer_unreachable",
            detail="ConnectTimeout: above.example:443",
            retry_at=self.now + timedelta(minutes=4),
        )
        try_one(self.ledger, legs[0].id, failed, self.ago(minutes=24))
        try_one(self.ledger, legs[1].id, Forwarded(receipt="{}"), self.ago(minutes=24))

    def given_up(self) -> None:
        for n, subject in enumerate(("Báo cáo kết quả chuyển đổi số quý III", "Báo cáo công tác tuần 47"), 1):
            at = self.ago(minutes=20 - n)
            made, _ = abandoned(
                self.ledger,
                at,
                sender=FARMING,
                sender_name="Sở Nông nghiệp và Môi trường tỉnh Lạng Sơn",
                number=f"{400 + n}",
                notation="BC-SNNMT",
                type_name="Báo cáo",
                subject=subject,
            )
            self.ids["abandoned"] = made.id

    def refusals(self) -> None:
        for minutes, code, path, detail, who in (
            (90, "signature.rejected", "Signature", "invalid: signature.digest_mismatch", SCIENCE),
            (60, "recipient.unknown", "MessageHeader.To.OrganId", "Nobody is known as 000.99.99.H37.", FARMING),
            (12, "package.forbidden_markup", None, "<!DOCTYPE edXML [<!ENTITY x SYSTEM 'file:///'>]>", None),
        ):
            refusal = NewRefusal(
                at=self.ago(minutes=minutes),
                credential_agency=who,
                code=code,
                path=path,
                detail=detail,
                sha256="cd" * 32 if who else None,
                size=23_482,
                payload=b"<edXML/>" if who else None,
            )
            self.ledger.record_refusal(refusal)


def an_attachment(name: str, size: int = 1_204_332) -> Attachment:
    """One file of a package."""
    return Attachment(
        content_id=name, name=name, size=size, sha256="ef" * 32, media_type="application/pdf", content_type="pdf"
    )
