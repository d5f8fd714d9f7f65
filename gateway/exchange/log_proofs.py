"""Proofs that a document's events are in the event log, for its evidence."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.errors import LogProofInvalid
from gateway.evidence.chain import EventProof, prove, read_statement
from gateway.ledger.chain import EventLog
from gateway.model import LogBatch, LogEvent, LogStamp

_EVENTS = 10_000
"""Of one document; one that was repeated, replayed and asked after for years has a few hundred."""


def inclusion(log: EventLog, document_id: str) -> tuple[EventProof, ...]:
    """
    One proof for each event of a document that is sealed by now, oldest first; empty for a document unknown.

    An event is sealed within seconds of its happening. A proof of one whose batch is not stamped yet has no token:
    it will be there later.

    :raises LogProofInvalid: the log was tampered with where these events are; ``gateway log verify`` says how.
    """
    events = log.of(document_id, limit=_EVENTS)
    batches: dict[int, LogBatch] = {}
    stamps: dict[int, tuple[LogStamp | None, list[str]]] = {}
    proofs = []
    for event in events:
        batch = _batch_of(event, log, batches)
        if batch is None:
            break  # not sealed yet, and nothing later is
        if batch.number not in stamps:
            stamps[batch.number] = _stamp_of(batch, log, stamps)
        stamp, headers = stamps[batch.number]
        proofs.append(prove(event, batch, stamp=stamp, headers=headers))
    return tuple(proofs)


def _batch_of(event: LogEvent, log: EventLog, known: dict[int, LogBatch]) -> LogBatch | None:
    """The batch of an event; that of the event before is asked first, since they often share one."""
    newest = known.get(max(known, default=0))
    batch = newest if newest is not None and event.id <= newest.last_id else log.batch_of(event.id)
    if batch is not None:
        known[batch.number] = batch
    return batch


def _stamp_of(
    batch: LogBatch, log: EventLog, known: Mapping[int, tuple[LogStamp | None, list[str]]]
) -> tuple[LogStamp | None, list[str]]:
    for stamp, headers in known.values():
        if stamp is not None and read_statement(stamp.statement).first <= batch.number <= stamp.last_batch:
            return stamp, headers
    stamp = log.stamp_of(batch.number)
    if stamp is None or stamp.token is None:
        return None, []
    statement = read_statement(stamp.statement)
    headers = log.headers_between(statement.first, statement.last)
    if len(headers) != statement.last - statement.first + 1:
        raise LogProofInvalid("Batches of the event log are missing; `gateway log verify` says which.")
    return stamp, headers
