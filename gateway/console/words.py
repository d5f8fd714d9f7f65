"""The trade's states, codes and verdicts in words; every member of every enumeration has some."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from gateway.console.texts import Language, Text, say
from gateway.console.verdicts import FILE_STANDINGS, REASONS, SIGNER_ROLES, Mark
from gateway.errors import every_error
from gateway.ledger.actions import Action
from gateway.ledger.records import Concern, DeliveryRow, Glance, OperationState, Report, SignedFiles, StatusEffect
from gateway.model import (
    BusinessType,
    Channel,
    DeliveryState,
    ExaminationKind,
    ExaminationState,
    Lane,
    PackageKind,
    RecallState,
    Standing,
    StatusCode,
)

STATES: Final = MappingProxyType(
    {
        DeliveryState.WAITING: Mark(Text("Chờ chuyển", "Waiting"), "○", "calm"),
        DeliveryState.LEASED: Mark(Text("Đang chuyển", "In transfer"), "◐", "busy"),
        DeliveryState.FORWARDED: Mark(Text("Đã chuyển tiếp", "Forwarded"), "➜", "good"),
        DeliveryState.DELIVERED: Mark(Text("Đã tới nơi nhận", "Delivered"), "✔", "good"),
        DeliveryState.REFUSED: Mark(Text("Bị từ chối", "Refused"), "✖", "bad"),
        DeliveryState.ABANDONED: Mark(Text("Ngừng gửi", "Abandoned"), "■", "bad"),
        DeliveryState.WITHDRAWN: Mark(Text("Đã rút lại", "Withdrawn"), "↩", "calm"),
    }
)
"""As counted and filtered."""

BLOCKED: Final = Mark(
    Text("Chờ văn bản trước, hoặc chờ kiểm tra", "Behind an earlier one, or until examined"), "‖", "calm"
)
RETRYING: Final = Mark(Text("Gửi lỗi, sẽ thử lại", "Failed, will retry"), "▲", "warn")
TO_COLLECT: Final = Mark(Text("Chờ nơi nhận lấy", "To be collected"), "○", "calm")
HANDED_ON: Final = Mark(Text("Trục kế tiếp đã nhận", "The next gateway has it"), "✔", "good")
COLLECTING: Final = Mark(Text("Nơi nhận đang lấy", "Being collected"), "◐", "busy")

LANES: Final = MappingProxyType(
    {
        Lane.NORMAL: Mark(Text("Thường", "Ordinary"), "", "calm"),
        Lane.URGENT: Mark(Text("Khẩn", "Urgent"), "▲", "warn"),
        Lane.VERY_URGENT: Mark(Text("Thượng khẩn", "Very urgent"), "▲▲", "warn"),
        Lane.FLASH: Mark(Text("Hỏa tốc", "Flash"), "▲▲▲", "bad"),
        Lane.FLASH_TIMED: Mark(Text("Hỏa tốc hẹn giờ", "Flash, timed"), "▲▲▲", "bad"),
    }
)
"""Domain §1.5."""

LONG_WAIT: Final = MappingProxyType(
    {
        Lane.NORMAL: timedelta(hours=4),
        Lane.URGENT: timedelta(hours=1),
        Lane.VERY_URGENT: timedelta(minutes=30),
        Lane.FLASH: timedelta(minutes=15),
        Lane.FLASH_TIMED: timedelta(minutes=15),
    }
)
"""
From when on an open delivery stands out. QĐ 28/2018 Art. 6 gives until the next morning for
ordinary mail and "at once" for urgent mail; half a working day leaves time to act.
"""

STATUSES: Final = MappingProxyType(
    {
        StatusCode.ARRIVED: Text("Đã đến", "Arrived"),
        StatusCode.REFUSED: Text("Từ chối tiếp nhận", "Refused"),
        StatusCode.REGISTERED: Text("Đã tiếp nhận", "Registered"),
        StatusCode.ASSIGNED: Text("Đã phân công", "Assigned"),
        StatusCode.PROCESSING: Text("Đang xử lý", "In progress"),
        StatusCode.DONE: Text("Hoàn thành", "Done"),
        StatusCode.RECALL_ASKED: Text("Đề nghị thu hồi", "Recall asked"),
        StatusCode.AGREED: Text("Đồng ý", "Agreed"),
        StatusCode.DISAGREED: Text("Không đồng ý", "Disagreed"),
    }
)
"""Domain §1.7."""

NO_STATUS: Final = Text("Chưa phản hồi", "No report yet")

KINDS: Final = MappingProxyType(
    {PackageKind.DOCUMENT: Text("Văn bản", "Document"), PackageKind.STATUS: Text("Trạng thái", "Status")}
)

BUSINESS: Final = MappingProxyType(
    {
        BusinessType.NEW: Text("Gửi mới", "New"),
        BusinessType.REVOKE: Text("Thu hồi", "Recall"),
        BusinessType.UPDATE: Text("Cập nhật", "Update"),
        BusinessType.REPLACE: Text("Thay thế", "Replacement"),
    }
)

CHANNELS: Final = MappingProxyType(
    {
        Channel.MAILBOX: Text("Hộp thư", "Mailbox"),
        Channel.PUSH: Text("Gửi thẳng tới hệ thống", "Push to its system"),
        Channel.PEER: Text("Qua trục khác", "By another gateway"),
        Channel.VXP: Text("Qua trục nói giao thức VXP", "By an axis that speaks VXP"),
        Channel.LGSP: Text("Qua trục nói giao thức LGSP", "By an axis that speaks LGSP"),
    }
)

EFFECTS: Final = MappingProxyType(
    {
        StatusEffect.PARKED: Text("chờ văn bản tương ứng", "waits for its document"),
        StatusEffect.ADVANCED: Text("cập nhật trạng thái", "moved the status on"),
        StatusEffect.REFUSED: Text("lượt chuyển bị từ chối", "refused the delivery"),
        StatusEffect.RECORDED: Text("chỉ ghi lại", "recorded only"),
        StatusEffect.CONTRADICTORY: Text(
            "mâu thuẫn: từ chối sau khi đã tiếp nhận", "contradictory: refused after registration"
        ),
        StatusEffect.ANSWERED: Text("trả lời yêu cầu thu hồi, cập nhật", "answers a recall or a change"),
        StatusEffect.UNMATCHED: Text("không khớp nơi nhận nào", "matches no recipient"),
    }
)

RECALLS: Final = MappingProxyType(
    {
        RecallState.NONE: Mark(Text("Không có yêu cầu", "Nothing asked"), "", "calm"),
        RecallState.REQUESTED: Mark(Text("Chờ nơi nhận trả lời", "Waits for an answer"), "◔", "warn"),
        RecallState.AGREED: Mark(Text("Đã đồng ý thay đổi", "Change agreed"), "✔", "good"),
        RecallState.WITHDRAWN: Mark(Text("Đã thu hồi", "Taken back"), "↩", "calm"),
    }
)
"""Domain §1.7; of one copy."""

OPERATION_STATES: Final = MappingProxyType(
    {
        OperationState.REQUESTED: Mark(Text("Chờ trả lời", "Waits for an answer"), "◔", "warn"),
        OperationState.AGREED: Mark(Text("Đồng ý", "Agreed"), "✔", "good"),
        OperationState.DECLINED: Mark(Text("Không đồng ý", "Declined"), "✖", "bad"),
        OperationState.ORPHAN: Mark(Text("Không rõ văn bản gốc", "Its document is not known"), "?", "warn"),
        OperationState.LAPSED: Mark(Text("Không còn hiệu lực", "Lapsed"), "–", "calm"),
    }
)
"""Of one operation on one copy."""

STANDINGS: Final = MappingProxyType(
    {
        Standing.VALID: Mark(Text("Hợp lệ", "Valid"), "✔", "good"),
        Standing.VALID_WEAK: Mark(Text("Hợp lệ, thuật toán yếu", "Valid, weak"), "✔", "warn"),
        Standing.UNSIGNED: Mark(Text("Không ký", "Unsigned"), "–", "calm"),
        Standing.UNVERIFIABLE: Mark(Text("Không kiểm tra được", "Unverifiable"), "?", "warn"),
        Standing.INDETERMINATE: Mark(Text("Chưa xác định", "Indeterminate"), "?", "warn"),
        Standing.INVALID: Mark(Text("Không hợp lệ", "Invalid"), "✖", "bad"),
    }
)

_ERRORS: Final[Mapping[str, Text]] = MappingProxyType(
    {
        **{error.code: Text(error.vi, error.en()) for error in every_error()},
        # Not errors of the gateway: the ledger's words for what a receiver said of what it collected.
        "mailbox.refused": Text("Nơi nhận từ chối khi lấy văn bản.", "The receiver refused it on collection."),
        "mailbox.failed": Text(
            "Hệ thống nơi nhận đã lấy nhưng báo lỗi; văn bản sẽ có lại trong danh sách.",
            "The receiver's system fetched it and reported a failure; it is listed again.",
        ),
    }
)


EXAMINATIONS: Final = MappingProxyType(
    {
        ExaminationKind.FILES: Text("chữ ký trong tệp", "signatures in files"),
        ExaminationKind.MALWARE: Text("mã độc", "malware"),
        ExaminationKind.REVOCATION: Text("thu hồi chứng thư", "revocation"),
    }
)

EXAMINATION_STATES: Final = MappingProxyType(
    {
        ExaminationState.PENDING: Mark(Text("Chờ kiểm tra", "To come"), "○", "busy"),
        ExaminationState.DONE: Mark(Text("Đã kiểm tra", "Done"), "✔", "good"),
        ExaminationState.REFUSED: Mark(Text("Không cho chuyển", "Refused"), "✖", "bad"),
        ExaminationState.FAILED: Mark(Text("Không kiểm tra được", "Not possible"), "▲", "warn"),
        ExaminationState.RELEASED: Mark(Text("Người vận hành cho chuyển", "Released by an operator"), "➜", "warn"),
    }
)

CONCERNS: Final = MappingProxyType(
    {
        Concern.MALWARE: Mark(Text("Có mã độc", "Malware"), "☣", "bad"),
        Concern.ALTERED: Mark(Text("Tệp bị thay đổi sau khi ký", "File altered"), "✖", "bad"),
        Concern.REVOKED: Mark(Text("Chứng thư đã bị thu hồi", "Certificate revoked"), "⊘", "bad"),
        Concern.MISSING: Mark(Text("Thiếu chữ ký bắt buộc", "Required signature missing"), "✎", "bad"),
        Concern.KEPT: Mark(Text("Đang bị giữ lại", "Kept here"), "‖", "warn"),
        Concern.UNTRUSTED: Mark(Text("Chữ ký không đáng tin cậy", "Untrusted signature"), "?", "warn"),
        Concern.UNREADABLE: Mark(Text("Tệp không đọc được", "Unreadable file"), "▲", "warn"),
        Concern.UNEXAMINED: Mark(Text("Chưa kiểm tra được", "Not examined"), "◌", "warn"),
        Concern.RELEASED: Mark(Text("Cho chuyển dù chưa đạt kiểm tra", "Let go all the same"), "➜", "warn"),
        Concern.REJUDGED: Mark(Text("Kết luận lại về chữ ký", "Judged again"), "↻", "warn"),
    }
)
"""Why somebody should look at a document."""

SIGNED: Final = MappingProxyType(
    {
        SignedFiles.BOTH: Mark(Text("Tệp đủ hai chữ ký", "File signed by both"), "✔", "good"),
        SignedFiles.PERSON: Mark(Text("Tệp chỉ có chữ ký cá nhân", "File signed by a person only"), "◐", "calm"),
        SignedFiles.AGENCY: Mark(Text("Tệp chỉ có chữ ký cơ quan", "File signed by an agency only"), "◑", "calm"),
        SignedFiles.NONE: Mark(Text("Tệp không có chữ ký hợp lệ", "No valid signature in files"), "–", "calm"),
    }
)
"""Which of the two signatures of a dispatch its best file carries, valid."""

TO_BE_JUDGED: Final = Mark(Text("Chờ xét chữ ký trong tệp", "Files not judged yet"), "○", "busy")


def glance_marks(glance: Glance | None) -> list[Mark]:
    """What a list shows of a document's signatures and examinations, the heaviest first; often nothing."""
    if glance is None:
        return []
    found = [CONCERNS[concern] for concern in glance.concerns]
    if glance.pending:
        found.append(TO_BE_JUDGED)
    # That no signature is valid is said by what is the matter with them.
    elif glance.signed is not None and (glance.signed is not SignedFiles.NONE or not found):
        found.append(SIGNED[glance.signed])
    return found


