"""
Every failure that the gateway can name, as one tree.

A class has a stable dotted ``code``, a ``disposition``, and two sentences for people: its
docstring (English, also the default ``detail``) and ``vi``. Evidence is kept as attributes.
HTTP statuses are in ``api/problems.py`` and exit codes in ``cli`` only. Each code has a row
in ``docs/errors.md``; a test compares the two.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import ClassVar

from gateway.model import Verdict, Violation


class Disposition(enum.Enum):
    """What the gateway does with the document after this failure."""

    REJECT = "reject"
    """The sender must change something; sending the same again will not help."""
    RETRY = "retry"
    """The same attempt may succeed later; the ledger keeps it."""
    HALT = "halt"
    """An operator has to act before anything else moves."""


class GatewayError(Exception):
    """The gateway could not do what was asked."""

    code: ClassVar[str] = "gateway.unspecified"
    vi: ClassVar[str] = "Trục liên thông không thực hiện được yêu cầu."
    disposition: ClassVar[Disposition] = Disposition.HALT

    def __init__(self, detail: str | None = None, *, path: str | None = None) -> None:
        self.detail = detail or self.en()
        """One English sentence for this occurrence; free of secrets and personal data."""
        self.path = path
        """Path of the element or field at fault (``MessageHeader.To.OrganId``); ``None`` for the whole."""
        super().__init__(self.detail)

    @classmethod
    def en(cls) -> str:
        """The class's own English sentence."""
        return (cls.__doc__ or "").strip().splitlines()[0]


def every_error(root: type[GatewayError] = GatewayError) -> Iterator[type[GatewayError]]:
    """All classes of the tree, parents first; for the tables and the tests about the program."""
    yield root
    for child in root.__subclasses__():
        yield from every_error(child)


# Document errors: the sender must change the package


class DocumentError(GatewayError):
    """The package cannot be accepted as it is."""

    code = "document.rejected"
    vi = "Gói tin không được chấp nhận."
    disposition = Disposition.REJECT


class MalformedPackage(DocumentError):
    """The package is not well-formed XML in UTF-8 or UTF-16."""

    code = "package.malformed"
    vi = "Gói tin không phải là XML đúng cú pháp."


class EmptyPackage(MalformedPackage):
    """The package holds no bytes."""

    code = "package.empty"
    vi = "Gói tin rỗng."


class ForbiddenMarkup(DocumentError):
    """The package holds a DOCTYPE, an entity, an XInclude or a processing instruction."""

    code = "package.forbidden_markup"
    vi = "Gói tin chứa DOCTYPE, thực thể, XInclude hoặc chỉ thị xử lý bị cấm."


class PackageLimitExceeded(DocumentError):
    """The package exceeds a limit on size, depth, width or number."""

    code = "package.limit_exceeded"
    vi = "Gói tin vượt quá giới hạn cho phép."

    def __init__(self, *, limit: str, allowed: int, path: str | None = None) -> None:
        self.limit = limit
        """Name of the limit as in the settings, e.g. ``attributes_per_element``."""
        self.allowed = allowed
        super().__init__(f"The package exceeds the limit {limit} = {allowed}.", path=path)


class UnknownPackage(DocumentError):
    """The root element is not that of an edXML package."""

    code = "package.unknown"
    vi = "Phần tử gốc không phải là gói tin edXML."


class UnsupportedVariant(UnknownPackage):
    """The package is of an old edXML form that this gateway recognises and does not accept."""

    code = "package.unsupported_variant"
    vi = "Gói tin thuộc dạng edXML cũ không còn được hỗ trợ."


class InvalidPackage(DocumentError):
    """The package departs from QCVN 102 in ways that cannot be trusted."""

    code = "package.invalid"
    vi = "Gói tin không tuân thủ QCVN 102 ở những điểm không thể bỏ qua."

    def __init__(self, violations: Sequence[Violation]) -> None:
        self.violations = tuple(violations)
        """Errors first; each with its own code, path and sentences."""
        first = self.violations[0]
        super().__init__(f"{first.en} ({first.code})", path=first.code.partition(".")[2])


class IncompleteUpload(DocumentError):
    """The body ended before its declared length."""

    code = "package.incomplete_upload"
    vi = "Dữ liệu gửi lên bị ngắt trước khi đủ độ dài khai báo."
    disposition = Disposition.RETRY


