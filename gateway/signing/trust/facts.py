"""
What is known of revocation: CRLs and OCSP answers in memory, found by the certificate that they are about.

Nothing is fetched here and nothing believed: an item's signature is checked when it is used
(``revocation.py``). Who fetches, stores and refreshes is told in docs/trust.md.
"""

from __future__ import annotations

import contextlib
import hashlib
import operator
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Literal

from asn1crypto import crl, ocsp, pem

from gateway.errors import RevocationUnreadable
from gateway.signing.trust.lists import OpenedList

ITEM_BYTES_MAX = 64 * 1024 * 1024
"""Of one CRL; the longest lists of large authorities have a few million entries of 40 bytes."""
LATEST = datetime(9999, 1, 1, tzinfo=UTC)
"""Some lists end on 9999-12-31, meaning never; whoever adds an hour to that fails."""
NEWEST_KEPT = 8
"""Items per issuer (CRL) or per serial number (OCSP) and :attr:`RevocationItem.scope`; older ones say nothing that
these do not."""

# What asn1crypto lets through for bytes that are not what they should be; each was seen.
UNREADABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, kw_only=True)
class RevocationItem:
    """One CRL, or one OCSP answer, as its authority signed it."""

    kind: Literal["crl", "ocsp"]
    der: bytes = field(repr=False)
    this_update: datetime
    """Aware UTC: when the authority knew this, by its own clock."""
    next_update: datetime | None
    """Aware UTC: when it promises to know more; ``None``: it does not say."""
    source: str
    """Where it came from: a URL or a file's name; for people."""

    @cached_property
    def sha256(self) -> str:
        """Lower-case hex of the DER: the item's name."""
        return hashlib.sha256(self.der).hexdigest()

    @cached_property
    def opened(self) -> OpenedList:
        """
        A CRL taken apart.

        :raises ValueError: it is none.
        """
        return OpenedList(self.der)

    def ready(self) -> None:
        """Do beforehand what the first one to ask would wait for; an item that is not what it says stays so."""
        if self.kind == "crl":
            with contextlib.suppress(*UNREADABLE):
                self.opened.ready()

    @cached_property
    def concerns(self) -> tuple[object, ...]:
        """
        Serial numbers of an OCSP answer; the issuer's name of a CRL, and nothing for an indirect one, which
        may concern anybody.

        :raises RevocationUnreadable: it is not what it says.
        """
        try:
            if self.kind == "ocsp":
                return tuple(a["cert_id"]["serial_number"].native for a in single_answers(self.der))
            parsed = crl.CertificateList.load(self.opened.bare)
            point = parsed.issuing_distribution_point_value
            return () if point is not None and point["indirect_crl"].native else (parsed.issuer.hashable,)
        except UNREADABLE as e:
            raise RevocationUnreadable(f"{self.source} is not the {self.kind} that it is kept as.") from e

    @cached_property
    def scope(self) -> tuple[object, ...]:
        """
        Which part of what there is to say it says: an authority may spread its list over any number of addresses,
        of which none makes another one old, and two authorities may give the same serial number.

        :raises RevocationUnreadable: as :attr:`concerns`.
        """
        try:
            if self.kind == "ocsp":
                return tuple(a["cert_id"]["issuer_key_hash"].native for a in single_answers(self.der))
            parsed = crl.CertificateList.load(self.opened.bare)
            point = parsed.issuing_distribution_point_value
            return (None if point is None else point.dump(), parsed.delta_crl_indicator_value is not None)
        except UNREADABLE as e:
            raise RevocationUnreadable(f"{self.source} is not the {self.kind} that it is kept as.") from e


def read_item(raw: bytes, *, source: str) -> RevocationItem:
    """
    A CRL or a successful OCSP answer, told apart by content.

    :param raw: DER, or a CRL in PEM; not trusted, and not yet believed afterwards.
    :param source: URL or file name, kept for people.
    :raises RevocationUnreadable: it is neither, or an OCSP responder's refusal to answer.
    """
    if len(raw) > ITEM_BYTES_MAX:
        raise RevocationUnreadable(f"{source} is larger than {ITEM_BYTES_MAX} bytes.")
    try:
        der = pem.unarmor(raw)[2] if pem.detect(raw) else raw
    except UNREADABLE as e:
        raise RevocationUnreadable(f"{source} is neither a CRL nor an OCSP answer.") from e
    for read in (_read_crl, _read_ocsp):
        try:
            found = read(der, source)
        except UNREADABLE:
            continue
        # Read here once: an item that fails only where facts are renewed would stop whoever has them renewed.
        _ = found.concerns, found.scope
        return found
    raise RevocationUnreadable(f"{source} is neither a CRL nor an OCSP answer.")


