"""The examples in the pages of ``docs``."""

from __future__ import annotations

import re
from pathlib import Path


def fences(text: str, language: str) -> list[str]:
    """The fenced blocks of a page in one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def example(page: Path, language: str, begins: str = "") -> str:
    """The one block of a page in a language that begins so."""
    (found,) = [block for block in fences(page.read_text(encoding="utf-8"), language) if block.startswith(begins)]
    return found