class DigestMismatch(DocumentError):
    """The body is not what its Content-Digest says."""

    code = "package.digest_mismatch"
    vi = "Nội dung nhận được không khớp với Content-Digest."
    disposition = Disposition.RETRY


class HashFileMismatch(DigestMismatch):
    """The package is not what its hash-file header says, in any of the forms in which that is written."""

    code = "package.hash_file_mismatch"
    vi = "Gói tin nhận được không khớp với hash-file."


class DocumentConflict(DocumentError):
    """Another package with this DocumentId and other bytes was accepted before."""

    code = "document.conflict"
    vi = "Đã tiếp nhận một gói tin khác có cùng DocumentId nhưng nội dung khác."

    def __init__(self, *, existing: str) -> None:
        self.existing = existing
        """Gateway id of the document accepted first."""
        super().__init__(f"{self.en()} It is {existing}.", path="MessageHeader.DocumentId")


class NotSignable(DocumentError):
    """A signature over this package would not be accepted by anybody."""

    code = "package.not_signable"
    vi = "Không thể ký số gói tin này."


class AlreadySigned(NotSignable):
    """The package already carries a signature; a second one would break it."""

    code = "package.already_signed"
    vi = "Gói tin đã có chữ ký số; ký thêm sẽ làm hỏng chữ ký sẵn có."


class FileNotSignable(DocumentError):
    """The file cannot be given a signature that would hold: it is broken, encrypted, or forbids it."""

    code = "file.not_signable"
    vi = "Không thể ký tệp này: tệp hỏng, bị mã hóa hoặc không cho phép ký thêm."


class PersonSignatureMissing(FileNotSignable):
    """The agency signs only what its competent person has signed, and no such signature is in the file."""

    code = "file.person_signature_missing"
    vi = "Cơ quan chỉ ký sau khi người có thẩm quyền đã ký; tệp chưa có chữ ký đó."


class SigningImageUnusable(DocumentError):
    """The image of a signature or seal must be a small PNG with a transparent background."""

    code = "signing.image_unusable"
    vi = "Hình chữ ký, hình con dấu phải là tệp PNG nhỏ, nền trong suốt."


# Trust


class SignatureRejected(DocumentError):
    """The signature does not make this document trustworthy."""

    code = "signature.rejected"
    vi = "Chữ ký số không đủ tin cậy để tiếp nhận văn bản."

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        """The whole judgement; ``verdict.reason`` says what was wrong."""
        super().__init__(f"{self.en()} ({verdict.standing}: {verdict.reason})", path="Signature")


class RevocationUnknown(DocumentError):
    """Whether the sender's certificate has been revoked is not known at the moment; send the package again later."""

    code = "signature.revocation_unknown"
    vi = "Hiện chưa biết chứng thư của bên gửi có bị thu hồi hay không; hãy gửi lại gói tin sau."
    disposition = Disposition.RETRY


class SenderNotAllowed(DocumentError):
    """The credential does not speak for the agency named as the sender."""

    code = "sender.not_allowed"
    vi = "Tài khoản kết nối không được gửi thay cho cơ quan ghi trong gói tin."


class UnknownSender(SenderNotAllowed):
    """The directory knows no agency by the sender's code."""

    code = "sender.unknown"
    vi = "Danh bạ không có cơ quan gửi mang mã định danh này."


class OperationNotAllowed(SenderNotAllowed):
    """Only the agency that issued a document, or its registered successor, may recall, update or replace it."""

    code = "operation.not_allowed"
    vi = "Chỉ cơ quan đã ban hành văn bản, hoặc cơ quan kế thừa, được thu hồi, cập nhật hoặc thay thế văn bản đó."


class EvidenceInvalid(DocumentError):
    """A receipt or seal is not what the gateway named in it has signed."""

    code = "evidence.invalid"
    vi = "Biên nhận hoặc niêm phong không đúng với nội dung đã ký."


class EvidenceAltered(EvidenceInvalid):
    """A part of an evidence file is missing, was added, or is not what was written."""

    code = "evidence.altered"
    vi = "Tệp bằng chứng có phần bị thiếu, bị thêm hoặc bị sửa."

    def __init__(self, *, part: str, detail: str) -> None:
        self.part = part
        """Name of the part inside the file; ``zip`` for what holds the parts together."""
        super().__init__(f"{part}: {detail}", path=part)


