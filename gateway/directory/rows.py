"""An agency as one JSON text and back: exact, and the same text for the same agency."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Any

from gateway.errors import DirectoryInvalid
from gateway.model import Agency, AgencyCode, Channel, Endpoint, Level, RegisteredCertificate, Standing, fold


def to_body(agency: Agency) -> str:
    """Compact JSON; fields that hold their default are left out, so that a catalogue stays small."""
    fields: dict[str, Any] = {
        "code": agency.code,
        "aliases": agency.aliases,
        "name": agency.name,
        "level": agency.level,
        "parent": agency.parent,
        "valid_from": agency.valid_from and agency.valid_from.isoformat(),
        "valid_to": agency.valid_to and agency.valid_to.isoformat(),
        "successors": agency.successors,
        "closed_reason": agency.closed_reason,
        "endpoint": agency.endpoint and _endpoint_fields(agency.endpoint),
        "certificates": [_certificate_fields(c) for c in agency.certificates],
        # An empty set refuses everything and is not the same as none.
        "accepts": None if agency.accepts is None else sorted(agency.accepts),
        "tolerate_sha1": agency.tolerate_sha1,
        "tolerate_rsa_1024": agency.tolerate_rsa_1024,
        "hidden": agency.hidden,
    }
    kept = {key: value for key, value in fields.items() if key == "accepts" or value}
    if kept["accepts"] is None:
        del kept["accepts"]
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))


def from_body(body: str, parents: dict[str, AgencyCode]) -> Agency:
    """
    The agency of a stored text.

    :param parents: filled and used again, so that a thousand children share one text.
    :raises DirectoryInvalid: it is not what ``to_body`` writes: somebody edited the database by hand.
    """
    try:
        f = json.loads(body)
        return Agency(
            code=AgencyCode(f["code"]),
            aliases=tuple(map(AgencyCode, f.get("aliases", ()))),
            name=f["name"],
            level=Level(f["level"]),
            parent=parents.setdefault(f["parent"], AgencyCode(f["parent"])) if "parent" in f else None,
            valid_from=date.fromisoformat(f["valid_from"]) if "valid_from" in f else None,
            valid_to=date.fromisoformat(f["valid_to"]) if "valid_to" in f else None,
            successors=tuple(map(AgencyCode, f.get("successors", ()))),
            closed_reason=f.get("closed_reason"),
            endpoint=_endpoint(f["endpoint"]) if "endpoint" in f else None,
            certificates=tuple(map(_certificate, f.get("certificates", ()))),
            accepts=frozenset(map(Standing, f["accepts"])) if "accepts" in f else None,
            tolerate_sha1=f.get("tolerate_sha1", False),
            tolerate_rsa_1024=f.get("tolerate_rsa_1024", False),
            hidden=f.get("hidden", False),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise DirectoryInvalid(f"A stored agency cannot be read ({type(e).__name__}): {body[:80]!r}.") from e


def folded(agency: Agency) -> str:
    """What a stored agency is searched by: its name and all its codes, folded."""
    return fold(" ".join((agency.name, *agency.codes)))


def _endpoint_fields(endpoint: Endpoint) -> dict[str, str]:
    fields = {
        "channel": endpoint.channel,
        "url": endpoint.url,
        "credential": endpoint.credential,
        "system": endpoint.system,
    }
    return {key: value for key, value in fields.items() if value is not None}


def _endpoint(fields: dict[str, str]) -> Endpoint:
    return Endpoint(
        channel=Channel(fields["channel"]),
        url=fields.get("url"),
        credential=fields.get("credential"),
        system=fields.get("system"),
    )


def _certificate_fields(certificate: RegisteredCertificate) -> dict[str, str]:
    fields = {
        "pem": certificate.pem,
        "sha256": certificate.sha256,
        "role": certificate.role,
        "holder": certificate.holder,
        "valid_from": None if certificate.valid_from is None else certificate.valid_from.isoformat(),
        "valid_to": None if certificate.valid_to is None else certificate.valid_to.isoformat(),
    }
    return {key: value for key, value in fields.items() if value is not None}


def _certificate(fields: dict[str, str]) -> RegisteredCertificate:
    return RegisteredCertificate(
        pem=fields["pem"],
        sha256=fields["sha256"],
        role=fields["role"],
        holder=fields.get("holder"),
        valid_from=datetime.fromisoformat(fields["valid_from"]) if "valid_from" in fields else None,
        valid_to=datetime.fromisoformat(fields["valid_to"]) if "valid_to" in fields else None,
    )
