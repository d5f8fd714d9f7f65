"""One try: find where the document has to go now, send it there, and say how that ended."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from gateway.delivery import peer, push
from gateway.delivery.http import HttpClient
from gateway.directory import Directory
from gateway.errors import EndpointMisconfigured, GatewayError, OperatorError
from gateway.ledger.records import Claim, Delivered, Forwarded
from gateway.model import AgencyCode, Channel, Endpoint, Lane


@dataclass(frozen=True, kw_only=True)
class Group:
    """Claims that go out in one request: one, or several of one document to one peer."""

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

    A document for fifty recipients beyond one peer crosses the line once, not fifty times. A push
    has one delivery id, so each goes alone; so does a probe, which is to cost little.
    """
    groups: dict[tuple[str, ...], list[Claim]] = {}
    for claim in claims:
        together = claim.channel is Channel.PEER and not claim.probe
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


class Sender:
    """What a try needs besides its claims."""

    def __init__(
        self,
        *,
        http: HttpClient,
        directory: Callable[[], Directory],
        payload: Callable[[str], bytes | BinaryIO],
        secret: Callable[[str], str | None],
    ) -> None:
        """
        :param directory: the directory as it is now.
        :param payload: the package with this SHA-256: its bytes, or a seekable file that is closed here.
            Raises ``PayloadMissing``.
        :param secret: the secret of this name, or ``None``; read at each try, so that it can be rotated.
        """
        self._http = http
        self._directory = directory
        self._payload = payload
        self._secret = secret

    def send(self, group: Group, *, now: datetime) -> Iterator[Tried]:
        """
        Make the request, and say how it ended; never raises a ``GatewayError``.

        When a peer refuses several because of a recipient, each is tried alone: a package is routed whole
        or not at all, and the others must not be refused for it.
        """
        tried = Tried(group=group, result=self._result(group, now))
        if len(group.claims) > 1 and isinstance(tried.result, GatewayError) and peer.concerns_recipients(tried.result):
            for claim in group.claims:
                alone = Group(claims=(claim,))
                yield Tried(group=alone, result=self._result(alone, now))
        else:
            yield tried

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
        agency = self._directory().get(via)
        endpoint = agency.endpoint if agency else None
        if endpoint is None or endpoint.url is None:
            raise EndpointMisconfigured(f"{via} has no URL in the directory any more.")
        if endpoint.credential is None:
            raise EndpointMisconfigured(f"The endpoint of {via} names no credential.")
        return endpoint, endpoint.url, self._read_secret(endpoint.credential)

    def _read_secret(self, name: str) -> str:
        try:
            secret = self._secret(name)
        except OperatorError as e:
            raise EndpointMisconfigured(f"The secret {name} cannot be read ({e.code}).") from e
        if not secret:
            raise EndpointMisconfigured(f"There is no secret {name} in the settings.")
        return secret