class EvidenceTooLarge(DocumentError):
    """The evidence of this document is larger than one evidence file can hold."""

    code = "evidence.too_large"
    vi = "Bằng chứng của văn bản này lớn hơn mức một tệp bằng chứng chứa được."


class LogProofInvalid(EvidenceInvalid):
    """What is said of the event log does not hold together: an event, a batch or a statement was changed."""

    code = "evidence.log_proof"
    vi = "Chứng minh của nhật ký sự kiện không khớp: có phần đã bị thay đổi."


class TimestampInvalid(EvidenceInvalid):
    """A time-stamp is not over what it should be, or is not of an authority that is believed."""

    code = "evidence.timestamp"
    vi = "Dấu thời gian không đúng với dữ liệu, hoặc không phải của tổ chức được tin cậy."


class TimestampRevoked(TimestampInvalid):
    """The time-stamp's authority was revoked, and nothing proves that the time-stamp is older than that."""

    code = "evidence.timestamp_revoked"
    vi = "Tổ chức cấp dấu thời gian đã bị thu hồi, và không có gì chứng minh dấu thời gian có trước lúc đó."

    def __init__(self, *, since: datetime) -> None:
        self.since = since
        """Aware UTC: from when on its certificate, or that of an authority above it, is not to be believed."""
        super().__init__()


class SenderClosed(SenderNotAllowed):
    """The sending agency no longer exists; its successors send in their own names."""

    code = "sender.closed"
    vi = "Cơ quan gửi đã ngừng hoạt động; cơ quan kế thừa gửi bằng mã định danh của mình."

    def __init__(self, *, choices: Sequence[str] = ()) -> None:
        self.choices = tuple(choices)
        """Codes of the successors."""
        named = f" ({', '.join(choices)})" if choices else ""
        super().__init__(f"{self.en()}{named}", path="MessageHeader.From.OrganId")


# Examinations


class MalwareFound(DocumentError):
    """One of the files holds what the malware scanner knows as malware; the document is not passed on."""

    code = "malware.found"
    vi = "Một tệp kèm theo chứa mã độc theo kết quả quét; văn bản không được chuyển đi."

    def __init__(self, detail: str | None = None, *, file: str | None = None, malware: str | None = None) -> None:
        self.file = file
        """Name of the file, as sent."""
        self.malware = malware
        """The scanner's name of what it found."""
        super().__init__(detail)


class FileSignatureRequired(DocumentError):
    """Documents of this type must carry the required signatures inside a file, valid; this one does not."""

    code = "file.signature_required"
    vi = "Loại văn bản này phải có đủ chữ ký số hợp lệ theo quy định bên trong tệp; văn bản này không có."


class EnclosureSignatureRequired(FileSignatureRequired):
    """Every PDF beside the dispatch must carry the required signatures, valid, or the package its sender's."""

    code = "file.enclosure_signature_required"
    vi = "Mỗi tệp PDF kèm văn bản chính phải có chữ ký số hợp lệ theo quy định, hoặc cả gói tin phải do nơi gửi ký."


class DocumentKeptBack(DocumentError):
    """The document was refused after an examination, which its sender was told; it goes to no further recipients."""

    code = "document.kept_back"
    vi = "Văn bản đã bị từ chối sau khi kiểm tra và đã báo cho cơ quan gửi; không chuyển tới nơi nhận nào khác."


# Malware scanner


class ScanFailed(GatewayError):
    """The malware scanner gave no answer about a file."""

    code = "malware.not_scanned"
    vi = "Bộ quét mã độc không cho kết quả về tệp."
    disposition = Disposition.RETRY


class ScannerUnreachable(ScanFailed):
    """The malware scanner cannot be reached, broke the connection or was too slow."""

    code = "malware.scanner_unreachable"
    vi = "Không kết nối được bộ quét mã độc, bị ngắt kết nối, hoặc quét quá lâu."


class ScannerAnswerUnusable(ScanFailed):
    """The malware scanner answered with something that is not its protocol's answer, or with an error."""

    code = "malware.scanner_answer_unusable"
    vi = "Bộ quét mã độc trả lời không đúng giao thức hoặc báo lỗi."


class TooLargeToScan(ScanFailed):
    """The file is larger than the malware scanner takes."""

    code = "malware.too_large"
    vi = "Tệp lớn hơn mức bộ quét mã độc nhận."


