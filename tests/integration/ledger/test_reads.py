"""What is listed: filters, words without accents, cursors that stay, counts."""

from collections.abc import Callable
from typing import Any

import pytest

from gateway.errors import RequestError
from gateway.ledger import Ledger
from gateway.ledger.records import Abandoned, Delivered, Failed, Filter, NewDocument, NewStatus, Page
from gateway.model import AgencyCode, BusinessType, Channel, DeliveryState, PackageKind, StatusCode
from tests.support.ledger import (
    NOON,
    OTHER,
    RECEIVER,
    SENDER,
    a_delivery,
    a_document,
    a_status,
    a_status_package,
    at,
    claim,
    claim_one,
    report,
)

STRANGER = AgencyCode("H99")


def subjects(ledger: Ledger, **filters: Any) -> list[str | None]:
    """Of the routing log, which the documents' list must agree with."""
    rows = ledger.search(Filter(**filters)).rows
    listed = ledger.documents(Filter(**filters)).rows
    assert {r.document.id for r in rows} == {d.id for d in listed}
    return [r.document.subject for r in rows]


@pytest.mark.parametrize(
    "text",
    [
        "Đề án", "de an", "DE AN", "án đề", "so thong tin", "dong dang", "h37.14.2", "000.00.01.h37",
        "phe duyet 2026/11/22", "de\0an", "quyet dinh", "sở đề án", "07/qd-ubnd",
    ],
)  # fmt: skip
def test_words_are_found_without_accents_in_all_that_is_shown(ledger: Ledger, text: str) -> None:
    ledger.accept(a_document(subject="Phê duyệt Đề án chuyển đổi số", number="07"), [a_delivery()])
    ledger.accept(
        a_document(
            subject="Giấy mời họp",
            sender=OTHER,
            sender_name="Bộ",
            sender_as_written=OTHER,
            document_id=None,
            number="8",
            notation="GM",
            type_name="Giấy mời",
        ),
        [a_delivery(OTHER, recipient_name="Xã")],
    )
    assert subjects(ledger, text=text) == ["Phê duyệt Đề án chuyển đổi số"]


@pytest.mark.parametrize("text", ["%", "_", "\\", "' OR 1=1", "đề%án"])
def test_signs_are_searched_for_as_they_stand(ledger: Ledger, text: str) -> None:
    ledger.accept(a_document(subject="Đề án"), [a_delivery()])
    assert subjects(ledger, text=text) == []


def test_filters_narrow(ledger: Ledger) -> None:
    ledger.accept(a_document(subject="a", received_at=at(1)), [a_delivery()])
    ledger.accept(a_document(subject="b", received_at=at(2), sender=OTHER), [a_delivery(SENDER)])
    document = a_document(subject="c", received_at=at(3))
    ledger.accept(document, [a_delivery(OTHER, via=STRANGER)])
    status = a_status(document, reporter=OTHER, copy_of=(OTHER,))
    answer = report(ledger, status, subject="d", received_at=at(4))
    ledger.accept(a_document(), [])  # without deliveries: in no routing log
    assert [r.document.subject for r in ledger.search().rows] == ["c", "b", "a"]
    assert len(ledger.documents().rows) == 5
    assert subjects(ledger, agency=SENDER, until=at(4), kind=PackageKind.DOCUMENT, since=at(1)) == ["c", "b", "a"]
    assert subjects(ledger, agency=OTHER, kind=PackageKind.DOCUMENT) == ["c", "b"]
    assert subjects(ledger, sender=OTHER, kind=PackageKind.DOCUMENT) == ["b"]
    assert subjects(ledger, recipient=OTHER) == ["c"]
    assert subjects(ledger, via=STRANGER) == ["c"]
    assert subjects(ledger, since=at(2), until=at(3)) == ["b"]
    assert subjects(ledger, identity=document.identity) == ["c"]
    assert subjects(ledger, identity=document.alias) == ["c"]
    assert subjects(ledger, states=frozenset({DeliveryState.DELIVERED})) == []
    assert [d.id for d in ledger.documents(Filter(kind=PackageKind.STATUS)).rows] == [answer.document_id]
    assert subjects(ledger, agency=STRANGER) == []


def test_states_are_looked_for(ledger: Ledger) -> None:
    for subject, outcome in [("done", Delivered()), ("gone", Abandoned(code="c", detail="")), ("new", None)]:
        ledger.accept(a_document(subject=subject), [a_delivery()])
        if outcome:
            ledger.settle(claim_one(ledger), outcome, now=NOON)
    assert subjects(ledger, states=frozenset({DeliveryState.ABANDONED})) == ["gone"]
    assert set(subjects(ledger, states=frozenset({DeliveryState.WAITING, DeliveryState.DELIVERED}))) == {"done", "new"}


