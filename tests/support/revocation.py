"""A gateway that asks test authorities what has been revoked: the parts of ``gateway.exchange.revocation``, joined."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from gateway.delivery.http import HttpClient, HttpSettings
from gateway.exchange import mailbox
from gateway.exchange.allowed import AllowedUrls
from gateway.exchange.examine import settle
from gateway.exchange.parts import ExaminationRules, Parts
from gateway.exchange.rejudge import Rejudge
from gateway.exchange.revocation import RevocationKeeper, RevocationPace, RevocationWatch
from gateway.ledger.actions import Action
from gateway.ledger.records import EventRow
from gateway.model import DocumentId, Standing
from gateway.signing.keys import SigningKey, subject_name
from gateway.signing.sign import sign_package
from gateway.signing.trust import RevocationFacts, RevocationMode, TrustAnchors
from tests.support import documents, pki
from tests.support.exchange import COMMUNE, DEPARTMENT, Site, registered
from tests.support.pki_server import PkiServer

REVOKED = (Standing.INVALID, "signature.certificate_revoked")
VALID = (Standing.VALID, "signature.verified")
UNKNOWN = (Standing.INDETERMINATE, "signature.revocation_unknown")
"""Standing and reason of a verdict."""


@dataclass
class Meter:
    """Remembers what it is told."""

    outcomes: list[tuple[str, str]]
    standing: dict[str, int]
    on_rejudged: Callable[[], None] | None = None
    """Called for each, in the midst of the work."""

    def asked(self, *, kind: str, outcome: str) -> None:
        self.outcomes.append((kind, outcome))

    def rejudged(self, *, standing: str) -> None:
        self.standing[standing] = self.standing.get(standing, 0) + 1
        if self.on_rejudged is not None:
            self.on_rejudged()


@dataclass
class Watched:
    """A site whose trust knows of revocation."""

    site: Site
    server: PkiServer
    watch: RevocationWatch
    another_watch: Callable[[], RevocationWatch]
    """One that knows of nothing that ``watch`` has done: that of a process which has just started."""
    keeper: RevocationKeeper
    meter: Meter
    key: SigningKey
    """Of the department that sends; its certificate names the authority's CRL and OCSP."""

    def seal(self, *, crl: bool = True, ocsp: bool = True) -> SigningKey:
        """Another certificate of the department."""
        return a_seal(self.server, crl=crl, ocsp=ocsp)

    def send(self, **changes: Any) -> str:
        """Let the department send something; the gateway's id of it."""
        return self.site.accept(a_package(self.key, **changes)).document_id

    def round(self, *, at_once: bool = True) -> bool:
        """Ask everything now."""
        return self.watch.round(at_once=at_once)

    def another_process(self) -> Parts:
        """The parts of a process that has just started, and has not looked at the ledger yet."""
        facts = RevocationFacts()
        here = self.site.parts.anchors
        anchors = TrustAnchors(here.anchors, here.intermediates, mode=here.mode, facts=facts)
        keeper = RevocationKeeper(self.site.ledger, facts, monotonic=lambda: 0.0)
        return replace(self.site.parts, anchors=anchors, freshen=keeper.freshen)

    def verdict(self, document_id: str) -> tuple[Standing, str]:
        """Standing and reason as they are now."""
        row = self.site.ledger.document(document_id)
        assert row is not None
        return row.verdict.standing, row.verdict.reason

    def events(self, action: Action) -> list[EventRow]:
        return [e for e in self.site.ledger.events() if e.action is action]

    def actions(self) -> list[Action]:
        """Without those of the documents themselves."""
        kinds = ("certificate.", "revocation.", "document.rejudged")
        return [e.action for e in self.site.ledger.events() if e.action.value.startswith(kinds)]


_numbers = itertools.count(1)


def a_seal(server: PkiServer, *, crl: bool = True, ocsp: bool = True) -> SigningKey:
    """A certificate that names where the authority can be asked about it."""
    return pki.certify(
        subject_name("Sở Kiểm thử", organization="Sở Kiểm thử"),
        crl_url=server.crl_url if crl else None,
        ocsp_url=server.ocsp_url if ocsp else None,
    )


