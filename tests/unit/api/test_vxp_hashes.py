"""The forms of ``hash-file``."""

from __future__ import annotations

import hashlib

import pytest

from gateway.api.vxp.hashes import forms, is_hash_of

DIGEST = hashlib.sha256(b"a package").digest()
UNPADDED = "".join(hex(byte)[2:] for byte in DIGEST)


def test_a_digest_has_a_padded_and_an_unpadded_form() -> None:
    assert forms(DIGEST) == {DIGEST.hex(), UNPADDED}
    assert len(UNPADDED) < 64


def test_a_digest_without_small_bytes_has_one_form() -> None:
    assert forms(bytes([0x10] * 32)) == {"10" * 32}


@pytest.mark.parametrize("given", [DIGEST.hex(), UNPADDED, UNPADDED.upper(), f" {UNPADDED} "])
def test_each_form_is_of_its_digest(given: str) -> None:
    assert is_hash_of(given, DIGEST)


@pytest.mark.parametrize("given", ["", "0", "nothing", DIGEST.hex()[:-1], "ế" * 64])
def test_nothing_else_is(given: str) -> None:
    assert not is_hash_of(given, DIGEST)
