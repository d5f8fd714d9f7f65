"""
Whether the event log is what was sealed: every changed, removed, inserted or re-ordered event, by its number.

Pure and streaming: batches and events are given in order, and of neither more than one batch is held. What is found
is kept to a bound, and counted beyond it.

A chain that was rewritten as a whole, consistently, is told by two things only: the stamps of an authority, and the
heads that were kept in a second place. Without either, ``Report.vouched`` says so.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TypeVar

from gateway.errors import LogProofInvalid, TimestampInvalid
from gateway.evidence.chain import (
    NOTHING,
    STATEMENT_BATCHES,
    BatchHeader,
    canonical,
    digest_of,
    ids_of,
    link,
    links_of,
    merkle_root,
    moment,
    read_header,
    read_statement,
)
from gateway.evidence.timestamp import Stamp
from gateway.model import LogBatch, LogEvent, LogStamp

T = TypeVar("T")

FINDINGS = 1000
"""Findings that are named; more are counted."""
_PAIRED = 150
"""Events out of place that are compared with one another: at most this many of each kind."""
_TAIL = 1000
"""Events not sealed yet that are compared with those that are missing."""


class Fault(enum.StrEnum):
    """One kind of finding."""

    CHANGED = "changed"
    """An event is not what was sealed under its number."""
    REMOVED = "removed"
    """A sealed event is gone, or on SQLite a number is missing."""
    INSERTED = "inserted"
    """An event stands among the sealed ones and was not sealed."""
    REORDERED = "reordered"
    """Sealed events stand under other numbers than their own."""
    BATCH_BROKEN = "batch_broken"
    """A batch does not hold together, or not with the one before; its events cannot be told apart."""
    BATCH_MISSING = "batch_missing"
    STAMP_BROKEN = "stamp_broken"
    """A statement is not about the batches that there are, or its token is not over it, or of nobody believed."""
    STAMP_MISSING = "stamp_missing"
    TAIL_MISSING = "tail_missing"
    """The second place knows batches that the ledger does not have: the end was cut off, or an older copy is in use."""
    HEAD_DIFFERS = "head_differs"
    """The second place has another head for a batch: one of the two was rewritten."""
    HEADS_UNREADABLE = "heads_unreadable"
    """A line of the second place cannot be read."""


@dataclass(frozen=True, kw_only=True)
class Head:
    """What a second place knows of one batch."""

    batch: int
    last: int
    """Number of its last event."""
    sha256: str
    """Of its header, lower-case hex."""


@dataclass(frozen=True, kw_only=True)
class Wait:
    """How long something went without a stamp; until it had one, whoever rewrote it would not have been found out."""

    event: int
    """Its number."""
    at: datetime
    """When it says that it happened."""
    stamped_at: datetime

    @property
    def length(self) -> timedelta:
        return self.stamped_at - self.at


@dataclass(frozen=True, kw_only=True)
class LogFinding:
    """One thing that is not as it was."""

    fault: Fault
    events: tuple[int, ...] = ()
    """Their numbers; of a whole batch the first and the last."""
    batch: int | None = None
    detail: str = ""
    """English, for people; no content of events."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What came of looking at the whole log."""

    findings: tuple[LogFinding, ...]
    more: int
    """Findings beyond those that are named."""
    events: int
    """Events that are what was sealed."""
    batches: int
    unsealed: int
    """Events since the last batch: neither good nor bad yet."""
    stamps: int
    """Tokens that hold."""
    untrusted_stamps: int
    """Of these, tokens that are over their statement, while no anchors were given to trust their authority by."""
    stamped_to: int
    """Number of the last event that a token covers; 0 when there is none."""
    stamped_at: datetime | None
    """Of the last token."""
    longest_wait: Wait | None
    """Of an event for its stamp; ``None`` without stamps. Who has a rewritten log stamped anew cannot date back."""
    heads: int
    """Batches whose head the second place has too."""

    @property
    def vouched(self) -> bool:
        """Whether anything from outside the ledger vouches for any of it."""
        return self.stamps > self.untrusted_stamps or self.heads > 0


