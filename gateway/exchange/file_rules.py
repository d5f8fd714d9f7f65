"""What follows from the verdicts on a document's files: it goes, it waits, or it is refused; and the words for that."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.errors import EnclosureSignatureRequired, FileSignatureRequired
from gateway.ledger.bounds import cut
from gateway.ledger.records import ExaminationResult, Examined
from gateway.model import ExaminationState, FileStanding, FileVerdict, SignedBy, SignerRole, Standing, Verdict
from gateway.signing.files.reasons import FileReason
from gateway.signing.files.required import GOOD, Compared, Cover, MainFile, RequiredSignatures, compare, without
from gateway.signing.files.verdicts import shown

JUDGED = "file.judged"
"""Stands where errors have their code: no signature was required of these files, and their verdicts are known."""
REQUIRED_PRESENT = "file.required_signatures_valid"

_MOST_TOLD = 5
"""Files that a sender is told of; what it is told has room for no more."""
_LONGEST_TOLD = 120
"""Characters of the name of each."""


def decide(
    files: Sequence[FileVerdict],
    required: RequiredSignatures,
    *,
    unknown: str,
    of_others: Callable[[str], bool] = lambda _: False,
    cover: Cover | None = None,
) -> Examined | FileReason:
    """
    What follows from the verdicts on the files of a document.

    One of them, the dispatch, must carry every signature that is required of it; the other PDFs what is required of
    those, unless the sender has signed the package as a whole.

    :param required: with nothing for the dispatch: nothing follows, whatever was found.
    :param unknown: what is done when only revocation is not known: ``accept``, ``hold`` or ``refuse``.
    :param of_others: whether a certificate, by its SHA-256, is known to be of an agency that is not the sender: what
        it signs is genuine, and is not the sender's signature.
    :param cover: the sender's signature over the whole package.
    :return: how the examination ends; a reason means that it is to be done again later.
    """
    done = ExaminationState.DONE
    if not required.main:
        return Examined(state=done, reason=JUDGED, result=ExaminationResult(files=tuple(files)))
    found = compare(files, required, of_others=of_others, cover=cover)
    if found.met:
        return Examined(state=done, reason=REQUIRED_PRESENT, result=ExaminationResult(files=found.files))
    if unknown != "refuse":
        perhaps = {*GOOD, FileStanding.INDETERMINATE}
        later = compare(files, required, good=perhaps, of_others=of_others, cover=cover)
        if later.met and unknown == "hold":
            return FileReason.REVOCATION_UNKNOWN
        if later.met:
            known = ExaminationResult(files=later.files)
            return Examined(state=done, reason=FileReason.REVOCATION_UNKNOWN, result=known)
    words = [_missing(found, required)]
    if found.main is None and any(without(one, of_others) != one for one in files):
        words.append(_OF_OTHERS)
    error = FileSignatureRequired if found.main is None else EnclosureSignatureRequired
    return Examined(
        state=ExaminationState.REFUSED,
        reason=error.code,
        detail=" ".join(words),
        result=ExaminationResult(files=found.files),
    )


def cover_of(verdict: Verdict, *, role: SignerRole) -> Cover | None:
    """
    What the signature over a package gives to the files in it; ``None``: nothing.

    :param role: in which its certificate is registered for the sender.
    """
    standing = _AS_FILES.get(verdict.standing)
    if verdict.signed_by is not SignedBy.SENDER or standing is None:
        return None
    return Cover(role=role, standing=standing)


_AS_FILES = {
    Standing.VALID: FileStanding.VALID,
    Standing.VALID_WEAK: FileStanding.VALID_WEAK,
    Standing.INDETERMINATE: FileStanding.INDETERMINATE,
}

# In words, for the sender: the wire has one language


_ROLES = {SignerRole.PERSON: "người có thẩm quyền", SignerRole.AGENCY: "cơ quan"}
_STANDINGS = {
    FileStanding.VALID: "hợp lệ",
    FileStanding.VALID_WEAK: "hợp lệ, thuật toán yếu",
    FileStanding.INDETERMINATE: "chưa rõ chứng thư đã bị thu hồi chưa",
    FileStanding.UNTRUSTED: "chứng thư không đáng tin cậy",
    FileStanding.REVOKED: "chứng thư đã bị thu hồi",
    FileStanding.ALTERED: "bị sửa sau khi ký",
    FileStanding.UNSIGNED: "không ký",
    FileStanding.UNREADABLE: "không đọc được",
    FileStanding.NOT_JUDGED: "không xét được chữ ký",
}
_OF_OTHERS = "Chữ ký bằng chứng thư của cơ quan khác không được tính."


def _missing(found: Compared, required: RequiredSignatures) -> str:
    """Which files lack whose signature, and how they stand."""
    if found.main is not None:
        return f"Tệp kèm theo {_told([found.files[n] for n in found.lacking])}."
    if required.which is MainFile.FIRST and len(found.files) > 1:
        return f"Tệp đầu tiên phải là văn bản chính: {_told(found.files[:1])}."
    if len(found.files) > 1:
        return f"Không tệp nào có đủ chữ ký của văn bản chính: {_told(found.files)}."
    if not found.files:
        return "Không có tệp nào."
    return f"Tệp {_told(found.files)}."


def _told(files: Sequence[FileVerdict]) -> str:
    each = [_of_file(one) for one in files[:_MOST_TOLD]]
    if len(files) > _MOST_TOLD:
        each.append(f"và {len(files) - _MOST_TOLD} tệp khác")
    return "; ".join(each)


def _of_file(one: FileVerdict) -> str:
    name = one.name if one.member is None else f"{one.name} › {one.member}"
    quoted = f"«{cut(shown(name), _LONGEST_TOLD)}»"
    if one.standing is FileStanding.ALTERED:
        return f"{quoted} {_STANDINGS[one.standing]}"
    whose = ", ".join(_ROLES[role] for role in one.lacks if role in _ROLES)
    return f"{quoted} thiếu chữ ký hợp lệ của {whose} ({_STANDINGS[one.standing]})"
