"""A reader of files in a process of its own, which a hostile file may crash or stall and nothing else."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from gateway.errors import FileReaderUnavailable
from gateway.model import FileStanding, FileVerdict
from gateway.signing.files import frames
from gateway.signing.files.formats import Format, recognise
from gateway.signing.files.limits import FileLimits
from gateway.signing.files.policy import FilePolicy, RegisteredSigner
from gateway.signing.files.questions import question_to_json, registered_to_json, trust_to_json
from gateway.signing.files.reasons import FileReason
from gateway.signing.files.wire import from_json
from gateway.signing.trust import TrustAnchors

_ANSWER_MAX = 32 * 1024 * 1024
"""Bytes; a broken reader must not fill our memory."""
_START_SECONDS = 60.0
"""For the libraries to be loaded, a second on an idle machine, and for the facts of revocation to be told."""
_ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SYSTEMROOT")
"""All that a reader sees of our environment, which may hold secrets. Names that begin with COV_ or COVERAGE_ too."""


class Inspector:
    """
    Judges attached files one after another in a process that it starts, bounds, kills and starts anew.

    Safe to use from many threads, one file at a time; for more at a time make several. The process is started with
    the first file. Use it as a context manager, or call :meth:`close`.
    """

    def __init__(self, limits: FileLimits | None = None) -> None:
        self.limits = limits or FileLimits()
        self._lock = threading.Lock()
        self._reader: _Reader | None = None

    def __enter__(self) -> Inspector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process; waits for the file that is being judged."""
        with self._lock:
            self._end()

    @property
    def process_id(self) -> int | None:
        """Of the process that reads; ``None`` while there is none."""
        reader = self._reader
        return reader.process.pid if reader else None

    def inspect(
        self,
        path: Path,
        *,
        content_id: str,
        name: str,
        registered: Sequence[RegisteredSigner],
        anchors: TrustAnchors,
        at: datetime,
        policy: FilePolicy | None = None,
    ) -> tuple[FileVerdict, ...]:
        """
        Judge one attached file, as ``judge.inspect_file`` does.

        A file that makes its reader crash (twice, for a reader may end for another reason) or stall, or for which the
        bounds are too narrow, is ``unreadable``; the next file has a new reader.

        :raises FileReaderUnavailable: no reader could be started. Nothing is known of the file; try again later.
        :raises OSError: the file cannot be opened.
        """
        with path.open("rb") as source:
            form = recognise(source)
        question = question_to_json(path, content_id=content_id, name=name, policy=policy or FilePolicy(), at=at)
        known = tuple(registered)
        with self._lock:
            answer = self._ask(question, anchors, known)
            if answer is FileReason.READER_CRASHED:
                answer = self._ask(question, anchors, known)
        if not isinstance(answer, FileReason):
            return answer
        return (
            FileVerdict(
                content_id=content_id,
                name=name,
                format=Format.OTHER.value if form is Format.CMS else form.value,
                standing=FileStanding.UNREADABLE,
                reason=answer,
                judged_at=at,
            ),
        )

    def _ask(
        self, question: dict[str, Any], anchors: TrustAnchors, registered: tuple[RegisteredSigner, ...]
    ) -> tuple[FileVerdict, ...] | FileReason:
        """
        The verdicts, or why there are none; a reader that failed is gone afterwards.

        :raises FileReaderUnavailable: there is no reader, or it does not learn whom to trust.
        """
        # One that ended while it had nothing to do is replaced; a new one that does not listen is not.
        reader = self._told(anchors, registered) or self._told(anchors, registered)
        if reader is None:
            raise FileReaderUnavailable
        answer = reader.ask(question)
        if isinstance(answer, FileReason):
            self._end()
        return answer

    def _told(self, anchors: TrustAnchors, registered: tuple[RegisteredSigner, ...]) -> _Reader | None:
        """A reader that knows whom to trust; ``None`` when it did not take it in, and is gone."""
        if self._reader is None or self._reader.is_old:
            self._end()
            self._reader = _Reader(self.limits)
        if self._reader.tell(anchors) and self._reader.tell_registered(registered):
            return self._reader
        self._end()
        return None

    def _end(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.end()


class _Reader:
    """One process, until it fails or has read enough."""

    def __init__(self, limits: FileLimits) -> None:
        """:raises FileReaderUnavailable: it does not start."""
        self._limits = limits
        self._files = 0
        self._trusts: tuple[TrustAnchors, int] | None = None
        self._registered: tuple[RegisteredSigner, ...] = ()
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "gateway.signing.files.child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={k: v for k, v in os.environ.items() if k in _ENVIRONMENT or k.startswith(("COV_", "COVERAGE_"))},
                start_new_session=True,
            )
        except OSError as e:
            raise FileReaderUnavailable from e
        ready = self._exchange({"limits": asdict(limits)}, seconds=_START_SECONDS)
        if ready != {"ready": True}:
            self.end()
            raise FileReaderUnavailable

    @property
    def is_old(self) -> bool:
        """Whether it has read as many files as one process should."""
        return self._files >= self._limits.files_per_reader

    def tell(self, anchors: TrustAnchors) -> bool:
        """Whether the process knows whom to trust now; it is of no use when it does not."""
        # The object itself counts too: another one may have the same version.
        trusts = (anchors, anchors.facts.version)
        if self._trusts is None or self._trusts[0] is not anchors or self._trusts[1] != trusts[1]:
            self._trusts = trusts
            return self._exchange({"trust": trust_to_json(anchors)}, seconds=_START_SECONDS) == {"trusts": True}
        return True

    def tell_registered(self, registered: tuple[RegisteredSigner, ...]) -> bool:
        """Whether the process knows whose certificates are registered; it is of no use when it does not."""
        if registered == self._registered:
            return True
        self._registered = registered
        told = {"registered": registered_to_json(registered)}
        return self._exchange(told, seconds=_START_SECONDS) == {"trusts": True}

    def ask(self, question: dict[str, Any]) -> tuple[FileVerdict, ...] | FileReason:
        """The verdicts on one file, or why there are none; the process is of no use then."""
        self._files += 1
        answer = self._exchange({"file": question}, seconds=self._limits.seconds)
        if isinstance(answer, FileReason):
            return answer
        try:
            if "failed" in answer:
                return FileReason(answer["failed"])
            return tuple(from_json(v) for v in answer["verdicts"])
        except (KeyError, TypeError, ValueError):
            return FileReason.READER_CRASHED

    def _exchange(self, message: dict[str, Any], *, seconds: float) -> dict[str, Any] | FileReason:
        """Say something and wait for the answer; killed when that takes longer than allowed."""
        stalled = threading.Event()

        def kill() -> None:
            stalled.set()
            self.process.kill()

        timer = threading.Timer(seconds, kill)
        timer.start()
        try:
            frames.write(self._pipe(self.process.stdin), message)
            answer = frames.read(self._pipe(self.process.stdout), largest=_ANSWER_MAX)
        except (OSError, ValueError):
            answer = None
        finally:
            timer.cancel()
        if answer is not None:
            return answer
        return FileReason.READER_STALLED if stalled.is_set() else FileReason.READER_CRASHED

    @staticmethod
    def _pipe(stream: Any) -> BinaryIO:
        assert stream is not None  # asked for when the process was started
        pipe: BinaryIO = stream
        return pipe

    def end(self) -> None:
        """Kill it and wait for that; it holds nothing worth keeping."""
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                self._pipe(pipe).close()
        self.process.wait()
