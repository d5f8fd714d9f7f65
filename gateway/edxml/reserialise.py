"""
What the national axis does to every package that it hands on, so that a test can put a gateway behind it.

The axis parses a package with the kit and writes it again (domain §1.9): the signature loses its namespace and
thereby its meaning, comments, descriptions and subject names go, children change their order, every attachment is
packed anew, and a hop is added. Unwrapped contents, identity and subject stay as they were.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from lxml import etree

from gateway.edxml import names
from gateway.edxml.limits import Limits
from gateway.edxml.package import Package
from gateway.edxml.parser import hardened_parser
from gateway.edxml.read import read_unverified
from gateway.edxml.tree import header_signatures
from gateway.edxml.write import write_document, write_status
from gateway.model import AgencyCode, Envelope, Hop, PackageKind, Reference, ResponseFor

_LAST_IN_HEADER = "DocumentId"
"""Where the C# kit has it, and the Java one has not."""


def reserialise(source: bytes | Path, *, axis: AgencyCode, at: datetime, limits: Limits, spool: Path) -> bytes:
    """
    Write a package anew as the axis does; contents are held in memory.

    :param source: a package that can be read; what is wrong in it beyond that goes or stays as it falls.
    :param axis: who the added hop names; a status has no trace and gets none.
    :param at: aware; the time of that hop.
    :raises InvalidPackage: a text holds characters that XML cannot carry.
    :raises MalformedPackage: and what else ``read_unverified`` raises.
    """
    with read_unverified(source, limits=limits, spool=spool) as package:
        envelope = package.envelope
        if envelope.kind is PackageKind.STATUS:
            written = write_status(envelope)
        else:
            contents, references = _unwrapped(package)
            written = write_document(_as_the_axis_keeps_it(envelope, references, Hop(code=axis, at=at)), contents)
        signatures = [_without_namespace(element) for element in header_signatures(package.root)]
    # What was just written is nobody's attack, and contents may be longer than a text of a stranger's may be.
    root = etree.fromstring(written, hardened_parser(huge=True))
    _mix(root)
    header = root.find(f".//{{{names.QCVN}}}{names.HEADER}")
    assert header is not None, "the writer writes a header"
    header.extend(signatures)
    etree.indent(root, space="\t")
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _unwrapped(package: Package) -> tuple[dict[str, bytes], tuple[Reference, ...]]:
    """The contents under names of the axis' own, each declared to be a ZIP."""
    contents: dict[str, bytes] = {}
    references = []
    for number, attachment in enumerate(package.attachments):
        content_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{package.sha256}.{number}"))
        with package.open(attachment) as file:
            contents[content_id] = file.read()
        references.append(Reference(content_id=content_id, name=attachment.name, content_type="application/zip"))
    return contents, tuple(references)


def _as_the_axis_keeps_it(envelope: Envelope, references: tuple[Reference, ...], hop: Hop) -> Envelope:
    return replace(
        envelope,
        trace=(*envelope.trace, hop),
        references=references,
        responses=tuple(ResponseFor() for _ in envelope.responses),
    )


def _without_namespace(signature: etree._Element) -> etree._Element:
    """The same names in the package's namespace, which is what is left of a signature whose ``xmlns`` is dropped."""
    bare = etree.Element(
        f"{{{names.QCVN}}}{etree.QName(signature).localname}",
        nsmap={None: names.QCVN},  # type: ignore[dict-item] # how lxml names the default namespace
    )
    bare.text = signature.text
    for name, value in signature.items():
        bare.set(name, value)
    for child in signature.iterchildren(etree.Element):
        if etree.QName(child).localname != "X509SubjectName":
            bare.append(_without_namespace(child))
    return bare


def _mix(root: etree._Element) -> None:
    """Other places for some children; a receiver must not mind."""
    for parent, name in ((names.MESSAGE_HEADER, _LAST_IN_HEADER), (names.TRACE_LIST, names.TRACE)):
        for element in root.iter(f"{{{names.QCVN}}}{parent}"):
            for child in element.findall(f"{{{names.QCVN}}}{name}"):
                element.append(child)
