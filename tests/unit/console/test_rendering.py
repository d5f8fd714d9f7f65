"""How foreign texts and the script-free pages look."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import gateway.console
from gateway.console.rendering import plain

CONSOLE = Path(gateway.console.__file__).parent
TEMPLATES = sorted((CONSOLE / "templates").rglob("*.html"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Đề án 06", "Đề án 06"),
        ("cong-van\u202efdp.exe", "cong-van⟨U+202E⟩fdp.exe"),
        ("a\u200bb", "a⟨U+200B⟩b"),
        ("a\nb\tc", "a b c"),
        ("\x00", "⟨U+0000⟩"),
        (None, ""),
    ],
)
def test_what_cannot_be_seen_is_named(text: str | None, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda p: p.name)
def test_templates_hold_no_inline_script_style_or_unescaped_value(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert "|safe" not in source.replace(" ", "")
    assert "autoescape" not in source
    assert not re.search(r"\son\w+\s*=|\sstyle\s*=|<style|javascript:", source, re.IGNORECASE)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", source))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda p: p.name)
def test_every_form_that_posts_carries_a_token(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    for form in re.findall(r'<form[^>]*method="post".*?</form>', source, re.DOTALL):
        assert 'name="csrf_token"' in form


def luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(c * 2 for c in digits) if len(digits) == 3 else digits
    channels = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


PAIRS = [
    *((ink, ground) for ink in ("ink", "soft", "link", "bad", "good", "warn") for ground in ("paper", "ground")),
    *((tone, f"{tone}-bg") for tone in ("good", "warn", "bad", "busy", "calm")),
    ("paper", "head"), ("paper", "link"), ("paper", "bad"), ("soft", "bad-bg"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_text_stands_out_from_its_ground(text: str, ground: str) -> None:
    # WCAG 2.2, 1.4.3: at least 4.5 to 1.
    css = (CONSOLE / "static" / "console.css").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]+)", css))
    lighter, darker = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5
