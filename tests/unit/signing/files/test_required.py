"""Which file is the dispatch, which others are enclosed, and whose signatures each of them lacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from gateway.model import FilePart, FileSignature, FileStanding, FileVerdict, SignerRole
from gateway.signing.files.required import GOOD, Compared, Cover, MainFile, RequiredSignatures, compare
from tests.support import pki

PERSON, AGENCY = SignerRole.PERSON, SignerRole.AGENCY
BOTH = frozenset({PERSON, AGENCY})
MAIN, ENCLOSED = FilePart.MAIN, FilePart.ENCLOSED
VALID, UNSIGNED = FileStanding.VALID, FileStanding.UNSIGNED
REQUIRED = RequiredSignatures(main=BOTH)


def a_file(name: str, *roles: SignerRole, standing: FileStanding | None = None, **changes: Any) -> FileVerdict:
    """A PDF with valid signatures in these roles, by certificates named after them."""
    signatures = tuple(
        FileSignature(field=r, role=r, standing=VALID, reason="file.test", certificate_sha256=f"{name} {r}")
        for r in roles
    )
    said = {"content_id": name, "member": None, "format": "pdf", **changes}
    found = standing or (VALID if roles else UNSIGNED)
    return FileVerdict(name=name, standing=found, reason="file.test", signatures=signatures, judged_at=pki.NOW, **said)


ISSUED = a_file("qd.pdf", PERSON, AGENCY)
NEW = a_file("moi.pdf")
SEALED = a_file("phu-luc.pdf", AGENCY)


def told(found: Compared) -> list[tuple[str, FilePart | None, tuple[SignerRole, ...]]]:
    return [(one.member or one.name, one.part, one.lacks) for one in found.files]


@pytest.mark.parametrize(
    ("files", "met", "expected"),
    [
        ([ISSUED], True, [("qd.pdf", MAIN, ())]),
        # A decision of the past beside a new text, on whichever side.
        ([NEW, ISSUED], False, [("moi.pdf", ENCLOSED, (AGENCY,)), ("qd.pdf", MAIN, ())]),
        ([ISSUED, NEW], False, [("qd.pdf", MAIN, ()), ("moi.pdf", ENCLOSED, (AGENCY,))]),
        # Annexes and copies carry the agency's signature alone; the order of files says nothing.
        ([SEALED, ISSUED], True, [("phu-luc.pdf", ENCLOSED, ()), ("qd.pdf", MAIN, ())]),
        # A person's signature alone does not make an annex the agency's.
        ([ISSUED, a_file("b.pdf", PERSON)], False, [("qd.pdf", MAIN, ()), ("b.pdf", ENCLOSED, (AGENCY,))]),
        # The same file twice: a dispatch and its copy.
        ([ISSUED, ISSUED], True, [("qd.pdf", MAIN, ()), ("qd.pdf", ENCLOSED, ())]),
        ([NEW, NEW], False, [("moi.pdf", None, (AGENCY, PERSON))] * 2),
        # Each signed by one of them: neither is a dispatch.
        ([a_file("a.pdf", PERSON), SEALED], False, [("a.pdf", None, (AGENCY,)), ("phu-luc.pdf", None, (PERSON,))]),
        ([], False, []),
    ],
)
def test_one_file_is_the_dispatch_and_every_other_pdf_carries_the_agencys_signature(
    files: Sequence[FileVerdict], met: bool, expected: list[tuple[str, FilePart | None, tuple[SignerRole, ...]]]
) -> None:
    found = compare(files, REQUIRED)
    assert (found.met, told(found)) == (met, expected)


@pytest.mark.parametrize(
    ("enclosed", "lacks"),
    [
        (a_file("bang.xlsx", format="ooxml"), False),
        (a_file("bang.xlsx", format="ooxml", standing=FileStanding.NOT_JUDGED), False),
        (a_file("ban-ve.dwg", format="other", standing=FileStanding.NOT_JUDGED), False),
        (a_file("anh.jpg", format="other", standing=FileStanding.NOT_JUDGED), False),
        # By content, whatever it is called; and by name, whatever it is.
        (a_file("anh.jpg"), True),
        (a_file("VB.PDF . ", format="other", standing=FileStanding.NOT_JUDGED), True),
        (a_file("tat-ca.zip", member="trong/moi.Pdf", format="other", standing=FileStanding.NOT_JUDGED), True),
        (a_file("tat-ca.pdf", member="bang.xlsx", format="ooxml"), False),
        # What nobody can look into may hold a text that nobody signed.
        (a_file("khoa.zip", format="zip", standing=FileStanding.UNREADABLE), True),
        (a_file("hong.pdf", standing=FileStanding.UNREADABLE), True),
        # One that was altered carries nobody's signature, whatever else is on it.
        (a_file("sua.pdf", PERSON, AGENCY, standing=FileStanding.ALTERED), True),
    ],
    ids=lambda value: value.member or value.name if isinstance(value, FileVerdict) else str(value),
)  # fmt: skip
def test_what_can_be_taken_for_a_dispatch_must_be_signed(enclosed: FileVerdict, lacks: bool) -> None:
    found = compare([ISSUED, enclosed], REQUIRED)
    assert found.met is not lacks
    assert found.lacking == ((1,) if lacks else ())
    assert found.files[1].lacks == ((AGENCY,) if lacks else ())


def test_an_operator_may_ask_more_of_enclosures_or_nothing() -> None:
    strict = RequiredSignatures(main=BOTH, others=BOTH)
    assert told(compare([ISSUED, SEALED], strict))[1] == ("phu-luc.pdf", ENCLOSED, (PERSON,))
    assert compare([ISSUED, ISSUED], strict).met
    loose = RequiredSignatures(main=BOTH, others=frozenset())
    assert compare([NEW, ISSUED, a_file("sua.pdf", standing=FileStanding.ALTERED)], loose).met


def test_the_first_file_is_the_dispatch_where_that_is_the_rule() -> None:
    first = RequiredSignatures(main=BOTH, which=MainFile.FIRST)
    assert told(compare([SEALED, ISSUED], first)) == [("phu-luc.pdf", MAIN, (PERSON,)), ("qd.pdf", None, ())]
    assert compare([ISSUED, SEALED], first).met
    # Also where it is none that could be signed.
    assert not compare([a_file("moi.docx", format="ooxml"), ISSUED], first).met


def test_an_enclosure_that_could_be_the_dispatch_does_not_take_its_place() -> None:
    """A file that carries more than the dispatch must lies before it: it is enclosed, and nothing is missing."""
    of_person = RequiredSignatures(main=frozenset({PERSON}))
    signed_by_person = a_file("thu.pdf", PERSON)
    for files in ([ISSUED, signed_by_person], [signed_by_person, ISSUED]):
        found = compare(files, of_person)
        assert found.met
        assert found.main == files.index(signed_by_person)
    # Two that lack the agency's: one of them is the dispatch, the other is told.
    assert told(compare([ISSUED, signed_by_person, signed_by_person], of_person)) == [
        ("qd.pdf", ENCLOSED, ()),
        ("thu.pdf", MAIN, ()),
        ("thu.pdf", ENCLOSED, (AGENCY,)),
    ]


def test_signatures_of_another_agency_make_an_enclosure_and_no_dispatch() -> None:
    def of_others(sha256: str) -> bool:
        return sha256.startswith("qd.pdf")

    assert compare([ISSUED], REQUIRED, of_others=of_others).main is None
    own = a_file("rieng.pdf", PERSON, AGENCY)
    assert told(compare([ISSUED, own], REQUIRED, of_others=of_others)) == [
        ("qd.pdf", ENCLOSED, ()),
        ("rieng.pdf", MAIN, ()),
    ]


@pytest.mark.parametrize(
    ("role", "standing", "met"),
    [
        (AGENCY, VALID, True),
        (AGENCY, FileStanding.VALID_WEAK, True),
        (AGENCY, FileStanding.INDETERMINATE, False),
        (PERSON, VALID, False),
    ],
)
def test_a_signature_over_the_package_answers_for_enclosures(
    role: SignerRole, standing: FileStanding, met: bool
) -> None:
    cover = Cover(role=role, standing=standing)
    assert compare([ISSUED, NEW], REQUIRED, cover=cover).met is met
    assert compare([NEW], REQUIRED, cover=cover).main is None
    perhaps = {*GOOD, FileStanding.INDETERMINATE}
    assert compare([ISSUED, NEW], REQUIRED, cover=cover, good=perhaps).met is (role is AGENCY)
