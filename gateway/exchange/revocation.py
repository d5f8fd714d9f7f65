"""
Knowing what has been revoked: fetched in the background, kept in the ledger, fresh in every process.

One process at a time asks (a lease); none ever asks while a request waits. Only what the operator listed is
asked, whatever a certificate says. What was known before stays known when a source fails: how long it counts
is for ``gateway.signing.trust`` to say.
"""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, Protocol, cast
from urllib.parse import urlsplit

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.delivery.http import HttpClient
from gateway.directory import Directory, certificate_of
from gateway.errors import (
    BodyTooLarge,
    DeliveryError,
    GatewayError,
    PeerFailed,
    PeerUnreachable,
    RevocationAhead,
    RevocationNotAuthentic,
    RevocationUnreadable,
)
from gateway.exchange.allowed import AllowedUrls
from gateway.exchange.expiry import endings, to_announce
from gateway.exchange.rejudge import Rejudge
from gateway.ledger import Ledger
from gateway.ledger.revocation import Finding, NewWatched, Source, StoredItem, Watched
from gateway.signing.keys import KnownCertificate, fingerprint, known
from gateway.signing.policy import Reason
from gateway.signing.revocation import (
    OCSP_REQUEST,
    authentic_crl,
    authentic_ocsp,
    crl_urls,
    ocsp_request,
    ocsp_urls,
)
from gateway.signing.trust import (
    Revocation,
    RevocationFacts,
    RevocationItem,
    RevocationMode,
    TrustAnchors,
    TrustFinding,
    read_item,
)

_log = structlog.get_logger()

_FILES_MOST = 10_000
"""Files of the folder that are looked at."""
_LOOK_AGAIN = timedelta(minutes=5)
"""While nothing new comes, certificates are looked through only so often: items go out of date by themselves."""
_LATECOMERS = timedelta(minutes=2)
"""For so long after a change documents may still come in by what was known before; processes look every second."""
_CAUGHT_UP = timedelta(days=1)
"""A process that has just started follows up the changes of so long: the one that met them may not have lived to."""
_SILENT = 3
"""Questions that a host leaves unanswered, one after the other, before it is left alone for the rest of a round."""
_REST_SECONDS = 0.12
"""
After each portion of the documents that are judged anew, and for as long as the portion took, if that was longer:
writers of other processes ask SQLite ten times a second whether it is free.
"""
_LONGEST_REST_SECONDS = 2.0
_FIRST_PAUSE = timedelta(minutes=1)
"""After a source's first failure; doubles up to the time between two questions."""


# Every process


class RevocationKeeper:
    """
    The facts of this process, renewed when the ledger has others; asking costs nothing until the poll is due.

    As with the directory: one thread looks, the others go on with what there is. The first to ask waits for the
    facts, so that a process that has just started does not believe what was revoked yesterday.
    """

    def __init__(
        self, ledger: Ledger, facts: RevocationFacts, *, monotonic: Callable[[], float], poll_seconds: float = 1.0
    ) -> None:
        """
        :param facts: those that the trust anchors look at.
        :param monotonic: seconds that only grow (``time.monotonic``).
        :param poll_seconds: how old a change may become before it is seen.
        """
        self._ledger = ledger
        self._facts = facts
        self._monotonic = monotonic
        self._poll_seconds = poll_seconds
        self._lock = threading.Lock()
        self._items: dict[str, RevocationItem] = {}
        self._version: int | None = None
        self._poll_at = 0.0

    def freshen(self) -> None:
        """
        See to it that the facts are at most ``poll_seconds`` old.

        :raises LedgerUnavailable: they cannot be had; the next call asks again.
        """
        if self._version is None:
            with self._lock:
                self._renew()
        elif self._monotonic() >= self._poll_at and self._lock.acquire(blocking=False):
            try:
                self._renew()
            finally:
                self._lock.release()

    def freshen_now(self) -> None:
        """Look at once, for who has just changed them."""
        with self._lock:
            self._poll_at = 0.0
            self._renew()

    def _renew(self) -> None:
        """Called with the lock held; another thread may have renewed them meanwhile."""
        now = self._monotonic()
        if self._version is not None and now < self._poll_at:
            return
        if self._version is None or self._ledger.revocation_version() != self._version:
            self._load()
        self._poll_at = self._monotonic() + self._poll_seconds

    def _load(self) -> None:
        version, present, new = self._ledger.revocation_items({n: i.sha256 for n, i in self._items.items()})
        items = {name: item for name, item in self._items.items() if name in present}
        for stored in new:
            items[stored.name] = _as_fact(stored)
            # Here, where nobody waits, unless the process has just started.
            items[stored.name].ready()
        self._facts.replace(items.values())
        self._items, self._version = items, version


