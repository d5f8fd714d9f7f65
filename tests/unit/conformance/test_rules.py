"""Verdicts on rules, of checks and of what is watched."""

from __future__ import annotations

import pytest

from gateway.conformance import samples
from gateway.conformance.rules import Book, Broken, LeftOut, Line, Outcome, Report, require
from gateway.conformance.stand import RULES
from gateway.conformance.vxp_checks import unpadded
from gateway.conformance.watch import Asked, Watch
from gateway.errors import InvalidPackage
from gateway.model import AgencyCode, BusinessType, StatusCode


def a_book() -> Book[list[str]]:
    """Three rules: one holds, one does not, one cannot be asked."""
    book: Book[list[str]] = Book("x")

    @book.rule("good", "Đúng.")
    def good(asked: list[str]) -> None:
        """Right."""
        asked.append("good")

    @book.rule("bad", "Sai.")
    def bad(asked: list[str]) -> None:
        """Wrong."""
        asked.append("bad")
        require(False, "vì thế", "because")

    @book.rule("bad.more", "Bỏ qua.")
    def more(asked: list[str]) -> None:
        """Left out."""
        raise LeftOut("không có", "there is none")

    return book


def test_each_rule_has_its_verdict_and_its_reason() -> None:
    lines = list(a_book().run([]))
    assert [(line.rule.id, line.outcome, line.reason and line.reason.en) for line in lines] == [
        ("x.good", Outcome.PASS, None),
        ("x.bad", Outcome.FAIL, "because"),
        ("x.bad.more", Outcome.SKIP, "there is none"),
    ]


def test_only_what_is_wanted_is_asked() -> None:
    asked: list[str] = []
    assert [line.rule.id for line in a_book().run(asked, only=["x.bad"])] == ["x.bad", "x.bad.more"]
    assert asked == ["bad"]


def test_what_was_left_out_is_no_failure() -> None:
    lines = tuple(a_book().run([]))
    assert not Report(lines).passed
    assert Report((lines[0], lines[2])).passed
    assert Report(lines).counts() == {"pass": 1, "fail": 1, "skip": 1}


def test_an_error_of_the_kit_itself_is_no_verdict() -> None:
    book: Book[None] = Book("x")

    @book.rule("y", "Lỗi.")
    def faulty(_: None) -> None:
        """Faulty."""
        raise KeyError("y")

    with pytest.raises(KeyError):
        list(book.run(None))


def a_watch(told: list[Line]) -> Watch:
    return Watch("x", [Asked("y", "Phải.", "Must.")], told=told.append)


def test_what_is_watched_is_open_until_it_was_seen() -> None:
    watch = a_watch([])
    assert watch.is_open("y")
    watch.keeps("y")
    assert [line.outcome for line in watch.report().lines] == [Outcome.PASS]


def test_what_was_broken_once_stays_broken_for_its_first_reason() -> None:
    told: list[Line] = []
    watch = a_watch(told)
    watch.keeps("y")
    watch.breaks("y", "một", "first")
    watch.breaks("y", "hai", "second")
    watch.keeps("y")
    (line,) = watch.report().lines
    assert (line.outcome, line.reason and line.reason.en) == (Outcome.FAIL, "first")
    assert [line.outcome for line in told] == [Outcome.PASS, Outcome.FAIL], "each change once"


@pytest.mark.parametrize("protocol", sorted(RULES))
def test_watched_rules_have_names_and_sentences_of_their_own(protocol: str) -> None:
    rules = RULES[protocol]
    assert len({r.name for r in rules}) == len({r.vi for r in rules}) == len({r.en for r in rules}) == len(rules)


# What the kit sends


def test_a_test_letter_is_a_package_without_departures() -> None:
    letter = samples.a_letter("000.00.14.H37", ["H37.21"])
    seen = samples.seen_in(letter.raw)
    assert (seen.warnings, str(seen.envelope.document_id)) == ((), letter.document_id)
    samples.require_same(letter, letter.raw)


def test_no_two_test_letters_are_one_document() -> None:
    assert len({samples.a_letter("000.00.14.H37", ["H37.21"]).document_id for _ in range(50)}) == 50


def test_a_recall_names_its_letter() -> None:
    letter = samples.a_letter("000.00.14.H37", ["H37.21"])
    business = samples.seen_in(samples.recall(letter).raw).envelope.business
    assert business is not None
    assert (business.type, str(business.document_id)) == (BusinessType.REVOKE, letter.document_id)


@pytest.mark.parametrize("code", [StatusCode.REGISTERED, StatusCode.DISAGREED])
def test_a_report_is_a_package_without_departures(code: StatusCode) -> None:
    letter = samples.a_letter("000.00.14.H37", ["H37.21"])
    seen = samples.seen_in(samples.a_report(letter, "H37.21", code))
    assert seen.warnings == ()
    assert seen.envelope.responses[0].code == AgencyCode("000.00.14.H37")


def test_another_letter_or_another_file_is_not_the_same() -> None:
    letter, other = (samples.a_letter("000.00.14.H37", ["H37.21"]) for _ in range(2))
    with pytest.raises(Broken):
        samples.require_same(letter, other.raw)
    with pytest.raises(Broken):
        samples.require_same(letter, b"<edXML")


def test_what_lacks_its_recipient_is_not_read() -> None:
    letter = samples.a_letter("000.00.14.H37", ["H37.21"]).raw
    start, end = letter.index(b"<edXML:To>"), letter.index(b"</edXML:To>") + len(b"</edXML:To>")
    with pytest.raises(InvalidPackage):
        samples.seen_in(letter[:start] + letter[end:])


def test_the_kit_s_hash_leaves_out_the_zeros() -> None:
    """SHA-256 of ``b`` is ``3e23e8 16 00 39 … 7a 00 88 … d5 9c 00 9d``."""
    assert unpadded(b"b") == "3e23e816039594a33894f6564e1b1348bbd7a088d42c4acb73eeaed59c09d"
    assert unpadded(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "none to leave out"
