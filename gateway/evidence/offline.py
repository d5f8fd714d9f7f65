"""
Judge evidence offline: a seal, a receipt, or a whole evidence file, with nothing but what the person gives.

No network, no database, no clock. Every signature is judged at the earliest moment that is proven for it: by the
time-stamp in the seal, by the stamp on the event log, or by the stamp over the whole file; so what was right then
is still right when all certificates have ended. What nothing proves to be older is judged now.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

import jwt
from cryptography import x509

from gateway.edxml import Limits, Package, read_unverified
from gateway.errors import DocumentError, EvidenceAltered, EvidenceInvalid, LogProofInvalid, RevocationUnreadable
from gateway.evidence import bundle, container, renewal, told
from gateway.evidence.belief import Belief, Given
from gateway.evidence.chain import EventProof, ProvenEvent, check_proof
from gateway.evidence.container import ContainerReader
from gateway.evidence.files import FileVerdicts
from gateway.evidence.points import Findings, Outcome, Point, Words
from gateway.evidence.receipt import ReceiptFacts, check_receipt
from gateway.evidence.renewal import Fact, Renewal, facts_folder
from gateway.evidence.seal import FIRST_NAMESPACE, SealedAttachment, SealFacts, check_seal, read_seal
from gateway.model import DocumentNumber, Envelope, SignedBy, Standing, Verdict
from gateway.signing import xades
from gateway.signing.files import FilePolicy, Inspector
from gateway.signing.files.reasons import FileReason
from gateway.signing.keys import fingerprint, known
from gateway.signing.policy import Reason, SignaturePolicy
from gateway.signing.trust import CLOCK_SKEW, RevocationItem, read_item
from gateway.signing.verify import judge
from gateway.signing.xades import XadesSignature

_FACTS_MAX = 16 * 1024 * 1024
_PROOFS_MAX = 64 * 1024 * 1024
"""Of the proofs of 10,000 events."""
_STAMPS_MAX = 500
_CERTIFICATES_MAX = 1_000
_ITEMS_MAX = 1_000
"""Parts of one kind that are judged: each is held against many others."""
_CERTIFICATES: Final = ("certificates/", _CERTIFICATES_MAX, (".cer",))
_ITEMS: Final = ("revocation/", _ITEMS_MAX, (".crl", ".ors"))
"""Folder, how many at most, and how those end that renewals brought."""
_SMALL_MAX = 1024 * 1024
_NAMED_MAX = 20
"""Members and parts that are named one by one."""
_FILES_MAX = 500
"""Attached files that are judged again; a dispatch has a few."""
_STALLS_MAX = 3
"""Files that stall or crash their reader before no more are given to it: each may take its full time."""
_PDF: Final = "application/pdf"
_ITEM_MAX = 64 * 1024 * 1024
"""Of all revocation lists together, or of all certificates."""

_ACCEPTED: Final = "document.accepted"
"""The event that names package, seal and receipt."""

_NOT_BELIEVED = (Reason.CERTIFICATE_UNTRUSTED, Reason.CERTIFICATE_EXPIRED, Reason.NO_REGISTERED_CERTIFICATE)
"""That nobody given vouches for the certificate does not say that anything was changed."""

_STALLED = (FileReason.READER_STALLED, FileReason.READER_CRASHED)

_SIGNED = (Standing.VALID, Standing.VALID_WEAK, Standing.INDETERMINATE)


def verify_seal(raw: bytes, given: Given) -> Findings:
    """
    What a seal by itself proves.

    :param raw: not trusted.
    """
    belief = Belief(given)
    try:
        sealed = _Sealed.read(raw, "file", given.gateways)
    except EvidenceInvalid as e:
        return Findings(kind="seal", points=[_broken("file", "seal.broken", e.detail)])
    stamps, at = _stamped(belief, "file", sealed.signature)
    signer = belief.signer("file", sealed.certificate, proven=at)
    return Findings(kind="seal", points=[sealed.holds(), *stamps, signer, *sealed.named(given)])


def verify_receipt(text: str, given: Given) -> Findings:
    """
    What a receipt by itself proves: it carries no certificate, so the gateway's has to be given.

    :param text: the receipt's JSON, or its compact JWS alone; not trusted.
    """
    belief = Belief(given)
    try:
        receipt = _Receipt.read(text)
        certificate = receipt.signed_by(given.gateways)
        if certificate is None:
            values = {"kid": receipt.kid}
            return Findings(
                kind="receipt",
                points=[Point(part="file", outcome=Outcome.UNPROVEN, code="receipt.no_certificate", values=values)],
            )
        facts = receipt.check(certificate)
    except EvidenceInvalid as e:
        return Findings(kind="receipt", points=[_broken("file", "receipt.broken", e.detail)])
    values = {
        "gateway": facts.gateway,
        "sha256": facts.sha256,
        "sender": facts.sender,
        "accepted": facts.accepted_at.isoformat(),
    }
    holds = Point(part="file", outcome=Outcome.HOLDS, code="receipt.alone", values=values)
    return Findings(kind="receipt", points=[holds, belief.signer("file", certificate, proven=None)])


def verify_bundle(
    source: BinaryIO, given: Given, *, spool: Path, words: Words, inspector: Inspector | None = None
) -> Findings:
    """
    What an evidence file proves.

    When a byte of it is not as it was signed, that part is named and nothing else is looked at: a file that was
    changed has nothing more to say.

    :param source: seekable; not trusted.
    :param spool: a private folder for the package while it is read; emptied again.
    :param words: how states and verdicts are called, by which the page is made anew and compared.
    :param inspector: judges the signatures inside the attached files again; ``None``: they are the gateway's word.
    """
    try:
        whole = read_whole(source)
    except EvidenceAltered as e:
        return Findings(kind="evidence", points=[_altered_point(e)])
    except EvidenceInvalid as e:
        return Findings(kind="evidence", points=[_broken(container.SIGNATURES, "container.signature", e.detail)])
    if whole.altered:
        return Findings(kind="evidence", points=whole.altered)
    try:
        check = _Check(whole, given, spool=spool, words=words, inspector=inspector)
        return Findings(kind="evidence", points=list(check.points()))
    except EvidenceAltered as e:
        # Signed by whoever made it, and still not an evidence file: a part is missing or not of its kind.
        return Findings(kind="evidence", points=[_altered_point(e)])


@dataclass(frozen=True, kw_only=True)
class Whole:
    """An evidence file, read and held against what was signed and stamped; nobody is believed yet."""

    reader: ContainerReader
    signature: XadesSignature
    """Over all parts; its value fits the certificate in it."""
    renewals: Sequence[Renewal]
    """Oldest first."""
    altered: Sequence[Point]
    """The parts that are not as they were signed or stamped, or not signed at all; none: the file is whole."""

    def facts(self, folder: str, most: int, suffixes: tuple[str, ...]) -> list[str]:
        """Parts with certificates or revocation items, those included that renewals have brought."""
        return _under(self.reader, (folder, *(facts_folder(r.number) for r in self.renewals)), most, suffixes)

    def certificates(self) -> list[x509.Certificate]:
        """
        The certificates in it: hints for paths, believed for nothing.

        :raises EvidenceAltered: one is none, or there are more than an evidence file has.
        """
        return [_certificate_part(self.reader, n) for n in self.facts(*_CERTIFICATES)]

    def items(self) -> list[RevocationItem]:
        """
        The revocation items in it.

        :raises EvidenceAltered: as for :meth:`certificates`.
        """
        return [_item_part(self.reader, n) for n in self.facts(*_ITEMS)]

    def has_room(self, facts: Sequence[Fact]) -> bool:
        """Whether it could still be read with these in it: nobody reads more than an evidence file has."""
        for folder, most, suffixes in (_CERTIFICATES, _ITEMS):
            sizes = [self.reader.entries[n].size for n in self.facts(folder, most, suffixes)]
            sizes += [len(fact.der) for fact in facts if fact.name.endswith(suffixes)]
            if len(sizes) > most or sum(sizes) > _ITEM_MAX:
                return False
        return True


def read_whole(source: BinaryIO) -> Whole:
    """
    Read an evidence file and say whether every byte is as it was signed.

    :param source: seekable; not trusted.
    :raises EvidenceAltered: the ZIP is not of the one form that there is.
    :raises EvidenceInvalid: the signature over all parts does not hold.
    """
    reader = ContainerReader(source)
    names, renewals = renewal.split(list(reader.entries))
    reader.hash_by({"sha256", *(renewal.hash_of(reader, one) for one in renewals)})
    signature = _signature(reader)
    altered = _altered(reader, names, signature)
    for one in [] if altered else reversed(renewals):
        told = {point.part for point in altered}
        try:
            wrong = [n for n in renewal.differing(reader, one) if n not in told]
            altered += [_missing(n, "It is not what was there when the file was renewed.") for n in wrong]
        except EvidenceAltered as e:
            altered.append(_altered_point(e))
    return Whole(reader=reader, signature=signature, renewals=renewals, altered=altered)


# The container


def _signature(reader: ContainerReader) -> XadesSignature:
    """
    The signature over all parts, whose value fits the certificate in it.

    :raises EvidenceInvalid: it does not, or it is not of our form.
    """
    signature = bundle.read_signature_part(reader.read(container.SIGNATURES, limit=xades.BYTES_MAX))
    signature.check(_certificate(signature.certificate_der))
    return signature


def _altered(reader: ContainerReader, found: Sequence[str], signature: XadesSignature) -> list[Point]:
    """
    The parts that are not as they were signed, or not signed at all.

    :param found: the parts of the file as it was made, without its renewals.
    """
    names = [r.uri for r in signature.references]
    expected = [container.MIMETYPE, *names, container.MANIFEST, container.SIGNATURES]
    signed, there = set(expected), set(found)
    points = [_missing(n, "The part is not among those that were signed.") for n in found if n not in signed]
    points += [_missing(n, "The part is missing.") for n in expected if n not in there]
    if not points and list(found) != expected:
        points = [_missing("zip", "The parts are not in the order in which they were signed.")]
    if points:
        return points
    for reference in signature.references:
        try:
            if reference.transforms or reader.digest(reference.uri) != reference.digest:
                points.append(_missing(reference.uri, "It is not what was signed."))
        except EvidenceAltered as e:
            points.append(_altered_point(e))
    manifest = container.manifest_of(names)
    if not points and reader.read(container.MANIFEST, limit=_SMALL_MAX) != manifest:
        points.append(_missing(container.MANIFEST, "It does not list the parts as they are."))
    return points


# What the parts say


@dataclass(kw_only=True)
class _Proven:
    """The moments by which things are proven to have existed, as they become known."""

    whole: datetime | None = None
    """By the stamp over the whole file, or its first renewal."""
    log: datetime | None = None
    """By the log's stamp over the event of acceptance."""
    seal: datetime | None = None
    """By the seal's own stamp."""

    def earliest(self, *moments: datetime | None) -> datetime | None:
        return min((m for m in (self.whole, *moments) if m is not None), default=None)


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """One kind of packages that an evidence file has beside the document's own."""

    folder: str
    code: str
    """What its points' codes begin with."""
    hold: str
    """Code of the point that says that all of them hold."""
    told: Callable[[Mapping[str, Any], str, Envelope, SealFacts], list[str]]
    is_about: Callable[[Envelope, SealFacts, DocumentNumber], bool]


