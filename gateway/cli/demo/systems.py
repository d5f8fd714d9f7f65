"""
The agencies' systems: they collect, store, report, each in a thread of its own, as eOffice software does.

What they got is kept: whether every status is back at its sender is asked of them, not of the gateways.
"""

from __future__ import annotations

import tempfile
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gateway.conformance.lgsp_checks import Lgsp, succeeded
from gateway.conformance.rules import Broken
from gateway.conformance.wire import Server
from gateway.delivery.agency import AgencyClient, AgencySettings
from gateway.edxml import Limits, Package, read_unverified, write_status
from gateway.errors import GatewayError, PeerFailed, PeerRefused
from gateway.model import AgencyCode, Envelope, Organization, PackageKind, ResponseFor, StatusCode, StatusReport
from gateway.signing.keys import SigningKey
from gateway.signing.sign import sign_package

PROGRESS = (StatusCode.REGISTERED, StatusCode.PROCESSING, StatusCode.DONE)
"""What a receiver reports after it has taken a document."""


@dataclass(frozen=True)
class Got:
    """One package that reached an agency's system."""

    holder: AgencyCode
    """Whose system."""
    kind: PackageKind
    sender: AgencyCode
    """As written."""
    document_id: str | None
    """Of the document, or of the one that a status is about."""
    status: str | None
    recipients: frozenset[AgencyCode]
    """As written; of a status, whom it is for."""
    files: frozenset[str]
    """SHA-256 of the attachments."""


class Post:
    """Everything that the systems got, from all their threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._got: list[Got] = []
        self.problems: list[str] = []

    def add(self, got: Got) -> None:
        """Note one."""
        with self._lock:
            self._got.append(got)

    def problem(self, text: str) -> None:
        """Note what went wrong; the systems try again by themselves."""
        with self._lock:
            self.problems.append(text)

    def all(self) -> list[Got]:
        """Until now."""
        with self._lock:
            return list(self._got)


def got_from(raw: Path, holder: AgencyCode) -> Got:
    """Read what was stored."""
    with (
        tempfile.TemporaryDirectory(prefix="demo-") as spool,
        read_unverified(raw, limits=Limits(), spool=Path(spool)) as package,
    ):
        return _got(package, holder)


def _got(package: Package, holder: AgencyCode) -> Got:
    envelope = package.envelope
    about = envelope.responses[0] if envelope.status else None
    return Got(
        holder=holder,
        kind=envelope.kind,
        sender=envelope.sender.code,
        document_id=about.document_id if about else envelope.document_id,
        status=envelope.status.code.value if envelope.status else None,
        recipients=frozenset([about.code] if about and about.code else [o.code for o in envelope.recipients]),
        files=frozenset(a.sha256 for a in package.attachments),
    )


class System(threading.Thread):
    """One agency's system: looks for mail until told to stop."""

    def __init__(self, holder: AgencyCode, post: Post, folder: Path, stop: threading.Event, *, pause: float) -> None:
        super().__init__(name=f"system-{holder}", daemon=True)
        self.holder = holder
        self.post = post
        self.folder = folder
        self._stopping = stop
        self._pause = pause
        folder.mkdir(parents=True, exist_ok=True)

    def run(self) -> None:
        """Look, and look again."""
        while not self._stopping.is_set():
            try:
                self.look()
            except GatewayError as error:
                self.post.problem(f"{self.holder}: {error.code}: {error.detail}")
            self._stopping.wait(self._pause)

    def look(self) -> None:
        """Take what is there."""
        raise NotImplementedError


class MailboxSystem(System):
    """Collects from a mailbox over ``/api/v1`` and reports in JSON."""

    def __init__(
        self,
        holder: AgencyCode,
        post: Post,
        folder: Path,
        stop: threading.Event,
        *,
        url: str,
        key: str,
        refuses: Mapping[AgencyCode, str],
        pause: float = 0.3,
    ) -> None:
        """
        :param refuses: recipient → reason: what comes for it is refused with 02.
        """
        super().__init__(holder, post, folder, stop, pause=pause)
        self._client = AgencyClient(AgencySettings(url=url, key=key))
        self._refuses = refuses
        self._tokens: dict[str, str] = {}
        """Of what it has locked and not yet taken; kept, because a call may fail in between."""
        self._owed: deque[tuple[str, StatusCode, AgencyCode]] = deque()
        """Reports that it has still to make: document, code, for whose copy."""

    def look(self) -> None:
        """Lock, fetch, store, acknowledge, report."""
        self._report()
        for item in self._client.inbox(limit=200)["items"]:
            if self._stopping.is_set():
                return
            if not item["locked"]:
                self._tokens.pop(item["delivery"], None)  # a lock of before has ended
            elif item["delivery"] not in self._tokens:
                continue  # somebody else's
            self._take(item["delivery"], AgencyCode(item["recipient"]), item["document"]["id"])

    def _take(self, delivery: str, recipient: AgencyCode, document: str) -> None:
        if delivery not in self._tokens:
            self._tokens[delivery] = self._client.lock(delivery)["token"]
        token = self._tokens[delivery]
        reason = self._refuses.get(recipient)
        if reason is not None:
            self._client.refuse(delivery, token, reason=reason)
            return
        path = self.folder / f"{delivery}.edxml"
        with path.open("wb") as file:
            self._client.fetch(delivery, file)
        got = got_from(path, self.holder)
        self.post.add(got)
        self._client.acknowledge(delivery, token)
        if got.kind is PackageKind.DOCUMENT:
            self._owed.extend((document, code, recipient) for code in PROGRESS)
            self._report()

    def _report(self) -> None:
        while self._owed:
            document, code, recipient = self._owed[0]
            self._client.report_status(document, code.value, agency=recipient)
            self._owed.popleft()


