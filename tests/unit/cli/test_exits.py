"""Exit codes."""

import pytest

from gateway import errors
from gateway.cli import exits


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.MalformedPackage, exits.FAILED),
        (errors.NotFound, exits.FAILED),
        (errors.IncompleteUpload, exits.LATER),
        (errors.PeerUnreachable, exits.LATER),
        (errors.TooManyRequests, exits.LATER),
        (errors.PeerUntrusted, exits.OPERATOR),
        (errors.PeerRefused, exits.FAILED),
        (errors.EndpointMisconfigured, exits.OPERATOR),
        (errors.SettingsInvalid, exits.OPERATOR),
        (errors.LedgerUnavailable, exits.LATER),
        (errors.LedgerOutdated, exits.OPERATOR),
        (errors.StorageFull, exits.LATER),
    ],
)
def test_the_exit_code_tells_what_to_do(kind: type[errors.GatewayError], code: int) -> None:
    assert exits.exit_code(kind.__new__(kind)) == code


def test_every_error_has_an_exit_code_that_is_neither_success_nor_usage() -> None:
    for kind in errors.every_error():
        assert exits.exit_code(kind.__new__(kind)) in (exits.FAILED, exits.LATER, exits.OPERATOR)


def test_what_may_pass_by_itself_asks_to_be_tried_later_unless_somebody_has_to_act() -> None:
    for kind in errors.every_error():
        code = exits.exit_code(kind.__new__(kind))
        if kind.disposition is errors.Disposition.REJECT:
            assert code == exits.FAILED, kind
        if code == exits.LATER:
            assert kind.disposition is errors.Disposition.RETRY, kind
