"""Bring the catalogue of an axis up to date: which lists are asked for, in which order, and what is recorded of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from gateway.directory.catalogue_store import CatalogueStore, Run
from gateway.errors import CatalogueUnusable
from gateway.ledger import Ledger
from gateway.ledger.actions import Action
from gateway.ledger.records import NewEvent

_LEVELS = 7
"""Lists by level that are asked for; a code by QĐ 20/2020 has no more parts."""
_ENOUGH = 2
"""Empty ones in a row after which deeper levels are not asked for."""


class Ask(Protocol):
    """One call of an axis' catalogue."""

    def __call__(self, call: str, **parameters: str) -> AbstractContextManager[BinaryIO]:
        """The bytes of the answer, at the first."""
        ...


def sync_from_axis(
    catalogue: CatalogueStore,
    ledger: Ledger,
    ask: Ask,
    *,
    source: str,
    actor: str,
    clock: Callable[[], datetime],
    full: bool = False,
    accept_closings: bool = False,
) -> Run:
    """
    Ask an axis for its catalogue and put it in force.

    The list of changes (``getSynchronizeUnit``) is asked for each time: it has versions, and costs nothing for units
    that did not change. The other lists, which know both generations of codes, are asked for at the first fill.

    :param source: kept with the run and with the directory's version.
    :param full: also ask for the lists of the first fill: for codes of agencies that came since.
    :param accept_closings: see ``CatalogueStore.settle``.
    :raises CatalogueUnusable, CatalogueAlarming, DirectoryInvalid: nothing of it is in force.
    """

    def lists(run: int) -> None:
        if full or catalogue.is_empty():
            with ask("getAgenciesList") as answer:
                catalogue.take(run, answer, name="getAgenciesList", now=clock())
            empty = 0
            for level in range(1, _LEVELS + 1):
                name = f"getAgenciesListQD20 level {level}"
                with ask("getAgenciesListQD20", level=str(level)) as answer:
                    empty = 0 if catalogue.take(run, answer, name=name, now=clock(), by_level=True) else empty + 1
                if empty == _ENOUGH:
                    break
        with ask("getSynchronizeUnit") as answer:
            catalogue.take(run, answer, name="getSynchronizeUnit", now=clock())

    return _sync(catalogue, ledger, lists, source=source, actor=actor, clock=clock, accept_closings=accept_closings)


def sync_from_files(
    catalogue: CatalogueStore,
    ledger: Ledger,
    files: Sequence[Path],
    levels: Sequence[Path],
    *,
    actor: str,
    clock: Callable[[], datetime],
    accept_closings: bool = False,
) -> Run:
    """
    Put answers of an axis in force that somebody saved.

    :param files: of ``getAgenciesList`` and ``getSynchronizeUnit``, in this order.
    :param levels: of ``getAgenciesListQD20``.
    :raises CatalogueUnusable, CatalogueAlarming, DirectoryInvalid: nothing of it is in force.
    """

    def lists(run: int) -> None:
        for paths, by_level in ((files, False), (levels, True)):
            for path in paths:
                with _opened(path) as answer:
                    catalogue.take(run, answer, name=path.name, now=clock(), by_level=by_level)

    source = ", ".join(path.name for path in (*files, *levels))
    return _sync(catalogue, ledger, lists, source=source, actor=actor, clock=clock, accept_closings=accept_closings)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as e:
        raise CatalogueUnusable(f"{path.name}: The file cannot be read ({type(e).__name__}).") from e


def _sync(
    catalogue: CatalogueStore,
    ledger: Ledger,
    lists: Callable[[int], None],
    *,
    source: str,
    actor: str,
    clock: Callable[[], datetime],
    accept_closings: bool,
) -> Run:
    run = catalogue.begin(source, now=clock())
    lists(run)
    catalogue.settle(run, now=clock(), accept_closings=accept_closings)
    ended = catalogue.publish(run, now=clock())
    if ended.version is not None:
        facts = {key: ended.counts.get(key, 0) for key in ("added", "changed", "closed", "reopened", "withdrawn")}
        event = NewEvent(
            action=Action.DIRECTORY_CHANGED, actor=actor, data={"version": ended.version, "source": source, **facts}
        )
        ledger.record_event(event, now=clock())
    return ended
