"""
Who may import whom, and which library lives where: the rule and its documentation.

A new part of the program gets a line in ``INSIDE`` before it gets code.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "gateway"
MODULES = sorted(ROOT.rglob("*.py"))

_WORDS = {"model", "errors"}
_STORES = {"ledger", "payloads", "directory"}
_TRUST = {"edxml", "signing", "evidence"}
_USES = {"exchange", "ledger", "payloads", "directory", "evidence"} | _WORDS

INSIDE: dict[str, set[str]] = {  # part -> what it may import from gateway
    "__init__": set(),
    "model": set(),
    "errors": {"model"},
    "faults": set(),
    "scratch": set(),
    "clock": set(),
    "logs": set(),
    "metrics": _WORDS,
    "settings": _WORDS,
    "edxml": _WORDS,
    "signing": {"edxml"} | _WORDS,
    "evidence": {"edxml", "signing"} | _WORDS,
    # The helper on a clerk's own machine: it sees keys and a browser, and no gateway.
    "signer": {"edxml", "signing"} | _WORDS,
    "scanning": _WORDS,
    "directory": _WORDS,
    "routing": {"directory"} | _WORDS,
    "ledger": _WORDS,
    "payloads": {"scratch"} | _WORDS,
    "delivery": _STORES | _TRUST | {"faults"} | _WORDS,
    "exchange": {"delivery", "routing", "scanning", "faults"} | _STORES | _TRUST | _WORDS,
    "api": _USES,
    "console": _USES,
    # By itself, so that an error made in a server and in a client of ours is seen by a third.
    "conformance": {"edxml"} | _WORDS,
    "bootstrap": {p.stem for p in ROOT.iterdir()} - {"cli", "wsgi", "__main__"},
    "wsgi": {"bootstrap"},
    # Commands that need no gateway (sign, verify, demo) use the parts themselves.
    "cli": {p.stem for p in ROOT.iterdir()} - {"wsgi", "__main__"},
    "__main__": {"cli", "settings"},
}

HOME: dict[str, set[str]] = {  # library -> the parts that it may be imported in
    "lxml": {"edxml", "signing", "evidence"},
    "signxml": {"signing", "evidence"},
    "pyhanko": {"signing", "evidence"},
    "pyhanko_certvalidator": {"signing", "evidence"},
    "asn1crypto": {"signing", "evidence"},
    "rfc3161_client": {"signing", "evidence"},
    "pkcs11": {"signing"},
    "PIL": {"signing"},
    "fontTools": {"signing"},
    "reportlab": {"evidence", "cli"},  # cli: the demo's documents
    "sqlalchemy": {"ledger", "directory"},
    "alembic": {"ledger"},
    "psycopg": {"ledger"},
    "pysqlite3": {"ledger"},
    "obstore": {"payloads"},
    "requests": {"delivery"},
    "flask": {"api", "console", "signer"},
    "flask_login": {"api", "console"},
    "flask_openapi3": {"api", "console"},
    "flask_wtf": {"api", "console"},
}

STDLIB_ONLY = {"model", "errors", "faults", "routing"}

PURE = (  # these take `at` or `now` and never ask the clock
    "model.py",
    "errors.py",
    "routing.py",
    "edxml/*.py",
    "directory/directory.py",
    "directory/search.py",
    "directory/check.py",
    "directory/rows.py",
    "directory/answers.py",
    "directory/catalogue.py",
    "delivery/retry.py",
    "signing/policy.py",
    "signing/verify.py",
    "signing/trust/*.py",
    "evidence/chain.py",
    "evidence/audit.py",
    "evidence/timestamp.py",
    "ledger/states.py",
)
_CLOCKS = {
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
    "time": {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "localtime", "gmtime", "sleep"},
}


def part_of(path: Path) -> str:
    """``gateway/edxml/read.py`` -> ``edxml``; ``gateway/routing.py`` -> ``routing``."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(tree: ast.Module) -> Iterator[str]:
    """Every absolute import; ``from gateway import errors`` counts as ``gateway.errors``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield from ([f"gateway.{a.name}" for a in node.names] if node.module == "gateway" else [node.module])


def breaches(part: str, tree: ast.Module) -> list[str]:
    """What a module of that part imports and must not."""
    found = []
    for name in imports(tree):
        top, *rest = name.split(".")
        if top == "gateway" and rest and rest[0] not in INSIDE[part] | {part, "__version__"}:
            found.append(f"{part} must not import {name}")
        if part not in HOME.get(top, {part}):
            found.append(f"{top} lives in {sorted(HOME[top])}, not in {part}")
        if part in STDLIB_ONLY and top != "gateway" and top not in sys.stdlib_module_names:
            found.append(f"{part} uses the standard library only, not {top}")
    return found


def loose_imports(tree: ast.Module) -> list[str]:
    """Relative and star imports: the map cannot see what they bring in."""
    return [
        f"line {node.lineno}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.level or any(a.name == "*" for a in node.names))
    ]


def clock_calls(tree: ast.Module) -> list[str]:
    """Where a module asks the clock, however the clock was imported."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            if node.attr in _CLOCKS.get(owner, ()):
                found.append(f"line {node.lineno}: {owner}.{node.attr}")
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            found += [f"line {node.lineno}: time.{a.name}" for a in node.names if a.name in _CLOCKS["time"]]
    return found


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_imports_follow_the_map(path: Path) -> None:
    assert part_of(path) in INSIDE, f"{part_of(path)} is not on the map"
    assert breaches(part_of(path), _tree(path)) == []


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_imports_are_absolute_and_name_what_they_bring(path: Path) -> None:
    assert loose_imports(_tree(path)) == []


@pytest.mark.parametrize("path", sorted({p for pattern in PURE for p in ROOT.glob(pattern)}), ids=_name)
def test_pure_modules_never_ask_the_clock(path: Path) -> None:
    assert clock_calls(_tree(path)) == []


def test_settings_are_passed_in_and_imported_where_the_program_is_put_together_only() -> None:
    assert {part for part, seen in INSIDE.items() if "settings" in seen} == {"bootstrap", "cli", "__main__"}


def test_the_map_has_no_circles() -> None:
    done: set[str] = set()
    while len(done) < len(INSIDE):
        ready = {part for part, seen in INSIDE.items() if part not in done and seen & INSIDE.keys() <= done | {part}}
        assert ready, f"a circle among {sorted(INSIDE.keys() - done)}"
        done |= ready


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("signing", "import requests"),
        ("signing", "from requests.adapters import HTTPAdapter"),
        ("edxml", "from gateway.ledger import tables"),
        ("edxml", "from gateway import ledger"),
        ("ledger", "import gateway.settings"),
        ("routing", "import cryptography"),
        ("exchange", "def f():\n    import sqlalchemy"),  # hidden in a function
    ],
)
def test_a_forbidden_import_is_seen(part: str, source: str) -> None:
    assert breaches(part, ast.parse(source))


@pytest.mark.parametrize("source", ["from .model import Agency", "from gateway.model import *"])
def test_a_loose_import_is_seen(source: str) -> None:
    assert loose_imports(ast.parse(source))


@pytest.mark.parametrize(
    "source",
    ["datetime.now(UTC)", "datetime.datetime.utcnow()", "date.today()", "time.time()", "from time import time"],
)
def test_a_look_at_the_clock_is_seen(source: str) -> None:
    assert clock_calls(ast.parse(source))
