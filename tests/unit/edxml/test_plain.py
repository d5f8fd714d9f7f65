"""The glance that spares plain packages the guard's pass: whatever it lets by, the guard would have let by."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from gateway.edxml import Limits
from gateway.edxml.parser import Guard, Tree, parse_plain, pieces, plain_tags, read_prolog
from gateway.errors import DocumentError, PackageLimitExceeded
from tests.support import hostile, pki, signed
from tests.support.documents import a_package, read

VECTORS = Path(__file__).parents[2] / "vectors"
LIMITS = Limits()


def glance(raw: bytes, limits: Limits = LIMITS) -> Tree | None:
    """The tree of a package that needs no guard."""
    return None if plain_tags(raw, limits) is None else parse_plain(raw, limits)


def guard_refuses(raw: bytes, limits: Limits = LIMITS) -> bool:
    """Whether the guard finds anything, a comment included."""
    try:
        guard = Guard(limits, read_prolog(raw))
        guard.feed(pieces(raw))
    except DocumentError:
        return True
    return guard.comments


def everything() -> list[bytes]:
    """All vectors, good and bad, from files and made."""
    made = [vector.make() for vector in hostile.HOSTILE]
    return [path.read_bytes() for path in sorted(VECTORS.glob("*/*.xml"))] + made


def test_the_guard_would_find_nothing_in_any_vector_that_is_plain() -> None:
    plain = [raw for raw in everything() if glance(raw) is not None]
    assert len(plain) > 100
    assert not [raw for raw in plain if guard_refuses(raw)]


INSERTED = (
    b"<", b">", b"&", b"&amp;", b"&x;", b"&#0;", b"\x00", b"\x0b", b"\x7f", b"\x80", b"\xff", b"\xef\xbf\xbe",
    b"\xef\xbf\xbf", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"]]>", b"<!---->", b"<![CDATA[<]]>",
    b"<?a b?>", b"<!DOCTYPE a>", b"<!ENTITY a 'b'>", b"<a>", b"</a>", b"<a/>", b"<a b='>'/>", b"<a b=''b=''/>",
    b"<a b='' b=''/>", b"<1/>", b"<a:b/>", b"<:a/>", b"<a:b:c/>", b"<a a:=''/>", b"<a b=c/>", b"<a b='<'/>",
    b"</edXML>", b" ", b"\r", "<é/>".encode(), b"<xml:a/>", b"<?xml version='1.0'?>", b"\xef\xbb\xbf", b"<a\x00/>",
    b"<a\x85/>", b"<a xmlns:a=''/>", b"<a xmlns:xml='urn:a'/>", b"<a xmlns:xmlns='urn:a'/>",
    b"<a xmlns='http://www.w3.org/2000/xmlns/'/>",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
def test_nor_in_any_mutation_that_is_plain_and_that_lxml_takes(seed: int) -> None:
    rng = random.Random(seed)
    good = signed.by_gateway(a_package(contents={"main": b"%PDF-1.4 short"}), pki.agency())
    passed = 0
    for _ in range(700):
        raw = bytearray(good)
        for _ in range(rng.choice((1, 1, 2))):
            at = rng.randrange(len(raw))
            if rng.random() < 0.5:
                raw[at:at] = rng.choice(INSERTED)
            elif rng.random() < 0.5:
                del raw[at : at + rng.choice((1, 3, 40))]
            else:
                raw[at] = rng.randrange(256)
        if glance(bytes(raw)) is not None:
            passed += 1
            assert not guard_refuses(bytes(raw)), bytes(raw)
    assert passed > 50


@pytest.mark.parametrize("piece", INSERTED, ids=repr)
@pytest.mark.parametrize("within", ["text", "tag", "prolog", "epilog"])
def test_nor_in_a_document_with_any_one_odd_piece(piece: bytes, within: str) -> None:
    raw = {
        "text": b"<edXML>a%bb</edXML>",
        "tag": b"<edXML><a%b></a></edXML>",
        "prolog": b"%b<edXML></edXML>",
        "epilog": b"<edXML></edXML>%b",
    }[within] % piece
    assert glance(raw) is None or not guard_refuses(raw)


@pytest.mark.parametrize(
    "declaration",
    [
        b'<?xml version="1.1"?>', b"<?xml version='1.0' encoding='UTF-8'?>", b'<?xml version="1.0" encoding="latin1"?>',
        b'<?xml version="1.0" encoding="UTF-16"?>', b'<?xml version="1.0"?><?xml version="1.0"?>', b"<?xml ?>",
        b'<?xml version="1.0" encoding="UTF-8" standalone="maybe"?>', b'<?XML version="1.0"?>', b"junk",
    ],
)  # fmt: skip
def test_unusual_declarations_are_left_to_the_guard(declaration: bytes) -> None:
    assert glance(declaration + b"<edXML></edXML>") is None


@pytest.mark.parametrize(
    "limits",
    [
        Limits(elements=10),
        Limits(depth=3),
        Limits(name_bytes=12),
        Limits(attributes_per_element=0),
        Limits(tag_bytes=20),
    ],
    ids=["elements", "depth", "name", "attributes", "tag"],
)
def test_every_limit_holds_for_plain_packages(limits: Limits, tmp_path: Path) -> None:
    raw = a_package()
    assert glance(raw) is not None
    assert glance(raw, limits) is None
    with pytest.raises(PackageLimitExceeded):
        read(raw, tmp_path, **vars(limits))


@pytest.mark.parametrize(("count", "plain"), [(LIMITS.depth, True), (LIMITS.depth + 1, False)])
def test_depth_is_counted_as_the_guard_counts_it(count: int, plain: bool) -> None:
    raw = b"<a>" * count + b"</a>" * count
    assert (glance(raw) is not None) is plain is not guard_refuses(raw)


def test_a_plain_tag_cannot_hold_too_many_attributes() -> None:
    attributes = 0
    while plain_tags(b"<a" + b"".join(b' %c=""' % (65 + i) for i in range(attributes)) + b"></a>", LIMITS):
        attributes += 1
    assert 40 < attributes <= LIMITS.attributes_per_element


@pytest.mark.parametrize("unit", [b"<", b"<a", b"<a>", b'<a b="', b"<?xml", b">", b"<a>>", b"<" + b"a" * 255])
def test_nothing_holds_the_glance_up(unit: bytes) -> None:
    before = time.process_time()
    assert glance(unit * (LIMITS.stream_above // len(unit))) is None
    assert time.process_time() - before < 10  # seconds of CPU; the slowest takes a thousandth of that
