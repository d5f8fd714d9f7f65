"""Several processes sign with one token through one of them, and outlive it."""

import json
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import SigningProcessGone, TokenAbsent, TokenPinNeeded, TokenPinWrong, TokenUnusable
from gateway.signing import token_service
from gateway.signing.keys import signature_fits
from gateway.signing.token import Token
from gateway.signing.token_service import SharedTokenKey
from tests.support import pki
from tests.support.tokens import PIN, SoftToken, needs_softhsm, soft_token

pytestmark = needs_softhsm()

_PROCESS = """
import sys
from pathlib import Path
from gateway.signing.token import Token
from gateway.signing.token_service import SharedTokenKey
key = SharedTokenKey(Token(Path(sys.argv[1]), pin=lambda: sys.argv[3]), folder=Path(sys.argv[2]))
for line in sys.stdin:
    print(key.sign(line.strip().encode()).hex(), int(key.holds_token), flush=True)
"""


class Process:
    """Another process that signs what it is told, one line each."""

    def __init__(self, soft: SoftToken, folder: Path, pin: str = PIN) -> None:
        command = [sys.executable, "-c", _PROCESS, str(soft.module), str(folder), pin]
        self.popen = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def sign(self, text: str) -> tuple[bytes, bool]:
        """The signature, and whether that process holds the token."""
        assert self.popen.stdin is not None
        assert self.popen.stdout is not None
        self.popen.stdin.write(text + "\n")
        self.popen.stdin.flush()
        value, holds = self.popen.stdout.readline().split()
        return bytes.fromhex(value), holds == "1"

    def end(self) -> None:
        self.popen.kill()
        self.popen.communicate()


@pytest.fixture
def soft(tmp_path: Path) -> Iterator[SoftToken]:
    with soft_token(tmp_path / "token", ("gateway", pki.gateway())) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    return keys


def shared(soft: SoftToken, folder: Path, pin: str = PIN) -> SharedTokenKey:
    return SharedTokenKey(Token(soft.module, pin=lambda: pin), folder=folder)


def fits(value: bytes, data: bytes) -> bool:
    return signature_fits(pki.gateway().certificate, value, data)


def test_one_process_holds_the_token_and_the_next_takes_over_when_it_is_killed(soft: SoftToken, folder: Path) -> None:
    first, second = Process(soft, folder), None
    try:
        value, holds = first.sign("một")
        assert fits(value, "một".encode())
        assert holds
        second = Process(soft, folder)
        value, holds = second.sign("hai")
        assert fits(value, b"hai")
        assert not holds
        first.popen.send_signal(signal.SIGKILL)
        value, holds = second.sign("ba")
        assert fits(value, b"ba")
        assert holds
    finally:
        first.end()
        if second is not None:
            second.end()


def test_whoever_asks_learns_the_certificate_and_its_issuers(soft: SoftToken, folder: Path) -> None:
    holder, other = shared(soft, folder), shared(soft, folder)
    try:
        assert holder.holds_token
        assert not other.holds_token
        for key in (holder, other):
            assert key.certificate == pki.gateway().certificate
            assert key.chain == (pki.intermediate().certificate, pki.root().certificate)
            assert (key.algorithm, key.jws_algorithm) == (pki.gateway().algorithm, pki.gateway().jws_algorithm)
            assert key.certificate_sha256 == pki.gateway().certificate_sha256
            assert fits(key.sign(b"data"), b"data")
            key.check()
    finally:
        other.close()
        holder.close()


def test_a_holder_that_lets_go_is_followed(soft: SoftToken, folder: Path) -> None:
    holder, other = shared(soft, folder), shared(soft, folder)
    try:
        holder.close()
        assert fits(other.sign(b"after"), b"after")
        assert other.holds_token
        assert fits(holder.sign(b"again"), b"again")
        assert not holder.holds_token
    finally:
        holder.close()
        other.close()


def test_errors_keep_their_names_across_processes(soft: SoftToken, folder: Path) -> None:
    holder, other = shared(soft, folder, pin="000000"), shared(soft, folder)
    try:
        for key in (holder, other):
            with pytest.raises(TokenPinWrong) as caught:
                key.sign(b"data")
            assert caught.value.code == "token.pin_wrong"
    finally:
        other.close()
        holder.close()


def test_a_token_that_has_refused_the_pin_is_not_said_to_be_ready(soft: SoftToken, folder: Path) -> None:
    given = ["000000"]
    holder = SharedTokenKey(Token(soft.module, pin=lambda: given[0]), folder=folder)
    other = shared(soft, folder)
    try:
        holder.check()  # Nobody has tried it yet.
        with pytest.raises(TokenPinWrong):
            other.sign(b"data")
        for key in (holder, other):
            with pytest.raises(TokenPinWrong):
                key.check()
        given[0] = PIN  # The operator has mended the PIN's file.
        for key in (holder, other):
            key.check()
        assert fits(other.sign(b"data"), b"data")
    finally:
        other.close()
        holder.close()


def test_a_pin_that_is_not_there_is_named_to_all(soft: SoftToken, folder: Path) -> None:
    def none() -> str:
        raise TokenPinNeeded

    holder, other = SharedTokenKey(Token(soft.module, pin=none), folder=folder), shared(soft, folder)
    try:
        for key in (holder, other):
            with pytest.raises(TokenPinNeeded):
                key.sign(b"data")
    finally:
        other.close()
        holder.close()


