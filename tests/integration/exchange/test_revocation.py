"""What has been revoked is fetched in the background, from where the operator said and nowhere else."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from gateway.errors import SignatureRejected
from gateway.exchange import revocation as exchange_revocation
from gateway.exchange.allowed import AllowedUrls
from gateway.exchange.examine import ExaminationPace, Examiner, FileReader
from gateway.exchange.parts import ExaminationRules
from gateway.exchange.revocation import watched_signer
from gateway.exchange.signing_requests import Signings
from gateway.ledger.actions import Action
from gateway.model import (
    ExaminationKind,
    FileStanding,
    FileVerdict,
)
from gateway.signing.files import Inspector
from gateway.signing.keys import SigningKey
from gateway.signing.trust import RevocationItem, RevocationMode
from tests.support import pdfs, pki
from tests.support.evidence import a_maker
from tests.support.exchange import DEPARTMENT, Site, registered
from tests.support.pki_server import Fault
from tests.support.revocation import VALID, Watched, rules, watched

DAY = timedelta(days=1)


@pytest.fixture
def engine_name() -> str:
    """What is said here is not of SQL: one engine is enough (``tests/integration/ledger/test_revocation.py``)."""
    return "sqlite"


@pytest.fixture
def asking(site: Site) -> Iterator[Watched]:
    """A site whose department signs with a certificate that names the authority's CRL and OCSP."""
    with watched(site) as made:
        yield made


# Asking


def test_what_a_round_learns_decides_about_the_next_package(asking: Watched) -> None:
    asking.round()
    first = asking.send()
    assert asking.verdict(first) == VALID
    asking.server.revoke(asking.key.certificate, asking.site.clock())
    asking.site.clock.forward(hours=2)
    asking.round()
    with pytest.raises(SignatureRejected) as refused:
        asking.send()
    assert refused.value.verdict.reason == "signature.certificate_revoked"


def test_leaf_and_issuer_are_asked_about_and_nothing_is_asked_twice_before_it_is_due(asking: Watched) -> None:
    asking.round(at_once=False)
    assert asking.server.requests == {"crl": 2, "ocsp": 1}  # one list of each authority
    asking.site.clock.forward(minutes=1)
    assert asking.round(at_once=False)
    assert asking.server.requests == {"crl": 2, "ocsp": 1}
    asking.site.clock.forward(minutes=60)
    assert asking.round(at_once=False)
    assert asking.server.requests == {"crl": 4, "ocsp": 2}


def test_a_list_that_is_the_same_as_before_is_not_read_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = exchange_revocation.authentic_crl

    def counted(raw: bytes, authorities: Any, *, source: str) -> RevocationItem:
        read.append(source)
        return real(raw, authorities, source=source)

    monkeypatch.setattr(exchange_revocation, "authentic_crl", counted)
    with watched(site, crl=False, ocsp=False) as asking:
        # As a server of files: the same bytes until there is another list.
        kept: dict[str, bytes] = {}
        fresh = asking.server.crl_answer

        def same(issuer: SigningKey) -> bytes:
            return kept.setdefault(issuer.certificate_sha256, fresh(issuer))

        monkeypatch.setattr(asking.server, "crl_answer", same)
        asking.round()
        assert read == [asking.server.root_crl_url]
        version = site.ledger.revocation_version()
        for _ in range(2):
            site.clock.forward(hours=1)
            asking.server.crl = Fault.DOWN
            asking.round()
            site.clock.forward(minutes=2)
            asking.server.crl = Fault.NONE
            asking.round()
        assert read == [asking.server.root_crl_url]
        assert site.ledger.revocation_version() == version
        assert ("crl", "same") in asking.meter.outcomes
        (source,) = site.ledger.revocation_sources()
        assert (source.failures, source.last_success_at) == (0, site.clock())
        assert asking.actions()[-2:] == [Action.REVOCATION_FAILED, Action.REVOCATION_RECOVERED]
        kept.clear()
        site.clock.forward(hours=1)
        asking.round()
        assert len(read) == 2


def test_accepting_never_asks_anybody(asking: Watched) -> None:
    rules(asking.site, "accept")
    asking.send()
    assert asking.server.requests == {}


