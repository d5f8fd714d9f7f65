"""
Verdicts in words: of the signatures of packages, and inside files.

Apart from the console's other words, which know the ledger: ``gateway verify`` has none.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.x509.oid import NameOID

from gateway.console.texts import Language, Text
from gateway.model import FilePart, FileStanding, SignedBy, SignerRole, Standing, Verdict


class Mark(NamedTuple):
    """Words with a shape beside them, so that colour is never the only sign."""

    words: Text
    shape: str
    tone: str
    """CSS class: ``calm``, ``busy``, ``good``, ``warn`` or ``bad``."""


REASONS: Final = MappingProxyType(
    {
        "signature.verified": Text(
            "đúng nội dung, đúng chứng thư số đã đăng ký", "right content, registered certificate"
        ),
        "signature.none": Text("gói tin không mang chữ ký", "the package carries no signature"),
        "signature.foreign_namespace": Text(
            "phần chữ ký viết theo bộ công cụ quốc gia, ngoài chuẩn XML-DSig, nên không ai kiểm tra được",
            "its signature is written as the national kit does, outside XML-DSig, so nobody can verify it",
        ),
        "signature.placeholder": Text(
            "phần chữ ký để trống hoặc chỉ là chỗ giữ sẵn", "its signature is empty or only a placeholder"
        ),
        "signature.no_registered_certificate": Text(
            "danh bạ chưa có chứng thư số của nơi gửi để đối chiếu",
            "the directory holds no certificate of the sender to judge it by",
        ),
        "signature.structure": Text("phần chữ ký sai cấu trúc", "the signature is not of the accepted form"),
        "signature.comments": Text(
            "gói tin có chú thích hoặc chỉ thị mà chữ ký không bao trùm",
            "the package holds comments or instructions that the signature does not cover",
        ),
        "signature.reference": Text(
            "chữ ký không bao trùm toàn bộ gói tin", "the signature does not cover the whole package"
        ),
        "signature.transform": Text("phép biến đổi không được chấp nhận", "a transform that is not accepted"),
        "signature.algorithm": Text("thuật toán không được chấp nhận", "an algorithm that is not accepted"),
        "signature.digest_mismatch": Text("nội dung đã khác với lúc ký", "the content is not what was signed"),
        "signature.value_mismatch": Text(
            "không có chứng thư số đã đăng ký nào tạo ra chữ ký này", "no registered certificate made this signature"
        ),
        "signature.certificate_not_registered": Text(
            "chứng thư số không được đăng ký cho nơi gửi", "the certificate is not registered for the sender"
        ),
        "signature.certificate_expired": Text("chứng thư số đã hết hạn", "the certificate has expired"),
        "signature.certificate_not_yet_valid": Text(
            "chứng thư số chưa có hiệu lực", "the certificate is not yet valid"
        ),
        "signature.certificate_untrusted": Text(
            "chứng thư số không dẫn về gốc tin cậy", "the certificate does not lead to a trusted root"
        ),
        "signature.certificate_usage": Text(
            "chứng thư số không dùng để ký văn bản", "the certificate is not for signing documents"
        ),
        "signature.certificate_revoked": Text("chứng thư đã bị thu hồi", "the certificate had been revoked"),
        "signature.revocation_unknown": Text(
            "chưa biết chứng thư có bị thu hồi hay không", "whether the certificate was revoked is not known"
        ),
        "signature.key_too_small": Text("khóa ký quá yếu", "the signing key is too weak"),
    }
)
"""Reasons of verdicts; a test compares them with those that the verifier gives."""

_REFERENCE_ONLY: Final = Text(
    "chỉ có giá trị tham khảo (QĐ 28/2018/QĐ-TTg, Điều 4)", "for information only (Decision 28/2018/QĐ-TTg, Article 4)"
)

_VERDICTS: Final = MappingProxyType(
    {
        (Standing.VALID, SignedBy.SENDER): Text(
            "Chữ ký hợp lệ của {sender} (chứng thư số {certificate}).",
            "Valid signature of {sender} (certificate {certificate}).",
        ),
        (Standing.VALID, SignedBy.GATEWAY): Text(
            "Nơi gửi không ký; chữ ký hợp lệ của bên giao (chứng thư số {certificate}).",
            "The sender did not sign; valid signature of the gateway that handed it over (certificate {certificate}).",
        ),
        (Standing.VALID_WEAK, SignedBy.SENDER): Text(
            "Chữ ký của {sender} đúng (chứng thư số {certificate}), nhưng thuật toán yếu, chỉ tạm được chấp nhận.",
            "The signature of {sender} is right (certificate {certificate}); its weak algorithm is tolerated.",
        ),
        (Standing.VALID_WEAK, SignedBy.GATEWAY): Text(
            "Nơi gửi không ký; chữ ký của bên giao đúng (chứng thư số {certificate}), nhưng thuật toán yếu.",
            "The sender did not sign; the signature of its gateway is right (certificate {certificate}) but weak.",
        ),
        (Standing.INDETERMINATE, SignedBy.SENDER): Text(
            "Chữ ký của {sender} đúng, nhưng chưa biết chứng thư số {certificate} có bị thu hồi hay không.",
            "The signature of {sender} is right, but whether certificate {certificate} was revoked is not known.",
        ),
        (Standing.INDETERMINATE, SignedBy.GATEWAY): Text(
            "Chữ ký của bên giao đúng, nhưng chưa biết chứng thư số {certificate} có bị thu hồi hay không.",
            "Its gateway's signature is right, but whether certificate {certificate} was revoked is not known.",
        ),
    }
)

_UNPROVEN: Final = MappingProxyType(
    {
        Standing.UNSIGNED: Text("Không ký: {worth}.", "Not signed: {worth}."),
        Standing.UNVERIFIABLE: Text(
            "Có chữ ký nhưng không kiểm tra được, vì {reason}: {worth}.",
            "There is a signature that cannot be verified, as {reason}: {worth}.",
        ),
        Standing.INDETERMINATE: Text(
            "Chưa xác định được chữ ký ({reason}).", "The signature cannot be judged yet ({reason})."
        ),
        Standing.VALID: Text(
            "Chữ ký hợp lệ (chứng thư số {certificate}).", "Valid signature (certificate {certificate})."
        ),
        Standing.VALID_WEAK: Text(
            "Chữ ký đúng (chứng thư số {certificate}), nhưng dùng thuật toán yếu.",
            "The signature is right (certificate {certificate}), but its algorithm is weak.",
        ),
        Standing.INVALID: Text("Chữ ký không hợp lệ: {reason}.", "The signature is invalid: {reason}."),
    }
)
"""By standing alone, when it is not known or does not matter whose certificate it was."""


def verdict_sentence(verdict: Verdict, sender: str, language: Language) -> str:
    """
    What the signature is worth, in one sentence.

    :param sender: the sending agency's name.
    """
    reason = REASONS.get(verdict.reason)
    sentence = _UNPROVEN[verdict.standing]
    if verdict.signed_by is not None:
        sentence = _VERDICTS.get((verdict.standing, verdict.signed_by), sentence)
    return sentence.say(
        language,
        sender=sender,
        certificate=certificate_name(verdict),
        reason=reason.say(language) if reason else verdict.reason,
        worth=_REFERENCE_ONLY.say(language),
    )


def certificate_name(verdict: Verdict) -> str:
    """How people call the certificate: its common name, else its subject, else the start of its hash."""
    if verdict.subject:
        return subject_name(verdict.subject)
    return (verdict.certificate_sha256 or "?")[:16]


def subject_name(subject: str) -> str:
    """A certificate's subject (RFC 4514) as people call its holder: the common name, else all of it."""
    try:
        names = x509.Name.from_rfc4514_string(subject).get_attributes_for_oid(NameOID.COMMON_NAME)
    except ValueError:
        return subject
    return str(names[0].value) if names else subject


