"""What becomes of documents whose certificate was revoked, or of which nobody knows whether it was."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gateway.errors import OperationOutpaced, RevocationUnknown, SignatureRejected
from gateway.exchange import rejudge
from gateway.exchange.examine import settle
from gateway.exchange.parts import ExaminationRules, Parts
from gateway.exchange.rejudge import Between, Rejudge
from gateway.exchange.revocation import watched_signer
from gateway.ledger import Ledger
from gateway.ledger.actions import Action
from gateway.ledger.records import Examined, NewExamination
from gateway.model import (
    Business,
    BusinessType,
    ExaminationKind,
    ExaminationState,
    Standing,
    StatusCode,
    Verdict,
)
from gateway.signing.keys import KnownCertificate, SigningKey, known
from gateway.signing.trust import RevocationFacts, RevocationMode, TrustAnchors, read_item
from tests.support import documents, pki, revocation
from tests.support.exchange import COMMUNE, DEPARTMENT, PUSHED, Site
from tests.support.ledger import a_document
from tests.support.pki_server import Fault
from tests.support.revocation import REVOKED, UNKNOWN, VALID, Watched, a_package, rules, waiting, watched

DAY = timedelta(days=1)


@pytest.fixture
def asking(site: Site) -> Iterator[Watched]:
    """A site whose department signs with a certificate that names the authority's CRL and OCSP."""
    with watched(site) as made:
        yield made


# What becomes of documents


def test_a_later_revocation_with_an_earlier_date_judges_anew_what_came_since_and_tells(asking: Watched) -> None:
    site = asking.site
    asking.round()
    before = asking.send()
    site.clock.forward(minutes=30)
    compromised = site.clock()
    site.clock.forward(minutes=30)
    since = [asking.send() for _ in range(3)]
    unsigned = site.accept(documents.a_package()).document_id
    asking.server.revoke(asking.key.certificate, compromised)
    site.clock.forward(hours=2)
    asking.round()
    assert asking.verdict(before) == VALID
    assert [asking.verdict(d) for d in since] == [REVOKED] * 3
    assert asking.verdict(unsigned)[0] is Standing.UNSIGNED
    told = asking.events(Action.DOCUMENT_REJUDGED)
    assert [e.document for e in told] == since
    assert told[0].data == {
        "old": "valid",
        "new": "invalid",
        "reason": "signature.certificate_revoked",
        "cause": "revoked",
        "certificate": asking.key.certificate_sha256,
        "revoked_at": compromised.isoformat(),
    }
    (revoked,) = asking.events(Action.CERTIFICATE_REVOKED)
    assert revoked.data["reason"] == "key_compromise"
    assert asking.meter.standing == {"invalid": 3}
    shown = site.client().get(f"/api/v1/documents/{since[0]}", headers=site.key(DEPARTMENT)).json
    assert shown is not None
    assert (shown["verdict"]["standing"], shown["verdict"]["revocation"]) == ("invalid", "revoked")
    assert [(j["cause"], j["verdict"]["standing"]) for j in shown["judgements"]] == [
        ("receipt", "valid"),
        ("revoked", "invalid"),
    ]
    # Again: nothing new, nothing told.
    site.clock.forward(hours=2)
    asking.round()
    assert len(asking.events(Action.DOCUMENT_REJUDGED)) == 3


def test_what_was_judged_anew_goes_to_nobody_else(asking: Watched) -> None:
    site = asking.site
    asking.round()
    raw = a_package(asking.key, recipients=tuple(documents.an_organization(code) for code in (COMMUNE, PUSHED)))
    first = site.accept(raw, only=[COMMUNE])
    asking.server.revoke(asking.key.certificate, site.clock() - DAY)
    site.clock.forward(hours=2)
    asking.round()
    with pytest.raises(SignatureRejected) as refused:
        site.accept(raw, only=[PUSHED])
    assert refused.value.verdict.reason == "signature.certificate_revoked"
    assert [d.recipient for d in site.ledger.deliveries(first.document_id)] == [COMMUNE]
    # The receipt that was given stands.
    again = site.accept(raw, only=[COMMUNE])
    assert (again.duplicate, again.receipt) == (True, first.receipt)


