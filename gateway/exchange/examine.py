"""
Carry out the examinations that acceptance has left for later, and let what they held go on, or refuse it.

Reading strangers' files is done by a process of its own, one file at a time; the threads here only wait for it. What
cannot be done now is done later: a document that is held for it stays held, and everybody can see why.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import structlog

from gateway.directory import Directory
from gateway.edxml import Package
from gateway.errors import (
    DocumentError,
    GatewayError,
    LeaseLost,
    MalwareFound,
    NotFound,
    OperationOutpaced,
    ScanFailed,
    TooLargeToScan,
    every_error,
)
from gateway.exchange.file_rules import cover_of, decide
from gateway.exchange.file_signers import note_signers
from gateway.exchange.own_reports import refusal
from gateway.exchange.parts import Parts
from gateway.exchange.screening import NOTHING_FOUND, required_signatures, scannable
from gateway.exchange.stored import spool_folder, stored_package, unwrap
from gateway.exchange.upload import unwritten
from gateway.ledger.bounds import cut
from gateway.ledger.records import DocumentRow, ExaminationClaim, ExaminationResult, Examined, Reply
from gateway.model import (
    AgencyCode,
    Attachment,
    DeliveryState,
    ExaminationKind,
    ExaminationState,
    FileStanding,
    FileVerdict,
    SignerRole,
    Verdict,
)
from gateway.signing.files import FilePolicy, RegisteredSigner
from gateway.signing.files.reasons import FileReason
from gateway.signing.files.required import Cover, RequiredSignatures
from gateway.signing.trust import TrustAnchors

_log = structlog.get_logger()

_LOOK_FOR_AHEAD_SECONDS = 60.0
_TURNS = 5
"""How often an ending is prepared anew because recipients were added meanwhile."""
_READINGS = 3
"""How often files are read when something else became known of revocation meanwhile."""
_LONGEST_TOLD = 200
"""Characters of a file's name that its sender is told."""
_REFUSED = "Trục liên thông đã kiểm tra và không chuyển văn bản: {why}"

GIVEN_UP = "examination.given_up"
"""Stands where errors have their code: it failed too often, by no fault of the file; it held nothing."""
FAULT = "examination.fault"
"""It failed for a reason that nobody foresaw; the program's log has it."""
STOPPED = "examination.stopped"
"""The program was told to end; whoever runs next goes on at once."""


# How an examination ends


def settle(
    parts: Parts, document_id: str, kind: ExaminationKind, outcome: Examined, *, token: str | None = None
) -> bool:
    """
    End an examination, once: what it held goes on, or is refused and its sender told so (status 02, or 16).

    :param token: of the claim under which it was carried out; ``None``: it needs none.
    :return: whether it was ended now; ``False`` when it had been before, or there is none.
    :raises NotFound, LeaseLost: as ``Ledger.settle_examination``.
    :raises OperationOutpaced: recipients were added again and again meanwhile; try later.
    """
    for turn in range(_TURNS):
        now = parts.clock()
        replies = _replies(parts, document_id, outcome, now) if outcome.state is ExaminationState.REFUSED else {}
        try:
            done = parts.ledger.settle_examination(document_id, kind, outcome, now=now, token=token, replies=replies)
        except OperationOutpaced:
            if turn == _TURNS - 1:
                raise
            continue
        parts.wake()
        return done
    raise AssertionError("unreachable")


def _replies(parts: Parts, document_id: str, outcome: Examined, now: datetime) -> dict[str, Reply | None]:
    """For each copy that waits, what its sender is told; the wire has one language."""
    document = parts.ledger.document(document_id)
    if document is None:
        raise NotFound(f"There is no document {document_id}.")
    words = _REFUSED.format(why=f"{_sentence(outcome)} [{outcome.reason}]")
    waiting = [d for d in parts.ledger.deliveries(document_id) if d.state is DeliveryState.WAITING]
    return {d.id: refusal(parts, document, d, reason=words, now=now) for d in waiting}


def _sentence(outcome: Examined) -> str:
    known = next((e.vi for e in every_error() if e.code == outcome.reason), None)
    return " ".join(filter(None, [known, outcome.detail]))


# Whose certificates are known


