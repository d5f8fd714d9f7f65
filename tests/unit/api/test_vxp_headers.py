"""The kit's signed headers, as values: what counts, and what is turned away."""

from __future__ import annotations

import json

import pytest

from gateway.api.vxp.headers import SignedHeaders, check_signature, hmac_of, system_of
from gateway.errors import HeadersDiffer, HeadersNotSigned, NotAuthenticated

SECRET = "bí mật của hệ thống"


class Received(dict[str, str]):
    """Headers as a request has them: names in any case."""

    def __init__(self, pairs: dict[str, str]) -> None:
        super().__init__({name.lower(): value for name, value in pairs.items()})

    def get(self, name: str) -> str | None:  # type: ignore[override] # one kind is enough
        return super().get(name.lower())


def received(secret: str = SECRET, *, single: dict[str, str | None] | None = None, **logical: str) -> Received:
    """A call as the kit makes it; ``single`` changes single headers after they were signed."""
    signed = {"XroadVnpt-systemid": "H37.A", "XroadVnpt-timestamp": "22112026T070000+0123"}
    signed |= {f"XroadVnpt-{name.replace('_', '-')}": value for name, value in logical.items()}
    text = json.dumps(signed, ensure_ascii=False)
    sent = {name.lower(): value for name, value in signed.items()}
    for name, value in (single or {}).items():
        sent.pop(f"xroadvnpt-{name}".lower(), None)
        if value is not None:
            sent[f"xroadvnpt-{name}".lower()] = value
    sent["xroadvnpt-sign-header"] = text.encode().decode("latin-1")
    sent["xroadvnpt-hash-header"] = hmac_of(text.encode(), secret)
    return Received(sent)


def checked(**call: str) -> SignedHeaders:
    return check_signature(received(**call).get, [SECRET])


def test_signed_parameters_are_read() -> None:
    assert checked(docId="d-1", messagetype="edoc").get("docId") == "d-1"


def test_an_absent_parameter_and_an_empty_one_are_the_same() -> None:
    assert checked(to="").get("to") is None
    assert checked().get("to") is None


def test_each_secret_of_a_rotation_counts() -> None:
    assert check_signature(received("old").get, ["new", "old"]).get("systemid") == "H37.A"


@pytest.mark.parametrize("secrets", [["other"], [""], []], ids=["wrong", "empty", "none"])
def test_a_signature_of_no_valid_secret_is_none(secrets: list[str]) -> None:
    with pytest.raises(HeadersNotSigned):
        check_signature(received().get, secrets)


def test_a_system_without_a_secret_is_not_let_in_by_the_empty_one() -> None:
    with pytest.raises(HeadersNotSigned):
        check_signature(received("").get, [])


def test_the_text_is_judged_as_it_was_received() -> None:
    call = received(docId="d-1")
    call["xroadvnpt-sign-header"] = json.dumps(json.loads(call["xroadvnpt-sign-header"]), separators=(",", ":"))
    with pytest.raises(HeadersNotSigned):
        check_signature(call.get, [SECRET])


def test_vietnamese_in_a_leaked_header_does_not_break_the_signature() -> None:
    assert checked(filePath="D:\\Văn bản đến", docId="d-1").get("docId") == "d-1"


def test_the_hash_may_be_written_in_capitals() -> None:
    call = received()
    call["xroadvnpt-hash-header"] = call["xroadvnpt-hash-header"].upper()
    check_signature(call.get, [SECRET])


@pytest.mark.parametrize("text", ["", "[]x", "nothing", '["XroadVnpt-systemid"]', '{"XroadVnpt-systemid":{"a":"b"}}'])
def test_what_is_signed_but_no_object_of_texts_is_turned_away(text: str) -> None:
    call = Received({"XroadVnpt-sign-header": text, "XroadVnpt-hash-header": hmac_of(text.encode(), SECRET)})
    with pytest.raises(HeadersNotSigned):
        check_signature(call.get, [SECRET])


def test_a_parameter_signed_twice_is_turned_away() -> None:
    text = '{"XroadVnpt-docId":"a","XroadVnpt-docId":"b"}'
    call = Received({"XroadVnpt-sign-header": text, "XroadVnpt-hash-header": hmac_of(text.encode(), SECRET)})
    with pytest.raises(HeadersNotSigned):
        check_signature(call.get, [SECRET])


@pytest.mark.parametrize("name", ["systemid", "timestamp"])
@pytest.mark.parametrize("value", ["other", None], ids=["other", "missing"])
def test_system_and_time_must_be_those_that_were_signed(name: str, value: str | None) -> None:
    with pytest.raises(HeadersDiffer):
        check_signature(received(single={name: value}).get, [SECRET])


@pytest.mark.parametrize("value", ["d-2", None], ids=["other", "missing"])
def test_a_used_header_must_say_what_was_signed(value: str | None) -> None:
    headers = check_signature(received(docId="d-1", single={"docId": value}).get, [SECRET])
    with pytest.raises(HeadersDiffer) as raised:
        headers.get("docId")
    assert raised.value.path == "XroadVnpt-docId"


def test_a_used_header_that_nobody_signed_is_turned_away() -> None:
    with pytest.raises(HeadersDiffer):
        check_signature(received(single={"docId": "d-1"}).get, [SECRET]).get("docId")


def test_a_header_that_the_call_does_not_use_may_say_anything() -> None:
    headers = check_signature(received(docId="d-1", to="[]", single={"to": "else", "status": "done"}).get, [SECRET])
    assert headers.get("docId") == "d-1"


def test_of_two_spellings_that_of_the_call_counts() -> None:
    call = received(docId="fetched", docid="acknowledged", single={"docId": "fetched, acknowledged"})
    headers = check_signature(call.get, [SECRET])
    assert (headers.get("docId"), headers.get("docid")) == ("fetched", "acknowledged")


def test_two_spellings_may_have_come_in_either_order() -> None:
    call = received(docId="a", docid="b", single={"docId": "b,a"})
    assert check_signature(call.get, [SECRET]).get("docId") == "a"


def test_two_spellings_of_one_value_are_one() -> None:
    call = received(docId="a", docid="a", single={"docId": "a"})
    assert check_signature(call.get, [SECRET]).get("docID") == "a"


def test_two_spellings_of_which_one_was_not_signed_so_are_turned_away() -> None:
    with pytest.raises(HeadersDiffer):
        check_signature(received(docId="a", docid="b", single={"docId": "a, c"}).get, [SECRET]).get("docId")


@pytest.mark.parametrize("value", [None, "", " ", "x" * 65, "a b", "é"])
def test_a_call_without_a_usable_system_id_is_turned_away(value: str | None) -> None:
    with pytest.raises(NotAuthenticated):
        system_of(Received({} if value is None else {"XroadVnpt-systemid": value}).get)
