"""
Programs of others judge what is signed here, and their signatures are judged here.

xmlsec1 for packages, poppler's pdfsig and OpenSSL for PDFs and time-stamps. Each verdict of an
outsider is seen to change when one byte of what was signed does.
"""

import base64
import functools
import hashlib
import io
import re
import subprocess
from pathlib import Path

import pytest
from asn1crypto import cms
from cryptography.hazmat.primitives import serialization
from lxml import etree

from gateway.model import FileStanding, SignerRole, Standing
from gateway.signing import template
from gateway.signing.keys import Signer, SigningKey, certificates_to_pem
from gateway.signing.pdf_sign import PdfForm, PdfSignOptions
from gateway.signing.policy import DS, SIGNED_PROPERTIES, XADES
from gateway.signing.prepare import complete_pdf, prepare_pdf
from gateway.signing.sign import sign_package, sign_package_xades
from gateway.signing.token import Token
from tests.support import documents, pdfs, pki, signed
from tests.support.programs import needs
from tests.support.tokens import PIN, needs_softhsm, soft_token

KEYS = {"rsa": pki.agency, "p256": pki.agency_ec, "p384": lambda: pki.agency_of_curve("secp384r1")}
AT = pki.NOW
XADES_IDS = ["--id-attr:Id", f"{XADES}:SignedProperties"]


def stamp(digest: bytes) -> bytes:
    return pki.timestamp_token(digest)


def run(*command: object, cwd: Path | None = None) -> tuple[bool, str]:
    """Whether the program was content, and what it said."""
    done = subprocess.run([str(c) for c in command], capture_output=True, cwd=cwd, timeout=60, check=False)
    return done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")


@pytest.fixture
def roots(tmp_path: Path) -> Path:
    """A folder with the root, the intermediate, and where files go."""
    (tmp_path / "root.pem").write_bytes(certificates_to_pem([pki.root().certificate]))
    (tmp_path / "intermediate.pem").write_bytes(certificates_to_pem([pki.intermediate().certificate]))
    return tmp_path


def xades(key: Signer, *, with_stamp: bool = False) -> bytes:
    out = io.BytesIO()
    sign_package_xades(documents.a_package(), key, out, at=AT, stamp=stamp if with_stamp else None)
    return out.getvalue()


def xmlsec1_verifies(raw: bytes, folder: Path) -> bool:
    """By the certificate in KeyInfo, chained to the root."""
    (folder / "package.xml").write_bytes(raw)
    chain = ["--trusted-pem", "root.pem", "--untrusted-pem", "intermediate.pem"]
    moment = ["--verification-time", f"{AT:%Y-%m-%d %H:%M:%S}"]
    good, said = run("xmlsec1", "--verify", *chain, *moment, *XADES_IDS, "package.xml", cwd=folder)
    return good and "OK" in said


# Packages: ours before xmlsec1


@needs("xmlsec1")
@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("form", ["xmldsig", "xades-b", "xades-t"])
def test_xmlsec1_accepts_packages_signed_here_and_nothing_altered(key, form: str, roots: Path) -> None:
    raw = (
        sign_package(documents.a_package(), key()) if form == "xmldsig" else xades(key(), with_stamp=form == "xades-t")
    )
    assert xmlsec1_verifies(raw, roots)
    assert not xmlsec1_verifies(raw.replace(b"H37.21", b"H37.22"), roots)
    if form != "xmldsig":
        assert not xmlsec1_verifies(raw.replace(b"2026-03-05T07:30:00Z", b"2026-03-05T07:31:00Z"), roots)


@needs("xmlsec1")
@needs_softhsm()
@pytest.mark.parametrize("label", ["rsa", "p256"])
def test_xmlsec1_accepts_packages_signed_in_a_token(label: str, roots: Path) -> None:
    with soft_token(roots / "token", (label, KEYS[label]())) as soft:
        assert xmlsec1_verifies(xades(Token(soft.module, pin=lambda: PIN).key(label=label)), roots)


@pytest.mark.parametrize("with_stamp", [False, True])
@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_xades_packages_are_valid_here_and_nothing_altered(key, with_stamp: bool, tmp_path: Path) -> None:
    raw = xades(key(), with_stamp=with_stamp)
    assert signed.verdict_on(raw, tmp_path, sender=[key()]).standing is Standing.VALID
    for old, new, reason in (
        (b"H37.21", b"H37.22", "signature.digest_mismatch"),
        (b"2026-03-05T07:30:00Z", b"2026-03-05T07:31:00Z", "signature.digest_mismatch"),
        (b"application/xml</xades:MimeType>", b"application/pdf</xades:MimeType>", "signature.digest_mismatch"),
    ):
        assert signed.verdict_on(raw.replace(old, new), tmp_path, sender=[key()]).reason == reason


