"""The settings file and the environment: typed, and strict about what they do not know."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from gateway.edxml import Limits
from gateway.errors import SettingsInvalid
from gateway.model import AgencyCode, Standing
from gateway.settings import LimitsSection, Settings, load_settings

LEAST = """
[gateway]
code = "h37"
name = "Trục thử"
first_levels = ["H37"]
"""


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A settings file with the least that one needs."""
    path = tmp_path / "config" / "gateway.toml"
    path.parent.mkdir()
    path.write_text(LEAST, encoding="utf-8")
    return path


def add(path: Path, text: str) -> Path:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")
    return path


def test_codes_are_normalised_while_they_are_read(written: Path) -> None:
    written.write_text(LEAST.replace('["H37"]', '["h37", " 21.24.h37"]'), encoding="utf-8")
    gateway = load_settings(written).gateway
    assert gateway.code == AgencyCode("H37")
    assert gateway.first_levels == {AgencyCode("H37"), AgencyCode("000.21.24.H37")}


def test_paths_are_relative_to_the_file(written: Path) -> None:
    settings = load_settings(written)
    assert settings.data == written.parent.parent / "var"
    assert settings.agencies_file == written.parent / "agencies.toml"
    assert settings.ledger_url == f"sqlite:///{written.parent.parent / 'var' / 'ledger.sqlite3'}"


def test_the_environment_wins_over_the_file(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(written, "[web]\nport = 1\nthreads = 3\n")
    monkeypatch.setenv("GATEWAY__WEB__PORT", "99")
    web = load_settings(written).web
    assert (web.port, web.threads) == (99, 3)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[web]\nprot = 1\n", "web.prot"),
        ("[unknown]\nx = 1\n", "unknown"),
        ("[web]\nport = 'x'\n", "web.port"),
        ("[web]\nport = 70000\n", "web.port"),
        ("base = '/'\n", "base"),
        ("[signing]\naccepts = ['invalid']\n", "signing.accepts"),
        ("[payloads]\nstore = 's3'\n", "payloads.s3_bucket"),
        ("[web]\ntls_key = 'k.pem'\n", "web.tls_certificate"),
        ("[web]\nrate_limit = 'fast'\n", "web.rate_limit"),
        ("[web]\nlogin_rate_limit = ''\n", "web.login_rate_limit"),
    ],
)
def test_what_cannot_be_right_is_named(written: Path, text: str, key: str) -> None:
    if text.startswith("base"):
        written.write_text(text + LEAST, encoding="utf-8")
    else:
        add(written, text)
    with pytest.raises(SettingsInvalid) as caught:
        load_settings(written)
    assert key in caught.value.detail


def test_an_unknown_key_in_the_environment_is_named(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY__WEB__PROT", "1")
    with pytest.raises(SettingsInvalid) as caught:
        load_settings(written)
    assert "web.prot" in caught.value.detail


def test_a_gateway_below_another_must_say_what_is_its_own(written: Path) -> None:
    written.write_text(LEAST.replace('["H37"]', "[]") + 'default_route = "000.00.22.W00"\n', encoding="utf-8")
    with pytest.raises(SettingsInvalid) as caught:
        load_settings(written)
    assert caught.value.path == "gateway.first_levels"


@pytest.mark.parametrize("content", ["[gateway", "\xff"])
def test_what_is_not_toml_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "gateway.toml"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(SettingsInvalid):
        load_settings(path)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        load_settings(tmp_path / "nothing.toml")
    assert "gateway init" in caught.value.detail


def test_the_file_is_found_through_the_environment(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_CONFIG", str(written))
    assert load_settings().gateway.name == "Trục thử"


def test_secrets_are_read_anew_each_time(written: Path) -> None:
    secret = written.parent / "above.key"
    secret.write_text("first\n", encoding="utf-8")
    settings = load_settings(add(written, "[secrets.above]\nfile = 'above.key'\n[secrets.inline]\nvalue = 'v'\n"))
    assert settings.secret("above") == "first"
    secret.write_text("second\n", encoding="utf-8")
    assert settings.secret("above") == "second"
    assert settings.secret("inline") == "v"
    assert settings.secret("other") is None


@pytest.mark.parametrize("section", ["file = 'missing.key'", "file = 'empty.key'", ""])
def test_a_secret_that_cannot_be_read_is_named_without_its_content(written: Path, section: str) -> None:
    (written.parent / "empty.key").write_text("", encoding="utf-8")
    settings = load_settings(add(written, f"[secrets.above]\n{section}\n"))
    with pytest.raises(SettingsInvalid) as caught:
        settings.secret("above")
    assert "above" in caught.value.detail


def test_secrets_do_not_show_in_what_is_printed(written: Path) -> None:
    settings = load_settings(add(written, "[secrets.inline]\nvalue = 'whsec_hidden'\n"))
    assert "whsec_hidden" not in repr(settings)


def test_the_url_of_the_ledger_may_stand_in_a_file_of_its_own(written: Path) -> None:
    (written.parent / "url").write_text("postgresql+psycopg://u:p@127.0.0.1/g\n", encoding="utf-8")
    assert load_settings(add(written, "[ledger]\nurl_file = 'url'\n")).ledger_url.startswith("postgresql+psycopg://")


def test_invalid_signatures_are_not_among_the_defaults(written: Path) -> None:
    assert Standing.INVALID not in load_settings(written).signing.accepts


def test_every_limit_of_a_package_can_be_set() -> None:
    assert set(LimitsSection.model_fields) == {f.name for f in fields(Limits)}


def test_every_setting_has_a_section() -> None:
    assert set(Settings.model_fields) == {
        "base", "gateway", "web", "ledger", "payloads", "limits", "signing", "delivery", "vxp",
        "lgsp", "revocation", "exchange", "fetch", "console", "log", "secrets",
        "signing_requests", "files", "scanning", "log_chain", "timestamps",
    }  # fmt: skip


@pytest.mark.parametrize("section", ["vxp", "lgsp"])
@pytest.mark.parametrize(("prefix", "good"), [("", True), ("/a/b-1", True), ("a", False), ("/", False), ("/a/", False)])
def test_a_protocol_is_served_at_the_root_or_under_a_path(written: Path, section: str, prefix: str, good: bool) -> None:
    add(written, f'[{section}]\nprefix = "{prefix}"\n')
    if good:
        assert getattr(load_settings(written), section).prefix == prefix
        return
    with pytest.raises(SettingsInvalid, match=rf"{section}\.prefix"):
        load_settings(written)
