"""
What reading costs: streaming ÷ tree in CPU for equal work, and growth of memory on large packages.

``cpu_ratio(size)``, ``memory_growth(size)`` and ``read_to_floor(size)`` return numbers for the benchmark
table; run as a program they are printed. Only ratios within one run mean anything.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from lxml import etree

from gateway.edxml import C14N, Limits, complete, kit_reference, read_unverified, write_document_to
from tests.support.documents import PDF, an_envelope

MB = 1024 * 1024
_INFO = b"""<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo><Reference URI=""><Transforms>
<Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/>
<Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/></Transforms>
<DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><DigestValue>AA==</DigestValue>
</Reference></SignedInfo></Signature>"""


def make_package(size: int, folder: Path) -> Path:
    """A package of about ``size`` bytes with one PDF of random bytes and a signature that names its digest."""
    content, bare, path = folder / "content", folder / "bare", folder / f"package-{size}"
    with content.open("wb") as file:
        file.write(PDF)
        for _ in range(max(size * 3 // 4 - 5000, 0) // 65536):
            file.write(os.urandom(65536))
        file.write(os.urandom(max(size * 3 // 4 - 5000, 0) % 65536))
    with bare.open("wb") as out:
        write_document_to(an_envelope(references=(kit_reference("a", "a.pdf"),)), {"a": content}, out)
    with path.open("wb") as out:
        complete(bare, hop=None, signature=_INFO, limits=Limits(), out=out)
    content.unlink()
    bare.unlink()
    return path


def read_and_digest(path: Path, spool: Path, stream_above: int = 0) -> bytes:
    """What accepting does before the signature's own arithmetic."""
    with read_unverified(path, limits=Limits(stream_above=stream_above), spool=spool) as package:
        return package.enveloped_digest(c14n=C14N.EXCLUSIVE, digest="sha256")


def by_tree(path: Path, spool: Path) -> bytes:
    """Equal work with one tree: hash, parse, decode to a file while hashing, canonicalise without the signature."""
    raw = path.read_bytes()
    hashlib.sha256(raw).hexdigest()
    root = etree.fromstring(raw, etree.XMLParser(huge_tree=True, resolve_entities=False, remove_comments=True))
    for element in root.iter("{*}ContentTransferEncoded"):
        data = base64.b64decode((element.text or "").encode(), validate=True)
        hashlib.sha256(data).hexdigest()
        (spool / "decoded").write_bytes(data)
    signature = next(root.iter("{http://www.w3.org/2000/09/xmldsig#}Signature"))
    parent = signature.getparent()
    assert parent is not None
    parent.remove(signature)
    out = io.BytesIO()
    root.getroottree().write_c14n(out, exclusive=True, with_comments=False)
    return hashlib.sha256(out.getvalue()).digest()


def cpu(work: Callable[[], object], rounds: int) -> float:
    """Least CPU seconds of one call."""
    best = float("inf")
    for _ in range(rounds):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return best


def cpu_ratio(size: int, *, stream_above: int = 0, rounds: int = 7) -> float:
    """CPU of reading and digesting ÷ CPU of the same work with one tree."""
    with tempfile.TemporaryDirectory() as folder:
        spool = Path(folder)
        path = make_package(size, spool)
        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(rounds):  # in turns, because other people's work comes and goes
            ours.append(cpu(lambda: read_and_digest(path, spool, stream_above), 1))
            theirs.append(cpu(lambda: by_tree(path, spool), 1))
        return min(ours) / min(theirs)


_CHILD = """
import sys
from pathlib import Path
from tests.benchmarks.bench_edxml import make_package, read_and_digest
def peak():
    for line in open('/proc/self/status'):
        if line.startswith('VmHWM'):
            return int(line.split()[1]) * 1024
small, large, spool = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
read_and_digest(small, spool)
before = peak()
read_and_digest(large, spool)
print(peak() - before)
"""


def memory_growth(size: int) -> int:
    """Bytes by which a process's peak grows when, after a package of 1 MB, it reads one of ``size``."""
    with tempfile.TemporaryDirectory() as folder:
        small, large = make_package(MB, Path(folder)), make_package(size, Path(folder))
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, str(small), str(large), folder],
            check=True,
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        return int(done.stdout)


def main() -> None:
    """Print the table."""
    print("streaming ÷ tree, CPU (bar from 1 MB: 0.9)")
    for size in (20 * 1024, 100 * 1024, MB, 10 * MB, 50 * MB):
        print(f"  {size / MB:8.2f} MB  {cpu_ratio(size, rounds=20 if size < MB else 5):.2f}")
    print("as accepted, by the default limits ÷ tree")
    for size in (20 * 1024, 100 * 1024):
        print(f"  {size / MB:8.2f} MB  {cpu_ratio(size, stream_above=Limits().stream_above, rounds=30):.2f}")
    print("growth of memory (bar: 16 MB)")
    for size in (50 * MB, 200 * MB):
        print(f"  {size / MB:8.2f} MB  {memory_growth(size) / MB:.1f} MB")


if __name__ == "__main__":
    main()
