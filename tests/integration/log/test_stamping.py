"""The event log is stamped by whichever authority answers; one that does not stops nothing, and is made up for."""

import json
import subprocess
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gateway.delivery.http import HttpClient, HttpSettings
from gateway.errors import DeliveryError
from gateway.evidence.chain import check_proof, digest_of, read_statement
from gateway.evidence.timestamp import check_token
from gateway.exchange.log_audit import audit
from gateway.exchange.log_proofs import inclusion
from gateway.exchange.sealing import Sealer
from gateway.exchange.stamping import Stamper, StampPace, Timestamps, overdue
from gateway.ledger import Ledger
from gateway.model import LogEvent
from gateway.signing.keys import certificates_to_pem
from tests.support import pki
from tests.support.ledger import a_delivery, a_document
from tests.support.pki_server import Fault, PkiServer
from tests.support.programs import needs

ROOT = (pki.root().certificate,)


class Clock:
    """The gateway's clock and the authority's."""

    def __init__(self) -> None:
        self.now = pki.NOW

    def __call__(self) -> datetime:
        return self.now

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tsa(clock: Clock) -> Iterator[PkiServer]:
    with PkiServer(clock) as server:
        yield server


@pytest.fixture
def http() -> Iterator[HttpClient]:
    client = HttpClient(HttpSettings(connect_timeout=timedelta(seconds=5), read_timeout=timedelta(seconds=5)))
    yield client
    client.close()


class Log:
    """A ledger in which things happen, with a sealer and a stamper."""

    def __init__(self, ledger: Ledger, http: HttpClient, clock: Clock, *urls: str) -> None:
        self.ledger = ledger
        self._timestamps = Timestamps(http, urls=urls, anchors=ROOT)
        self._clock = clock
        pace = StampPace(every=timedelta(hours=1), events=100)
        self.stamper = Stamper(ledger.log, self._timestamps, gateway="H37", clock=clock, pace=pace)

    def happen(self, documents: int = 1) -> str:
        """Documents are accepted and sealed; the gateway's id of the last."""
        for _ in range(documents):
            document = a_document()
            self.ledger.accept(document, [a_delivery()])
        Sealer(self.ledger.log, gateway="H37", clock=self._clock).seal()
        return document.id

    def events(self, action: str) -> list[LogEvent]:
        return [event for event in self.ledger.log.between(0, None, limit=10_000) if event.action == action]


@pytest.fixture
def log(ledger: Ledger, http: HttpClient, tsa: PkiServer, clock: Clock) -> Log:
    return Log(ledger, http, clock, tsa.tsa_url)


def test_what_is_sealed_is_stamped_when_its_time_has_come(log: Log, tsa: PkiServer, clock: Clock) -> None:
    assert not log.stamper.stamp()  # nothing is sealed
    first = log.happen()
    assert not log.stamper.stamp()  # not due
    assert tsa.requests["tsa"] == 0
    clock.later(minutes=61)
    second = log.happen()
    assert log.stamper.stamp()
    assert not log.stamper.stamp()
    assert tsa.requests["tsa"] == 1
    for document in (first, second):  # one stamp covers everything before it
        for proof in inclusion(log.ledger.log, document):
            stamped = check_proof(proof).stamped
            assert proof.token is not None
            assert stamped is not None
            assert check_token(proof.token, stamped, ROOT).at == clock.now.replace(microsecond=0)
    report = audit(log.ledger.log, anchors=ROOT)
    assert (report.findings, report.stamps, report.stamped_to) == ((), 1, 4)


def test_many_events_are_stamped_sooner(log: Log, clock: Clock) -> None:
    log.happen(51)
    assert log.stamper.stamp()


