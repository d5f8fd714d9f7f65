"""The event log's chain: its hashes are those that the standard names, and a proof holds for one event only."""

import contextlib
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.errors import LogProofInvalid
from gateway.evidence.chain import (
    NOTHING,
    EventProof,
    canonical,
    check_proof,
    digest_of,
    link,
    links_of,
    merkle_path,
    merkle_root,
    prove,
    read_header,
    read_statement,
    root_from,
    seal,
    spelled,
    state,
)
from gateway.model import LogBatch, LogEvent

NOON = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)


def an_event(number: int = 1, **changes: Any) -> LogEvent:
    event = LogEvent(
        id=number,
        at="2026-11-22T05:00:00.000000Z",
        action="document.accepted",
        document="0195f0d2-7a51-7000-8000-000000000001",
        delivery=None,
        actor="H37.21",
        data='{"size":20480,"lane":"hoả tốc"}',
    )
    return replace(event, **changes)


def batches(*sizes: int, gap: int = 1) -> list[LogBatch]:
    """Batches in a row with so many events each."""
    made: list[LogBatch] = []
    number = 0
    for size in sizes:
        events = [an_event(number + gap * (n + 1)) for n in range(size)]
        number = events[-1].id
        made.append(seal(events, after=made[-1] if made else None, gateway="H37", now=NOON))
    return made


def rfc6962_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 §2.1, word for word."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + rfc6962_root(leaves[:split]) + rfc6962_root(leaves[split:])).digest()


def test_the_known_roots_of_certificate_transparency_are_met() -> None:
    # The leaves and roots of certificate-transparency's own reference tests (merkle_tree_test.cc).
    leaves = [
        bytes.fromhex(leaf)
        for leaf in (
            "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"
        )
    ]  # fmt: skip
    roots = {
        1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    }
    assert {size: merkle_root(leaves[:size]).hex() for size in roots} == roots


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 7, 8, 9, 31, 32, 33, 100])
def test_every_leaf_is_proved_and_no_other_place_is(size: int) -> None:
    leaves = [bytes([n]) * 32 for n in range(size)]
    root = merkle_root(leaves)
    assert root == rfc6962_root(leaves)
    for index, leaf in enumerate(leaves):
        path = merkle_path(leaves, index)
        assert root_from(leaf, index, size, path) == root
        assert len(path) <= (size - 1).bit_length()
        assert root_from(b"other" + leaf, index, size, path) != root
        if path:
            assert root_from(leaf, index, size, path[:-1]) != root
        assert root_from(leaf, index, size, (*path, NOTHING)) is None
        assert root_from(leaf, size, size, path) is None


def test_an_event_is_hashed_as_json_with_its_data_to_the_letter() -> None:
    event = an_event(7)
    text = canonical(event)
    assert json.loads(text) == {
        "id": 7,
        "at": "2026-11-22T05:00:00.000000Z",
        "action": "document.accepted",
        "document": "0195f0d2-7a51-7000-8000-000000000001",
        "delivery": None,
        "actor": "H37.21",
        "data": {"size": 20480, "lane": "hoả tốc"},
    }
    assert text.endswith('"data":{"size":20480,"lane":"hoả tốc"}}'.encode())
    assert spelled(NOON) == event.at


@pytest.mark.parametrize(
    "changes",
    [
        {"id": 2},
        {"at": "2026-11-22T05:00:00.000001Z"},
        {"action": "document.refused"},
        {"document": None},
        {"document": ""},
        {"delivery": "0195f0d2-7a51-7000-8000-000000000002"},
        {"actor": "H37.22"},
        {"actor": None},
        {"data": '{"size":20480, "lane":"hoả tốc"}'},
        {"data": '{"size":20480,"lane":"hoả tốc"}}{"size":1}'},
        {"data": "{\udcff}"},
        {"data": None},
        {"action": b"document.accepted"},
    ],
    ids=str,
)
def test_no_change_of_an_event_keeps_its_hash(changes: dict[str, Any]) -> None:
    assert canonical(an_event(**changes)) != canonical(an_event())


def test_two_events_cannot_be_told_as_one_another() -> None:
    """What stands in one member cannot pass for the beginning of the next."""
    assert canonical(an_event(actor='x","data":{}')) != canonical(an_event(actor="x", data='{}","data":{}'))


