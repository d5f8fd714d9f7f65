"""Keys are loaded once, refused by name, and written for their owner alone."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.x509.oid import NameOID

from gateway.errors import KeyUnusable
from gateway.signing import keys
from tests.support import pki


@pytest.mark.parametrize("password", [None, "mật khẩu"], ids=["plain", "encrypted"])
@pytest.mark.parametrize("write", [keys.key_to_pem, keys.key_to_pkcs12], ids=["pem", "pkcs12"])
@pytest.mark.parametrize("make", [pki.agency, pki.gateway], ids=["rsa", "ec"])
def test_a_key_is_loaded_as_it_was_written(make, write, password, tmp_path: Path) -> None:
    key, path = make(), tmp_path / "khóa"
    keys.write_secret(path, write(key, password))
    loaded = keys.load_key(path, password)
    assert loaded.certificate == key.certificate
    assert loaded.chain[0] == pki.intermediate().certificate
    assert loaded.private.private_numbers() == key.private.private_numbers()


def test_the_certificate_may_be_in_a_file_of_its_own(tmp_path: Path) -> None:
    key = pki.gateway()
    pem = key.private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "key.pem").write_bytes(pem)
    (tmp_path / "cert.der").write_bytes(key.certificate_der)
    loaded = keys.load_key(tmp_path / "key.pem", certificate=tmp_path / "cert.der")
    assert loaded.certificate_sha256 == key.certificate_sha256


def test_a_written_key_is_its_owner_s_alone_and_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "gateway.p12"
    keys.write_secret(path, b"first")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(KeyUnusable):
        keys.write_secret(path, b"second")
    assert path.read_bytes() == b"first"


@pytest.mark.parametrize("write", [keys.key_to_pem, keys.key_to_pkcs12], ids=["pem", "pkcs12"])
@pytest.mark.parametrize("password", [None, "wrong"], ids=["missing", "wrong"])
def test_a_wrong_password_is_named(write, password, tmp_path: Path) -> None:
    path = tmp_path / "k"
    path.write_bytes(write(pki.gateway(), "right"))
    with pytest.raises(KeyUnusable):
        keys.load_key(path, password)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a key",
        b"-----BEGIN " + b"PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        keys.certificates_to_pem([pki.gateway().certificate]),  # a certificate without its key
        keys.key_to_pem(pki.gateway()).split(b"-----BEGIN CERTIFICATE-----")[0],  # a key without its certificate
    ],
    ids=["empty", "garbage", "hollow-pem", "certificate-only", "key-only"],
)
def test_a_file_that_is_no_key_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "k"
    path.write_bytes(content)
    with pytest.raises(KeyUnusable):
        keys.load_key(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyUnusable):
        keys.load_key(tmp_path / "absent.p12")
    with pytest.raises(KeyUnusable):
        keys.load_certificates(tmp_path / "absent.pem")


def test_a_pkcs12_without_a_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "k.p12"
    path.write_bytes(
        serialization.pkcs12.serialize_key_and_certificates(
            None, None, pki.gateway().certificate, None, serialization.NoEncryption()
        )
    )
    with pytest.raises(KeyUnusable):
        keys.load_key(path)


@pytest.mark.parametrize(
    "private",
    [
        pki.rsa_key(1024),
        ec.generate_private_key(ec.SECP224R1()),
        ed25519.Ed25519PrivateKey.generate(),
        dsa.generate_private_key(1024),
        pki.rsa_key(2048),  # strong, but not the certificate's
    ],
    ids=["rsa-1024", "p-224", "ed25519", "dsa", "another-key"],
)
def test_a_key_that_must_not_sign_is_named(private: object) -> None:
    with pytest.raises(KeyUnusable):
        keys.signing_key(private, pki.gateway().certificate)


def test_rsa_signs_as_xml_dsig_says() -> None:
    key = pki.agency()
    public = key.certificate.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    public.verify(key.sign(b"data"), b"data", padding.PKCS1v15(), hashes.SHA256())
    assert (key.algorithm, key.jws_algorithm) == ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "RS256")


@pytest.mark.parametrize(
    ("make", "width", "digest", "jws"),
    [
        (pki.gateway, 32, hashes.SHA256(), "ES256"),
        (lambda: pki.agency_of_curve("secp384r1"), 48, hashes.SHA384(), "ES384"),
        (lambda: pki.agency_of_curve("secp521r1"), 66, hashes.SHA512(), "ES512"),
    ],
    ids=["p-256", "p-384", "p-521"],
)
def test_ec_signs_with_two_numbers_and_not_der(make, width: int, digest: hashes.HashAlgorithm, jws: str) -> None:
    key = make()
    value = key.sign(b"data")
    assert len(value) == 2 * width
    der = encode_dss_signature(int.from_bytes(value[:width], "big"), int.from_bytes(value[width:], "big"))
    key.certificate.public_key().verify(der, b"data", ec.ECDSA(digest))
    assert key.jws_algorithm == jws


def test_names_keep_their_accents() -> None:
    subject = pki.agency().certificate.subject
    assert subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "Sở Thử nghiệm Đặc biệt"


def test_a_key_does_not_show_itself() -> None:
    assert "private" not in repr(pki.gateway())


def test_new_keys_are_p256_unless_rsa_is_asked_for() -> None:
    assert isinstance(keys.generate_key(), ec.EllipticCurvePrivateKey)
    assert isinstance(keys.generate_key(rsa_bits=2048), rsa.RSAPrivateKey)