# Routing


class RoutingError(DocumentError):
    """A recipient cannot be reached."""

    code = "recipient.unreachable"
    vi = "Không có đường liên thông tới cơ quan nhận."

    def __init__(
        self, detail: str | None = None, *, recipients: Sequence[str] = (), choices: Sequence[str] = ()
    ) -> None:
        self.recipients = tuple(recipients)
        """The codes at fault, as written in the package."""
        self.choices = tuple(choices)
        """Codes that the sender may choose among instead."""
        super().__init__(
            detail or f"{self.en()} ({', '.join(recipients)})" if recipients else detail,
            path="MessageHeader.To.OrganId",
        )


class UnknownRecipient(RoutingError):
    """The directory knows no agency by the recipient's code."""

    code = "recipient.unknown"
    vi = "Danh bạ không có cơ quan nhận mang mã định danh này."


class RecipientClosed(RoutingError):
    """The recipient no longer exists, and no single successor takes its place."""

    code = "recipient.closed"
    vi = "Cơ quan nhận đã ngừng hoạt động và không có duy nhất một cơ quan kế thừa."


class RecipientNotInPackage(RoutingError):
    """The request asks for a recipient that the package does not name."""

    code = "recipient.not_in_package"
    vi = "Yêu cầu gửi tới cơ quan không có tên trong gói tin."


# Requests to the API


class RequestError(GatewayError):
    """The request cannot be carried out as it was made."""

    code = "request.invalid"
    vi = "Yêu cầu không hợp lệ."
    disposition = Disposition.REJECT


class NotAuthenticated(RequestError):
    """The request carries no valid credential."""

    code = "request.not_authenticated"
    vi = "Yêu cầu không có thông tin xác thực hợp lệ."


class SessionEnded(NotAuthenticated):
    """The token has expired, was replaced by a newer login, or is none of this gateway; log in again."""

    code = "request.session_ended"
    vi = "Mã truy cập (token) đã hết hạn, đã bị thay bằng lần đăng nhập mới hơn, hoặc không hợp lệ; hãy đăng nhập lại."


class HeadersNotSigned(NotAuthenticated):
    """The headers of the request do not carry the signature of the system that they name."""

    code = "request.headers_not_signed"
    vi = "Các header của yêu cầu không mang chữ ký HMAC đúng của hệ thống đã khai."


class HeadersDiffer(NotAuthenticated):
    """A header of the request is not what the system has signed."""

    code = "request.headers_differ"
    vi = "Một header của yêu cầu không khớp với giá trị đã ký."


class NotPermitted(RequestError):
    """The credential does not allow this."""

    code = "request.not_permitted"
    vi = "Tài khoản không có quyền thực hiện yêu cầu này."


class NotFound(RequestError):
    """There is no such thing, or it is not the caller's to see."""

    code = "request.not_found"
    vi = "Không tìm thấy, hoặc không thuộc quyền xem của người gọi."


class UnsupportedMedia(RequestError):
    """The content type of the request is not one that this call accepts."""

    code = "request.unsupported_media"
    vi = "Kiểu nội dung của yêu cầu không được chấp nhận."


class BodyTooLarge(RequestError):
    """The body of the request exceeds the limit."""

    code = "request.body_too_large"
    vi = "Nội dung yêu cầu vượt quá giới hạn."


class LengthRequired(RequestError):
    """The request must state its length; this call takes no chunked body."""

    code = "request.length_required"
    vi = "Yêu cầu phải khai báo độ dài (Content-Length); lệnh này không nhận nội dung gửi theo từng đoạn (chunked)."


class WindowRefused(RequestError):
    """The time window has dates in another form than yyyy/MM/dd, is turned round, or is too wide."""

    code = "request.window_refused"
    vi = "Khoảng thời gian không đúng dạng yyyy/MM/dd, bị đảo ngược, hoặc quá dài."


class TooManyRequests(RequestError):
    """The caller has made too many requests; try again later."""

    code = "request.too_many"
    vi = "Quá nhiều yêu cầu; hãy thử lại sau."
    disposition = Disposition.RETRY


class StateConflict(RequestError):
    """What was asked is not possible in the present state."""

    code = "request.state_conflict"
    vi = "Không thể thực hiện yêu cầu ở trạng thái hiện tại."