_STATUSES: Final = _Kind(
    folder=bundle.STATUSES, code="status", hold="statuses.hold", told=told.of_status, is_about=told.is_about
)
_OPERATIONS: Final = _Kind(
    folder=bundle.OPERATIONS,
    code="operation",
    hold="operations.hold",
    told=told.of_operation,
    is_about=told.operates_on,
)


class _Check:
    """Judges one container whose bytes are known to be those that were signed."""

    def __init__(
        self,
        whole: Whole,
        given: Given,
        *,
        spool: Path,
        words: Words,
        inspector: Inspector | None,
    ) -> None:
        self._words = words
        self._inspector = inspector
        self._reader = reader = whole.reader
        self._signature = whole.signature
        self._renewals = whole.renewals
        self._spool = spool
        self._certificates = whole.certificates()
        self._belief = Belief(given, self._certificates, whole.items())
        self._given = given
        facts = _json_part(reader, bundle.FACTS, limit=_FACTS_MAX)
        self._facts: dict[str, Any] = facts if isinstance(facts, dict) else {}
        self._proven = _Proven()
        self._events: list[tuple[ProvenEvent, datetime | None]] = []
        self._number = DocumentNumber()
        self._differing: list[str] = []
        """Members of ``evidence.json`` that contradict a proven part, as far as has been looked."""
        self._known_parts = {bundle.FACTS, bundle.PACKAGE, bundle.SEAL, bundle.RECEIPT, bundle.PROOFS}

    def points(self) -> Iterator[Point]:
        maker = _certificate(self._signature.certificate_der)
        values = {"count": str(len(self._signature.references))}
        yield Point(part="file", outcome=Outcome.HOLDS, code="container.whole", values=values)
        yield from self._renewed()
        yield from self._stamped_whole()
        yield self._belief.signer(container.SIGNATURES, maker, proven=self._proven.whole)
        try:
            raw = self._reader.read(bundle.SEAL, limit=_SMALL_MAX)
            sealed = _Sealed.read(raw, bundle.SEAL, [*self._given.gateways, *self._certificates])
        except EvidenceInvalid as e:
            yield _broken(bundle.SEAL, "seal.broken", e.detail)
            return
        yield from self._log(sealed)
        yield from self._seal(sealed, maker)
        yield from self._package(sealed)
        yield from self._receipt(sealed)
        yield from self._beside(sealed, _STATUSES)
        yield from self._beside(sealed, _OPERATIONS)
        yield from self._told(sealed)
        yield from self._pages()
        yield from self._unknown_parts()
        yield from sealed.named(self._given)

    # Renewals

    def _renewed(self) -> Iterator[Point]:
        """Each archive time-stamp, judged at the moment that the next newer one proves; the newest at its own."""
        for one in reversed(self._renewals):
            hash_name = renewal.hash_of(self._reader, one)
            points, stamp = self._belief.stamp(
                one.token,
                renewal.token_of(self._reader, one),
                self._reader.digest(one.manifest, hash_name),
                held=self._proven.whole,
                hash_name=hash_name,
                renews=True,
            )
            yield from points
            if stamp is not None:
                self._proven.whole = stamp.at

    def _stamped_whole(self) -> Iterator[Point]:
        """The time-stamp that the file was made with; without it the first renewal that is believed stands in."""
        points, at = _stamped(self._belief, container.SIGNATURES, self._signature, held=self._proven.whole)
        yield from points
        self._proven.whole = at or self._proven.whole

    # The log

    def _log(self, sealed: _Sealed) -> Iterator[Point]:
        """The events' proofs; and the stamp on the one that names the seal."""
        proofs = _json_part(self._reader, bundle.PROOFS, limit=_PROOFS_MAX)
        stamps: dict[str, datetime | None] = {}
        proven: list[tuple[ProvenEvent, datetime | None]] = []
        for number, written in enumerate(proofs if isinstance(proofs, list) else [None], start=1):
            try:
                event = check_proof(self._proof(written))
            except (LogProofInvalid, EvidenceAltered) as e:
                values = {"event": str(number), "detail": e.detail}
                yield Point(part=bundle.PROOFS, outcome=Outcome.BROKEN, code="log.broken", values=values)
                return
            name = written["stamp"]
            if name is not None and name not in stamps and len(stamps) >= _STAMPS_MAX:
                # Evidence that is asked for every hour, for years: each asking is an event under another stamp.
                stamps[name] = None
                self._known_parts |= {f"{name}.tsr", f"{name}.json"}
            elif name is not None and name not in stamps:
                assert event.stamped is not None, "a proof with a token has a statement"
                token = self._reader.read(f"{name}.tsr", limit=_SMALL_MAX)
                self._known_parts |= {f"{name}.tsr", f"{name}.json"}
                points, stamp = self._belief.stamp(f"{name}.tsr", token, event.stamped, held=self._proven.whole)
                stamps[name] = stamp.at if stamp else None
                yield from points
            proven.append((event, None if name is None else stamps[name]))
        if not proven:
            yield Point(part=bundle.PROOFS, outcome=Outcome.NOTED, code="log.none")
            return
        if len(stamps) > _STAMPS_MAX:
            values = {"count": str(len(stamps) - _STAMPS_MAX)}
            yield Point(part="log/", outcome=Outcome.NOTED, code="log.more", values=values)
        values = {"count": str(len(proven)), "stamped": str(sum(at is not None for _, at in proven))}
        yield Point(part=bundle.PROOFS, outcome=Outcome.HOLDS, code="log.holds", values=values)
        yield from self._acceptance(sealed, proven)

    def _proof(self, written: Any) -> EventProof:
        """A proof with its statement and token, which several share, put back into it."""
        if not isinstance(written, dict) or not isinstance(written.get("stamp"), str | None):
            raise LogProofInvalid("A proof in the file is not of the form that it should be.")
        name = written.get("stamp")
        statement = token = None
        if name is not None:
            statement = self._reader.read(f"{name}.json", limit=_SMALL_MAX).decode("utf-8", "replace")
            # Judged apart, once for all events that share it.
            token = ""
        return EventProof.from_json({**written, "statement": statement, "token": token})

    def _acceptance(self, sealed: _Sealed, proven: Sequence[tuple[ProvenEvent, datetime | None]]) -> Iterator[Point]:
        """Whether the log speaks of this document, by this gateway, with this seal and this receipt."""
        for event, _ in proven:
            gateways = {event.header.gateway} | ({event.statement.gateway} if event.statement else set())
            if event.event.document != sealed.facts.id or gateways != {sealed.facts.gateway}:
                yield _broken(bundle.PROOFS, "log.other", f"event {event.event.id}")
                return
        self._events = list(proven)
        found = next(((e, at) for e, at in proven if e.event.action == _ACCEPTED), None)
        if found is None:
            return
        event, at = found
        data = json.loads(event.event.data)
        receipt = hashlib.sha256(self._reader.read(bundle.RECEIPT, limit=_SMALL_MAX)).hexdigest()
        named = {"sha256": sealed.facts.sha256, "seal_sha256": sealed.first_sha256, "receipt_sha256": receipt}
        for name, value in named.items():
            # Events of the time before seals were named in the log lack two of them.
            if data.get(name, value) != value:
                yield _broken(bundle.PROOFS, "log.other", f"{_ACCEPTED}: {name}")
                return
        if at is not None and named.keys() <= data.keys():
            self._proven.log = at
            values = {"stamped": at.isoformat()}
            yield Point(part=bundle.PROOFS, outcome=Outcome.HOLDS, code="log.seal", values=values)

    # Seal, package, receipt

    def _seal(self, sealed: _Sealed, maker: x509.Certificate) -> Iterator[Point]:
        # Not by the log's: that names the seal as it was before it was stamped.
        stamps, self._proven.seal = _stamped(self._belief, bundle.SEAL, sealed.signature, held=self._proven.whole)
        yield sealed.holds()
        yield from stamps
        at = self._proven.earliest(self._proven.seal, self._proven.log)
        yield self._belief.signer(bundle.SEAL, sealed.certificate, proven=at)
        by = at or self._given.at
        if sealed.facts.sealed_at > by + CLOCK_SKEW:
            values = {"sealed": sealed.facts.sealed_at.isoformat(), "moment": by.isoformat()}
            yield Point(part=bundle.SEAL, outcome=Outcome.UNPROVEN, code="seal.later", values=values)
        names = known(maker).subject, known(sealed.certificate).subject
        if names[0] != names[1] and maker not in self._given.gateways:
            values = {"maker": names[0], "sealer": names[1]}
            yield Point(part=bundle.SEAL, outcome=Outcome.UNPROVEN, code="container.maker", values=values)

    def _package(self, sealed: _Sealed) -> Iterator[Point]:
        try:
            with self._opened(bundle.PACKAGE) as package:
                self._number = package.envelope.number
                difference = _difference(package, sealed.facts)
                if difference is not None:
                    yield _broken(bundle.PACKAGE, "package.other", difference)
                    return
                values = {"size": str(package.size), "files": str(len(package.attachments))}
                yield Point(part=bundle.PACKAGE, outcome=Outcome.HOLDS, code="package.same", values=values)
                yield self._sender(package, sealed.facts.verdict)
                self._differing += told.of_package(self._facts, package.envelope)
                yield from self._files(package, sealed.facts.received_at)
        except DocumentError as e:
            yield _broken(bundle.PACKAGE, "package.other", e.detail)

    def _files(self, package: Package, at: datetime) -> Iterator[Point]:
        """The signatures inside the attached files, judged again as of the time of receipt, against what is told."""
        judged = FileVerdicts(self._facts.get("files"), require_revocation=self._given.require_revocation)
        left = looked_at = stalls = 0
        for attachment in package.attachments:
            if attachment.media_type != _PDF and not judged.tells(attachment.content_id):
                continue
            if self._inspector is None or looked_at >= _FILES_MAX or stalls >= _STALLS_MAX:
                left += 1
                continue
            looked_at += 1
            path = self._spool / "file"
            try:
                with package.open(attachment) as content, path.open("wb") as out:
                    shutil.copyfileobj(content, out)
                again = self._inspector.inspect(
                    path,
                    content_id=attachment.content_id,
                    name=attachment.name,
                    registered=(),
                    anchors=self._belief.strict,
                    at=at,
                    policy=FilePolicy(tolerate_sha1=True, tolerate_rsa_1024=True, minimum_rsa_bits=1024),
                )
            finally:
                path.unlink(missing_ok=True)
            stalls += any(verdict.reason in _STALLED for verdict in again)
            yield from (judged.point(verdict) for verdict in again)
        if left:
            values = {"count": str(left)}
            yield Point(part=bundle.PACKAGE, outcome=Outcome.NOTED, code="files.not_judged", values=values)

    def _sender(self, package: Package, then: Verdict) -> Point:
        """The sender's signature, judged again as of the time of receipt, with the certificate that the seal names."""
        values = {"then": str(then.standing), "moment": then.judged_at.isoformat(), "subject": then.subject or "–"}
        if then.standing not in _SIGNED:
            return Point(part=bundle.PACKAGE, outcome=Outcome.NOTED, code="sender.not_signed", values=values)
        certificates = [
            c for c in (*self._given.senders, *self._certificates) if fingerprint(c) == then.certificate_sha256
        ]
        by_gateway = then.signed_by is SignedBy.GATEWAY
        again = judge(
            package,
            sender=[] if by_gateway else certificates[:1],
            gateway=certificates[:1] if by_gateway else [],
            policy=SignaturePolicy(
                accepted=frozenset(), tolerate_sha1=then.standing is Standing.VALID_WEAK, minimum_rsa_bits=1024
            ),
            anchors=self._belief.anchors,
            at=then.judged_at,
        )
        values |= {"standing": str(again.standing), "reason": again.reason, "revocation": again.revocation or ""}
        if again.standing is Standing.INDETERMINATE and self._given.require_revocation:
            return Point(part=bundle.PACKAGE, outcome=Outcome.UNPROVEN, code="sender.differs", values=values)
        if again.standing in _SIGNED:
            return Point(part=bundle.PACKAGE, outcome=Outcome.HOLDS, code="sender.signed", values=values)
        outcome = Outcome.UNPROVEN if not certificates or again.reason in _NOT_BELIEVED else Outcome.BROKEN
        return Point(part=bundle.PACKAGE, outcome=outcome, code="sender.differs", values=values)

    def _receipt(self, sealed: _Sealed) -> Iterator[Point]:
        try:
            receipt = _Receipt.read(self._reader.read(bundle.RECEIPT, limit=_SMALL_MAX).decode("utf-8", "replace"))
            certificate = receipt.signed_by([*self._given.gateways, *self._certificates, sealed.certificate])
            if certificate is None:
                values = {"kid": receipt.kid}
                code = "receipt.no_certificate"
                yield Point(part=bundle.RECEIPT, outcome=Outcome.UNPROVEN, code=code, values=values)
                return
            facts = receipt.check(certificate)
        except EvidenceInvalid as e:
            yield _broken(bundle.RECEIPT, "receipt.broken", e.detail)
            return
        if _as_sealed(facts) != _as_receipted(sealed.facts):
            yield _broken(bundle.RECEIPT, "receipt.broken", "The receipt and the seal say different things.")
            return
        values = {"accepted": facts.accepted_at.isoformat()}
        yield Point(part=bundle.RECEIPT, outcome=Outcome.HOLDS, code="receipt.holds", values=values)
        if certificate != sealed.certificate:
            at = self._proven.earliest(self._proven.log)
            yield self._belief.signer(bundle.RECEIPT, certificate, proven=at)

    # Statuses and operations, and what is told

    def _beside(self, about: _Sealed, kind: _Kind) -> Iterator[Point]:
        """Each package is as it was sealed when it came, about this document, and says what is told of it."""
        count = 0
        while bundle.part_beside(kind.folder, count + 1, "edxml") in self._reader.entries:
            count += 1
        rows = [
            [bundle.part_beside(kind.folder, n, each) for each in ("edxml", "seal.xml", "receipt.json")]
            for n in range(1, count + 1)
        ]
        self._known_parts.update(*rows)
        told_of, without = told.packages(self._facts, kind.folder)
        if told_of - {name for name, *_ in rows}:
            self._differing.append(kind.folder)
        if without:
            values = {"count": str(without)}
            yield Point(part=f"{kind.folder}/", outcome=Outcome.NOTED, code=f"{kind.folder}.without", values=values)
        for name, part, receipt in rows:
            try:
                raw = self._reader.read(part, limit=_SMALL_MAX)
                sealed = _Sealed.read(raw, part, [*self._given.gateways, *self._certificates])
                elsewhere = self._read_beside(name, sealed.facts, about.facts, kind)
            except EvidenceAltered as e:
                yield _broken(e.part, f"{kind.code}.broken", e.detail)
                return
            except (EvidenceInvalid, DocumentError) as e:
                yield _broken(part, f"{kind.code}.broken", e.detail)
                return
            if elsewhere:
                yield Point(part=name, outcome=Outcome.UNPROVEN, code=f"{kind.code}.elsewhere")
            wrong = self._receipt_beside(receipt, sealed)
            if wrong is not None:
                yield _broken(receipt, f"{kind.code}.broken", wrong)
                return
            believed = self._belief.signer(part, sealed.certificate, proven=self._proven.earliest())
            if believed.outcome is not Outcome.HOLDS:
                yield believed
                return
        if count:
            values = {"count": str(count)}
            yield Point(part=f"{kind.folder}/", outcome=Outcome.HOLDS, code=kind.hold, values=values)

    def _read_beside(self, name: str, sealed: SealFacts, about: SealFacts, kind: _Kind) -> bool:
        """
        Hold a package against its seal, and against what is told of it.

        :return: whether it names another document than this one, or none.
        :raises EvidenceAltered: it is not the sealed one, or sealed by another gateway.
        :raises DocumentError: it cannot be read.
        """
        if sealed.gateway != about.gateway:
            raise EvidenceAltered(part=name, detail="Another gateway has sealed it.")
        with self._opened(name) as package:
            if _difference(package, sealed) is not None:
                raise EvidenceAltered(part=name, detail="The package is not the one that was sealed.")
            self._differing += kind.told(self._facts, name, package.envelope, sealed)
            return not kind.is_about(package.envelope, about, self._number)

    @contextmanager
    def _opened(self, name: str) -> Iterator[Package]:
        """A package among the parts, read; raises ``DocumentError``."""
        path = self._spool / "package"
        try:
            with path.open("wb") as out:
                for piece in self._reader.pieces(name):
                    out.write(piece)
            with read_unverified(path, limits=_AS_LARGE_AS_IT_WAS, spool=self._spool) as package:
                yield package
        finally:
            path.unlink(missing_ok=True)

    def _receipt_beside(self, part: str, sealed: _Sealed) -> str | None:
        """What is wrong with the receipt beside a package; ``None``: nothing."""
        try:
            receipt = _Receipt.read(self._reader.read(part, limit=_SMALL_MAX).decode("utf-8", "replace"))
            facts = receipt.check(sealed.certificate)
        except EvidenceInvalid as e:
            return e.detail
        if _as_sealed(facts) != _as_receipted(sealed.facts):
            return "The receipt and the seal say different things."
        return None

    def _told(self, sealed: _Sealed) -> Iterator[Point]:
        form = self._facts.get("kind"), self._facts.get("version")
        if form != (bundle.KIND, bundle.VERSION):
            values = {"detail": f"{form[0]} {form[1]}"[:100]}
            yield Point(part=bundle.FACTS, outcome=Outcome.UNPROVEN, code="facts.version", values=values)
        signer = known(sealed.certificate).subject if sealed.signature else ""
        differing = [
            *told.of_seal(self._facts, sealed.facts, signer=signer, stamped=self._proven.seal),
            *self._differing,
            *told.of_events(self._facts, self._events),
        ]
        if differing:
            yield _broken(bundle.FACTS, "facts.differ", ", ".join(dict.fromkeys(differing[:_NAMED_MAX])))
        else:
            yield Point(part=bundle.FACTS, outcome=Outcome.NOTED, code="facts.told")

    def _pages(self) -> Iterator[Point]:
        """The pages say what ``evidence.json`` says, where the same versions of the program can make them anew."""
        from gateway.evidence import report  # noqa: PLC0415 - as in ``told.pages``

        self._known_parts |= {f"page.{language}.{form}" for language in report.LANGUAGES for form in ("html", "pdf")}
        made_with = self._facts.get("made_with")
        if made_with != report.MADE_WITH:
            values = {"made_with": str(made_with)[:100]}
            yield Point(part="page", outcome=Outcome.NOTED, code="page.not_compared", values=values)
            return
        if told.are_too_long(self._facts, self._words):
            yield Point(part="page", outcome=Outcome.NOTED, code="page.too_long")
            return
        count = 0
        for name, page in told.pages(self._facts, self._words):
            if page is None or self._reader.digest(name) != hashlib.sha256(page).digest():
                yield Point(part=name, outcome=Outcome.BROKEN, code="page.other")
            else:
                count += 1
        if count:
            yield Point(part="page", outcome=Outcome.HOLDS, code="page.same", values={"count": str(count)})

    def _unknown_parts(self) -> Iterator[Point]:
        """Parts that were signed, and that nothing here has looked at."""
        for name in [r.uri for r in self._signature.references if not self._belongs(r.uri)][:_NAMED_MAX]:
            yield Point(part=name, outcome=Outcome.UNPROVEN, code="container.unknown")

    def _belongs(self, name: str) -> bool:
        return name in self._known_parts or name.startswith(("certificates/", "revocation/"))