FILE_STANDINGS: Final = MappingProxyType(
    {
        FileStanding.VALID: Mark(Text("Hợp lệ", "Valid"), "✔", "good"),
        FileStanding.VALID_WEAK: Mark(Text("Hợp lệ, thuật toán yếu", "Valid, weak algorithm"), "✔", "warn"),
        FileStanding.INDETERMINATE: Mark(Text("Chưa rõ đã thu hồi chưa", "Revocation not known"), "◐", "warn"),
        FileStanding.UNTRUSTED: Mark(Text("Không đáng tin cậy", "Not trusted"), "▲", "warn"),
        FileStanding.REVOKED: Mark(Text("Chứng thư đã thu hồi", "Certificate revoked"), "✖", "bad"),
        FileStanding.ALTERED: Mark(Text("Nội dung bị thay đổi", "Altered"), "✖", "bad"),
        FileStanding.UNSIGNED: Mark(Text("Không ký", "Unsigned"), "–", "calm"),
        FileStanding.UNREADABLE: Mark(Text("Không đọc được", "Unreadable"), "▲", "warn"),
        FileStanding.NOT_JUDGED: Mark(Text("Không xét", "Not judged"), "–", "calm"),
    }
)

FILE_PARTS: Final = MappingProxyType(
    {
        FilePart.MAIN: Text("văn bản chính", "the dispatch itself"),
        FilePart.ENCLOSED: Text("tệp kèm theo", "enclosed"),
    }
)
"""What a file is, where the type of its document requires signatures."""

SIGNER_ROLES: Final = MappingProxyType(
    {
        SignerRole.PERSON: Text("Người có thẩm quyền", "Competent person"),
        SignerRole.AGENCY: Text("Cơ quan", "Agency"),
        SignerRole.UNKNOWN: Text("Chưa rõ vai trò", "Role not known"),
    }
)
