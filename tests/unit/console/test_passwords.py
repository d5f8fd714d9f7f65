"""Passwords."""

from __future__ import annotations

import unicodedata

import pytest

from gateway.console.passwords import PASSWORD_LONGEST, hash_password, is_password


def test_the_same_letters_from_another_keyboard_are_the_same_password() -> None:
    kept = hash_password(unicodedata.normalize("NFC", "Mật khẩu"))
    assert is_password(unicodedata.normalize("NFD", "Mật khẩu"), kept)
    assert not is_password("Mat khau", kept)


def test_nobody_has_no_password() -> None:
    assert not is_password("", None)
    assert not is_password("anything", None)


def test_a_damaged_hash_lets_nobody_in() -> None:
    assert not is_password("x", "not a hash")


@pytest.mark.parametrize("password", ["", "x" * (PASSWORD_LONGEST + 1)])
def test_a_password_has_bounds(password: str) -> None:
    with pytest.raises(ValueError, match="characters"):
        hash_password(password)


def test_an_endless_password_is_not_taken_for_its_beginning() -> None:
    kept = hash_password("x" * PASSWORD_LONGEST)
    assert not is_password("x" * 100_000, kept)


def test_hashes_are_salted_argon2id() -> None:
    assert hash_password("x").startswith("$argon2id$")
    assert hash_password("x") != hash_password("x")
