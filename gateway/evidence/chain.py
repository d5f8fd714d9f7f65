"""
The chain of the event log: what makes a changed, removed, inserted or re-ordered event visible.

Pure: bytes in, bytes out. Everything is SHA-256.

- An *event* is hashed as JSON of fixed form (``canonical``).
- A *link* is the hash of the link before it and of the event's hash, so that it stands for all events so far.
- A *batch* is some events in a row. Its header names the Merkle root of their links (RFC 6962 §2.1: one event is proved
  by a few hashes), the last link, and the hash of the header before it.
- A *statement* names the Merkle root of the headers of all batches since the statement before it, and is what a
  time-stamp authority signs (RFC 3161). One stamp covers everything up to it, and a proof stays small however
  long the authority was silent.

Headers and statements are hashed as they stand, so that ``openssl ts -verify -data statement.json`` judges a stamp.

Source: docs/decisions/0035.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, TypeVar

from gateway.errors import LogProofInvalid
from gateway.model import LogBatch, LogEvent, LogStamp

T = TypeVar("T", "BatchHeader", "Statement")

BATCH_EVENTS = 1024
"""Events of one batch at most: what is hashed, held and read at a time."""
STATEMENT_BATCHES = 65_536
"""Batches of one statement at most: after a long silence several statements catch up."""
NOTHING = bytes(32)
"""Stands before the first link, the first header and the first statement."""

_ID_BYTES, _HASH_BYTES = 8, 32
_LEAF, _NODE = b"\x00", b"\x01"
_VERSION = 1
_HEX = re.compile(r"[0-9a-f]{64}")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_LARGEST = 2**63 - 1
_PROOF_BYTES = 1024 * 1024
_PATH = 64
"""Hashes of an audit path at most: enough for 2**64 leaves."""


# Hashes


def canonical(event: LogEvent) -> bytes:
    """
    The bytes of an event that are hashed: JSON with these members in this order and no white space.

    Its ``data`` stands last, exactly as it is stored, so that no two different rows have the same bytes.
    """
    head = {
        "id": event.id,
        "at": event.at,
        "action": event.action,
        "document": event.document,
        "delivery": event.delivery,
        "actor": event.actor,
    }
    # Only in a database that somebody edited are there other things than texts, or texts that are not UTF-8.
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":"), default=repr)
    return f'{text[:-1]},"data":{event.data}}}'.encode("utf-8", "surrogateescape")


def link(previous: bytes, event: bytes) -> bytes:
    """The link of an event, given its canonical bytes and the link before it."""
    return sha256(previous + sha256(_LEAF + event).digest()).digest()


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """
    The root of the tree over these leaves.

    :param leaves: at least one; of any length each.

    Source: RFC 6962 §2.1.
    """
    level = [sha256(_LEAF + leaf).digest() for leaf in leaves]
    # Pairs from the left, an odd one rises as it is: the same tree as RFC 6962's recursion from the top.
    while len(level) > 1:
        level = _raised(level)
    return level[0]


def merkle_path(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """
    The hashes that lead from one leaf to the root, from the bottom up.

    Source: RFC 6962 §2.1.1.
    """
    level = [sha256(_LEAF + leaf).digest() for leaf in leaves]
    path = []
    while len(level) > 1:
        beside = index ^ 1
        if beside < len(level):
            path.append(level[beside])
        level, index = _raised(level), index // 2
    return tuple(path)


def _raised(level: Sequence[bytes]) -> list[bytes]:
    pairs = zip(level[::2], level[1::2], strict=False)
    above = [sha256(_NODE + left + right).digest() for left, right in pairs]
    return above + list(level[len(level) & ~1 :])


def root_from(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """
    The root that a leaf and its path lead to in a tree of that size; ``None`` when the path does not fit.

    Source: RFC 9162 §2.1.3.2.
    """
    if not 0 <= index < size:
        return None
    node, last, rest = sha256(_LEAF + leaf).digest(), size - 1, list(path)
    while last:
        if index & 1 or index < last:
            if not rest:
                return None
            beside = rest.pop(0)
            node = sha256(_NODE + beside + node if index & 1 else _NODE + node + beside).digest()
        index, last = index >> 1, last >> 1
    return None if rest else node


def digest_of(text: str) -> bytes:
    """The hash of a header or a statement."""
    return sha256(text.encode("utf-8", "surrogateescape")).digest()


# Batches


@dataclass(frozen=True, kw_only=True)
class BatchHeader:
    """What is said of a batch; hashes in lower-case hex."""

    gateway: str
    """Code of the gateway whose log it is."""
    number: int
    first: int
    """Id of its first event."""
    last: int
    count: int
    """Events; fewer than ``last - first + 1`` where the database gave a number and then took its event back."""
    ids: str
    """Hash of the ids, 8 bytes each, big-endian."""
    root: str
    """Merkle root of the links."""
    head: str
    """The last link."""
    previous_link: str
    """The last link of the batch before."""
    previous: str
    """Hash of the header before."""
    sealed_at: str
    """ISO 8601, UTC, microseconds; the gateway's own clock."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What is said of the batches since the statement before; the text that a time-stamp authority signs."""

    gateway: str
    number: int
    first: int
    """Number of the first batch."""
    last: int
    root: str
    """Merkle root of the hashes of these batches' headers."""
    previous: str
    """Hash of the statement before."""
    made_at: str