@dataclass(frozen=True, kw_only=True)
class Signers:
    """Whose certificates the directory knows."""

    registered: tuple[RegisteredSigner, ...]
    """Of any agency: a dispatch that is passed on carries its issuer's signatures, and they are judged as what they
    are."""
    holders: Mapping[str, frozenset[AgencyCode]]
    """By the SHA-256 of each certificate, also of one whose time is over."""

    @classmethod
    def of(cls, directory: Directory) -> Signers:
        """Those of a directory."""
        roles = {"person": SignerRole.PERSON, "agency": SignerRole.AGENCY}
        known = [(agency.code, c) for agency in directory.agencies() for c in agency.certificates]
        holders: dict[str, set[AgencyCode]] = defaultdict(set)
        for code, c in known:
            holders[c.sha256].add(code)
        return cls(
            registered=tuple(
                RegisteredSigner(sha256=c.sha256, role=roles[c.role], valid_from=c.valid_from, valid_to=c.valid_to)
                for _, c in known
                if c.role in roles
            ),
            holders={sha256: frozenset(codes) for sha256, codes in holders.items()},
        )

    def of_sender(self, sender: AgencyCode, directory: Directory, *, at: datetime) -> SenderSigners:
        """The same as seen by one sender, to whom those belong that it has succeeded."""
        agency = directory.get(sender)
        former = () if agency is None else directory.predecessors(agency, at=at)
        own = [agency, *former]
        return SenderSigners(
            codes=frozenset({sender, *(one.code for one in former)}),
            holders=self.holders,
            seals=frozenset(c.sha256 for one in own if one is not None for c in one.certificates if c.role == "agency"),
        )


@dataclass(frozen=True, kw_only=True)
class SenderSigners:
    """Which certificates are a sender's."""

    codes: frozenset[AgencyCode]
    """The sender's, and of those that it has succeeded."""
    holders: Mapping[str, frozenset[AgencyCode]]
    """As of :class:`Signers`."""
    seals: frozenset[str]
    """SHA-256 of those registered as the agency's own, not as one of its people's."""

    def is_of_others(self, sha256: str) -> bool:
        """Whether a certificate is registered, and neither for the sender nor for one that it has succeeded."""
        return self.codes.isdisjoint(self.holders.get(sha256, self.codes))

    def cover(self, verdict: Verdict) -> Cover | None:
        """What the signature over its package gives to the files in it."""
        role = SignerRole.AGENCY if verdict.certificate_sha256 in self.seals else SignerRole.PERSON
        return cover_of(verdict, role=role)


# The job


class FileReader(Protocol):
    """Who judges the signatures inside a file: ``gateway.signing.files.Inspector``."""

    def inspect(
        self,
        path: Path,
        *,
        content_id: str,
        name: str,
        registered: Sequence[RegisteredSigner],
        anchors: TrustAnchors,
        at: datetime,
        policy: FilePolicy | None = None,
    ) -> tuple[FileVerdict, ...]:
        """Judge one file; whatever it does to its reader is a verdict."""
        ...


class ExaminationMeter(Protocol):
    """Who counts; the metrics live elsewhere."""

    def examined(self, *, kind: ExaminationKind, outcome: str) -> None:
        """One was carried out: the state that it ended in, or ``postponed``."""


class Uncounted:
    """A meter that counts nothing."""

    def examined(self, *, kind: ExaminationKind, outcome: str) -> None:
        """Nothing."""


