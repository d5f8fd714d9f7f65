"""docs/trust.md names every reason of a verdict on a file, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.model import FileStanding
from gateway.signing.files.reasons import FileReason
from gateway.signing.files.verdicts import WORST_FIRST

_PAGE = Path(__file__).parents[4] / "docs/trust.md"


def test_every_reason_is_explained() -> None:
    table = _PAGE.read_text("utf-8").split("<!-- reasons of files: begin -->")[1].split("<!-- reasons of files: end")[0]
    assert re.findall(r"^\| `(file\.\w+)` \|", table, re.MULTILINE) == [reason.value for reason in FileReason]


def test_every_standing_has_its_place_and_its_line() -> None:
    assert set(WORST_FIRST) == set(FileStanding)
    section = _PAGE.read_text("utf-8").split("## Signatures inside files")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == {standing.value for standing in FileStanding}