@needs("openssl")
def test_openssl_judges_a_stamp_over_the_statement_as_it_stands(log: Log, clock: Clock, tmp_path: Path) -> None:
    document = log.happen()
    clock.later(hours=2)
    assert log.stamper.stamp()
    [proof, _] = inclusion(log.ledger.log, document)
    assert proof.statement is not None
    assert proof.token is not None
    statement, token, root = tmp_path / "statement.json", tmp_path / "token.der", tmp_path / "root.pem"
    statement.write_text(proof.statement, encoding="utf-8")
    token.write_bytes(proof.token)
    root.write_bytes(certificates_to_pem(ROOT))
    moment = str(int(clock.now.timestamp()))  # the test authority's certificates are of its own time
    command = ["openssl", "ts", "-verify", "-data", str(statement), "-in", str(token), "-token_in"]
    command += ["-CAfile", str(root), "-attime", moment]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Verification: OK" in done.stdout, done.stderr
    statement.write_text(proof.statement.replace("H37", "H38"), encoding="utf-8")
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_stamps_continue_one_another(log: Log, clock: Clock) -> None:
    for _ in range(3):
        log.happen()
        clock.later(hours=2)
        assert log.stamper.stamp()
    said = [read_statement(stamp.statement) for stamp in log.ledger.log.stamps_after(0, limit=10)]
    assert [(one.number, one.first, one.last) for one in said] == [(1, 1, 1), (2, 2, 2), (3, 3, 3)]
    stamps = log.ledger.log.stamps_after(0, limit=10)
    assert said[1].previous == digest_of(stamps[0].statement).hex()
    assert audit(log.ledger.log, anchors=ROOT).stamps == 3


@pytest.mark.parametrize(
    "fault", [Fault.DOWN, Fault.CUT, Fault.GARBAGE, Fault.FORGED, Fault.REFUSES, Fault.REDIRECT, Fault.ENDLESS]
)
def test_an_authority_that_gives_nothing_stops_nothing_and_is_made_up_for(
    log: Log, tsa: PkiServer, clock: Clock, fault: Fault
) -> None:
    first = log.happen()
    clock.later(hours=2)
    tsa.tsa = fault
    assert not log.stamper.stamp()
    second = log.happen()  # goes on as before
    assert [event.delivery for event in log.events("timestamp.failed")] == [None]
    assert [proof.token for proof in inclusion(log.ledger.log, first)] == [None, None]

    asked = tsa.requests["tsa"]
    assert not log.stamper.stamp()  # pauses
    assert tsa.requests["tsa"] == asked
    clock.later(minutes=1)
    assert not log.stamper.stamp()
    assert tsa.requests["tsa"] == asked + 1
    assert len(log.events("timestamp.failed")) == 1  # once for each cause
    assert overdue(log.ledger.log.newest_stamp(), now=clock.now) == timedelta(minutes=1)

    tsa.tsa = Fault.NONE
    clock.later(hours=5)
    assert log.stamper.stamp()  # the statement that waited
    assert log.stamper.stamp()  # and what was sealed meanwhile
    assert len(log.events("timestamp.recovered")) == 1
    for document in (first, second):
        assert all(proof.token for proof in inclusion(log.ledger.log, document))
    assert overdue(log.ledger.log.newest_stamp(), now=clock.now) == timedelta(0)
    assert audit(log.ledger.log, anchors=ROOT).findings == ()


def test_the_next_authority_is_asked_when_one_is_down(
    ledger: Ledger, http: HttpClient, tsa: PkiServer, clock: Clock
) -> None:
    with PkiServer(clock) as down:
        down.tsa = Fault.DOWN
        log = Log(ledger, http, clock, down.tsa_url, "http://127.0.0.1:1/", tsa.tsa_url)
        log.happen()
        clock.later(hours=2)
        assert log.stamper.stamp()
        assert (down.requests["tsa"], tsa.requests["tsa"]) == (1, 1)