_KINDS: dict[type[BatchHeader | Statement], str] = {
    BatchHeader: "gateway log batch",
    Statement: "gateway log statement",
}


def _written(said: BatchHeader | Statement) -> str:
    facts = {f.name: getattr(said, f.name) for f in fields(said)}
    text = {"kind": _KINDS[type(said)], "version": _VERSION, **facts}
    return json.dumps(text, ensure_ascii=False, separators=(",", ":"))


def _read(text: str, kind: type[T]) -> T:
    """
    What a text says that ``_written`` has written.

    :raises LogProofInvalid: it is anything else.
    """
    try:
        facts: dict[str, Any] = json.loads(text)
        if facts.pop("kind") != _KINDS[kind] or facts.pop("version") != _VERSION:
            raise LogProofInvalid("A batch or a statement of the event log is of a kind that is not known.")
        said = kind(**facts)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as e:
        raise LogProofInvalid("A batch or a statement of the event log cannot be read.") from e
    for field in fields(said):
        value = getattr(said, field.name)
        if field.type == "int":
            fits = type(value) is int and 0 < value <= _LARGEST
        elif field.name == "gateway":
            fits = isinstance(value, str)
        else:
            fits = isinstance(value, str) and bool((_MOMENT if field.name.endswith("_at") else _HEX).fullmatch(value))
        if not fits:
            raise LogProofInvalid(f"A batch or a statement of the event log has a wrong member {field.name}.")
    if _written(said) != text:
        raise LogProofInvalid("A batch or a statement of the event log is not in its own form.")
    return said


def read_header(text: str) -> BatchHeader:
    """
    What a batch's header says.

    :raises LogProofInvalid: it is not one, to the letter.
    """
    return _read(text, BatchHeader)


def read_statement(text: str) -> Statement:
    """
    What a statement says.

    :raises LogProofInvalid: it is not one, to the letter.
    """
    return _read(text, Statement)


def spelled(at: datetime) -> str:
    """A moment as headers and events have it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment(text: str) -> datetime:
    """A moment of a header or an event that was read; raises ``ValueError`` for a day that does not exist."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def seal(events: Sequence[LogEvent], *, after: LogBatch | None, gateway: str, now: datetime) -> LogBatch:
    """
    One batch of these events.

    :param events: at least one, at most ``BATCH_EVENTS``, by id, all later than those of ``after``.
    :param after: the newest batch; ``None`` for the first. One that was tampered with is continued as it stands:
        who reads the log sees that it is broken, and what happens next is sealed all the same.
    """
    previous = previous_link = NOTHING
    if after is not None:
        previous, previous_link = digest_of(after.header), _last_link(after)
    links, head = [], previous_link
    for event in events:
        head = link(head, canonical(event))
        links.append(head)
    ids = b"".join(event.id.to_bytes(_ID_BYTES, "big") for event in events)
    header = BatchHeader(
        gateway=gateway,
        number=1 if after is None else after.number + 1,
        first=events[0].id,
        last=events[-1].id,
        count=len(events),
        ids=sha256(ids).hexdigest(),
        root=merkle_root(links).hex(),
        head=head.hex(),
        previous_link=previous_link.hex(),
        previous=previous.hex(),
        sealed_at=spelled(now),
    )
    return LogBatch(number=header.number, last_id=header.last, header=_written(header), ids=ids, links=b"".join(links))


