"""Which certificates are told to end soon."""

from datetime import timedelta

import pytest

from gateway.directory.certificates import register_certificate
from gateway.exchange.expiry import counts, endings, to_announce
from gateway.model import Agency
from gateway.signing.keys import certificates_to_pem, fingerprint
from tests.support import pki
from tests.support.agencies import an_agency

DAY = timedelta(days=1)
CERTIFICATE = pki.agency().certificate
END = CERTIFICATE.not_valid_after_utc
PEM = certificates_to_pem([CERTIFICATE]).decode()
NEW = register_certificate(certificates_to_pem([pki.issue("Mới", at=END - 90 * DAY).certificate]).decode())


def agency(*more: object, **changes: object) -> Agency:
    return an_agency("H37.21", certificates=(register_certificate(PEM), *more), **changes)  # type: ignore[arg-type]


def told(*agencies: Agency, left: timedelta) -> list[tuple[str, int]]:
    now = END - left
    return [(e.sha256, e.days) for e in to_announce(endings(agencies, now=now), now=now)]


@pytest.mark.parametrize(
    ("left", "days"),
    [
        (timedelta(days=60, seconds=1), None),
        (timedelta(days=60), 60),
        (timedelta(days=30, seconds=1), 60),
        (timedelta(days=30), 30),
        (timedelta(days=7, seconds=1), 30),
        (timedelta(days=7), 7),
        (timedelta(seconds=1), 7),
        (timedelta(0), None),
    ],
)
def test_it_is_told_at_60_30_and_7_days(left: timedelta, days: int | None) -> None:
    expected = [] if days is None else [(fingerprint(CERTIFICATE), days)]
    assert told(agency(), left=left) == expected


def test_a_registered_successor_is_nothing_to_tell_of() -> None:
    assert told(agency(NEW), left=5 * DAY) == []
    assert told(agency(), an_agency("H37.22", certificates=(NEW,)), left=5 * DAY) == [(fingerprint(CERTIFICATE), 7)]


def test_the_end_of_a_registration_counts_when_it_comes_first() -> None:
    ending = an_agency("H37.21", certificates=(register_certificate(PEM, valid_to=END - 100 * DAY),))
    assert told(ending, left=105 * DAY) == [(fingerprint(CERTIFICATE), 7)]
    assert told(ending, left=50 * DAY) == []


def test_a_closed_agency_needs_no_certificate() -> None:
    assert told(agency(valid_to=(END - 90 * DAY).date()), left=5 * DAY) == []


def test_a_certificate_of_two_agencies_is_told_once_for_where_it_ends_first() -> None:
    first = an_agency("H37.22", certificates=(register_certificate(PEM, valid_to=END - 2 * DAY),))
    now = END - 6 * DAY
    (only,) = to_announce(endings([agency(), first], now=now), now=now)
    assert (only.days, only.ends, only.facts["agency"]) == (7, END - 2 * DAY, "H37.22")


def test_the_gateways_own_keys_are_told_too() -> None:
    now = END - 6 * DAY
    found = to_announce(endings([], own=CERTIFICATE, now=now), now=now)
    assert [(e.facts["origin"], e.days) for e in found] == [("own", 7)]
    found = to_announce(endings([], former=[CERTIFICATE], now=now), now=now)
    assert [(e.facts["origin"], e.days) for e in found] == [("former", 7)]


def test_how_many_end_within_each_number_of_days_is_counted() -> None:
    now = END - 20 * DAY
    assert counts(endings([agency()], now=now), now=now) == {7: 0, 30: 1, 60: 1}
    assert counts(endings([agency(NEW)], now=now), now=now) == {7: 0, 30: 0, 60: 0}
