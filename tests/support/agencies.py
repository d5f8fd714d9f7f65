"""Small agencies and directories for tests."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from gateway.directory.directory import Directory, LocalSite
from gateway.model import Agency, AgencyCode, Channel, Endpoint, Level

BEFORE_JULY = datetime(2025, 6, 30, 16, 59, 59, tzinfo=UTC)
"""The last second of 30 June 2025 in Vietnam: three tiers."""
SINCE_JULY = datetime(2025, 6, 30, 17, 0, tzinfo=UTC)
"""Midnight of 1 July 2025 in Vietnam: two tiers."""
NOW = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)

MAILBOX = Endpoint(channel=Channel.MAILBOX)
PUSH = Endpoint(channel=Channel.PUSH, url="https://department.example/push", credential="department")
PEER = Endpoint(channel=Channel.PEER, url="https://above.example", credential="above")

LANG_SON = LocalSite(
    code=AgencyCode("000.00.00.H37"), first_levels=frozenset({"H37"}), default_route=AgencyCode("000.00.22.W00")
)
NATIONAL = LocalSite(code=AgencyCode("000.00.22.W00"), first_levels=frozenset())


def code(text: str) -> AgencyCode:
    return AgencyCode.normal(text)


def codes(*texts: str) -> tuple[AgencyCode, ...]:
    return tuple(code(text) for text in texts)


def an_agency(primary: str, *aliases: str, **changes: Any) -> Agency:
    """An agency; ``parent`` and ``successors`` may be plain text."""
    fields: dict[str, Any] = {"name": f"Cơ quan {primary}", "level": Level.DEPARTMENT, **changes}
    if isinstance(fields.get("parent"), str):
        fields["parent"] = code(fields["parent"])
    fields["successors"] = codes(*fields.get("successors", ()))
    return Agency(code=code(primary), aliases=codes(*aliases), **fields)


def a_directory(agencies: Iterable[Agency], local: LocalSite = LANG_SON) -> Directory:
    return Directory(agencies, local)
