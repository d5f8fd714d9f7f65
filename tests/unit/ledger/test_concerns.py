"""Which findings are reasons to look at a document, and which are not."""

from __future__ import annotations

import pytest

from gateway.ledger.concerns import differ, of_examination, of_verdict, signed
from gateway.ledger.records import Concern, ExaminationResult, SignedFiles
from gateway.model import (
    ExaminationState,
    FileSignature,
    FileStanding,
    FileVerdict,
    SignerRole,
    Standing,
    Verdict,
)
from tests.support.ledger import NOON

PERSON, AGENCY = SignerRole.PERSON, SignerRole.AGENCY


def a_file(
    standing: FileStanding = FileStanding.VALID, *signatures: tuple[SignerRole, FileStanding], cid: str = "1"
) -> FileVerdict:
    return FileVerdict(
        content_id=cid, name="a.pdf", format="pdf", standing=standing, reason="file.verified", judged_at=NOON,
        signatures=tuple(
            FileSignature(field="S", role=role, standing=each, reason="file.verified") for role, each in signatures
        ),
    )  # fmt: skip


def found(*files: FileVerdict, state: ExaminationState = ExaminationState.DONE, **changes: object) -> set[Concern]:
    values: dict[str, object] = {"holds": False, "reason": "file.judged", "result": ExaminationResult(files=files)}
    return set(of_examination(state, **(values | changes)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("standing", "concerns"),
    [
        (FileStanding.VALID, set()),
        (FileStanding.VALID_WEAK, set()),
        (FileStanding.INDETERMINATE, set()),
        (FileStanding.UNSIGNED, set()),
        (FileStanding.NOT_JUDGED, set()),
        (FileStanding.ALTERED, {Concern.ALTERED}),
        (FileStanding.REVOKED, {Concern.REVOKED}),
        (FileStanding.UNTRUSTED, {Concern.UNTRUSTED}),
        (FileStanding.UNREADABLE, {Concern.UNREADABLE}),
    ],
)
def test_each_standing_of_a_file_is_a_reason_to_look_or_none(standing: FileStanding, concerns: set[Concern]) -> None:
    assert found(a_file(standing)) == concerns


def test_every_bad_signature_is_a_reason_also_in_a_file_that_is_called_by_a_worse_one() -> None:
    several = a_file(FileStanding.ALTERED, (PERSON, FileStanding.ALTERED), (AGENCY, FileStanding.REVOKED))
    assert found(several, a_file(FileStanding.UNREADABLE)) == {Concern.ALTERED, Concern.REVOKED, Concern.UNREADABLE}


@pytest.mark.parametrize("state", [ExaminationState.PENDING, ExaminationState.REFUSED])
def test_what_keeps_a_document_here_is_a_reason_and_what_does_not_hold_keeps_nothing(state: ExaminationState) -> None:
    assert found(state=state, holds=True) == {Concern.KEPT}
    assert found(state=state) == set()


def test_what_was_done_without_is_a_reason() -> None:
    assert found(state=ExaminationState.FAILED, result=None) == {Concern.UNEXAMINED}
    assert found(state=ExaminationState.RELEASED, result=None) == {Concern.RELEASED}


def test_a_refusal_says_for_what_also_after_it_was_overruled() -> None:
    for state, kept in ((ExaminationState.REFUSED, {Concern.KEPT}), (ExaminationState.RELEASED, {Concern.RELEASED})):
        assert found(state=state, holds=True, reason="malware.found") == kept | {Concern.MALWARE}
        for reason in ("file.signature_required", "file.enclosure_signature_required"):
            assert found(state=state, holds=True, reason=reason) == kept | {Concern.MISSING}


def test_a_package_whose_certificate_had_been_revoked_is_a_reason() -> None:
    revoked = Verdict(standing=Standing.INVALID, reason="signature.certificate_revoked", judged_at=NOON)
    assert set(of_verdict(revoked)) == {Concern.REVOKED}
    good = Verdict(standing=Standing.VALID, reason="signature.verified", judged_at=NOON)
    assert set(of_verdict(good)) == set()


GOOD, ALTERED = FileStanding.VALID, FileStanding.ALTERED


@pytest.mark.parametrize(
    ("files", "which"),
    [
        ((a_file(GOOD, (PERSON, GOOD), (AGENCY, GOOD)),), SignedFiles.BOTH),
        ((a_file(GOOD, (PERSON, GOOD)), a_file(GOOD, (AGENCY, GOOD), cid="2")), SignedFiles.PERSON),
        ((a_file(GOOD, (AGENCY, FileStanding.VALID_WEAK)),), SignedFiles.AGENCY),
        ((a_file(FileStanding.UNSIGNED), a_file(GOOD, (PERSON, GOOD), (AGENCY, GOOD), cid="2")), SignedFiles.BOTH),
        # The first signature of an altered file may stand; the file does not.
        ((a_file(ALTERED, (PERSON, GOOD), (AGENCY, ALTERED)),), SignedFiles.NONE),
        ((a_file(FileStanding.UNSIGNED),), SignedFiles.NONE),
        ((a_file(FileStanding.INDETERMINATE, (PERSON, FileStanding.INDETERMINATE)),), SignedFiles.NONE),
    ],
)  # fmt: skip
def test_the_signatures_of_a_document_are_those_of_its_best_file(
    files: tuple[FileVerdict, ...], which: SignedFiles
) -> None:
    assert signed(ExaminationResult(files=files)) is which


def test_of_what_was_not_judged_nothing_is_said() -> None:
    assert signed(None) is None
    assert signed(ExaminationResult(scanned=2)) is None


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        (FileStanding.VALID, FileStanding.REVOKED, True),
        (FileStanding.REVOKED, FileStanding.VALID, True),
        (FileStanding.INDETERMINATE, FileStanding.REVOKED, True),
        (FileStanding.INDETERMINATE, FileStanding.VALID, False),
        (FileStanding.VALID, FileStanding.VALID, False),
    ],
)
def test_judged_otherwise_is_more_than_that_it_became_known_as_good(
    before: FileStanding, after: FileStanding, changed: bool
) -> None:
    old, new = ExaminationResult(files=(a_file(before),)), ExaminationResult(files=(a_file(after),))
    assert differ(old, new) is changed
    assert not differ(None, new)
    assert not differ(old, None)
