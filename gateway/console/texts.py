"""
Every sentence of the console in both languages.

One table in Python rather than gettext catalogues: docs/decisions/0010. Values that a sentence
names stand in braces; ``en_one`` is the English form for ``n=1`` (Vietnamese needs none).
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, get_args

Language = Literal["vi", "en"]

LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)


class Text(NamedTuple):
    """One sentence."""

    vi: str
    en: str
    en_one: str | None = None

    def say(self, language: Language, **values: object) -> str:
        """The sentence in a language, with its values put in; not escaped, the template does that."""
        if language == "vi":
            sentence = self.vi
        else:
            sentence = self.en_one if self.en_one is not None and values.get("n") in (1, "1") else self.en
        return sentence.format(**values) if values else sentence


def as_language(value: object) -> Language | None:
    """A language that the console speaks, or ``None``."""
    return next((known for known in LANGUAGES if known == value), None)


def say(key: str, language: Language, **values: object) -> str:
    """The sentence of a key; an unknown key is a fault of the program."""
    return TEXTS[key].say(language, **values)


TEXTS: Final[dict[str, Text]] = {
    # Frame
    "console": Text("Bảng điều hành", "Console"),
    "skip": Text("Tới nội dung chính", "Skip to the content"),
    "nav": Text("Điều hướng chính", "Main navigation"),
    "nav.log": Text("Nhật ký liên thông", "Routing log"),
    "nav.certificates": Text("Chứng thư số", "Certificates"),
    "nav.signing": Text("Ký số tệp", "Sign a file"),
    "nav.refusals": Text("Gói tin bị từ chối", "Refused packages"),
    "logout": Text("Đăng xuất", "Log out"),
    "language.other": Text("English", "Tiếng Việt"),
    "role.viewer": Text("chỉ xem", "viewer"),
    "role.operator": Text("vận hành", "operator"),
    "role.admin": Text("quản trị", "administrator"),
    "all": Text("Tất cả", "All"),
    "footer": Text("Mọi mốc thời gian theo giờ Việt Nam (UTC+7).", "All times are Vietnam time (UTC+7)."),
    "page.newest": Text("Mới nhất", "Newest"),
    "page.older": Text("Cũ hơn", "Older"),
    "page.nav": Text("Chuyển trang", "Pages"),
    # Signing a file with a key on the reader's machine
    "signing.title": Text("Ký số tệp", "Sign a file"),
    "signing.intro": Text(
        "Ký bằng khóa trên chính máy này: khóa và mã PIN không rời khỏi máy. Cần chạy “gateway signer”.",
        "With a key on this very machine: neither the key nor its PIN leaves it. “gateway signer” must be running.",
    ),
    "signing.script": Text("Trang này cần JavaScript.", "This page needs JavaScript."),
    "signing.key": Text("Khóa API của cơ quan", "The agency's API key"),
    "signing.key.hint": Text(
        "Do người quản trị trục cấp (gateway keys create). Chỉ dùng trên trang này, không được lưu lại.",
        "Given by the gateway's administrator (gateway keys create). Used on this page only, and not kept.",
    ),
    "signing.key.missing": Text("Hãy nhập khóa API của cơ quan.", "Type the agency's API key."),
    "signing.file.missing": Text("Hãy chọn tệp cần ký.", "Choose the file to sign."),
    "signing.choose": Text("Hãy chọn chứng thư và tệp cần ký.", "Choose the certificate and the file to sign."),
    "signing.checking": Text("Đang hỏi trình ký số và trục…", "Asking the helper and the gateway…"),
    "signing.unreached": Text(
        "Không kết nối được với trục; hãy thử lại.", "The gateway cannot be reached; please try again."
    ),
    "signing.help": Text("Cách chạy trình ký số", "How to start the helper"),
    "signing.help.command": Text(
        "Cắm thiết bị ký, mở cửa sổ dòng lệnh trên máy này rồi chạy:",
        "Plug in the token, open a terminal on this machine, and run:",
    ),
    "signing.help.library": Text("TỆP-THƯ-VIỆN-PKCS11", "PKCS11-LIBRARY"),
    "signing.help.then": Text(
        "Có khóa trong tệp thì thay --token bằng --key van-thu.p12. Để cửa sổ đó mở khi ký, rồi bấm Kiểm tra ở dưới.",
        "With a key file, --key clerk.p12 instead of --token. Leave it running while you sign, and press Check below.",
    ),
    "signing.check": Text("Kiểm tra", "Check"),
    "signing.code": Text("Mã hiện trên trình ký số", "The code that the helper shows"),
    "signing.pair": Text("Ghép nối", "Pair"),
    "signing.certificates": Text("Chứng thư", "Certificate"),
    "signing.file": Text("Tệp PDF hoặc gói tin edXML", "PDF or edXML package"),
    "signing.form": Text("Loại bản (PDF)", "Kind (PDF)"),
    "signing.issued": Text("Bản ban hành", "The dispatch itself"),
    "signing.copy": Text("Bản sao", "A certified copy"),
    "signing.annex": Text("Phụ lục trong tệp riêng", "An annex in a file of its own"),
    "signing.number": Text("Số và ký hiệu (bản sao, phụ lục)", "Number and notation (copies, annexes)"),
    "signing.sign": Text("Ký", "Sign"),
    "signing.download": Text("Tải tệp đã ký", "Download the signed file"),
    "signing.absent": Text(
        "Không gặp được trình ký số trên máy này: chưa chạy, hoặc trang này không nằm trong --allow-origin.",
        "The signing helper cannot be reached: it is not running, or this page is not among its --allow-origin.",
    ),
    "signing.pairing": Text(
        "Nhập mã mà trình ký số vừa hiện trên máy này.", "Type the code that the helper has just shown on this machine."
    ),
    "signing.none": Text("Không có chứng thư nào ký được lúc này.", "No certificate can sign now."),
    "signing.waiting": Text(
        "Đang chờ bạn đồng ý và nhập PIN ở trình ký số.", "Waiting for your consent and PIN at the helper."
    ),
    "signing.done": Text("Đã ký.", "Signed."),
    "signing.stamped": Text("Có dấu thời gian.", "It carries a time-stamp."),
    "signing.unstamped": Text("Không có dấu thời gian.", "It carries no time-stamp."),
    "signing.failed": Text("Không ký được.", "It could not be signed."),
    "signing.ends": Text("hết hạn", "ends"),
    "signing.registered": Text("đã đăng ký tại trục", "registered at the gateway"),
    "signing.stranger": Text("chưa đăng ký cho cơ quan này tại trục", "not registered for this agency at the gateway"),
    "signing.unusable": Text("trục không chấp nhận chứng thư này lúc này", "the gateway does not accept it now"),
    "signing.clock": Text("đồng hồ máy này lệch so với trục", "this machine's clock differs from the gateway's"),
    # Log-in
    "login.title": Text("Đăng nhập", "Log in"),
    "login.intro": Text("Dành cho người vận hành trục liên thông văn bản.", "For operators of the document gateway."),
    "login.name": Text("Tên đăng nhập", "Login name"),
    "login.password": Text("Mật khẩu", "Password"),
    "login.submit": Text("Đăng nhập", "Log in"),
    "login.sign": Text("Chỉ cần ký tệp thì không phải đăng nhập:", "To sign a file needs no log-in:"),
    "login.left": Text("Bạn đã đăng xuất.", "You have logged out."),
    "login.failed": Text(
        "Tên đăng nhập hoặc mật khẩu không đúng, hoặc tài khoản đã bị khóa.",
        "The login name or the password is wrong, or the account is disabled.",
    ),
    "login.too_many": Text(
        "Đã thử đăng nhập quá nhiều lần. Hãy đợi ít phút rồi thử lại.",
        "Too many log-in tries. Please wait a few minutes and try again.",
    ),
    # Failures
    "error.400.title": Text("Yêu cầu không hợp lệ", "The request cannot be understood"),
    "error.400.body": Text(
        "Địa chỉ hoặc biểu mẫu có chỗ không đúng. Hãy quay lại nhật ký và thử lại.",
        "Something in the address or the form is not right. Go back to the log and try again.",
    ),
    "error.csrf.title": Text("Biểu mẫu đã hết hạn", "The form has expired"),
    "error.csrf.body": Text(
        "Phiên làm việc đã thay đổi kể từ khi trang này được mở, nên chưa thực hiện gì. Hãy mở lại trang rồi thử lại.",
        "The session has changed since the page was opened, so nothing was done. Open the page anew and try again.",
    ),
    "error.403.title": Text("Không có quyền thực hiện", "Not permitted"),
    "error.403.body": Text(
        "Tài khoản của bạn chỉ được xem. Hãy liên hệ người quản trị nếu cần gửi lại văn bản.",
        "Your account may only look. Ask an administrator when a document has to be sent again.",
    ),
    "error.404.title": Text("Không tìm thấy", "Not found"),
    "error.404.body": Text(
        "Không có trang hoặc văn bản nào ở địa chỉ này. Có thể đường dẫn bị chép thiếu.",
        "There is no page or document at this address. Perhaps the link was not copied whole.",
    ),
    "error.payload.title": Text("Không mở được gói tin", "The package cannot be opened"),
    "error.payload.body": Text(
        "Không tìm thấy nội dung gói tin trong kho, hoặc nội dung đã khác lúc tiếp nhận. Hãy chạy `gateway doctor`.",
        "The stored package cannot be found, or is not what was stored. Run `gateway doctor`.",
    ),
    "error.refusal_payload.title": Text("Gói tin không được giữ lại", "The package was not kept"),
    "error.refusal_payload.body": Text(
        "Gói tin bị từ chối chỉ được giữ trong một giới hạn; gói này quá lớn hoặc đã nhường chỗ cho gói mới hơn.",
        "Refused packages are kept within bounds; this one was too large or has made room for newer ones.",
    ),
    "error.405.title": Text("Thao tác không được hỗ trợ", "Not supported"),
    "error.405.body": Text("Địa chỉ này không nhận thao tác vừa gửi.", "This address does not take such a request."),
    "error.413.title": Text("Biểu mẫu quá lớn", "The form is too large"),
    "error.413.body": Text("Hãy chọn ít văn bản hơn hoặc viết lý do ngắn hơn.", "Choose less, or write less."),
    "error.429.title": Text("Quá nhiều yêu cầu", "Too many requests"),
    "error.429.body": Text("Hãy đợi ít phút rồi thử lại.", "Please wait a few minutes and try again."),
    "error.500.title": Text("Trang gặp lỗi", "The page failed"),
    "error.500.body": Text(
        "Lỗi đã được ghi vào nhật ký chương trình. Văn bản đã tiếp nhận không bị ảnh hưởng.",
        "The failure is in the program's log. Accepted documents are not affected.",
    ),
    "error.503.title": Text("Sổ cái tạm thời không truy cập được", "The ledger cannot be reached at the moment"),
    "error.503.body": Text(
        "Văn bản đã tiếp nhận vẫn được giữ an toàn. Hãy thử lại sau ít phút; nếu vẫn lỗi, chạy `gateway doctor`.",
        "Accepted documents are safe. Try again in a few minutes; if it still fails, run `gateway doctor`.",
    ),
    "error.code": Text("Mã lỗi: {code}", "Error code: {code}"),
    "error.home": Text("Về nhật ký liên thông", "Back to the routing log"),
    "error.reopen": Text("Mở lại trang", "Open the page anew"),
    "error.evidence.title": Text("Bằng chứng quá lớn", "Too much evidence"),
    "error.evidence.body": Text(
        "Bằng chứng của văn bản này lớn hơn mức một tệp chứa được. Văn bản và nhật ký của nó không bị ảnh hưởng.",
        "The evidence of this document is more than one file can hold. The document and its log are not affected.",
    ),
    "error.retry": Text("Thử lại", "Try again"),
    # The log
    "log.title": Text("Nhật ký liên thông", "Routing log"),
    "log.caption": Text(
        "Văn bản và nơi nhận, mới nhất trước; mỗi dòng là một văn bản gửi tới một nơi nhận.",
        "Documents and recipients, newest first; each row is one document on its way to one recipient.",
    ),
    "log.counts": Text("Số lượt chuyển theo trạng thái", "Deliveries by state"),
    "log.counts.live": Text("tự cập nhật", "live"),
    "log.counts.stopped": Text(
        "Ngừng tự cập nhật: phiên đăng nhập đã hết hoặc mất kết nối.",
        "No longer live: the log-in has ended or the connection is lost.",
    ),
    "log.changed": Text("Có thay đổi mới. Tải lại danh sách", "Something has changed. Reload the list"),
    "log.unstamped": Text(
        "Chưa lấy được dấu thời gian cho nhật ký từ {n} giờ; văn bản vẫn đi bình thường",
        "No time-stamp for the event log could be had for {n} hours; documents go on as usual",
        "No time-stamp for the event log could be had for 1 hour; documents go on as usual",
    ),
    "log.parked": Text(
        "{n} trạng thái đang chờ văn bản tương ứng",
        "{n} statuses wait for their document",
        "1 status waits for its document",
    ),
    "log.filters": Text("Lọc danh sách", "Filter the list"),
    "log.filter.text": Text("Tìm trong số, trích yếu, tên", "Text in number, subject, names"),
    "log.filter.text.hint": Text("có dấu hay không dấu đều được", "accents may be left out"),
    "log.filter.agency": Text("Cơ quan gửi hoặc nhận", "Sender or recipient"),
    "log.filter.agency.hint": Text("tên hoặc mã định danh", "name or code"),
    "log.filter.state": Text("Trạng thái chuyển", "Delivery state"),
    "log.filter.operation": Text("Thu hồi, thay đổi", "Recalls and changes"),
    "log.filter.concern": Text("Chữ ký và kiểm tra", "Signatures, examinations"),
    "log.look": Text("Cần xem lại trong 30 ngày qua:", "To look at, of the last 30 days:"),
    "log.glance": Text("Chữ ký và kiểm tra", "Signatures and examinations"),
    "log.filter.kind": Text("Loại gói tin", "Kind"),
    "log.filter.from": Text("Từ ngày", "From"),
    "log.filter.to": Text("Đến hết ngày", "To, inclusive"),
    "log.filter.submit": Text("Lọc", "Filter"),
    "log.filter.clear": Text("Bỏ lọc", "Clear"),
    "log.filter.bad_date": Text(
        "“{value}” không phải ngày dạng dd/mm/yyyy nên không được dùng để lọc.",
        "“{value}” is not a date like dd/mm/yyyy, so it does not filter.",
    ),
    "log.filter.not_offered": Text(
        "“{value}” không có trong các lựa chọn nên không được dùng để lọc.",
        "“{value}” is not among the choices, so it does not filter.",
    ),
    "log.filter.agency_as_text": Text(
        "“{value}” không phải mã hay tên đầy đủ của một cơ quan trong danh bạ; đang tìm chữ này trong tên và mã.",
        "“{value}” is not the code or whole name of one agency in the directory; its words are looked for.",
    ),
    "log.filter.backwards": Text(
        "Ngày bắt đầu sau ngày kết thúc nên không có dòng nào.", "The first day is after the last, so nothing is found."
    ),
    "log.filter.did_you_mean": Text("Có phải ý bạn là:", "Did you mean:"),
    "log.rows": Text("{n} dòng trên trang này", "{n} rows on this page", "1 row on this page"),
    "log.empty.title": Text("Chưa có văn bản nào đi qua trục", "No document has passed yet"),
    "log.empty.body": Text(
        "Khi một hệ thống gửi văn bản đầu tiên, nó sẽ hiện ở đây.",
        "As soon as a system sends its first document, it appears here.",
    ),
    "log.nothing.title": Text("Không có dòng nào khớp bộ lọc", "Nothing matches the filter"),
    "log.nothing.body": Text("Hãy bớt điều kiện hoặc bỏ lọc.", "Loosen a condition, or clear the filter."),
    "log.col.time": Text("Thời gian", "Time"),
    "log.col.document": Text("Văn bản", "Document"),
    "log.col.sender": Text("Nơi gửi", "From"),
    "log.col.recipient": Text("Nơi nhận", "To"),
    "log.col.delivery": Text("Chuyển", "Delivery"),
    "log.col.status": Text("Xử lý tại nơi nhận", "At the recipient"),
    "log.col.select": Text("Chọn", "Select"),
    "log.select_one": Text("Chọn {number} gửi {recipient}", "Select {number} to {recipient}"),
    "log.select_all": Text("Chọn tất cả dòng đã ngừng gửi", "Select all abandoned rows"),
    "log.replay": Text("Gửi lại các dòng đã chọn…", "Send the selected again…"),
    "log.replay.hint": Text(
        "Đánh dấu các dòng đã ngừng gửi, rồi xem lại và nêu lý do ở trang sau.",
        "Tick abandoned rows; the next page asks for a reason.",
    ),
    "attempts": Text("{n} lần thử", "{n} tries", "1 try"),
    "attempts.none": Text("chưa thử", "not tried"),
    "waiting_long": Text("chờ lâu: {age}", "waiting long: {age}"),
    "due": Text("Sẽ thử lại lúc {time}.", "Next try at {time}."),
    "no_number": Text("(không số)", "(no number)"),
    "no_subject": Text("(không có trích yếu)", "(no subject)"),
    "report.on": Text("về", "for"),
    "age.days": Text("{n} ngày", "{n} days", "1 day"),
    "age.hours": Text("{n} giờ", "{n} hours", "1 hour"),
    "age.minutes": Text("{n} phút", "{n} minutes", "1 minute"),
    "age.seconds": Text("{n} giây", "{n} seconds", "1 second"),
    # One document
    "doc.title": Text("Văn bản {number}", "Document {number}"),
    "doc.status_package": Text("Gói trạng thái", "Status package"),
    "doc.back": Text("Nhật ký liên thông", "Routing log"),
    "doc.facts": Text("Thông tin văn bản", "Facts"),
    "doc.sender": Text("Nơi gửi", "Sender"),
    "doc.as_written": Text("ghi trong gói tin: {code}", "in the package: {code}"),
    "doc.about": Text("Về văn bản", "Document reported on"),
    "doc.issued_on": Text("Ngày ban hành", "Issued on"),
    "doc.type": Text("Loại văn bản", "Type"),
    "doc.urgency": Text("Độ khẩn", "Urgency"),
    "doc.received": Text("Tiếp nhận lúc", "Accepted at"),
    "doc.received_from": Text("Bên giao", "Handed over by"),
    "doc.document_id": Text("Mã văn bản (DocumentId)", "DocumentId"),
    "doc.gateway_id": Text("Mã trên trục", "Gateway id"),
    "doc.size": Text("Kích thước gói tin", "Package size"),
    "doc.sha256": Text("SHA-256 của gói tin", "SHA-256 of the package"),
    "doc.forward_sha256": Text("SHA-256 khi chuyển đi", "SHA-256 as forwarded"),
    "doc.forwarded_as_is": Text("chuyển nguyên vẹn từng byte", "forwarded byte for byte"),
    "doc.download": Text("Tải gói tin gốc (edXML)", "Download the package (edXML)"),
    "doc.evidence.download": Text("Tải bằng chứng (.asice)", "Download evidence (.asice)"),
    "doc.way": Text("Đường đi của văn bản", "Its way"),
    "doc.way.older": Text("{n} bước trước đó", "{n} earlier steps", "1 earlier step"),
    "doc.way.queued": Text("Xếp hàng chuyển tới {n} nơi nhận", "Queued for {n} recipients"),
    "doc.way.files": Text("{n} tệp: {standing}", "{n} files: {standing}", "1 file: {standing}"),
    "doc.way.worker": Text("tiến trình {actor}", "worker {actor}"),
    "doc.way.empty": Text("Chưa có bước nào được ghi.", "No step is recorded."),
    "doc.deliveries": Text("Các nơi nhận ({n})", "Recipients ({n})"),
    "doc.deliveries.caption": Text(
        "Từng nơi nhận: trạng thái chuyển, phản hồi và các lần thử; nơi cần xử lý đứng trước.",
        "Each recipient: delivery state, report and tries; those that need attention first.",
    ),
    "doc.deliveries.more": Text("{n} nơi nhận nữa", "{n} more recipients", "1 more recipient"),
    "doc.deliveries.empty": Text("Gói tin này không gửi tới nơi nào.", "This package goes to nobody."),
    "doc.via": Text("qua {agency}", "through {agency}"),
    "doc.col.attempts": Text("Các lần thử", "Tries"),
    "doc.col.action": Text("Thao tác", "Action"),
    "doc.replay": Text("Gửi lại…", "Send again…"),
    "doc.replay_all": Text(
        "Gửi lại {n} nơi chưa tới…", "Send the {n} that failed again…", "Send the one that failed again…"
    ),
    "doc.redirected": Text("gửi cho {agency}, nay do cơ quan này kế thừa", "sent to {agency}, whose successor this is"),
    "doc.statuses": Text("Phản hồi của nơi nhận", "Reports"),
    "doc.statuses.caption": Text("Mọi trạng thái đã được báo về, cũ trước.", "Every reported status, oldest first."),
    "doc.statuses.empty": Text("Chưa có phản hồi nào.", "Nothing has been reported yet."),
    "doc.statuses.carried": Text("Trạng thái mang theo", "The status that it carries"),
    "doc.col.status": Text("Trạng thái", "Status"),
    "doc.col.reporter": Text("Cơ quan báo", "Reporter"),
    "doc.col.reported": Text("Thời điểm báo", "Reported at"),
    "doc.col.received": Text("Trục nhận lúc", "Received at"),
    "doc.col.description": Text("Nội dung", "Text"),
    "doc.signature": Text("Chữ ký của gói tin", "The package's signature"),
    "doc.glance.package": Text("Gói tin:", "Package:"),
    "doc.glance.files": Text("Tệp, kiểm tra:", "Files, examinations:"),
    "doc.alarming.more": Text("Còn {n} tệp nữa cần xem lại", "{n} more files to look at", "1 more file to look at"),
    "doc.evidence": Text("Bằng chứng kiểm tra", "Evidence"),
    "doc.evidence.reason": Text("Kết luận", "Finding"),
    "doc.evidence.judged_at": Text("Xét tại thời điểm", "Judged at"),
    "doc.evidence.subject": Text("Chủ thể chứng thư số", "Subject of the certificate"),
    "doc.evidence.certificate": Text("SHA-256 của chứng thư số", "SHA-256 of the certificate"),
    "doc.evidence.method": Text("Thuật toán ký", "Signature algorithm"),
    "doc.evidence.digest": Text("Thuật toán băm", "Digest algorithm"),
    "doc.evidence.c14n": Text("Chuẩn hóa XML", "Canonicalization"),
    "doc.warnings": Text("Cảnh báo về khuôn dạng ({n})", "Warnings about its form ({n})"),
    "doc.warnings.none": Text("Gói tin đúng khuôn dạng QCVN 102.", "The package follows QCVN 102."),
    "doc.attachments": Text("Tệp đính kèm ({n})", "Attachments ({n})"),
    "doc.attachments.caption": Text(
        "Tệp trong gói tin; kích thước và SHA-256 là của nội dung đã mở nén.",
        "Files of the package; size and SHA-256 are of the unwrapped content.",
    ),
    "doc.files.present": Text("đã ký, hợp lệ", "signed, valid"),
    "doc.files.absent": Text("không có chữ ký hợp lệ", "no valid signature"),
    "doc.files.lacks": Text("Còn thiếu chữ ký hợp lệ của: {whose}", "A valid signature is missing: {whose}"),
    "doc.files.signatures": Text("{n} chữ ký", "{n} signatures", "1 signature"),
    "doc.files.claimed": Text("ký lúc {time} (theo người ký)", "signed {time} (as the signer says)"),
    "doc.files.stamped": Text("dấu thời gian {time}", "time-stamp {time}"),
    "doc.files.revision": Text("phiên bản {n}/{of}", "revision {n} of {of}"),
    "doc.files.added": Text("sau đó thêm: {what}", "added after: {what}"),
    "doc.files.member": Text("trong tệp nén: {name}", "in the archive: {name}"),
    "doc.examinations": Text("Kiểm tra", "Examinations"),
    "doc.examinations.holds": Text("chưa chuyển trước khi kiểm tra xong", "not handed over before this is done"),
    "doc.examinations.tries": Text("đã thử {n} lần, lần tới {time}", "tried {n} times, next at {time}"),
    "doc.examinations.scanned": Text("đã quét {n} tệp", "{n} files searched", "1 file searched"),
    "doc.attachments.none": Text("Không có tệp đính kèm.", "There are no attachments."),
    "doc.requests": Text("Đề nghị thu hồi, cập nhật, thay thế", "What was asked of the copies"),
    "doc.requests.caption": Text("Mỗi đề nghị tại một nơi nhận", "Each request at one recipient"),
    "doc.requests.what": Text("Đề nghị", "Request"),
    "doc.requests.at": Text("Nơi nhận", "Recipient"),
    "doc.requests.state": Text("Kết quả", "Outcome"),
    "doc.requests.by": Text("{agency} trả lời", "answered by {agency}"),
    "doc.requests.gateway": Text("trục liên thông trả lời", "answered by the gateway"),
    "doc.operations": Text("Văn bản thu hồi, cập nhật hoặc thay thế", "Recalls, updates, replacements"),
    "doc.blank_name": Text("(không tên)", "(no name)"),
    "attempt.number": Text("Lần {number}", "Try {number}"),
    "attempt.delivered": Text("nơi nhận đã nhận", "delivered"),
    "attempt.forwarded": Text("trục kế tiếp đã nhận", "forwarded"),
    "attempt.failed": Text("không thành công", "failed"),
    "attempt.refused": Text("bị từ chối", "refused"),
    "attempt.abandoned": Text("không thành công, ngừng gửi", "failed, abandoned"),
    "attempt.lost": Text("tiến trình gửi bị ngắt giữa chừng", "the worker died"),
    # Letting go what is held or was refused
    "release.open": Text("Cho chuyển bất kể kết quả kiểm tra…", "Let it go in spite of this…"),
    "release.hint": Text(
        "Văn bản sẽ đến nơi nhận dù chưa qua hoặc không qua kiểm tra này. Bắt buộc nêu lý do; lý do được lưu cùng tên "
        "bạn trong nhật ký sự kiện.",
        "The document will reach its recipients though this examination has not passed it. A reason is required, and "
        "kept with your name in the event log.",
    ),
    "release.confirm": Text("Xác nhận cho chuyển", "Confirm and let it go"),
    "release.missing": Text("Hãy nêu lý do cho chuyển.", "Say why it is let go."),
    "release.none": Text(
        "Kiểm tra này không còn giữ văn bản.", "This examination does not keep the document any more."
    ),
    "release.done": Text("Đã cho chuyển; lý do đã ghi vào nhật ký.", "It is let go; the event log has the reason."),
    # Replay
    "replay.title": Text("Gửi lại văn bản", "Send again"),
    "replay.intro": Text(
        "{n} lượt chuyển sau đây sẽ được gửi lại ngay. Nơi nào đã có thì không bị trùng, vì mã lượt chuyển giữ nguyên.",
        "These {n} deliveries will be tried again at once. A receiver that has one already loses nothing: ids stay.",
        "This delivery will be tried again at once. A receiver that already has it loses nothing: its id stays.",
    ),
    "replay.caption": Text("Các lượt sẽ gửi lại", "What will be sent again"),
    "replay.skipped": Text(
        "{n} lượt đã đổi trạng thái nên không gửi lại nữa.",
        "{n} deliveries have moved on and will not be sent again.",
        "1 delivery has moved on and will not be sent again.",
    ),
    "replay.nothing.title": Text("Không còn gì để gửi lại", "Nothing is left to send again"),
    "replay.nothing.body": Text(
        "Chưa chọn dòng nào, hoặc các lượt đã chọn đã được gửi lại trước đó.",
        "Nothing was selected, or what was selected has been sent again already.",
    ),
    "replay.reason": Text("Lý do", "Reason"),
    "replay.reason.hint": Text(
        "Bắt buộc; được lưu cùng tên bạn trong nhật ký sự kiện.", "Required; kept with your name in the event log."
    ),
    "replay.reason.missing": Text("Hãy nêu lý do gửi lại.", "Say why it is sent again."),
    "replay.confirm": Text("Xác nhận gửi lại", "Confirm and send again"),
    "replay.cancel": Text("Thôi, quay lại", "Cancel"),
    "replay.done": Text(
        "Đã đưa {n} lượt vào hàng chờ gửi lại.",
        "{n} deliveries wait to be sent again.",
        "1 delivery waits to be sent again.",
    ),
    "replay.none": Text(
        "Không có lượt nào cần gửi lại: chúng đã được gửi lại hoặc đã đổi trạng thái.",
        "Nothing had to be sent again: it was done already, or the state has changed.",
    ),
    # Refusals
    "doc.judged.receipt": Text("khi tiếp nhận", "at receipt"),
    "doc.judged.revoked": Text("chứng thư bị thu hồi", "the certificate was revoked"),
    "doc.judged.unrevoked": Text("chứng thư hết bị thu hồi", "the certificate is good again"),
    "doc.judged.known": Text("khi đã rõ việc thu hồi", "when it became known"),
    # Certificates
    "certificates.title": Text("Chứng thư số", "Certificates"),
    "certificates.intro": Text(
        "Chứng thư mà các cơ quan và trục này dùng để ký, sắp hết hạn trước. Đăng ký, thay, kết thúc bằng lệnh "
        "gateway certificates.",
        "What agencies and this gateway sign with, those that end first at the head. Registered, replaced and ended by "
        "the command gateway certificates.",
    ),
    "certificates.caption": Text("Chứng thư đang tính, sắp hết hạn trước.", "Certificates that count now."),
    "certificates.empty.all": Text("Chưa đăng ký chứng thư nào", "No certificate is registered"),
    "certificates.empty.body": Text("Đăng ký chứng thư của cơ quan bằng lệnh", "An agency's is registered by"),
    "certificates.empty.expiring": Text(
        "Không có chứng thư nào hết hạn trong 60 ngày tới", "None ends within the next 60 days"
    ),
    "certificates.empty.revoked": Text("Không có chứng thư nào bị thu hồi", "None has been revoked"),
    "certificates.filter": Text("Lọc chứng thư", "Filter"),
    "certificates.show.all": Text("Tất cả", "All"),
    "certificates.show.expiring": Text("Hết hạn trong 60 ngày", "Ending within 60 days"),
    "certificates.show.revoked": Text("Bị thu hồi", "Revoked"),
    "certificates.col.whose": Text("Của ai", "Whose"),
    "certificates.col.subject": Text("Chủ thể", "Subject"),
    "certificates.col.ends": Text("Đến", "Until"),
    "certificates.col.revocation": Text("Thu hồi", "Revocation"),
    "certificates.col.document": Text("Văn bản", "Document"),
    "certificates.col.verdict": Text("Kết luận mới", "New verdict"),
    "certificates.role.agency": Text("con dấu cơ quan", "agency"),
    "certificates.role.person": Text("cá nhân", "person"),
    "certificates.role.gateway": Text("trục giao gói tin", "gateway that hands over"),
    "certificates.role.own": Text("khóa của trục này", "this gateway's key"),
    "certificates.role.former": Text("khóa cũ của trục này", "a former key of this gateway"),
    "certificates.covered": Text("đã có chứng thư thay", "its successor is registered"),
    "certificates.left": Text("còn {n} ngày", "{n} days left", "1 day left"),
    "certificates.last_day": Text("hết hạn trong 24 giờ", "ends within 24 hours"),
    "certificates.since": Text("từ {time}", "since {time}"),
    "certificates.more": Text("Còn {n} chứng thư nữa.", "{n} more."),
    "certificates.source": Text("Nguồn tin thu hồi {name} có trục trặc.", "There is trouble with the source {name}."),
    "certificates.source.until": Text("Tin cũ dùng được đến {time}.", "What it said last is good until {time}."),
    "certificates.changes": Text("Kết luận về chữ ký đã thay đổi", "Verdicts that have changed"),
    "certificates.changes.intro": Text(
        "Sau khi tiếp nhận mới biết chứng thư đã bị thu hồi, hoặc mới biết là không. Lượt đã chuyển đi không tự "
        "rút lại: hãy báo nơi nhận, hoặc thu hồi văn bản.",
        "It became known after the acceptance that the certificate had been revoked, or that it had not. What has "
        "left is not taken back by itself: tell the receivers, or recall the document.",
    ),
    "certificates.changes.none": Text("Chưa có kết luận nào thay đổi.", "None has changed."),
    "refusals.title": Text("Gói tin bị từ chối", "Refused packages"),
    "refusals.intro": Text(
        "Những gì trục đã không tiếp nhận, và vì sao. Bên gửi đã nhận được cùng mã lỗi này.",
        "What the gateway turned away, and why. The sender was given the same code.",
    ),
    "refusals.caption": Text("Gói tin bị từ chối, mới nhất trước.", "Refused packages, newest first."),
    "refusals.empty.title": Text("Chưa từ chối gói tin nào", "Nothing has been refused"),
    "refusals.empty.body": Text("Mọi gói tin gửi tới đều đã được tiếp nhận.", "Every package that came was accepted."),
    "refusals.end": Text("Không còn gói tin cũ hơn.", "There are no older ones."),
    "refusals.col.from": Text("Bên gửi tới", "Handed over by"),
    "refusals.col.why": Text("Vì sao", "Why"),
    "refusals.col.package": Text("Gói tin", "Package"),
    "refusals.unknown": Text("không xác định được", "unknown"),
    "refusals.place": Text("tại {path}", "at {path}"),
    "refusals.detail": Text("Chi tiết kỹ thuật", "Technical detail"),
    "refusals.unread": Text("chưa đọc hết", "not read to its end"),
    "refusals.download": Text("Tải để xem xét", "Download to examine"),
    "refusals.not_kept": Text("không giữ lại", "not kept"),
}