FILE_REASONS: Final = MappingProxyType(
    {
        "file.verified": Text("đã kiểm tra, chữ ký đúng", "verified"),
        "file.weak_algorithm": Text("đúng, nhưng thuật toán hoặc khóa yếu", "verified, weak algorithm or key"),
        "file.revocation_unknown": Text("chưa rõ chứng thư có bị thu hồi không", "revocation is not known"),
        "file.unsigned": Text("tệp không có chữ ký", "the file carries no signature"),
        "file.digest_mismatch": Text("nội dung đã ký bị thay đổi", "what was signed was changed"),
        "file.value_mismatch": Text(
            "chữ ký không do khóa của chứng thư tạo ra", "not made by the key of its certificate"
        ),
        "file.coverage": Text("chữ ký không bao trùm toàn bộ phiên bản", "the signature does not cover all of it"),
        "file.altered_after": Text("bị sửa sau khi ký", "changed after it was signed"),
        "file.covered_after": Text("nội dung đã ký bị che sau khi ký", "covered after it was signed"),
        "file.algorithm": Text("thuật toán không được chấp nhận", "an algorithm that is not accepted"),
        "file.certificate_untrusted": Text(
            "chứng thư không dẫn tới gốc tin cậy", "the certificate chains to no anchor"
        ),
        "file.certificate_expired": Text("chứng thư đã hết hạn khi ký", "the certificate had expired"),
        "file.certificate_not_yet_valid": Text(
            "chứng thư chưa có hiệu lực khi ký", "the certificate was not valid yet"
        ),
        "file.certificate_usage": Text("chứng thư không dùng để ký", "the certificate is not for signing"),
        "file.key_too_small": Text("khóa quá ngắn", "the key is too small"),
        "file.certificate_revoked": Text("chứng thư đã bị thu hồi khi ký", "the certificate had been revoked"),
        "file.signature_broken": Text("không đọc được chữ ký", "the signature cannot be read"),
        "file.signature_form": Text("dạng chữ ký không xét", "a form of signature that is not judged"),
        "file.broken": Text("tệp không đúng định dạng", "the file does not follow its format"),
        "file.encrypted": Text("tệp có mật khẩu", "the file is encrypted"),
        "file.too_large": Text("tệp quá lớn để xét", "too large to be judged"),
        "file.reader_crashed": Text("tệp làm hỏng trình đọc", "the file crashed its reader"),
        "file.reader_stalled": Text("đọc tệp quá lâu", "reading the file took too long"),
        "file.not_judged": Text("có chữ ký thuộc định dạng không xét", "signed in a format that is not judged"),
        "file.no_signatures_known": Text("định dạng không xét chữ ký", "a format without signatures to judge"),
        "file.empty_archive": Text("tệp nén rỗng", "an empty archive"),
        "file.judged": Text("không yêu cầu chữ ký trong tệp", "no signature inside a file is required"),
        "file.required_signatures_valid": Text("đủ chữ ký theo yêu cầu", "the required signatures are there"),
        "malware.none": Text("không thấy mã độc", "no malware found"),
        "examination.given_up": Text("đã thử nhiều lần không được", "given up after several tries"),
        "examination.stopped": Text("chờ trục khởi động lại", "waits for the gateway to start again"),
        "examination.fault": Text("lỗi của trục, sẽ thử lại", "a fault of the gateway, to be tried again"),
    }
)
"""Of signatures inside files, and of examinations, by code."""