def _as_fact(stored: StoredItem) -> RevocationItem:
    return RevocationItem(
        kind=cast('Literal["crl", "ocsp"]', stored.kind),
        der=stored.der,
        this_update=stored.this_update,
        next_update=stored.next_update,
        source=stored.name,
    )


# The one that asks


class RevocationMeter(Protocol):
    """Who counts; the metrics live elsewhere."""

    def asked(self, *, kind: str, outcome: str) -> None:
        """A source was asked: ``new``, ``same``, or the code of the failure."""

    def rejudged(self, *, standing: str) -> None:
        """A document's verdict has changed to this standing."""


class Uncounted:
    """A meter that counts nothing."""

    def asked(self, *, kind: str, outcome: str) -> None:
        """Nothing."""

    def rejudged(self, *, standing: str) -> None:
        """Nothing."""


@dataclass(frozen=True, kw_only=True)
class RevocationPace:
    """What may be asked, how often, and how much of it."""

    allowed: AllowedUrls
    crls: tuple[str, ...] = ()
    """Asked though no certificate names them; each allowed by being here."""
    folder: Path | None = None
    every: timedelta = timedelta(hours=1)
    """Between two questions to one source."""
    limit_bytes: int = 32 * 1024 * 1024
    per_round: int = 500
    threads: int = 4
    lease: timedelta = timedelta(minutes=10)
    """For so long no other process asks; when the asker has died, it is also how long nobody does."""
    look: timedelta = timedelta(seconds=15)
    """Between two rounds: newly registered certificates are asked about after so long at most."""

    def pause(self, failures: int) -> timedelta:
        """Until a source is asked again that has failed so often in a row."""
        # Bounded, because timedelta overflows.
        doubled: timedelta = _FIRST_PAUSE * 2 ** min(max(failures - 1, 0), 20)
        return min(doubled, self.every)


@dataclass(frozen=True, kw_only=True)
class _Target:
    """One source, and what its answers are held against."""

    name: str
    kind: Literal["crl", "ocsp"]
    url: str
    certificate: x509.Certificate | None = None
    issuer: x509.Certificate | None = None
    """Both of an OCSP question."""


@dataclass(kw_only=True)
class _Scene:
    """What rounds look at."""

    names: frozenset[str]
    made_at: datetime
    concluded: int | None = None
    """Version of the facts that conclusions were drawn from."""
    certificates: dict[str, KnownCertificate] = field(default_factory=dict)
    """Watched ones by SHA-256."""
    pairs: dict[str, tuple[x509.Certificate, x509.Certificate]] = field(default_factory=dict)
    """Every certificate of the chains below an anchor, with its issuer; by SHA-256."""
    authorities: list[x509.Certificate] = field(default_factory=list)
    targets: dict[str, _Target] = field(default_factory=dict)