def test_while_one_process_asks_another_does_not(asking: Watched) -> None:
    assert asking.site.ledger.take_revocation_round(now=asking.site.clock(), lease=timedelta(minutes=5))
    assert not asking.round(at_once=False)
    assert asking.server.requests == {}


@pytest.mark.parametrize("where", ["nowhere", "elsewhere", "beside"])
def test_a_url_that_the_operator_did_not_list_is_never_fetched(site: Site, where: str) -> None:
    with watched(site, urls=[], crls=()) as made:
        beside = [made.server.url + "crl/other", made.server.url.replace("http:", "https:")]
        listed = {"nowhere": [], "elsewhere": ["http://ca.gov.vn/"], "beside": beside}[where]
        made.watch._pace = replace(made.watch._pace, allowed=AllowedUrls(listed))
        made.round()
        assert made.server.requests == {}
        assert site.ledger.revocation_sources() == []


def test_a_redirect_is_not_followed(asking: Watched) -> None:
    asking.server.crl = asking.server.ocsp = Fault.REDIRECT
    asking.round()
    sources = asking.site.ledger.revocation_sources()
    assert {(s.kind, s.last_error_code) for s in sources} == {
        ("crl", "delivery.peer_failed"),
        ("ocsp", "delivery.peer_failed"),
    }
    assert all(path.startswith(("/crl/", "/ocsp")) for path in asking.server.paths)


def test_a_crl_that_no_certificate_names_is_fetched_because_the_operator_names_it(site: Site) -> None:
    with watched(site, urls=[]) as made:
        made.round()
        assert [s.name for s in site.ledger.revocation_sources()] == [made.server.root_crl_url]
        assert made.server.requests == {"crl": 1}


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault.DOWN, "delivery.peer_failed"),
        (Fault.CUT, "delivery.peer_unreachable"),
        (Fault.HANGS, "delivery.peer_unreachable"),
        (Fault.GARBAGE, "trust.revocation_unreadable"),
        (Fault.FORGED, "trust.revocation_not_authentic"),
        (Fault.REFUSES, None),
    ],
)
def test_what_is_wrong_with_a_source_is_named_and_what_was_known_stays(
    asking: Watched, fault: Fault, code: str | None
) -> None:
    asking.round()
    before = asking.site.ledger.revocation_version()
    asking.server.crl = asking.server.ocsp = fault
    asking.site.clock.forward(hours=1)
    asking.round()
    asking.round()
    assert asking.site.ledger.revocation_version() == before
    sources = asking.site.ledger.revocation_sources()
    assert [s.failures for s in sources] == [2, 2, 2]
    assert code is None or {s.last_error_code for s in sources} == {code}
    assert asking.actions() == [Action.REVOCATION_FAILED] * 3  # each source once, not each time
    assert asking.verdict(asking.send()) == VALID
    asking.server.crl = asking.server.ocsp = Fault.NONE
    asking.site.clock.forward(hours=1)
    asking.round()
    assert asking.actions()[3:] == [Action.REVOCATION_RECOVERED] * 3


def test_what_is_dated_in_the_future_is_not_taken_for_it_would_stand_against_the_truth(asking: Watched) -> None:
    site = asking.site
    asking.round()
    asking.server.clock = lambda: site.clock() + timedelta(minutes=12)  # what it says begins a minute earlier
    site.clock.forward(hours=1)
    asking.round()
    assert {s.last_error_code for s in site.ledger.revocation_sources()} == {"trust.revocation_ahead"}
    asking.server.clock = lambda: site.clock() + timedelta(minutes=10)
    asking.round()
    assert {s.failures for s in site.ledger.revocation_sources()} == {0}
    # The true list that follows is taken.
    asking.server.clock = site.clock
    asking.server.revoke(asking.key.certificate, site.clock())
    site.clock.forward(minutes=30)
    asking.round()
    with pytest.raises(SignatureRejected):
        asking.send()


def test_an_answer_without_end_is_cut_off(site: Site) -> None:
    with watched(site, crls=(), limit_bytes=64 * 1024, ocsp=False) as made:
        made.server.crl = Fault.ENDLESS
        made.round()
        (source,) = site.ledger.revocation_sources()
        assert source.last_error_code == "request.body_too_large"


