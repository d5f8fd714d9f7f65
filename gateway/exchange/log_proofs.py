"""Proofs that a document's events are in the event log, for its evidence."""

from __future__ import annotations

from gateway.errors import LogProofInvalid
from gateway.evidence.chain import EventProof, prove, read_statement
from gateway.ledger.chain import EventLog
from gateway.model import LogBatch, LogStamp

_EVENTS = 10_000
"""Of one document; one that was repeated, replayed and asked after for years has a few hundred."""


def inclusion(log: EventLog, document_id: str) -> tuple[EventProof, ...]:
    """
    One proof for each event of a document that is sealed by now, oldest first; empty for a document unknown.

    An event is sealed within seconds of its happening. A proof of one whose batch is not stamped yet has no token:
    it will be there later.

    :raises LogProofInvalid: the log was tampered with where these events are; ``gateway log verify`` says how.
    """
    proofs: list[EventProof] = []
    # Events come in the order of their numbers, and batches and statements in the same: one of each is held.
    batch: LogBatch | None = None
    stamp: LogStamp | None = None
    headers: list[str] = []
    for event in log.of(document_id, limit=_EVENTS):
        if batch is None or event.id > batch.last_id:
            batch = log.batch_of(event.id)
            if batch is None:
                break  # not sealed yet, and nothing later is
            if stamp is None or batch.number > stamp.last_batch:
                stamp, headers = _stamp_of(batch, log)
        proofs.append(prove(event, batch, stamp=stamp, headers=headers))
    return tuple(proofs)


def _stamp_of(batch: LogBatch, log: EventLog) -> tuple[LogStamp | None, list[str]]:
    stamp = log.stamp_of(batch.number)
    if stamp is None or stamp.token is None:
        return None, []
    statement = read_statement(stamp.statement)
    headers = log.headers_between(statement.first, statement.last)
    if len(headers) != statement.last - statement.first + 1:
        raise LogProofInvalid("Batches of the event log are missing; `gateway log verify` says which.")
    return stamp, headers
