"""A key in a token signs as one in a file, says clearly what is wrong with it, and comes back when the token does."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.errors import (
    TokenAbsent,
    TokenKeyUnknown,
    TokenLibraryUnusable,
    TokenPinLocked,
    TokenPinWrong,
    TokenUnusable,
)
from gateway.evidence.receipt import check_receipt, make_receipt
from gateway.model import Standing
from gateway.signer.keyring import TokenKeyring
from gateway.signer.preflight import examine
from gateway.signing import token as tokens_of
from gateway.signing.keys import SigningKey, signature_fits
from gateway.signing.sign import sign_package
from gateway.signing.token import Token, list_tokens, read_pin
from tests.support import documents, pki, signed
from tests.support.tokens import PIN, SoftToken, needs_softhsm, soft_token
from tests.unit.evidence.test_receipt import FACTS

pytestmark = needs_softhsm()


@pytest.fixture
def soft(tmp_path: Path) -> Iterator[SoftToken]:
    with soft_token(
        tmp_path, ("rsa", pki.agency()), ("ec", pki.agency_ec()), ("p384", pki.agency_of_curve("secp384r1"))
    ) as made:
        yield made


class Asked:
    """Gives a PIN and counts how often it was asked for."""

    def __init__(self, pin: str = PIN) -> None:
        self.pin = pin
        self.times = 0

    def __call__(self) -> str:
        self.times += 1
        return self.pin


@pytest.mark.parametrize(
    ("label", "key"),
    [("rsa", pki.agency), ("ec", pki.agency_ec), ("p384", lambda: pki.agency_of_curve("secp384r1"))],
)
def test_a_key_in_a_token_signs_as_the_same_key_in_a_file(soft: SoftToken, label: str, key) -> None:
    held, file = Token(soft.module, label=soft.label, pin=Asked()).key(label=label), key()
    assert held.certificate == file.certificate
    assert (held.algorithm, held.jws_algorithm) == (file.algorithm, file.jws_algorithm)
    assert (held.certificate_der, held.certificate_sha256) == (file.certificate_der, file.certificate_sha256)
    assert signature_fits(file.certificate, held.sign(b"data"), b"data")
    assert not signature_fits(file.certificate, held.sign(b"data"), b"other")
    if label == "rsa":
        assert held.sign(b"data") == file.sign(b"data")


def test_a_token_that_does_not_hash_gets_the_digest(soft: SoftToken, monkeypatch: pytest.MonkeyPatch) -> None:
    key = Token(soft.module, pin=Asked()).key(label="rsa")
    monkeypatch.setattr(tokens_of, "_HASHING", {"sha256": "a mechanism that no token has"})
    assert key.sign(b"data") == pki.agency().sign(b"data")


def test_packages_and_receipts_signed_in_a_token_are_valid(soft: SoftToken, tmp_path: Path) -> None:
    key = Token(soft.module, pin=Asked()).key(label="ec")
    assert signed.verdict_on(sign_package(documents.a_package(), key), tmp_path).standing is Standing.VALID
    assert check_receipt(make_receipt(FACTS, key).jws, key.certificate) == FACTS


def test_the_pin_is_asked_for_once_and_only_to_sign(soft: SoftToken) -> None:
    asked = Asked()
    token = Token(soft.module, pin=asked)
    assert {c.label for c in token.certificates()} >= {"rsa", "ec", "p384"}
    key = token.key(label="ec")
    assert asked.times == 0
    key.sign(b"one")
    key.sign(b"two")
    assert asked.times == 1


def test_the_issuers_in_the_token_are_the_chain(soft: SoftToken) -> None:
    key = Token(soft.module, pin=Asked()).key(label="ec")
    assert key.chain == (pki.intermediate().certificate, pki.root().certificate)


def test_many_threads_share_one_session(soft: SoftToken) -> None:
    """Each with a session of its own, all but one would be told UserAlreadyLoggedIn."""
    key = Token(soft.module, pin=Asked()).key(label="ec")
    gate = threading.Barrier(4)

    def sign(number: int) -> bool:
        gate.wait()
        data = b"%d" % number
        return all(signature_fits(key.certificate, key.sign(data), data) for _ in range(5))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(sign, range(4)))


def test_a_wrong_pin_is_named_and_not_tried_again(soft: SoftToken) -> None:
    asked = Asked("000000")
    key = Token(soft.module, pin=asked).key(label="ec")
    for _ in range(5):  # SoftHSM counts none, but a real token would be locked by now.
        with pytest.raises(TokenPinWrong):
            key.sign(b"data")
    asked.pin = PIN
    assert signature_fits(key.certificate, key.sign(b"data"), b"data")


def test_the_refused_pin_does_not_reach_the_token_twice(soft: SoftToken) -> None:
    token = Token(soft.module, pin=Asked("000000"))
    key = token.key(label="ec")
    with pytest.raises(TokenPinWrong) as first:
        key.sign(b"data")
    with pytest.raises(TokenPinWrong) as second:
        key.sign(b"data")
    assert first.value.__cause__ is not None
    assert second.value.__cause__ is None
    assert "not tried again" in second.value.detail


def test_a_token_pulled_out_is_named_and_works_again_when_it_is_back(soft: SoftToken) -> None:
    asked = Asked()
    token = Token(soft.module, label=soft.label, pin=asked)
    key = token.key(label="ec")
    key.sign(b"before")
    soft.pull()
    with pytest.raises(TokenAbsent):
        key.sign(b"meanwhile")
    with pytest.raises(TokenAbsent):
        token.facts()
    assert list_tokens(soft.module) == ()
    soft.plug()
    assert signature_fits(key.certificate, key.sign(b"after"), b"after")
    assert asked.times == 2
    assert [t.label for t in list_tokens(soft.module)] == [soft.label]


def test_what_is_not_there_is_named(soft: SoftToken, tmp_path: Path) -> None:
    with pytest.raises(TokenKeyUnknown):
        Token(soft.module, pin=Asked()).key(label="nobody")
    with pytest.raises(TokenKeyUnknown):  # Three certificates could be meant.
        Token(soft.module, pin=Asked()).key()
    with pytest.raises(TokenAbsent):
        Token(soft.module, label="another", pin=Asked()).certificates()
    with pytest.raises(TokenLibraryUnusable):
        Token(tmp_path / "absent.so", pin=Asked()).certificates()
    (tmp_path / "broken.so").write_bytes(b"no library")
    with pytest.raises(TokenLibraryUnusable):
        list_tokens(tmp_path / "broken.so")


def test_a_certificate_without_its_key_cannot_sign(tmp_path: Path) -> None:
    mixed = SigningKey(pki.agency_ec().private, pki.agency_of_curve("secp384r1").certificate)
    with soft_token(tmp_path / "t", ("mixed", mixed)) as soft, pytest.raises(TokenUnusable):
        Token(soft.module, pin=Asked()).key(label="mixed").sign(b"data")


def test_strange_certificates_in_a_token_hide_nobody_s(tmp_path: Path) -> None:
    strange = [("nameless", pki.nameless(pki.agency())), ("twice", pki.repetitious(pki.agency_seal()))]
    with soft_token(tmp_path / "t", *strange, ("ec", pki.agency_ec())) as soft:
        token = Token(soft.module, pin=Asked())
        assert {c.label for c in token.certificates()} - {"issuer"} == {"twice", "ec"}
        assert signature_fits(pki.agency_ec().certificate, token.key(label="ec").sign(b"data"), b"data")
        assert {examine(c, at_gateway=None, at=pki.NOW).can_sign for c in TokenKeyring(soft.module).certificates()} == {
            True,
            False,
        }


def test_a_locked_pin_is_named() -> None:
    """No token of software locks itself: what the library says is translated."""
    from pkcs11.exceptions import PinLocked

    with pytest.raises(TokenPinLocked) as caught:
        tokens_of._raise(PinLocked())
    assert caught.value.code == "token.pin_locked"


def test_a_pin_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "pin"
    file.write_text(f"{PIN}\n")
    file.chmod(0o644)
    with pytest.raises(Exception, match="others"):
        read_pin(file)
    file.chmod(0o600)
    assert read_pin(file) == PIN
    os.environ.pop("GATEWAY_TOKEN_PIN", None)
    assert read_pin(None) is None
