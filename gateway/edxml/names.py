"""
What things are called on the wire, misspellings included; nowhere else are they written.

Elements are matched by namespace and local name, never by prefix: the kit uses two prefixes
for one namespace, and the axis changes them (domain §1.1). Letter case is forgiven (variant V5).
"""

from __future__ import annotations

from collections.abc import Mapping

QCVN = "http://www.mic.gov.vn/TBT/QCVN_102_2016"
"""The one namespace of QCVN 102:2016/BTTTT."""
DSIG = "http://www.w3.org/2000/09/xmldsig#"
XINCLUDE = "http://www.w3.org/2001/XInclude"
XML = "http://www.w3.org/XML/1998/namespace"
XMLNS = "http://www.w3.org/2000/xmlns/"
PREFIX = "edXML"
"""The prefix that the kit binds on the envelope and again on each encoded content."""

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
BKAV = "http://www.e-doc.vn/Schema/"
GO_VN = "http://www.go.vn/eDoc"

ROOT = "edXML"
ENVELOPE = "edXMLEnvelope"
HEADER = "edXMLHeader"
BODY = "edXMLBody"
MANIFEST = "edXMLManifest"
ENCODED = "AttachmentEncoded"
ATTACHMENT = "Attachment"
CONTENT = "ContentTransferEncoded"
SIGNATURE = "Signature"
DIGITAL_SIGNATURE = "DigitalSignature"
MESSAGE_HEADER = "MessageHeader"
TRACE_LIST = "TraceHeaderList"
TRACE = "TraceHeader"
BUSINESS = "Bussiness"

_ALIASES = {"manifest": MANIFEST}
"""Spellings that differ by more than letter case; ``Business…`` is added to each table below."""


class Spellings(dict[str, str]):
    """Local names in lower case → the name as the kit writes it."""

    def __init__(self, spelled: Mapping[str, str]) -> None:
        super().__init__(spelled)
        self.exact = {f"{{{QCVN}}}{name}": name for name in self.values()}
        """Names in full, spelled as the kit spells them → the local name: what nearly all elements are."""


def spellings(*names: str) -> Spellings:
    """
    The names that elements in one place may have.

    The doubled s of ``Bussiness`` is the kit's; whoever spells it right is understood too,
    because a revocation that goes unread would pass for a new document.
    """
    table = {name.lower(): name for name in names}
    table |= {k.replace("bussiness", "business"): v for k, v in table.items() if "bussiness" in k}
    return Spellings(table | {alias: name for alias, name in _ALIASES.items() if name in names})


IN_ROOT = spellings(ENVELOPE, ENCODED)
IN_ENVELOPE = spellings(HEADER, BODY)
IN_HEADER = spellings(MESSAGE_HEADER, TRACE_LIST, SIGNATURE, DIGITAL_SIGNATURE)
IN_BODY = spellings(MANIFEST)
IN_MANIFEST = spellings("Reference")
IN_MESSAGE_HEADER = spellings(
    "From", "To", "DocumentId", "Code", "PromulgationInfo", "DocumentType", "Subject", "Content", "SignerInfo",
    "DueDate", "OtherInfo", "ResponseFor", "SteeringType", "ResponseForTask", "ApplicationType", "ToPlaces",
    "StaffInfo", "StatusCode", "Description", "Timestamp",
)  # fmt: skip
IN_ORGANIZATION = spellings(
    "OrganId", "OrganizationInCharge", "OrganName", "OrganAdd", "Email", "Telephone", "Fax", "Website"
)
IN_CODE = spellings("CodeNumber", "CodeNotation")
IN_PROMULGATION = spellings("Place", "PromulgationDate")
IN_DOCUMENT_TYPE = spellings("Type", "TypeDetail", "TypeName")
IN_SIGNER = spellings("Competence", "Position", "FullName")
IN_OTHER = spellings(
    "Priority", "SphereOfPromulgation", "TyperNotation", "PromulgationAmount", "PageAmount", "ReplyFors", "Direction",
    "ReferenceCodes", "Appendixes",
)  # fmt: skip
IN_APPENDIXES = spellings("Appendix")
IN_RESPONSE = spellings("OrganId", "Code", "DocumentId", "PromulgationDate")
IN_TASKS = spellings("TaskCode")
IN_PLACES = spellings("Place")
IN_STAFF = spellings("Department", "DepartmentId", "Staff", "StaffId", "Email", "Mobile")
IN_TRACE_LIST = spellings(TRACE, BUSINESS, "Paper")
IN_TRACE = spellings("OrganId", "Timestamp")
IN_BUSINESS = spellings(
    "DocumentId", "BussinessDocType", "BussinessDocReason", "Paper", "BussinessDocumentInfo", "ReplacementInfoList",
    "StaffInfo",
)  # fmt: skip
IN_CHANGE = spellings("DocumentInfo", "DocumentReceiver", "ReceiverList")
IN_RECEIVERS = spellings("Receiver")
IN_RECEIVER = spellings("OrganId", "ReceiverType")
IN_REPLACEMENTS = spellings("ReplacementInfo")
IN_REPLACEMENT = spellings("DocumentId", "OrganIdList")
IN_ORGAN_IDS = spellings("OrganId")
IN_REFERENCE = spellings("ContentId", "ContentType", "Description", "AttachmentName")
IN_ENCODED = spellings(ATTACHMENT)
IN_ATTACHMENT = spellings(
    "ContentId", "AttachmentName", "Description", "FieldName", "MimeType", "Format", "ContentType", CONTENT
)