def test_an_agency_sees_its_own(ledger: Ledger) -> None:
    parent, child = AgencyCode("H37.14"), AgencyCode("H37.14.9")
    ledger.accept(a_document(subject="sent", received_at=at(1)), [a_delivery(OTHER)])
    ledger.accept(
        a_document(subject="handed over", sender=child, received_from=parent, received_at=at(2)), [a_delivery(OTHER)]
    )
    ledger.accept(a_document(subject="received", received_at=at(3)), [a_delivery(child, via=parent), a_delivery(OTHER)])
    seen = {
        SENDER: ["received", "sent"],
        parent: ["received", "handed over"],
        child: ["received", "handed over"],
        OTHER: ["received", "handed over", "sent"],
        STRANGER: [],
    }
    for agency, expected in seen.items():
        listed = ledger.documents(Filter(visible_to=agency)).rows
        assert [d.subject for d in listed] == expected
        assert all(ledger.may_see(d.id, agency) for d in listed)
        log = ledger.search(Filter(visible_to=agency)).rows
        assert {r.document.subject for r in log} == set(expected)
    # Of a document to several, the endpoint of one sees its own delivery only.
    assert [
        r.delivery.recipient for r in ledger.search(Filter(visible_to=child)).rows if r.document.subject == "received"
    ] == [child]
    (hidden,) = [d for d in ledger.documents().rows if d.subject == "sent"]
    assert not ledger.may_see(hidden.id, parent)
    assert not ledger.may_see("x", parent)
    both = Filter(visible_to=parent, agency=OTHER)
    assert [d.subject for d in ledger.documents(both).rows] == ["received", "handed over"]
    assert [r.document.subject for r in ledger.search(both).rows] == ["handed over"]


def test_a_status_package_is_listed_with_what_it_reports(ledger: Ledger) -> None:
    document = a_document(number="12", notation="UBND-VP")
    ledger.accept(document, [a_delivery()])
    status = a_status(document, StatusCode.DONE)
    package = report(ledger, status).document_id
    parked = report(ledger, a_status(a_document())).document_id
    found = ledger.reports([package, parked, document.id])
    assert set(found) == {package, parked}
    assert (found[package].code, found[package].document) == (StatusCode.DONE, document.id)
    assert found[package].about == "12/UBND-VP"
    assert found[parked].document is None
    assert ledger.reports([]) == {}


@pytest.mark.parametrize(
    ("identity", "alias", "about"),
    [
        ("H37.1,2026/11/22,07/QĐ-UBND", None, "07/QĐ-UBND"),
        ("~2026/11/22,07/QĐ-UBND", None, "07/QĐ-UBND"),
        ("6f9619ff-8b86-d011-b42d-00cf4fc964ff", "~2026/11/22,07/QĐ-UBND", "07/QĐ-UBND"),
        ("VPCP_12345", None, "VPCP_12345"),
        ("", None, None),
    ],
)
def test_a_document_that_is_awaited_is_called_by_the_number_in_its_names(
    ledger: Ledger, identity: str, alias: str | None, about: str | None
) -> None:
    package = report(ledger, a_status(a_document(), about_identity=identity, about_alias=alias)).document_id
    assert ledger.reports([package])[package].about == about


@pytest.mark.parametrize("text", ["12/UBND-VP", "12/ubnd-vp bao cao"])
def test_a_status_is_found_by_the_document_that_it_reports_on(ledger: Ledger, text: str) -> None:
    document = a_document(number="12", notation="UBND-VP", subject="Báo cáo tuần", document_id=None)
    for about in (document, a_document(number="13")):
        ledger.accept(about, [a_delivery()])
        status = a_status(about)
        ledger.accept(_a_bare_package(status, subject=f"on {about.number}"), [a_delivery(SENDER)], status)
    assert subjects(ledger, text=text, kind=PackageKind.STATUS) == ["on 12"]
    assert set(subjects(ledger, text=text)) == {"Báo cáo tuần", "on 12"}
    assert subjects(ledger, text=text, kind=PackageKind.DOCUMENT) == ["Báo cáo tuần"]