@dataclass(frozen=True)
class _Sealed:
    """One event as a batch has it."""

    id: int
    previous: bytes
    link: bytes
    batch: int

    def fits(self, event: LogEvent) -> bool:
        """Whether this is the event that was sealed here, whatever number it has now."""
        return link(self.previous, canonical(replace(event, id=self.id))) == self.link


class _Findings:
    """What was found, to a bound."""

    def __init__(self) -> None:
        self.named: list[LogFinding] = []
        self.more = 0

    def add(self, fault: Fault, *, events: tuple[int, ...] = (), batch: int | None = None, detail: str = "") -> None:
        if len(self.named) < FINDINGS:
            self.named.append(LogFinding(fault=fault, events=events, batch=batch, detail=detail))
        else:
            self.more += 1


class _OutOfPlace:
    """Events that are not where they should be; some of them may only have changed their places."""

    def __init__(self, findings: _Findings) -> None:
        self._findings = findings
        self._changed: list[tuple[_Sealed, LogEvent]] = []
        self._removed: list[_Sealed] = []
        self._inserted: list[tuple[LogEvent, int | None]] = []
        self._later: list[LogEvent] = []

    def changed(self, sealed: _Sealed, event: LogEvent) -> None:
        """Under this number stands another event than the one sealed."""
        if not _kept(self._changed, (sealed, event)):
            self._findings.add(Fault.CHANGED, events=(sealed.id,), batch=sealed.batch)

    def removed(self, sealed: _Sealed) -> None:
        """Under this number stands nothing."""
        if not _kept(self._removed, sealed):
            self._findings.add(Fault.REMOVED, events=(sealed.id,), batch=sealed.batch)

    def inserted(self, event: LogEvent, batch: int | None) -> None:
        """Under this number nothing was sealed."""
        if not _kept(self._inserted, (event, batch)):
            self._findings.add(Fault.INSERTED, events=(event.id,), batch=batch)

    def later(self, event: LogEvent) -> None:
        """An event that is not sealed yet: one that was sealed may have been given its number."""
        if len(self._later) < _TAIL:
            self._later.append(event)

    def settle(self) -> None:
        """Say of each what became of it: in another place, or changed, removed, inserted."""
        moved = self._moved()
        for group in _joined(moved):
            self._findings.add(Fault.REORDERED, events=tuple(sorted(group)))
        placed = {number for pair in moved for number in pair}
        for sealed, _ in self._changed:
            if sealed.id not in placed:
                self._findings.add(Fault.CHANGED, events=(sealed.id,), batch=sealed.batch)
        for sealed in self._removed:
            if sealed.id not in placed:
                self._findings.add(Fault.REMOVED, events=(sealed.id,), batch=sealed.batch)
        for event, batch in self._inserted:
            if event.id not in placed:
                self._findings.add(Fault.INSERTED, events=(event.id,), batch=batch)

    def _moved(self) -> list[tuple[int, int]]:
        """The number under which an event was sealed, and the one that it has now."""
        sought = [sealed for sealed, _ in self._changed] + self._removed
        strange = [event for _, event in self._changed] + [event for event, _ in self._inserted]
        if self._removed:
            strange += self._later
        return [(one.id, event.id) for one in sought for event in strange if one.id != event.id and one.fits(event)]


def _kept(suspects: list[T], one: T) -> bool:
    if len(suspects) >= _PAIRED:
        return False
    suspects.append(one)
    return True


def _joined(pairs: Iterable[tuple[int, int]]) -> list[set[int]]:
    """Pairs that share a number, as one."""
    groups: list[set[int]] = []
    for pair in pairs:
        touched = [group for group in groups if not group.isdisjoint(pair)]
        groups = [group for group in groups if group.isdisjoint(pair)]
        groups.append(set(pair).union(*touched))
    return groups


