"""Both stores keep the same promises: files on a real disk, S3 on moto's server on loopback."""

import errno
import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from gateway.errors import PayloadMissing, PayloadStoreUnavailable, StorageFull
from gateway.payloads import FileStore, PayloadStore, S3Store
from gateway.payloads.store import CHUNK_BYTES

BUCKET = "packages"


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    client.create_bucket(Bucket=BUCKET)
    client.close()
    yield endpoint
    server.stop()


def s3_store(endpoint: str, bucket: str = BUCKET, prefix: str = "payloads") -> S3Store:
    return S3Store(
        bucket,
        prefix=prefix,
        endpoint=endpoint,
        region="us-east-1",
        allow_http=True,
        access_key_id="test",
        secret_access_key="test",
    )


@pytest.fixture(params=["files", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> PayloadStore:
    if request.param == "files":
        return FileStore(tmp_path / "payloads")
    return s3_store(request.getfixturevalue("s3_endpoint"), prefix=f"payloads/{tmp_path.name}")


def a_package(folder: Path, size: int = 600_000, seed: int = 1) -> tuple[Path, str, bytes]:
    content = (hashlib.sha256(bytes([seed])).digest() * (size // 32 + 1))[:size]
    path = folder / f"package-{seed}-{size}"
    path.write_bytes(content)
    return path, hashlib.sha256(content).hexdigest(), content


@pytest.mark.parametrize("size", [0, 1, 600_000, 2 * CHUNK_BYTES + 17, 12 * 1024 * 1024])
def test_what_was_put_is_read_back(store: PayloadStore, tmp_path: Path, size: int) -> None:
    source, sha256, content = a_package(tmp_path, size)
    store.put(source, sha256)
    assert store.exists(sha256)
    assert store.size(sha256) == size
    with store.open(sha256) as stream:
        assert stream.read() == content
    assert source.read_bytes() == content


def test_a_stream_starts_where_asked_and_can_be_rewound(store: PayloadStore, tmp_path: Path) -> None:
    source, sha256, content = a_package(tmp_path)
    store.put(source, sha256)
    with store.open(sha256, 599_990) as stream:
        assert stream.read() == content[599_990:]
        stream.seek(0)
        assert stream.read(10) == content[:10]
        assert stream.tell() == 10
        stream.seek(0, os.SEEK_END)
        assert stream.tell() == 600_000
        assert stream.read() == b""


def test_the_same_package_can_be_put_again(store: PayloadStore, tmp_path: Path) -> None:
    source, sha256, content = a_package(tmp_path)
    store.put(source, sha256)
    store.put(source, sha256)
    with store.open(sha256) as stream:
        assert stream.read() == content


def test_concurrent_puts_of_one_package_leave_one_whole_package(store: PayloadStore, tmp_path: Path) -> None:
    source, sha256, content = a_package(tmp_path, 3_000_000)
    failures: list[BaseException] = []

    def put() -> None:
        try:
            store.put(source, sha256)
        except BaseException as e:  # noqa: BLE001 - whatever it is, the test must show it
            failures.append(e)

    threads = [threading.Thread(target=put) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with store.open(sha256) as stream:
        assert stream.read() == content


def test_content_that_is_not_its_hash_is_not_stored(store: PayloadStore, tmp_path: Path) -> None:
    source, _, _ = a_package(tmp_path)
    with pytest.raises(PayloadMissing):
        store.put(source, "0" * 64)
    assert not store.exists("0" * 64)


def test_what_is_not_there_is_missing_by_name(store: PayloadStore) -> None:
    with pytest.raises(PayloadMissing):
        store.open("0" * 64)
    with pytest.raises(PayloadMissing):
        store.size("0" * 64)
    assert not store.exists("0" * 64)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_only_a_hash_is_a_name(store: PayloadStore, tmp_path: Path, name: str) -> None:
    source, _, _ = a_package(tmp_path)
    with pytest.raises(ValueError, match="SHA-256"):
        store.put(source, name)
    with pytest.raises(ValueError, match="SHA-256"):
        store.open(name)


def test_check_passes_on_a_store_that_works(store: PayloadStore) -> None:
    store.check()


def test_a_bucket_that_is_not_there_is_unavailable(s3_endpoint: str, tmp_path: Path) -> None:
    source, sha256, _ = a_package(tmp_path)
    store = s3_store(s3_endpoint, bucket="absent")
    with pytest.raises(PayloadStoreUnavailable):
        store.put(source, sha256)
    with pytest.raises(PayloadStoreUnavailable):
        store.check()


def test_an_s3_source_that_is_gone_is_unavailable(s3_endpoint: str, tmp_path: Path) -> None:
    with pytest.raises(PayloadStoreUnavailable):
        s3_store(s3_endpoint).put(tmp_path / "absent", "0" * 64)


# Files


def test_files_lie_in_two_levels_and_nothing_is_left_beside(tmp_path: Path) -> None:
    source, sha256, _ = a_package(tmp_path)
    root = tmp_path / "payloads"
    FileStore(root).put(source, sha256)
    assert files_in(root) == [Path(sha256[:2], sha256[2:4], sha256)]


def files_in(root: Path) -> list[Path]:
    """All files of a store but its locks."""
    return [p.relative_to(root) for p in root.rglob("*") if p.is_file() and p.suffix != ".lock"]


def test_a_refused_put_leaves_nothing_beside(tmp_path: Path) -> None:
    source, _, _ = a_package(tmp_path)
    store = FileStore(tmp_path / "payloads")
    with pytest.raises(PayloadMissing):
        store.put(source, "0" * 64)
    assert files_in(store.root) == []


def test_what_a_dead_process_was_writing_is_removed_by_the_next(tmp_path: Path) -> None:
    source, sha256, _ = a_package(tmp_path)
    root = tmp_path / "payloads"
    left = root / "incoming" / "1-dead" / f"{sha256}.1"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    living = FileStore(root)
    living.check()
    assert files_in(root) == []
    FileStore(root).check()
    living.put(source, sha256)


def test_a_shortened_file_is_written_anew(tmp_path: Path) -> None:
    source, sha256, content = a_package(tmp_path)
    store = FileStore(tmp_path / "payloads")
    store.put(source, sha256)
    stored = store.root / sha256[:2] / sha256[2:4] / sha256
    stored.write_bytes(content[:100])
    store.put(source, sha256)
    assert stored.read_bytes() == content


@pytest.mark.parametrize(
    ("number", "error"),
    [(errno.ENOSPC, StorageFull), (errno.EDQUOT, StorageFull), (errno.EIO, PayloadStoreUnavailable)],
)
def test_what_fsync_says_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, error: type[Exception]
) -> None:
    source, sha256, _ = a_package(tmp_path)
    store = FileStore(tmp_path / "payloads")

    def fail(_descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    store.check()
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(error):
        store.put(source, sha256)
    assert not store.exists(sha256)


def test_a_root_that_is_a_file_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "payloads").write_bytes(b"")
    source, sha256, _ = a_package(tmp_path)
    store = FileStore(tmp_path / "payloads")
    with pytest.raises(PayloadStoreUnavailable):
        store.put(source, sha256)
    with pytest.raises(PayloadStoreUnavailable):
        store.check()