def _last_link(batch: LogBatch) -> bytes:
    try:
        return bytes.fromhex(read_header(batch.header).head)
    except LogProofInvalid:
        return (NOTHING, *links_of(batch))[-1]


def ids_of(batch: LogBatch) -> tuple[int, ...]:
    """The ids of a batch's events; a damaged tail is left out."""
    whole = len(batch.ids) // _ID_BYTES * _ID_BYTES
    return tuple(int.from_bytes(batch.ids[n : n + _ID_BYTES], "big") for n in range(0, whole, _ID_BYTES))


def links_of(batch: LogBatch) -> tuple[bytes, ...]:
    """The links of a batch's events; a damaged tail is left out."""
    whole = len(batch.links) // _HASH_BYTES * _HASH_BYTES
    return tuple(batch.links[n : n + _HASH_BYTES] for n in range(0, whole, _HASH_BYTES))


def state(headers: Sequence[str], *, after: LogStamp | None, gateway: str, first: int, now: datetime) -> LogStamp:
    """
    A statement about batches, not stamped yet.

    :param headers: at least one, at most ``STATEMENT_BATCHES``, in order.
    :param after: the statement before; ``None`` for the first.
    :param first: number of the first of these batches.
    """
    statement = Statement(
        gateway=gateway,
        number=1 if after is None else after.number + 1,
        first=first,
        last=first + len(headers) - 1,
        root=merkle_root([digest_of(header) for header in headers]).hex(),
        previous=(NOTHING if after is None else digest_of(after.statement)).hex(),
        made_at=spelled(now),
    )
    return LogStamp(
        number=statement.number, last_batch=statement.last, statement=_written(statement), token=None, made_at=now
    )


# Proofs


