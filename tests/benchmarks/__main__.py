"""
All benchmarks: ratios within this run, each with its bar; fails when one is missed.

``python -m tests.benchmarks`` prints the table; ``--write`` also keeps it in ``docs/benchmarks.md``;
names select (``python -m tests.benchmarks signing accept``).
"""

from __future__ import annotations

import importlib
import os
import platform
import sys
import time
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
MODULES = ("edxml", "signing", "accept", "ledger", "delivery", "directory", "chain", "files", "revocation")

INTRODUCTION = """# Benchmarks

Ratios measured within one run, because absolute times say nothing on a shared machine; `make bench` prints this
table anew and fails when a bar is missed. *Bar*: `≤` must not be exceeded, `≥` must be reached. What stands on the
right of each `÷` is described in the module of `tests/benchmarks` that the row comes from. The bars of this page are
the first ones; `docs/decisions` and the issues say where they are to go.
"""


def run(names: list[str]) -> list[tuple[str, str, float, str, bool]]:
    """Module, name, ratio, bar and whether it holds, for each benchmark of the modules named."""
    rows = []
    for module_name in names:
        module = importlib.import_module(f"tests.benchmarks.bench_{module_name}")
        at_least = getattr(module, "AT_LEAST", False)
        for bench in module.BENCHES:
            began = time.monotonic()
            name, ratio, bar = bench()
            holds = ratio >= bar if at_least else ratio <= bar
            rows.append((module_name, name, ratio, f"{'≥' if at_least else '≤'} {bar:g}", holds))
            verdict = "ok" if holds else "MISSED"
            took = time.monotonic() - began
            print(f"{module_name:10} {name:75} {ratio:8.2f} {rows[-1][3]:>8} {verdict:7} {took:5.0f} s", flush=True)
    return rows


def page(rows: list[tuple[str, str, float, str, bool]]) -> str:
    """The table as Markdown."""
    lines = [
        INTRODUCTION,
        f"Last run: Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}.",
        "",
        "| part | what | ratio | bar | |",
        "|---|---|---|---|---|",
        *(f"| {m} | {n} | {r:.2f} | {b} | {'holds' if ok else '**missed**'} |" for m, n, r, b, ok in rows),
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    """Run, print, perhaps write; the exit code."""
    arguments = sys.argv[1:]
    write = "--write" in arguments
    names = [a for a in arguments if a != "--write"] or list(MODULES)
    rows = run(names)
    if write:
        PAGE.write_text(page(rows), encoding="utf-8")
    missed = [r for r in rows if not r[4]]
    print(f"{len(rows) - len(missed)} of {len(rows)} bars hold.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