ADDED: Final = MappingProxyType(
    {
        "signature": Text("chữ ký khác", "another signature"),
        "stamp": Text("dấu đến, ghi chú", "a stamp or note"),
        "form": Text("nội dung biểu mẫu", "form entries"),
        "content": Text("nội dung trang", "content"),
    }
)
"""What was added to a file after a signature."""


def finding(code: str, language: Language) -> str:
    """The words for what an examination found, or for the error that stopped it."""
    known = FILE_REASONS.get(code) or REASONS.get(code) or _ERRORS.get(code)
    return known.say(language) if known else code


def cause(code: str, language: Language) -> str:
    """The sentence of an error's code; a code from elsewhere stands for itself."""
    known = _ERRORS.get(code)
    return known.say(language) if known else code


def report_title(report: Report, language: Language) -> str:
    """A status in one line: ``06 Hoàn thành về 12/UBND-VP``."""
    about = report.about or say("no_number", language)
    return f"{report.code} {STATUSES[report.code].say(language)} {say('report.on', language)} {about}"


def delivery_mark(delivery: DeliveryRow, kind: PackageKind) -> Mark:
    """
    The state of a delivery as its row shows it: finer than the states that are counted.

    :param kind: of the package; nobody reports on a status, so one that the next gateway has is done.
    """
    if kind is PackageKind.STATUS and delivery.state is DeliveryState.FORWARDED:
        return HANDED_ON
    collected = delivery.channel is Channel.MAILBOX
    if delivery.state is DeliveryState.WAITING:
        if delivery.blocked:
            return BLOCKED
        if delivery.error_code is not None:
            return RETRYING
        return TO_COLLECT if collected else STATES[DeliveryState.WAITING]
    if delivery.state is DeliveryState.LEASED and collected:
        return COLLECTING
    return STATES[delivery.state]


