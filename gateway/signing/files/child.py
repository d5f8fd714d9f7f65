"""
The process that reads strangers' files: ``python -m gateway.signing.files.child``, started by the Inspector.

It is given files to judge on its standard input and answers on its standard output, until there is no
more input. It bounds itself before the first file; that it takes too long is its parent's to see.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from dataclasses import fields
from pathlib import Path
from typing import BinaryIO

from gateway.signing.files import frames
from gateway.signing.files.judge import inspect_file
from gateway.signing.files.limits import FileLimits
from gateway.signing.files.policy import RegisteredSigner
from gateway.signing.files.questions import question_from_json, registered_from_json, trust_from_json
from gateway.signing.files.reasons import FileReason
from gateway.signing.files.wire import to_json
from gateway.signing.trust import TrustAnchors

_QUESTION_MAX = 2**31
"""Bytes; our own parent asks, and CRLs are large."""
_FILES_MAX = 64
_STATM = Path("/proc/self/statm").exists()


def main() -> None:
    """Answer until the parent closes our input, or a file was too large for us."""
    questions, answers = _streams()
    limits = _limits(frames.read(questions, largest=_QUESTION_MAX) or {})
    _bound(limits)
    frames.write(answers, {"ready": True})
    _serve(questions, answers, limits)


def _serve(questions: BinaryIO, answers: BinaryIO, limits: FileLimits) -> None:
    anchors = TrustAnchors()
    registered: tuple[RegisteredSigner, ...] = ()
    while (message := frames.read(questions, largest=_QUESTION_MAX)) is not None:
        if "trust" in message or "registered" in message:
            anchors = trust_from_json(message["trust"]) if "trust" in message else anchors
            registered = registered_from_json(message["registered"]) if "registered" in message else registered
            _bound(limits)
            frames.write(answers, {"trusts": True})
            continue
        # When the parent has died and a file stalls us, nobody kills us but this.
        _end_after(2 * int(limits.seconds) + 10)
        try:
            question = question_from_json(message["file"])
            verdicts = inspect_file(anchors=anchors, registered=registered, limits=limits, **question)
        except MemoryError:
            gc.collect()
            frames.write(answers, {"failed": FileReason.TOO_LARGE.value})
            return
        _end_after(0)
        frames.write(answers, {"verdicts": [to_json(v) for v in verdicts]})


def _streams() -> tuple[BinaryIO, BinaryIO]:
    """Our two pipes; whatever a library prints goes elsewhere."""
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return sys.stdin.buffer, answers


def _limits(message: dict[str, object]) -> FileLimits:
    given = message["limits"]
    assert isinstance(given, dict)  # our own parent wrote it
    return FileLimits(**{f.name: given[f.name] for f in fields(FileLimits)})


def _end_after(seconds: int) -> None:
    """End this process then, whatever it does; 0: not any more. Windows has no such alarm."""
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)


def _bound(limits: FileLimits) -> None:
    """
    Only so much memory beyond what is in use now, few open files, none written, no image of our memory left behind.

    What is known of revocation may be large, and is not the fault of the file that is read next.
    """
    try:
        import resource  # noqa: PLC0415 - Unix has it
    except ImportError:  # Windows: of all bounds only that on time is left, and our parent keeps it
        return

    at_rest = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize() if _STATM else 0
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    allowed = at_rest + limits.memory_bytes
    allowed = allowed if hard == resource.RLIM_INFINITY else min(allowed, hard)  # the operator's bound may be narrower
    resource.setrlimit(resource.RLIMIT_AS, (allowed, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES_MAX, _FILES_MAX))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


if __name__ == "__main__":
    main()
