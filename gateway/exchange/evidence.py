"""Evidence: gather what proves the way of one document, and write it as one file."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from enum import Enum
from typing import Any, BinaryIO, cast

import jwt
import structlog
from cryptography import x509

from gateway.directory import certificate_of
from gateway.errors import EvidenceInvalid, LogProofInvalid, PayloadMissing, TimestampInvalid
from gateway.evidence.bundle import (
    OPERATIONS,
    STATUSES,
    Contents,
    SealedPackage,
    Stamper,
    part_beside,
    write_bundle,
)
from gateway.evidence.chain import EventProof, check_proof, digest_of
from gateway.evidence.points import Words
from gateway.evidence.seal import Seal, read_seal
from gateway.evidence.timestamp import check_token
from gateway.exchange import lookup
from gateway.exchange.log_proofs import inclusion
from gateway.exchange.parts import Parts
from gateway.ledger.actions import Action
from gateway.ledger.records import DocumentRow, NewEvent, Trace
from gateway.model import DocumentNumber, FileVerdict, Verdict
from gateway.signing.keys import known
from gateway.signing.trust import TrustAnchors, TrustFinding

STATUS_PACKAGES_MAX = 500
"""Packages of statuses in one evidence file; what more of them said is told, without the package."""

OPERATIONS_MAX = 200
"""Packages that recalled, updated or replaced a document; more of them are told, without the package."""

_CHUNK = 256 * 1024
_log = structlog.get_logger()


class EvidenceMaker:
    """Makes evidence files; one for the whole process."""

    def __init__(
        self,
        parts: Parts,
        *,
        name: str,
        certificate: Callable[[str], x509.Certificate | None],
        stamp: Stamper,
        words: Words,
        authorities: TrustAnchors | None = None,
    ) -> None:
        """
        :param name: the gateway's, for the page.
        :param certificate: the gateway's certificate, present or former, by its SHA-256; ``None``: not at hand.
        :param stamp: asks the time-stamp authorities; what they do not give is left out, and the file says so.
        :param words: how states and verdicts are called, for the page.
        :param authorities: knows what is known of the revocation of time-stamp authorities; ``None``: nothing is.
        """
        self._parts = parts
        self._authorities = authorities
        self._name = name
        self._certificate = certificate
        self._stamp = stamp
        self._words = words

    def export(self, trace: Trace, *, actor: str) -> BinaryIO:
        """
        The evidence file of a document, as far as this trace goes: what is not in it is not told.

        That it was made is an event; it stands in the log after this file was made, and so not in it.

        :param actor: who asked: an agency, an operator, ``cli``.
        :return: at its first byte; gone when it is closed.
        :raises PayloadMissing: the package is not there any more, or is not what was received.
        :raises EvidenceTooLarge: it does not fit into one file.
        """
        parts, document = self._parts, trace.document
        now = parts.clock()
        parts.freshen()
        stamp = _until_silent(self._stamp)
        seal, stamped = self._stamped_seal(document, stamp, now)
        proofs = self._proofs(trace)
        statuses = [row for row in self._statuses(trace) if self._is_whole(row)]
        operations = [row for row in self._operations(trace) if self._is_whole(row)]
        signers = self._signers(trace, [*statuses, *operations])
        findings = [f for f in signers.values() if f is not None]
        findings += self._stampers(seal, proofs)
        contents = Contents(
            facts=self._facts(trace, seal, proofs, now, statuses=statuses, operations=operations),
            document=self._sealed(document, seal),
            statuses=[self._sealed(s, s.seal) for s in statuses],
            operations=[self._sealed(o, o.seal) for o in operations],
            certificates=[*signers, *parts.key.chain, *(c for f in findings for c in f.chain)],
            revocation=[(i.kind, i.der) for f in findings for i in f.items],
            proofs=proofs,
        )
        out = cast("BinaryIO", tempfile.TemporaryFile(dir=parts.spool))  # noqa: SIM115 - the caller closes it
        try:
            write_bundle(out, contents, signer=parts.key, stamp=stamp, words=self._words, at=now)
        except BaseException:
            out.close()
            raise
        data = {"sha256": document.sha256, "stamped": stamped}
        made = NewEvent(action=Action.EVIDENCE_EXPORTED, actor=actor, data=data)
        parts.ledger.record_event(made, now=now, document_id=document.id)
        out.seek(0)
        return out

    # Gathering

    def _stamped_seal(self, document: DocumentRow, stamp: Stamper, now: datetime) -> tuple[bytes, bool]:
        """The seal, with a time-stamp where one is there or can be had; a seal of the first form has none."""
        try:
            seal = read_seal(document.seal)
        except EvidenceInvalid:
            return document.seal, False
        ledger = self._parts.ledger
        token = ledger.seal_stamp(document.id)
        if token is None:
            fresh = stamp(hashlib.sha256(seal.signature.stamped_bytes()).digest())
            token = None if fresh is None else ledger.keep_seal_stamp(document.id, fresh, now=now)
        return (document.seal, False) if token is None else (seal.stamped(token).render(), True)

    def _proofs(self, trace: Trace) -> list[EventProof]:
        """The log's proofs of those events that the trace shows."""
        shown = {event.id for event in trace.events}
        found = inclusion(self._parts.ledger.log, trace.document.id)
        return [proof for proof in found if json.loads(proof.event)["id"] in shown]

    def _statuses(self, trace: Trace) -> list[DocumentRow]:
        """The packages that reported, in the order of the reports; a document's own report is itself."""
        names = dict.fromkeys(s.package for s in trace.statuses if s.package != trace.document.id)
        rows = (self._parts.ledger.document(name) for name in list(names)[:STATUS_PACKAGES_MAX])
        return [row for row in rows if row is not None]

    def _operations(self, trace: Trace) -> list[DocumentRow]:
        """The packages that recalled, updated or replaced the document, oldest first."""
        rows = (self._parts.ledger.document(o.id) for o in trace.operations[:OPERATIONS_MAX])
        return [row for row in rows if row is not None]

    def _is_whole(self, row: DocumentRow) -> bool:
        """Whether a package beside the document's is there: without it, it is told alone."""
        try:
            for _ in _pieces(self._parts, row.sha256):
                pass
        except PayloadMissing:
            _log.warning("evidence.package_missing", document=row.id)
            return False
        return True

    def _sealed(self, document: DocumentRow, seal: bytes) -> SealedPackage:
        content = functools.partial(_pieces, self._parts, document.sha256)
        return SealedPackage(content=content, seal=seal, receipt=document.receipt)

    def _signers(self, trace: Trace, statuses: Sequence[DocumentRow]) -> Mapping[x509.Certificate, TrustFinding | None]:
        """Who signed receipts, seals and the package, with what is known of their certificates at that time."""
        found: dict[x509.Certificate, TrustFinding | None] = {}
        key = self._parts.key.certificate
        for document in (trace.document, *statuses):
            own = self._certificate(jwt.get_unverified_header(json.loads(document.receipt)["jws"])["kid"])
            for certificate in (own, self._of_sender(document)):
                if certificate is not None and certificate not in found:
                    found[certificate] = self._judged(certificate, document.received_at)
        for certificate in self._of_files(trace.document.id):
            if certificate not in found:
                found[certificate] = self._judged(certificate, trace.document.received_at)
        found.setdefault(key, self._judged(key, self._parts.clock()))
        return found

    def _stampers(self, seal: bytes, proofs: Sequence[EventProof]) -> list[TrustFinding]:
        """What is known of the authorities that stamped seal and log; the one that stamps the file is one of them."""
        if self._authorities is None:
            return []
        found: dict[x509.Certificate, TrustFinding] = {}
        for token, digest in _tokens(seal, proofs):
            try:
                stamp = check_token(token, digest, ())
            except TimestampInvalid:
                continue
            if stamp.chain[0] not in found:
                asked = known(stamp.chain[0])
                found[stamp.chain[0]] = self._authorities.judge(asked, at=stamp.at, minimum_rsa_bits=1024)
        return list(found.values())

    def _of_files(self, document_id: str) -> list[x509.Certificate]:
        """Who signed inside the attached files, as far as their certificates are kept."""
        names = {s.certificate_sha256 for f in self._files(document_id) for s in f.signatures if s.certificate_sha256}
        ders = self._parts.ledger.certificates_der(sorted(names))
        return [x509.load_der_x509_certificate(ders[name]) for name in sorted(ders)]

    def _of_sender(self, document: DocumentRow) -> x509.Certificate | None:
        """The registered certificate that verified the package, also when it is registered no more."""
        wanted = document.verdict.certificate_sha256
        if wanted is None:
            return None
        directory = self._parts.directory()
        for code in (document.sender, document.received_from):
            agency = directory.get(code)
            for registered in () if agency is None else agency.certificates:
                if registered.sha256 == wanted:
                    return certificate_of(registered)
        der = self._parts.ledger.certificates_der([wanted]).get(wanted)
        return None if der is None else x509.load_der_x509_certificate(der)

    def _judged(self, certificate: x509.Certificate, at: datetime) -> TrustFinding | None:
        finding = self._parts.anchors.judge(
            known(certificate), at=at, tolerate_sha1=True, minimum_rsa_bits=1024, tolerate_rsa_1024=True
        )
        return finding if finding.chain or finding.items else None

    # Telling

    def _facts(
        self,
        trace: Trace,
        seal: bytes,
        proofs: Sequence[EventProof],
        now: datetime,
        *,
        statuses: Sequence[DocumentRow],
        operations: Sequence[DocumentRow],
    ) -> dict[str, Any]:
        """What ``evidence.json`` says; times in ISO 8601, UTC."""
        document, stamped = trace.document, _stamped_at(proofs)
        places = {
            row.id: part_beside(folder, number, "edxml")
            for folder, rows in ((STATUSES, statuses), (OPERATIONS, operations))
            for number, row in enumerate(rows, start=1)
        }
        facts: dict[str, Any] = _plain(
            {
                "id": document.id,
                "made_at": now,
                "gateway": {"code": self._parts.site.code, "name": self._name},
                "document": {
                    "kind": document.kind,
                    "document_id": document.document_id,
                    "number": DocumentNumber(number=document.number, notation=document.notation).text,
                    "issued_on": document.issued_on,
                    "type": document.type_name,
                    "subject": document.subject,
                    "sender": document.sender,
                    "sender_name": document.sender_name,
                    "received_at": document.received_at,
                    "received_from": document.received_from,
                    "sha256": document.sha256,
                    "size": document.size,
                    "attachments": [asdict(a) for a in document.attachments],
                },
                "verdict": document.verdict,
                "judgements": [
                    {"at": j.at, "cause": j.cause, "verdict": j.verdict}
                    for j in self._parts.ledger.judgements(document.id)
                ],
                "files": self._files(document.id),
                "seal": _seal_facts(seal),
                "deliveries": [
                    {
                        "id": d.id,
                        "recipient": d.recipient,
                        "recipient_name": d.recipient_name,
                        "via": d.via,
                        "channel": d.channel,
                        "state": d.state,
                        "status": d.status,
                        "created_at": d.created_at,
                        "settled_at": d.settled_at,
                    }
                    for d in trace.deliveries
                ],
                "statuses": [
                    {
                        "code": s.code,
                        "description": s.description,
                        "reporter": s.reporter,
                        "reported_at": s.reported_at,
                        "received_at": s.received_at,
                        "effect": s.effect,
                        "package": places.get(s.package),
                    }
                    for s in trace.statuses
                ],
                "operations": [
                    {
                        "id": o.id,
                        "business_type": o.business_type,
                        "number": DocumentNumber(number=o.number, notation=o.notation).text,
                        "subject": o.subject,
                        "sender": o.sender,
                        "received_at": o.received_at,
                        "package": places.get(o.id),
                    }
                    for o in trace.operations
                ],
                "requests": [
                    {
                        "operation": r.package,
                        "business_type": r.business_type,
                        "recipient": r.recipient,
                        "state": r.state,
                        "asked_at": r.asked_at,
                        "answered_at": r.answered_at,
                        "answered_by": r.answered_by,
                        "reason": r.reason,
                    }
                    for r in trace.requests
                ],
                "events": [
                    {
                        "id": e.id,
                        "at": e.at,
                        "action": e.action,
                        "actor": e.actor,
                        "delivery": e.delivery,
                        "stamped_at": stamped.get(e.id),
                    }
                    for e in trace.events
                ],
            }
        )
        return facts

    def _files(self, document_id: str) -> list[FileVerdict]:
        found = self._parts.ledger.examinations(document_id)
        return [verdict for row in found if row.result is not None for verdict in row.result.files]


