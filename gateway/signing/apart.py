"""
Preparing a stranger's PDF in a process of its own, which can be ended.

A PDF can be made so that a reader runs for hours or takes all memory. The process that prepares it has bounds on both,
and what becomes of it is a refusal of that file. It is forked from a server that has the libraries loaded, so it costs
a fraction of a second; never from the gateway itself, whose threads and connections it must not have.
"""

from __future__ import annotations

import errno
import json
import math
import multiprocessing
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.errors import FileNotSignable, GatewayError, SigningBusy, StorageFull, every_error
from gateway.signing.pdf_sign import PdfSignOptions
from gateway.signing.prepare import Prepared, prepare_pdf

_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
_LOADED_BEFORE = ("__main__", "gateway.signing.prepare")
_LONGEST_ANSWER = 1024 * 1024
"""Hashes, numbers and certificates, never the document."""
_LAST_BREATH = timedelta(seconds=10)
"""Between the end of what a process says and its own end."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What the preparation of one file may take."""

    time: timedelta = timedelta(seconds=20)
    """Of computing, where the system counts it."""
    patience: timedelta = timedelta(seconds=60)
    """How long it is waited for: longer, because a machine has other work too."""
    memory_bytes: int = 1536 * 1024 * 1024
    """Of address space, libraries included."""
    at_once: int = 2
    """Files; others wait for as long as one may compute."""


@dataclass(frozen=True, kw_only=True)
class _Work:
    """One file, as it is sent to the process apart."""

    source: Path
    out: Path
    certificates: list[bytes]
    """DER; the signer's first."""
    options: PdfSignOptions
    at: datetime
    seconds: float
    memory_bytes: int


class PreparedApart:
    """Prepares PDFs in processes of their own; safe for several threads."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self._places = threading.BoundedSemaphore(self._bounds.at_once)
        # Typed as Any: the two kinds of context have no class in common that knows both methods.
        self._context: Any = multiprocessing.get_context(_METHOD)

    def prepare(
        self,
        source: Path,
        out: Path,
        *,
        certificate: x509.Certificate,
        chain: Sequence[x509.Certificate],
        options: PdfSignOptions,
        at: datetime,
    ) -> Prepared:
        """
        As :func:`gateway.signing.prepare.prepare_pdf`.

        :raises FileNotSignable: also when it takes too long, too much memory, or the process dies of it.
        :raises StorageFull: there is no room for what is prepared.
        :raises SigningBusy: others have taken all places, or the whole machine, for too long.
        """
        if not self._places.acquire(timeout=self._bounds.time.total_seconds()):
            raise SigningBusy("Other files are being prepared.")
        try:
            certificates = [c.public_bytes(Encoding.DER) for c in (certificate, *chain)]
            work = _Work(
                source=source,
                out=out,
                certificates=certificates,
                options=options,
                at=at,
                seconds=self._bounds.time.total_seconds(),
                memory_bytes=self._bounds.memory_bytes,
            )
            return Prepared.from_state(self._run(work))
        finally:
            self._places.release()

    def _run(self, work: _Work) -> bytes:
        if _METHOD == "forkserver":
            self._context.set_forkserver_preload(list(_LOADED_BEFORE))
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_prepare, args=(theirs, work), daemon=True, name="prepare-pdf")
        process.start()
        theirs.close()
        try:
            if not ours.poll(self._bounds.patience.total_seconds()):
                raise SigningBusy("The machine has no time to read the PDF.")
            # Never unpickled: whoever took that process over by a PDF would be here with the next step.
            answer = json.loads(ours.recv_bytes(_LONGEST_ANSWER))
            error, state = answer["error"], answer["state"]
        except (EOFError, OSError, ValueError, KeyError, TypeError) as e:
            process.join(_LAST_BREATH.total_seconds())
            end = "takes too long to read" if process.exitcode == -_TOOK_TOO_LONG else "makes its reader die"
            raise FileNotSignable(f"The PDF {end}.") from e
        finally:
            process.kill()
            process.join()
            ours.close()
        if error is not None:
            raise _error(*error)
        return str(state).encode()


def _prepare(answer: Connection, work: _Work) -> None:
    """In the process apart: one file, then the end."""
    _bound(work.seconds, work.memory_bytes)
    certificate, *chain = map(x509.load_der_x509_certificate, work.certificates)
    try:
        prepared = prepare_pdf(
            work.source, work.out, certificate=certificate, chain=chain, options=work.options, at=work.at
        )
    except GatewayError as e:
        _tell(answer, error=(e.code, e.detail))
    except OSError as e:
        if e.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise  # a PDF that sends its reader to impossible places; that it died of it is what is answered
        _tell(answer, error=(StorageFull.code, "There is no room for the prepared file."))
    except MemoryError:
        _tell(answer, error=(FileNotSignable.code, "The PDF takes too much memory to read."))
    else:
        _tell(answer, state=prepared.state.decode())


def _tell(answer: Connection, *, error: tuple[str, str] | None = None, state: str | None = None) -> None:
    answer.send_bytes(json.dumps({"error": error, "state": state}).encode())


def _error(code: str, detail: str) -> GatewayError:
    """The error that the other process met, by its code: a class is not sent, so that nothing else can be."""
    kind = next((e for e in every_error(FileNotSignable) if e.code == code), None)
    kind = kind or next(e for e in every_error() if e.code == code)
    return kind(detail)


if sys.platform == "win32":
    _TOOK_TOO_LONG = 0

    def _bound(seconds: float, memory_bytes: int) -> None:
        """Windows has no such bounds for a process by itself; the one on waiting holds."""
        del seconds, memory_bytes

else:
    import resource

    _TOOK_TOO_LONG = signal.SIGXCPU

    def _bound(seconds: float, memory_bytes: int) -> None:
        counted = math.ceil(time.process_time() + seconds)  # what was loaded before counts too
        resource.setrlimit(resource.RLIMIT_CPU, (counted, counted + 1))
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        # A crash is told by the end of the process; a dump of a stranger's document would stay on the disk.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