def test_a_status_whose_document_is_awaited_is_found_by_the_names_that_it_gives(ledger: Ledger) -> None:
    status = a_status(a_document(), about_identity="VPCP_12345", about_alias="~2026/11/22,07/QĐ-UBND")
    ledger.accept(_a_bare_package(status, subject="early"), [a_delivery(SENDER)], status)
    for text in ("07/qđ-ubnd", "07/QD", "vpcp_12345"):
        assert subjects(ledger, text=text, kind=PackageKind.STATUS) == ["early"]


def test_a_search_tells_an_agency_nothing_of_documents_that_it_cannot_see(ledger: Ledger) -> None:
    document = a_document(subject="Kế hoạch kín", received_from=SENDER)
    ledger.accept(document, [a_delivery()])
    status = a_status(document, reporter=STRANGER, copy_of=(STRANGER,))
    ledger.accept(_a_bare_package(status, subject="probe"), [a_delivery(SENDER)], status)
    assert subjects(ledger, text="ke hoach kin", visible_to=STRANGER) == []
    assert set(subjects(ledger, text="ke hoach kin")) == {"Kế hoạch kín", "probe"}


def _a_bare_package(status: NewStatus, **changes: Any) -> NewDocument:
    """As on the wire: a status has neither number nor type of its own."""
    bare = {"number": None, "notation": None, "issued_on": None, "type_name": None}
    return a_status_package(status, **(bare | changes))


Lister = Callable[..., Page[Any]]