class _Stamps:
    """The statements, each held against the batches that it is about."""

    def __init__(self, stamps: Iterator[LogStamp], findings: _Findings, check: Callable[[bytes, bytes], Stamp]) -> None:
        self._stamps = stamps
        self._findings = findings
        self._check = check
        self._next = next(stamps, None)
        self._number, self._previous = 0, NOTHING
        self._first = 1
        self._hashes: list[bytes] = []
        self._oldest: tuple[datetime, int] | None = None
        self.count = self.untrusted = 0
        self.to = 0
        self.at: datetime | None = None
        self.longest: Wait | None = None

    def batch(self, number: int, last_id: int, digest: bytes, oldest: tuple[datetime, int] | None) -> None:
        """
        A batch that there is; what no statement is about is not kept.

        :param oldest: the moment and number of its first event.
        """
        if self._next is None:
            return
        if oldest is not None:
            self._oldest = min(oldest, self._oldest or oldest)
        # One that is missing leaves its place empty, so that the root differs.
        self._hashes += [NOTHING] * min(number - self._first - len(self._hashes), STATEMENT_BATCHES)
        self._hashes.append(digest)
        if number >= self._next.last_batch:
            done, self._next = self._next, next(self._stamps, None)
            self._statement(done, last_id)
            if done.token is None and self._next is not None:
                # There is a next one only when this one was stamped.
                self._findings.add(Fault.STAMP_MISSING, batch=done.last_batch, detail="its token was removed")
            self._first, self._hashes, self._oldest = number + 1, [], None

    def end(self) -> None:
        """There are no more batches; what statements are still about is gone."""
        while self._next is not None:
            self._findings.add(Fault.TAIL_MISSING, batch=self._next.last_batch, detail="a statement is about it")
            self._next = next(self._stamps, None)

    def _statement(self, stamp: LogStamp, last_id: int) -> None:
        trouble = self._trouble(stamp)
        self._number, self._previous = stamp.number, digest_of(stamp.statement)
        if trouble is None and stamp.token is not None:
            try:
                found = self._check(stamp.token, self._previous)
            except TimestampInvalid as e:
                trouble = e.detail
            else:
                self.count += 1
                self.untrusted += not found.trusted
                self.to, self.at = last_id, found.at
                self._measure(found.at)
        if trouble is not None:
            self._findings.add(Fault.STAMP_BROKEN, batch=stamp.last_batch, detail=trouble)

    def _measure(self, stamped_at: datetime) -> None:
        if self._oldest is None:
            return
        wait = Wait(event=self._oldest[1], at=self._oldest[0], stamped_at=stamped_at)
        if self.longest is None or wait.length > self.longest.length:
            self.longest = wait

    def _trouble(self, stamp: LogStamp) -> str | None:
        """Why a statement is not one about these batches; ``None`` when it is."""
        if stamp.number != self._number + 1:
            self._findings.add(Fault.STAMP_MISSING, detail=f"statements {self._number + 1} to {stamp.number - 1}")
        try:
            said = read_statement(stamp.statement)
        except LogProofInvalid as e:
            return e.detail
        if (said.number, said.last) != (stamp.number, stamp.last_batch):
            return "the row and its statement name different numbers"
        if stamp.number == self._number + 1 and said.previous != self._previous.hex():
            return "it does not continue the statement before"
        # After a statement that is missing, what it was about is not known.
        hashes = self._hashes[max(said.first - self._first, 0) :]
        if said.last - said.first + 1 != len(hashes) or merkle_root(hashes).hex() != said.root:
            return "it is about other batches than there are"
        return None


