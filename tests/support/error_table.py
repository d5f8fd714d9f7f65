"""
The table of ``docs/errors.md``, made from the error tree.

``python -m tests.support.error_table`` writes it anew between its markers; a test compares.
"""

from __future__ import annotations

from pathlib import Path

from gateway.api.problems import status_of
from gateway.errors import every_error

PAGE = Path(__file__).resolve().parents[2] / "docs" / "errors.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"


def table() -> str:
    """Markdown rows, by code."""
    rows = ["| code | HTTP | disposition | Tiếng Việt | English |", "|---|---|---|---|---|"]
    rows += [
        f"| `{e.code}` | {status_of(e)} | {e.disposition.value} | {e.vi} | {e.en()} |"
        for e in sorted(every_error(), key=lambda e: e.code)
    ]
    return "\n".join(rows)


def written() -> str:
    """What stands in the page between the markers."""
    return PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip()


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")