def age(span: timedelta, language: Language) -> str:
    """A span in its largest whole unit."""
    seconds = max(0, int(span.total_seconds()))
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= length:
            return say(f"age.{unit}", language, n=seconds // length)
    return say("age.seconds", language, n=seconds)


def long_wait(delivery: DeliveryRow, now: datetime) -> timedelta | None:
    """How long an open delivery has waited, when that is too long for its urgency."""
    waited = now - delivery.created_at
    return waited if delivery.state.is_open and waited >= LONG_WAIT[delivery.lane] else None


def needs_attention(delivery: DeliveryRow, now: datetime) -> str | None:
    """``bad`` for what only a person can help, ``warn`` for what should be watched, ``None`` for the rest."""
    if delivery.state is DeliveryState.ABANDONED:
        return "bad"
    if delivery.state is DeliveryState.REFUSED:
        return "warn"
    open_fault = delivery.state.is_open and delivery.error_code is not None
    return "warn" if open_fault or long_wait(delivery, now) is not None else None


EVENTS: Final = MappingProxyType(
    {
        Action.DOCUMENT_ACCEPTED: Text("Tiếp nhận gói tin, cấp biên nhận", "Package accepted, receipt given"),
        Action.DOCUMENT_DUPLICATE: Text(
            "Bên gửi gửi lại đúng gói tin này; trả biên nhận cũ", "The same package came again; first receipt returned"
        ),
        Action.DOCUMENT_CONFLICT: Text(
            "Một gói tin khác dùng cùng mã văn bản; không tiếp nhận", "Another package under the same id; not accepted"
        ),
        Action.DOCUMENT_REFUSED: Text("Từ chối gói tin", "Package refused"),
        Action.DOCUMENT_EXAMINED: Text("Đã kiểm tra {examination}: {outcome}", "Examined for {examination}: {outcome}"),
        Action.DOCUMENT_RELEASED: Text(
            "Người vận hành cho chuyển văn bản đang bị giữ để kiểm tra {examination}",
            "An operator lets the document go that was held for {examination}",
        ),
        Action.DELIVERY_ENQUEUED: Text("Xếp hàng chuyển tới {recipient}", "Queued for {recipient}"),
        Action.DELIVERY_BLOCKED: Text(
            "Chờ văn bản trước đó tới {recipient} xong mới chuyển", "Held behind the earlier document to {recipient}"
        ),
        Action.DELIVERY_UNBLOCKED: Text("Hết phải chờ, chuyển tới {recipient}", "No longer held, goes to {recipient}"),
        Action.DELIVERY_HELD: Text(
            "Giữ lại, kiểm tra xong mới chuyển tới {recipient}", "Held for {recipient} until it has been examined"
        ),
        Action.DELIVERY_RELEASED: Text(
            "Đã kiểm tra, chuyển tới {recipient}", "Examined and let go, goes to {recipient}"
        ),
        Action.DELIVERY_REJECTED: Text(
            "Không chuyển tới {recipient}; đã báo cho cơ quan gửi", "Not passed on to {recipient}; the sender was told"
        ),
        Action.DELIVERY_LEASE_EXPIRED: Text(
            "Tiến trình gửi tới {recipient} bị ngắt; sẽ gửi lại",
            "The worker for {recipient} died; it will be tried again",
        ),
        Action.DELIVERY_ATTEMPT_FAILED: Text(
            "Chuyển tới {recipient} không thành công", "Delivery to {recipient} failed"
        ),
        Action.DELIVERY_FORWARDED: Text(
            "Trục kế tiếp đã nhận, để chuyển tới {recipient}", "The next gateway has it, for {recipient}"
        ),
        Action.DELIVERY_DELIVERED: Text("Đã tới {recipient}", "Delivered to {recipient}"),
        Action.DELIVERY_REFUSED: Text("{recipient} từ chối", "{recipient} refused it"),
        Action.DELIVERY_ABANDONED: Text("Ngừng gửi tới {recipient}", "Gave up on {recipient}"),
        Action.DELIVERY_REPLAYED: Text("Gửi lại tới {recipient}", "Sent again to {recipient}"),
        Action.DELIVERY_WITHDRAWN: Text("Rút lại, không chuyển tới {recipient} nữa", "Withdrawn from {recipient}"),
        Action.MAILBOX_LOCKED: Text("{recipient} bắt đầu lấy văn bản", "{recipient} began to collect it"),
        Action.MAILBOX_ACKNOWLEDGED: Text("{recipient} xác nhận đã lấy", "{recipient} confirmed receipt"),
        Action.MAILBOX_REFUSED: Text("{recipient} từ chối khi lấy", "{recipient} refused it on collection"),
        Action.STATUS_RECEIVED: Text("{recipient} báo: {status}", "{recipient} reports: {status}"),
        Action.STATUS_PARKED: Text(
            "{recipient} báo: {status}; chờ văn bản tương ứng", "{recipient} reports: {status}; its document is awaited"
        ),
        Action.STATUS_APPLIED: Text(
            "{recipient} đã báo trước khi văn bản đến: {status}", "{recipient} had reported before it came: {status}"
        ),
        Action.STATUS_CONTRADICTORY: Text(
            "{recipient} báo: {status}, trái với trạng thái đã có; cần xem lại",
            "{recipient} reports: {status}, against what it said before; please look",
        ),
        Action.OPERATION_REQUESTED: Text(
            "{operation}: chờ {recipient} trả lời", "{operation}: waits for the answer of {recipient}"
        ),
        Action.OPERATION_ANSWERED: Text(
            "{operation} tại {recipient}: {answer}", "{operation} at {recipient}: {answer}"
        ),
        Action.OPERATION_LAPSED: Text(
            "{operation} tại {recipient} không còn hiệu lực", "{operation} at {recipient} has lapsed"
        ),
        Action.OPERATION_ORPHANED: Text(
            "{operation} tới {recipient}: trục không xác định được văn bản gốc",
            "{operation} to {recipient}: the document that it concerns is not known here",
        ),
        Action.ENDPOINT_OPENED: Text("Tạm ngừng gửi tới một điểm nhận", "An endpoint is paused"),
        Action.ENDPOINT_CLOSED: Text("Gửi lại tới điểm nhận", "An endpoint works again"),
        Action.AXIS_FAILED: Text("Không hỏi được trục", "An axis cannot be asked"),
        Action.AXIS_RECOVERED: Text("Hỏi lại được trục", "An axis answers again"),
        Action.TIMESTAMP_FAILED: Text("Không lấy được dấu thời gian", "No time-stamp to be had"),
        Action.TIMESTAMP_RECOVERED: Text("Lấy lại được dấu thời gian", "Time-stamps are to be had again"),
        Action.AXIS_SILENT: Text("Trục im lặng lâu bất thường", "An axis is silent for too long"),
        Action.AXIS_HEARD: Text("Trục hết im lặng", "An axis is heard from again"),
        Action.AXIS_FETCHED: Text("Lấy về từ trục", "Fetched from an axis"),
        Action.AXIS_NOT_TAKEN: Text("Không nhận được gói tin từ trục", "Not taken from an axis"),
        Action.AXIS_GIVEN_UP: Text("Thôi lấy gói tin từ trục", "Given up fetching from an axis"),
        Action.AXIS_LISTS_AGAIN: Text("Trục vẫn liệt kê gói tin đã xác nhận", "An axis lists what was acknowledged"),
        Action.AXIS_DISMISSED: Text("Thôi theo dõi gói tin của trục", "A package of an axis is followed no further"),
        Action.AXIS_RETRIED: Text("Cho lấy lại từ trục", "Fetching from an axis anew"),
        Action.DIRECTORY_CHANGED: Text("Đổi danh bạ cơ quan", "Directory changed"),
        Action.KEY_ADDED: Text("Cấp khóa kết nối", "Key added"),
        Action.KEY_REVOKED: Text("Thu hồi khóa kết nối", "Key revoked"),
        Action.SYSTEM_ADDED: Text("Thêm hệ thống kết nối", "System added"),
        Action.SYSTEM_CHANGED: Text("Sửa hệ thống kết nối", "System changed"),
        Action.SYSTEM_SECRET_ROTATED: Text("Đổi khóa bí mật của hệ thống", "Secret of a system rotated"),
        Action.SYSTEM_REVOKED: Text("Thu hồi hệ thống kết nối", "System revoked"),
        Action.AGENCY_REQUESTED: Text("Hệ thống xin thêm hoặc xóa cơ quan", "A system asks to add or delete an agency"),
        Action.AGENCY_REQUEST_DECIDED: Text("Duyệt yêu cầu về cơ quan", "Request on an agency decided"),
        Action.OPERATOR_ADDED: Text("Thêm người vận hành", "Operator added"),
        Action.OPERATOR_CHANGED: Text("Sửa người vận hành", "Operator changed"),
        Action.OPERATOR_LOGGED_IN: Text("Đăng nhập bảng điều hành", "Logged in to the console"),
        Action.OPERATOR_LOGIN_FAILED: Text("Đăng nhập không thành công", "Log-in failed"),
        Action.OPERATOR_LOGGED_OUT: Text("Đăng xuất bảng điều hành", "Logged out of the console"),
        Action.OPERATOR_PACKAGE_DOWNLOADED: Text("Tải gói tin", "Package downloaded"),
        Action.EVIDENCE_EXPORTED: Text("Xuất tệp bằng chứng", "Evidence file exported"),
        Action.SIGNING_PREPARED: Text("Chuẩn bị tệp để ký", "File prepared for signing"),
        Action.SIGNING_COMPLETED: Text("Hoàn tất chữ ký", "Signature completed"),
        Action.SIGNING_MISMATCH: Text(
            "Chữ ký gửi về không khớp nội dung đã chuẩn bị", "What came back does not sign what was prepared"
        ),
        Action.SIGNING_CANCELLED: Text("Hủy yêu cầu ký", "Signing cancelled"),
        Action.SIGNING_EXPIRED: Text("Yêu cầu ký hết hạn", "Signing expired"),
        Action.CERTIFICATE_ADDED: Text("Đăng ký chứng thư", "Certificate registered"),
        Action.CERTIFICATE_ROTATED: Text("Thay chứng thư", "Certificate replaced"),
        Action.CERTIFICATE_ENDED: Text("Kết thúc đăng ký chứng thư", "Certificate's registration ended"),
        Action.CERTIFICATE_EXPIRING: Text("Chứng thư sắp hết hạn", "A certificate ends soon"),
        Action.CERTIFICATE_REVOKED: Text("Chứng thư bị thu hồi", "Certificate revoked"),
        Action.CERTIFICATE_UNREVOKED: Text("Chứng thư hết bị thu hồi", "Certificate good again"),
        Action.REVOCATION_FAILED: Text("Không lấy được tin thu hồi chứng thư", "Revocation cannot be asked for"),
        Action.REVOCATION_RECOVERED: Text("Lấy lại được tin thu hồi chứng thư", "Revocation can be asked for again"),
        Action.DOCUMENT_REJUDGED: Text("Kết luận lại về chữ ký", "Signature judged anew"),
    }
)
"""What happened, as the timeline tells it."""

EVENT_TONES: Final = MappingProxyType(
    {
        Action.DOCUMENT_ACCEPTED: "good",
        Action.DOCUMENT_CONFLICT: "bad",
        Action.DELIVERY_ATTEMPT_FAILED: "warn",
        Action.DELIVERY_LEASE_EXPIRED: "warn",
        Action.DELIVERY_FORWARDED: "good",
        Action.DELIVERY_DELIVERED: "good",
        Action.DELIVERY_REFUSED: "bad",
        Action.DELIVERY_HELD: "busy",
        Action.DELIVERY_REJECTED: "bad",
        Action.DOCUMENT_RELEASED: "warn",
        Action.DELIVERY_ABANDONED: "bad",
        Action.DELIVERY_REPLAYED: "busy",
        Action.MAILBOX_ACKNOWLEDGED: "good",
        Action.MAILBOX_REFUSED: "bad",
        Action.STATUS_CONTRADICTORY: "warn",
        Action.OPERATION_REQUESTED: "busy",
        Action.OPERATION_ORPHANED: "warn",
        Action.CERTIFICATE_EXPIRING: "warn",
        Action.CERTIFICATE_REVOKED: "bad",
        Action.REVOCATION_FAILED: "warn",
        Action.DOCUMENT_REJUDGED: "bad",
    }
)
"""Those that stand out; the others are calm."""


_TABLES: Final[Mapping[str, Mapping[str, Text | Mark]]] = MappingProxyType(
    {
        "standing": {str(key): mark for key, mark in STANDINGS.items()},
        "reason": REASONS,
        "file": {str(key): mark for key, mark in FILE_STANDINGS.items()},
        "role": {str(key): text for key, text in SIGNER_ROLES.items()},
        "state": {str(key): mark for key, mark in STATES.items()},
        "status": {str(key): text for key, text in STATUSES.items()},
        "event": {str(key): text for key, text in EVENTS.items()},
    }
)


_WITHOUT_NAMES: Final = MappingProxyType(
    {
        "recipient": Text("nơi nhận", "the recipient"),
        "status": Text("trạng thái", "a status"),
        "operation": Text("thu hồi, cập nhật hoặc thay thế", "a recall, an update or a replacement"),
        "answer": Text("trả lời", "an answer"),
        "outcome": Text("kết quả", "the outcome"),
        "examination": Text("phần kiểm tra", "an examination"),
    }
)
"""What stands for the values in a sentence about events of a kind."""


def called(table: str, code: str, language: Language) -> str:
    """What people call a state, verdict, status or event, for pages that are made elsewhere; else the code itself."""
    found = _TABLES[table].get(code)
    if found is None:
        return code
    text = found.words if isinstance(found, Mark) else found
    said = text.say(language, **{name: words.say(language) for name, words in _WITHOUT_NAMES.items()})
    return said[:1].upper() + said[1:] if table == "event" else said
