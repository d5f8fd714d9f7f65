"""The process that reads files: bounded, replaced when it fails, and of one mind with the code in this one."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from gateway.errors import FileReaderUnavailable
from gateway.model import FileStanding, FileVerdict, SignerRole
from gateway.signing.files import FileLimits, FilePolicy, FileReason, Inspector, frames
from gateway.signing.files.wire import from_json, to_json
from gateway.signing.trust import RevocationFacts, RevocationMode, TrustAnchors, read_item
from tests.support import pdfs, pki


@pytest.fixture(scope="module")
def inspector() -> Iterator[Inspector]:
    with Inspector() as made:
        yield made


def inspected(inspector: Inspector, path: Path, *, anchors: TrustAnchors | None = None) -> tuple[FileVerdict, ...]:
    return inspector.inspect(
        path,
        content_id="cid-1",
        name="01.pdf",
        registered=pdfs.registered(),
        anchors=anchors or pki.anchors(),
        at=pdfs.NOW,
    )


def written(folder: Path, content: bytes) -> Path:
    path = folder / "file"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("make", [pdfs.plain, pdfs.by_person, pdfs.issued])
def test_the_process_says_what_is_said_here(inspector: Inspector, tmp_path: Path, make: Callable[[], bytes]) -> None:
    assert inspected(inspector, written(tmp_path, make())) == pdfs.judged(make())


def test_verdicts_survive_json() -> None:
    for verdict in (*pdfs.judged(pdfs.issued()), *pdfs.judged(b"%PDF-1.7")):
        assert from_json(json.loads(json.dumps(to_json(verdict)))) == verdict


@pytest.mark.parametrize("body", [b"[" * 100_000, b"{", b"\xff"], ids=["deep", "cut", "letters"])
def test_what_is_no_message_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says: the reader is given up
        frames.read(io.BytesIO(len(body).to_bytes(4, "big") + body), largest=1_000_000)
    with pytest.raises(ValueError, match="too long"):
        frames.read(io.BytesIO(len(body).to_bytes(4, "big") + body), largest=0)


def test_one_process_reads_many_files(inspector: Inspector, tmp_path: Path) -> None:
    path = written(tmp_path, pdfs.issued())
    inspected(inspector, path)
    first = inspector.process_id
    inspected(inspector, path)
    assert inspector.process_id == first is not None


def test_a_process_that_has_read_enough_is_replaced(tmp_path: Path) -> None:
    path = written(tmp_path, pdfs.plain())
    with Inspector(FileLimits(files_per_reader=1)) as inspector:
        inspected(inspector, path)
        first = inspector.process_id
        inspected(inspector, path)
        assert inspector.process_id not in (first, None)
    assert inspector.process_id is None


def test_a_process_that_was_killed_is_replaced_and_the_file_judged(inspector: Inspector, tmp_path: Path) -> None:
    path = written(tmp_path, pdfs.issued())
    inspected(inspector, path)
    assert inspector.process_id is not None
    os.kill(inspector.process_id, signal.SIGKILL)
    (verdict,) = inspected(inspector, path)
    assert verdict.standing is FileStanding.VALID


def test_a_process_that_ended_unseen_is_replaced_before_it_is_told_anything(
    inspector: Inspector, tmp_path: Path
) -> None:
    path = written(tmp_path, pdfs.issued())
    inspected(inspector, path)
    assert inspector.process_id is not None
    os.kill(inspector.process_id, signal.SIGKILL)
    others = TrustAnchors([pki.root().certificate], [pki.intermediate().certificate])
    assert inspected(inspector, path, anchors=others)[0].standing is FileStanding.VALID


def test_what_the_directory_says_of_signers_reaches_the_process(inspector: Inspector, tmp_path: Path) -> None:
    path = written(tmp_path, pdfs.by_person())
    own = pdfs.registered()[0]
    others = [replace(own, sha256=f"{number:064x}") for number in range(10_000)]
    for registered, role in (
        ([*others, own], SignerRole.PERSON),
        ([*others, replace(own, role=SignerRole.AGENCY)], SignerRole.AGENCY),
        (others, SignerRole.UNKNOWN),
    ):
        for _ in range(2):
            (verdict,) = inspector.inspect(
                path, content_id="c", name="n", registered=registered, anchors=pki.anchors(), at=pdfs.NOW,
                policy=FilePolicy(role_by_subject=False),
            )  # fmt: skip
            assert [signature.role for signature in verdict.signatures] == [role]


def test_what_becomes_known_of_revocation_reaches_the_process(inspector: Inspector, tmp_path: Path) -> None:
    facts = RevocationFacts()
    anchors = TrustAnchors(
        [pki.root().certificate], [pki.intermediate().certificate], mode=RevocationMode.IF_KNOWN, facts=facts
    )
    path = written(tmp_path, pdfs.signed(pdfs.plain(), pki.revoked_person()))
    assert inspected(inspector, path, anchors=anchors)[0].standing is FileStanding.VALID
    facts.add([read_item(pki.crl(revoked=pki.revocations()), source="test")])
    (verdict,) = inspected(inspector, path, anchors=anchors)
    assert (verdict.standing, verdict.reason) == (FileStanding.REVOKED, FileReason.CERTIFICATE_REVOKED)


@pytest.mark.slow
def test_a_file_that_stalls_its_reader_is_unreadable_and_the_next_is_judged(tmp_path: Path) -> None:
    with Inspector(FileLimits(seconds=3.0)) as inspector:
        good = written(tmp_path, pdfs.issued())
        inspected(inspector, good)
        pid = inspector.process_id
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)  # a reader that makes no progress, whatever the file
        began = time.monotonic()
        (verdict,) = inspected(inspector, good)
        assert (verdict.standing, verdict.reason) == (FileStanding.UNREADABLE, FileReason.READER_STALLED)
        assert (verdict.format, verdict.name) == ("pdf", "01.pdf")
        assert time.monotonic() - began < 10
        assert inspected(inspector, good)[0].standing is FileStanding.VALID


@pytest.mark.slow
def test_a_pdf_made_to_take_for_ever_is_ended(tmp_path: Path) -> None:
    # Forty arrays, each naming the next one twice: pyHanko follows every way to an object that was changed.
    def maze(writer: IncrementalPdfFileWriter) -> None:
        turn = writer.add_object(generic.ArrayObject([generic.NumberObject(1)]))
        for _ in range(40):
            turn = writer.add_object(generic.ArrayObject([turn, turn]))
        writer.root["/PieceInfo"] = generic.DictionaryObject({generic.pdf_name("/X"): turn})
        writer.update_root()

    content = pdfs.signed(pdfs.updated(pdfs.plain(), maze), pki.person())
    with Inspector(FileLimits(seconds=3.0)) as inspector:
        inspected(inspector, written(tmp_path, pdfs.plain()))
        (verdict,) = inspected(inspector, written(tmp_path, pdfs.updated(content, pdfs.annotation())))
    assert verdict.standing is FileStanding.UNREADABLE
    assert verdict.reason in (FileReason.READER_STALLED, FileReason.TOO_LARGE)


@pytest.mark.slow
def test_a_file_that_needs_more_memory_than_its_reader_has_is_too_large(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "file", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.pdf", bytes(300 * 1024 * 1024))
    roomy = FileLimits(
        member_bytes=2**30, unpacked_bytes=2**30, unpacked_ratio=5_000, memory_bytes=FileLimits.memory_bytes_min
    )
    with Inspector(roomy) as inspector:
        (verdict,) = inspected(inspector, tmp_path / "file")
        assert (verdict.standing, verdict.reason) == (FileStanding.UNREADABLE, FileReason.TOO_LARGE)
        assert inspected(inspector, written(tmp_path, pdfs.issued()))[0].standing is FileStanding.VALID


def test_what_unpacks_to_more_than_a_pdf_needs_is_too_large() -> None:
    (verdict,) = pdfs.judged(pdfs.unpacking_to(200 * 1024 * 1024))
    assert (verdict.standing, verdict.reason) == (FileStanding.UNREADABLE, FileReason.TOO_LARGE)


def test_a_reader_that_cannot_start_is_named_and_judges_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for program in ("/bin/false", "/no/such/program"):
        monkeypatch.setattr(sys, "executable", program)
        with Inspector() as inspector, pytest.raises(FileReaderUnavailable) as caught:
            inspected(inspector, written(tmp_path, pdfs.plain()))
        assert caught.value.code == "files.reader_unavailable"


def test_the_reader_sees_no_secrets_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_SIGNING__PASSWORD", "hoa-sen")
    with Inspector() as inspector:
        inspected(inspector, written(tmp_path, pdfs.plain()))
        environment = Path(f"/proc/{inspector.process_id}/environ").read_bytes()
    assert b"PATH=" in environment
    assert b"hoa-sen" not in environment


_WITHOUT_BOUNDS = """#!{python}
import runpy, signal, sys
sys.modules["resource"] = None
del signal.alarm
runpy.run_module("gateway.signing.files.child", run_name="__main__")
"""
_NARROWER = """#!/bin/sh
ulimit -v 700000
exec {python} "$@"
"""


@pytest.mark.parametrize("program", [_WITHOUT_BOUNDS, _NARROWER], ids=["Windows has none", "narrower"])
def test_a_reader_reads_also_where_its_own_bounds_cannot_be_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    python = tmp_path / "python"
    python.write_text(program.format(python=sys.executable), "utf-8")
    python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[4]))
    with Inspector() as inspector:
        (verdict,) = inspected(inspector, written(tmp_path, pdfs.issued()))
    assert verdict.standing is FileStanding.VALID


_PARENT = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from gateway.signing.files import Inspector
from gateway.signing.trust import TrustAnchors
with Inspector() as inspector:
    inspector.inspect(
        Path(sys.argv[1]), content_id="c", name="n", registered=(), anchors=TrustAnchors(), at=datetime.now(UTC)
    )
    print(inspector.process_id, flush=True)
    sys.stdin.read()
"""


@pytest.mark.slow
def test_a_reader_ends_when_nobody_is_left_to_ask_it(tmp_path: Path) -> None:
    path = written(tmp_path, pdfs.plain())
    asking = [sys.executable, "-c", _PARENT, str(path)]
    with subprocess.Popen(asking, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        reader = Path("/proc") / parent.stdout.readline().strip()
        assert b"files.child" in (reader / "cmdline").read_bytes()
        parent.kill()
    deadline = time.monotonic() + 30
    while reader.exists() and ") Z " not in (reader / "stat").read_text("ascii"):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_threads_take_turns(inspector: Inspector, tmp_path: Path) -> None:
    path = written(tmp_path, pdfs.issued())
    found: list[FileVerdict] = []
    threads = [threading.Thread(target=lambda: found.extend(inspected(inspector, path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [v.standing for v in found] == [FileStanding.VALID] * 4


def test_a_file_that_is_not_there_is_the_callers_mistake(inspector: Inspector, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        inspected(inspector, tmp_path / "absent")