_AS_LARGE_AS_IT_WAS = Limits(package_bytes=container.BYTES_MAX, attachment_bytes=container.BYTES_MAX)
"""A gateway may have been set to take larger packages than this program does by itself."""


# Seals and receipts, taken apart


@dataclass(frozen=True, kw_only=True)
class _Sealed:
    """A seal whose signature fits a certificate; whether that is to be believed is another question."""

    part: str
    facts: SealFacts
    certificate: x509.Certificate
    signature: XadesSignature | None
    """``None``: of the first form."""
    first_sha256: str
    """Of the seal as it was made at acceptance, without a time-stamp."""

    @classmethod
    def read(cls, raw: bytes, part: str, candidates: Sequence[x509.Certificate]) -> _Sealed:
        """
        :param candidates: certificates of which one may have signed a seal of the first form.
        :raises EvidenceInvalid: changed, or not a seal.
        """
        if raw.startswith(f'<Seal xmlns="{FIRST_NAMESPACE}"'.encode()):
            return cls._first(raw, part, candidates)
        seal = read_seal(raw)
        certificate = _certificate(seal.signature.certificate_der)
        seal.check(certificate)
        first = hashlib.sha256(seal.unstamped().render()).hexdigest()
        return cls(part=part, facts=seal.facts, certificate=certificate, signature=seal.signature, first_sha256=first)

    @classmethod
    def _first(cls, raw: bytes, part: str, candidates: Sequence[x509.Certificate]) -> _Sealed:
        sha256 = hashlib.sha256(raw).hexdigest()
        for certificate in candidates:
            try:
                facts = check_seal(raw, certificate)
            except EvidenceInvalid:
                continue
            return cls(part=part, facts=facts, certificate=certificate, signature=None, first_sha256=sha256)
        raise EvidenceInvalid("No certificate at hand has signed the seal, or it was changed.")

    def named(self, given: Given) -> Iterator[Point]:
        """Whose word it all is, where the person has not said which gateway is meant."""
        if not given.gateways:
            named = {"subject": known(self.certificate).subject, "gateway": str(self.facts.gateway)}
            yield Point(part=self.part, outcome=Outcome.NOTED, code="gateway.named", values=named)

    def holds(self) -> Point:
        """What its signature says."""
        values = {"sealed": self.facts.sealed_at.isoformat(), "id": self.facts.id, "gateway": str(self.facts.gateway)}
        return Point(part=self.part, outcome=Outcome.HOLDS, code="seal.holds", values=values)


