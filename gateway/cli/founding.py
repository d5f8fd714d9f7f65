"""
What a new gateway starts from: settings, keys, database, first operator.

Nothing that exists is ever overwritten. Used by ``gateway init``, the demo and the tests.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from gateway.bootstrap import prepare_database
from gateway.console.passwords import hash_password
from gateway.errors import KeyUnusable, SettingsInvalid
from gateway.exchange.systems import KEY_FILE, SecretBox
from gateway.ledger import Ledger, open_engine
from gateway.ledger.records import Operator, OperatorRole, new_id
from gateway.model import AgencyCode
from gateway.settings import Settings
from gateway.signing.keys import (
    SigningKey,
    certificates_to_pem,
    generate_key,
    issue_certificate,
    key_to_pkcs12,
    load_certificates,
    load_key,
    make_ca,
    signing_key,
    subject_name,
    write_secret,
)

KEYS = Path("keys")
SESSION_KEY = KEYS / "session.key"
CA_KEY = KEYS / "test-ca.p12"
CA_PASSWORD = KEYS / "test-ca.password"
CA_CERTIFICATE = KEYS / "test-ca.crt"
CERTIFICATE = KEYS / "gateway.crt"
"""The gateway's own, to be given to the gateways that it hands documents to."""
REQUEST = KEYS / "gateway.csr"
REQUEST_KEY = KEYS / "gateway-requested.key"
"""The private key of a certificate request, until the certificate has come."""

FIRST_LOGIN = "admin"


@dataclass(frozen=True, kw_only=True)
class Site:
    """Who a new gateway is."""

    code: AgencyCode
    name: str
    first_levels: tuple[str, ...]
    default_route: AgencyCode | None


LANG_SON = Site(
    code=AgencyCode("000.00.00.H37"),
    name="Trục liên thông văn bản tỉnh Lạng Sơn",
    first_levels=("H37",),
    default_route=AgencyCode("000.00.22.W00"),
)
"""The example that the template shows."""


# Files


def write_new(path: Path, content: str) -> bool:
    """Write a text unless the file is there already; whether it was written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(content)
    except FileExistsError:
        return False
    except OSError as e:
        raise SettingsInvalid(f"{path} cannot be written: {e.strerror}.") from e
    return True


def settings_toml(sections: Mapping[str, Mapping[str, object]]) -> str:
    """Settings as TOML, for gateways that a program sets up; people get the commented template instead."""
    return "\n".join("\n".join(_section(name, values)) + "\n" for name, values in sections.items())


def _section(name: str, values: Mapping[str, object]) -> Iterator[str]:
    yield f"[{name}]"
    for key, value in values.items():
        yield f"{key} = {toml_value(value)}"


def toml_value(value: object) -> str:
    """One value as TOML."""
    if isinstance(value, list | tuple | set | frozenset):
        return f"[{', '.join(toml_value(item) for item in value)}]"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    # JSON's escapes are TOML's, as long as no character is written as two surrogates; TOML also escapes DEL.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


# Keys


def make_keys(settings: Settings, *, at: datetime, ca: SigningKey | None = None) -> list[Path]:
    """
    Make the session key, the key of systems' secrets, and a gateway key under a test CA, where there are none.

    :param at: aware; certificates are valid from then on.
    :param ca: issue from this one, of which no key is stored here; ``None`` makes a CA.
    :return: what was written.
    :raises KeyUnusable: a file cannot be written.
    """
    folder = _private_folder(settings)
    made = [*_session_key(folder / SESSION_KEY), *_systems_key(settings)]
    key_path = settings.within_data(settings.signing.key)
    if settings.signing.token_module is None and not key_path.exists():
        if ca is None:
            ca, ca_files = _test_ca(settings, folder, at)
            made += ca_files
        else:
            made += _write_each({folder / CA_CERTIFICATE: certificates_to_pem([ca.certificate])})
        subject = subject_name(settings.gateway.name, organization=settings.gateway.name, code=settings.gateway.code)
        made += _store_key(settings, issue_certificate(ca, subject, generate_key(), at=at))
    return made


def _private_folder(settings: Settings) -> Path:
    """The data folder, with the keys' folder closed to others."""
    try:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        (settings.data / KEYS).mkdir(mode=0o700, exist_ok=True)
    except OSError as e:
        raise SettingsInvalid(f"{settings.data} cannot be made: {e.strerror}.", path="gateway.data") from e
    return settings.data


def _session_key(path: Path) -> Iterator[Path]:
    if not path.exists():
        write_secret(path, (secrets.token_hex(32) + "\n").encode())
        yield path