class _Heads:
    """The second place, held against the batches that there are."""

    def __init__(self, heads: Iterator[Head | None], findings: _Findings) -> None:
        self._heads = heads
        self._findings = findings
        self._before: int | None = None
        self._unreadable = False
        self._next = self._read()
        self.count = 0

    def _read(self) -> Head | None:
        """The next line that can be read, once; ``None`` at the end."""
        for head in self._heads:
            if head is None:
                # A line that a full disk cut off is said again whole.
                self._unreadable = True
                continue
            if self._before is not None and head.batch != self._before + 1:
                self._findings.add(
                    Fault.HEADS_UNREADABLE, batch=head.batch, detail=f"lines after batch {self._before} are missing"
                )
            self._before, self._unreadable = head.batch, False
            return head
        if self._unreadable:
            self._findings.add(Fault.HEADS_UNREADABLE, detail="the end of the file")
        return None

    def batch(self, number: int, last_id: int, digest: bytes) -> None:
        """A batch that there is."""
        while self._next is not None and self._next.batch < number:
            self._next = self._read()
        if self._next is None or self._next.batch != number:
            return
        if (self._next.sha256, self._next.last) == (digest.hex(), last_id):
            self.count += 1
        else:
            self._findings.add(Fault.HEAD_DIFFERS, batch=number, detail="one of the two was rewritten")
        self._next = self._read()

    def end(self) -> None:
        """There are no more batches."""
        first = last = self._next
        while self._next is not None:
            last, self._next = self._next, self._read()
        if first is not None and last is not None:
            detail = f"batches {first.batch} to {last.batch}, up to event {last.last}"
            self._findings.add(Fault.TAIL_MISSING, events=(last.last,), batch=first.batch, detail=detail)