@dataclass(frozen=True, kw_only=True)
class _Receipt:
    """A receipt, not checked yet."""

    jws: str
    kid: str
    """SHA-256 of the certificate that it names, in lower-case hex."""
    beside: dict[str, Any] = field(default_factory=dict)
    """The same facts in JSON, as they were answered; empty for a bare JWS."""

    @classmethod
    def read(cls, text: str) -> _Receipt:
        """
        :raises EvidenceInvalid: it is neither a receipt's JSON nor a JWS.
        """
        stripped = text.strip()
        try:
            beside = json.loads(stripped) if stripped.startswith("{") else {}
            jws = beside["jws"] if beside else stripped
            kid = jwt.get_unverified_header(jws)["kid"]
        except (jwt.PyJWTError, ValueError, KeyError, TypeError, RecursionError) as e:
            raise EvidenceInvalid("It is not a receipt.") from e
        return cls(jws=jws, kid=str(kid), beside=beside)

    def signed_by(self, candidates: Sequence[x509.Certificate]) -> x509.Certificate | None:
        """The certificate that the receipt names, when it is at hand."""
        return next((c for c in candidates if fingerprint(c) == self.kid), None)

    def check(self, certificate: x509.Certificate) -> ReceiptFacts:
        """
        :raises EvidenceInvalid: not signed by it, or the JSON beside the JWS says something else.
        """
        facts = check_receipt(self.jws, certificate)
        if self.beside and ReceiptFacts.from_json(self.beside) != facts:
            raise EvidenceInvalid("The receipt's JSON is not what was signed.")
        return facts