@pytest.mark.parametrize("filters", [Filter(), Filter(agency=SENDER), Filter(visible_to=SENDER), Filter(text="phe")])
def test_pages_show_everything_once_while_new_documents_come(ledger: Ledger, filters: Filter) -> None:
    # Five share one moment, so that the cursor must also go by id.
    for n in range(12):
        deliveries = [a_delivery(), a_delivery(SENDER)]
        ledger.accept(a_document(received_at=at(n // 5), received_from=SENDER), deliveries)
    listers: list[Lister] = [ledger.search, ledger.documents]
    for lister in listers:
        expected = [_id(r) for r in lister(filters, limit=200).rows]
        seen: list[str] = []
        cursor: str | None = None
        while True:
            page = lister(filters, limit=5, cursor=cursor)
            seen += [_id(r) for r in page.rows]
            ledger.accept(a_document(received_at=at(100)), [a_delivery()])
            if page.next is None:
                break
            cursor = page.next
        assert seen == expected
        assert len(set(seen)) == len(seen)


def _id(row: Any) -> str:
    return str(row.delivery.id if hasattr(row, "delivery") else row.id)


def test_newest_come_first(ledger: Ledger) -> None:
    for n in (2, 3, 1):
        ledger.accept(a_document(subject=str(n), received_at=at(n)), [a_delivery()])
    assert subjects(ledger) == ["3", "2", "1"]
    assert [d.subject for d in ledger.documents().rows] == ["3", "2", "1"]


@pytest.mark.parametrize("limit", [0, 201])
def test_pages_are_bounded(ledger: Ledger, limit: int) -> None:
    with pytest.raises(RequestError):
        ledger.search(limit=limit)
    with pytest.raises(RequestError):
        ledger.documents(limit=limit)


def test_a_strange_cursor_is_refused(ledger: Ledger) -> None:
    with pytest.raises(RequestError):
        ledger.search(cursor="x")
    with pytest.raises(RequestError):
        ledger.documents(cursor="x")


def test_counts_are_live(ledger: Ledger) -> None:
    assert set(ledger.counts().states) == set(DeliveryState)
    assert sum(ledger.counts().states.values()) == 0
    document = a_document()
    ledger.accept(document, [a_delivery(), a_delivery(OTHER)])
    ledger.settle(claim(ledger)[0], Delivered(), now=NOON)
    report(ledger, a_status(a_document()))
    counts = ledger.counts()
    assert counts.states[DeliveryState.DELIVERED] == 1
    assert counts.states[DeliveryState.LEASED] == 1
    assert (counts.blocked, counts.parked_statuses, counts.refusals) == (0, 1, 0)
    assert sum(ledger.counts(kind=PackageKind.STATUS).states.values()) == 0
    assert sum(ledger.counts(kind=PackageKind.DOCUMENT).states.values()) == 2


def test_the_backlog_is_told_by_endpoint(ledger: Ledger) -> None:
    ledger.accept(a_document(received_at=at(1)), [a_delivery()])
    ledger.accept(a_document(received_at=at(2)), [a_delivery(), a_delivery(OTHER, channel=Channel.MAILBOX)])
    assert [(b.via, b.channel, b.waiting, b.oldest) for b in ledger.backlog()] == [
        (RECEIVER, Channel.PUSH, 2, at(1)),
        (OTHER, Channel.MAILBOX, 1, at(2)),
    ]


def test_events_are_read_in_order_and_in_parts(ledger: Ledger) -> None:
    ledger.accept(a_document(), [a_delivery()])
    ledger.settle(claim_one(ledger), Failed(code="c", detail="d", retry_at=at(1)), now=NOON)
    every = ledger.events()
    assert [e.id for e in every] == sorted(e.id for e in every)
    assert ledger.events(after=every[0].id, limit=1) == every[1:2]
    assert every[-1].data == {"attempt": 1, "code": "c", "retry_at": at(1).isoformat()}


def test_the_trace_tells_the_whole_way(ledger: Ledger) -> None:
    document = a_document()
    ledger.accept(document, [a_delivery()])
    ledger.settle(claim_one(ledger), Failed(code="c", detail="d", retry_at=at(1)), now=NOON)
    ledger.settle(claim_one(ledger, at(1)), Delivered(), now=at(1))
    report(ledger, a_status(document))
    trace = ledger.trace(document.id)
    assert trace is not None
    assert trace.document.id == document.id
    assert [a.outcome for a in trace.attempts] == ["failed", "delivered"]
    assert [a.id for a in trace.attempts] == [a.id for a in ledger.attempts(trace.deliveries[0].id)]
    assert [str(e.action) for e in trace.events] == [
        "document.accepted",
        "delivery.enqueued",
        "delivery.attempt_failed",
        "delivery.delivered",
        "status.received",
    ]


def test_the_last_report_on_one_copy_is_found_whoever_made_it(ledger: Ledger) -> None:
    document = a_document()
    mine, others = a_delivery(), a_delivery(OTHER)
    ledger.accept(document, [mine, others])
    assert ledger.last_report(document.id, mine.id) is None
    report(ledger, a_status(document, StatusCode.ARRIVED), received_at=at(1))
    report(ledger, a_status(document, StatusCode.DONE, reporter=OTHER, copy_of=(OTHER,)), received_at=at(3))
    report(ledger, a_status(document, StatusCode.PROCESSING, reported_at=at(-9)), received_at=at(2))
    last = ledger.last_report(document.id, mine.id)
    assert last is not None
    assert (last.code, last.received_at) == (StatusCode.PROCESSING, at(2))
    asked = a_status(document, StatusCode.RECALL_ASKED, reporter=SENDER, copy_of=(RECEIVER,))
    report(ledger, asked, received_at=at(4))
    last = ledger.last_report(document.id, mine.id)
    assert last is not None
    assert (last.reporter, last.code) == (SENDER, StatusCode.RECALL_ASKED)
    others_last = ledger.last_report(document.id, others.id)
    assert others_last is not None
    assert others_last.reporter == OTHER


def test_what_was_reported_before_a_replay_is_not_the_last_report(ledger: Ledger) -> None:
    document = a_document()
    copy = a_delivery()
    ledger.accept(document, [copy])
    report(ledger, a_status(document, StatusCode.REFUSED), received_at=at(1))
    ledger.replay([copy.id], reason="đã sửa", actor="operator", now=at(2))
    assert ledger.last_report(document.id, copy.id) is None
    report(ledger, a_status(document, StatusCode.REFUSED, reported_at=at(3)), received_at=at(3))
    last = ledger.last_report(document.id, copy.id)
    assert last is not None
    assert last.received_at == at(3)


@pytest.mark.parametrize("first", [{}, {"identity": "~2026/11/22,07/x", "alias": None}])
def test_the_number_of_another_document_of_the_same_sender_is_known(ledger: Ledger, first: dict[str, Any]) -> None:
    number = "~2026/11/22,07/x"
    document = a_document(**({"identity": "one", "alias": number} | first))
    assert ledger.numbered(SENDER, number, other_than="two") is None
    ledger.accept(document, [a_delivery()])
    assert ledger.numbered(SENDER, number, other_than="two") == document.id
    assert ledger.numbered(SENDER, number, other_than=document.identity) is None
    assert ledger.numbered(OTHER, number, other_than="two") is None
    assert ledger.numbered(SENDER, "~2026/11/22,08/x", other_than="two") is None


def test_an_update_under_the_number_of_a_document_is_not_another_document(ledger: Ledger) -> None:
    update = a_document(identity="one", alias="~n", business_type=BusinessType.UPDATE, revision="r")
    ledger.accept(update, [a_delivery()])
    assert ledger.numbered(SENDER, "~n", other_than="two") is None
