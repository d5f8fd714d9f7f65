"""The tokens that ``login`` gives out: short-lived, signed, and the same to every process of the gateway. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import jwt
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.errors import SessionEnded

_ALGORITHM = "HS256"
_AUDIENCE = "lgsp"
_LONGEST = 4096
"""Characters of a token that is looked at; ours have a tenth of it."""


@dataclass(frozen=True, kw_only=True)
class Token:
    """What a token says, once its signature has been checked."""

    id: str
    system: str
    """Id of the system that logged in."""
    expires_at: datetime
    """Aware UTC, whole seconds."""


class TokenMint:
    """Makes tokens and reads them again."""

    def __init__(self, session_key: bytes, *, life: timedelta) -> None:
        """
        :param session_key: secret of at least 32 bytes; what signs tokens is derived from it and tells nothing of it.
        :param life: how long a token is good for.
        """
        self._key = HKDF(SHA256(), length=32, salt=None, info=b"gateway lgsp token").derive(session_key)
        self.life = life

    def make(self, system: str, *, token_id: str, now: datetime) -> str:
        """A compact JWT for a system that has just proved who it is."""
        claims = {
            "jti": token_id,
            "sub": system,
            "aud": _AUDIENCE,
            "iat": int(now.timestamp()),
            "exp": int((now + self.life).timestamp()),
        }
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM)

    def read(self, text: str, *, now: datetime) -> Token:
        """
        What a token says.

        :param text: as the client sent it; untrusted.
        :raises SessionEnded: it has expired, or none of this gateway's tokens reads like that.
        """
        if len(text) > _LONGEST:
            raise SessionEnded
        try:
            claims = jwt.decode(
                text,
                self._key,
                algorithms=[_ALGORITHM],
                audience=_AUDIENCE,
                # The times are judged below, by the clock of the gateway.
                options={"require": ["jti", "sub", "exp"], "verify_exp": False, "verify_iat": False},
            )
            expires_at = datetime.fromtimestamp(claims["exp"], UTC)
        except (jwt.PyJWTError, UnicodeError, TypeError, ValueError, OverflowError, OSError) as e:
            raise SessionEnded from e
        if expires_at <= now:
            raise SessionEnded
        return Token(id=str(claims["jti"]), system=str(claims["sub"]), expires_at=expires_at)