@dataclass(frozen=True, kw_only=True)
class ExaminationPace:
    """How often it is looked for examinations that are due, and how long one may take."""

    look: timedelta = timedelta(seconds=0.5)
    file: timedelta = timedelta(seconds=20)
    """For one file; its reader is asked a second time when it crashes."""
    budget: timedelta = timedelta(minutes=8)
    """For all files of one document; those that are left then are not read any more."""
    readers: int = 1
    """Documents whose files are read at the same time, each in a process of its own."""
    tries: int = 5
    """After so many faults what holds nothing is given up."""
    first_wait: timedelta = timedelta(seconds=15)
    longest_wait: timedelta = timedelta(minutes=10)
    longest_wait_too_large: timedelta = timedelta(days=1)
    """For what is too large for the scanner: only other settings change that, here or there."""
    reused: timedelta = timedelta(minutes=10)
    """For so long the verdicts on a file serve for the same file in another document."""

    lease: timedelta = timedelta(minutes=1)
    """For so long nobody else carries out the same one after its examiner was last heard of; the living are heard of
    three times as often."""
    clocks: timedelta = timedelta(minutes=10)
    """Clocks of several machines may differ by so much; what lies further ahead was written by one that was wrong."""

    @property
    def longest(self) -> timedelta:
        """An examiner that is at one for longer hangs, at a disk for instance; from then on others may begin it."""
        return _READINGS * (self.budget + 2 * self.file) + timedelta(minutes=5)

    def wait(self, attempt: int) -> timedelta:
        """Until one that was not possible is tried again; doubles each time."""
        return min(self._doubled(self.first_wait, attempt), self.longest_wait)

    def wait_too_large(self, attempt: int) -> timedelta:
        """As ``wait``, for what was too large to be searched."""
        return min(self._doubled(self.longest_wait, attempt), self.longest_wait_too_large)

    @staticmethod
    def _doubled(first: timedelta, attempt: int) -> timedelta:
        doubled: timedelta = first * 2 ** min(max(attempt - 1, 0), 20)
        return doubled


class _Served:
    """Senders that had their turn: whoever sends five thousand documents at once does not keep all others waiting."""

    _MOST = 500

    def __init__(self) -> None:
        self.senders: frozenset[AgencyCode] = frozenset()

    def note(self, document: DocumentRow | None) -> None:
        """A document of a sender has its turn; one who has it a second time begins a new round."""
        if document is not None:
            anew = document.sender in self.senders or len(self.senders) >= self._MOST
            self.senders = frozenset({document.sender}) if anew else self.senders | {document.sender}


