"""
The agencies of the catalogue that a gateway's directory has beside its own.

The operator's own agencies win: a unit that has a code of one of them *is* that agency, and nothing is taken from the
catalogue for it. At and below the gateway's own province or branch the operator's agencies are all there are: without
an endpoint of its own a unit there would be reached through an agency above it, whose mailbox would fill with
documents that were meant for somebody else.

Source: docs/decisions/0023.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from sqlalchemy import Connection, select

from gateway.directory.catalogue import may_be_one
from gateway.directory.database import STREAMED, chunks
from gateway.directory.directory import Directory
from gateway.directory.rows import from_body
from gateway.directory.tables import codes_table, units_table
from gateway.model import Agency, AgencyCode


def beside(connection: Connection, own: Directory) -> Iterator[Agency]:
    """
    The agencies of the catalogue that are put beside the operator's own, parents first.

    :param own: the operator's agencies alone.
    """
    covered = covered_units(connection, own)
    inside = {code for code, agency in covered.items() if own.is_inside(agency)}
    table = units_table
    query = select(table.c.body).where(table.c.body.is_not(None)).order_by(table.c.depth, table.c.unit)
    parents: dict[str, AgencyCode] = {}
    for (body,) in connection.execute(query, execution_options=STREAMED):
        agency = from_body(body, parents)
        if agency.code in covered:
            continue
        if agency.parent in inside or any(own.local.covers(code) for code in agency.codes):
            inside.add(agency.code)
            continue
        taken = None if agency.parent is None else covered.get(agency.parent)
        if taken is not None:
            # The operator may know the unit above by a code that it had in another province.
            agency = replace(agency, parent=taken.code if may_be_one(agency.code, taken.code) else None)
        yield agency


def covered_units(connection: Connection, own: Directory) -> dict[str, Agency]:
    """The units that are agencies of the operator's own: by the unit's primary code, the operator's agency."""
    codes = sorted({code for agency in own.agencies() for code in agency.codes})
    covered: dict[str, Agency] = {}
    for some in chunks(codes):
        query = (
            select(codes_table.c.code, units_table.c.code)
            .join(units_table, units_table.c.unit == codes_table.c.unit)
            .where(codes_table.c.code.in_(some))
        )
        for code, primary in connection.execute(query):
            agency = own.get(code)
            if agency is not None:
                covered.setdefault(primary, agency)
    return covered


def codes_of_units(connection: Connection, primaries: Sequence[str]) -> dict[str, list[AgencyCode]]:
    """Every code of some units, by their primary codes."""
    found: dict[str, list[AgencyCode]] = {}
    for some in chunks(primaries):
        query = (
            select(units_table.c.code, codes_table.c.code)
            .join(units_table, units_table.c.unit == codes_table.c.unit)
            .where(units_table.c.code.in_(some))
            .order_by(codes_table.c.code)
        )
        for primary, code in connection.execute(query):
            found.setdefault(primary, []).append(AgencyCode(code))
    return found