@dataclass(frozen=True, kw_only=True)
class Reporter:
    """An agency that reports in status packages of its own."""

    holder: AgencyCode
    name: str
    codes: frozenset[AgencyCode]
    """Every code that it answers to: it reports under the one that the sender wrote."""
    clock: Callable[[], datetime]

    def reports(self, path: Path, got: Got) -> list[bytes]:
        """About one document that was stored: one for each of ``PROGRESS``, not signed yet."""
        with (
            tempfile.TemporaryDirectory(prefix="demo-") as spool,
            read_unverified(path, limits=Limits(), spool=Path(spool)) as package,
        ):
            envelope = package.envelope
        written = next((code for code in got.recipients if code in self.codes), self.holder)
        return [
            write_status(
                Envelope(
                    sender=Organization(code=written, name=self.name),
                    responses=(
                        ResponseFor(
                            code=got.sender,
                            number=envelope.number.text,
                            document_id=envelope.document_id,
                            issued_on=envelope.issued_on,
                        ),
                    ),
                    status=StatusReport(code=code, reported_at=self.clock()),
                )
            )
            for code in PROGRESS
        ]


class LgspSystem(System):
    """
    Speaks the provincial axis' protocol in both directions, as software that was written for it does.

    Nothing of it knows that a gateway and not that axis is on the other side.
    """

    def __init__(
        self,
        holder: AgencyCode,
        post: Post,
        folder: Path,
        stop: threading.Event,
        *,
        url: str,
        system: str,
        secret: str,
        reporter: Reporter,
        pause: float = 0.5,
    ) -> None:
        """:param url: with the prefix of the protocol."""
        super().__init__(holder, post, folder, stop, pause=pause)
        self._calls = Lgsp(
            server=Server(url=url),
            system=system,
            secret=secret,
            username=system,
            password=secret,
            application="EOFFICE",
            sender=holder,
            receiver=holder,
        )
        self._reporter = reporter
        self._one_at_a_time = threading.Lock()

    def send(self, package: Path) -> str:
        """
        Hand over one package; the axis' id of it.

        :raises PeerRefused: it is refused.
        """
        with self._one_at_a_time:
            return self._send(package.read_bytes(), "edoc")

    def look(self) -> None:
        """List, get, store, tell that it is done, report."""
        with self._one_at_a_time:
            try:
                for kind in ("edoc", "status"):
                    for doc_id in self._listed(kind):
                        self._take(doc_id)
            except Broken as e:
                raise PeerFailed(e.words.en) from e

    def _listed(self, kind: str) -> list[str]:
        self._log_in()
        return self._calls.waiting(kind)

    def _log_in(self) -> None:
        if self._calls.token is None:
            data = succeeded(self._calls.login())["data"]
            self._calls.token = data["token"]

    def _take(self, doc_id: str) -> None:
        path = self.folder / f"{doc_id}.edxml"
        path.write_bytes(self._calls.fetch(doc_id))
        got = got_from(path, self.holder)
        succeeded(self._calls.update(doc_id, "done"))
        self.post.add(got)
        if got.kind is PackageKind.DOCUMENT:
            for status in self._reporter.reports(path, got):
                self._send(status, "status")

    def _send(self, package: bytes, kind: str) -> str:
        self._log_in()
        try:
            return str(succeeded(self._calls.send(package, kind=kind))["data"]["docId"])
        except Broken as e:
            raise PeerRefused(e.words.en) from e


class PushedSystem(System):
    """Takes what its receiver process has stored, and reports in signed status packages."""

    def __init__(
        self,
        holder: AgencyCode,
        post: Post,
        folder: Path,
        stop: threading.Event,
        *,
        url: str,
        key: str,
        signing: SigningKey,
        reporter: Reporter,
        pause: float = 0.3,
    ) -> None:
        super().__init__(holder, post, folder, stop, pause=pause)
        self._client = AgencyClient(AgencySettings(url=url, key=key))
        self._signing = signing
        self._reporter = reporter
        self._done: set[str] = set()

    def look(self) -> None:
        """Read what came, report on documents."""
        for path in sorted(self.folder.glob("*.edxml")):
            if path.name in self._done:
                continue
            got = got_from(path, self.holder)
            if got.kind is PackageKind.DOCUMENT:
                self._report(path, got)
            self.post.add(got)
            self._done.add(path.name)

    def _report(self, path: Path, got: Got) -> None:
        statuses = self._reporter.reports(path, got)
        for code, status in zip(PROGRESS, statuses, strict=True):
            report = path.with_suffix(f".{code.value}.status")
            report.write_bytes(sign_package(status, self._signing))
            self._client.post_document(report)