def _tokens(seal: bytes, proofs: Sequence[EventProof]) -> Iterator[tuple[bytes, bytes]]:
    """The time-stamps on a seal and on the log, each once, with the digests that they are over."""
    with contextlib.suppress(EvidenceInvalid):  # of the first form, which has none
        signature = read_seal(seal).signature
        if signature.token is not None:
            yield signature.token, hashlib.sha256(signature.stamped_bytes()).digest()
    stamped = {p.token: p.statement for p in proofs if p.token is not None and p.statement is not None}
    yield from ((token, digest_of(statement)) for token, statement in stamped.items())


def _until_silent(stamp: Stamper) -> Stamper:
    """Authorities that did not answer once are not waited for again while one file is made."""
    silent = False

    def ask(digest: bytes) -> bytes | None:
        nonlocal silent
        token = None if silent else stamp(digest)
        silent = token is None
        return token

    return ask


def _pieces(parts: Parts, sha256: str) -> Iterator[bytes]:
    """A stored package; one that was damaged in its place would be found out years later, by who needs it."""
    found = hashlib.sha256()
    with lookup.open_package(parts, sha256) as reader:
        while piece := reader.read(_CHUNK):
            found.update(piece)
            yield piece
    if found.hexdigest() != sha256:
        raise PayloadMissing