class Audit:
    """One look at a log, from its first batch to its end."""

    def __init__(
        self,
        *,
        stamps: Iterator[LogStamp],
        heads: Iterator[Head | None],
        check: Callable[[bytes, bytes], Stamp],
        gapless: bool,
    ) -> None:
        """
        Begin before the first batch.

        :param stamps: all statements by number.
        :param heads: the lines of the second place in their order, ``None`` for one that cannot be read.
        :param check: ``check(token, digest)``: as ``check_token`` with the anchors given; raises ``TimestampInvalid``.
        :param gapless: whether a number that is missing is an event that was removed (SQLite).
        """
        self._findings = _Findings()
        self._places = _OutOfPlace(self._findings)
        self._stamps = _Stamps(stamps, self._findings, check)
        self._heads = _Heads(heads, self._findings)
        self._gapless = gapless
        self._events = self._batches = self._unsealed = 0
        self._number = 0
        """Of the batch before."""
        self._last_id = 0
        """Of the last event before the batch in hand."""
        self._head = NOTHING
        self._header: bytes | None = NOTHING
        """Hash of the header before; ``None`` when that is missing or unreadable, and anything may follow."""

    def batch(self, batch: LogBatch, events: Iterable[LogEvent]) -> None:
        """
        Look at the next batch.

        :param events: all that have numbers after the batch before and up to ``batch.last_id``, by number.
        """
        self._batches += 1
        if batch.number > self._number + 1:
            detail = f"batches {self._number + 1} to {batch.number - 1}"
            self._findings.add(Fault.BATCH_MISSING, batch=self._number + 1, detail=detail)
            self._header = None
        digest = digest_of(batch.header)
        self._heads.batch(batch.number, batch.last_id, digest)
        header = self._read(batch)
        sealed = None if header is None else self._sealed(batch, header)
        oldest = None
        if sealed is not None:
            oldest = self._compare(batch.number, sealed, events)
        else:
            for _ in events:  # read past; which of them are what was sealed cannot be told
                pass
        self._stamps.batch(batch.number, batch.last_id, digest, oldest)
        self._head = NOTHING if header is None else bytes.fromhex(header.head)
        self._header = None if header is None else digest
        self._number, self._last_id = batch.number, max(self._last_id, batch.last_id)

    def end(self, events: Iterable[LogEvent], *, last_given: int | None) -> Report:
        """
        Look at what is not sealed yet, and say what was found.

        :param events: all after the last batch, by number.
        :param last_given: the last number that the engine gave to an event; ``None`` where numbers come to nothing.
        """
        before = self._last_id
        for event in events:
            if event.id < 1:  # numbers begin at 1, so nothing of this kind is ever going to be sealed
                self._places.inserted(event, None)
                continue
            self._unsealed += 1
            self._places.later(event)
            before = self._miss_numbers(before, event.id)
        if last_given is not None:
            self._miss_numbers(before, last_given + 1)
        self._places.settle()
        self._stamps.end()
        self._heads.end()
        return Report(
            findings=tuple(self._findings.named),
            more=self._findings.more,
            events=self._events,
            batches=self._batches,
            unsealed=self._unsealed,
            stamps=self._stamps.count,
            untrusted_stamps=self._stamps.untrusted,
            stamped_to=self._stamps.to,
            stamped_at=self._stamps.at,
            longest_wait=self._stamps.longest,
            heads=self._heads.count,
        )

    def _read(self, batch: LogBatch) -> BatchHeader | None:
        try:
            header = read_header(batch.header)
        except LogProofInvalid as e:
            self._break(batch, e.detail)
            return None
        if (header.number, header.last) != (batch.number, batch.last_id):
            self._break(batch, "the row and its header name different numbers")
            return None
        return header

    def _sealed(self, batch: LogBatch, header: BatchHeader) -> list[_Sealed] | None:
        """The events as they were sealed; ``None``, and a finding, when the batch does not hold together."""
        before = self._header
        if before is not None and (header.previous, header.previous_link) != (before.hex(), self._head.hex()):
            self._break(batch, "it does not continue the batch before")
        ids, links = ids_of(batch), links_of(batch)
        if len(ids) != header.count or sha256(batch.ids).hexdigest() != header.ids:
            self._break(batch, "its list of numbers was changed")
            return None
        if len(links) != header.count or merkle_root(links).hex() != header.root:
            self._break(batch, "its links were changed")
            return None
        previous = [bytes.fromhex(header.previous_link), *links[:-1]]
        return [_Sealed(*one, batch.number) for one in zip(ids, previous, links, strict=True)]

    def _break(self, batch: LogBatch, detail: str) -> None:
        self._findings.add(
            Fault.BATCH_BROKEN, events=(self._last_id + 1, batch.last_id), batch=batch.number, detail=detail
        )

    def _compare(self, number: int, sealed: list[_Sealed], events: Iterable[LogEvent]) -> tuple[datetime, int] | None:
        """Hold events against what was sealed; the moment and number of the first that is what it was."""
        first: LogEvent | None = None
        expected = {one.id: one for one in sealed}
        if self._header is not None:
            before = self._last_id
            for one in sealed:
                before = self._miss_numbers(before, one.id)
        for event in events:
            found = expected.pop(event.id, None)
            if found is None:
                # When a batch before this one is missing, these may be its.
                if self._header is not None or event.id >= sealed[0].id:
                    self._places.inserted(event, number)
            elif link(found.previous, canonical(event)) == found.link:
                self._events += 1
                first = first or event
            else:
                self._places.changed(found, event)
        for one in expected.values():
            self._places.removed(one)
        return None if first is None else _dated(first)

    def _miss_numbers(self, before: int, number: int) -> int:
        """Where every number is an event's: those between were removed, and before they were sealed."""
        if self._gapless and number > before + 1:
            events = tuple(dict.fromkeys((before + 1, number - 1)))
            self._findings.add(Fault.REMOVED, events=events, detail="before it was sealed")
        return number


def _dated(event: LogEvent) -> tuple[datetime, int] | None:
    try:
        return moment(event.at), event.id
    except (TypeError, ValueError):
        return None  # it was sealed with a moment that is none: somebody wrote it in himself