def a_package(key: SigningKey, **changes: Any) -> bytes:
    """A signed dispatch to the commune, another one each time."""
    changes = {
        "document_id": DocumentId(f"000.00.14.H37,2026/03/05,{next(_numbers)}/SA-VP"),
        "recipients": (documents.an_organization(COMMUNE),),
        **changes,
    }
    return sign_package(documents.a_package(**changes), key)


@contextmanager
def watched(
    site: Site,
    *,
    mode: RevocationMode = RevocationMode.REQUIRED,
    urls: Sequence[str] | None = None,
    crls: Sequence[str] | None = None,
    folder: Path | None = None,
    crl: bool = True,
    ocsp: bool = True,
    **pace: Any,
) -> Iterator[Watched]:
    """
    Let a site ask an authority about its certificates; its clock is the authority's, too.

    :param urls: prefixes that may be fetched; ``None``: all of the authority's.
    :param crls: fetched whatever certificates say; ``None``: the root's, which is about the intermediate, whose own
        certificate names none. So with ``()``, too, nothing is known of the intermediate.
    :param crl: whether the department's certificate names a CRL; ``ocsp``: a responder.
    """
    with PkiServer(clock=site.clock) as server:
        ticks = iter(range(1_000_000))

        def knowing() -> tuple[TrustAnchors, RevocationKeeper]:
            """Of one process."""
            facts = RevocationFacts()
            anchors = TrustAnchors([pki.root().certificate], [pki.intermediate().certificate], mode=mode, facts=facts)
            return anchors, RevocationKeeper(site.ledger, facts, monotonic=lambda: float(next(ticks)))

        anchors, keeper = knowing()
        site.parts = replace(site.parts, anchors=anchors, freshen=keeper.freshen)
        meter = Meter([], {})
        http = HttpClient(
            HttpSettings(connect_timeout=timedelta(seconds=2), read_timeout=timedelta(seconds=1), endpoints=8)
        )

        def a_watch(anchors: TrustAnchors, keeper: RevocationKeeper) -> RevocationWatch:
            return RevocationWatch(
                ledger=site.ledger,
                directory=lambda: site.parts.directory(),  # noqa: PLW0108 # a test may put other parts in place
                anchors=anchors,
                keeper=keeper,
                rejudge=Rejudge(
                    site.ledger,
                    anchors,
                    settle=lambda document, kind, outcome: settle(site.parts, document, kind, outcome),
                    counted=lambda s: meter.rejudged(standing=s.value),
                ),
                http=http,
                pace=RevocationPace(
                    allowed=AllowedUrls([server.url] if urls is None else urls),
                    crls=(server.root_crl_url,) if crls is None else tuple(crls),
                    folder=folder,
                    **pace,
                ),
                clock=site.clock,
                meter=meter,
            )

        watch = a_watch(anchors, keeper)
        try:
            key = a_seal(server, crl=crl, ocsp=ocsp)
            site.change(DEPARTMENT, certificates=(registered(key),))
            yield Watched(
                site=site,
                server=server,
                watch=watch,
                another_watch=lambda: a_watch(*knowing()),
                keeper=keeper,
                meter=meter,
                key=key,
            )
        finally:
            http.close()


def rules(site: Site, unknown: str) -> None:
    """Take signed and unsigned packages; ``unknown`` says what becomes of those of which revocation is not known."""
    site.rule(
        accepts=frozenset({Standing.VALID, Standing.UNSIGNED}),
        examinations=ExaminationRules(revocation_unknown=unknown),  # type: ignore[arg-type]
    )


def waiting(site: Site) -> list[str]:
    """Documents that the commune can collect now."""
    rows = mailbox.peek(site.parts, caller=site.known[COMMUNE], limit=50, after=None).rows
    return [row.document.id for row in rows]