class RevocationWatch:
    """Looks after revocation and the ends of certificates. One instance per process; several may share a ledger."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        directory: Callable[[], Directory],
        anchors: TrustAnchors,
        keeper: RevocationKeeper,
        rejudge: Rejudge,
        http: HttpClient,
        pace: RevocationPace,
        clock: Callable[[], datetime],
        own: Sequence[x509.Certificate] = (),
        former: Sequence[x509.Certificate] = (),
        meter: RevocationMeter | None = None,
    ) -> None:
        """
        :param http: bounded in time; shared with nobody who waits for answers.
        :param own: the certificate of the gateway's key; ``former`` those of its earlier keys.
        """
        self._ledger = ledger
        self._directory = directory
        self._anchors = anchors
        self._keeper = keeper
        self._rejudge = rejudge
        self._http = http
        self._pace = pace
        self._clock = clock
        self._own = tuple(own)
        self._former = tuple(former)
        self._meter = meter or Uncounted()
        self._known: dict[str, KnownCertificate] = {}
        self._seen: Directory | None = None
        self._seen_at = datetime.min.replace(tzinfo=UTC)
        self._kept: _Scene | None = None
        self._followed: datetime | None = None
        """When this process has followed up last; ``None``: not what was met before it started."""
        self._decided: tuple[int, datetime] | None = None
        """Facts by which all was judged that waits, and when."""
        self._files: dict[str, tuple[int, int]] = {}
        """Modification and size of the files that were read, by source."""

    # Running

    def run(self, stop: threading.Event) -> None:
        """A round every now and then, until told to stop; a question under way is finished."""
        while not stop.is_set():
            try:
                self.round(stop=stop)
            except GatewayError as error:
                _log.warning("revocation.round_failed", action="revocation.round_failed", code=error.code)
            except Exception:  # noqa: BLE001 # nobody would notice that this thread has ended
                _log.exception("revocation.fault")
            stop.wait(self._pace.look.total_seconds())

    def round(self, *, at_once: bool = False, stop: threading.Event | None = None) -> bool:
        """
        Ask what is due, and draw the conclusions; whether it was this process' turn.

        :param at_once: whoever's turn it is, and whatever is due.
        """
        now = self._clock()
        if not self._ledger.take_revocation_round(now=now, lease=self._pace.lease, at_once=at_once):
            return False
        done = False
        try:
            turns = _Turns(self._clock, self._extend, every=self._pace.lease / 4, stop=stop or threading.Event())
            self._round(now, at_once=at_once, turns=turns)
            done = True
        except _Stopped:
            pass  # the next one begins anew, and passes over what is done
        finally:
            now = self._clock()
            self._ledger.end_revocation_round(now=now, due_at=now + self._pace.look, done=done)
        return True

    def _extend(self, now: datetime) -> None:
        """Go on being the one that asks: a round may take longer than a lease."""
        self._ledger.end_revocation_round(now=now, due_at=now + self._pace.lease, done=False)

    def _round(self, now: datetime, *, at_once: bool, turns: _Turns) -> None:
        self._watch(now)
        watched = self._ledger.watched_certificates()
        if self._anchors.mode is RevocationMode.OFF:
            # What waited for an answer that is not asked for any more need not wait.
            self._rejudge.undecided(now=now, between=turns.rest)
            return
        self._keeper.freshen()
        scene = self._scene(watched, now)
        self._read_folder(scene, now)
        self._ask(scene, at_once=at_once, turns=turns)
        self._keeper.freshen_now()
        self._follow_up(watched, now, turns)
        if scene.concluded != self._anchors.facts.version:
            self._conclude(scene, turns)
            scene.concluded = self._anchors.facts.version
        self._decide(self._clock(), at_once=at_once, turns=turns)

    # Which certificates

    def _watch(self, now: datetime) -> None:
        """Certificates that came since the last round, and those that end soon."""
        directory = self._directory()
        if directory is self._seen and now - self._seen_at < _LOOK_AGAIN:
            return
        agencies = [a for a in directory.agencies() if a.certificates]
        found: dict[str, tuple[str, x509.Certificate]] = {}
        for origin, certificates in (("own", self._own), ("former", self._former)):
            found |= {fingerprint(c): (origin, c) for c in certificates}
        found |= {r.sha256: ("registered", certificate_of(r)) for a in agencies for r in a.certificates}
        for sha256, (_, certificate) in found.items():
            self._known.setdefault(sha256, known(certificate))
        watched = {w.sha256: w for w in self._ledger.watched_certificates()}
        new = [
            _to_watch(self._known[s], origin)
            for s, (origin, _) in found.items()
            if s not in watched or watched[s].origin == "file"
        ]
        if new:
            self._ledger.watch_certificates(new, now=now)
        ends = endings(agencies, own=self._own[0] if self._own else None, former=self._former, now=now)
        told = [e for e in to_announce(ends, now=now) if not _told(watched.get(e.sha256), e.ends, e.days)]
        if told:
            self._ledger.announce_expiring(told, now=now)
        self._seen, self._seen_at = directory, now

    def _scene(self, everything: Sequence[Watched], now: datetime) -> _Scene:
        """Watched certificates, their chains, and whom to ask about them; made anew when there are others."""
        # An expired certificate is nobody's to ask about: authorities drop it from their lists.
        watched = [w for w in everything if w.not_after >= now]
        names = frozenset(w.sha256 for w in watched)
        kept = self._kept
        if kept is not None and kept.names == names and kept.made_at <= now < kept.made_at + _LOOK_AGAIN:
            return kept
        scene = _Scene(names=names, made_at=now, authorities=[*self._anchors.anchors, *self._anchors.intermediates])
        self._known |= self._loaded([w.sha256 for w in watched if w.sha256 not in self._known])
        self._known = {w.sha256: self._known[w.sha256] for w in watched if w.sha256 in self._known}
        scene.certificates = dict(self._known)
        for certificate in scene.certificates.values():
            chain = self._judged(certificate, now).chain
            for below, above in itertools.pairwise(chain):
                scene.pairs[fingerprint(below)] = (below, above)
        seen = {fingerprint(a) for a in scene.authorities}
        for _, above in scene.pairs.values():
            if (name := fingerprint(above)) not in seen:
                seen.add(name)
                scene.authorities.append(above)
        scene.targets = {t.name: t for t in self._targets(scene)}
        self._kept = scene
        return scene

    def _loaded(self, names: Sequence[str]) -> dict[str, KnownCertificate]:
        found = self._ledger.certificates_der(names)
        return {sha256: known(x509.load_der_x509_certificate(der)) for sha256, der in found.items()}

    def _targets(self, scene: _Scene) -> Iterable[_Target]:
        for url in self._pace.crls:
            yield _Target(name=url, kind="crl", url=url)
        for sha256, (certificate, issuer) in scene.pairs.items():
            for url in crl_urls(certificate):
                if self._pace.allowed.allows(url):
                    yield _Target(name=url, kind="crl", url=url)
            for url in ocsp_urls(certificate):
                if self._pace.allowed.allows(url):
                    name = f"ocsp:{sha256} {url}"
                    yield _Target(name=name, kind="ocsp", url=url, certificate=certificate, issuer=issuer)

    def _judged(self, certificate: KnownCertificate, now: datetime) -> TrustFinding:
        """
        What is known of a certificate now, however weak it is; policy is not asked here.

        An expired one is judged at its end: what was revoked before that stays revoked.
        """
        return self._anchors.judge(
            certificate,
            at=min(now, certificate.not_after),
            tolerate_sha1=True,
            tolerate_rsa_1024=True,
        )

    # Asking

    def _ask(self, scene: _Scene, *, at_once: bool, turns: _Turns) -> None:
        """Ask the sources that are due, several at a time; each answer is durable by itself."""
        now = self._clock()
        self._ledger.plan_revocation({t.name: t.kind for t in scene.targets.values()}, now=now)
        sources = {s.name: s for s in self._ledger.revocation_sources()}
        due = [s for s in sources.values() if s.name in scene.targets and (at_once or _is_due(s, now, self._pace))]
        due.sort(key=lambda s: s.due_at)

        silent: Counter[str] = Counter()

        def one(source: Source) -> None:
            if not turns.stop.is_set():
                self._ask_one(scene, scene.targets[source.name], source, silent)

        with ThreadPoolExecutor(self._pace.threads, thread_name_prefix="revocation") as pool:
            for _ in pool.map(one, due[: self._pace.per_round]):
                turns.alive()
        self._forget(scene, sources, now)

    def _ask_one(self, scene: _Scene, target: _Target, source: Source, silent: Counter[str]) -> None:
        """
        Ask one source.

        :param silent: how often in a row each host has not answered in this round. One responder may be asked about
            thousands of certificates, and what other authorities said meanwhile waits for the end of the round.
        """
        host = urlsplit(target.url).netloc
        if silent[host] >= _SILENT:
            self._failed(target, source, PeerUnreachable(f"{host} did not answer others; it was not asked."))
            return
        try:
            raw = self._asked(target)
            if self._same(source, raw):
                silent[host] = 0
                return
            item = self._dated(self._authentic_answer(raw, scene, target))
        except (DeliveryError, RevocationUnreadable, RevocationNotAuthentic, RevocationAhead, BodyTooLarge) as error:
            silent[host] = silent[host] + 1 if isinstance(error, PeerUnreachable) else 0
            self._failed(target, source, error)
            return
        silent[host] = 0
        self._keep(target.name, item, due_at=self._clock() + self._pace.every)

    def _asked(self, target: _Target) -> bytes:
        """
        What a source answers, not trusted.

        :raises DeliveryError, BodyTooLarge: it could not be had.
        """
        if target.certificate is not None and target.issuer is not None:
            return self._answer("POST", target.url, ocsp_request(target.certificate, target.issuer))
        return self._answer("GET", target.url, None)

    def _same(self, source: Source, raw: bytes) -> bool:
        """
        Whether it is the list that is kept already; to read one of half a million entries takes seconds.

        Who may have signed it is asked again whenever it is used.
        """
        if source.kind != "crl" or source.sha256 is None or hashlib.sha256(raw).hexdigest() != source.sha256:
            return False
        now = self._clock()
        if not self._ledger.same_revocation(source.name, source.sha256, now=now, due_at=now + self._pace.every):
            return False
        self._meter.asked(kind=source.kind, outcome="same")
        return True

    def _authentic_answer(self, raw: bytes, scene: _Scene, target: _Target) -> RevocationItem:
        """:raises RevocationUnreadable, RevocationNotAuthentic: it is not worth keeping."""
        if target.certificate is not None and target.issuer is not None:
            return authentic_ocsp(raw, target.certificate, target.issuer, source=target.name)
        return authentic_crl(raw, scene.authorities, source=target.name)

    def _answer(self, method: str, url: str, body: bytes | None) -> bytes:
        headers = {"Content-Type": OCSP_REQUEST} if body is not None else {}
        answer = self._http.request(
            method,
            url,
            headers=headers,
            body=body,
            size=len(body or b""),
            answer_limit_bytes=self._pace.limit_bytes,
        )
        if answer.truncated:
            raise BodyTooLarge(f"The answer has more than {self._pace.limit_bytes} bytes.")
        if answer.status != 200:
            # Redirects among them: where they lead to, nobody has allowed.
            raise PeerFailed(f"It answered with the status {answer.status}.")
        return answer.body

    def _dated(self, item: RevocationItem) -> RevocationItem:
        """
        The item, unless it is from the future.

        Whoever judges a moment of last year uses today's list, and so cannot tell; and no older item is taken later.

        :raises RevocationAhead: it is.
        """
        if item.this_update > self._clock() + self._anchors.clock_skew:
            raise RevocationAhead(f"{item.source} is dated {item.this_update.isoformat()}.")
        return item

    def _keep(self, name: str, item: RevocationItem, *, due_at: datetime) -> None:
        now = self._clock()
        stored = StoredItem(
            name=name,
            kind=item.kind,
            der=item.der,
            sha256=hashlib.sha256(item.der).hexdigest(),
            this_update=item.this_update,
            next_update=item.next_update,
        )
        is_new = self._ledger.keep_revocation(stored, now=now, due_at=due_at)
        self._meter.asked(kind=item.kind, outcome="new" if is_new else "same")

    def _failed(self, target: _Target, source: Source | None, error: GatewayError) -> None:
        now = self._clock()
        due_at = now + self._pace.pause((source.failures if source else 0) + 1)
        self._ledger.revocation_failed(target.name, code=error.code, detail=error.detail, now=now, due_at=due_at)
        self._meter.asked(kind=target.kind, outcome=error.code)
        _log.warning("revocation.failed", action="revocation.failed", source=target.name, code=error.code)

    def _forget(self, scene: _Scene, sources: Mapping[str, Source], now: datetime) -> None:
        """Sources that nobody names any more, once what they said last no longer counts."""
        gone = [
            s.name
            for s in sources.values()
            if s.name not in scene.targets
            and not s.name.startswith("file:")
            and (s.next_update is None or s.next_update + self._anchors.clock_skew < now)
        ]
        self._drop(gone, scene, now)

    def _drop(self, gone: Iterable[str], scene: _Scene, now: datetime) -> None:
        """
        Forget sources, except those by which alone it is known that a certificate was revoked.

        Without them its next package would be let in, or be of a certificate of which nothing is known.
        """
        if names := set(gone):
            found = [self._judged(c, now) for c in scene.certificates.values()]
            names -= {item.source for f in found if f.reason is Reason.CERTIFICATE_REVOKED for item in f.items}
        if names:
            self._ledger.drop_revocation(names, now=now)

    # From files

    def _read_folder(self, scene: _Scene, now: datetime) -> None:
        """Take what is new or has changed in the folder, and forget what is gone from it."""
        present: dict[str, tuple[Path, tuple[int, int]]] = {}
        if self._pace.folder is not None:
            try:
                for path in sorted(self._pace.folder.iterdir())[:_FILES_MOST]:
                    if path.is_file() and not path.name.startswith("."):
                        status = path.stat()
                        present[f"file:{path.name}"] = (path, (status.st_mtime_ns, status.st_size))
            except OSError as e:
                # What was read before stays: a mount that is away for a moment takes nothing back.
                _log.warning("revocation.folder", action="revocation.folder", reason=type(e).__name__)
                return
        sources = {s.name: s for s in self._ledger.revocation_sources() if s.name.startswith("file:")}
        self._drop(sources.keys() - present.keys(), scene, now)
        for name, (path, facts) in present.items():
            source = sources.get(name)
            # A file that is no good is looked at again when it is due: its authority may be known by then.
            again = source is not None and source.failures > 0 and _is_due(source, now, self._pace)
            if self._files.get(name) != facts or source is None or again:
                self._read_file(scene, name, path, source)
                self._files[name] = facts

    def _read_file(self, scene: _Scene, name: str, path: Path, source: Source | None) -> None:
        try:
            item = self._dated(self._authentic(scene, name, path))
        except (RevocationUnreadable, RevocationNotAuthentic, RevocationAhead, BodyTooLarge) as error:
            self._failed(_Target(name=name, kind="crl", url=""), source, error)
        else:
            self._keep(name, item, due_at=self._clock() + self._pace.every)

    def _authentic(self, scene: _Scene, name: str, path: Path) -> RevocationItem:
        try:
            with path.open("rb") as file:
                raw = file.read(self._pace.limit_bytes + 1)
        except OSError as e:
            raise RevocationUnreadable(f"{path.name} cannot be read ({type(e).__name__}).") from e
        if len(raw) > self._pace.limit_bytes:
            raise BodyTooLarge(f"{path.name} has more than {self._pace.limit_bytes} bytes.")
        if read_item(raw, source=name).kind == "crl":
            return authentic_crl(raw, scene.authorities, source=name)
        for certificate, issuer in scene.pairs.values():
            try:
                return authentic_ocsp(raw, certificate, issuer, source=name)
            except RevocationNotAuthentic:
                continue
        raise RevocationNotAuthentic(f"{path.name} is about no certificate that is watched.")

    # Concluding

    def _conclude(self, scene: _Scene, turns: _Turns) -> None:
        """What the facts say now of each certificate; documents that rest on one that was revoked are judged anew."""
        now = self._clock()
        findings: list[Finding] = []
        for before in self._ledger.watched_certificates():
            turns.go_on()
            certificate = scene.certificates.get(before.sha256)
            if certificate is None:
                continue
            found = _finding(before, self._judged(certificate, now))
            if _differs(before, found):
                # The documents first: were this to end here, the certificate would be met as changed again.
                since = min(at for at in (before.revoked_at, found.revoked_at) if at is not None)
                cause = "revoked" if found.revoked_at else "unrevoked"
                self._rejudge.of_certificate(certificate, since=since, cause=cause, now=now, between=turns.rest)
                self._ledger.examine_files_again(before.sha256, since=since, now=now, between=turns.rest)
                # At once: an authority may revoke a thousand, and whoever goes on begins with the next one.
                self._ledger.note_revocation([found], now=now)
                continue
            if found.state == Revocation.GOOD and before.state != Revocation.GOOD:
                self._ledger.examine_files_again(before.sha256, since=None, now=now, between=turns.rest)
            if before.checked_at is None or before.state != found.state:
                findings.append(found)
        if findings:
            self._ledger.note_revocation(findings, now=now)

    def _follow_up(self, watched: Sequence[Watched], now: datetime, turns: _Turns) -> None:
        """
        Judge anew what came while a revocation became known.

        Another process may have accepted it by what it knew a second before, after its page had been turned here.
        When a revocation was met stands in the ledger, so that it does not matter which process met it.
        """
        # By the time before, and not by this one: what was found may be noted only long after it was met.
        before = min(now, self._followed) - _LATECOMERS if self._followed else now - _CAUGHT_UP
        for one in watched:
            if one.revoked_at is None or one.checked_at is None or one.checked_at < before:
                continue
            certificate = self._known.get(one.sha256) or self._loaded([one.sha256]).get(one.sha256)
            if certificate is not None:
                since = max(one.revoked_at, one.checked_at - _LATECOMERS)
                self._rejudge.of_certificate(certificate, since=since, cause="revoked", now=now, between=turns.rest)
        self._followed = now

    def _decide(self, now: datetime, *, at_once: bool, turns: _Turns) -> None:
        """
        Judge what waits for knowledge, when there is other knowledge than the last time.

        After an outage of a day these are all documents of that day, and by the same facts they are judged the same.
        """
        version = self._anchors.facts.version
        if not at_once and self._decided is not None:
            by, at = self._decided
            if by == version and at <= now < at + _LOOK_AGAIN:
                return
        self._rejudge.undecided(now=now, between=turns.rest)
        self._decided = version, now


class _Stopped(Exception):
    """The round is left in its middle, for the program is to end; not an error."""


class _Turns:
    """Lets a long round rest, keep its lease, and end when the program does."""

    def __init__(
        self,
        clock: Callable[[], datetime],
        extend: Callable[[datetime], None],
        *,
        every: timedelta,
        stop: threading.Event,
    ) -> None:
        """
        Begin.

        :param extend: lengthens the lease from a moment on.
        :param every: when that is to be done anew.
        """
        self.stop = stop
        self._clock = clock
        self._extend = extend
        self._every = every
        self._extended = clock()
        self._began = time.monotonic()

    def alive(self) -> None:
        """Keep the lease."""
        now = self._clock()
        # A clock that was set back is no reason to let it end.
        if not self._extended <= now <= self._extended + self._every:
            self._extended = now
            self._extend(now)

    def go_on(self) -> None:
        """
        Keep the lease.

        :raises _Stopped: the program is to end.
        """
        if self.stop.is_set():
            raise _Stopped
        self.alive()

    def rest(self) -> None:
        """
        Let others write.

        :raises _Stopped: the program is to end.
        """
        worked = time.monotonic() - self._began
        self.stop.wait(min(max(_REST_SECONDS, worked), _LONGEST_REST_SECONDS))
        self.go_on()
        self._began = time.monotonic()


def is_stale(source: Source, now: datetime, skew: timedelta) -> bool:
    """Whether what a source said last is out of date, or it never said anything."""
    return source.sha256 is None or (source.next_update is not None and source.next_update + skew < now)


def source_state(source: Source, now: datetime, skew: timedelta) -> str:
    """``stale`` when nothing that it said counts any more; ``failing`` when only the last question went wrong."""
    if is_stale(source, now, skew):
        return "stale"
    return "failing" if source.failures else "good"


def watched_signer(certificate: x509.Certificate) -> NewWatched:
    """A signer met inside a file, for ``Ledger.watch_certificates``."""
    return _to_watch(known(certificate), "file")


def _to_watch(certificate: KnownCertificate, origin: str) -> NewWatched:
    return NewWatched(
        sha256=certificate.sha256,
        origin=origin,
        subject=certificate.subject[:1_000],
        not_after=certificate.not_after,
        der=certificate.certificate.public_bytes(Encoding.DER),
    )


def _told(watched: Watched | None, ends: datetime, days: int) -> bool:
    """Whether this end was announced for this threshold, so that the ledger need not be asked again."""
    return (
        watched is not None
        and watched.announced_end == ends
        and watched.announced_days is not None
        and watched.announced_days <= days
    )


def _is_due(source: Source, now: datetime, pace: RevocationPace) -> bool:
    # A moment further away than any that is set comes from a clock that was ahead.
    return source.due_at <= now or source.due_at > now + 2 * pace.every


def _finding(before: Watched, found: TrustFinding) -> Finding:
    """What is to be kept of a certificate now."""
    if found.revoked_at is not None:
        return Finding(
            sha256=before.sha256, state="revoked", revoked_at=found.revoked_at, reason=found.revocation_reason
        )
    if before.revoked_at is not None and found.revocation is not Revocation.GOOD:
        # Lists drop certificates that have expired, and files get lost: that takes no revocation back.
        return Finding(sha256=before.sha256, state="revoked", revoked_at=before.revoked_at, reason=before.reason)
    state = found.revocation if found.chain else Revocation.NOT_ASKED
    return Finding(sha256=before.sha256, state=state.value)


def _differs(before: Watched, found: Finding) -> bool:
    return before.revoked_at != found.revoked_at
