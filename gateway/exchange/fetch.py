"""
Fetch what axes have for us: list, get, accept, commit, and only then acknowledge.

An axis lists what was not acknowledged, so whatever happens in between, nothing is lost; what was accepted
is remembered by the axis' own id, so that a lost acknowledgement costs another acknowledgement and not another
document. An axis that answers with something that is not its protocol has failed, however successful the answer
looks; an inbox that is empty for too long is an alarm.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from gateway.delivery.axes import axis_at, reach
from gateway.delivery.axis import Axis
from gateway.delivery.http import HttpClient
from gateway.delivery.lgsp import Tokens
from gateway.directory import Directory, exists_at
from gateway.errors import (
    AxisDown,
    AxisNotAuthenticated,
    AxisPackageUnusable,
    BodyTooLarge,
    DocumentError,
    EndpointMisconfigured,
    GatewayError,
    NotFound,
    PayloadMissing,
    PeerFailed,
    PeerRefused,
    PeerUnreachable,
    RoutingError,
)
from gateway.exchange.accept import Answer, accept
from gateway.exchange.handover import beyond
from gateway.exchange.parts import Parts
from gateway.exchange.upload import Upload, receive_for
from gateway.ledger.actions import Action
from gateway.ledger.records import Fetched, FetchState, InboxState
from gateway.model import Agency, AgencyCode, Channel, Envelope, PackageKind

_log = structlog.get_logger()

TRIES = 5
"""After so many a package that cannot be taken waits for an operator."""
_TRY_AGAIN = (timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6))
"""Waits between those tries; the last one also between those of a package that the axis cannot hand out now."""
_TELL_AGAIN = timedelta(minutes=1)
"""Wait before the axis is told once more what it was told before; doubles each time, up to a day."""
_TELL_AGAIN_MOST = timedelta(days=1)
_NOTICED = 3
"""Acknowledgements of one package after which an operator is told that the axis does not heed them."""
_AT_ONCE = 500
"""Of what was fetched before: acknowledged, or fetched again, in one round."""
_GONE = 2
"""Packages in a row that cannot be had for the axis' own reasons: then it is the axis that has failed."""
_PASSES = (PeerUnreachable, AxisDown, PeerFailed, EndpointMisconfigured)
"""Failures of the axis, not of the package: they are retried for ever, and it is not told ``fail`` for them. A web
server's 403 or 404 is among them: about one docId it says nothing of the address, which has just given the list."""
_NOT_ITS_FAULT = (*_PASSES, PayloadMissing)
"""The axis' failures, and one of ours that only some packages meet."""
_OF_PACKAGE = (DocumentError, AxisPackageUnusable, BodyTooLarge, PeerRefused)
"""Failures of one package."""


@dataclass(frozen=True, kw_only=True)
class FetchPace:
    """How often axes are asked, and how much at once."""

    every: timedelta = timedelta(seconds=60)
    """Between two questions to one axis."""
    longest_pause: timedelta = timedelta(minutes=10)
    """After failures the pause doubles up to this, or to ``every`` when that is longer."""
    silent_after: timedelta | None = timedelta(hours=72)
    """Without arrivals for so long an axis counts as silent; ``None``: never."""
    lease: timedelta = timedelta(minutes=2)
    """For so long no other worker asks the same axis; lengthened while there is something to take. When the asker
    has died, it is also how long nobody asks."""
    round: timedelta = timedelta(minutes=5)
    """A round begins no further package after this; the next round follows at once."""
    threads: int = 4
    """Axes asked at the same time."""
    look: timedelta = timedelta(seconds=1)
    """How often the directory is looked at for axes that are due."""

    @property
    def furthest(self) -> timedelta:
        """No axis is ever to be asked later than this from now: who finds one has had a clock that was ahead."""
        return max(2 * self.every, 2 * self.longest_pause, 2 * self.lease, timedelta(hours=1))

    def pause(self, failures: int) -> timedelta:
        """Until an axis is asked again that has failed so often in a row."""
        # Bounded for the same reason as in RetryPolicy: timedelta overflows.
        doubled: timedelta = self.every * 2 ** min(max(failures - 1, 0), 20)
        return min(doubled, max(self.longest_pause, self.every))


