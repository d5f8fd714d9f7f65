"""The independent judge: libxmlsec1, through the pip package ``xmlsec``. In tests only."""

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from lxml import etree

from gateway.signing.keys import SigningKey

DS = "http://www.w3.org/2000/09/xmldsig#"
_HUGE = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)


def xmlsec_verifies(raw: bytes, certificate: x509.Certificate) -> None:
    """Raise ``xmlsec.Error`` unless the one signature in ``raw`` verifies with the certificate's key."""
    root = etree.fromstring(raw, _HUGE)
    context = xmlsec.SignatureContext()
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    context.key = xmlsec.Key.from_memory(pem, xmlsec.constants.KeyDataFormatCertPem)
    context.verify(root.find(f".//{{{DS}}}Signature"))


def xmlsec_signs(
    raw: bytes,
    key: SigningKey,
    *,
    c14n: xmlsec.constants.__class__ | object = xmlsec.constants.TransformExclC14N,
    method: object = xmlsec.constants.TransformRsaSha256,
    digest: object = xmlsec.constants.TransformSha256,
    prefix: str | None = "ds",
) -> bytes:
    """An edXML package signed by libxmlsec1, signature last in the header."""
    root = etree.fromstring(raw, _HUGE)
    header = next(e for e in root.iter("{*}edXMLHeader"))
    signature = xmlsec.template.create(header, c14n, method, ns=prefix)
    header.append(signature)
    reference = xmlsec.template.add_reference(signature, digest, uri="")
    xmlsec.template.add_transform(reference, xmlsec.constants.TransformEnveloped)
    xmlsec.template.add_transform(reference, c14n)
    data = xmlsec.template.add_x509_data(xmlsec.template.ensure_key_info(signature))
    xmlsec.template.x509_data_add_certificate(data)
    context = xmlsec.SignatureContext()
    pem = key.private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    context.key = xmlsec.Key.from_memory(pem, xmlsec.constants.KeyDataFormatPem)
    context.key.load_cert_from_memory(
        key.certificate.public_bytes(serialization.Encoding.PEM), xmlsec.constants.KeyDataFormatPem
    )
    context.sign(signature)
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)