def _systems_key(settings: Settings) -> Iterator[Path]:
    path = settings.within_data(KEY_FILE)
    if SecretBox(path).make_key():
        yield path


def _test_ca(settings: Settings, folder: Path, at: datetime) -> tuple[SigningKey, list[Path]]:
    if (folder / CA_KEY).exists():
        return load_key(folder / CA_KEY, (folder / CA_PASSWORD).read_text(encoding="ascii").strip()), []
    ca = make_ca(subject_name(f"Test CA: {settings.gateway.code}", organization=settings.gateway.name), at=at)
    password = secrets.token_urlsafe(24)
    files = {
        folder / CA_PASSWORD: (password + "\n").encode(),
        folder / CA_KEY: key_to_pkcs12(ca, password, name="test-ca"),
        folder / CA_CERTIFICATE: certificates_to_pem([ca.certificate]),
    }
    return ca, _write_each(files)


def _store_key(settings: Settings, key: SigningKey) -> list[Path]:
    if settings.signing.password_file is None:
        raise SettingsInvalid("signing.password_file: needed to protect a new key.", path="signing.password_file")
    password_path = settings.within_data(settings.signing.password_file)
    files: dict[Path, bytes] = {}
    if password_path.exists():
        password = password_path.read_text(encoding="utf-8").strip()
    else:
        password = secrets.token_urlsafe(24)
        files[password_path] = (password + "\n").encode()
    files[settings.within_data(settings.signing.key)] = key_to_pkcs12(key, password, name="gateway")
    files[settings.data / CERTIFICATE] = certificates_to_pem([key.certificate, *key.chain])
    return _write_each(files)


def _write_each(files: Mapping[Path, bytes]) -> list[Path]:
    for path, content in files.items():
        write_secret(path, content)
    return list(files)


def request_certificate(settings: Settings) -> list[Path]:
    """
    Make a key and a certificate request (PKCS#10, PEM) for a real CA, unless they are there.

    :return: what was written.
    """
    folder = _private_folder(settings)
    if (folder / REQUEST_KEY).exists():
        return []
    private = generate_key()
    subject = subject_name(settings.gateway.name, organization=settings.gateway.name, code=settings.gateway.code)
    request = x509.CertificateSigningRequestBuilder(subject).sign(private, hashes.SHA256())
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return _write_each({folder / REQUEST_KEY: pem, folder / REQUEST: request.public_bytes(serialization.Encoding.PEM)})


def take_certificate(settings: Settings, certificate: Path) -> list[Path]:
    """
    Join a certificate that a CA has issued with the key of its request.

    :param certificate: PEM or DER, leaf first.
    :raises KeyUnusable: it does not belong to the requested key, or the gateway has a key already.
    """
    private_path = settings.data / REQUEST_KEY
    try:
        private = serialization.load_pem_private_key(private_path.read_bytes(), None)
    except (OSError, ValueError) as e:
        raise KeyUnusable(f"{private_path} cannot be read; `gateway init --csr` makes it.") from e
    chain = load_certificates(certificate)
    key_path = settings.within_data(settings.signing.key)
    if key_path.exists():
        raise KeyUnusable(f"{key_path} exists; move it and {CERTIFICATE.name} away first, nothing is overwritten.")
    return _store_key(settings, signing_key(private, chain[0], chain[1:]))


# Database and people


def first_operator(settings: Settings, *, now: datetime, login: str = FIRST_LOGIN) -> str | None:
    """
    Give an operator's account to a gateway that has none.

    :return: the generated password, which is nowhere else; ``None`` when there are operators already.
    """
    engine = open_engine(settings.ledger_url)
    try:
        ledger = Ledger(engine)
        if ledger.operators():
            return None
        password = secrets.token_urlsafe(12)
        operator = Operator(
            id=new_id(),
            login=login,
            password_hash=hash_password(password),
            role=OperatorRole.ADMIN,
            language=settings.console.language,
            created_at=now,
        )
        ledger.add_operator(operator, actor="init")
        return password
    finally:
        engine.dispose()


@dataclass(frozen=True, kw_only=True)
class Founded:
    """What ``found`` has made."""

    files: Sequence[Path]
    password: str | None
    """Of the first operator; ``None`` when there was one."""


def found(settings: Settings, *, now: datetime, ca: SigningKey | None = None) -> Founded:
    """Keys, database and first operator, each where it is missing; after this the gateway can be served."""
    files = make_keys(settings, at=now, ca=ca)
    prepare_database(settings, now=now)
    return Founded(files=files, password=first_operator(settings, now=now))