class TransitionForbidden(StateConflict):
    """The delivery cannot go from its present state to the one asked for."""

    code = "delivery.transition_forbidden"
    vi = "Lượt chuyển không thể đổi từ trạng thái hiện tại sang trạng thái yêu cầu."


class OperationOutpaced(StateConflict):
    """The document moved while its recall, update or replacement was being prepared; try again."""

    code = "operation.outpaced"
    vi = "Văn bản vừa đổi trạng thái trong lúc chuẩn bị thu hồi, cập nhật hoặc thay thế; hãy thử lại."
    disposition = Disposition.RETRY


class NothingToAsk(StateConflict):
    """No copy of this document can be recalled, updated or replaced any more."""

    code = "operation.nothing_to_ask"
    vi = "Không còn bản nào của văn bản này để thu hồi, cập nhật hoặc thay thế."


class LeaseLost(StateConflict):
    """The lock on this delivery has ended or belongs to somebody else."""

    code = "delivery.lease_lost"
    vi = "Khóa trên lượt chuyển đã hết hạn hoặc thuộc về bên khác."


class NotCollected(StateConflict):
    """The document still waits in the mailbox: acknowledge its delivery first, then report this status."""

    code = "delivery.not_collected"
    vi = "Văn bản còn trong hộp thư: hãy xác nhận đã nhận (ack) trước, rồi mới báo trạng thái này."


class ReasonRequired(RequestError):
    """This status or action must say why."""

    code = "request.reason_required"
    vi = "Phải nêu lý do cho trạng thái hoặc thao tác này."


class SystemInvalid(RequestError):
    """A system needs an id of 1 to 64 printable ASCII characters without blanks, a name and an agency."""

    code = "system.invalid"
    vi = "Hệ thống cần mã gồm 1–64 ký tự ASCII in được, không có dấu cách, cùng tên và ít nhất một cơ quan."


class RegistrationInvalid(RequestError):
    """The request to add or delete an agency lacks something or holds what cannot be taken."""

    code = "registration.invalid"
    vi = "Yêu cầu thêm hoặc xóa cơ quan thiếu thông tin hoặc có thông tin không dùng được."


class AgencyKnown(StateConflict):
    """The directory has an agency by this code already."""

    code = "registration.agency_known"
    vi = "Danh bạ đã có cơ quan mang mã định danh này."


class TooManyRegistrations(RequestError):
    """Too many requests of this system wait for an operator; more are taken once those are decided."""

    code = "registration.too_many"
    vi = "Hệ thống này có quá nhiều yêu cầu đang chờ người vận hành duyệt; hãy thử lại sau khi có kết quả."
    disposition = Disposition.RETRY


# Signing in two steps


class SigningCertificateUnknown(NotPermitted):
    """The certificate is not registered for the calling agency, so it may prepare nothing for it."""

    code = "signing.certificate_unknown"
    vi = "Chứng thư số chưa được đăng ký cho cơ quan gọi, nên không được dùng để ký qua trục."


class SigningCertificateUnusable(RequestError):
    """The certificate is registered, and cannot sign now: a signature by it would be judged invalid."""

    code = "signing.certificate_unusable"
    vi = "Chứng thư số đã đăng ký nhưng hiện không dùng để ký được: chữ ký sẽ bị coi là không hợp lệ."


class SigningMismatch(RequestError):
    """What came back is no signature by the prepared certificate over what was prepared; the request stays open."""

    code = "signing.mismatch"
    vi = "Chữ ký gửi về không phải của chứng thư đã chọn trên đúng nội dung đã chuẩn bị; yêu cầu ký vẫn còn hiệu lực."


class SigningCompleted(StateConflict):
    """The file has been completed already, with another signature."""

    code = "signing.completed"
    vi = "Tệp đã được hoàn tất bằng một chữ ký khác."


class SigningNotCompleted(StateConflict):
    """The file has no signature yet: send it first."""

    code = "signing.not_completed"
    vi = "Tệp chưa có chữ ký: hãy gửi chữ ký về trước."


class SigningExpired(RequestError):
    """The time for this signature is over; prepare the file again."""

    code = "signing.expired"
    vi = "Đã quá thời hạn của yêu cầu ký này; hãy chuẩn bị lại tệp."


class TooManySignings(RequestError):
    """The agency has as many files prepared and not yet signed as it may; complete or cancel some."""

    code = "signing.too_many"
    vi = "Cơ quan có quá nhiều tệp đang chờ ký; hãy hoàn tất hoặc hủy bớt."
    disposition = Disposition.RETRY