class Examiner:
    """Carries out examinations. One instance per process; several processes may share a ledger."""

    KINDS = (ExaminationKind.MALWARE, ExaminationKind.FILES)

    def __init__(
        self,
        parts: Parts,
        *,
        reader: Callable[[], AbstractContextManager[FileReader]],
        pace: ExaminationPace | None = None,
        meter: ExaminationMeter | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Join the parts.

        :param reader: makes who reads files; asked once for each thread, and closed at the end.
        :param monotonic: seconds that only grow, whatever becomes of the clock.
        """
        self._monotonic = monotonic
        self._parts = parts
        self._reader = reader
        self._pace = pace or ExaminationPace()
        self._meter = meter or Uncounted()
        self._known = _KnownFiles(self._pace.reused)
        self._known_signers: tuple[Directory, Signers] | None = None
        self._stop = threading.Event()
        self._look_for_ahead_at = 0.0
        self._served: defaultdict[tuple[ExaminationKind, ...], _Served] = defaultdict(_Served)

    # Running

    def run(self, stop: threading.Event) -> None:
        """Examine until told to stop; the file that is being read is finished first."""
        self._stop = stop
        self._begin()
        kinds = [ExaminationKind.MALWARE, *[ExaminationKind.FILES] * self._pace.readers]
        threads = [
            threading.Thread(target=self._loop, args=(kind, stop), name=f"examine-{kind}-{number}", daemon=True)
            for number, kind in enumerate(kinds)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _begin(self) -> None:
        """What was too large may be no more: the settings have been read anew."""
        ledger, now = self._parts.ledger, self._parts.clock()
        try:
            ledger.hasten_examinations(ExaminationKind.MALWARE, reason=TooLargeToScan.code, now=now)
        except GatewayError as e:
            # It is tried again within a day in any case.
            _log.error("examination.not_hastened", code=e.code)

    def set_right(self) -> int:
        """Let what was put off by a clock that was ahead be done now; how many, looked for once a minute."""
        now = self._monotonic()
        if now < self._look_for_ahead_at:
            return 0
        self._look_for_ahead_at = now + _LOOK_FOR_AHEAD_SECONDS
        return self._parts.ledger.set_examinations_right(now=self._parts.clock(), ahead=self._pace.clocks)

    def _loop(self, kind: ExaminationKind, stop: threading.Event) -> None:
        with self._reader() as reader:
            while not stop.is_set():
                try:
                    if kind is ExaminationKind.MALWARE:
                        self.set_right()
                    found = self.examine_next([kind], reader)
                except GatewayError as e:
                    # The ledger itself: nothing was lost, and nothing could be recorded.
                    _log.error("examination.not_recorded", kind=kind.value, code=e.code)
                    found = False
                except Exception:  # noqa: BLE001 # nobody would notice that this thread has ended
                    _log.exception("examination.fault", kind=kind.value)
                    found = False
                if not found:
                    stop.wait(self._pace.look.total_seconds())

    def examine_next(self, kinds: Sequence[ExaminationKind], reader: FileReader) -> bool:
        """Carry out the most urgent examination that is due; whether there was one."""
        parts = self._parts
        served = self._served[tuple(kinds)]
        claims = parts.ledger.claim_examinations(
            kinds, now=parts.clock(), lease=self._pace.lease, limit=1, served=served.senders
        )
        for claim in claims:
            served.note(parts.ledger.document(claim.document))
            with self._heard_of(claim):
                self._carry_out(claim, reader)
        return bool(claims)

    @contextlib.contextmanager
    def _heard_of(self, claim: ExaminationClaim) -> Iterator[None]:
        """Lengthen the lease again and again meanwhile: who does not has died, and others need not wait for him."""
        ended = threading.Event()
        thread = threading.Thread(target=self._extend, args=(claim, ended), name="examining", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _extend(self, claim: ExaminationClaim, ended: threading.Event) -> None:
        until = self._monotonic() + self._pace.longest.total_seconds()
        while not ended.wait(self._pace.lease.total_seconds() / 3):
            if self._monotonic() > until:
                _log.error("examination.hangs", kind=claim.kind.value, document=claim.document)
                return
            try:
                if not self._parts.ledger.extend_examination(claim, lease=self._pace.lease, now=self._parts.clock()):
                    return
            except GatewayError as e:
                # There are two more tries before the lease ends; and whoever loses it settles nothing.
                _log.warning("examination.not_extended", code=e.code)
            except Exception:  # noqa: BLE001 # a bug here must not end what it only accompanies
                _log.exception("examination.fault", kind=claim.kind.value, document=claim.document)
                return

    def _carry_out(self, claim: ExaminationClaim, reader: FileReader) -> None:
        outcome: Examined | str | None
        try:
            outcome = self._outcome(claim, reader)
        except GatewayError as e:
            outcome = e.code
        except Exception:  # noqa: BLE001 # a bug met by one document must not keep all behind it
            _log.exception("examination.fault", kind=claim.kind.value, document=claim.document)
            outcome = FAULT
        given_up = not claim.holds and claim.attempt >= self._pace.tries
        if isinstance(outcome, str) and outcome != STOPPED and given_up:
            outcome = Examined(state=ExaminationState.FAILED, reason=GIVEN_UP if outcome == FAULT else outcome)
        if isinstance(outcome, Examined):
            outcome = self._ended(claim, outcome)
        if outcome is not None:
            self._postpone(claim, outcome)

    def _ended(self, claim: ExaminationClaim, outcome: Examined) -> str | None:
        """Record how it ended; the code of why that was not possible, so that it need not wait for its lease's end."""
        try:
            settle(self._parts, claim.document, claim.kind, outcome, token=claim.token)
        except LeaseLost:
            _log.warning("examination.lease_lost", kind=claim.kind.value, document=claim.document)
            return None
        except GatewayError as e:
            return e.code
        self._meter.examined(kind=claim.kind, outcome=outcome.state.value)
        return None

    def _postpone(self, claim: ExaminationClaim, code: str) -> None:
        now = self._parts.clock()
        too_large = code == TooLargeToScan.code
        wait = self._pace.wait_too_large(claim.attempt) if too_large else self._pace.wait(claim.attempt)
        if code == STOPPED:
            wait = timedelta(0)
        _log.warning(
            "examination postponed",
            action="examination.postponed",
            kind=claim.kind.value,
            document=claim.document,
            code=code,
            attempt=claim.attempt,
        )
        self._parts.ledger.postpone_examination(claim, reason=code, due_at=now + wait, now=now)
        self._meter.examined(kind=claim.kind, outcome="postponed")

    def _outcome(self, claim: ExaminationClaim, reader: FileReader) -> Examined | str:
        """How it ended, or the code of why it is to be done again later."""
        document = self._parts.ledger.document(claim.document)
        if document is None:
            raise NotFound(f"There is no document {claim.document}.")
        if self._still_too_large(claim, document):
            return TooLargeToScan.code
        try:
            with stored_package(self._parts, document) as package:
                if claim.kind is ExaminationKind.MALWARE:
                    return self._search(package)
                return self._judge(claim, document, package, reader)
        except DocumentError as e:
            # It was read once; the limits are narrower now. An operator must look, and nothing passes unexamined.
            _log.error("examination.unreadable_package", document=claim.document, code=e.code)
            return e.code
        except OSError as e:  # files are unwrapped in the spool
            return unwritten(e).code

    # Malware

    def _still_too_large(self, claim: ExaminationClaim, document: DocumentRow) -> bool:
        """Whether it was all searched but for what is larger than is searched now: it need not even be opened."""
        scanner = self._parts.scanner
        if claim.kind is not ExaminationKind.MALWARE or scanner is None:
            return False
        if self._parts.rules.examinations.unscanned == "pass" or all(
            scanner.takes(a.size) for a in document.attachments
        ):
            return False
        rows = self._parts.ledger.examinations(claim.document)
        return any(row.kind is claim.kind and row.reason == TooLargeToScan.code for row in rows)

    def _search(self, package: Package) -> Examined | str:
        scanner = self._parts.scanner
        if scanner is None:
            # The operator has decided so since the document came; as below.
            return Examined(state=ExaminationState.RELEASED, reason=ScanFailed.code)
        try:
            done = scanner.scan(scannable(package))
        except MalwareFound as e:
            detail = f"{cut(e.file, _LONGEST_TOLD)}: {e.malware}"
            return Examined(state=ExaminationState.REFUSED, reason=e.code, detail=detail)
        except ScanFailed as e:
            if self._parts.rules.examinations.unscanned == "pass":
                return Examined(state=ExaminationState.RELEASED, reason=e.code)
            return e.code
        result = ExaminationResult(scanned=done.files, scanner=done.scanner)
        return Examined(state=ExaminationState.DONE, reason=NOTHING_FOUND, result=result)

    # Signatures inside files

    def _judge(
        self, claim: ExaminationClaim, document: DocumentRow, package: Package, reader: FileReader
    ) -> Examined | str:
        verdicts = self._by_what_is_known(document, package, reader)
        if verdicts is None:
            return STOPPED
        rules = self._parts.rules.examinations
        required = required_signatures(self._parts, package.envelope) if claim.holds else RequiredSignatures()
        whose = self._signers().of_sender(document.sender, self._parts.directory(), at=document.received_at)
        outcome = decide(
            verdicts,
            required,
            unknown=rules.revocation_unknown,
            of_others=whose.is_of_others,
            cover=whose.cover(document.verdict),
        )
        if isinstance(outcome, FileReason):
            return outcome.value
        unread = next((v.reason for v in verdicts if v.reason in _PERHAPS_OURS), None)
        if unread is not None and outcome.state is ExaminationState.REFUSED and claim.attempt < self._pace.tries:
            return unread
        return outcome

    def _by_what_is_known(
        self, document: DocumentRow, package: Package, reader: FileReader
    ) -> list[FileVerdict] | None:
        """
        As ``_verdicts``, by what is known of revocation when the signers have been noted, and not when it began.

        From then on what becomes known of one of them has the files judged anew; before, nobody knew whose they were.
        """
        verdicts = None
        for _ in range(_READINGS):
            self._parts.freshen()
            version = self._parts.anchors.facts.version
            verdicts = self._verdicts(document, package, reader)
            if verdicts is None:
                return None
            note_signers(self._parts.ledger, document.id, verdicts, now=self._parts.clock())
            self._parts.freshen()
            if version == self._parts.anchors.facts.version or not any(one.signatures for one in verdicts):
                break
        return verdicts

    def _verdicts(self, document: DocumentRow, package: Package, reader: FileReader) -> list[FileVerdict] | None:
        """On all files; ``None`` when the program is to end before they are read."""
        sender = self._parts.directory().get(document.sender)
        rules = self._parts.rules
        policy = FilePolicy(
            tolerate_sha1=sender is not None and sender.tolerate_sha1,
            tolerate_rsa_1024=sender is not None and sender.tolerate_rsa_1024,
            minimum_rsa_bits=rules.minimum_rsa_bits,
            role_by_subject=rules.examinations.role_by_subject,
        )
        question = _Question(
            policy=policy,
            registered=self._signers().registered,
            anchors=self._parts.anchors,
            version=self._parts.anchors.facts.version,
            at=document.received_at,
        )
        began = self._monotonic()
        found: list[FileVerdict] = []
        with spool_folder(self._parts) as folder:
            for number, attachment in enumerate(package.attachments):
                if self._stop.is_set():
                    return None
                if self._monotonic() - began > self._pace.budget.total_seconds():
                    found.append(_not_read(attachment, document.received_at))
                    continue
                found += self._of_file(package, attachment, question, reader, folder / str(number))
        return found

    def _of_file(
        self, package: Package, attachment: Attachment, question: _Question, reader: FileReader, path: Path
    ) -> tuple[FileVerdict, ...]:
        known = self._known.get(attachment, question)
        if known is not None:
            return known
        unwrap(package, attachment, path)
        try:
            found = reader.inspect(
                path,
                content_id=attachment.content_id,
                name=attachment.name,
                registered=question.registered,
                anchors=question.anchors,
                at=question.at,
                policy=question.policy,
            )
        finally:
            path.unlink()
        self._known.put(attachment, question, found)
        return found

    def _signers(self) -> Signers:
        """Of the directory in force; a snapshot does not change, and one of the country has 123,000 agencies."""
        directory = self._parts.directory()
        if self._known_signers is None or self._known_signers[0] is not directory:
            self._known_signers = (directory, Signers.of(directory))
        return self._known_signers[1]


_PERHAPS_OURS = frozenset({FileReason.READER_CRASHED, FileReason.READER_STALLED})
"""What may be this machine's fault rather than the file's: not a reason to refuse a document at once."""


def _not_read(attachment: Attachment, at: datetime) -> FileVerdict:
    return FileVerdict(
        content_id=attachment.content_id,
        name=attachment.name,
        format="other",
        standing=FileStanding.UNREADABLE,
        reason=FileReason.READER_STALLED,
        judged_at=at,
    )


@dataclass(frozen=True, kw_only=True)
class _Question:
    """What the judgement on a file depends on besides its bytes."""

    policy: FilePolicy
    registered: tuple[RegisteredSigner, ...]
    anchors: TrustAnchors
    version: int
    """Of what is known of revocation."""
    at: datetime

    def same(self, other: _Question, within: timedelta) -> bool:
        """Whether the answer to one is the answer to the other; their moments may differ by so much."""
        return (
            self.policy == other.policy
            and self.registered == other.registered
            and self.anchors is other.anchors
            and self.version == other.version
            and abs(self.at - other.at) <= within
        )


class _KnownFiles:
    """
    Verdicts on files that came a moment ago: one annex goes out with many dispatches.

    By content and name: what one looks for in a file depends on what it is called.
    """

    _MOST = 256

    def __init__(self, within: timedelta) -> None:
        self._within = within
        self._guard = threading.Lock()
        self._found: OrderedDict[tuple[str, str], tuple[_Question, tuple[FileVerdict, ...]]] = OrderedDict()

    def get(self, attachment: Attachment, question: _Question) -> tuple[FileVerdict, ...] | None:
        """The verdicts as of this attachment; ``None``: it has to be read."""
        with self._guard:
            known = self._found.get((attachment.sha256, attachment.name))
        if known is None or not known[0].same(question, self._within):
            return None
        return tuple(replace(one, content_id=attachment.content_id, judged_at=question.at) for one in known[1])

    def put(self, attachment: Attachment, question: _Question, found: tuple[FileVerdict, ...]) -> None:
        """Keep them, unless they may be this machine's fault."""
        if any(one.reason in _PERHAPS_OURS for one in found):
            return
        with self._guard:
            self._found[attachment.sha256, attachment.name] = (question, found)
            self._found.move_to_end((attachment.sha256, attachment.name))
            while len(self._found) > self._MOST:
                self._found.popitem(last=False)


def release(parts: Parts, document_id: str, kind: ExaminationKind, *, reason: str, actor: str) -> list[str]:
    """Let a document go on an operator's word; as ``Ledger.release_examination``."""
    done = parts.ledger.release_examination(document_id, kind, reason=reason, actor=actor, now=parts.clock())
    parts.wake()
    return done
