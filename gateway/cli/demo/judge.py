"""What is missing at the end: nothing, or a list of sentences that name it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.cli.demo.mail import DONE, Dispatch
from gateway.cli.demo.systems import Got
from gateway.cli.demo.watch import same_agency
from gateway.cli.words import Text
from gateway.directory import Directory
from gateway.ledger.records import DeliveryRow, LogRow
from gateway.model import DeliveryState, PackageKind


@dataclass(frozen=True, kw_only=True)
class Line:
    """One copy of one document, as its sender sees it."""

    dispatch: Dispatch
    delivery: DeliveryRow
    returned: tuple[str, ...]
    """Status codes that reached the sender's system, in order."""
    expected: tuple[str, ...]


def lines(
    dispatches: Iterable[Dispatch], deliveries: Mapping[str, Sequence[DeliveryRow]], got: Sequence[Got], who: Directory
) -> list[Line]:
    """
    The copies of all accepted packages.

    :param deliveries: by the gateway's id of the document, at the gateway where it was posted.
    """
    return [
        Line(
            dispatch=dispatch,
            delivery=delivery,
            returned=tuple(sorted(_returned(dispatch, delivery, got, who))),
            expected=_expected(dispatch, delivery),
        )
        for dispatch in dispatches
        for delivery in deliveries.get(dispatch.posted_id or "", ())
    ]


def _expected(dispatch: Dispatch, delivery: DeliveryRow) -> tuple[str, ...]:
    if dispatch.is_status:
        return ()
    return DONE if dispatch.is_sample else dispatch.expected.get(delivery.as_written, DONE)


def _returned(dispatch: Dispatch, delivery: DeliveryRow, got: Sequence[Got], who: Directory) -> set[str]:
    if dispatch.is_status:
        return set()
    return {
        g.status
        for g in got
        if g.status is not None
        and g.holder == dispatch.by
        and g.document_id == dispatch.document_id
        and (same_agency(who, g.sender, delivery.as_written) or same_agency(who, g.sender, delivery.recipient))
    }


def missing(
    dispatches: Sequence[Dispatch],
    table: Sequence[Line],
    unfinished: Sequence[tuple[str, LogRow]],
    got: Sequence[Got],
    name: Mapping[str, str],
) -> list[Text]:
    """
    Everything that is not as it must be.

    :param unfinished: deliveries without an end, with the name of their gateway.
    :param name: titles of the gateways.
    """
    return [
        *_not_posted(dispatches, table),
        *_not_returned(table),
        *(
            Text(
                f"{name[gateway]}: {_called(row)} chưa tới {row.delivery.recipient} ({row.delivery.state.value}"
                f"{', ' + row.delivery.error_code if row.delivery.error_code else ''})",
                f"{name[gateway]}: {_called(row)} has not reached {row.delivery.recipient} ({row.delivery.state.value}"
                f"{', ' + row.delivery.error_code if row.delivery.error_code else ''})",
            )
            for gateway, row in unfinished
        ),
        *_changed(dispatches, got),
    ]


def standing(
    dispatches: Sequence[Dispatch],
    table: Sequence[Line],
    unfinished: Sequence[tuple[str, LogRow]],
    got: Sequence[Got],
) -> object:
    """
    Where everything is, to be compared with what it was before: different means that something has moved.

    A failed try, or the next one, moves nothing.
    """
    return (
        [(dispatch.posted_id, dispatch.refused_with) for dispatch in dispatches],
        [(line.delivery.id, _settled(line.delivery.state), line.returned) for line in table],
        {(gateway, row.delivery.id, _settled(row.delivery.state)) for gateway, row in unfinished},
        len(got),
    )


def _settled(state: DeliveryState) -> DeliveryState:
    return DeliveryState.WAITING if state is DeliveryState.LEASED else state


def _called(row: LogRow) -> str:
    document = row.document
    number = "/".join(filter(None, (document.number, document.notation)))
    return number or f"{document.kind.value} {document.id}"


def _not_posted(dispatches: Sequence[Dispatch], table: Sequence[Line]) -> Iterator[Text]:
    for dispatch in dispatches:
        if dispatch.refusal is not None:
            if dispatch.refused_with != dispatch.refusal:
                found = dispatch.refused_with or ("accepted" if dispatch.posted_id else "not posted")
                yield Text(
                    f"{dispatch.name}: phải bị từ chối với {dispatch.refusal}, nhưng: {found}",
                    f"{dispatch.name}: had to be refused with {dispatch.refusal}, but: {found}",
                )
            continue
        if dispatch.posted_id is None:
            why = dispatch.refused_with or "not posted"
            yield Text(f"{dispatch.name}: chưa được tiếp nhận ({why})", f"{dispatch.name}: not accepted ({why})")
            continue
        there = {line.delivery.as_written for line in table if line.dispatch is dispatch}
        for code in dispatch.expected.keys() - there:
            yield Text(f"{dispatch.name}: không có lượt chuyển tới {code}", f"{dispatch.name}: no delivery to {code}")


def _not_returned(table: Sequence[Line]) -> Iterator[Text]:
    for line in table:
        absent = [code for code in line.expected if code not in line.returned]
        to = line.delivery.as_written
        if absent:
            codes = ", ".join(absent)
            yield Text(
                f"{line.dispatch.name}: nơi gửi chưa nhận trạng thái {codes} của {to}",
                f"{line.dispatch.name}: status {codes} of {to} is not back at the sender",
            )
        wanted = DeliveryState.REFUSED if line.expected == ("02",) else DeliveryState.DELIVERED
        if line.delivery.state is not wanted:
            state = line.delivery.state.value
            yield Text(
                f"{line.dispatch.name}: lượt chuyển tới {to} đang là {state}, phải là {wanted.value}",
                f"{line.dispatch.name}: the delivery to {to} is {state}, must be {wanted.value}",
            )


def _changed(dispatches: Sequence[Dispatch], got: Sequence[Got]) -> Iterator[Text]:
    """Files that arrived other than they were sent."""
    sent: dict[str, set[frozenset[str]]] = {}
    for dispatch in dispatches:
        if dispatch.document_id and not dispatch.is_status:
            sent.setdefault(dispatch.document_id, set()).add(dispatch.contents)
    for item in got:
        known = sent.get(item.document_id or "")
        if item.kind is PackageKind.DOCUMENT and known is not None and item.files not in known:
            yield Text(
                f"{item.document_id}: tệp mà {item.holder} nhận khác tệp đã gửi",
                f"{item.document_id}: the files at {item.holder} are not those that were sent",
            )
