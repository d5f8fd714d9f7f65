"""Looking at the whole event log: reading it from the ledger, a batch at a time, for ``gateway.evidence.audit``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from cryptography import x509

from gateway.errors import SettingsInvalid
from gateway.evidence.audit import Audit, Head, Report
from gateway.evidence.timestamp import Stamp, check_token
from gateway.exchange.sealing import heads_in
from gateway.ledger.chain import EventLog
from gateway.model import LogBatch, LogEvent, LogStamp

_EVENTS = 1024
_BATCHES = 16
_STAMPS = 100
_BEFORE_ALL = -(2**63)
"""Numbers begin at 1; somebody who slips an event in may choose another."""


def audit(
    log: EventLog,
    *,
    anchors: Sequence[x509.Certificate] = (),
    crls: Sequence[bytes] = (),
    heads: Path | None = None,
) -> Report:
    """
    Hold the event log against what was sealed, from its first event to its last; only reads.

    May be done while the gateway works: what happens meanwhile counts as not sealed yet.

    :param anchors: whom to believe for time-stamps; empty: that tokens are over the log is checked, and nobody trusted.
    :param crls: revocation lists, DER, that the authorities' certificates are held against.
    :param heads: the second place's file, when there is one.
    :raises SettingsInvalid: that file cannot be read.
    """
    # Measured before the ledger is read: what it has gained since, the ledger has too.
    lines: Iterator[Head | None] = iter(()) if heads is None else _lines(heads)
    given = log.last_given()
    look = Audit(stamps=_stamps(log), heads=lines, check=partial(_check, anchors, crls), gapless=given is not None)
    last_id = _BEFORE_ALL
    for batch in _batches(log):
        look.batch(batch, _events(log, last_id, batch.last_id))
        last_id = max(last_id, batch.last_id)
    # Asked again before the events: one that happens in between has a number after this one.
    return look.end(_events(log, last_id, None), last_given=log.last_given())


def _check(anchors: Sequence[x509.Certificate], crls: Sequence[bytes], token: bytes, digest: bytes) -> Stamp:
    return check_token(token, digest, anchors, crls=crls)


def _lines(path: Path) -> Iterator[Head | None]:
    try:
        size = path.stat().st_size
        with path.open("rb"):
            pass
    except OSError as e:
        raise SettingsInvalid(f"The file of heads {path} cannot be read: {e.strerror}.") from e
    return heads_in(path, size=size)


def _batches(log: EventLog) -> Iterator[LogBatch]:
    number = 0
    while some := log.batches_after(number, limit=_BATCHES):
        yield from some
        number = some[-1].number


def _stamps(log: EventLog) -> Iterator[LogStamp]:
    number = 0
    while some := log.stamps_after(number, limit=_STAMPS):
        # One that waits may have its token, and a successor, by the time of the next look: it is read with that again.
        whole = len(some) < _STAMPS
        if not whole and some[-1].token is None:
            some.pop()
        yield from some
        if whole:
            return
        number = some[-1].number


def _events(log: EventLog, after: int, to: int | None) -> Iterator[LogEvent]:
    while some := log.between(after, to, limit=_EVENTS):
        yield from some
        if len(some) < _EVENTS:
            return
        after = some[-1].id
