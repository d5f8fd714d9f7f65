"""Packages, read as a tree and as a stream, and judged: ``python -m tests.fuzz.packages``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["gateway"]):
    from gateway.errors import DocumentError
    from gateway.model import Standing
    from gateway.signing.verify import judge
    from tests.support import documents, pki, signed

_SPOOL = Path(tempfile.mkdtemp())
_GOOD = signed.by_gateway(documents.a_package(), pki.agency_ec())


def one(data: bytes) -> None:
    """A good package with a piece exchanged: place, length and the new bytes are the fuzzer's."""
    chosen = atheris.FuzzedDataProvider(data)
    at = chosen.ConsumeIntInRange(0, len(_GOOD))
    length = chosen.ConsumeIntInRange(0, 200)
    limits = {"stream_above": 0} if chosen.ConsumeBool() else {}
    raw = _GOOD[:at] + chosen.ConsumeBytes(400) + _GOOD[at + length :]
    try:
        with documents.read(raw, _SPOOL, **limits) as package:
            verdict = judge(
                package,
                sender=signed.certificates(pki.agency(), pki.agency_ec()),
                gateway=(),
                policy=signed.TOLERANT,
                anchors=pki.anchors(),
                at=pki.NOW,
            )
            envelope = package.envelope
    except DocumentError:
        return
    if verdict.standing in (Standing.VALID, Standing.VALID_WEAK):
        with documents.read(_GOOD, _SPOOL) as meant:
            assert envelope == meant.envelope, "altered and valid"


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