def test_a_failing_source_is_asked_ever_more_rarely(asking: Watched) -> None:
    asking.server.crl = asking.server.ocsp = Fault.DOWN
    asked = []
    for minute in (0, 1, 2, 3, 6, 7, 14, 15, 30, 31, 62, 63, 122, 123):
        asking.site.clock.now = pki.NOW + timedelta(minutes=minute)
        asking.round(at_once=False)
        asked.append(asking.server.requests["ocsp"])
    # Doubled up to the hour between two questions.
    assert asked == [1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8]


def test_a_round_asks_only_so_many_and_goes_on_with_the_others(site: Site) -> None:
    with watched(site, crls=(), per_round=2) as made:
        keys = [made.seal(crl=False) for _ in range(5)]
        site.change(DEPARTMENT, certificates=tuple(registered(k) for k in keys))
        for expected in (2, 4, 5, 5):
            site.clock.forward(seconds=20)
            made.round(at_once=False)
            assert made.server.requests["ocsp"] == expected


def test_a_host_that_does_not_answer_is_left_alone_for_the_rest_of_the_round(site: Site) -> None:
    with watched(site, threads=1) as made:
        keys = [made.seal(crl=False) for _ in range(8)]
        site.change(DEPARTMENT, certificates=tuple(registered(k) for k in keys))
        made.server.ocsp = Fault.CUT
        made.server.crl = Fault.DOWN  # which is an answer
        made.round(at_once=False)
        assert made.server.requests["ocsp"] == 3
        sources = [s for s in site.ledger.revocation_sources() if s.kind == "ocsp"]
        assert [(s.failures, s.last_error_code) for s in sources] == [(1, "delivery.peer_unreachable")] * 8
        made.server.ocsp = Fault.NONE
        site.clock.forward(minutes=2)
        made.round(at_once=False)
        assert made.server.requests["ocsp"] == 3 + 8


# Files


