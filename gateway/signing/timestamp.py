"""
Asking a time-stamp authority (RFC 3161): what to send, and whether the answer is to the question.

No network: the caller passes a function that posts bytes. Whether the authority is *trusted* is
judged where a token is read (``trust``, ``evidence/timestamp.py``), never where it is fetched.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

from asn1crypto import algos, cms, core, tsp
from asn1crypto import x509 as asn1_x509
from pyhanko.sign.general import CMSStructuralError, extract_signer_info
from pyhanko.sign.validation.errors import SignatureValidationError
from pyhanko.sign.validation.generic_cms import validate_sig_integrity

from gateway.errors import TimestampRefused

QUERY_TYPE = "application/timestamp-query"
TOKEN_BYTES_MAX = 64 * 1024
"""Of a token; those with a chain of three certificates take about 7 KB."""

HashName = Literal["sha256", "sha384", "sha512"]
"""What the imprint of a token may be made by."""

Post = Callable[[str, bytes, str], bytes]
"""``post(url, body, media_type) -> body of the answer``; raises a DeliveryError when there is none."""

# What asn1crypto raises for bytes that are not what they should be.
_NOT_ASN1 = (ValueError, TypeError, KeyError, IndexError, AttributeError)


class _Response(core.Sequence):  # type: ignore[misc]  # asn1crypto is untyped
    """TimeStampResp as RFC 3161 §2.4.2 has it: asn1crypto's own demands a token in a refusal, too."""

    _fields: ClassVar = [("status", tsp.PKIStatusInfo), ("time_stamp_token", cms.ContentInfo, {"optional": True})]


@dataclass(frozen=True, kw_only=True)
class TimestampQuery:
    """One question to an authority."""

    digest: bytes
    """Of what is to be stamped, by ``hash_name``."""
    hash_name: HashName
    nonce: int
    body: bytes
    """DER of the TimeStampReq."""


def query(digest: bytes, *, policy: str | None = None, hash_name: HashName = "sha256") -> TimestampQuery:
    """
    The question for a token over this digest, with the authority's certificates in the answer.

    :param policy: OID of the authority's policy to ask for; ``None``: its own choice.
    """
    nonce = secrets.randbits(63) | 1  # Never zero, never negative: some authorities refuse both.
    request: dict[str, object] = {
        "version": "v1",
        "message_imprint": {"hash_algorithm": {"algorithm": hash_name}, "hashed_message": digest},
        "nonce": nonce,
        "cert_req": True,
    }
    if policy is not None:
        request["req_policy"] = policy
    return TimestampQuery(digest=digest, hash_name=hash_name, nonce=nonce, body=tsp.TimeStampReq(request).dump())


def answer(asked: TimestampQuery, raw: bytes) -> bytes:
    """
    The token out of an authority's answer.

    :param raw: body of the answer; not trusted.
    :return: DER of the token, a CMS SignedData.
    :raises TimestampRefused: the authority says no, or the token is not one for this question.
    """
    try:
        response = _Response.load(raw, strict=True)
        status = response["status"]
        if status["status"].native not in ("granted", "granted_with_mods"):
            raise TimestampRefused(f"The authority answers: {status['status'].native}.")
        token: bytes = response["time_stamp_token"].dump()
        nonce = _facts(token)["nonce"].native  # Read here: asn1crypto reads lazily, and may dislike it only now.
    except _NOT_ASN1 as e:
        raise TimestampRefused("The answer is not a time-stamp response.") from e
    if nonce != asked.nonce:
        raise TimestampRefused("The token answers another question: its nonce differs.")
    if not covers(token, asked.digest, hash_name=asked.hash_name):
        raise TimestampRefused("The token is over something else than was asked.")
    return token


def covers(token: bytes, digest: bytes, *, hash_name: HashName = "sha256") -> bool:
    """
    Whether this token is over this digest and signed by the certificate that it carries.

    :param token: DER; not trusted. Neither is, for all that this says, the certificate.
    """
    if len(token) > TOKEN_BYTES_MAX:
        return False
    try:
        imprint = _facts(token)["message_imprint"]
        right = imprint["hash_algorithm"]["algorithm"].native == hash_name
        return right and imprint["hashed_message"].native == digest and _intact(token)
    except (*_NOT_ASN1, CMSStructuralError, SignatureValidationError):
        return False


def fetch(digest: bytes, *, url: str, post: Post, policy: str | None = None, hash_name: HashName = "sha256") -> bytes:
    """
    A token over this digest from the authority at ``url``; DER.

    :raises TimestampRefused: as :func:`answer`.
    :raises DeliveryError: what ``post`` raises.
    """
    asked = query(digest, policy=policy, hash_name=hash_name)
    return answer(asked, post(url, asked.body, QUERY_TYPE))


def _facts(token: bytes) -> tsp.TSTInfo:
    content = cms.ContentInfo.load(token, strict=True)
    if content["content_type"].native != "signed_data":
        raise ValueError("A token is SignedData.")
    inside = content["content"]["encap_content_info"]
    if inside["content_type"].native != "tst_info":
        raise ValueError("A token holds TSTInfo.")
    facts: tsp.TSTInfo = inside["content"].parsed
    return facts


def _intact(token: bytes) -> bool:
    signed = cms.ContentInfo.load(token, strict=True)["content"]
    signer = extract_signer_info(signed)
    certificate = _certificate(signed, signer)
    content: core.OctetString = signed["encap_content_info"]["content"]
    algorithm: algos.DigestAlgorithm = signer["digest_algorithm"]
    digest = hashlib.new(algorithm["algorithm"].native, bytes(content)).digest()
    intact, valid = validate_sig_integrity(signer, certificate, "tst_info", digest)
    return intact and valid


def _certificate(signed: cms.SignedData, signer: cms.SignerInfo) -> asn1_x509.Certificate:
    identifier = signer["sid"].chosen
    for choice in signed["certificates"]:
        certificate = choice.chosen
        if not isinstance(certificate, asn1_x509.Certificate):
            continue
        if isinstance(identifier, cms.IssuerAndSerialNumber):
            same = certificate.issuer == identifier["issuer"] and (
                certificate.serial_number == identifier["serial_number"].native
            )
        else:
            same = certificate.key_identifier == identifier.native
        if same:
            return certificate
    raise ValueError("The token does not carry its signer's certificate.")