# Packages: xmlsec1's here


def filled_by_xmlsec1(package: bytes, key: SigningKey, folder: Path) -> bytes:
    """Signed by xmlsec1, where ``package`` has a template."""
    (folder / "template.xml").write_bytes(package)
    (folder / "key.pem").write_bytes(
        key.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    (folder / "certificate.pem").write_bytes(certificates_to_pem([key.certificate]))
    arguments = ["--privkey-pem", "key.pem,certificate.pem", *XADES_IDS, "--output", "signed.xml", "template.xml"]
    good, said = run("xmlsec1", "--sign", *arguments, cwd=folder)
    assert good, said
    return (folder / "signed.xml").read_bytes()


def a_template(key: SigningKey, c14n: str, *, properties: bool) -> bytes:
    """What xmlsec1 is to fill in: its own digests and value, in our reading of the form."""
    reference = (
        f'<ds:Reference URI=""><ds:Transforms><ds:Transform Algorithm="{template.ENVELOPED}"/>'
        f'<ds:Transform Algorithm="{c14n}"/></ds:Transforms><ds:DigestMethod Algorithm="{signed.SHA256}"/>'
        "<ds:DigestValue/></ds:Reference>"
    )
    holder = ""
    if properties:
        # The other order of the two references, and no transform: inclusive canonicalisation.
        reference = (
            f'<ds:Reference URI="#props" Type="{SIGNED_PROPERTIES}"><ds:DigestMethod Algorithm="{signed.SHA256}"/>'
            f"<ds:DigestValue/></ds:Reference>{reference}"
        )
        digest = base64.b64encode(hashlib.sha256(key.certificate_der).digest()).decode()
        holder = (
            f'<ds:Object><x:QualifyingProperties xmlns:x="{XADES}" Target="#sig"><x:SignedProperties Id="props">'
            "<x:SignedSignatureProperties><x:SigningTime>2026-03-05T14:30:00+07:00</x:SigningTime>"
            f'<x:SigningCertificateV2><x:Cert><x:CertDigest><ds:DigestMethod Algorithm="{signed.SHA256}"/>'
            f"<ds:DigestValue>{digest}</ds:DigestValue></x:CertDigest></x:Cert></x:SigningCertificateV2>"
            "</x:SignedSignatureProperties></x:SignedProperties></x:QualifyingProperties></ds:Object>"
        )
    signature = (
        f'<ds:Signature xmlns:ds="{DS}" Id="sig"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{c14n}"/>'
        f'<ds:SignatureMethod Algorithm="{key.algorithm}"/>{reference}</ds:SignedInfo><ds:SignatureValue/>'
        f"<ds:KeyInfo><ds:X509Data><ds:X509Certificate/></ds:X509Data></ds:KeyInfo>{holder}</ds:Signature>"
    )
    return documents.a_package().replace(signed.END_OF_HEADER, signature.encode() + signed.END_OF_HEADER)


@needs("xmlsec1")
@pytest.mark.parametrize("properties", [False, True], ids=["xmldsig", "xades"])
@pytest.mark.parametrize("c14n", [signed.EXCLUSIVE, signed.INCLUSIVE], ids=["exclusive", "inclusive"])
@pytest.mark.parametrize("key", [pki.agency, pki.agency_ec], ids=["rsa", "p256"])
def test_packages_signed_by_xmlsec1_are_valid_here(key, c14n: str, properties: bool, tmp_path: Path) -> None:
    raw = filled_by_xmlsec1(a_template(key(), c14n, properties=properties), key(), tmp_path)
    assert signed.verdict_on(raw, tmp_path).standing is Standing.VALID
    assert signed.verdict_on(raw.replace(b"H37.21", b"H37.22"), tmp_path).reason == "signature.digest_mismatch"
    if properties:
        later = raw.replace(b"T14:30:00+07:00", b"T14:31:00+07:00")
        assert signed.verdict_on(later, tmp_path).reason == "signature.digest_mismatch"


# PDFs: ours before pdfsig and OpenSSL


@functools.cache
def stamped_pdf() -> bytes:
    """Signed by the person, then by the agency, each with a time-stamp."""
    first = pdfs.signed(pdfs.plain(), pki.person(), token=stamp)
    return pdfs.signed(first, pki.agency_seal(), options=PdfSignOptions(role=SignerRole.AGENCY), token=stamp)


@needs("pdfsig")
def test_pdfsig_accepts_pdfs_signed_here_and_nothing_altered(tmp_path: Path) -> None:
    file = tmp_path / "issued.pdf"
    file.write_bytes(stamped_pdf())
    _, said = run("pdfsig", "-nocert", file)
    assert said.count("Signature is Valid.") == 2
    assert said.count("ETSI.CAdES.detached") == 2
    assert "  - Total document signed" in said
    # A byte of the page, which both have signed.
    file.write_bytes(stamped_pdf().replace(b"/MediaBox", b"/MediaBoy", 1))
    _, said = run("pdfsig", "-nocert", file)
    assert "Signature is Valid." not in said
    assert said.count("Digest Mismatch.") == 2


@needs("pdftotext")
def test_the_line_on_copies_is_read_by_others_and_has_ten_points(tmp_path: Path) -> None:
    number = "12/SY-UBND Đặng Thị Hồng Ữ"
    options = PdfSignOptions(role=SignerRole.AGENCY, form=PdfForm.COPY, number=number)
    (tmp_path / "copy.pdf").write_bytes(pdfs.signed(pdfs.plain(), pki.agency_seal(), at=AT, options=options))
    _, said = run("pdftotext", "-bbox-layout", tmp_path / "copy.pdf", "-")
    lines = re.findall(r'<line xMin="[\d.]+" yMin="([\d.]+)" xMax="([\d.]+)" yMax="([\d.]+)">(.*?)</line>', said, re.S)
    first, second = ((*map(float, line[:3]), " ".join(re.findall(r">([^<>]+)</word>", line[3]))) for line in lines[:2])
    assert (first[3], second[3]) == (f"{number};", "05/03/2026; 14:30:00 +07:00")
    # Noto Serif is 1.362 times as high as its size, from the highest accent to the lowest mark.
    assert first[2] - first[0] == pytest.approx(13.62, abs=0.1)
    assert second[0] > first[2]  # No line runs into the other.


@needs("pdfsig")
@needs_softhsm()
@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_pdfsig_accepts_pdfs_signed_in_a_token(key, tmp_path: Path) -> None:
    with soft_token(tmp_path / "token", ("k", key())) as soft:
        held = Token(soft.module, pin=lambda: PIN).key(label="k")
        (tmp_path / "file.pdf").write_bytes(pdfs.signed(pdfs.plain(), held))  # type: ignore[arg-type]  # any Signer will do
    _, said = run("pdfsig", "-nocert", tmp_path / "file.pdf")
    assert said.count("Signature is Valid.") == 1


def parts(pdf: bytes) -> list[tuple[bytes, bytes]]:
    """Of each signature, oldest first: its CMS, and the bytes that it covers."""
    found = []
    for numbers in re.findall(rb"/ByteRange \[(\d+) (\d+) (\d+) (\d+)\s*\]", pdf):
        a, n, b, m = map(int, numbers)
        container = bytes.fromhex(pdf[a + n + 1 : b - 1].decode())
        found.append((cms.ContentInfo.load(container).dump(), pdf[a : a + n] + pdf[b : b + m]))
    return found


@needs("openssl")
def test_openssl_cms_accepts_each_signature_of_a_pdf_and_no_other_content(roots: Path) -> None:
    chain = ["-CAfile", "root.pem", "-certfile", "intermediate.pem", "-purpose", "any", "-attime", int(AT.timestamp())]
    command = ["openssl", "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", "cms.der", *chain]
    for container, covered in parts(stamped_pdf()):
        (roots / "cms.der").write_bytes(container)
        (roots / "covered").write_bytes(covered)
        good, said = run(*command, "-content", "covered", "-out", "out", cwd=roots)
        assert good, said
        (roots / "covered").write_bytes(covered[:-1])
        assert not run(*command, "-content", "covered", "-out", "out", cwd=roots)[0]


def openssl_ts_verifies(token: bytes, digest: bytes, folder: Path) -> bool:
    (folder / "token.der").write_bytes(token)
    chain = ["-CAfile", "root.pem", "-untrusted", "intermediate.pem", "-attime", int(AT.timestamp())]
    question = ["-in", "token.der", "-token_in", "-digest", digest.hex()]
    return run("openssl", "ts", "-verify", *question, *chain, cwd=folder)[0]


@needs("openssl")
def test_openssl_ts_accepts_the_time_stamps_in_pdfs_and_packages(roots: Path) -> None:
    for container, _ in parts(stamped_pdf()):
        signer = cms.ContentInfo.load(container)["content"]["signer_infos"][0]
        token = signer["unsigned_attrs"][0]["values"][0].dump()
        digest = hashlib.sha256(signer["signature"].native).digest()
        assert openssl_ts_verifies(token, digest, roots)
        assert not openssl_ts_verifies(token, hashlib.sha256(b"other").digest(), roots)
    root = etree.fromstring(xades(pki.agency(), with_stamp=True))
    value = root.find(f".//{{{DS}}}SignatureValue")
    token = base64.b64decode(root.findtext(f".//{{{XADES}}}EncapsulatedTimeStamp") or "")
    # The canonical form of SignatureValue, made by libxml2 and not by the code that asked for the stamp.
    alone = etree.fromstring(etree.tostring(value, with_tail=False))
    digest = hashlib.sha256(etree.tostring(alone, method="c14n", exclusive=True)).digest()
    assert openssl_ts_verifies(token, digest, roots)


@needs("pkcs11-tool", "pdfsig")
@needs_softhsm()
@pytest.mark.parametrize(
    ("key", "how", "hashed"),
    [
        (pki.agency, ["--mechanism", "SHA256-RSA-PKCS"], False),
        (pki.person, ["--mechanism", "ECDSA", "--signature-format", "rs"], True),
    ],
    ids=["rsa", "p256"],
)
def test_a_prepared_pdf_is_completed_by_another_program_s_signature(
    key, how: list[str], hashed: bool, tmp_path: Path
) -> None:
    """OpenSC signs the prepared bytes, or their digest, with a key that this program never opens."""
    (tmp_path / "plain.pdf").write_bytes(pdfs.plain())
    prepared = prepare_pdf(
        tmp_path / "plain.pdf", tmp_path / "prepared.pdf", certificate=key().certificate, chain=key().chain, at=AT
    )
    (tmp_path / "data").write_bytes(prepared.digest if hashed else prepared.to_be_signed)
    with soft_token(tmp_path / "token", ("k", key())) as soft:
        who = ["--module", soft.module, "--token-label", soft.label, "--login", "--pin", PIN, "--id", "01"]
        what = ["--sign", *how, "--input-file", tmp_path / "data", "--output-file", tmp_path / "signature"]
        good, said = run("pkcs11-tool", *who, *what)
    assert good, said
    out = tmp_path / "signed.pdf"
    complete_pdf(prepared, (tmp_path / "signature").read_bytes(), prepared_file=tmp_path / "prepared.pdf", out=out)
    assert run("pdfsig", "-nocert", out)[1].count("Signature is Valid.") == 1
    assert pdfs.judged(out.read_bytes())[0].standing is FileStanding.VALID


# PDFs: OpenSSL's here


@needs("openssl")
@pytest.mark.parametrize("key", [pki.person, pki.agency], ids=["p256", "rsa"])
def test_a_pdf_signed_by_openssl_is_valid_here(key, roots: Path) -> None:
    """Only the place for it is ours: digest, attributes and CMS are OpenSSL's."""
    (roots / "plain.pdf").write_bytes(pdfs.plain())
    prepared = prepare_pdf(roots / "plain.pdf", roots / "prepared.pdf", certificate=key().certificate, at=AT)
    pdf = (roots / "prepared.pdf").read_bytes()
    start, end = prepared.details["region_start"], prepared.details["region_end"]
    (roots / "covered").write_bytes(pdf[:start] + pdf[end:])
    (roots / "signer.pem").write_bytes(certificates_to_pem([key().certificate]))
    (roots / "key.pem").write_bytes(
        key().private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    who = ["-signer", "signer.pem", "-inkey", "key.pem", "-certfile", "intermediate.pem"]
    how = ["-binary", "-cades", "-md", "sha256", "-outform", "DER", "-in", "covered", "-out", "cms.der"]
    good, said = run("openssl", "cms", "-sign", *who, *how, cwd=roots)
    assert good, said
    container = (roots / "cms.der").read_bytes().hex().encode()
    whole = pdf[: start + 1] + container.ljust(end - start - 2, b"0") + pdf[end - 1 :]
    assert pdfs.judged(whole)[0].standing is FileStanding.VALID
    assert pdfs.judged(whole.replace(b"/MediaBox", b"/MediaBoy", 1))[0].standing is FileStanding.ALTERED