class SigningBusy(RequestError):
    """The gateway has no time to prepare the file now; nothing is wrong with it. Try again in a moment."""

    code = "signing.busy"
    vi = "Trục đang bận, chưa chuẩn bị được tệp để ký; tệp không có lỗi. Hãy thử lại sau ít phút."
    disposition = Disposition.RETRY


# The helper on a clerk's machine


class HelperError(GatewayError):
    """The signing helper on this machine did not do what was asked."""

    code = "signer.refused"
    vi = "Trình ký số trên máy này không thực hiện yêu cầu."
    disposition = Disposition.REJECT


class PageNotAllowed(HelperError):
    """Only pages that this helper was told of at its start may ask it for anything."""

    code = "signer.page_not_allowed"
    vi = "Trang này không nằm trong danh sách trang được phép khi khởi động trình ký số."


class PageNotPaired(HelperError):
    """This page has not been paired with the helper, or its pairing has ended."""

    code = "signer.not_paired"
    vi = "Trang này chưa ghép nối với trình ký số, hoặc lần ghép nối đã hết hạn."


class PairingCodeWrong(HelperError):
    """This is not the code that the helper shows, or its time or its tries are over; ask for a new one."""

    code = "signer.pairing_code_wrong"
    vi = "Mã ghép nối không đúng, đã hết hạn hoặc đã thử quá số lần; hãy yêu cầu mã mới."


class NothingToSign(HelperError):
    """Only what a signature over a PDF or a package is made of is signed, and never any other bytes."""

    code = "signer.nothing_to_sign"
    vi = "Trình ký số chỉ ký nội dung chữ ký của tệp PDF hoặc gói tin, không ký dữ liệu nào khác."


class HelperBusy(HelperError):
    """The helper is asking about another signature; one is made at a time."""

    code = "signer.busy"
    vi = "Trình ký số đang hỏi về một chữ ký khác; mỗi lần chỉ ký một."
    disposition = Disposition.RETRY


class SigningDeclined(HelperError):
    """The person at the machine did not agree to sign."""

    code = "signer.declined"
    vi = "Người dùng không đồng ý ký."


class NobodyAnswered(HelperError):
    """Nobody at the machine answered in time, and nothing was signed."""

    code = "signer.no_answer"
    vi = "Không ai trả lời trong thời hạn; chưa ký gì."
    disposition = Disposition.RETRY


class NoWayToAsk(HelperError):
    """There is neither a terminal nor a display on which to ask the person."""

    code = "signer.no_way_to_ask"
    vi = "Không có cửa sổ dòng lệnh hay màn hình để hỏi người dùng."
    disposition = Disposition.HALT


class HelperRunning(HelperError):
    """Another signing helper uses this token or key on this machine; one process signs with it at a time."""

    code = "signer.already_running"
    vi = "Một trình ký số khác trên máy này đang dùng thiết bị hoặc khóa đó; mỗi lần chỉ một tiến trình được ký."
    disposition = Disposition.HALT


class HelperKeyUnknown(HelperError):
    """The token or key file of this helper holds no such certificate."""

    code = "signer.certificate_unknown"
    vi = "Thiết bị hoặc tệp khóa của trình ký số không có chứng thư này."


# Deliveries: try later, or give up on this one


class DeliveryError(GatewayError):
    """The attempt to hand over a document failed."""

    code = "delivery.attempt_failed"
    vi = "Lần chuyển văn bản không thành công."
    disposition = Disposition.RETRY


class PeerUnreachable(DeliveryError):
    """The endpoint could not be reached, or the connection broke."""

    code = "delivery.peer_unreachable"
    vi = "Không kết nối được tới hệ thống nhận."

    def __init__(self, detail: str | None = None, *, nothing_sent: bool = False) -> None:
        self.nothing_sent = nothing_sent
        """True when there was no connection at all: the endpoint cannot have anything of this try."""
        super().__init__(detail)


class PeerUntrusted(PeerUnreachable):
    """The endpoint's TLS certificate cannot be trusted, so nothing was sent."""

    code = "delivery.peer_untrusted"
    vi = "Chứng thư TLS của hệ thống nhận không đáng tin cậy; chưa gửi gì."


