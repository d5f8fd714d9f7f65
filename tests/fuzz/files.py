"""Attached files, judged in this process so that the fuzzer sees the code: ``python -m tests.fuzz.files``."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["gateway", "pyhanko", "asn1crypto"]):
    from tests.support import pdfs

_ORIGINALS = (pdfs.by_person(), pdfs.issued(), pdfs.updated(pdfs.by_person(), pdfs.annotation()), pdfs.plain())


def one(data: bytes) -> None:
    """A PDF with a piece exchanged, or anything at all; whatever comes must be a verdict."""
    chosen = atheris.FuzzedDataProvider(data)
    if chosen.ConsumeBool():
        content = chosen.ConsumeBytes(4_000)
    else:
        original = chosen.PickValueInList(list(_ORIGINALS))
        at = chosen.ConsumeIntInRange(0, len(original))
        length = chosen.ConsumeIntInRange(0, 400)
        content = original[:at] + chosen.ConsumeBytes(400) + original[at + length :]
    assert pdfs.judged(content), "no verdict"


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