def _stamped_at(proofs: Sequence[EventProof]) -> dict[int, datetime]:
    """When the log's stamp over each event was made, as the token says; whom to believe is the reader's question."""
    known_tokens: dict[bytes, datetime | None] = {}
    found: dict[int, datetime] = {}
    for proof in proofs:
        if proof.token is None:
            continue
        event = check_proof(proof)
        if event.stamped is None:
            raise LogProofInvalid("A proof has a token, and no statement.")
        if proof.token not in known_tokens:
            known_tokens[proof.token] = _time_of(proof.token, event.stamped)
        at = known_tokens[proof.token]
        if at is not None:
            found[event.event.id] = at
    return found


def _seal_facts(raw: bytes) -> dict[str, Any]:
    """Who signed the seal and when it was stamped, for people."""
    try:
        seal: Seal | None = read_seal(raw)
    except EvidenceInvalid:
        seal = None
    if seal is None:
        return {"subject": None, "stamped_at": None, "authority": None}
    signer = known(x509.load_der_x509_certificate(seal.signature.certificate_der)).subject
    token = seal.signature.token
    if token is None:
        return {"subject": signer, "stamped_at": None, "authority": None}
    try:
        stamp = check_token(token, hashlib.sha256(seal.signature.stamped_bytes()).digest(), ())
    except TimestampInvalid:
        return {"subject": signer, "stamped_at": None, "authority": None}
    return {"subject": signer, "stamped_at": stamp.at, "authority": stamp.authority}


def _time_of(token: bytes, digest: bytes) -> datetime | None:
    try:
        return check_token(token, digest, ()).at
    except TimestampInvalid:
        return None


def _plain(value: Any) -> Any:
    """The same in what JSON knows."""
    if isinstance(value, Verdict | FileVerdict):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value
