"""The ledger and the directory, for commands that administer a gateway without serving it."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from gateway.clock import utc_now
from gateway.directory import Directory, LocalSite
from gateway.directory.catalogue_store import CatalogueStore
from gateway.directory.store import DirectoryStore
from gateway.errors import NotFound
from gateway.ledger import Ledger, check, open_engine
from gateway.model import Agency, AgencyCode
from gateway.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A gateway's database, opened by a command."""

    settings: Settings
    ledger: Ledger
    store: DirectoryStore
    catalogue: CatalogueStore

    def directory(self) -> Directory:
        """The directory in force."""
        return self.store.load(local_site(self.settings))

    def own(self) -> Directory:
        """The operator's own agencies alone, without those of the catalogue."""
        return Directory(self.store.export(), local_site(self.settings))

    def agency(self, code: str, *, at: datetime) -> Agency:
        """
        The agency of a code.

        :raises NotFound: the directory has none.
        """
        agency = self.directory().find(code, at=at)
        if agency is None:
            raise NotFound(f"The directory has no agency {AgencyCode.normal(code)}; `gateway agencies list` shows all.")
        return agency


def local_site(settings: Settings) -> LocalSite:
    """Where this gateway stands, by its settings."""
    section = settings.gateway
    return LocalSite(code=section.code, first_levels=section.first_levels, default_route=section.default_route)


@contextmanager
def opened(settings: Settings) -> Iterator[Opened]:
    """
    Open the database of a gateway.

    :raises LedgerOutdated, LedgerUnavailable: as ``gateway.ledger.check``.
    """
    engine = open_engine(settings.ledger_url)
    try:
        check(engine)
        yield Opened(
            settings=settings, ledger=Ledger(engine), store=DirectoryStore(engine), catalogue=CatalogueStore(engine)
        )
    finally:
        engine.dispose()


def actor() -> str:
    """Who acts, for the event log: the account at this machine."""
    try:
        return f"cli:{getpass.getuser()}"
    except (OSError, KeyError):  # no name for this user id, as in some containers
        return "cli"


__all__ = ["Opened", "actor", "local_site", "opened", "utc_now"]
