"""What the use cases work with; joined in ``gateway.bootstrap``."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, TypeVar

from gateway.delivery.retry import POLICIES, RetryPolicy
from gateway.directory import Directory, LocalSite
from gateway.edxml import Limits
from gateway.ledger import Ledger
from gateway.model import DocumentType, Lane, SignerRole, Standing, fold
from gateway.payloads import PayloadStore
from gateway.scanning import Scanner
from gateway.signing.files.required import MainFile, RequiredSignatures
from gateway.signing.keys import Signer
from gateway.signing.trust import TrustAnchors

V = TypeVar("V")


def type_key(name: str) -> str:
    """The name of a type as two are compared: nobody gets round a rule by what readers do not see."""
    plain = unicodedata.normalize("NFKC", name)
    return fold(" ".join("".join(c for c in plain if unicodedata.category(c) != "Cf").split()))


@dataclass(frozen=True, kw_only=True)
class ExaminationRules:
    """What documents are examined for, and what follows when that is not possible."""

    inspect: bool = False
    """Whether the signatures inside files are looked at."""
    require: Mapping[str, frozenset[SignerRole]] = field(default_factory=dict)
    """Whose signatures the dispatch must carry, by type of document: its name as ``type_key`` makes it, its number as
    text, or ``*`` for all others."""
    require_others: Mapping[str, frozenset[SignerRole]] = field(default_factory=dict)
    """Whose signatures every other PDF must carry, where the dispatch must carry any; a type that is not named: the
    agency's."""
    main: Mapping[str, MainFile] = field(default_factory=dict)
    """Which file is the dispatch; for a type that is not named: any that carries what is required."""
    unscanned: Literal["hold", "pass"] = "hold"
    """What becomes of a document whose files the malware scanner did not or could not search."""
    revocation_unknown: Literal["accept", "hold", "refuse"] = "accept"
    """What becomes of one whose required signatures are good but for revocation, which is not known."""
    role_by_subject: bool = True
    """Whether the subject of a certificate that is not registered tells person from agency."""

    def required(self, kind: DocumentType | None) -> RequiredSignatures:
        """Whose signatures the files of a document of this type must carry; the name decides before the number."""
        name = type_key(kind.name) if kind is not None and kind.name else ""
        number = str(kind.detail) if kind is not None and kind.detail is not None else ""

        def of_type(table: Mapping[str, V], otherwise: V) -> V:
            return next((table[key] for key in (name, number, "*") if key in table), otherwise)

        usual = RequiredSignatures()
        return RequiredSignatures(
            main=of_type(self.require, usual.main),
            others=of_type(self.require_others, usual.others),
            which=of_type(self.main, usual.which),
        )


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What this deployment accepts and does, as set by its operator."""

    limits: Limits
    accepts: frozenset[Standing]
    """For senders without a policy of their own."""
    minimum_rsa_bits: int
    complete_unsigned: bool
    """Whether packages without a signature get this gateway's hop and signature (design D1)."""
    inline_bytes: int
    """Packages up to this size live in the ledger (design D4)."""
    body_limit_bytes: int
    closed_sender_grace: timedelta
    """How long after its sender closed a document is still taken from another gateway."""
    withdraw_uncollected: bool
    """Whether a recall takes back at once what nobody has collected; else it waits for the receiver's answer."""
    reserialise: bool = False
    """Whether systems get packages written anew, as the real axis hands them out (domain §1.9); for tests alone."""
    mailbox_lease: timedelta = timedelta(minutes=5)
    """How long a system that is ``processing`` a document keeps it, without saying so again."""
    retries: Mapping[Lane, RetryPolicy] = field(default_factory=lambda: POLICIES)
    """How long what a receiver's system failed with stays away from its list, by lane."""
    examinations: ExaminationRules = field(default_factory=ExaminationRules)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Everything that a use case may touch."""

    site: LocalSite
    ledger: Ledger
    payloads: PayloadStore
    directory: Callable[[], Directory]
    """The directory in force now; asked once per use, so that one use sees one version."""
    key: Signer
    """The gateway's own: receipts, seals, completed packages."""
    anchors: TrustAnchors
    rules: Rules
    spool: Path
    clock: Callable[[], datetime]
    """Aware UTC."""
    freshen: Callable[[], None] = lambda: None
    """Sees to it that ``anchors`` know of revocation what the ledger knows; asked before a certificate is judged."""
    scanner: Scanner | None = None
    """Who searches files for malware; ``None``: nobody does."""
    wake: Callable[[], None] = lambda: None
    """Tells a worker in this process that something is due."""