@pytest.mark.parametrize("minutes", [0, 90], ids=["by the next round", "by a process that starts later"])
def test_what_another_process_accepted_a_moment_too_late_is_judged_anew_too(asking: Watched, minutes: int) -> None:
    site = asking.site
    asking.round()
    facts = RevocationFacts(site.parts.anchors.facts.items)
    asking.server.revoke(asking.key.certificate, site.clock())
    site.clock.forward(hours=1)
    asking.round()
    late = _sent_by_what_was_known(asking, facts)
    assert asking.verdict(late) == VALID
    site.clock.forward(seconds=20, minutes=minutes)
    # Whoever met the revocation need not be the one that follows it up.
    asking.another_watch().round()
    assert asking.verdict(late) == REVOKED


def test_what_came_too_late_is_judged_anew_however_long_the_rest_took(asking: Watched) -> None:
    site = asking.site
    asking.round()
    facts = RevocationFacts(site.parts.anchors.facts.items)
    asking.server.revoke(asking.key.certificate, site.clock())
    site.clock.forward(hours=1)
    late: list[str] = []
    real = asking.watch._rejudge.of_certificate

    def then(*args: Any, **options: Any) -> int:
        done = real(*args, **options)
        if not late:
            late.append(_sent_by_what_was_known(asking, facts))
            site.clock.forward(minutes=30)  # there are a hundred thousand others
        return done

    asking.watch._rejudge.of_certificate = then  # type: ignore[method-assign] # as it is, and long
    asking.round()
    assert asking.verdict(late[0]) == VALID
    site.clock.forward(seconds=20)
    asking.watch.round()
    assert asking.verdict(late[0]) == REVOKED


def _sent_by_what_was_known(asking: Watched, facts: RevocationFacts) -> str:
    """Accepted by another process, which has not looked at the ledger since."""
    site = asking.site
    old = TrustAnchors(
        [pki.root().certificate], [pki.intermediate().certificate], mode=RevocationMode.REQUIRED, facts=facts
    )
    parts, site.parts = site.parts, replace(site.parts, anchors=old, freshen=lambda: None)
    try:
        return asking.send()
    finally:
        site.parts = parts


def test_a_date_that_is_moved_back_reaches_what_came_before(asking: Watched) -> None:
    site = asking.site
    asking.round()
    first = asking.send()
    at_first = site.clock()
    site.clock.forward(hours=1)
    asking.server.revoke(asking.key.certificate, site.clock())
    site.clock.forward(hours=1)
    asking.round()
    assert asking.verdict(first) == VALID
    asking.server.revoke(asking.key.certificate, at_first - DAY)
    site.clock.forward(hours=1)
    asking.round()
    assert asking.verdict(first) == REVOKED


def test_a_hold_that_is_lifted_makes_the_documents_valid_again(asking: Watched) -> None:
    site = asking.site
    asking.round()
    document = asking.send()
    asking.server.revoke(asking.key.certificate, site.clock() - DAY, pki.Reason.certificate_hold)
    site.clock.forward(hours=2)
    asking.round()
    assert asking.verdict(document) == REVOKED
    asking.server.revoked.clear()
    site.clock.forward(hours=2)
    asking.round()
    assert asking.verdict(document) == VALID
    assert [j.cause for j in site.ledger.judgements(document)] == ["receipt", "revoked", "unrevoked"]
    assert Action.CERTIFICATE_UNREVOKED in asking.actions()


def test_what_was_revoked_stays_revoked_when_its_source_is_lost(asking: Watched) -> None:
    site = asking.site
    asking.round()
    document = asking.send()
    asking.server.revoke(asking.key.certificate, site.clock() - DAY)
    site.clock.forward(hours=2)
    asking.round()
    names = [s.name for s in site.ledger.revocation_sources()]
    site.ledger.drop_revocation(names, now=site.clock())
    asking.server.crl = asking.server.ocsp = Fault.DOWN
    asking.round()
    assert asking.verdict(document) == REVOKED
    (state,) = [w.state for w in site.ledger.watched_certificates() if w.sha256 == asking.key.certificate_sha256]
    assert state == "revoked"