class FetchMeter(Protocol):
    """Who counts; the metrics live elsewhere."""

    def polled(self, *, channel: Channel, outcome: str) -> None:
        """An axis was asked: ``answered``, or the code of the failure."""

    def fetched(self, *, channel: Channel, kind: PackageKind, outcome: str) -> None:
        """A package of an axis was ``taken``, a ``duplicate``, or ``not_taken``."""


class Uncounted:
    """A meter that counts nothing."""

    def polled(self, *, channel: Channel, outcome: str) -> None:
        """Nothing."""

    def fetched(self, *, channel: Channel, kind: PackageKind, outcome: str) -> None:
        """Nothing."""


@dataclass(frozen=True, kw_only=True)
class Polled:
    """What came of asking one axis."""

    asked: bool
    """False when it was not due, or another worker is asking."""
    taken: int = 0
    """Packages that are durable here now, repeated ones included."""
    not_taken: int = 0
    complete: bool = True
    """False when there is more than one round takes."""
    error: GatewayError | None = None
    """Why the axis could not be asked, or not to the end."""


@dataclass(kw_only=True)
class _Round:
    """One round at one axis."""

    agency: Agency
    channel: Channel
    axis: Axis
    until: float
    """``time.monotonic()`` after which no further package is begun."""
    extend: float
    """``time.monotonic()`` at which the lease is to be lengthened."""
    stop: Callable[[], bool]
    arrived: bool = False
    taken: int = 0
    not_taken: int = 0
    complete: bool = True
    in_a_row: int = 0
    """Packages in a row that the axis itself could not hand out."""
    deaf: GatewayError | None = None
    """Why the axis could not be told of a package: then it is told nothing more in this round, and still asked."""

    def may_go_on(self) -> bool:
        """Whether another package may be begun; once it may not, there is more than this round takes."""
        if self.stop() or time.monotonic() > self.until:
            self.complete = False
        return self.complete