def test_a_batch_names_its_events_and_the_batch_before() -> None:
    first, second = batches(3, 2)
    one, two = read_header(first.header), read_header(second.header)
    assert (one.number, one.first, one.last, one.count) == (1, 1, 3, 3)
    assert (two.number, two.first, two.last, two.count) == (2, 4, 5, 2)
    assert one.previous == one.previous_link == NOTHING.hex()
    assert two.previous == digest_of(first.header).hex() == hashlib.sha256(first.header.encode()).hexdigest()
    assert two.previous_link == one.head == links_of(first)[-1].hex()
    assert links_of(second)[0] == link(links_of(first)[-1], canonical(an_event(4)))
    assert two.root == rfc6962_root(list(links_of(second))).hex()


def a_proof(*, of: int = 5, stamped: bool = True) -> EventProof:
    """That an event, one of twelve in four batches, is in the log; three of the batches under a stamp."""
    made = batches(3, 2, 4, 3)
    batch = next(b for b in made if b.last_id >= of)
    headers = [b.header for b in made[1:]]
    stamp = replace(state(headers, after=None, gateway="H37", first=2, now=NOON), token=b"token" if stamped else None)
    return prove(an_event(of), batch, stamp=stamp, headers=headers)


@pytest.mark.parametrize("of", range(4, 13))
def test_a_proof_leads_from_the_event_to_what_is_stamped(of: int) -> None:
    proof = a_proof(of=of)
    proven = check_proof(EventProof.from_json(json.loads(json.dumps(proof.as_json()))))
    assert proven.event == an_event(of)
    assert proven.header.first <= of <= proven.header.last
    assert proof.statement is not None
    assert proven.statement == read_statement(proof.statement)
    assert proven.stamped == hashlib.sha256(proof.statement.encode()).digest()
    assert proof.token == b"token"


def test_a_proof_without_a_stamp_says_that_nobody_else_vouches() -> None:
    proof = a_proof(stamped=False)
    proven = check_proof(EventProof.from_json(proof.as_json()))
    assert proven.event == an_event(5)
    assert (proven.statement, proven.stamped, proof.token) == (None, None, None)


def test_an_event_that_was_changed_since_is_not_proved() -> None:
    first, second = batches(3, 2)
    assert check_proof(prove(an_event(4), second)).event.id == 4
    with pytest.raises(LogProofInvalid):
        check_proof(prove(an_event(4, actor="H37.22"), second))
    with pytest.raises(LogProofInvalid):
        prove(an_event(4), first)


def test_no_byte_of_a_proof_can_be_changed() -> None:
    """Either the hashes do not fit, or the token is not over this statement."""
    proof = a_proof()
    facts = proof.as_json()
    stamped = check_proof(proof).stamped
    whole = json.dumps(facts)
    for place in range(len(whole)):
        changed = whole[:place] + chr(ord(whole[place]) ^ 1) + whole[place + 1 :]
        try:
            read = json.loads(changed)
        except ValueError:
            continue  # not even JSON
        if {**read, "token": None} == {**facts, "token": None}:
            continue  # the token is judged for itself
        with contextlib.suppress(LogProofInvalid):
            assert check_proof(EventProof.from_json(read)).stamped != stamped


@pytest.mark.parametrize(
    "changes",
    [
        {"index": 3},
        {"index": -1},
        {"index": True},
        {"index": "1"},
        {"path": "00"},
        {"path": ["00"]},
        {"path": ["0" * 64] * 100},
        {"header": "{}"},
        {"header": "[]"},
        {"header": None},
        {"header": "[" * 100_000},
        {"event": '{"id":5}'},
        {"event": "x" * 2_000_000},
        {"event": "\udcff"},
        {"statement": "{}"},
        {"statement": None},
        {"header_path": []},
        {"token": "*"},
        {"previous_link": None},
    ],
    ids=lambda changes: str(changes)[:40],
)
def test_a_proof_of_another_shape_is_refused_by_name(changes: dict[str, Any]) -> None:
    with pytest.raises(LogProofInvalid) as caught:
        check_proof(EventProof.from_json({**a_proof().as_json(), **changes}))
    assert caught.value.code == "evidence.log_proof"


def test_an_event_with_a_member_twice_is_not_read_as_either() -> None:
    twice = an_event(data='{"size":1,"size":2}')
    [batch] = [seal([twice], after=None, gateway="H37", now=NOON)]
    with pytest.raises(LogProofInvalid):
        check_proof(prove(twice, batch))