@pytest.mark.parametrize("mode", [RevocationMode.OFF, RevocationMode.IF_KNOWN])
def test_ignorance_counts_only_where_knowledge_is_required(site: Site, mode: RevocationMode) -> None:
    with watched(site, mode=mode) as made:
        made.server.crl = made.server.ocsp = Fault.DOWN
        made.round()
        assert made.verdict(made.send()) == VALID
        assert bool(made.server.requests) is (mode is not RevocationMode.OFF)


# The outage policy


def test_accepted_and_judged_again_when_it_is_known(asking: Watched) -> None:
    site = asking.site
    rules(site, "accept")
    asking.server.crl = asking.server.ocsp = Fault.DOWN
    asking.round()
    document = asking.send()
    assert asking.verdict(document) == UNKNOWN
    assert waiting(site) == [document]
    asking.server.crl = asking.server.ocsp = Fault.NONE
    asking.round()
    assert asking.verdict(document) == VALID
    (row,) = site.ledger.examinations(document)
    assert (row.kind, row.state, row.holds) == (ExaminationKind.REVOCATION, ExaminationState.DONE, False)
    assert [e.data["cause"] for e in asking.events(Action.DOCUMENT_REJUDGED)] == ["known"]


def test_while_nothing_more_is_known_what_waits_is_not_judged_again_and_again(
    asking: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = asking.site
    rules(site, "accept")
    asking.server.crl = asking.server.ocsp = Fault.DOWN
    asking.round()
    document = asking.send()
    looks = []
    undecided = Rejudge.undecided
    monkeypatch.setattr(Rejudge, "undecided", lambda self, **at: looks.append(at) or undecided(self, **at))
    for _ in range(8):
        site.clock.forward(seconds=20)
        assert asking.round(at_once=False)
    assert looks == []
    site.clock.forward(minutes=5)
    asking.round(at_once=False)
    assert len(looks) == 1
    asking.server.crl = asking.server.ocsp = Fault.NONE
    site.clock.forward(hours=1)
    asking.round(at_once=False)
    assert asking.verdict(document) == VALID


def test_a_document_that_cannot_be_decided_about_keeps_no_other_one_waiting(
    asking: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules(asking.site, "hold")
    asking.server.crl = asking.server.ocsp = Fault.DOWN
    asking.round()
    first, second = asking.send(), asking.send()
    asking.server.crl = asking.server.ocsp = Fault.NONE
    settled = revocation.settle

    def outpaced(parts: Parts, document: str, *how: Any) -> bool:
        if document == first:
            raise OperationOutpaced
        return settled(parts, document, *how)

    with monkeypatch.context() as patched:
        patched.setattr(revocation, "settle", outpaced)
        asking.round()
    assert waiting(asking.site) == [second]
    asking.round()
    assert waiting(asking.site) == [first, second]


def test_held_until_it_is_known_and_then_handed_over(asking: Watched) -> None:
    site = asking.site
    rules(site, "hold")
    asking.server.crl = asking.server.ocsp = Fault.DOWN
    asking.round()
    document = asking.send()
    assert waiting(site) == []
    asking.round()
    assert waiting(site) == []
    asking.server.crl = asking.server.ocsp = Fault.NONE
    asking.round()
    assert waiting(site) == [document]
    assert asking.verdict(document) == VALID


def test_held_and_refused_when_it_had_been_revoked_and_the_sender_is_told(asking: Watched) -> None:
    site = asking.site
    rules(site, "hold")
    asking.server.crl = asking.server.ocsp = Fault.DOWN
    asking.round()
    document = asking.send()
    asking.server.crl = asking.server.ocsp = Fault.NONE
    asking.server.revoke(asking.key.certificate, site.clock() - DAY)
    asking.round()
    assert asking.verdict(document) == REVOKED
    assert waiting(site) == []
    (delivery,) = site.ledger.deliveries(document)
    assert delivery.state.value == "refused"
    told = site.ledger.trace(document)
    assert told is not None
    (status,) = told.statuses
    assert status.code is StatusCode.REFUSED
    assert "thu hồi" in (status.description or "")


def test_refused_for_now_and_taken_when_it_is_known(asking: Watched) -> None:
    site = asking.site
    rules(site, "refuse")
    asking.server.crl = asking.server.ocsp = Fault.DOWN
    asking.round()
    raw = a_package(asking.key)
    with pytest.raises(RevocationUnknown):
        site.accept(raw)
    asking.server.crl = asking.server.ocsp = Fault.NONE
    asking.round()
    assert asking.verdict(site.accept(raw).document_id) == VALID


def test_what_takes_effect_at_once_is_not_held_but_to_be_sent_again(asking: Watched) -> None:
    site = asking.site
    rules(site, "hold")
    asking.server.crl = asking.server.ocsp = Fault.DOWN
    asking.round()
    recall = a_package(asking.key, business=Business(type=BusinessType.REVOKE, reason="Ban hành nhầm"))
    with pytest.raises(RevocationUnknown):
        site.accept(recall)


# A hundred thousand documents


def resting_on(key: SigningKey, ledger: Ledger, count: int) -> list[str]:
    """Documents that a certificate verified, in the order of their receipt."""
    found = []
    for number in range(count):
        at = pki.NOW + timedelta(seconds=number)
        verdict = Verdict(
            standing=Standing.VALID,
            reason="signature.verified",
            judged_at=at,
            certificate_sha256=key.certificate_sha256,
            revocation="good",
        )
        document = a_document(verdict=verdict, received_at=at)
        ledger.accept(document, [])
        found.append(document.id)
    return found


class Ended(Exception):
    """The program was killed here."""


def test_whoever_is_killed_while_many_are_judged_anew_is_gone_on_from_and_nothing_is_done_twice(ledger: Ledger) -> None:
    key = pki.agency()
    everything = resting_on(key, ledger, 130)
    revoked = read_item(pki.crl(revoked={key.certificate.serial_number: (pki.NOW - DAY, None)}), source="list")
    facts = RevocationFacts([revoked, read_item(pki.crl(pki.root()), source="root")])
    anchors = TrustAnchors(
        [pki.root().certificate], [pki.intermediate().certificate], mode=RevocationMode.REQUIRED, facts=facts
    )
    judging = Rejudge(ledger, anchors, settle=lambda *_: False)
    portions = iter(range(1))

    def between() -> None:
        # In between nothing is locked: somebody else writes.
        ledger.accept(a_document(), [])
        if next(portions, None) is None:
            raise Ended

    def judge(between: Between) -> int:
        return judging.of_certificate(
            known(key.certificate), since=pki.NOW - DAY, cause="revoked", now=pki.NOW + DAY, between=between
        )

    with pytest.raises(Ended):
        judge(between)
    told = [e.document for e in ledger.events() if e.action is Action.DOCUMENT_REJUDGED]
    assert 0 < len(told) < len(everything)
    assert judge(lambda: None) == len(everything) - len(told)
    told = [e.document for e in ledger.events() if e.action is Action.DOCUMENT_REJUDGED]
    assert sorted(filter(None, told)) == sorted(everything)
    assert [len(ledger.judgements(d)) for d in (everything[0], everything[60], everything[-1])] == [2, 2, 2]
    assert judge(lambda: None) == 0


def test_whoever_is_ended_between_two_certificates_has_no_files_read_twice(asking: Watched) -> None:
    site = asking.site
    site.rule(examinations=ExaminationRules(inspect=True))
    asking.round()
    document = asking.send(contents={"main": documents.PDF})
    done = Examined(state=ExaminationState.DONE, reason="file.judged")

    def judged() -> None:
        assert settle(site.parts, document, ExaminationKind.FILES, done)

    judged()
    keys = [asking.key, asking.seal()]
    signers = [(watched_signer(key.certificate), False) for key in keys]
    site.ledger.note_file_signers(document, signers, now=site.clock())
    asking.round()
    for key in keys:
        asking.server.revoke(key.certificate, site.clock() - DAY)
    site.clock.forward(hours=2)
    stop = threading.Event()
    real, met = asking.watch._rejudge.of_certificate, []

    def of_certificate(certificate: KnownCertificate, **options: Any) -> int:
        met.append(certificate.sha256)
        if len(met) == 2:
            stop.set()
            options["between"]()
        return real(certificate, **options)

    asking.watch._rejudge.of_certificate = of_certificate  # type: ignore[method-assign] # as it is, and counted
    assert asking.watch.round(stop=stop)
    assert [e.data["certificate"] for e in asking.events(Action.CERTIFICATE_REVOKED)] == met[:1]
    judged()
    site.ledger.note_file_signers(document, [s for s in signers if s[0].sha256 == met[0]], now=site.clock())
    site.clock.forward(minutes=1)
    assert asking.another_watch().round()
    assert len(asking.events(Action.CERTIFICATE_REVOKED)) == 2
    (row,) = site.ledger.examinations(document)
    assert row.state is ExaminationState.DONE


def test_a_long_work_is_heard_of_also_where_there_is_nothing_to_change(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejudge, "_PAGE", 2)
    key = pki.agency()
    resting_on(key, ledger, 6)
    anchors = TrustAnchors([pki.root().certificate], [pki.intermediate().certificate], mode=RevocationMode.REQUIRED)
    unknown = Verdict(standing=Standing.INDETERMINATE, reason="signature.revocation_unknown", judged_at=pki.NOW)
    open_ = NewExamination(kind=ExaminationKind.REVOCATION, due_at=pki.NOW)
    for _ in range(6):
        ledger.accept(a_document(verdict=unknown), [], examinations=[open_])
    judging = Rejudge(ledger, anchors, settle=lambda *_: False)
    heard: list[str] = []
    at = {"now": pki.NOW, "between": lambda: heard.append("heard")}
    assert judging.of_certificate(known(key.certificate), since=pki.NOW, cause="revoked", **at) == 0
    assert len(heard) == 3
    assert judging.undecided(**at) == 0
    assert len(heard) == 6


def test_a_round_that_is_told_to_end_leaves_the_rest_to_the_next(asking: Watched) -> None:
    site = asking.site
    asking.round()
    documents_ = [asking.send() for _ in range(3)]
    finished = site.ledger.last_revocation_round()
    asking.server.revoke(asking.key.certificate, site.clock() - DAY)
    site.clock.forward(hours=2)
    stop = threading.Event()
    asking.meter.on_rejudged = stop.set  # in the middle of the work
    assert asking.watch.round(stop=stop)
    assert site.ledger.last_revocation_round() == finished
    assert asking.events(Action.CERTIFICATE_REVOKED) == []
    asking.meter.on_rejudged = None
    site.clock.forward(minutes=1)
    assert asking.another_watch().round()
    assert [asking.verdict(d) for d in documents_] == [REVOKED] * 3
    assert len(asking.events(Action.DOCUMENT_REJUDGED)) == 3
    assert len(asking.events(Action.CERTIFICATE_REVOKED)) == 1


def test_a_round_that_takes_longer_than_its_lease_keeps_it(asking: Watched) -> None:
    site = asking.site
    asking.round()
    asking.send()
    asking.server.revoke(asking.key.certificate, site.clock() - DAY)
    site.clock.forward(hours=2)
    others: list[bool] = []

    def meanwhile() -> None:
        for _ in range(3):
            site.clock.forward(minutes=4)

    asking.meter.on_rejudged = meanwhile
    rest, resting = asking.watch._rejudge.of_certificate, others.append

    def watching(*args: Any, between: Between, **options: Any) -> int:
        def rested() -> None:
            between()
            resting(site.ledger.take_revocation_round(now=site.clock(), lease=timedelta(minutes=10)))

        return rest(*args, between=rested, **options)

    asking.watch._rejudge.of_certificate = watching  # type: ignore[method-assign] # looks in between, and changes nothing
    asking.round()
    assert others == [False]
