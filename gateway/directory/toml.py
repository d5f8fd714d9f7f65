"""
Agencies as a TOML file: for people to write, and for machines to write back the same each time.

An unknown key is an error, because a misspelt ``succesors`` would otherwise silently drop documents.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, TypedDict, TypeVar

from gateway.directory.certificates import register_certificate
from gateway.directory.check import Finding, check_agencies, error, refuse_errors
from gateway.errors import DirectoryInvalid, KeyUnusable
from gateway.model import (
    VIETNAM_TIME,
    Agency,
    AgencyCode,
    Channel,
    Endpoint,
    Level,
    RegisteredCertificate,
    Standing,
)

_T = TypeVar("_T")
_E = TypeVar("_E", bound=StrEnum)

_AGENCY_KEYS = (
    "code",
    "aliases",
    "name",
    "level",
    "parent",
    "valid_from",
    "valid_to",
    "successors",
    "closed_reason",
    "accepts",
    "tolerate_sha1",
    "tolerate_rsa_1024",
    "hidden",
    "endpoint",
    "certificates",
)
_ENDPOINT_KEYS = ("channel", "url", "credential", "system")
_CERTIFICATE_KEYS = ("pem", "file", "role", "holder", "valid_from", "valid_to")


def load_agencies(path: Path) -> list[Agency]:
    """
    Read a file of agencies, whole and checked.

    :raises DirectoryInvalid: naming file, agency and key of everything wrong with it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise DirectoryInvalid(f"{path.name}: The file cannot be read ({type(e).__name__}).") from e
    return parse_agencies(text, source=path.name, folder=path.parent)


