"""
The only table of exit codes; ``docs/errors.md`` prints it.

A script needs to know four things apart: it worked; it did not and will not; it was called
wrongly; it may work later; somebody has to repair something first.
"""

from __future__ import annotations

from typing import Final

from gateway import errors

DONE: Final = 0
FAILED: Final = 1
"""Refused, found invalid, or not found; the same call will fail again."""
USAGE: Final = 2
"""The command line is wrong; as click has it."""
LATER: Final = 3
"""Nothing is wrong with the call; the same may succeed later."""
OPERATOR: Final = 4
"""An operator has to act first: settings, keys, database."""
INTERRUPTED: Final = 130
"""Ctrl-C; as shells have it (128 + SIGINT)."""

_OF_ERROR: Final[dict[type[errors.GatewayError], int]] = {
    errors.GatewayError: FAILED,
    errors.IncompleteUpload: LATER,
    errors.RevocationUnknown: LATER,
    errors.TooManyRequests: LATER,
    errors.DeliveryError: LATER,
    errors.PeerUntrusted: OPERATOR,
    errors.EndpointMisconfigured: OPERATOR,
    errors.PeerRefused: FAILED,
    errors.OperatorError: OPERATOR,
    errors.TokenAbsent: LATER,
    errors.SigningProcessGone: LATER,
    errors.LedgerUnavailable: LATER,
    errors.PayloadStoreUnavailable: LATER,
    errors.StorageFull: LATER,
}


def exit_code(error: errors.GatewayError) -> int:
    """The exit code of an error: that of the nearest listed ancestor."""
    return next(_OF_ERROR[kind] for kind in type(error).__mro__ if kind in _OF_ERROR)
