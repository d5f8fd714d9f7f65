"""What a crash of the helper leaves behind: nothing that a PIN has been in."""

import subprocess
import sys

import pytest

_DUMPS = """
import ctypes, resource
from gateway.signer.memory import keep_from_dumps
keep_from_dumps()
print(*resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")
def test_a_process_that_meets_pins_leaves_no_dump() -> None:
    done = subprocess.run([sys.executable, "-c", _DUMPS], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["0", "0", "0"]
