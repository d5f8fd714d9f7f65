"""
What is wrong with a set of agencies, found before it is put to use.

Errors are contradictions: the set is not taken. Warnings are for an operator to read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from urllib.parse import urlsplit

from gateway.directory.certificates import ROLES, certificate_of
from gateway.directory.directory import Directory, closed_at, exists_at
from gateway.errors import DirectoryInvalid
from gateway.model import Agency, AgencyCode, Channel, CodeGeneration, Level, Severity, Standing

_PARENT_LEVELS = {
    Level.NATIONAL: {Level.NATIONAL},
    Level.PROVINCE: {Level.NATIONAL},
    # A department is a specialised office of any tier: a ministry's, a province's (sở), a district's (phòng).
    Level.DEPARTMENT: set(Level),
    Level.DISTRICT: {Level.PROVINCE},
    # Below a district until 30 June 2025, below the province since.
    Level.COMMUNE: {Level.PROVINCE, Level.DISTRICT},
}
_TOP_LEVELS = (Level.NATIONAL, Level.PROVINCE)
_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing wrong with one field of one agency."""

    severity: Severity
    agency: str
    """Primary code; ``agency 3`` when it has none, ``site`` for what concerns the gateway itself."""
    key: str
    """The field at fault, as in the TOML file."""
    message: str
    """One English sentence."""

    def __str__(self) -> str:
        return f"{self.agency}: {self.key}: {self.message}"


def error(agency: str, key: str, message: str) -> Finding:
    """A finding that forbids the use of the whole set."""
    return Finding(severity=Severity.ERROR, agency=agency, key=key, message=message)


def warning(agency: str, key: str, message: str) -> Finding:
    """A finding that an operator should read."""
    return Finding(severity=Severity.WARNING, agency=agency, key=key, message=message)


def refuse_errors(findings: Iterable[Finding], *, source: str) -> None:
    """
    Go on only without errors.

    :param source: the file or catalogue that the agencies come from; begins each sentence.
    :raises DirectoryInvalid: naming source, agency and key of every error (of the first twenty).
    """
    errors = [f for f in findings if f.severity is Severity.ERROR]
    if not errors:
        return
    more = [f"and {len(errors) - _SHOWN} more"] if len(errors) > _SHOWN else []
    detail = "; ".join([*(f"{source}: {f}" for f in errors[:_SHOWN]), *more])
    raise DirectoryInvalid(detail, path=f"{errors[0].agency}.{errors[0].key}")


def check_agencies(agencies: Sequence[Agency]) -> tuple[Finding, ...]:
    """Everything wrong with a set of agencies in itself, errors first."""
    by_code = _by_code(agencies)
    found = [
        *_duplicates(agencies, by_code),
        *_cycles(agencies, by_code, "parent", lambda a: () if a.parent is None else (a.parent,)),
        *_cycles(agencies, by_code, "successors", lambda a: a.successors),
        *_shared_certificates(agencies),
    ]
    for agency in agencies:
        found += _own(agency)
        found += _parent(agency, by_code)
        found += _successors(agency, by_code)
    return _ordered(found)


def check_site(
    directory: Directory, *, at: datetime, expiry_within: timedelta = timedelta(days=30)
) -> tuple[Finding, ...]:
    """What would go wrong with these agencies at this gateway, at this moment; errors first."""
    local, found = directory.local, list[Finding]()
    if directory.find(local.code, at=at) is None:
        found.append(error("site", "code", f"The gateway's own agency {local.code} is not in the directory."))
    if local.default_route is not None and directory.default_holder(at=at) is None:
        found.append(
            error("site", "default_route", f"{local.default_route} is not an existing agency with an endpoint.")
        )
    for agency in directory.agencies():
        if agency.hidden or not exists_at(agency, at):
            continue
        if directory.endpoint_holder(agency, at=at) is None:
            found.append(warning(agency.code, "endpoint", "Neither it nor an ancestor has an endpoint: unreachable."))
        parent = None if agency.parent is None else directory.get(agency.parent)
        if parent is not None and closed_at(parent, at):
            found.append(warning(agency.code, "parent", f"It exists, but its parent {parent.code} is closed."))
        found += _expiring(agency, at=at, expiry_within=expiry_within)
    return _ordered(found)


