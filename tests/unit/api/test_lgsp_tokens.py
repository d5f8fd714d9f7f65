"""Tokens of the provincial protocol: good for their time, and of this gateway only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import jwt
import pytest

from gateway.api.lgsp.tokens import TokenMint
from gateway.errors import SessionEnded

KEY = bytes(range(32))
NOW = datetime(2026, 3, 5, 2, 0, 0, 900_000, UTC)
MINT = TokenMint(KEY, life=timedelta(minutes=30))


def a_token(mint: TokenMint = MINT) -> str:
    return mint.make("H37.DN.001", token_id="t1", now=NOW)


def test_a_token_says_whose_it_is_and_until_when() -> None:
    token = MINT.read(a_token(), now=NOW)
    assert (token.id, token.system) == ("t1", "H37.DN.001")
    assert token.expires_at == datetime(2026, 3, 5, 2, 30, tzinfo=UTC)


def test_another_process_with_the_same_key_reads_it() -> None:
    assert TokenMint(KEY, life=timedelta(minutes=1)).read(a_token(), now=NOW).system == "H37.DN.001"


@pytest.mark.parametrize(("minutes", "good"), [(29, True), (30, False), (600, False)])
def test_it_is_good_for_its_time(minutes: int, good: bool) -> None:
    at = NOW + timedelta(minutes=minutes)
    if good:
        MINT.read(a_token(), now=at)
        return
    with pytest.raises(SessionEnded):
        MINT.read(a_token(), now=at)


def test_the_clock_of_the_gateway_decides_and_no_other() -> None:
    """NOW lies years from the clock of the machine that runs this, one way or the other."""
    for years in (-20, 20):
        then = NOW.replace(year=NOW.year + years)
        assert MINT.read(MINT.make("s", token_id="t", now=then), now=then).system == "s"


def _signed(claims: dict[str, object], key: bytes, algorithm: str = "HS256") -> str:
    return jwt.encode(claims, key, algorithm=algorithm)


CLAIMS: dict[str, object] = {"jti": "t1", "sub": "H37.DN.001", "aud": "lgsp", "exp": 4_000_000_000}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "a.b.c",
        "\N{LATIN SMALL LETTER E WITH ACUTE}.b.c",
        "x" * 5000,
        a_token()[:-2],
        a_token(TokenMint(bytes(32), life=timedelta(minutes=30))),
        _signed(CLAIMS, KEY),  # the session key itself signs no tokens
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJIMzcuRE4uMDAxIn0.",  # algorithm none
    ],
)
def test_what_is_no_token_of_this_gateway_is_refused(text: str) -> None:
    with pytest.raises(SessionEnded):
        MINT.read(text, now=NOW)


@pytest.mark.parametrize(
    "changes",
    [{"aud": "console"}, {"aud": None}, {"exp": None}, {"exp": "soon"}, {"exp": 10**30}, {"sub": None}, {"jti": None}],
)
def test_a_token_for_something_else_is_refused(changes: dict[str, object]) -> None:
    key = MINT._key  # as if another part of the gateway signed with it
    claims = {name: value for name, value in (CLAIMS | changes).items() if value is not None}
    with pytest.raises(SessionEnded):
        MINT.read(_signed(claims, key), now=NOW)