def test_a_network_that_reaches_nobody_reads_files_again_when_they_change(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "revocation"
    folder.mkdir()
    with watched(site, urls=[], crls=(), folder=folder) as made:
        key = made.key
        lists = {"intermediate.crl": made.server.crl_answer(pki.intermediate()), "root.crl": pki.crl(pki.root())}
        for name, der in lists.items():
            (folder / name).write_bytes(der)
        made.round(at_once=False)
        assert made.verdict(made.send()) == VALID
        made.server.revoke(key.certificate, site.clock())
        site.clock.forward(minutes=5)
        (folder / "intermediate.crl").write_bytes(made.server.crl_answer(pki.intermediate()))
        made.round(at_once=False)
        with pytest.raises(SignatureRejected):
            made.send()
        (folder / "root.crl").unlink()
        site.clock.forward(minutes=5)
        made.round(at_once=False)
        assert [s.name for s in site.ledger.revocation_sources()] == ["file:intermediate.crl"]
        assert made.server.requests == {}


def test_with_the_file_that_says_so_a_revocation_is_not_lost(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "revocation"
    folder.mkdir()
    with watched(site, mode=RevocationMode.IF_KNOWN, urls=[], crls=(), folder=folder) as made:
        made.server.revoke(made.key.certificate, site.clock() - DAY)
        (folder / "old.crl").write_bytes(made.server.crl_answer(pki.intermediate()))
        made.round(at_once=False)
        (folder / "old.crl").unlink()
        site.clock.forward(minutes=5)
        # By a process that has just started, too.
        made.another_watch().round()
        with pytest.raises(SignatureRejected):
            made.send()
        (folder / "new.crl").write_bytes(made.server.crl_answer(pki.intermediate()))
        made.round()
        made.round()
        assert [s.name for s in site.ledger.revocation_sources()] == ["file:new.crl"]
        with pytest.raises(SignatureRejected):
            made.send()


def test_with_the_address_that_says_so_a_revocation_is_not_lost(site: Site) -> None:
    with watched(site, mode=RevocationMode.IF_KNOWN) as made:
        made.server.revoke(made.key.certificate, site.clock() - DAY)
        made.round()
        made.watch._pace = replace(made.watch._pace, allowed=AllowedUrls([]), crls=())
        site.clock.forward(days=30)
        made.round()
        assert len(site.ledger.revocation_sources()) == 1
        with pytest.raises(SignatureRejected):
            made.send()


def test_files_that_are_no_good_are_named_and_harm_nobody(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "revocation"
    folder.mkdir()
    with watched(site, urls=[], crls=(), folder=folder, limit_bytes=10_000) as made:
        (folder / "notes.txt").write_text("CRL của năm ngoái")
        (folder / "forged.crl").write_bytes(pki.crl(signer=pki.stranger()))
        (folder / "big.crl").write_bytes(b"x" * 20_000)
        (folder / "other.ocsp").write_bytes(pki.ocsp_response(pki.person().certificate))
        (folder / "folder").mkdir()
        made.round()
        found = {s.name: s.last_error_code for s in site.ledger.revocation_sources()}
        assert found == {
            "file:notes.txt": "trust.revocation_unreadable",
            "file:forged.crl": "trust.revocation_not_authentic",
            "file:big.crl": "request.body_too_large",
            "file:other.ocsp": "trust.revocation_not_authentic",
        }
        assert site.ledger.revocation_version() == 0


# Keeping fresh


def test_another_process_sees_a_revocation_within_its_poll(asking: Watched) -> None:
    asking.round()
    asking.keeper.freshen()
    before = asking.site.parts.anchors.facts.version
    asking.keeper.freshen()
    assert asking.site.parts.anchors.facts.version == before
    asking.server.revoke(asking.key.certificate, asking.site.clock())
    asking.site.clock.forward(hours=1)
    asking.round()
    assert asking.site.parts.anchors.facts.version > before


def test_evidence_by_a_process_that_has_accepted_nothing_holds_what_is_known_of_revocation(asking: Watched) -> None:
    asking.round()
    trace = asking.site.ledger.trace(asking.send())
    assert trace is not None
    asking.site.parts = asking.another_process()
    with a_maker(asking.site).export(trace, actor="cli") as file, ZipFile(file) as bundle:
        parts = [name for name in bundle.namelist() if name.startswith("revocation/")]
    assert {Path(name).suffix for name in parts} == {".crl", ".ors"}


def test_a_process_that_has_accepted_nothing_signs_with_nothing_that_was_revoked(
    asking: Watched, tmp_path: Path
) -> None:
    asking.server.revoke(asking.key.certificate, asking.site.clock() - DAY)
    asking.round()
    signings = Signings(asking.another_process, tmp_path)
    worth = signings.registration(asking.site.known[DEPARTMENT], asking.key.certificate_sha256)
    assert worth.reason == "signature.certificate_revoked"


def test_signers_of_files_are_asked_about_too(asking: Watched) -> None:
    person = pki.person(ocsp_url=asking.server.ocsp_url)
    asking.site.ledger.watch_certificates([watched_signer(person.certificate)], now=asking.site.clock())
    asking.round()
    assert asking.server.requests["ocsp"] == 2
    states = {w.origin: w.state for w in asking.site.ledger.watched_certificates() if w.origin == "file"}
    assert states == {"file": "good"}


def test_the_end_of_a_certificate_is_told_at_each_threshold_once(asking: Watched) -> None:
    end = asking.key.certificate.not_valid_after_utc
    for left in (61, 60, 59, 30, 29, 7, 6, 1):
        asking.site.clock.now = end - left * DAY
        asking.server.crl = asking.server.ocsp = Fault.DOWN
        asking.round()
    told = [e.data for e in asking.events(Action.CERTIFICATE_EXPIRING)]
    mine = [d for d in told if d["certificate"] == asking.key.certificate_sha256]
    assert [(d["days"], d["agency"], d["role"]) for d in mine] == [(n, DEPARTMENT, "agency") for n in (60, 30, 7)]


def test_it_runs_until_it_is_told_to_stop(asking: Watched) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=asking.watch.run, args=(stop,))
    thread.start()
    while not asking.server.requests:
        stop.wait(0.01)
    stop.set()
    thread.join(timeout=60)
    assert not thread.is_alive()


def test_metrics_say_how_the_sources_and_the_certificates_stand(asking: Watched) -> None:
    def shown() -> str:
        return asking.site.client().get("/metrics").text

    asking.round()
    assert 'gateway_revocation_sources{state="good"} 3.0' in shown()
    asking.server.ocsp = Fault.DOWN
    asking.round()
    assert 'gateway_revocation_sources{state="failing"} 1.0' in shown()
    asking.site.clock.forward(days=1)
    assert 'gateway_revocation_sources{state="stale"} 3.0' in shown()
    asking.site.clock.now = asking.key.certificate.not_valid_after_utc - 20 * DAY
    assert 'gateway_certificates_ending{days="30"}' in shown()
    assert 'gateway_certificates_ending{days="7"} 0.0' in shown()


# Signatures inside files


def test_files_whose_signer_is_found_to_be_revoked_are_judged_anew(site: Site) -> None:
    site.rule(examinations=ExaminationRules(inspect=True))
    with watched(site, crl=False) as asking, Inspector() as inspector:
        person = pki.person(ocsp_url=asking.server.ocsp_url)
        pdf = pdfs.signed(pdfs.plain(), person)
        job = Examiner(site.parts, reader=lambda: contextlib.nullcontext(inspector), pace=ExaminationPace())

        def judged() -> FileStanding:
            while job.examine_next([ExaminationKind.FILES], inspector):
                pass
            row = next(r for r in site.ledger.examinations(document) if r.kind is ExaminationKind.FILES)
            assert row.result is not None
            (verdict,) = (v for v in row.result.files if v.format == "pdf")
            assert all(s.certificate is None for s in verdict.signatures)  # not kept with the verdict
            return verdict.standing

        asking.round()
        document = asking.send(contents={"main": pdf})
        # Nobody has asked about this signer yet; then somebody has.
        assert judged() is FileStanding.INDETERMINATE
        asking.round()
        assert judged() is FileStanding.VALID
        site.clock.forward(hours=1)
        asking.round()
        assert judged() is FileStanding.VALID
        asking.server.revoke(person.certificate, pki.NOW - DAY)
        site.clock.forward(hours=1)
        asking.round()
        assert judged() is FileStanding.REVOKED
        told = [e.data["files"] for e in asking.events(Action.DOCUMENT_EXAMINED)]
        assert told == [{"indeterminate": 1}, {"valid": 1}, {"revoked": 1}]


@pytest.mark.parametrize("before", [False, True], ids=["for the first time", "anew"])
def test_files_that_are_read_while_a_revocation_becomes_known_are_judged_by_it(site: Site, before: bool) -> None:
    site.rule(examinations=ExaminationRules(inspect=True))
    with watched(site, crl=False) as asking, Inspector() as inspector:
        person = pki.person(ocsp_url=asking.server.ocsp_url)
        read: list[str] = []

        class Meanwhile:
            """Reads well, and takes its time."""

            def inspect(self, path: Path, **question: Any) -> tuple[FileVerdict, ...]:
                found = inspector.inspect(path, **question)
                read.append(question["name"])
                if len(read) == 1:
                    asking.server.revoke(person.certificate, pki.NOW - DAY)
                    site.clock.forward(hours=1)
                    asking.round()
                return found

        def judge(reader: FileReader) -> FileStanding:
            job = Examiner(site.parts, reader=lambda: contextlib.nullcontext(reader))
            while job.examine_next([ExaminationKind.FILES], reader):
                pass
            row = next(r for r in site.ledger.examinations(document) if r.kind is ExaminationKind.FILES)
            assert row.result is not None
            return row.result.files[0].standing

        asking.round()
        # The signer is known to be good, by another document.
        document = asking.send(contents={"main": pdfs.signed(pdfs.plain(), person)})
        judge(inspector)
        asking.round()
        if not before:
            judge(inspector)
            document = asking.send(contents={"main": pdfs.signed(pdfs.plain(), person)})
        assert judge(Meanwhile()) is FileStanding.REVOKED