def _ordered(found: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(found, key=lambda f: (f.severity is not Severity.ERROR, f.agency, f.key, f.message)))


def _by_code(agencies: Iterable[Agency]) -> dict[str, list[Agency]]:
    """Who has a code, the one that has it as its primary code first."""
    holders: dict[str, list[Agency]] = {}
    for agency in agencies:
        holders.setdefault(agency.code, []).append(agency)
    for agency in agencies:
        for alias in agency.aliases:
            holders.setdefault(alias, []).append(agency)
    return holders


def _duplicates(agencies: Sequence[Agency], by_code: dict[str, list[Agency]]) -> Iterator[Finding]:
    counts = Counter(agency.code for agency in agencies)
    yield from (error(code, "code", "Two agencies have this primary code.") for code, n in counts.items() if n > 1)
    for code, holders in by_code.items():
        if len({a.code for a in holders}) == 1:
            if len(holders) > counts[holders[0].code]:
                yield error(holders[0].code, "aliases", f"{code} is named twice.")
            continue
        # A code may pass from one agency to another, but at no time mean two.
        in_time = sorted(holders, key=lambda a: a.valid_from or date.min)
        for before, after in pairwise(in_time):
            if before.code == after.code:
                continue  # reported above
            if before.valid_to is None or before.valid_to > (after.valid_from or date.min):
                yield error(after.code, "aliases", f"{code} belongs to {before.code} at the same time.")


def _cycles(
    agencies: Sequence[Agency],
    by_code: dict[str, list[Agency]],
    key: str,
    following: Callable[[Agency], Sequence[AgencyCode]],
) -> Iterator[Finding]:
    """Agencies from which the relation leads back to them; depth first, each agency entered once."""
    done: set[str] = set()
    for start in agencies:
        if start.code in done:
            continue
        on_path: dict[str, None] = {start.code: None}
        stack = [(start, iter(following(start)))]
        while stack:
            agency, rest = stack[-1]
            code = next(rest, None)
            if code is None:
                stack.pop()
                on_path.pop(agency.code)
                done.add(agency.code)
                continue
            holders = by_code.get(code)
            if not holders or holders[0].code in done:
                continue
            if holders[0].code in on_path:
                yield error(agency.code, key, f"It leads in a circle through {holders[0].code}.")
                continue
            on_path[holders[0].code] = None
            stack.append((holders[0], iter(following(holders[0]))))


def _shared_certificates(agencies: Iterable[Agency]) -> Iterator[Finding]:
    owners: dict[str, str] = {}
    for agency in agencies:
        for certificate in agency.certificates:
            owner = owners.setdefault(certificate.sha256, agency.code)
            if owner != agency.code:
                yield warning(agency.code, "certificates", f"{certificate.sha256[:16]}… is registered for {owner} too.")


def _own(agency: Agency) -> Iterator[Finding]:
    """What is wrong with an agency whatever the others are."""
    if not agency.name.strip():
        yield error(agency.code, "name", "It is empty.")
    for i, code in enumerate(agency.codes):
        key = "aliases" if i else "code"
        if not 0 < len(code) <= AgencyCode.LONGEST or not code.isprintable() or any(c in " ,;/" for c in code):
            yield error(agency.code, key, f"{code!r} is not a code of 1 to {AgencyCode.LONGEST} characters.")
        elif code != AgencyCode.normal(code):
            yield error(agency.code, key, f"{code} is not in its normal form {AgencyCode.normal(code)}.")
        elif code.generation is CodeGeneration.OTHER:
            yield warning(agency.code, key, f"{code} follows neither TT 10/2016 nor QĐ 20/2020.")
    if agency.valid_from and agency.valid_to and agency.valid_from >= agency.valid_to:
        yield error(agency.code, "valid_to", "It is not after valid_from.")
    if agency.valid_to and not agency.closed_reason:
        yield warning(agency.code, "closed_reason", "It is closed without a reason that senders could be told.")
    if agency.accepts is not None and Standing.INVALID in agency.accepts:
        yield error(agency.code, "accepts", "`invalid` is never accepted.")
    yield from _endpoint(agency)
    for certificate in agency.certificates:
        if certificate.role not in ROLES:
            yield error(agency.code, "certificates.role", f"{certificate.role!r} is none of {', '.join(ROLES)}.")