def _read_crl(der: bytes, source: str) -> RevocationItem:
    listed = crl.CertificateList.load(der, strict=True)["tbs_cert_list"]
    listed["issuer"].hashable  # noqa: B018 — reads the name, or fails
    return RevocationItem(
        kind="crl",
        der=der,
        this_update=listed["this_update"].native,
        next_update=_bounded(listed["next_update"].native),
        source=source,
    )


def _read_ocsp(der: bytes, source: str) -> RevocationItem:
    answers = single_answers(der)
    if not answers:
        raise ValueError("An OCSP answer about nothing.")
    ends = [a["next_update"].native for a in answers]
    return RevocationItem(
        kind="ocsp",
        der=der,
        this_update=min(a["this_update"].native for a in answers),
        next_update=None if None in ends else _bounded(min(ends)),
        source=source,
    )


def _bounded(end: datetime | None) -> datetime | None:
    return None if end is None else min(end, LATEST)


def single_answers(der: bytes) -> list[ocsp.SingleResponse]:
    """
    What an OCSP answer says, certificate by certificate.

    :raises ValueError: it is a refusal to answer, or not an OCSP answer.
    """
    answer = ocsp.OCSPResponse.load(der, strict=True)
    if answer["response_status"].native != "successful":
        raise ValueError("The OCSP responder did not answer.")
    return list(answer.basic_ocsp_response["tbs_response_data"]["responses"])


class RevocationFacts:
    """
    All revocation items that this process knows; safe to use from many threads.

    ``version`` grows whenever what is known changes: whoever remembers a finding remembers it with the version.
    """

    def __init__(self, items: Iterable[RevocationItem] = (), *, unvouched: Iterable[RevocationItem] = ()) -> None:
        """
        Know these.

        :param unvouched: came with what is judged, so whoever made that chose them: they are looked at besides
            ``items`` and never take the place of one, however new and however many they are.
        """
        self._lock = threading.Lock()
        self._items: dict[str, RevocationItem] = {}
        self._about: dict[object, list[RevocationItem]] = {}
        self._unvouched_about = _newest(unvouched)
        self._unvouched = _named(self._unvouched_about)
        self.version = 0
        self.add(items)

    def __len__(self) -> int:
        return len(self.items)

    @property
    def items(self) -> tuple[RevocationItem, ...]:
        """Everything known, in no order."""
        with self._lock:
            return tuple((self._unvouched | self._items).values())

    def beside(self, unvouched: Iterable[RevocationItem]) -> RevocationFacts:
        """What is known now, for judging one thing that brings its own items along; see :meth:`__init__`."""
        with self._lock:
            return RevocationFacts(self._items.values(), unvouched=[*self._unvouched.values(), *unvouched])

    def add(self, items: Iterable[RevocationItem]) -> None:
        """
        Know these too; what is known already changes nothing.

        :raises RevocationUnreadable: one of them is not what it says; then nothing is added.
        """
        with self._lock:
            self._know([*self._items.values(), *items])

    def replace(self, items: Iterable[RevocationItem]) -> None:
        """
        Know exactly these from now on.

        :raises RevocationUnreadable: as for :meth:`add`.
        """
        with self._lock:
            self._know(items)

    def about(self, serial_number: int, issuer: object) -> tuple[RevocationItem, ...]:
        """
        What may concern one certificate, newest first.

        :param issuer: its issuer's name, as asn1crypto's ``Name.hashable``.
        """
        with self._lock:
            found = [
                item
                for about in (self._about, self._unvouched_about)
                for key in (serial_number, issuer, _ANYBODY)
                for item in about.get(key, ())
            ]
        return tuple(sorted(found, key=_AGE, reverse=True))

    def _know(self, items: Iterable[RevocationItem]) -> None:
        about = _newest(items)
        kept = _named(about)
        if kept.keys() != self._items.keys():
            self._items, self._about = kept, about
            self.version += 1


def _newest(items: Iterable[RevocationItem]) -> dict[object, list[RevocationItem]]:
    """The newest of each authority and scope, by whom they concern."""
    about: defaultdict[object, list[RevocationItem]] = defaultdict(list)
    counted: Counter[tuple[object, object]] = Counter()
    for item in sorted({item.sha256: item for item in items}.values(), key=_AGE, reverse=True):
        for key in item.concerns or (_ANYBODY,):
            place = (key, item.scope)
            if counted[place] < NEWEST_KEPT:
                counted[place] += 1
                about[key].append(item)
    return dict(about)


def _named(about: Mapping[object, list[RevocationItem]]) -> dict[str, RevocationItem]:
    return {item.sha256: item for some in about.values() for item in some}


_ANYBODY = object()
_AGE = operator.attrgetter("this_update")
