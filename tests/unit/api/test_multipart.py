"""Forms that are read while they arrive."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator

import pytest

from gateway.api.multipart import Form
from gateway.errors import BodyTooLarge, GatewayError, IncompleteUpload, RequestError, UnsupportedMedia

BOUNDARY = "--------------------------518703458"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def part(disposition: str, content: bytes, *more: str) -> bytes:
    head = "\r\n".join([f"--{BOUNDARY}", f"Content-Disposition: form-data; {disposition}", *more, "", ""])
    return head.encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


class Slow(io.BytesIO):
    """Hands out few bytes at a time, as a poor line does."""

    def __init__(self, content: bytes, most: int) -> None:
        super().__init__(content)
        self.most = most

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self.most)


def read(body: bytes, *, most: int = 1_000_000, kind: str | None = TYPE) -> tuple[list[bytes], dict[str, str]]:
    """All wanted files of a form, and its fields."""
    form = Form(Slow(body, most), kind, files={"edocFile"})
    files = []
    while (file := form.next_file()) is not None:
        files.append(file.read())
    return files, form.fields


PACKAGE = b"<edXML>\r\n\r\n--x\r" + bytes(range(256)) * 40 + f"\r\n--{BOUNDARY[:-1]}\r\n</edXML>".encode()
FILE = part('name="edocFile"; filename="a.edxml"', PACKAGE, "Content-Type: application/xml")
FIELD = part('name="messageType"', b"edoc")


@pytest.mark.parametrize("most", [1, 2, 3, 7, 64, 1_000_000])
@pytest.mark.parametrize("body", [FILE + FIELD + END, FIELD + FILE + END], ids=["file first", "field first"])
def test_file_and_field_arrive_whole_however_the_body_is_cut(body: bytes, most: int) -> None:
    assert read(body, most=most) == ([PACKAGE], {"messageType": "edoc"})


@pytest.mark.parametrize("end", [END, END[:-2], END[:-2] + b"  \r\n", END + b"epilogue\r\n"])
def test_a_body_may_be_cut_anywhere(end: bytes) -> None:
    body = FIELD + part('name="edocFile"; filename="a"', b"<edXML/>\r\n") + end
    for cut in range(1, len(body)):
        pieces = iter([body[:cut], body[cut:]])
        form = Form(Pieces(pieces), TYPE, files={"edocFile"})
        file = form.next_file()
        assert file is not None
        assert file.read() == b"<edXML/>\r\n", cut
        assert form.next_file() is None


class Pieces:
    """A stream that has just these pieces."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces = pieces

    def read(self, size: int = -1, /) -> bytes:
        return next(self.pieces, b"")


def test_a_file_may_come_without_a_file_name() -> None:
    assert read(part('name="edocFile"', PACKAGE) + END)[0] == [PACKAGE]


def test_files_that_nobody_asked_for_are_passed_over() -> None:
    other = part('name="photo"; filename="a.jpg"', b"x" * 200_000)
    assert read(other + FILE + other + FIELD + END) == ([PACKAGE], {"messageType": "edoc"})


def test_a_file_that_is_not_read_to_its_end_does_not_hide_the_next() -> None:
    form = Form(io.BytesIO(FILE + FILE + END), TYPE, files={"edocFile"})
    first = form.next_file()
    assert first is not None
    assert first.read(5) == PACKAGE[:5]
    second = form.next_file()
    assert second is not None
    assert second.read() == PACKAGE
    assert form.next_file() is None
    assert form.next_file() is None


def test_a_file_is_read_in_pieces_of_the_size_asked_for() -> None:
    form = Form(io.BytesIO(FILE + END), TYPE, files={"edocFile"})
    file = form.next_file()
    assert file is not None
    assert file.filename == "a.edxml"
    pieces = [file.read(1000) for _ in range(20)]
    assert b"".join(pieces) == PACKAGE
    assert max(map(len, pieces)) == 1000


def test_an_empty_form_has_nothing() -> None:
    assert read(END) == ([], {})


@pytest.mark.parametrize("kind", [None, "application/json", "multipart/form-data", "multipart/mixed; boundary=x"])
def test_another_content_type_is_refused(kind: str | None) -> None:
    with pytest.raises(UnsupportedMedia):
        read(FILE + END, kind=kind)


@pytest.mark.parametrize("body", [b"", FILE[:20], FILE[:-40], FILE, FILE + FIELD, FILE + FIELD + END[:-6]])
def test_a_form_that_ends_before_its_end_is_incomplete(body: bytes) -> None:
    with pytest.raises(IncompleteUpload):
        read(body)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"x" * 400_000, BodyTooLarge),  # no boundary ever
        (part('name="a"', b"", "X-A: " + "b" * 400_000) + END, BodyTooLarge),
        (part('name="a"', b"b" * 70_000) + END, BodyTooLarge),
        (part('name="a"', b"b") * 101 + END, BodyTooLarge),
        (f"--{BOUNDARY}\r\nX-A: b\r\n\r\nc\r\n".encode() + END, RequestError),  # a part without a name
        (part('name="a"', b"\xff\xfe") + END, RequestError),
        (f"--{BOUNDARY}\r\n".encode() + b"\xff: x\r\n\r\nc\r\n" + END, RequestError),
    ],
)
def test_a_form_without_measure_or_form_is_refused(body: bytes, error: type[GatewayError]) -> None:
    with pytest.raises(error):
        read(body, most=10_000)


@pytest.mark.parametrize("tail", [b"", b"- ", b"\t"])
def test_a_file_full_of_what_may_become_its_end_is_not_held(tail: bytes) -> None:
    mark = f"\r\n--{BOUNDARY}".encode() + tail
    pieces = [part('name="edocFile"; filename="a"', b"")[:-2], *[b"x" * (256 * 1024 - len(mark)) + mark] * 40]
    form = Form(Pieces(iter(pieces)), TYPE, files={"edocFile"})
    file = form.next_file()
    assert file is not None
    tracemalloc.start()
    with pytest.raises(RequestError):
        file.read()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * 1024 * 1024


def test_what_looks_like_the_end_at_the_end_of_a_piece_is_content() -> None:
    content = b"x" * 70_000 + f"\r\n--{BOUNDARY}".encode() + b"y" * 70_000
    body = part('name="edocFile"; filename="a"', content)
    cut = body.index(b"y")
    form = Form(Pieces(iter([body[:cut], body[cut:] + END])), TYPE, files={"edocFile"})
    file = form.next_file()
    assert file is not None
    assert file.read() == content