class PeerFailed(DeliveryError):
    """The endpoint answered with a failure that may pass."""

    code = "delivery.peer_failed"
    vi = "Hệ thống nhận trả lời lỗi tạm thời."

    def __init__(self, detail: str | None = None, *, retry_at: datetime | None = None) -> None:
        self.retry_at = retry_at
        """What ``Retry-After`` asked for, aware UTC; ``None`` when it did not."""
        super().__init__(detail)


class PeerAnswerUnusable(DeliveryError):
    """The endpoint answered success with something that is not its protocol's answer."""

    code = "delivery.peer_answer_unusable"
    vi = "Hệ thống nhận trả lời thành công nhưng nội dung không đúng giao thức."


class PeerRefused(DeliveryError):
    """The endpoint refused the document for good."""

    code = "delivery.peer_refused"
    vi = "Hệ thống nhận từ chối hẳn văn bản."
    disposition = Disposition.REJECT

    def __init__(self, detail: str | None = None, *, peer_code: str | None = None) -> None:
        self.peer_code = peer_code
        """The code in the endpoint's problem document; ``None`` when it sent none."""
        super().__init__(detail)


class AxisDown(PeerAnswerUnusable):
    """The axis answered with something that is not its protocol's answer, such as a proxy's page."""

    code = "axis.down"
    vi = "Trục liên thông trả lời không đúng giao thức (chẳng hạn trang lỗi của máy chủ trung gian)."


class AxisAnswerLost(PeerUnreachable):
    """The connection broke after the package was sent; the axis may have it, and is asked before the next try."""

    code = "axis.answer_lost"
    vi = "Mất kết nối sau khi đã gửi; trục có thể đã nhận, sẽ hỏi lại trước khi gửi tiếp."


class EndpointMisconfigured(DeliveryError):
    """The endpoint lacks something that an operator must provide."""

    code = "delivery.endpoint_misconfigured"
    vi = "Điểm nhận chưa được cấu hình đầy đủ."
    disposition = Disposition.HALT


class SenderNotAccepted(EndpointMisconfigured):
    """The endpoint does not take this sender's documents from us yet; others it may."""

    code = "delivery.sender_not_accepted"
    vi = "Hệ thống nhận chưa chấp nhận văn bản của cơ quan gửi này từ kết nối này."


class AxisNotAuthenticated(EndpointMisconfigured):
    """The axis does not accept this gateway's system id and secret."""

    code = "axis.not_authenticated"
    vi = "Trục liên thông không chấp nhận mã hệ thống và khóa bí mật của trục này."


class AxisPackageUnusable(DeliveryError):
    """What the axis handed out under a docId is not a package: cut, not base64, or too large."""

    code = "axis.package_unusable"
    vi = "Nội dung lấy từ trục theo docId không phải là gói tin: bị cắt, sai base64 hoặc quá lớn."


class TimestampRefused(DeliveryError):
    """The time-stamp authority gave no token that could be used."""

    code = "timestamp.refused"
    vi = "Máy chủ cấp dấu thời gian không trả về dấu thời gian dùng được."


# The operator's side


class OperatorError(GatewayError):
    """An operator has to act."""

    code = "operator.action_needed"
    vi = "Cần người vận hành xử lý."


class SettingsInvalid(OperatorError):
    """The settings are not usable."""

    code = "settings.invalid"
    vi = "Cấu hình không sử dụng được."


class DirectoryInvalid(OperatorError):
    """The agency directory contradicts itself."""

    code = "directory.invalid"
    vi = "Danh bạ cơ quan có mâu thuẫn."


class CatalogueUnusable(OperatorError):
    """The axis' catalogue of agencies cannot be read; nothing of this answer was put in force."""

    code = "catalogue.unusable"
    vi = "Không đọc được danh mục cơ quan của trục; chưa đưa gì từ kết quả này vào sử dụng."


class CatalogueAlarming(OperatorError):
    """The axis' catalogue would close unusually many agencies at once; nothing was put in force."""

    code = "catalogue.too_many_closings"
    vi = "Danh mục của trục đóng cùng lúc quá nhiều cơ quan so với thông thường; chưa đưa vào sử dụng."

    def __init__(self, detail: str | None = None, *, closings: int = 0) -> None:
        self.closings = closings
        """How many agencies that are open here."""
        super().__init__(detail)


