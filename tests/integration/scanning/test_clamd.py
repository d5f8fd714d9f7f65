"""clamd finds what it knows; whatever it does instead of answering has a name, and ends within the time given."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.errors import (
    MalwareFound,
    ScanFailed,
    ScannerAnswerUnusable,
    ScannerUnreachable,
    SettingsInvalid,
    TooLargeToScan,
)
from gateway.scanning import Address, Clamd, File, Scanner
from gateway.scanning.clamd import Deadline
from tests.support.clamd import MALWARE, MALWARE_NAME, STREAM_MAX, FakeClamd, Fault, running_clamd, scanner
from tests.support.programs import needs


def a_file(content: bytes, name: str = "công văn.pdf", size: int | None = None) -> File:
    return File(name=name, size=len(content) if size is None else size, open=lambda: io.BytesIO(content))


# The real one


@pytest.fixture(scope="module")
def clamd() -> Iterator[Address]:
    with running_clamd() as address:
        yield address


@needs("clamd")
def test_the_real_clamd_finds_what_it_knows_and_nothing_else(clamd: Address) -> None:
    ours = scanner(clamd)
    clean = ours.scan([a_file(b"%PDF-1.7 trong"), a_file(b""), a_file(b"x" * 300_000)])
    assert clean.files == 3
    assert clean.scanner is not None
    assert clean.scanner.startswith("ClamAV ")
    with pytest.raises(MalwareFound) as found:
        ours.scan([a_file(b"sach"), a_file(MALWARE, "phụ lục.pdf"), a_file(b"sau")])
    assert found.value.code == "malware.found"
    assert (found.value.file, found.value.malware) == ("phụ lục.pdf", f"{MALWARE_NAME}.UNOFFICIAL")


@needs("clamd")
def test_the_real_clamd_says_that_a_file_is_too_large(clamd: Address) -> None:
    with pytest.raises(TooLargeToScan):
        scanner(clamd).scan([a_file(b"\0" * (3 * STREAM_MAX))])
    # What is too large hides nothing that comes after it.
    with pytest.raises(MalwareFound):
        scanner(clamd).scan([a_file(b"\0" * (3 * STREAM_MAX)), a_file(MALWARE)])


# One that misbehaves


def scan(fault: Fault, content: bytes = b"%PDF", *, seconds: float = 5, times: int = 1) -> FakeClamd:
    peer = FakeClamd(fault)
    with peer.listening() as address:
        client = scanner(address, timeout=timedelta(seconds=seconds))
        for _ in range(times):
            client.scan([a_file(content)])
    return peer


def test_the_whole_file_arrives_whatever_its_size() -> None:
    content = bytes(range(256)) * 1000
    assert scan(Fault(), content).files == [content]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(answer=None), ScannerUnreachable),
        (Fault(answer=b"stream: OK"), ScannerUnreachable),  # cut off: no NUL
        (Fault(answer=b"stream: Thu.Nghiem FOU"), ScannerUnreachable),
        (Fault(answer=None, after=1), ScannerUnreachable),
        (Fault(answer=b"INSTREAM size limit exceeded. ERROR\0", after=1), TooLargeToScan),
        (Fault(answer=b"INSTREAM size limit exceeded. ERROR\0"), TooLargeToScan),
        (Fault(answer=b"stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND\0"), TooLargeToScan),
        (Fault(answer=b"stream: Can't allocate memory ERROR\0"), ScannerAnswerUnusable),
        (Fault(answer=b"HTTP/1.1 400 Bad Request\r\n\r\n\0"), ScannerAnswerUnusable),
        (Fault(answer=b"stream: OK\nstream: X FOUND\0"), ScannerAnswerUnusable),
        (Fault(answer=b"\xff\xfe\0"), ScannerAnswerUnusable),
        (Fault(answer=b"stream:  FOUND\0"), ScannerAnswerUnusable),
        (Fault(answer=b"x" * 10_000), ScannerAnswerUnusable),
    ],
)
def test_everything_but_a_whole_answer_is_an_error_with_a_name(fault: Fault, error: type[ScanFailed]) -> None:
    with pytest.raises(error) as raised:
        scan(fault, b"%PDF" * 100_000)
    assert type(raised.value) is error


@pytest.mark.parametrize("fault", [Fault(silent=True), Fault(deaf=True)], ids=["silent", "deaf"])
def test_whoever_does_not_answer_is_left_when_the_time_is_over(fault: Fault) -> None:
    began = time.monotonic()
    with pytest.raises(ScannerUnreachable):
        scan(fault, b"%PDF" * 4_000_000, seconds=0.3)
    assert time.monotonic() - began < 60


def test_nobody_there_is_an_error_with_a_name(tmp_path: Path) -> None:
    for address in (Address(path=tmp_path / "none.ctl"), Address(host="127.0.0.1", port=1)):
        with pytest.raises(ScannerUnreachable):
            scanner(address).scan([a_file(b"x")])


def test_after_a_failure_nobody_waits_for_it_until_the_pause_is_over() -> None:
    peer, now = FakeClamd(Fault(answer=None)), [100.0]
    with peer.listening() as address:
        client = scanner(address, pause=timedelta(seconds=15), monotonic=lambda: now[0])
        for _ in range(3):
            with pytest.raises(ScannerUnreachable):
                client.scan([a_file(b"x")])
        assert len(peer.files) == 1
        now[0] += 15
        peer.fault = Fault()
        assert client.scan([a_file(b"x")]).files == 1


def waited(client: Scanner, number: int) -> list[float]:
    """How long each of so many who ask at the same moment had to wait to be told that it is not possible."""
    together = threading.Barrier(number)

    def ask(_: int) -> float:
        together.wait(10)
        began = time.monotonic()
        with pytest.raises(ScannerUnreachable):
            client.scan([a_file(b"x")])
        return time.monotonic() - began

    with ThreadPoolExecutor(number) as pool:
        return sorted(pool.map(ask, range(number)))


def test_one_that_hangs_does_not_keep_all_who_ask_waiting() -> None:
    peer = FakeClamd(Fault(silent=True))
    with peer.listening() as address:
        client = scanner(address, timeout=timedelta(seconds=1.5), at_once=2, turn=timedelta(seconds=0.1))
        times = waited(client, 8)
    assert times[5] < 1.4
    assert times[6] >= 1.4
    assert peer.connections == 2 * 2  # each asks once more whether it is alive at all


def test_who_finds_the_others_at_it_waits_for_its_turn() -> None:
    peer = FakeClamd()
    with peer.listening() as address:
        client = scanner(address, at_once=1, turn=timedelta(seconds=10))
        with ThreadPoolExecutor(6) as pool:
            assert [s.files for s in pool.map(lambda _: client.scan([a_file(b"x")]), range(6))] == [1] * 6


def test_after_the_pause_one_alone_finds_out_whether_it_is_back() -> None:
    peer, now = FakeClamd(Fault(answer=None)), [100.0]
    with peer.listening() as address:
        client = scanner(address, timeout=timedelta(seconds=1.5), at_once=4, monotonic=lambda: now[0])
        with pytest.raises(ScannerUnreachable):
            client.scan([a_file(b"x")])
        now[0] += 15
        peer.fault = Fault(silent=True)
        times = waited(client, 4)
    assert times[2] < 1.4
    assert times[3] >= 1.4


def test_a_file_that_takes_too_long_is_not_held_against_the_files_of_others() -> None:
    peer = FakeClamd(Fault(silent=True, alive=True))
    with peer.listening() as address:
        client = scanner(address, timeout=timedelta(seconds=0.3))
        with pytest.raises(ScannerUnreachable):
            client.scan([a_file(b"x")])
        peer.fault = Fault()
        assert client.scan([a_file(b"x")]).files == 1


@needs("clamd")
def test_the_real_clamd_says_that_it_is_there(clamd: Address) -> None:
    assert Clamd(clamd).is_there()
    assert not Clamd(Address(host="127.0.0.1", port=1)).is_there()


def test_what_is_larger_than_our_own_bound_is_not_even_sent() -> None:
    peer = FakeClamd()
    with peer.listening() as address, pytest.raises(TooLargeToScan):
        scanner(address, max_bytes=10).scan([a_file(b"x", size=11)])
    assert peer.connections == 0


def test_a_scanner_that_does_not_say_its_version_still_scans() -> None:
    peer = FakeClamd(version=b"?\0")
    with peer.listening() as address:
        assert scanner(address).scan([a_file(b"x")]).scanner is None


def test_the_name_of_a_find_is_one_that_every_report_can_carry() -> None:
    with pytest.raises(MalwareFound) as found:
        scan(Fault(answer=b"stream: Thu.\x01Nghiem FOUND\0"))
    assert found.value.malware == "Thu.?Nghiem"


def test_the_version_is_shown_without_what_would_spoil_a_log() -> None:
    peer = FakeClamd(version=b"ClamAV 1.4\n\x1b[31m\0")
    with peer.listening() as address:
        assert Clamd(address).version(deadline=Deadline.after(timedelta(seconds=5))) == "ClamAV 1.4??[31m"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:/run/clamav/clamd.ctl", Address(path=Path("/run/clamav/clamd.ctl"))),
        ("tcp:127.0.0.1:3310", Address(host="127.0.0.1", port=3310)),
        ("tcp:clamav.tinh.local:3310", Address(host="clamav.tinh.local", port=3310)),
        ("tcp:[::1]:3310", Address(host="::1", port=3310)),
    ],
)
def test_an_address_is_read(text: str, address: Address) -> None:
    assert Address.parse(text) == address


@pytest.mark.parametrize(
    "text", ["", "clamd.ctl", "unix:clamd.ctl", "tcp:host", "tcp:host:0", "tcp:host:70000", "tcp:a b:1"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(SettingsInvalid):
        Address.parse(text)
