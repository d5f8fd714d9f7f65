"""The event log's chain in tests: stamps by the test authority, without a network."""

from __future__ import annotations

from datetime import datetime

from gateway.evidence.chain import digest_of, read_statement, state
from gateway.ledger import Ledger
from tests.support import pki


def stamped(ledger: Ledger, *, at: datetime = pki.NOW) -> None:
    """Let the test authority stamp everything that is sealed and has no stamp."""
    log = ledger.log
    before = log.newest_stamp()
    first = 1 if before is None else read_statement(before.statement).last + 1
    newest = log.newest_batch()
    assert newest is not None
    headers = log.headers_between(first, newest.number)
    stamp = state(headers, after=before, gateway="H37", first=first, now=at)
    assert log.add_stamp(stamp)
    token = pki.timestamp_token(digest_of(stamp.statement), at=at)
    assert log.stamped(stamp.number, token=token, at=at, now=at)