class KeyUnusable(OperatorError):
    """A key or certificate cannot be read or used."""

    code = "key.unusable"
    vi = "Không đọc hoặc không dùng được khóa hay chứng thư số."


class RevocationUnreadable(OperatorError):
    """What should be a CRL or an OCSP answer is neither."""

    code = "trust.revocation_unreadable"
    vi = "Dữ liệu thu hồi không phải là danh sách CRL hay trả lời OCSP đọc được."


class RevocationNotAuthentic(OperatorError):
    """A CRL or an OCSP answer is not signed by an authority that could say so, or is about something else."""

    code = "trust.revocation_not_authentic"
    vi = "Danh sách CRL hoặc trả lời OCSP không do cơ quan chứng thực có thẩm quyền ký, hoặc nói về chứng thư khác."


class RevocationAhead(OperatorError):
    """A CRL or an OCSP answer is dated in the future; kept, it would stand against every true one until then."""

    code = "trust.revocation_ahead"
    vi = "Dữ liệu thu hồi ghi thời điểm ở tương lai; kiểm tra đồng hồ của máy chủ này và của cơ quan chứng thực."


class TokenUnusable(KeyUnusable):
    """The token cannot be used."""

    code = "token.unusable"
    vi = "Không dùng được thiết bị ký số (USB Token, HSM)."


class TokenLibraryUnusable(TokenUnusable):
    """The token's library (PKCS#11 module) cannot be loaded."""

    code = "token.library_unusable"
    vi = "Không nạp được thư viện PKCS#11 của thiết bị ký số."


class TokenAbsent(TokenUnusable):
    """The token is not plugged in, or has been pulled out."""

    code = "token.absent"
    vi = "Chưa cắm thiết bị ký số, hoặc thiết bị vừa bị rút ra."
    disposition = Disposition.RETRY


class TokenPinNeeded(TokenUnusable):
    """The token's PIN is needed, and nothing here can ask for it."""

    code = "token.pin_needed"
    vi = "Cần mã PIN của thiết bị ký số nhưng không có chỗ để hỏi."


class TokenPinWrong(TokenUnusable):
    """The token does not take this PIN; after a few wrong ones it locks itself."""

    code = "token.pin_wrong"
    vi = "Mã PIN không đúng; nhập sai vài lần nữa, thiết bị sẽ tự khóa."


class TokenPinLocked(TokenUnusable):
    """The token has locked its PIN; whoever issued the token can unlock it."""

    code = "token.pin_locked"
    vi = "Thiết bị đã khóa mã PIN; hãy liên hệ nơi cấp để mở khóa."


class TokenKeyUnknown(TokenUnusable):
    """The token holds no such certificate with a private key that can sign."""

    code = "token.key_unknown"
    vi = "Thiết bị không có chứng thư này kèm khóa riêng ký được."


class SigningProcessGone(TokenUnusable):
    """The process that holds the token does not answer."""

    code = "token.process_gone"
    vi = "Tiến trình giữ thiết bị ký số không trả lời."
    disposition = Disposition.RETRY


class FileReaderUnavailable(OperatorError):
    """The process that reads attached files cannot be started."""

    code = "files.reader_unavailable"
    vi = "Không khởi động được tiến trình đọc tệp đính kèm."
    disposition = Disposition.RETRY


class LedgerUnavailable(OperatorError):
    """The ledger cannot be read or written."""

    code = "ledger.unavailable"
    vi = "Không đọc hoặc ghi được sổ cái."
    disposition = Disposition.RETRY


class LedgerOutdated(OperatorError):
    """The ledger's tables are not of this version; run `gateway db upgrade`."""

    code = "ledger.outdated"
    vi = "Cấu trúc sổ cái không đúng phiên bản; hãy chạy `gateway db upgrade`."


class PayloadMissing(OperatorError):
    """The stored package cannot be found or is not what was stored."""

    code = "payload.missing"
    vi = "Không tìm thấy gói tin đã lưu, hoặc nội dung đã bị thay đổi."


class PayloadStoreUnavailable(OperatorError):
    """The payload store cannot be read or written."""

    code = "payload.store_unavailable"
    vi = "Không đọc hoặc ghi được kho gói tin."
    disposition = Disposition.RETRY


class StorageFull(OperatorError):
    """There is no room left to store the package."""

    code = "storage.full"
    vi = "Không còn dung lượng để lưu gói tin."
    disposition = Disposition.RETRY