def _endpoint(agency: Agency) -> Iterator[Finding]:
    endpoint = agency.endpoint
    if endpoint is None:
        return
    if endpoint.channel is Channel.MAILBOX:
        if endpoint.url is not None:
            yield error(agency.code, "endpoint.url", "A mailbox has none.")
        return
    if not endpoint.url:
        yield error(agency.code, "endpoint.url", f"The channel {endpoint.channel} needs one.")
        return
    try:
        url = urlsplit(endpoint.url)
        host = url.hostname
        _ = url.port  # raises for what is no port
    except ValueError:
        yield error(agency.code, "endpoint.url", "It is not a URL.")
        return
    if url.scheme not in ("https", "http") or not host:
        yield error(agency.code, "endpoint.url", "It is not an http or https URL.")
    elif url.username or url.password:
        yield error(agency.code, "endpoint.url", "It carries a password; name a secret in `credential`.")
    elif url.scheme == "http" and host not in ("127.0.0.1", "::1", "localhost"):
        yield warning(agency.code, "endpoint.url", "It is not encrypted (http).")
    if endpoint.channel in (Channel.VXP, Channel.LGSP) and not endpoint.system:
        yield error(agency.code, "endpoint.system", f"The channel {endpoint.channel} needs the id of this system.")
    if not endpoint.credential:
        yield warning(agency.code, "endpoint.credential", "Without one nothing proves to the receiver who calls.")


def _reference(agency: Agency, key: str, code: AgencyCode, by_code: dict[str, list[Agency]]) -> Iterator[Finding]:
    holders = by_code.get(code, [])
    if not holders:
        yield error(agency.code, key, f"There is no agency {code}.")
    elif len(holders) > 1 and holders[0].code != code:
        # It meant one agency and then another: only a primary code says which.
        yield error(agency.code, key, f"{code} is a code of several agencies; name one by its primary code.")


def _parent(agency: Agency, by_code: dict[str, list[Agency]]) -> Iterator[Finding]:
    if agency.parent is None:
        if agency.level not in _TOP_LEVELS and agency.endpoint is None:
            yield warning(agency.code, "parent", "It has neither a parent nor an endpoint.")
        return
    yield from _reference(agency, "parent", agency.parent, by_code)
    if agency.parent not in by_code:
        return
    parent = by_code[agency.parent][0]
    if parent.level not in _PARENT_LEVELS[agency.level]:
        yield error(agency.code, "parent", f"A {agency.level} is not below a {parent.level} ({parent.code}).")
    own, above = agency.code.level1, {code.level1 for code in parent.codes} - {None}
    # Catalogues that circulate give agencies codes of foreign provinces (domain §3.1).
    if agency.level not in _TOP_LEVELS and own is not None and above and own not in above:
        yield error(agency.code, "parent", f"{parent.code} is of another first level than {own}.")


def _successors(agency: Agency, by_code: dict[str, list[Agency]]) -> Iterator[Finding]:
    if agency.successors and agency.valid_to is None:
        yield error(agency.code, "successors", "Only an agency with valid_to has successors.")
    if len({by_code[c][0].code if c in by_code else c for c in agency.successors}) != len(agency.successors):
        yield error(agency.code, "successors", "One is named twice.")
    for code in agency.successors:
        yield from _reference(agency, "successors", code, by_code)


def _expiring(agency: Agency, *, at: datetime, expiry_within: timedelta) -> Iterator[Finding]:
    for registered in agency.certificates:
        ends = certificate_of(registered).not_valid_after_utc
        if registered.valid_to is not None:
            ends = min(ends, registered.valid_to)
        if ends <= at:
            yield warning(agency.code, "certificates", f"{registered.sha256[:16]}… has expired on {ends:%Y-%m-%d}.")
        elif ends <= at + expiry_within:
            yield warning(agency.code, "certificates", f"{registered.sha256[:16]}… expires on {ends:%Y-%m-%d}.")