@pytest.mark.parametrize("minutes", [-11, 60 * 24 * 30])
def test_an_authority_whose_clock_is_wrong_stamps_nothing(log: Log, tsa: PkiServer, clock: Clock, minutes: int) -> None:
    log.happen()
    clock.later(hours=2)
    tsa.clock = lambda: clock() + timedelta(minutes=minutes)
    assert not log.stamper.stamp()
    (failed,) = log.events("timestamp.failed")
    assert json.loads(failed.data)["code"] == "timestamp.refused"
    tsa.clock = lambda: clock() + timedelta(minutes=9)
    clock.later(minutes=5)
    assert log.stamper.stamp()
    assert len(log.events("timestamp.recovered")) == 1


def test_an_authority_that_nobody_trusts_is_not_taken(log: Log, tsa: PkiServer, clock: Clock) -> None:
    tsa.authority = pki.tsa_stranger()
    log.happen()
    clock.later(hours=2)
    assert not log.stamper.stamp()
    [failed] = log.events("timestamp.failed")
    assert '"code":"timestamp.refused"' in failed.data


def test_several_processes_ask_once(log: Log, ledger: Ledger, http: HttpClient, tsa: PkiServer, clock: Clock) -> None:
    log.happen()
    clock.later(hours=2)
    others = [Log(ledger, http, clock, tsa.tsa_url).stamper for _ in range(4)]
    threads = [threading.Thread(target=stamper.stamp) for stamper in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tsa.requests["tsa"] == 1
    assert ledger.log.state().stamped_batches == 1


def test_one_who_died_while_asking_is_taken_over_from(log: Log, ledger: Ledger, clock: Clock) -> None:
    log.happen()
    clock.later(hours=2)
    waiting = log.stamper._next(None, clock.now, at_once=False)
    assert waiting is not None
    assert ledger.log.claim_stamp(waiting.number, now=clock.now, tried_before=clock.now)  # and dies
    assert not log.stamper.stamp()
    clock.later(minutes=1)
    assert log.stamper.stamp()


def test_a_clock_that_was_a_year_ahead_delays_no_stamp(log: Log, tsa: PkiServer, clock: Clock) -> None:
    clock.later(days=365)
    log.happen()
    clock.later(hours=2)
    tsa.tsa = Fault.DOWN
    assert not log.stamper.stamp()
    tsa.tsa = Fault.NONE
    clock.later(days=-365)
    assert overdue(log.ledger.log.newest_stamp(), now=clock.now) > timedelta(days=300)  # an alarm, not silence
    assert log.stamper.stamp()

    clock.later(days=365)
    log.happen()
    clock.later(days=-365)
    assert log.stamper.stamp()


def test_clocks_of_two_machines_that_differ_by_seconds_stamp_nothing_early(log: Log, clock: Clock) -> None:
    clock.later(seconds=30)
    log.happen()
    clock.later(seconds=-30)
    assert not log.stamper.stamp()


def test_a_stamp_that_can_be_done_without_is_none_when_nobody_answers(
    http: HttpClient, tsa: PkiServer, clock: Clock
) -> None:
    digest = digest_of("anything")
    some = Timestamps(http, urls=[tsa.tsa_url], anchors=ROOT)
    token = some.stamp(digest)
    assert token is not None
    assert check_token(token, digest, ROOT).trusted
    tsa.tsa = Fault.DOWN
    assert some.stamp(digest) is None
    with pytest.raises(DeliveryError):
        some.fetch(digest)
    with pytest.raises(DeliveryError):
        Timestamps(http, urls=[]).fetch(digest)


def test_a_policy_that_was_asked_for_must_be_the_token_s(http: HttpClient, tsa: PkiServer) -> None:
    digest = digest_of("anything")
    assert Timestamps(http, urls=[tsa.tsa_url], anchors=ROOT, policy=pki.POLICY).fetch(digest)[1].policy == pki.POLICY
    with pytest.raises(DeliveryError) as caught:
        Timestamps(http, urls=[tsa.tsa_url], anchors=ROOT, policy="1.2.3.4").fetch(digest)
    assert caught.value.code == "timestamp.refused"
