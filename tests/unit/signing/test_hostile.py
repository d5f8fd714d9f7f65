"""No hostile package is accepted; each is refused with its own reason, quickly, and by our errors only."""

import random
import time
from pathlib import Path

import pytest
from lxml import etree

from gateway.errors import DocumentError, SignatureRejected
from tests.support import hostile, pki, signed
from tests.support.hostile import HOSTILE, Hostile


def refusal(raw: bytes, spool: Path, vector: Hostile) -> str:
    """The reason or code with which a package is refused."""
    with pytest.raises(DocumentError) as caught:
        signed.let_in(raw, spool, sender=[key() for key in vector.sender])
    error = caught.value
    return error.verdict.reason if isinstance(error, SignatureRejected) else error.code


@pytest.mark.parametrize("vector", HOSTILE, ids=lambda v: v.differs)
def test_a_hostile_package_is_refused_with_its_reason(vector: Hostile, tmp_path: Path) -> None:
    raw = vector.make()
    before = time.process_time()
    assert refusal(raw, tmp_path, vector) == vector.code
    assert time.process_time() - before < 20  # seconds of CPU; the slowest takes a thousandth of that


def test_the_good_package_is_accepted(tmp_path: Path) -> None:
    signed.let_in(hostile.good(), tmp_path)
    signed.let_in(signed.handmade(hostile.plain(), pki.agency()), tmp_path)


def test_every_hostile_package_is_another_one() -> None:
    made = {vector.differs: vector.make() for vector in HOSTILE}
    assert len(made) == len(HOSTILE) >= 100
    assert hostile.good() not in made.values()


def _meaning(raw: bytes) -> bytes:
    """The canonical form of a package without what its signature does not cover: KeyInfo and the signature's Id."""
    root = etree.fromstring(raw[raw.index(b"<") :], etree.XMLParser(resolve_entities=False, remove_comments=False))
    for element in root.iter(f"{{{signed.DS}}}KeyInfo"):
        element.getparent().remove(element)
    for element in root.iter(f"{{{signed.DS}}}SignatureValue", f"{{{signed.DS}}}DigestValue"):
        element.text = "".join((element.text or "").split())
    return etree.tostring(root, method="c14n", exclusive=True)


@pytest.mark.parametrize("seed", range(4))
def test_no_mutation_is_accepted_unless_it_means_the_same(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    good = hostile.good() if seed % 2 else signed.by_gateway(hostile.plain(), pki.agency_ec(), prefix=None)
    meaning = _meaning(good)
    accepted = 0
    for _ in range(600):
        raw = bytearray(good)
        at = rng.randrange(len(raw))
        match rng.randrange(4):
            case 0:
                raw[at] = rng.randrange(256)
            case 1:
                raw[at] ^= 1 << rng.randrange(8)
            case 2:
                del raw[at : at + rng.randrange(1, 40)]
            case 3:
                other = rng.randrange(len(raw))
                raw[at:at] = raw[other : other + rng.randrange(1, 200)]
        try:
            signed.let_in(bytes(raw), tmp_path)
        except DocumentError:
            continue
        accepted += 1
        assert _meaning(bytes(raw)) == meaning
    assert accepted < 60  # mutations of blanks inside tags, of the prolog and of KeyInfo
