"""One try: find where the document has to go now, send it there, and say how that ended."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from gateway.delivery import peer, push
from gateway.delivery.axes import axis_at, reach
from gateway.delivery.axis import Outgoing
from gateway.delivery.http import HttpClient
from gateway.delivery.lgsp import Tokens
from gateway.directory import Directory
from gateway.errors import GatewayError, PayloadMissing
from gateway.ledger.records import Claim, Delivered, DeliveryRow, DocumentSummary, Forwarded
from gateway.model import AgencyCode, Channel, Endpoint, Lane


@dataclass(frozen=True, kw_only=True)
class Group:
    """Claims that go out in one request: one, or several of one document to one gateway."""

    claims: tuple[Claim, ...]

    @property
    def via(self) -> AgencyCode:
        """Whose endpoint is used."""
        return self.claims[0].via

    @property
    def lane(self) -> Lane:
        """How urgent it is; one document has one lane."""
        return self.claims[0].lane


@dataclass(frozen=True, kw_only=True)
class Tried:
    """How one request ended."""

    group: Group
    result: Delivered | Forwarded | GatewayError


def grouped(claims: Iterable[Claim]) -> list[Group]:
    """
    The claims as requests to make, in the same order.

    A document for fifty recipients beyond one gateway or axis crosses the line once, not fifty times. A push
    has one delivery id, so each goes alone; so does a probe, which is to cost little.
    """
    groups: dict[tuple[str, ...], list[Claim]] = {}
    for claim in claims:
        together = claim.channel.is_gateway and not claim.probe
        key = (claim.document_id, claim.sha256, claim.via) if together else (claim.delivery_id,)
        groups.setdefault(key, []).append(claim)
    size = peer.MOST_RECIPIENTS
    return [Group(claims=tuple(g[i : i + size])) for g in groups.values() for i in range(0, len(g), size)]


def stored_payload(
    inline: Callable[[str], bytes | None], store: Callable[[str], BinaryIO]
) -> Callable[[str], bytes | BinaryIO]:
    """
    How a ``Sender`` gets at packages: from the ledger, or else from the payload store (design D4).

    The last few from the ledger are remembered, since one document often goes to several endpoints.
    What a hash names does not change.

    :param inline: ``Ledger.payload``.
    :param store: ``PayloadStore.open``.
    """

    recent = functools.lru_cache(maxsize=8)(inline)

    def payload(sha256: str) -> bytes | BinaryIO:
        content = recent(sha256)
        return store(sha256) if content is None else content

    return payload


class Turns:
    """Lets what belongs together go one after the other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[tuple[str, ...], tuple[threading.Lock, int]] = {}

    @contextmanager
    def of(self, *key: str) -> Iterator[None]:
        """Wait until nobody else is within for this key."""
        with self._lock:
            turn, waiting = self._held.get(key, (threading.Lock(), 0))
            self._held[key] = (turn, waiting + 1)
        try:
            with turn:
                yield
        finally:
            with self._lock:
                turn, waiting = self._held.pop(key)
                if waiting > 1:
                    self._held[key] = (turn, waiting - 1)


