"""Every sentence exists in both languages, says the same things, and is used."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest

import gateway.console
from gateway.console.texts import TEXTS, Text, as_language, say
from gateway.ledger.records import OperatorRole

CONSOLE = Path(gateway.console.__file__).parent
SOURCES = [p for p in CONSOLE.rglob("*") if p.suffix in (".html", ".py") and p.name != "texts.py"]
SPOKEN = "\n".join(p.read_text(encoding="utf-8") for p in SOURCES)

COMPOSED = (
    "error.",
    "role.",
    "attempt.",
    "age.",
    "doc.evidence.",
    "log.filter.from",
    "log.filter.to",
    "certificates.show.",
    "certificates.empty.",
    "certificates.role.",
    "doc.judged.",
)
"""Beginnings of keys that are put together where they are used."""


def holes(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name is not None}


@pytest.mark.parametrize("key", TEXTS)
def test_every_text_speaks_both_languages_and_names_the_same_values(key: str) -> None:
    text = TEXTS[key]
    assert text.vi.strip()
    assert text.en.strip()
    assert holes(text.vi) == holes(text.en)
    # "1" may stand in words in the singular.
    assert text.en_one is None or holes(text.en_one) <= holes(text.en)


def test_every_text_that_is_used_exists() -> None:
    used = set(re.findall(r'\bt\("([^"~]+)"', SPOKEN)) | set(re.findall(r"\bt\('([^'~]+)'", SPOKEN))
    used |= set(re.findall(r'\bsay\("([^"]+)"', SPOKEN))
    assert len(used) > 50
    beginnings = {key for key in used if key.endswith(".")}
    assert all(any(known.startswith(b) for known in COMPOSED) for b in beginnings)
    assert used - beginnings - set(TEXTS) == set()


@pytest.mark.parametrize("key", [k for k in TEXTS if not k.startswith(COMPOSED)])
def test_no_text_is_left_over(key: str) -> None:
    assert f'"{key}"' in SPOKEN or f"'{key}'" in SPOKEN


@pytest.mark.parametrize("role", OperatorRole)
def test_every_role_has_a_name(role: OperatorRole) -> None:
    assert say(f"role.{role}", "vi", n=1)


def test_english_counts_one_apart() -> None:
    text = Text("{n} dòng", "{n} rows", "1 row")
    assert (text.say("en", n=1), text.say("en", n=2), text.say("vi", n=1)) == ("1 row", "2 rows", "1 dòng")


@pytest.mark.parametrize("value", ["fr", "", None, 7, "VI"])
def test_only_the_two_languages_are_languages(value: object) -> None:
    assert as_language(value) is None
