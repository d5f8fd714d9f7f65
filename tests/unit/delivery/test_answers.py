"""What an endpoint's answer means."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from gateway.delivery.answers import failure, problem_code
from gateway.delivery.http import Answer, header_value, retry_time
from gateway.errors import (
    DeliveryError,
    EndpointMisconfigured,
    PeerFailed,
    PeerRefused,
    SenderNotAccepted,
)

NOON = datetime(2026, 3, 2, 5, tzinfo=UTC)


def an_answer(
    status: int, problem: object = None, *, truncated: bool = False, retry_after: str | None = None
) -> Answer:
    return Answer(
        status=status,
        media_type="application/problem+json" if problem is not None else "text/html",
        body=json.dumps(problem).encode() if problem is not None else b"<html>",
        truncated=truncated,
        retry_after=retry_after,
    )


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, EndpointMisconfigured),
        (400, PeerRefused),
        (401, EndpointMisconfigured),
        (403, EndpointMisconfigured),
        (404, EndpointMisconfigured),  # a wrong URL must not refuse documents
        (408, PeerFailed),
        (409, PeerRefused),
        (410, PeerRefused),
        (413, PeerRefused),
        (422, PeerRefused),
        (429, PeerFailed),
        (500, PeerFailed),
        (503, PeerFailed),
        (599, PeerFailed),
    ],
)
def test_the_status_decides_without_a_code(status: int, kind: type[DeliveryError]) -> None:
    assert type(failure(an_answer(status), now=NOON)) is kind


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (403, "signature.rejected", PeerRefused),
        (403, "sender.not_allowed", SenderNotAccepted),  # of this sender alone: our credentials are good
        (403, "sender.unknown", SenderNotAccepted),
        (401, "request.not_authenticated", EndpointMisconfigured),  # of everything
        (403, "sender.closed", PeerRefused),
        (403, "request.not_permitted", EndpointMisconfigured),
        (404, "recipient.unknown", PeerRefused),
        (422, "request.not_found", EndpointMisconfigured),
        (400, "package.incomplete_upload", PeerFailed),  # the line was cut: the document is not at fault
        (422, "ledger.unavailable", PeerFailed),
        (422, "somebody.elses", PeerRefused),  # not a code of ours: the status decides
    ],
)
def test_a_code_of_ours_decides_before_the_status(status: int, code: str, kind: type[DeliveryError]) -> None:
    error = failure(an_answer(status, {"code": code}), now=NOON)
    assert type(error) is kind
    assert code in error.detail


def test_a_code_is_read_from_the_type_too() -> None:
    assert problem_code(an_answer(422, {"type": "urn:eoffice-gateway:error:recipient.closed"})) == "recipient.closed"


@pytest.mark.parametrize(
    "problem",
    [
        [],
        "x",
        {},
        {"code": 7},
        {"code": "Nguyễn Văn A"},
        {"code": "a.b\nc"},
        {"code": "a." + "b" * 100},
        {"type": "about:blank"},
    ],
)
def test_what_is_not_a_code_is_not_kept(problem: object) -> None:
    answer = an_answer(422, problem)
    assert problem_code(answer) is None
    assert failure(answer, now=NOON).detail == "HTTP 422"


def test_the_sentences_of_a_problem_are_not_kept() -> None:
    error = failure(an_answer(422, {"code": "package.invalid", "detail": "Ông Nguyễn Văn A"}), now=NOON)
    assert error.detail == "HTTP 422 package.invalid"


def test_half_a_problem_is_none() -> None:
    assert problem_code(an_answer(422, {"code": "package.invalid"}, truncated=True)) is None
    deep = Answer(status=422, media_type="application/problem+json", body=b"[" * 60_000, truncated=False)
    assert problem_code(deep) is None


def test_retry_after_travels_with_the_failure() -> None:
    error = failure(an_answer(503, retry_after="120"), now=NOON)
    assert isinstance(error, PeerFailed)
    assert error.retry_at == NOON + timedelta(minutes=2)


@pytest.mark.parametrize(
    ("value", "at"),
    [
        ("120", NOON + timedelta(minutes=2)),
        ("0", NOON),
        ("Mon, 02 Mar 2026 06:00:00 GMT", NOON + timedelta(hours=1)),
        ("Mon, 02 Mar 2026 13:00:00 +0700", NOON + timedelta(hours=1)),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("99999999999999999999", None),
    ],
)
def test_retry_after_is_read_in_both_forms(value: str | None, at: datetime | None) -> None:
    assert retry_time(value, now=NOON) == at


@pytest.mark.parametrize("text", ["", " x", "x ", "a\r\nB: c", "a\0b", "tiếng", "\x7f"])
def test_a_header_value_cannot_smuggle(text: str) -> None:
    with pytest.raises(EndpointMisconfigured) as caught:
        header_value(text)
    assert not text.strip() or text not in caught.value.detail