class Sender:
    """What a try needs besides its claims."""

    def __init__(
        self,
        *,
        http: HttpClient,
        directory: Callable[[], Directory],
        payload: Callable[[str], bytes | BinaryIO],
        secret: Callable[[str], str | None],
        document: Callable[[str], DocumentSummary | None],
        deliveries: Callable[[str], Sequence[DeliveryRow]],
        tokens: Tokens | None = None,
    ) -> None:
        """
        :param directory: the directory as it is now.
        :param payload: the package with this SHA-256: its bytes, or a seekable file that is closed here.
            Raises ``PayloadMissing``.
        :param secret: the secret of this name, or ``None``; read at each try, so that it can be rotated.
        :param document: the document with this gateway's id: an axis is told more of it than its bytes.
        :param deliveries: all deliveries of that document.
        :param tokens: shared with whoever else calls the same axes; ``None`` for holders of its own.
        """
        self._http = http
        self._directory = directory
        self._payload = payload
        self._secret = secret
        self._document = document
        self._deliveries = deliveries
        self._turns = Turns()
        self._tokens = tokens or Tokens()

    def send(self, group: Group, *, now: datetime) -> Iterator[Tried]:
        """
        Make the request, and say how it ended; never raises a ``GatewayError``.

        When a peer refuses several because of a recipient, each is tried alone: a package is routed whole
        or not at all, and the others must not be refused for it. What an axis has from an earlier call is not sent
        to it again, so the calls about one document wait for each other.
        """
        if not group.claims[0].channel.is_axis:
            yield from self._try(group, now)
            return
        with self._turns.of(group.claims[0].document_id, group.via):
            group, found = self._without_sent(group, now)
            yield from found
            if group.claims:
                yield from self._try(group, now)

    def _try(self, group: Group, now: datetime) -> Iterator[Tried]:
        tried = Tried(group=group, result=self._result(group, now))
        if len(group.claims) > 1 and isinstance(tried.result, GatewayError) and peer.concerns_recipients(tried.result):
            for claim in group.claims:
                alone = Group(claims=(claim,))
                yield Tried(group=alone, result=self._result(alone, now))
        else:
            yield tried

    def _without_sent(self, group: Group, now: datetime) -> tuple[Group, list[Tried]]:
        """
        The claims that are left to send, and those that an axis has already.

        It is asked only after an earlier call about the document: for these recipients, whose answer may have been
        lost, or for others, since nobody knows whether it heeds ``to`` or goes by the package alone.
        """
        try:
            endpoint, url, secret = self._endpoint(group.via)
            if not (endpoint.channel.is_axis and self._was_tried(group)):
                return group, []
            outgoing = self._outgoing(group, b"")
            sent = axis_at(self._http, endpoint, url, secret, self._tokens).already_sent(outgoing, now=now)
        except GatewayError as e:
            return Group(claims=()), [Tried(group=group, result=e)]
        there = [claim for claim in group.claims if claim.as_written in sent]
        found = [Tried(group=Group(claims=(c,)), result=Forwarded(receipt=sent[c.as_written])) for c in there]
        return Group(claims=tuple(claim for claim in group.claims if claim not in there)), found

    def _was_tried(self, group: Group) -> bool:
        if any(claim.tried_before for claim in group.claims):
            return True
        own = {claim.delivery_id for claim in group.claims}
        copies = self._deliveries(group.claims[0].document_id)
        return any(d.via == group.via and d.attempts and d.id not in own for d in copies)

    def _outgoing(self, group: Group, body: bytes | BinaryIO) -> Outgoing:
        first = group.claims[0]
        document = self._document(first.document_id)
        if document is None:
            raise PayloadMissing(f"The document {first.document_id} is not in the ledger.")
        return Outgoing(
            document=document,
            recipients=tuple(dict.fromkeys(claim.as_written for claim in group.claims)),
            body=body,
            size=first.size,
            sha256=first.sha256,
            attempt=first.attempt,
            since=first.accepted_at,
        )

    def _result(self, group: Group, now: datetime) -> Delivered | Forwarded | GatewayError:
        try:
            return self._request(group, now)
        except GatewayError as e:
            return e

    def _request(self, group: Group, now: datetime) -> Delivered | Forwarded:
        """
        Where the endpoint is, and by which channel, is the directory's to say at this moment: an endpoint
        that has moved since the document was accepted is used at its new place.
        """
        first = group.claims[0]
        endpoint, url, secret = self._endpoint(first.via)
        body = self._payload(first.sha256)
        try:
            if endpoint.channel is Channel.PEER:
                receipt = peer.send(
                    self._http,
                    url=url,
                    key=secret,
                    recipients=list(dict.fromkeys(claim.as_written for claim in group.claims)),
                    body=body,
                    size=first.size,
                    sha256=first.sha256,
                    now=now,
                )
                return Forwarded(receipt=receipt)
            if endpoint.channel.is_axis:
                axis = axis_at(self._http, endpoint, url, secret, self._tokens)
                return Forwarded(receipt=axis.send(self._outgoing(group, body), now=now))
            # One claim, unless a peer has become a push endpoint since they were grouped.
            for claim in group.claims:
                push.send(
                    self._http,
                    url=url,
                    secret=secret,
                    delivery_id=claim.delivery_id,
                    recipient=claim.as_written,
                    body=body,
                    size=claim.size,
                    now=now,
                )
            return Delivered()
        finally:
            if not isinstance(body, bytes):
                body.close()

    def _endpoint(self, via: AgencyCode) -> tuple[Endpoint, str, str]:
        """The endpoint, its URL and its secret."""
        return reach(self._directory().get(via), via, self._secret)
