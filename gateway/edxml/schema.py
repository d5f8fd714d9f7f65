"""The schemas of ``schemas/``, compiled once: tolerant for what is received, strict for what is emitted."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from lxml import etree

from gateway.edxml import names
from gateway.edxml.findings import Findings
from gateway.edxml.parser import hardened_parser
from gateway.errors import MalformedPackage
from gateway.model import Severity, Violation

_HERE = Path(__file__).resolve()
_PLACES = (_HERE.parent / "schemas", _HERE.parents[2] / "schemas")
"""Beside this module in an installed wheel, and the top of the source tree: in a wheel that is the place of all
packages, where ``schemas`` may be somebody else's."""
_MOST = 20


def check_receive(skeleton: bytes) -> list[Violation]:
    """
    Warnings for what the tolerant schema does not know.

    The reader judges by itself what can be trusted; this finds elements in places where nothing reads them.

    :param skeleton: ``Package.skeleton``; attachments emptied, so that the check costs nothing by their size.
    """
    return _check(skeleton, "receive.xsd", Severity.WARNING)


def check_emit(raw: bytes) -> list[Violation]:
    """
    Errors where a package is not as the kit would write it; ``[]`` for everything that ``write`` makes of a good model.

    :param raw: a package of our own making, or its skeleton: UTF-8, well-formed, in memory.
    :raises MalformedPackage: it is not XML.
    """
    return _check(raw, "emit.xsd", Severity.ERROR)


def _check(raw: bytes, name: str, severity: Severity) -> list[Violation]:
    try:
        root = etree.fromstring(raw, hardened_parser())
    except etree.XMLSyntaxError as e:
        raise MalformedPackage(f"The package is not well-formed XML: {e.msg}.") from e
    if compiled(name).validate(root):
        return []
    # The log is kept on the validator, which threads share: what went wrong is asked of a fresh one.
    schema = _compile(name)
    schema.validate(root)
    findings = Findings()
    for entry in list(schema.error_log)[:_MOST]:  # type: ignore[call-overload] # the stubs forget that it iterates
        findings.bad_form(_path(root, entry.path), f"{name}, line {entry.line}", severity)
    return list(findings.violations)


def _path(root: etree._Element, xpath: str) -> str:
    """The dotted names of an element that libxml2 names by position only; the outermost two are left out."""
    spaces = {prefix: uri for e in root.iter() for prefix, uri in e.nsmap.items() if prefix}
    found = root.getroottree().xpath(xpath, namespaces=spaces)
    if not isinstance(found, list) or not found or not isinstance(found[0], etree._Element):
        return names.ROOT
    chain = [found[0], *found[0].iterancestors()]
    local = [etree.QName(element).localname for element in reversed(chain)]
    frame = (names.ROOT, names.ENVELOPE, names.HEADER)
    return ".".join(n for n in local if n not in frame) or local[-1]


@cache
def compiled(name: str) -> etree.XMLSchema:
    """
    A schema that this program brings along, ready to validate; its error log is not to be read, threads share it.

    :param name: of a file in ``schemas/`` at the top of the source tree, which an installed wheel has inside.
    :raises FileNotFoundError: it is in neither place: the installation is broken.
    """
    return _compile(name)


def _compile(name: str) -> etree.XMLSchema:
    folder = next((place for place in _PLACES if (place / name).is_file()), None)
    if folder is None:
        raise FileNotFoundError(f"{name} is neither in schemas/ nor installed with the package")
    return etree.XMLSchema(etree.parse(str(folder / name), hardened_parser()))
