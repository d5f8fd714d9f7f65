"""What a dead process left is removed; what a living one holds is not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.scratch import OwnFolder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such locks")

_HOLDER = """
import sys
from pathlib import Path
from gateway.scratch import OwnFolder
own = OwnFolder(Path(sys.argv[1]))
(own.path / "upload").write_bytes(b"half")
print(own.path, flush=True)
sys.stdin.read()
"""


def a_holder(parent: Path) -> tuple["subprocess.Popen[str]", Path]:
    """Another process with a folder of its own, until its input ends or it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(parent)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def folders(parent: Path) -> set[Path]:
    return {p for p in parent.iterdir() if p.is_dir()}


def test_each_owner_has_a_folder_of_its_own(tmp_path: Path) -> None:
    one, other = OwnFolder(tmp_path), OwnFolder(tmp_path)
    assert folders(tmp_path) == {one.path, other.path}
    one.close()
    assert folders(tmp_path) == {other.path}
    other.close()
    assert not folders(tmp_path)


def test_the_folder_of_a_living_process_stays_and_that_of_a_killed_one_goes(tmp_path: Path) -> None:
    process, theirs = a_holder(tmp_path)
    with process:
        first = OwnFolder(tmp_path)
        assert (theirs / "upload").read_bytes() == b"half"
        process.kill()
        process.wait(timeout=60)
        second = OwnFolder(tmp_path)
        assert folders(tmp_path) == {first.path, second.path}
        first.close()
        second.close()


def test_a_process_that_ends_in_order_leaves_nothing(tmp_path: Path) -> None:
    process, theirs = a_holder(tmp_path)
    with process:
        process.communicate(timeout=60)
    assert not theirs.exists()


def test_what_lay_there_loose_is_removed(tmp_path: Path) -> None:
    (tmp_path / "upload-of-old.edxml").write_bytes(b"x")
    (tmp_path / "files-of-old").mkdir()
    own = OwnFolder(tmp_path)
    assert folders(tmp_path) == {own.path}
    own.close()


def test_a_fork_leaves_its_parent_the_folder(tmp_path: Path) -> None:
    own = OwnFolder(tmp_path)
    child = os.fork()
    if not child:
        own.close()
        os._exit(0)
    os.waitpid(child, 0)
    other = OwnFolder(tmp_path)
    assert own.path.is_dir()
    other.close()
    own.close()
