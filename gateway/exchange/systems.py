"""
Systems: clients that speak the protocols of the country with an id and a shared secret.

A system speaks for the agencies that an operator registered it for, as an API key of each would, and
for no others. An HMAC needs the secret itself, not a hash of it; it is kept sealed, so that a copy of the
database alone gives none away.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from gateway.directory import Directory
from gateway.errors import KeyUnusable, SystemInvalid
from gateway.ledger import Ledger
from gateway.ledger.records import System, new_id
from gateway.model import Agency, AgencyCode
from gateway.signing.keys import write_secret

KEY_FILE = Path("keys/systems.key")
"""Within the data folder."""

_REMEMBERED = timedelta(seconds=5)
_MOST_REMEMBERED = 10_000
_SECRET_BYTES = 32
_ID = re.compile(r"[!-~]{1,64}")


class SecretBox:
    """
    Seals and opens secrets with a key in a file of its own.

    The key is made when the first secret is sealed; whoever restores the database restores the file as well.
    """

    def __init__(self, path: Path) -> None:
        """:param path: of the key, absolute; its folder exists."""
        self._path = path
        self._fernet: Fernet | None = None

    @property
    def has_key(self) -> bool:
        """Whether the key has been made."""
        return self._path.exists()

    def make_key(self) -> bool:
        """
        Make the key unless it is there; whether it was made. Of several that try at once, one makes it.

        :raises KeyUnusable: it cannot be written.
        """
        if self.has_key:
            return False
        # Written whole under another name first: nobody ever reads half a key.
        draft = self._path.with_name(f"{self._path.name}.{new_id()}")
        write_secret(draft, Fernet.generate_key() + b"\n")
        try:
            os.link(draft, self._path)
        except FileExistsError:
            return False
        except OSError as e:
            raise KeyUnusable(f"{self._path} cannot be made: {e.strerror}.") from e
        finally:
            with contextlib.suppress(FileNotFoundError):
                draft.unlink()
        return True

    def seal(self, secret: str) -> str:
        """
        What is kept of a secret; ASCII.

        :raises KeyUnusable: the key cannot be made or read.
        """
        self.make_key()
        return self._key().encrypt(secret.encode()).decode("ascii")

    def open(self, sealed: str) -> str:
        """
        The secret.

        :raises KeyUnusable: the key cannot be read, or is not the one that sealed it.
        """
        try:
            return self._key().decrypt(sealed.encode("ascii")).decode()
        except InvalidToken as e:
            raise KeyUnusable(f"{self._path} is not the key that sealed the secrets of the systems.") from e

    def _key(self) -> Fernet:
        if self._fernet is None:
            try:
                self._fernet = Fernet(self._path.read_bytes().strip())
            except (OSError, ValueError) as e:
                raise KeyUnusable(
                    f"{self._path} cannot be read ({type(e).__name__}); it belongs to the database, restore it with it."
                ) from e
        return self._fernet


@dataclass(frozen=True, kw_only=True)
class LiveSystem:
    """A system that may call now."""

    system: System
    secrets: tuple[str, ...]
    """All that are valid, newest first: two during the overlap of a rotation, never none."""

    def __repr__(self) -> str:
        """Without the secrets: this may end up in a traceback."""
        return f"LiveSystem({self.system.id!r}, secrets={len(self.secrets)})"


@dataclass(frozen=True, kw_only=True)
class _Known:
    live: LiveSystem
    until: datetime


class Systems:
    """
    Finds systems by id; one per process, shared by its threads.

    What was found is remembered for a few seconds, so that a busy client does not cost one query a request;
    a revoked system, or a secret after its overlap, therefore works for at most five seconds more.
    """

    def __init__(self, *, ledger: Ledger, box: SecretBox, clock: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._box = box
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._lock = threading.Lock()

    def find(self, system_id: str) -> LiveSystem | None:
        """
        The system of an id as it stands in a request.

        :return: ``None`` when it is unknown or revoked, or no secret of it is valid.
        :raises KeyUnusable: its secrets cannot be opened; an operator must act.
        """
        if _ID.fullmatch(system_id) is None:
            return None
        now = self._clock()
        remembered = self._known.get(system_id)
        if remembered is not None and remembered.until > now:
            return remembered.live
        live = self._live(system_id, now)
        with self._lock:
            if live is None:
                self._known.pop(system_id, None)
            else:
                if len(self._known) >= _MOST_REMEMBERED:
                    self._known.clear()
                self._known[system_id] = _Known(live=live, until=now + _REMEMBERED)
        return live

    def _live(self, system_id: str, now: datetime) -> LiveSystem | None:
        found = self._ledger.find_system(system_id)
        if found is None:
            return None
        system, kept = found
        valid = tuple(self._box.open(secret.sealed) for secret in kept if secret.is_valid(now))
        if not valid or (system.revoked_at is not None and system.revoked_at <= now):
            return None
        return LiveSystem(system=system, secrets=valid)


# Administration


def add_system(
    ledger: Ledger,
    box: SecretBox,
    *,
    id: str,  # noqa: A002 # the word of the protocols
    name: str,
    agencies: Sequence[AgencyCode],
    gateway: bool,
    now: datetime,
    actor: str | None = None,
) -> str:
    """
    Register a system.

    :param agencies: primary codes of the directory, at least one.
    :param actor: who does it, for the event log; ``None``: the gateway itself.
    :return: its secret, which can be shown this once.
    :raises SystemInvalid: the id is not of the form, or there is no name or no agency.
    :raises StateConflict: the id was given before.
    :raises KeyUnusable: the key that seals is lost, or cannot be made.
    """
    if _ID.fullmatch(id) is None or not name.strip() or not agencies:
        raise SystemInvalid
    _refuse_second_key(ledger, box)
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    system = System(id=id, name=name.strip(), agencies=tuple(dict.fromkeys(agencies)), gateway=gateway, created_at=now)
    ledger.add_system(system, box.seal(secret), actor=actor)
    return secret


def change_system(
    ledger: Ledger,
    id: str,  # noqa: A002 # the word of the protocols
    *,
    name: str | None = None,
    agencies: Sequence[AgencyCode] | None = None,
    now: datetime,
    actor: str | None = None,
) -> System:
    """
    Give a system another name, or other agencies to speak for; its secrets stay.

    :param agencies: primary codes, all that it speaks for from now on, at least one; ``None`` leaves them.
    :raises NotFound: there is no such system.
    :raises SystemInvalid: the name is blank, or there is no agency.
    """
    if (name is not None and not name.strip()) or (agencies is not None and not agencies):
        raise SystemInvalid
    return ledger.change_system(
        id,
        name=None if name is None else name.strip(),
        agencies=None if agencies is None else tuple(dict.fromkeys(agencies)),
        actor=actor,
        now=now,
    )


def rotate_secret(
    ledger: Ledger,
    box: SecretBox,
    id: str,  # noqa: A002 # the word of the protocols
    *,
    overlap: timedelta,
    now: datetime,
    actor: str | None = None,
) -> str:
    """
    Give a system a new secret; the ones before work for ``overlap`` more.

    :return: the new secret, which can be shown this once.
    :raises NotFound: there is no such system.
    :raises StateConflict: it was revoked.
    :raises KeyUnusable: the key that seals is lost.
    """
    _refuse_second_key(ledger, box)
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    ledger.rotate_secret(id, box.seal(secret), until=now + overlap, actor=actor, now=now)
    return secret


def revoke_system(
    ledger: Ledger,
    id: str,  # noqa: A002 # the word of the protocols
    now: datetime,
    *,
    actor: str | None = None,
) -> System:
    """Refuse a system from now on. Raises ``NotFound``."""
    return ledger.revoke_system(id, actor=actor, now=now)


def list_systems(ledger: Ledger) -> list[System]:
    """All, revoked ones included, by id."""
    return ledger.systems()


def _refuse_second_key(ledger: Ledger, box: SecretBox) -> None:
    """A new key beside secrets that a lost one sealed would hide that they are lost."""
    if not box.has_key and ledger.systems():
        raise KeyUnusable(
            "The key that sealed the secrets of the systems is gone: restore it from the backup; or let `gateway init`"
            " make another, and rotate every secret without overlap."
        )


# For whom a system speaks


def callers(system: System, directory: Directory, at: datetime) -> list[Agency]:
    """The agencies that a system speaks for, in their order; those that the directory has no more are left out."""
    found = (directory.find(code, at=at) for code in system.agencies)
    return list({agency.code: agency for agency in found if agency is not None}.values())


def acting(system: System, directory: Directory, code: AgencyCode, at: datetime) -> Agency | None:
    """The first of a system's agencies that speaks for the agency of a code; ``None`` when none does."""
    return next((a for a in callers(system, directory, at) if directory.speaks_for(a, code, at=at)), None)