def _as_sealed(facts: ReceiptFacts) -> tuple[object, ...]:
    return (
        facts.receipt_id,
        facts.gateway,
        facts.document_id,
        facts.sender,
        facts.recipients,
        facts.sha256,
        facts.size,
        facts.standing,
        facts.accepted_at,
    )


def _as_receipted(facts: SealFacts) -> tuple[object, ...]:
    return (
        facts.id,
        facts.gateway,
        facts.document_id,
        facts.sender,
        facts.recipients,
        facts.sha256,
        facts.size,
        facts.verdict.standing,
        facts.received_at,
    )


def _difference(package: Package, facts: SealFacts) -> str | None:
    """In what a package is not the sealed one; ``None``: in nothing."""
    if (package.sha256, package.size) != (facts.sha256, facts.size):
        return f"SHA-256 {package.sha256}"
    if tuple(SealedAttachment.of(a) for a in package.attachments) != facts.attachments:
        return "the attached files"
    return None


# Small parts


def _stamped(
    belief: Belief, part: str, signature: XadesSignature | None, *, held: datetime | None = None
) -> tuple[list[Point], datetime | None]:
    """
    The time-stamp in a signature, and the moment that it proves.

    :param held: the moment by which the signature with it is proven to have existed.
    """
    if signature is None:
        return belief.stamp(part, None, b"")[0], None
    digest = hashlib.sha256(signature.stamped_bytes()).digest()
    points, stamp = belief.stamp(part, signature.token, digest, held=held)
    return points, stamp.at if stamp else None


