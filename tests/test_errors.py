"""What holds for the whole error tree."""

import re

import pytest

from gateway.errors import GatewayError, every_error
from tests.support import error_table

ERRORS = list(every_error())


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [e.code for e in ERRORS]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: e.code)
def test_every_error_speaks_both_languages(error: type[GatewayError]) -> None:
    assert re.fullmatch(r"[a-z]+(\.[a-z_]+)+", error.code)
    assert error.vi.endswith(".")
    assert error.en().endswith((".", "`."))
    assert error.__dict__["vi"] != GatewayError.vi or error is GatewayError


def test_the_page_of_errors_lists_each_of_them_as_it_is() -> None:
    assert error_table.written() == error_table.table()
