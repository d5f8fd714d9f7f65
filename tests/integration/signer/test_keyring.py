"""The helper with real keys: a PKCS#11 token (SoftHSM2), which can be pulled out, and a PKCS#12 file."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from werkzeug.test import TestResponse

from gateway.errors import HelperRunning, KeyUnusable
from gateway.signer.desk import Consent
from gateway.signer.keyring import TokenKeyring, read_file
from gateway.signer.lock import only_one
from gateway.signing.keys import SigningKey, key_to_pem, signature_fits
from gateway.signing.token import Token, TokenFacts
from tests.support import pki
from tests.support.signer import PAGE, PORT, Desk
from tests.support.tokens import PIN, SoftToken, needs_softhsm, soft_token
from tests.unit.signing.test_to_be_signed import attributes, names_certificate

RSA = pki.agency_seal(bits=2048)
EC = pki.person()


@pytest.fixture
def token(tmp_path: Path) -> Iterator[SoftToken]:
    with soft_token(tmp_path / "token", ("Người ký", EC), ("Cơ quan", RSA)) as plugged_in:
        yield plugged_in


@pytest.fixture
def desk(token: SoftToken) -> Desk:
    return Desk(TokenKeyring(token.module, label=token.label))


def headers(desk: Desk) -> dict[str, str]:
    desk.clock.forward(seconds=10)
    return {"Host": f"127.0.0.1:{PORT}", "Origin": PAGE, "Authorization": f"Bearer {desk.token()}"}


def data(key: SigningKey) -> bytes:
    return attributes(names_certificate(key.certificate_der))


def sign(desk: Desk, key: SigningKey = EC) -> TestResponse:
    body = {
        "certificate_sha256": key.certificate_sha256,
        "to_be_signed": b64encode(data(key)).decode(),
        "description": "12/QĐ-UBND",
    }
    return desk.client().post("/v1/sign", json=body, headers=headers(desk))


def code_of(response: TestResponse) -> tuple[int, str]:
    return response.status_code, response.get_json()["code"]


def state(desk: Desk) -> dict[str, Any]:
    found: dict[str, Any] = desk.client().get("/v1/state", headers=headers(desk)).get_json()
    return found


def asked_for_pin(desk: Desk) -> list[bool]:
    return [q.needs_pin for q in desk.person.questions]


# Tokens


@needs_softhsm()
@pytest.mark.parametrize("key", [EC, RSA], ids=["ec", "rsa"])
def test_the_token_signs_when_the_person_gives_the_pin(desk: Desk, key: SigningKey) -> None:
    answer = sign(desk, key)
    assert answer.status_code == 200, answer.data
    assert signature_fits(key.certificate, b64decode(answer.get_json()["signature"]), data(key))


@needs_softhsm()
def test_the_state_names_the_keys_of_the_token_and_not_its_authorities(desk: Desk) -> None:
    found = state(desk)
    assert found["trouble"] is None
    assert {c["sha256"] for c in found["certificates"]} == {EC.certificate_sha256, RSA.certificate_sha256}


@needs_softhsm()
def test_a_wrong_pin_is_named_and_not_tried_twice(desk: Desk) -> None:
    desk.person.answer = Consent(pin="000000")
    assert code_of(sign(desk)) == (409, "token.pin_wrong")
    assert code_of(sign(desk)) == (409, "token.pin_wrong")
    desk.person.answer = Consent(pin=PIN)
    assert sign(desk).status_code == 200


@needs_softhsm()
def test_a_token_that_is_pulled_out_is_named_and_signs_again_when_it_is_back(desk: Desk, token: SoftToken) -> None:
    assert sign(desk).status_code == 200
    token.pull()
    assert state(desk)["trouble"]["code"] == "token.absent"
    assert code_of(sign(desk)) == (409, "token.absent")
    token.plug()
    assert state(desk)["ready"] is True
    assert sign(desk).status_code == 200


@needs_softhsm()
def test_each_signature_wants_the_pin_unless_it_is_kept_open(desk: Desk) -> None:
    sign(desk)
    sign(desk)
    assert asked_for_pin(desk) == [True, True]


@needs_softhsm()
def test_a_key_that_is_kept_open_wants_a_yes_for_its_time_and_its_page(token: SoftToken) -> None:
    other = "https://other.example.vn"
    desk = Desk(TokenKeyring(token.module, label=token.label), origins=(PAGE, other), keep_open_minutes=5)
    try:
        assert [sign(desk).status_code for _ in range(2)] == [200, 200]
        assert asked_for_pin(desk) == [True, False]
        assert sign(desk, RSA).status_code == 200  # another key
        assert asked_for_pin(desk)[2:] == [True]
        desk.clock.forward(minutes=5)
        assert sign(desk, RSA).status_code == 200
        assert asked_for_pin(desk)[3:] == [True]
    finally:
        desk.helper.close()


@needs_softhsm()
def test_another_page_wants_the_pin_while_the_key_is_open(token: SoftToken) -> None:
    desk = Desk(TokenKeyring(token.module, label=token.label), keep_open_minutes=5)
    try:
        for origin in (PAGE, "https://other.example.vn"):
            desk.helper.sign(
                origin=origin, certificate_sha256=EC.certificate_sha256, to_be_signed=data(EC), description=""
            )
        assert asked_for_pin(desk) == [True, True]
    finally:
        desk.helper.close()


@needs_softhsm()
def test_a_key_kept_open_wants_its_pin_again_after_the_token_was_pulled_out(token: SoftToken) -> None:
    desk = Desk(TokenKeyring(token.module, label=token.label), keep_open_minutes=5)
    try:
        assert sign(desk).status_code == 200
        token.pull()
        assert code_of(sign(desk))[1] == "token.absent"
        token.plug()
        assert sign(desk).status_code == 200
        assert asked_for_pin(desk)[-1] is True
    finally:
        desk.helper.close()


@needs_softhsm()
def test_a_module_that_is_none_is_named(tmp_path: Path) -> None:
    desk = Desk(TokenKeyring(tmp_path / "nowhere.so"))
    assert state(desk)["trouble"]["code"] == "token.library_unusable"


@needs_softhsm()
def test_a_locked_pin_is_told_before_anybody_types_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = Token.facts

    def locked(token: Token) -> TokenFacts:
        """What tokens of software never do: lock themselves."""
        return replace(facts(token), pin_locked=True)

    assert state(desk)["ready"]
    monkeypatch.setattr(Token, "facts", locked)
    found = state(desk)
    assert (found["ready"], found["trouble"]["code"]) == (False, "token.pin_locked")
    assert code_of(sign(desk)) == (409, "token.pin_locked")
    assert not desk.person.questions


# Files


def a_file(folder: Path, password: bytes | None = b"123456") -> Path:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    raw = pkcs12.serialize_key_and_certificates(b"key", EC.private, EC.certificate, None, encryption)
    path = folder / "van-thu.p12"
    path.write_bytes(raw)
    return path


def test_a_key_file_signs_for_its_password_alone(tmp_path: Path) -> None:
    desk = Desk(read_file(a_file(tmp_path), "123456"))
    answer = sign(desk)
    assert signature_fits(EC.certificate, b64decode(answer.get_json()["signature"]), data(EC))
    desk.person.answer = Consent(pin="wrong")
    assert code_of(sign(desk)) == (409, "key.unusable")


def test_a_key_file_that_is_gone_is_named(tmp_path: Path) -> None:
    path = a_file(tmp_path)
    desk = Desk(read_file(path, "123456"))
    path.unlink()
    assert state(desk)["trouble"]["code"] == "key.unusable"


def test_a_key_file_without_a_password_is_not_served(tmp_path: Path) -> None:
    with pytest.raises(KeyUnusable, match="no password"):
        read_file(a_file(tmp_path, None), "any")
    pem = tmp_path / "key.pem"
    pem.write_bytes(key_to_pem(EC))
    with pytest.raises(KeyUnusable, match="no password"):
        read_file(pem, "any")


# One process


def test_two_helpers_do_not_sign_with_one_token(tmp_path: Path) -> None:
    folder, module = tmp_path / "helper", tmp_path / "module.so"
    written_otherwise = tmp_path / "helper" / ".." / "module.so"
    with only_one(folder, module, label="A"):
        for label in ("A", None):  # none: whichever there is, so A too
            with pytest.raises(HelperRunning), only_one(folder, written_otherwise, label=label):
                pass
        with only_one(folder, module, label="B"):
            pass
    with only_one(folder, module):
        for label in ("A", None):
            with pytest.raises(HelperRunning), only_one(folder, module, label=label):
                pass
        with only_one(folder, tmp_path / "other.so"):
            pass
    with only_one(folder, module, label="A"):
        pass
