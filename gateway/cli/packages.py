"""``gateway read``: a package as a file, without any gateway; and how ``verify`` reads one."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from gateway.cli import exits
from gateway.cli.command import command, for_programs
from gateway.cli.shell import Shell
from gateway.cli.words import Text
from gateway.edxml import Limits, Package, read_unverified

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@command(
    "read",
    Text(
        "Đọc gói tin và in mọi thông tin dạng JSON; không kiểm tra chữ ký.",
        "Read a package and print all of it as JSON; signatures are not judged.",
    ),
    examples="gateway read van-ban.edxml\ngateway read van-ban.edxml --json | jq .envelope.subject",
)
@click.argument("file", type=_FILE)
@for_programs()
def read(shell: Shell, *, file: Path) -> int:
    """Print a package."""
    with opened_package(file) as package:
        shell.result(package_facts(package))
        return exits.FAILED if package.errors else exits.DONE


@contextlib.contextmanager
def opened_package(file: Path) -> Iterator[Package]:
    """A package, read and not believed, as long as it is needed."""
    with (
        tempfile.TemporaryDirectory(prefix="gateway-read-") as spool,
        read_unverified(file, limits=Limits(), spool=Path(spool)) as package,
    ):
        yield package


def package_facts(package: Package) -> dict[str, Any]:
    """All of a package, for programs."""
    return {
        "kind": package.envelope.kind,
        "variant": package.variant,
        "sha256": package.sha256,
        "size": package.size,
        "signature_form": package.signature_form,
        "envelope": package.envelope,
        "attachments": [asdict(attachment) for attachment in package.attachments],
        "violations": [asdict(violation) for violation in package.violations],
    }