def parse_agencies(text: str, *, source: str, folder: Path) -> list[Agency]:
    """
    Read agencies from TOML text.

    :param source: what to call the text in errors.
    :param folder: where certificate files lie; none outside it is ever read.
    :return: in the order of the text; references as written, codes in their normal form.
    :raises DirectoryInvalid: naming source, agency and key of everything wrong.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise DirectoryInvalid(f"{source}: It is not TOML: {e}.") from e
    for key in content:
        if key != "agency":
            raise DirectoryInvalid(f"{source}: {key}: unknown key; agencies are [[agency]] tables.", path=key)
    tables = content.get("agency", [])
    if not isinstance(tables, list):
        raise DirectoryInvalid(f"{source}: agency: write [[agency]], in double brackets.", path="agency")
    findings: list[Finding] = []
    agencies = [_agency(table, number, folder, findings) for number, table in enumerate(tables, 1)]
    refuse_errors(findings, source=source)
    complete = [agency for agency in agencies if agency is not None]
    refuse_errors(check_agencies(complete), source=source)
    return complete


class _Table:
    """One TOML table being read: gives typed values, notes what is wrong, and what is unknown."""

    def __init__(self, table: Mapping[str, Any], *, agency: str, prefix: str, findings: list[Finding]) -> None:
        self._table = table
        self._agency = agency
        self._prefix = prefix
        self._findings = findings

    def wrong(self, key: str, message: str) -> None:
        self._findings.append(error(self._agency, self._prefix + key, message))

    def allow(self, keys: Iterable[str]) -> None:
        for key in self._table.keys() - set(keys):
            self.wrong(key, "unknown key.")

    def optional(self, key: str, kind: type[_T], called: str) -> _T | None:
        value = self._table.get(key)
        # TOML's booleans are Python integers, its date-times are dates: the type must be the very one.
        if value is None or type(value) is kind:
            return value
        self.wrong(key, f"It must be {called}.")
        return None

    def text(self, key: str) -> str | None:
        return self.optional(key, str, "text")

    def flag(self, key: str) -> bool:
        return self.optional(key, bool, "true or false") or False

    def day(self, key: str) -> date | None:
        return self.optional(key, date, "a date such as 2025-07-01")

    def moment(self, key: str) -> datetime | None:
        """An aware time; a day means its first moment in Vietnam."""
        value = self._table.get(key)
        if type(value) is date:
            return datetime(value.year, value.month, value.day, tzinfo=VIETNAM_TIME)
        if value is None or (isinstance(value, datetime) and value.tzinfo is not None):
            return value
        self.wrong(key, "It must be a date, or a time with its zone such as 2025-07-01T00:00:00+07:00.")
        return None

    def code(self, key: str) -> AgencyCode | None:
        text = self.text(key)
        return None if text is None else AgencyCode.normal(text)

    def texts(self, key: str) -> tuple[str, ...] | None:
        value = self._table.get(key)
        if value is None:
            return None
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        self.wrong(key, "It must be a list of texts.")
        return None

    def codes(self, key: str) -> tuple[AgencyCode, ...]:
        return tuple(AgencyCode.normal(text) for text in self.texts(key) or ())

    def choice(self, key: str, kind: type[_E], text: str | None) -> _E | None:
        if text is None:
            return None
        try:
            return kind(text)
        except ValueError:
            self.wrong(key, f"{text!r} is none of {', '.join(kind)}.")
            return None

    def tables(self, key: str, read: Callable[[_Table], _T | None], *, many: bool) -> Iterator[_T]:
        """The sub-tables of a key, each read by a function; ``many`` for ``[[…]]``."""
        value = self._table.get(key)
        if value is None:
            return
        items = value if isinstance(value, list) else [value]
        if isinstance(value, list) is not many or not all(isinstance(item, dict) for item in items):
            self.wrong(key, f"It must be {'a list of tables' if many else 'a table'}.")
            return
        for item in items:
            result = read(_Table(item, agency=self._agency, prefix=f"{self._prefix}{key}.", findings=self._findings))
            if result is not None:
                yield result


def _agency(table: Any, number: int, folder: Path, findings: list[Finding]) -> Agency | None:
    if not isinstance(table, dict):
        findings.append(error(f"agency {number}", "agency", "It must be a table."))
        return None
    named = table.get("code")
    label = AgencyCode.normal(named) if isinstance(named, str) and named.strip() else f"agency {number}"
    reader = _Table(table, agency=label, prefix="", findings=findings)
    reader.allow(_AGENCY_KEYS)
    code, name = reader.code("code"), reader.text("name")
    level = reader.choice("level", Level, reader.text("level"))
    for key in ("code", "name", "level"):
        if key not in table:
            reader.wrong(key, "It is missing.")
    rest = _Rest(
        accepts=_standings(reader),
        endpoint=next(reader.tables("endpoint", _endpoint, many=False), None),
        certificates=tuple(reader.tables("certificates", lambda t: _certificate(t, folder), many=True)),
        aliases=reader.codes("aliases"),
        parent=reader.code("parent"),
        valid_from=reader.day("valid_from"),
        valid_to=reader.day("valid_to"),
        successors=reader.codes("successors"),
        closed_reason=reader.text("closed_reason"),
        tolerate_sha1=reader.flag("tolerate_sha1"),
        tolerate_rsa_1024=reader.flag("tolerate_rsa_1024"),
        hidden=reader.flag("hidden"),
    )
    # Everything is read first, so that all that is wrong with the table is found.
    return None if code is None or name is None or level is None else Agency(code=code, name=name, level=level, **rest)


class _Rest(TypedDict):
    """The fields of ``Agency`` that may be absent."""

    accepts: frozenset[Standing] | None
    endpoint: Endpoint | None
    certificates: tuple[RegisteredCertificate, ...]
    aliases: tuple[AgencyCode, ...]
    parent: AgencyCode | None
    valid_from: date | None
    valid_to: date | None
    successors: tuple[AgencyCode, ...]
    closed_reason: str | None
    tolerate_sha1: bool
    tolerate_rsa_1024: bool
    hidden: bool


def _standings(reader: _Table) -> frozenset[Standing] | None:
    texts = reader.texts("accepts")
    if texts is None:
        return None
    return frozenset(s for s in (reader.choice("accepts", Standing, text) for text in texts) if s is not None)


def _endpoint(reader: _Table) -> Endpoint | None:
    reader.allow(_ENDPOINT_KEYS)
    text = reader.text("channel")
    channel = reader.choice("channel", Channel, text)
    if text is None:
        reader.wrong("channel", "It is missing.")
    url, credential, system = reader.text("url"), reader.text("credential"), reader.text("system")
    return None if channel is None else Endpoint(channel=channel, url=url, credential=credential, system=system)


def _certificate(reader: _Table, folder: Path) -> RegisteredCertificate | None:
    reader.allow(_CERTIFICATE_KEYS)
    pem, file = reader.text("pem"), reader.text("file")
    role, holder = reader.text("role") or "agency", reader.text("holder")
    valid_from, valid_to = reader.moment("valid_from"), reader.moment("valid_to")
    if (pem is None) is (file is None):
        reader.wrong("pem", "Give either `pem` or `file`.")
        return None
    try:
        if pem is None:
            pem = _read_inside(folder, file or "")
        return register_certificate(pem, role=role, holder=holder, valid_from=valid_from, valid_to=valid_to)
    except (DirectoryInvalid, KeyUnusable) as e:
        reader.wrong("pem" if file is None else "file", e.detail)
        return None


def _read_inside(folder: Path, name: str) -> str:
    """A file below the folder; a path that climbs out of it, also by a link, is refused."""
    root = folder.resolve()
    path = (root / name).resolve()
    if not path.is_relative_to(root):
        raise DirectoryInvalid(f"{name!r} lies outside the folder of the agencies' file.")
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as e:
        raise DirectoryInvalid(f"{name!r} cannot be read ({type(e).__name__}).") from e


# Writing


def dump_agencies(agencies: Iterable[Agency]) -> str:
    """
    Agencies as TOML: the same agencies give the same text, and reading it gives them back.

    Fields that hold their default are left out; certificates are written out, so that the text stands alone.
    """
    return "\n".join("\n".join(_agency_lines(a)) + "\n" for a in sorted(agencies, key=lambda a: a.code))


def _agency_lines(agency: Agency) -> Iterator[str]:
    yield "[[agency]]"
    yield f"code = {_quoted(agency.code)}"
    if agency.aliases:
        yield f"aliases = {_list(agency.aliases)}"
    yield f"name = {_quoted(agency.name)}"
    yield f"level = {_quoted(agency.level)}"
    if agency.parent is not None:
        yield f"parent = {_quoted(agency.parent)}"
    if agency.valid_from is not None:
        yield f"valid_from = {agency.valid_from.isoformat()}"
    if agency.valid_to is not None:
        yield f"valid_to = {agency.valid_to.isoformat()}"
    if agency.successors:
        yield f"successors = {_list(agency.successors)}"
    if agency.closed_reason is not None:
        yield f"closed_reason = {_quoted(agency.closed_reason)}"
    if agency.accepts is not None:
        yield f"accepts = {_list(sorted(agency.accepts))}"
    if agency.tolerate_sha1:
        yield "tolerate_sha1 = true"
    if agency.tolerate_rsa_1024:
        yield "tolerate_rsa_1024 = true"
    if agency.hidden:
        yield "hidden = true"
    if agency.endpoint is not None:
        yield from _endpoint_lines(agency.endpoint)
    for certificate in agency.certificates:
        yield from _certificate_lines(certificate)


def _endpoint_lines(endpoint: Endpoint) -> Iterator[str]:
    yield "[agency.endpoint]"
    yield f"channel = {_quoted(endpoint.channel)}"
    if endpoint.url is not None:
        yield f"url = {_quoted(endpoint.url)}"
    if endpoint.credential is not None:
        yield f"credential = {_quoted(endpoint.credential)}"
    if endpoint.system is not None:
        yield f"system = {_quoted(endpoint.system)}"


def _certificate_lines(certificate: RegisteredCertificate) -> Iterator[str]:
    yield "[[agency.certificates]]"
    yield f"role = {_quoted(certificate.role)}"
    if certificate.holder is not None:
        yield f"holder = {_quoted(certificate.holder)}"
    if certificate.valid_from is not None:
        yield f"valid_from = {certificate.valid_from.isoformat()}"
    if certificate.valid_to is not None:
        yield f"valid_to = {certificate.valid_to.isoformat()}"
    # PEM is plain ASCII without quotes or backslashes; a newline after the opening quotes is not part of it.
    yield f'pem = """\n{certificate.pem}"""'


def _list(texts: Iterable[str]) -> str:
    return f"[{', '.join(_quoted(text) for text in texts)}]"


def _quoted(text: str) -> str:
    """A TOML basic string: quotes, backslashes and control characters escaped, all else as it is."""
    short = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(short.get(c, c if c >= " " and c != "\x7f" else f"\\u{ord(c):04x}") for c in text) + '"'