class Poller:
    """Asks axes for arrivals. One instance per process; several processes may share a ledger."""

    def __init__(
        self,
        parts: Parts,
        *,
        http: HttpClient,
        secret: Callable[[str], str | None],
        tokens: Tokens,
        pace: FetchPace,
        meter: FetchMeter | None = None,
    ) -> None:
        """
        :param secret: the secret of this name, or ``None``; read for each round, so that it can be rotated.
        :param tokens: shared with the sender: a log-in of its own would end the other's token.
        """
        self._parts = parts
        self._http = http
        self._secret = secret
        self._tokens = tokens
        self._pace = pace
        self._meter = meter or Uncounted()
        self._lock = threading.Lock()
        self._busy: set[AgencyCode] = set()
        self._next: dict[AgencyCode, float] = {}
        self._seen: Directory | None = None
        self._axes: list[Agency] = []

    # Running

    def run(self, stop: threading.Event) -> None:
        """Ask every axis of the directory, each in its own time, until told to stop; a package begun is finished."""
        with ThreadPoolExecutor(self._pace.threads, thread_name_prefix="fetch") as pool:
            while not stop.is_set():
                try:
                    for agency in self._due():
                        pool.submit(self._ask, agency, stop)
                except Exception:  # noqa: BLE001 # nobody would notice that this thread has ended
                    _log.exception("fetch.fault")
                stop.wait(self._pace.look.total_seconds())

    def axes(self) -> list[Agency]:
        """The agencies of the directory that are axes now."""
        directory, now = self._parts.directory(), self._parts.clock()
        if directory is not self._seen:
            # A snapshot does not change, and one of the whole country has 123,000 agencies.
            known = directory.agencies()
            self._axes = [a for a in known if a.endpoint is not None and a.endpoint.channel.is_axis]
            self._seen = directory
        return [agency for agency in self._axes if exists_at(agency, now)]

    def _due(self) -> Iterable[Agency]:
        try:
            agencies = self.axes()
        except GatewayError as e:
            _log.error("fetch.directory_unavailable", code=e.code)
            return []
        at = time.monotonic()
        with self._lock:
            due = [a for a in agencies if a.code not in self._busy and self._next.get(a.code, 0) <= at]
            self._busy.update(agency.code for agency in due)
        return due

    def _ask(self, agency: Agency, stop: threading.Event) -> None:
        polled = Polled(asked=False)
        try:
            polled = self.poll(agency, stop=stop.is_set)
        except GatewayError as e:
            # The ledger itself: nothing was lost, and nothing could be recorded.
            _log.error("fetch.not_recorded", via=agency.code, code=e.code)
        except Exception:  # noqa: BLE001 # what nobody foresaw costs a round, not the fetching
            _log.exception("fetch.fault", via=agency.code)
        finally:
            # The ledger says when the axis is due; this only spares asking it all the time.
            wait = 0.0 if polled.asked and not polled.complete and polled.error is None else self._pause_here()
            with self._lock:
                self._busy.discard(agency.code)
                self._next[agency.code] = time.monotonic() + wait

    def _pause_here(self) -> float:
        return min(self._pace.every, timedelta(seconds=15)).total_seconds()

    # One round

    def poll(self, agency: Agency, *, at_once: bool = False, stop: Callable[[], bool] = lambda: False) -> Polled:
        """
        Ask one axis, take what it has, and acknowledge what was taken.

        :param at_once: also when it is not due.
        :param stop: whether to end after the package under way.
        :return: what came of it; failures of the axis are recorded and returned, not raised.
        :raises LedgerUnavailable, StorageFull: not even the failure could be recorded.
        """
        ledger, began = self._parts.ledger, self._parts.clock()
        state = ledger.take_inbox(
            agency.code, now=began, lease=self._pace.lease, at_once=at_once, furthest=self._pace.furthest
        )
        if state is None:
            return Polled(asked=False)
        channel = agency.endpoint.channel if agency.endpoint else Channel.VXP
        here: _Round | None = None
        try:
            here = self._round(agency, stop)
            try:
                self._work(here, state, began)
            except GatewayError:
                raise
            except Exception as e:
                # Unrecorded, the axis would look as if it were asked and had nothing.
                _log.exception("fetch.fault", via=agency.code)
                raise GatewayError(f"A fault of the gateway ({type(e).__name__}).") from e
        except GatewayError as error:
            self._failed(agency, channel, state, error, arrived=here is not None and here.arrived)
            done = (here.taken, here.not_taken) if here else (0, 0)
            return Polled(asked=True, taken=done[0], not_taken=done[1], error=error)
        now = self._parts.clock()
        ledger.inbox_listed(
            agency.code,
            now=now,
            due_at=now + self._pace.every if here.complete else now,
            listed_to=began if here.complete else None,
            arrived=here.arrived,
            silent_after=self._pace.silent_after,
        )
        self._meter.polled(channel=channel, outcome="answered")
        return Polled(asked=True, taken=here.taken, not_taken=here.not_taken, complete=here.complete)

    def _round(self, agency: Agency, stop: Callable[[], bool]) -> _Round:
        endpoint, url, secret = reach(agency, agency.code, self._secret)
        return _Round(
            agency=agency,
            channel=endpoint.channel,
            axis=axis_at(self._http, endpoint, url, secret, self._tokens),
            until=time.monotonic() + self._pace.round.total_seconds(),
            extend=time.monotonic() + self._pace.lease.total_seconds() / 3,
            stop=stop,
        )

    def _keep_lease(self, here: _Round) -> None:
        if time.monotonic() >= here.extend:
            here.extend = time.monotonic() + self._pace.lease.total_seconds() / 3
            self._parts.ledger.extend_inbox(here.agency.code, until=self._parts.clock() + self._pace.lease)

    def _failed(
        self, agency: Agency, channel: Channel, state: InboxState, error: GatewayError, *, arrived: bool
    ) -> None:
        now = self._parts.clock()
        pause = self._pace.pause(state.failures + 1)
        if isinstance(error, PeerFailed) and error.retry_at is not None:
            pause = max(pause, min(error.retry_at - now, self._pace.longest_pause))
        _log.warning(
            "axis failed",
            action="axis.failed",
            via=agency.code,
            code=error.code,
            detail=error.detail,
            failures=state.failures + 1,
        )
        self._parts.ledger.inbox_failed(
            agency.code, code=error.code, detail=error.detail, now=now, due_at=now + pause, arrived=arrived
        )
        self._meter.polled(channel=channel, outcome=error.code)

    def _work(self, here: _Round, state: InboxState, began: datetime) -> None:
        """
        Everything that is to be done at one axis now.

        :raises GatewayError: the axis has failed, or we have; what was done before stands.
        """
        via, ledger = here.agency.code, self._parts.ledger
        for one in ledger.unacknowledged(via, now=began, limit=_AT_ONCE):
            self._acknowledge(here, one)
        listed_again: list[Fetched] = []
        more, hidden = False, None
        # Documents first: a status is about one, and need not be parked for it.
        for kind in (PackageKind.DOCUMENT, PackageKind.STATUS):
            inbox = here.axis.inbox(kind, since=state.listed_to, now=self._parts.clock())
            ids = [entry.doc_id for entry in inbox.entries]
            known = ledger.fetched(via, ids)
            listed_again += known.values()
            new = [doc_id for doc_id in ids if doc_id not in known]
            here.arrived = here.arrived or bool(new)
            if inbox.cut and not new:
                hidden = AxisDown(f"Of the list only {len(ids)} rows can be read, and all of them are known.")
            more = more or inbox.cut
            for doc_id in new:
                if here.may_go_on():
                    self._take(here, doc_id, kind, None)
        for one in ledger.to_fetch_again(via, now=began, limit=_AT_ONCE):
            if here.may_go_on():
                self._take(here, one.doc_id, one.kind, one)
        if here.axis.lists_until_acknowledged:
            self._tell_again(here, listed_again)
        if (failed := here.deaf or hidden) is not None:
            raise failed
        here.complete = here.complete and not more

    # One package

    def _take(self, here: _Round, doc_id: str, kind: PackageKind, before: Fetched | None) -> None:
        """
        Fetch, accept and acknowledge one package; or note why it was not taken.

        :raises GatewayError: what every other package would meet as well.
        """
        self._keep_lease(here)
        try:
            answer = self._fetched(here, doc_id)
        except (*_OF_PACKAGE, *_NOT_ITS_FAULT) as error:
            if isinstance(error, AxisNotAuthenticated):
                raise  # of the link: nothing is known of the package
            if isinstance(error, PeerFailed) and error.retry_at is not None:
                raise  # it asks for some time, whatever the package
            self._not_taken(here, doc_id, kind, before, error)
            here.in_a_row = here.in_a_row + 1 if isinstance(error, _PASSES) else 0
            if here.in_a_row >= _GONE:
                raise
            return
        except GatewayError:
            raise
        except Exception as e:  # noqa: BLE001 # a bug met by one package must not keep all behind it
            _log.exception("fetch.fault", via=here.agency.code, doc_id=doc_id)
            fault = GatewayError(f"A fault of the gateway ({type(e).__name__}).")
            self._not_taken(here, doc_id, kind, before, fault)
            return
        here.in_a_row = 0
        here.taken += 1
        now = self._parts.clock()
        taken = Fetched(
            via=here.agency.code,
            doc_id=doc_id,
            kind=kind,
            state=FetchState.TAKEN,
            document=answer.document_id,
            attempts=(before.attempts if before else 0) + 1,
            first_seen=before.first_seen if before else now,
            changed_at=now,
            due_at=now,
        )
        self._parts.ledger.note_fetched(taken, action=Action.AXIS_FETCHED, duplicate=answer.duplicate or None)
        outcome = "duplicate" if answer.duplicate else "taken"
        _log.info("axis.fetched", via=taken.via, doc_id=doc_id, document=taken.document, duplicate=answer.duplicate)
        self._meter.fetched(channel=here.channel, kind=kind, outcome=outcome)
        self._acknowledge(here, taken)

    def _fetched(self, here: _Round, doc_id: str) -> Answer:
        parts = self._parts
        rules = parts.rules
        with (
            here.axis.package(
                doc_id, folder=parts.spool, limit_bytes=rules.body_limit_bytes, now=parts.clock()
            ) as stream,
            receive_for(parts, stream, expected=None) as upload,
        ):
            return self._accepted(here.agency, upload)

    def _accepted(self, axis: Agency, upload: Upload) -> Answer:
        """
        Take a package for those of its recipients that are not behind the axis.

        Nobody who could correct the package waits for an answer. So those recipients that cannot be reached are left
        out, and do not take it from the others; the refusal is kept, and names them.
        """
        asked: list[AgencyCode] = []
        left_out: set[str] = set()

        def addressed(envelope: Envelope) -> Sequence[AgencyCode]:
            codes = beyond(envelope, [axis], self._parts.directory(), at=self._parts.clock())
            asked[:] = [code for code in codes if code not in left_out]
            return asked

        try:
            return accept(self._parts, upload, caller=axis, only=addressed)
        except RoutingError as error:
            left_out.update(error.recipients)
            if not left_out or left_out.issuperset(asked):
                raise
            answer = accept(self._parts, upload, caller=axis, only=addressed)
            _log.warning(
                "recipients left out",
                action="fetch.recipients_left_out",
                via=axis.code,
                document=answer.document_id,
                code=error.code,
                recipients=sorted(left_out),
            )
            return answer

    def _not_taken(
        self, here: _Round, doc_id: str, kind: PackageKind, before: Fetched | None, error: GatewayError
    ) -> None:
        """Note why, and tell the axis unless it was its own failure."""
        now = self._parts.clock()
        passes = isinstance(error, _NOT_ITS_FAULT)
        attempts = (before.attempts if before else 0) + 1
        if not passes and before is not None and not before.acks:
            attempts = 1  # What came before was not the package's fault, and does not count against it.
        given_up = attempts >= TRIES and not passes
        one = Fetched(
            via=here.agency.code,
            doc_id=doc_id,
            kind=kind,
            state=FetchState.GIVEN_UP if given_up else FetchState.NOT_TAKEN,
            error_code=error.code,
            attempts=attempts,
            first_seen=before.first_seen if before else now,
            changed_at=now,
            due_at=now + _try_after(attempts) if passes else now,
            acked_at=now if passes else None,
            acks=before.acks if before else 0,
        )
        action = Action.AXIS_GIVEN_UP if given_up else Action.AXIS_NOT_TAKEN
        # What the axis cannot hand out now is tried again and again: once for each cause is enough.
        is_news = before is None or not passes or before.error_code != error.code
        self._parts.ledger.note_fetched(one, action=action if is_news else None, attempt=attempts)
        _log.warning("axis.not_taken", via=one.via, doc_id=doc_id, code=error.code, attempt=attempts)
        self._meter.fetched(channel=here.channel, kind=kind, outcome="not_taken")
        here.not_taken += 1
        if one.acked_at is None:
            self._acknowledge(here, one)

    # Acknowledging

    def _tell_again(self, here: _Round, listed: Iterable[Fetched]) -> None:
        """What is listed although the axis was told that it is done: ever more rarely, and an operator once."""
        now = self._parts.clock()
        for one in listed:
            told = one.state is FetchState.TAKEN and one.acked_at is not None
            if told and one.due_at <= now and here.may_go_on():
                self._acknowledge(here, one)

    def _acknowledge(self, here: _Round, one: Fetched) -> None:
        """
        Tell the axis what became of a package, and remember that it was told; otherwise it is told in a later round.

        :raises GatewayError: neither the axis' failure nor one of this package.
        """
        if here.deaf is not None or here.stop():
            return
        self._keep_lease(here)
        now = self._parts.clock()
        acks = one.acks + 1
        try:
            here.axis.acknowledge(one.doc_id, taken=one.state is FetchState.TAKEN, now=now)
        except (PeerRefused, *_PASSES) as error:
            _log.warning("axis.not_acknowledged", via=one.via, doc_id=one.doc_id, code=error.code, detail=error.detail)
            if not (isinstance(error, PeerRefused) and _need_not_know(one, error)):
                self._parts.ledger.note_fetched(replace(one, acks=acks, due_at=now + _tell_after(acks), changed_at=now))
                if not isinstance(error, PeerRefused):
                    here.deaf = error
                return
        wait = _try_after(one.attempts) if one.state is FetchState.NOT_TAKEN else _tell_after(acks)
        told = replace(one, acks=acks, acked_at=now, due_at=now + wait, changed_at=now)
        again = one.state is FetchState.TAKEN and acks == _NOTICED
        self._parts.ledger.note_fetched(told, action=Action.AXIS_LISTS_AGAIN if again else None, acknowledged=acks)


def _need_not_know(one: Fetched, error: PeerRefused) -> bool:
    """Whether an axis that refuses to be told need not be told again: of what it does not have, or of a ``fail``."""
    return one.state is not FetchState.TAKEN or error.peer_code == NotFound.code


def _try_after(attempts: int) -> timedelta:
    """The wait before a package is fetched again that was tried so often."""
    return _TRY_AGAIN[min(attempts, len(_TRY_AGAIN)) - 1]


def _tell_after(acks: int) -> timedelta:
    """The wait before the axis is told again what it was told so often."""
    doubled: timedelta = _TELL_AGAIN * 2 ** min(acks - 1, 20)
    return min(doubled, _TELL_AGAIN_MOST)
