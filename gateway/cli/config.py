"""``gateway config``: what is in force, and whether it is usable."""

from __future__ import annotations

import json
from typing import Any

import click

from gateway.bootstrap import check_settings
from gateway.cli.command import Group, for_programs
from gateway.cli.founding import settings_toml
from gateway.cli.shell import Shell
from gateway.cli.words import Text
from gateway.settings import Settings

_MASK = "********"

config = Group(
    "config",
    words=Text("Cấu hình đang có hiệu lực; kiểm tra cấu hình.", "The settings in force, and whether they are usable."),
    examples="gateway config show\ngateway config check\nGATEWAY__WEB__PORT=9090 gateway config show --json",
)


@config.command_of(
    "show",
    Text(
        "In cấu hình đang có hiệu lực (tệp và biến môi trường), che mọi bí mật.",
        "Print the settings in force (file and environment) with every secret masked.",
    ),
)
@for_programs()
def show(shell: Shell) -> None:
    """Print the settings."""
    facts = masked(shell.settings())
    if shell.json:
        shell.result(facts)
        return
    sections = {name: values for name, values in facts.items() if name != "secrets"}
    sections |= {f"secrets.{name}": values for name, values in facts["secrets"].items()}
    click.echo(settings_toml(sections), nl=False)


@config.command_of(
    "check",
    Text(
        "Kiểm tra cấu hình, khóa và chứng thư gốc; không cần cơ sở dữ liệu.",
        "Check settings, keys and anchors; needs no database.",
    ),
)
@for_programs()
def check(shell: Shell) -> None:
    """Load everything that settings name."""
    settings = shell.settings()
    check_settings(settings)
    if shell.json:
        shell.result({"ok": True})
    shell.say(Text("Cấu hình dùng được.", "The settings are usable."))


def masked(settings: Settings) -> dict[str, Any]:
    """The settings as JSON values: absent ones left out, secrets and passwords in URLs hidden."""
    facts: dict[str, Any] = json.loads(settings.model_dump_json(exclude_none=True))
    if "url" in facts["ledger"]:
        facts["ledger"]["url"] = _without_password(facts["ledger"]["url"])
    for secret in facts["secrets"].values():
        if "value" in secret:
            secret["value"] = _MASK
    return facts


def _without_password(url: str) -> str:
    scheme, mark, rest = url.partition("://")
    account, at, place = rest.rpartition("@")
    user, colon, _ = account.partition(":")
    # A password may also stand behind the question mark.
    place, question, _ = place.partition("?")
    return f"{scheme}{mark}{user}{colon and ':' + _MASK}{at}{place}{question and '?' + _MASK}"
