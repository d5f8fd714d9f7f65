"""Files that commands write: never half of one, nothing replaced unasked, and what is no file is written into."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.cli.misuse import Misuse
from gateway.cli.output import written

_WRITE = """\
import sys
from pathlib import Path
from gateway.cli.output import written
with written(Path(sys.argv[1]), force=bool(sys.argv[2])) as out:
    out.write(b"new")
"""


def write(
    output: Path, *, force: bool = False, mode: int = 0o666, meanwhile: Callable[[], object] = lambda: None
) -> None:
    """:param meanwhile: a PIN is asked for, and others do not wait."""
    with written(output, force=force, mode=mode) as out:
        out.write(b"new")
        meanwhile()


def break_off(output: Path, before: bytes | None) -> None:
    with written(output, force=True) as out:
        out.write(b"half")
        out.flush()
        assert (output.read_bytes() if output.exists() else None) == before
        raise RuntimeError


def permissions(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


@pytest.mark.parametrize("before", [b"old", None])
def test_a_file_appears_when_it_is_complete_and_nothing_is_left_of_one_that_never_was(
    tmp_path: Path, before: bytes | None
) -> None:
    output = tmp_path / "out.pdf"
    if before is not None:
        output.write_bytes(before)
    with pytest.raises(RuntimeError):
        break_off(output, before)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("out.pdf", before)] * bool(before)
    write(output, force=True)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("out.pdf", b"new")]


def test_nothing_is_replaced_unasked_even_what_came_meanwhile(tmp_path: Path) -> None:
    output = tmp_path / "out.pdf"
    output.write_bytes(b"old")
    with pytest.raises(Misuse, match="--force"):
        write(output)
    output.unlink()
    with pytest.raises(Misuse, match="--force"):
        write(output, meanwhile=lambda: output.write_bytes(b"of somebody else"))
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("out.pdf", b"of somebody else")]


def test_a_new_file_has_the_permissions_that_are_usual_and_an_old_one_keeps_its_own(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write(tmp_path / "a")
        write(tmp_path / "b", mode=0o600)
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert [permissions(tmp_path / name) for name in "ab"] == [0o640, 0o600]
    (tmp_path / "b").chmod(0o664)
    write(tmp_path / "b", force=True, mode=0o600)
    assert permissions(tmp_path / "b") == 0o664


def test_a_link_is_replaced_and_what_it_leads_to_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"old")
    for target in ("target", "nowhere"):
        link = tmp_path / f"to-{target}"
        link.symlink_to(target)
        with pytest.raises(Misuse, match="--force"):
            write(link)
        write(link, force=True)
        assert (link.is_symlink(), link.read_bytes()) == (False, b"new")
    assert (tmp_path / "target").read_bytes() == b"old"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("through_link", [False, True])
@pytest.mark.parametrize("force", [False, True])
def test_what_is_no_file_is_written_into_and_stays_what_it_is(tmp_path: Path, force: bool, through_link: bool) -> None:
    """A pipe stands for all devices: as root, a file in the place of one would harm the whole machine."""
    pipe = output = tmp_path / "pipe"
    os.mkfifo(pipe)
    if through_link:
        output = tmp_path / "link"
        output.symlink_to(pipe)
    # Opened for both, so that neither end waits for the other.
    handle = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    try:
        write(output, force=force)
        assert os.read(handle, 100) == b"new"
    finally:
        os.close(handle)
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    assert output.is_symlink() is through_link
    assert {file.name for file in tmp_path.iterdir()} == {pipe.name, output.name}


@pytest.mark.parametrize("force", ["", "yes"])
def test_the_programs_own_output_is_written_into_where_that_is_a_file(tmp_path: Path, force: str) -> None:
    """The machine's own name for it is such a link, in the folder of all devices."""
    link, output = tmp_path / "stdout", tmp_path / "out.pdf"
    link.symlink_to("/proc/self/fd/1")
    with output.open("wb") as out:
        out.write(b"before, ")
        out.flush()
        subprocess.run([sys.executable, "-c", _WRITE, str(link), force], stdout=out, check=True, timeout=60)
    assert link.is_symlink()
    assert output.read_bytes() == b"before, new"
    assert {file.name for file in tmp_path.iterdir()} == {"stdout", "out.pdf"}
