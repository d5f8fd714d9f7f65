"""
What reading costs: streaming ÷ tree in CPU for equal work, and growth of memory on large packages.

Only ratios within one run mean anything.
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

from gateway.edxml import C14N, Limits, complete, kit_reference, parse_unverified, write_document_to
from tests.support.documents import PDF, an_envelope

Row = tuple[str, float, float]
"""Name, measured ratio, and the bar that it must not exceed."""

MB = 1024 * 1024
ALLOWED_GROWTH = 16 * MB
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
    """Bound, parse, decode, hash and digest a package: what a verdict on it costs before the signature's arithmetic."""
    with parse_unverified(path, limits=Limits(stream_above=stream_above), spool=spool) as package:
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


def splitting(name: str, size: int) -> Row:
    """Streaming over the tree."""
    return f"streaming ÷ tree, CPU for equal work, {name}", cpu_ratio(size, rounds=9), 0.9


def growing(name: str, size: int) -> Row:
    """Growth of the process while it reads and digests, over what it may grow by."""
    return f"growth of memory while reading {name} ÷ 16 MB", memory_growth(size) / ALLOWED_GROWTH, 1.0


def bench_streaming_1_mb() -> Row:
    """A scanned letter."""
    return splitting("1 MB", MB)


def bench_streaming_10_mb() -> Row:
    """A plan with drawings."""
    return splitting("10 MB", 10 * MB)


def bench_memory_50_mb() -> Row:
    """More than any agency sends today."""
    return growing("50 MB", 50 * MB)


def bench_memory_200_mb() -> Row:
    """The largest attachment that is let in."""
    return growing("200 MB", 200 * MB)


BENCHES = (bench_streaming_1_mb, bench_streaming_10_mb, bench_memory_50_mb, bench_memory_200_mb)

if __name__ == "__main__":
    for bench in BENCHES:
        name, measured, bar = bench()
        print(f"{name}: {measured:.2f} (bar {bar}) {'ok' if measured <= bar else 'MISSED'}")