@dataclass(frozen=True, kw_only=True)
class EventProof:
    """That one event is in the log, and since when at the latest; needs nothing else but the authority's anchor."""

    event: bytes
    """Its canonical bytes: JSON."""
    previous_link: bytes
    index: int
    """Its place in its batch, from 0."""
    path: tuple[bytes, ...]
    """From its link to the batch's root."""
    header: str
    statement: str | None = None
    """About its batch and others; ``None``: not stamped yet."""
    header_path: tuple[bytes, ...] = ()
    """From the header's hash to the statement's root."""
    token: bytes | None = None
    """RFC 3161 token over the statement, DER; ``None``: not stamped yet."""

    def as_json(self) -> dict[str, Any]:
        """As it stands in an evidence file: texts as they are, bytes in base64, hashes in hex."""
        return {
            "event": self.event.decode("utf-8", "surrogateescape"),
            "previous_link": self.previous_link.hex(),
            "index": self.index,
            "path": [one.hex() for one in self.path],
            "header": self.header,
            "statement": self.statement,
            "header_path": [one.hex() for one in self.header_path],
            "token": None if self.token is None else b64encode(self.token).decode("ascii"),
        }

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> EventProof:
        """
        A proof as an evidence file has it; nothing is judged yet.

        :raises LogProofInvalid: a member is missing, of the wrong kind, or larger than any real one.
        """
        try:
            texts = [facts["event"], facts["header"], facts["statement"] or "", facts["token"] or ""]
            if sum(len(text) for text in texts) > _PROOF_BYTES or type(facts["index"]) is not int:
                raise LogProofInvalid("A proof of the event log is not of the size or kind that it should be.")
            return cls(
                event=facts["event"].encode("utf-8"),
                previous_link=_hash(facts["previous_link"]),
                index=facts["index"],
                path=_hashes(facts["path"]),
                header=facts["header"],
                statement=facts["statement"],
                header_path=_hashes(facts["header_path"]),
                token=None if facts["token"] is None else b64decode(facts["token"], validate=True),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as e:
            raise LogProofInvalid("A proof of the event log lacks a member, or one is of the wrong kind.") from e


def _hash(text: str) -> bytes:
    if not _HEX.fullmatch(text):
        raise LogProofInvalid("A hash in a proof of the event log is none.")
    return bytes.fromhex(text)


def _hashes(texts: Sequence[str]) -> tuple[bytes, ...]:
    if not isinstance(texts, list) or len(texts) > _PATH:
        raise LogProofInvalid("A path in a proof of the event log is longer than any real one.")
    return tuple(_hash(text) for text in texts)


@dataclass(frozen=True, kw_only=True)
class ProvenEvent:
    """What a proof says, once its hashes hold; who vouches for it is the token's, or the gateway's, to say."""

    event: LogEvent
    header: BatchHeader
    statement: Statement | None
    """``None``: no statement, so nobody outside the gateway vouches for it yet."""
    stamped: bytes | None
    """What the token must be over: the SHA-256 of the statement; ``None`` when there is none."""


def prove(
    event: LogEvent, batch: LogBatch, *, stamp: LogStamp | None = None, headers: Sequence[str] = ()
) -> EventProof:
    """
    The proof that an event is in its batch, and its batch under a stamp.

    :param stamp: the one that covers the batch; one without a token counts as none.
    :param headers: of all batches that the stamp covers, in order.
    :raises LogProofInvalid: the event is not among those sealed in the batch.
    """
    header, ids, links = read_header(batch.header), ids_of(batch), links_of(batch)
    if event.id not in ids or len(ids) != len(links):
        raise LogProofInvalid("The event is not among those that were sealed.")
    index = ids.index(event.id)
    proof = EventProof(
        event=canonical(event),
        previous_link=links[index - 1] if index else bytes.fromhex(header.previous_link),
        index=index,
        path=merkle_path(links, index),
        header=batch.header,
    )
    if stamp is None or stamp.token is None:
        return proof
    place = header.number - read_statement(stamp.statement).first
    return replace(
        proof,
        statement=stamp.statement,
        header_path=merkle_path([digest_of(text) for text in headers], place),
        token=stamp.token,
    )


def check_proof(proof: EventProof) -> ProvenEvent:
    """
    Hold every hash of a proof against the next, from the event up to what is stamped.

    The token itself is checked by ``gateway.evidence.timestamp.check_token`` against ``ProvenEvent.stamped``. Without
    a token the hashes show that the parts belong together, and no more.

    :param proof: from anywhere; not trusted.
    :raises LogProofInvalid: something does not lead to the next.
    """
    event, header = _read_event(proof.event), read_header(proof.header)
    own = link(proof.previous_link, proof.event)
    if root_from(own, proof.index, header.count, proof.path) != bytes.fromhex(header.root):
        raise LogProofInvalid("The event is not in the batch that its proof names: one of the two was changed.")
    if not header.first <= event.id <= header.last:
        raise LogProofInvalid("The event's number is not one of its batch.")
    if proof.statement is None:
        if proof.token is not None or proof.header_path:
            raise LogProofInvalid("The proof has a time-stamp without the statement that it is over.")
        return ProvenEvent(event=event, header=header, statement=None, stamped=None)
    statement = read_statement(proof.statement)
    size, place = statement.last - statement.first + 1, header.number - statement.first
    if root_from(digest_of(proof.header), place, size, proof.header_path) != bytes.fromhex(statement.root):
        raise LogProofInvalid("The batch is not among those that were stamped: one of the two was changed.")
    return ProvenEvent(event=event, header=header, statement=statement, stamped=digest_of(proof.statement))


def _read_event(text: bytes) -> LogEvent:
    """The event that canonical bytes are of; anything else, a member that stands twice included, is refused."""
    try:
        facts: dict[str, Any] = json.loads(text.decode("utf-8"), object_pairs_hook=_once)
        known = LogEvent(**{**facts, "data": ""})
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as e:
        raise LogProofInvalid("An event in a proof cannot be read.") from e
    start = canonical(known)[:-1]  # all but the data, and the brace that ends it
    fits = all(isinstance(one, str | None) for one in (known.document, known.delivery, known.actor))
    if not fits or type(known.id) is not int or not isinstance(known.action, str) or not text.startswith(start):
        raise LogProofInvalid("An event in a proof is not in its own form.")
    if not isinstance(known.at, str) or not _MOMENT.fullmatch(known.at) or not isinstance(facts["data"], dict):
        raise LogProofInvalid("An event in a proof has a member of the wrong kind.")
    return replace(known, data=text[len(start) : -1].decode("utf-8"))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    facts = dict(pairs)
    if len(facts) != len(pairs):
        raise ValueError("A member stands twice.")
    return facts
