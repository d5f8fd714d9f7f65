"""What a check of evidence found, point by point, in codes for programs and in plain words for people."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

from gateway.model import VIETNAM_TIME

Language = Literal["vi", "en"]

Words = Callable[[str, str, Language], str]
"""``words(table, code, language)``: what people call a state, a verdict, an event; the code itself when unknown.
Tables: ``standing``, ``reason``, ``file``, ``role``, ``state``, ``status``, ``event``."""


class Outcome(enum.StrEnum):
    """What is known of one point."""

    HOLDS = "holds"
    """Checked, and so."""
    UNPROVEN = "unproven"
    """Nothing speaks against it; but what was given does not prove it."""
    BROKEN = "broken"
    """Changed, or contradicted."""
    NOTED = "noted"
    """Told, not judged."""


class Sentence(NamedTuple):
    """One sentence in both languages; values that it names stand in braces."""

    vi: str
    en: str


@dataclass(frozen=True, kw_only=True)
class Point:
    """One thing that was checked."""

    part: str
    """Name of the part of the file; ``zip`` for what holds the parts together, ``file`` for a file without parts."""
    outcome: Outcome
    code: str
    """Stable; a key of :data:`SENTENCES`."""
    values: Mapping[str, str] = field(default_factory=dict)

    def say(self, language: Language, words: Words) -> str:
        """
        The sentence for people; times in its values as they read them, codes as they are called.

        :param words: as for the page.
        """
        sentence = SENTENCES[self.code]
        shown = {name: _shown(name, value, language, words) for name, value in self.values.items()}
        return (sentence.vi if language == "vi" else sentence.en).format(**shown)

    def as_json(self, words: Words) -> dict[str, Any]:
        """For programs: codes and values, and both sentences."""
        return {
            "part": self.part,
            "outcome": str(self.outcome),
            "code": self.code,
            "values": dict(self.values),
            "vi": self.say("vi", words),
            "en": self.say("en", words),
        }


@dataclass(frozen=True, kw_only=True)
class Findings:
    """All that was found of one file."""

    kind: Literal["evidence", "seal", "receipt"]
    points: Sequence[Point]

    @property
    def proven(self) -> bool:
        """Whether everything that was checked holds."""
        judged = [p for p in self.points if p.outcome is not Outcome.NOTED]
        return bool(judged) and all(p.outcome is Outcome.HOLDS for p in judged)

    @property
    def revocation_unknown(self) -> int:
        """How many signatures and time-stamps hold though nothing says whether their certificates were revoked."""
        return sum(p.outcome is Outcome.HOLDS and p.values.get("revocation") == "unknown" for p in self.points)


_TABLES: Final = MappingProxyType(
    {"standing": "standing", "then": "standing", "reason": "reason", "state": "file", "found": "file", "why": "reason"}
)
"""Values that are codes, by the table that says what people call them."""

_REVOCATION: Final = MappingProxyType(
    {
        "good": Sentence("không bị thu hồi", "not revoked"),
        "revoked": Sentence("đã bị thu hồi", "revoked"),
        "unknown": Sentence("chưa biết", "not known"),
        "not_asked": Sentence("không hỏi", "not asked"),
    }
)


def _shown(name: str, value: str, language: Language, words: Words) -> str:
    if name in _TABLES:
        return words(_TABLES[name], value, language)
    if name == "revocation" and value in _REVOCATION:
        return getattr(_REVOCATION[value], language)  # type: ignore[no-any-return]  # a field of a NamedTuple
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return value
    return value if at.tzinfo is None else at.astimezone(VIETNAM_TIME).strftime("%d/%m/%Y %H:%M:%S")


_SENTENCES: Final[dict[str, Sentence]] = {
    "container.whole": Sentence(
        "Tệp nguyên vẹn: {count} phần, không thiếu, không thừa, không phần nào bị sửa sau khi ký.",
        "The file is whole: {count} parts, none missing, none added, none changed since it was signed.",
    ),
    "container.altered": Sentence(
        "Phần này bị thiếu, bị thêm hoặc bị sửa: {detail}", "This part is missing, added or changed: {detail}"
    ),
    "container.signature": Sentence(
        "Chữ ký trên toàn bộ tệp không đúng: {detail}", "The signature over the whole file does not hold: {detail}"
    ),
    "container.maker": Sentence(
        "Tệp do {maker} lập, còn niêm phong do {sealer} ký: không phải cùng một bên.",
        "The file was put together by {maker}, and the seal was signed by {sealer}: they are not the same.",
    ),
    "container.unknown": Sentence(
        "Phần này không thuộc về một tệp bằng chứng: không xét, và không nên tin.",
        "This part does not belong into an evidence file: it is not judged, and not to be believed.",
    ),
    "gateway.named": Sentence(
        "Mọi điều trên là lời của {subject}, tự nhận là trục {gateway}. Chứng thư không ghi mã trục: có đúng là trục "
        "đó không thì bạn phải tự biết, hoặc đưa chứng thư của trục bằng --gateway-certificate.",
        "All of this is said by {subject}, which calls itself gateway {gateway}. Certificates do not name gateways: "
        "whether it is that one is for you to know, or give the gateway's certificate (--gateway-certificate).",
    ),
    "signer.believed": Sentence(
        "Ký bởi {subject}; chứng thư tin cậy được vào lúc {moment} (thu hồi: {revocation}).",
        "Signed by {subject}; the certificate was to be believed at {moment} (revocation: {revocation}).",
    ),
    "signer.not_believed": Sentence(
        "Ký bởi {subject}, nhưng chứng thư không tin cậy được vào lúc {moment}: {reason}.",
        "Signed by {subject}, but the certificate is not to be believed at {moment}: {reason}.",
    ),
    "signer.revoked": Sentence(
        "Ký bởi {subject}, nhưng chứng thư đã bị thu hồi lúc {revoked}, trước thời điểm được chứng minh {moment}.",
        "Signed by {subject}, but the certificate was revoked at {revoked}, before the proven moment {moment}.",
    ),
    "signer.no_time": Sentence(
        "Ký bởi {subject}; chứng thư nay không dùng được nữa ({reason}), và không có gì chứng minh là đã ký trước đó.",
        "Signed by {subject}; the certificate is no longer good ({reason}), and nothing proves an earlier signature.",
    ),
    "signer.no_anchor": Sentence(
        "Ký bởi {subject}; chưa đưa chứng thư gốc (--anchor) nên không biết có tin được chứng thư này không.",
        "Signed by {subject}; no root certificate was given (--anchor), so nothing says whether to believe it.",
    ),
    "signer.other_gateway": Sentence(
        "Ký bởi {subject}, không phải trục có chứng thư được đưa ra.",
        "Signed by {subject}, which is not the gateway whose certificate was given.",
    ),
    "signer.revocation_unknown": Sentence(
        "Ký bởi {subject}; không có gì cho biết chứng thư đã bị thu hồi hay chưa vào lúc {moment}.",
        "Signed by {subject}; nothing says whether the certificate had been revoked at {moment}.",
    ),
    "stamp.holds": Sentence(
        "Dấu thời gian của {authority}: có trước {stamped} (thu hồi: {revocation}).",
        "Time-stamp by {authority}: it existed by {stamped} (revocation: {revocation}).",
    ),
    "renewal.holds": Sentence(
        "Gia hạn: dấu thời gian của {authority} trên toàn bộ tệp, kể cả các dấu thời gian trước: có trước {stamped} "
        "(thu hồi: {revocation}).",
        "Renewal: time-stamp by {authority} over the whole file, the earlier time-stamps included: it existed by "
        "{stamped} (revocation: {revocation}).",
    ),
    "stamp.ended": Sentence(
        "Chứng thư của {authority}, hoặc của cấp trên nó, hết hạn lúc {ended}, trước khi có gia hạn nào. Dấu thời gian "
        "vẫn được tin, nhưng từ lúc đó danh sách thu hồi không còn phải nêu tên: nếu khóa bị lộ, có thể không ai báo. "
        "Nên gia hạn trước khi hết hạn: gateway evidence renew.",
        "The certificate of {authority}, or of an authority above it, ended at {ended}, before anything renewed the "
        "time-stamp. It is still believed; but from then on revocation lists need not name it: if its key was stolen, "
        "nobody may tell. Renew before the end: gateway evidence renew.",
    ),
    "stamp.revoked": Sentence(
        "Dấu thời gian của {authority} nói {stamped}, nhưng chứng thư đã bị thu hồi lúc {revoked}, có thể vì lộ khóa, "
        "và không có gia hạn nào chứng minh dấu này có trước lúc đó.",
        "The time-stamp by {authority} says {stamped}, but its certificate was revoked at {revoked}, perhaps because "
        "its key was stolen, and no renewal proves that the time-stamp existed before.",
    ),
    "stamp.renewed_late": Sentence(
        "Dấu thời gian của {authority} nói {stamped}, nhưng chứng thư đã bị thu hồi lúc {revoked}, có thể vì lộ khóa; "
        "gia hạn lúc {held} là quá muộn.",
        "The time-stamp by {authority} says {stamped}, but its certificate was revoked at {revoked}, perhaps because "
        "its key was stolen; the renewal of {held} came too late.",
    ),
    "stamp.later": Sentence(
        "Dấu thời gian của {authority} nói {stamped}, muộn hơn lúc gia hạn đã có nó ({held}): một trong hai đồng hồ "
        "sai.",
        "The time-stamp by {authority} says {stamped}, later than the renewal that covers it ({held}): one of the "
        "two clocks was wrong.",
    ),
    "stamp.revocation_unknown": Sentence(
        "Dấu thời gian của {authority} nói {stamped}; không có gì cho biết chứng thư của bên cấp đã bị thu hồi hay "
        "chưa.",
        "The time-stamp by {authority} says {stamped}; nothing says whether its certificate had been revoked.",
    ),
    "stamp.future": Sentence(
        "Dấu thời gian của {authority} nói {stamped}, một lúc chưa tới: đồng hồ của bên cấp, hoặc của máy này, sai.",
        "The time-stamp by {authority} says {stamped}, which is still to come: its clock, or this machine's, is wrong.",
    ),
    "stamp.not_believed": Sentence(
        "Có dấu thời gian, nhưng không tin được bên cấp: {detail}",
        "There is a time-stamp, but its authority is not believed: {detail}",
    ),
    "stamp.broken": Sentence("Dấu thời gian không đúng: {detail}", "The time-stamp does not hold: {detail}"),
    "stamp.none": Sentence(
        "Chưa có dấu thời gian của bên thứ ba; thời gian là lời của trục.",
        "There is no third party's time-stamp; the time is the gateway's word.",
    ),
    "seal.holds": Sentence(
        "Niêm phong đúng chữ ký; trục nói đã niêm phong lúc {sealed}.",
        "The seal's signature holds; the gateway says that it sealed at {sealed}.",
    ),
    "seal.later": Sentence(
        "Niêm phong nói {sealed}, muộn hơn lúc đã được chứng minh là có ({moment}): đồng hồ của trục sai.",
        "The seal says {sealed}, which is later than the moment by which it is proven to exist ({moment}): "
        "the gateway's clock was wrong.",
    ),
    "seal.broken": Sentence("Niêm phong không đúng: {detail}", "The seal does not hold: {detail}"),
    "seal.other": Sentence(
        "Niêm phong nói về văn bản khác hoặc trục khác: {detail}",
        "The seal is about another document or by another gateway: {detail}",
    ),
    "package.same": Sentence(
        "Gói tin đúng là gói đã được niêm phong ({size} byte, {files} tệp kèm).",
        "The package is the one that was sealed ({size} bytes, {files} attached files).",
    ),
    "package.other": Sentence(
        "Gói tin không phải là gói đã được niêm phong: {detail}", "The package is not the one that was sealed: {detail}"
    ),
    "sender.signed": Sentence(
        "Chữ ký của {subject} trên gói tin: xét lại vẫn {standing}, như trục đã kết luận lúc {moment}.",
        "The signature of {subject} on the package: judged again it is {standing}, as the gateway found at {moment}.",
    ),
    "sender.differs": Sentence(
        "Chữ ký trên gói tin: xét lại thì {standing} ({reason}); trục đã kết luận {then}.",
        "The signature on the package: judged again it is {standing} ({reason}); the gateway had found {then}.",
    ),
    "sender.not_signed": Sentence(
        "Gói tin không mang chữ ký xác minh được ({then}): nơi gửi chỉ được biết qua trục.",
        "The package carries no signature that could be verified ({then}): the gateway alone vouches for its sender.",
    ),
    "receipt.holds": Sentence(
        "Biên nhận đúng chữ ký và khớp với niêm phong; tiếp nhận lúc {accepted}.",
        "The receipt's signature holds and it agrees with the seal; accepted at {accepted}.",
    ),
    "receipt.alone": Sentence(
        "Biên nhận đúng chữ ký: trục {gateway} đã tiếp nhận gói tin SHA-256 {sha256} của {sender} lúc {accepted}.",
        "The receipt's signature holds: gateway {gateway} accepted package SHA-256 {sha256} of {sender} at {accepted}.",
    ),
    "receipt.broken": Sentence("Biên nhận không đúng: {detail}", "The receipt does not hold: {detail}"),
    "receipt.no_certificate": Sentence(
        "Không có chứng thư của trục đã ký biên nhận (SHA-256 {kid}); đưa vào bằng --gateway-certificate.",
        "The certificate that signed the receipt (SHA-256 {kid}) is not there; give it with --gateway-certificate.",
    ),
    "log.holds": Sentence(
        "Nhật ký: {count} sự kiện đúng chuỗi băm, trong đó {stamped} sự kiện có dấu thời gian.",
        "Log: {count} events fit the hash chain, {stamped} of them time-stamped.",
    ),
    "log.seal": Sentence(
        "Nhật ký chứng minh niêm phong và biên nhận có trước {stamped}.",
        "The log proves that seal and receipt existed by {stamped}.",
    ),
    "log.broken": Sentence("Sự kiện {event} trong nhật ký không đúng: {detail}", "Event {event}: {detail}"),
    "log.other": Sentence("Nhật ký không nói về niêm phong này: {detail}", "The log is not about this seal: {detail}"),
    "log.more": Sentence(
        "{count} dấu thời gian nữa trên nhật ký không được xét: quá nhiều.",
        "{count} more time-stamps on the log are not judged: there are too many.",
    ),
    "log.none": Sentence(
        "Tệp không có sự kiện nhật ký nào được chứng minh.", "The file has no proven events of the log."
    ),
    "statuses.hold": Sentence(
        "{count} gói trạng thái: niêm phong và biên nhận đúng, nội dung đúng như lúc nhận.",
        "{count} status packages: their seals and receipts hold, and they are as received.",
    ),
    "statuses.without": Sentence(
        "{count} trạng thái được kể mà không có gói tin kèm theo: đó chỉ là lời của trục.",
        "{count} statuses are told without their packages: they are the gateway's word.",
    ),
    "status.broken": Sentence("Gói trạng thái này không đúng: {detail}", "This status package does not hold: {detail}"),
    "status.elsewhere": Sentence(
        "Gói trạng thái này không nêu số hay mã của văn bản: nó nói về văn bản này chỉ là lời của trục.",
        "This status package does not name the document by number or id: that it is about it is the gateway's word.",
    ),
    "operations.hold": Sentence(
        "{count} gói thu hồi, cập nhật hoặc thay thế: niêm phong và biên nhận đúng, nội dung đúng như lúc nhận.",
        "{count} packages that recall, update or replace it: their seals and receipts hold, and they are as received.",
    ),
    "operations.without": Sentence(
        "{count} lần thu hồi, cập nhật hoặc thay thế được kể mà không có gói tin kèm theo: đó chỉ là lời của trục.",
        "{count} recalls, updates or replacements are told without their packages: they are the gateway's word.",
    ),
    "operation.broken": Sentence(
        "Gói thu hồi, cập nhật hoặc thay thế này không đúng: {detail}",
        "This package that recalls, updates or replaces does not hold: {detail}",
    ),
    "operation.elsewhere": Sentence(
        "Gói này không nêu số hay mã của văn bản: nó thu hồi, cập nhật hay thay thế văn bản này chỉ là lời của trục.",
        "This package does not name the document by number or id: that it recalls, updates or replaces it is the "
        "gateway's word.",
    ),
    "file.signed": Sentence(
        "{name}: chữ ký trong tệp xét lại là: {state}, như trục đã kết luận. Người ký: {signers}.",
        "{name}: the signatures inside the file, judged again: {state}, as the gateway found. Signed by: {signers}.",
    ),
    "file.found": Sentence(
        "{name}: chữ ký trong tệp xét lại là: {state}; tệp không ghi kết luận của trục. Người ký: {signers}.",
        "{name}: the signatures inside the file, judged now: {state}; the gateway tells no verdict. "
        "Signed by: {signers}.",
    ),
    "file.differs": Sentence(
        "{name}: chữ ký trong tệp xét lại là: {state} ({why}); trục đã kết luận: {found}.",
        "{name}: the signatures inside the file, judged again: {state} ({why}); the gateway had found: {found}.",
    ),
    "files.not_judged": Sentence(
        "{count} tệp kèm không được xét lại chữ ký ở đây: kết luận về chúng là lời của trục.",
        "The signatures inside {count} attached files are not judged again here: what is said of them is the "
        "gateway's word.",
    ),
    "page.same": Sentence(
        "{count} trang cho người đọc nói đúng những gì evidence.json nói.",
        "The {count} pages for people say what evidence.json says.",
    ),
    "page.other": Sentence(
        "Trang này KHÔNG nói những gì evidence.json nói: đừng tin nó.",
        "This page does NOT say what evidence.json says: do not believe it.",
    ),
    "page.not_compared": Sentence(
        "Các trang do phiên bản khác lập ({made_with}) nên không so được: trang chỉ là lời của trục.",
        "The pages were made by another version ({made_with}) and cannot be compared: they are the gateway's word.",
    ),
    "page.too_long": Sentence(
        "Các trang quá dài nên không được lập lại để so: trang chỉ là lời của trục.",
        "The pages are too long to be made anew and compared: they are the gateway's word.",
    ),
    "facts.version": Sentence(
        "evidence.json có dạng khác ({detail}) với dạng mà chương trình này biết.",
        "evidence.json is of another form ({detail}) than the one that this program knows.",
    ),
    "facts.differ": Sentence(
        "evidence.json không khớp với những gì đã được chứng minh: {detail}",
        "evidence.json contradicts what is proven: {detail}",
    ),
    "facts.told": Sentence(
        "evidence.json khớp với những gì đã được chứng minh; phần còn lại (nơi nhận, các lần xét lại) là lời của trục.",
        "evidence.json agrees with what is proven; the rest (recipients, later judgements) is the gateway's word.",
    ),
}

SENTENCES: Final[Mapping[str, Sentence]] = MappingProxyType(_SENTENCES)