def test_a_token_pulled_out_is_named_to_all_and_works_for_all_when_it_is_back(soft: SoftToken, folder: Path) -> None:
    holder, other = shared(soft, folder), shared(soft, folder)
    try:
        other.sign(b"before")
        soft.pull()
        for key in (holder, other):
            with pytest.raises(TokenAbsent):
                key.sign(b"meanwhile")
            with pytest.raises(TokenAbsent):
                key.check()
        soft.plug()
        assert fits(other.sign(b"after"), b"after")
    finally:
        other.close()
        holder.close()


def test_the_socket_is_its_owner_s_alone_and_a_broken_request_ends_nobody(soft: SoftToken, folder: Path) -> None:
    holder = shared(soft, folder)
    try:
        assert stat.S_IMODE((folder / "token.sock").stat().st_mode) == 0o600
        for nonsense in (
            b"\xff\xff\xff\xff",
            b"\x00\x00\x00\x00",
            b"\x00",
            b"\x00\x00\x00\x02Sx"[:5],
            b"\x00\x00\x00\x01Z",
        ):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
                descriptor = os.open(folder, os.O_RDONLY)
                peer.connect(f"/proc/self/fd/{descriptor}/token.sock")
                os.close(descriptor)
                peer.sendall(nonsense)
                peer.shutdown(socket.SHUT_WR)
                peer.settimeout(5)
                reply = peer.recv(1000)
                assert not reply or json.loads(reply[5:])["code"] == "token.unusable"
        assert fits(holder.sign(b"data"), b"data")
    finally:
        holder.close()


def test_a_keys_folder_of_any_depth_will_do(soft: SoftToken, tmp_path: Path) -> None:
    """The system's own bound on a socket's path is 108 bytes."""
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True, mode=0o700)
    holder, other = shared(soft, deep), shared(soft, deep)
    try:
        assert fits(other.sign(b"data"), b"data")
        assert not other.holds_token
    finally:
        other.close()
        holder.close()


def test_a_shortage_of_descriptors_ends_nobody(soft: SoftToken, folder: Path) -> None:
    holder, other = shared(soft, folder), shared(soft, folder)
    usual, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    asking = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    inside = os.open(folder, os.O_RDONLY)
    try:
        # None is left: the thread that listens cannot take this connection.
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, most))
        asking.connect(f"/proc/self/fd/{inside}/token.sock")
        time.sleep(0.1)
        resource.setrlimit(resource.RLIMIT_NOFILE, (usual, most))
        assert fits(other.sign(b"after"), b"after")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (usual, most))
        asking.close()
        os.close(inside)
        other.close()
        holder.close()


@pytest.mark.parametrize("name", ["token.lock", "token.sock"])
def test_a_folder_that_cannot_be_used_is_named(soft: SoftToken, folder: Path, name: str) -> None:
    (folder / name).mkdir()
    with pytest.raises(TokenUnusable, match="folder"):
        shared(soft, folder)


def test_a_key_that_was_not_had_holds_no_token(soft: SoftToken, folder: Path) -> None:
    soft.pull()
    with pytest.raises(TokenAbsent):
        shared(soft, folder)
    soft.plug()
    key = shared(soft, folder)
    try:
        assert key.holds_token
    finally:
        key.close()


def test_whoever_let_go_of_the_token_does_not_open_it_again(soft: SoftToken, folder: Path) -> None:
    holder = shared(soft, folder)
    holding = holder._holding
    assert holding is not None
    holder.close()
    with pytest.raises(SigningProcessGone):  # A request that was waiting while the lock was freed.
        holding.answer(b"S", b"data")


class Hanging:
    """A token whose PIN is not typed for a while: the request that needs it hangs as in a token's library."""

    def __init__(self, soft: SoftToken, folder: Path) -> None:
        self.reached, self.goes_on = threading.Event(), threading.Event()
        self.key = SharedTokenKey(Token(soft.module, pin=self._pin), folder=folder)

    def _pin(self) -> str:
        self.reached.set()
        assert self.goes_on.wait(120)
        return PIN


@pytest.fixture
def hanging(soft: SoftToken, folder: Path) -> Iterator[Hanging]:
    it = Hanging(soft, folder)
    yield it
    it.goes_on.set()
    it.key.close()


def test_whoever_is_in_line_behind_a_request_that_hangs_hears_that_the_token_does_not_answer(
    soft: SoftToken, folder: Path, hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = shared(soft, folder)
    first = threading.Thread(target=hanging.key.sign, args=(b"data",))
    first.start()
    try:
        assert hanging.reached.wait(60)
        monkeypatch.setattr(token_service, "_IN_LINE", 0.1)
        with pytest.raises(TokenUnusable, match="does not answer"):
            hanging.key.check()
        with pytest.raises(TokenUnusable, match="does not answer"):
            other.sign(b"data")
        hanging.goes_on.set()
        first.join()
        assert fits(other.sign(b"data"), b"data")
    finally:
        hanging.goes_on.set()
        first.join()
        other.close()


def test_whoever_asks_a_process_whose_token_hangs_waits_no_longer_than_its_patience(
    soft: SoftToken, folder: Path, hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = shared(soft, folder)
    monkeypatch.setattr(token_service, "_PATIENCE", 0.1)
    monkeypatch.setattr(token_service, "_TAKE_OVER", 0.1)
    try:
        with pytest.raises(SigningProcessGone):
            other.sign(b"data")
    finally:
        other.close()
