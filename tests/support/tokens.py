"""SoftHSM2 as the token: a folder of its own, keys and certificates put into it as an issuer would."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pkcs11
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pkcs11 import Attribute, KeyType, ObjectClass
from pkcs11.util.ec import encode_named_curve_parameters
from pkcs11.util.rsa import decode_rsa_private_key
from pkcs11.util.x509 import decode_x509_certificate

from gateway.signing.keys import SigningKey
from tests.support.programs import ABSENT, program

PIN = "123456"
SO_PIN = "12345678"
_MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)


def softhsm() -> Path | None:
    """SoftHSM2's module; ``None`` where it is not installed."""
    return next((Path(p) for p in _MODULES if Path(p).is_file()), None)


def needs_softhsm() -> pytest.MarkDecorator:
    """A mark that skips a test, saying so, where SoftHSM2 is not installed."""
    absent = softhsm() is None or program("softhsm2-util") is None
    return pytest.mark.skipif(absent, reason=f"{ABSENT}softhsm2-util: what they judge was not judged")


@dataclass(frozen=True)
class SoftToken:
    """One token; ``module`` sees it as long as the environment names ``config``."""

    module: Path
    label: str
    config: Path
    folder: Path

    def pull(self) -> None:
        """Take the token out: all that it is on the disk goes away."""
        self.folder.rename(self.folder.with_name("pulled"))
        self.folder.mkdir()

    def plug(self) -> None:
        """Put it back."""
        self.folder.rmdir()
        self.folder.with_name("pulled").rename(self.folder)


@contextmanager
def soft_token(folder: Path, *keys: tuple[str, SigningKey], label: str = "thử nghiệm") -> Iterator[SoftToken]:
    """A token in ``folder`` with these keys, each with its label; SOFTHSM2_CONF names it meanwhile."""
    module = softhsm()
    assert module is not None
    stored = folder / "tokens"
    stored.mkdir(parents=True)
    config = folder / "softhsm2.conf"
    config.write_text(f"directories.tokendir = {stored}\nobjectstore.backend = file\nlog.level = ERROR\n")
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(config)
    try:
        util = shutil.which("softhsm2-util") or "softhsm2-util"
        arguments = ["--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", SO_PIN]
        subprocess.run([util, *arguments], check=True, capture_output=True)
        library = pkcs11.lib(str(module.resolve()))
        library.reinitialize()
        with library.get_token(token_label=label).open(rw=True, user_pin=PIN) as session:
            for number, (name, key) in enumerate(keys, 1):
                _put(session, name, bytes([number]), key)
        library.reinitialize()
        yield SoftToken(module, label, config, stored)
    finally:
        if before is None:
            del os.environ["SOFTHSM2_CONF"]
        else:
            os.environ["SOFTHSM2_CONF"] = before


def _put(session: pkcs11.Session, label: str, key_id: bytes, key: SigningKey) -> None:
    """The private key, its certificate and its issuers."""
    session.create_object(_private_attributes(key) | {Attribute.LABEL: label, Attribute.ID: key_id})
    _put_certificate(session, label, key_id, key.certificate)
    for issuer in key.chain:
        _put_certificate(session, "issuer", b"", issuer)


def _private_attributes(key: SigningKey) -> dict[Attribute, object]:
    common: dict[Attribute, object] = {
        Attribute.CLASS: ObjectClass.PRIVATE_KEY,
        Attribute.TOKEN: True,
        Attribute.PRIVATE: True,
        Attribute.SENSITIVE: True,
        Attribute.EXTRACTABLE: False,
        Attribute.SIGN: True,
    }
    if isinstance(key.private, rsa.RSAPrivateKey):
        der = key.private.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        return decode_rsa_private_key(der) | common
    width = (key.private.key_size + 7) // 8
    return common | {
        Attribute.KEY_TYPE: KeyType.EC,
        Attribute.EC_PARAMS: encode_named_curve_parameters(key.private.curve.name),
        Attribute.VALUE: key.private.private_numbers().private_value.to_bytes(width, "big"),
    }


def _put_certificate(session: pkcs11.Session, label: str, key_id: bytes, certificate: x509.Certificate) -> None:
    raw = certificate.public_bytes(serialization.Encoding.DER)
    session.create_object(
        decode_x509_certificate(raw) | {Attribute.TOKEN: True, Attribute.LABEL: label, Attribute.ID: key_id}
    )
