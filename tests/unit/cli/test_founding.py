"""The settings that people start from, and those that programs write."""

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.config import masked
from gateway.cli.founding import LANG_SON, Site, settings_toml
from gateway.cli.template import agencies_template, settings_template
from gateway.directory import parse_agencies
from gateway.errors import SettingsInvalid
from gateway.model import AgencyCode
from gateway.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parents[3]
NATIONAL = Site(code=AgencyCode("000.00.22.W00"), name='Trục "quốc gia"', first_levels=(), default_route=None)


def _load(folder: Path, text: str) -> Settings:
    path = folder / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path)


def test_the_projects_own_settings_file_is_the_template() -> None:
    assert (ROOT / "config" / "gateway.toml").read_text(encoding="utf-8") == settings_template(LANG_SON)


@pytest.mark.parametrize("site", [LANG_SON, NATIONAL], ids=["province", "national"])
def test_the_template_says_what_was_asked_for_and_leaves_the_rest_at_its_default(site: Site, tmp_path: Path) -> None:
    settings = _load(tmp_path, settings_template(site))
    assert settings.gateway.code == site.code
    assert settings.gateway.name == site.name
    assert settings.gateway.first_levels == frozenset(site.first_levels)
    assert settings.gateway.default_route == site.default_route
    plain = Settings(gateway=settings.gateway)
    for name in Settings.model_fields:
        if name not in ("base", "gateway"):
            assert getattr(settings, name) == getattr(plain, name), name


def test_every_setting_shown_in_the_template_exists_and_has_a_usable_value(tmp_path: Path) -> None:
    shown = re.sub(r"^# (?=[a-z_0-9]+ = |\[secrets)", "", settings_template(LANG_SON), flags=re.MULTILINE)
    settings = _load(tmp_path, shown)
    assert settings.ledger.url is not None
    assert settings.secrets.keys() == {"national", "so-khcn"}


def test_every_setting_stands_in_the_template(tmp_path: Path) -> None:
    text = settings_template(LANG_SON)
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if name in ("base", "secrets", "limits") or section is None:
            continue
        for key in section.model_fields:
            assert re.search(rf"^(# )?{key} = ", text, flags=re.MULTILINE), f"{name}.{key}"


@pytest.mark.parametrize("site", [LANG_SON, NATIONAL], ids=["province", "national"])
def test_the_agencies_template_is_a_directory_with_the_gateway_itself(site: Site, tmp_path: Path) -> None:
    agencies = parse_agencies(agencies_template(site), source="template", folder=tmp_path)
    assert site.code in {agency.code for agency in agencies}


@given(st.dictionaries(st.sampled_from("abc"), st.text() | st.integers() | st.booleans() | st.lists(st.text())))
def test_settings_written_by_a_program_are_read_back(values: dict[str, object]) -> None:
    readable = {k: v for k, v in values.items() if "\ud800" not in repr(v)}
    assert tomllib.loads(settings_toml({"some": readable})) == {"some": readable}


@pytest.mark.parametrize(
    "url",
    ["postgresql+psycopg://user:p4ss@db/gateway", "postgresql+psycopg://user:p4%40ss@db:5432/g?password=p4ss&x=y"],
)
def test_secrets_are_never_shown(url: str, tmp_path: Path) -> None:
    text = settings_toml(
        {
            "gateway": {"code": "H37", "name": "x", "first_levels": ["H37"]},
            "ledger": {"url": url},
            "secrets.national": {"value": "p4ss-too"},
        }
    )
    shown = repr(masked(_load(tmp_path, text)))
    assert "p4" not in shown
    assert "db" in shown


def test_an_unknown_setting_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"delivery\.poll_second"):
        _load(tmp_path, settings_template(LANG_SON).replace("# poll_seconds", "poll_second"))
