"""Programs that a machine may lack are named, not passed over."""

from tests.support.programs import needs, not_judged, program


def test_a_program_that_is_there_is_found() -> None:
    assert program("sh") is not None


def test_a_test_whose_program_is_absent_is_skipped_with_its_name() -> None:
    mark = needs("sh", "no-such-program").mark

    assert mark.args == (True,)
    assert not_judged([mark.kwargs["reason"]]) == {"no-such-program": 1}


def test_other_reasons_for_skipping_count_for_no_program() -> None:
    assert not not_judged(["The samples are not here."])