def _certificate(der: bytes) -> x509.Certificate:
    try:
        certificate = x509.load_der_x509_certificate(der)
        known(certificate)  # Reads its name and dates, which are decoded only when they are asked for.
    except (ValueError, x509.InvalidVersion) as e:
        raise EvidenceInvalid("The certificate in the signature is not one.") from e
    return certificate


def _certificate_part(reader: ContainerReader, name: str) -> x509.Certificate:
    try:
        return _certificate(reader.read(name, limit=_SMALL_MAX))
    except EvidenceInvalid as e:
        raise EvidenceAltered(part=name, detail="It is not a certificate.") from e


def _item_part(reader: ContainerReader, name: str) -> RevocationItem:
    try:
        return read_item(reader.read(name, limit=_ITEM_MAX), source=name)
    except RevocationUnreadable as e:
        raise EvidenceAltered(part=name, detail="It is neither a CRL nor an OCSP answer.") from e


def _json_part(reader: ContainerReader, name: str, *, limit: int) -> Any:
    try:
        return json.loads(reader.read(name, limit=limit))
    except (ValueError, RecursionError) as e:
        raise EvidenceAltered(part=name, detail="It is not JSON.") from e


def _under(reader: ContainerReader, folders: tuple[str, ...], most: int, suffixes: tuple[str, ...]) -> list[str]:
    names = [
        n for n in reader.entries if n.startswith(folders[0]) or (n.startswith(folders[1:]) and n.endswith(suffixes))
    ]
    if len(names) > most or sum(reader.entries[n].size for n in names) > _ITEM_MAX:
        raise EvidenceAltered(part=folders[0], detail="There are more of these parts than an evidence file has.")
    return names


def _broken(part: str, code: str, detail: str) -> Point:
    return Point(part=part, outcome=Outcome.BROKEN, code=code, values={"detail": detail})


def _missing(part: str, detail: str) -> Point:
    return _broken(part, "container.altered", detail)


def _altered_point(error: EvidenceAltered) -> Point:
    return _missing(error.part, error.detail.removeprefix(f"{error.part}: "))
