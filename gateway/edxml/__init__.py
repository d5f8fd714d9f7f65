"""
edXML (QCVN 102:2016/BTTTT): bytes ↔ model. No clock, no network; files only for contents too large to hold.

``read_unverified`` is the way in, ``write_document`` and ``write_status`` the way out.
"""

from gateway.edxml.complete import complete
from gateway.edxml.limits import Limits
from gateway.edxml.package import C14N, Package, ParsedPackage, SignatureForm
from gateway.edxml.read import parse_unverified, read_unverified
from gateway.edxml.reserialise import reserialise
from gateway.edxml.schema import check_emit, check_receive
from gateway.edxml.write import kit_reference, write_document, write_document_to, write_status

__all__ = [
    "C14N",
    "Limits",
    "Package",
    "ParsedPackage",
    "SignatureForm",
    "check_emit",
    "check_receive",
    "complete",
    "kit_reference",
    "parse_unverified",
    "read_unverified",
    "reserialise",
    "write_document",
    "write_document_to",
    "write_status",
]
