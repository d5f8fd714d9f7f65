"""Registering, replacing and ending certificates: what an agency's entry says afterwards."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.directory.certificates import (
    Registration,
    added,
    covered,
    ended,
    find_registrations,
    register_certificate,
    registered_certificates,
    rotated,
)
from gateway.errors import KeyUnusable, NotFound, StateConflict
from gateway.model import Agency, RegisteredCertificate
from gateway.signing.keys import SigningKey, certificates_to_pem, subject_name
from tests.support import pki
from tests.support.agencies import an_agency

DAY = timedelta(days=1)
NOW = pki.NOW


def of(key: SigningKey | x509.Certificate, role: str = "agency", holder: str | None = None) -> RegisteredCertificate:
    certificate = key.certificate if isinstance(key, SigningKey) else key
    return register_certificate(certificates_to_pem([certificate]).decode(), role=role, holder=holder)


OLD, NEW, OTHER = of(pki.agency()), of(pki.agency_ec()), of(pki.other_agency())
AGENCY = an_agency("H37.21", certificates=(OLD,))


def counting(agency: Agency, at: timedelta) -> set[str]:
    return {c.sha256 for c in registered_certificates(agency, at=NOW + at)}


def test_a_certificate_is_added_once_per_role() -> None:
    both = added(AGENCY, NEW)
    assert [c.sha256 for c in both.certificates] == [OLD.sha256, NEW.sha256]
    with pytest.raises(StateConflict):
        added(both, NEW)
    assert len(added(both, of(pki.agency_ec(), role="gateway")).certificates) == 3


def test_a_certificate_whose_name_cannot_be_read_is_not_registered() -> None:
    der = pki.agency().certificate.public_bytes(Encoding.DER)
    broken = der.replace("Sở".encode(), b"\xff\xff\xff\xff")
    assert broken != der
    with pytest.raises(KeyUnusable):
        of(x509.load_der_x509_certificate(broken))


def test_after_a_rotation_both_count_for_the_overlap_and_then_the_new_one_alone() -> None:
    agency, replaced = rotated(AGENCY, NEW, replaces=None, now=NOW, overlap=7 * DAY)
    assert replaced == OLD
    assert counting(agency, timedelta(0)) == {OLD.sha256, NEW.sha256}
    assert counting(agency, 7 * DAY - timedelta(seconds=1)) == {OLD.sha256, NEW.sha256}
    assert counting(agency, 7 * DAY) == {NEW.sha256}


def test_the_overlap_begins_when_the_new_one_begins_to_count() -> None:
    later = register_certificate(NEW.pem, valid_from=NOW + 10 * DAY)
    agency, _ = rotated(AGENCY, later, replaces=None, now=NOW, overlap=DAY)
    assert counting(agency, 10 * DAY - timedelta(seconds=1)) == {OLD.sha256}
    assert counting(agency, 11 * DAY) == {NEW.sha256}


def test_a_certificate_that_is_dated_ahead_leaves_no_time_without_one() -> None:
    ahead = pki.certify(subject_name("Mới"), at=NOW + 10 * DAY)
    agency, _ = rotated(AGENCY, of(ahead), replaces=None, now=NOW, overlap=DAY)
    assert OLD.sha256 in counting(agency, 11 * DAY - timedelta(seconds=1))
    assert OLD.sha256 not in counting(agency, 11 * DAY)


def test_nothing_is_replaced_by_what_has_ended() -> None:
    with pytest.raises(StateConflict):
        rotated(AGENCY, of(pki.expired()), replaces=None, now=NOW, overlap=DAY)


def test_a_certificate_of_several_agencies_and_roles_is_found_whole() -> None:
    second = an_agency("H37.22", certificates=(OLD, of(pki.agency(), "gateway")))
    found = find_registrations([AGENCY, second], OLD.sha256)
    assert [(r.agency.code, r.certificate.role) for r in found] == [
        ("H37.21", "agency"),
        ("H37.22", "agency"),
        ("H37.22", "gateway"),
    ]


def test_a_rotation_never_lengthens_a_registration() -> None:
    ending = ended(AGENCY, OLD.sha256, at=NOW + DAY)
    agency, _ = rotated(ending, NEW, replaces=None, now=NOW, overlap=30 * DAY)
    assert counting(agency, DAY) == {NEW.sha256}


def test_a_rotation_needs_one_certificate_that_it_replaces() -> None:
    with pytest.raises(NotFound):
        rotated(AGENCY, of(pki.agency_ec(), role="person"), replaces=None, now=NOW, overlap=DAY)
    several = added(AGENCY, OTHER)
    with pytest.raises(StateConflict):
        rotated(several, NEW, replaces=None, now=NOW, overlap=DAY)
    agency, replaced = rotated(several, NEW, replaces=OTHER.sha256[:10], now=NOW, overlap=DAY)
    assert replaced == OTHER
    assert counting(agency, DAY) == {OLD.sha256, NEW.sha256}


def test_of_two_persons_only_the_one_named_is_replaced_and_the_holder_stays() -> None:
    a, b = of(pki.agency(), "person", "Bà A"), of(pki.other_agency(), "person", "Ông B")
    agency = an_agency("H37.21", certificates=(a, b))
    after, replaced = rotated(agency, of(pki.agency_ec(), "person"), replaces=b.sha256, now=NOW, overlap=DAY)
    assert replaced == b
    assert after.certificates[-1].holder == "Ông B"
    assert counting(after, DAY) == {a.sha256, NEW.sha256}


def test_ending_is_history_and_not_forgetting() -> None:
    agency = ended(AGENCY, OLD.sha256, at=NOW)
    assert counting(agency, -DAY) == {OLD.sha256}
    assert counting(agency, timedelta(0)) == set()
    assert ended(agency, OLD.sha256, at=NOW + DAY) == agency


def test_a_certificate_is_found_by_the_beginning_of_its_name_alone() -> None:
    both = [AGENCY, an_agency("H37.22", certificates=(NEW,))]
    (found,) = find_registrations(both, NEW.sha256[:8].upper())
    assert found.agency.code == "H37.22"
    for wanted in (NEW.sha256[:7], "f" * 64, "not hex!", ""):
        with pytest.raises(NotFound):
            find_registrations(both, wanted)


def test_a_certificate_is_covered_by_one_of_the_same_role_and_holder_that_goes_on() -> None:
    ending = ended(AGENCY, OLD.sha256, at=NOW + DAY)
    assert not covered(Registration(agency=ending, certificate=ending.certificates[0]))
    with_new = added(ending, NEW)
    assert covered(Registration(agency=with_new, certificate=with_new.certificates[0]))
    assert not covered(Registration(agency=with_new, certificate=with_new.certificates[1]))
    other_role = added(ending, of(pki.agency_ec(), "person", "Bà A"))
    assert not covered(Registration(agency=other_role, certificate=other_role.certificates[0]))
    too_late = added(ending, register_certificate(NEW.pem, valid_from=NOW + 2 * DAY))
    assert not covered(Registration(agency=too_late, certificate=too_late.certificates[0]))
