"""Person or agency, by what issuers write into a subject; in which cases nobody can say."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from gateway.model import SignerRole
from gateway.signing.files.policy import role_by_subject
from gateway.signing.keys import known
from tests.support import pki

PERSON, AGENCY, UNKNOWN = SignerRole.PERSON, SignerRole.AGENCY, SignerRole.UNKNOWN
CN, O, OU = NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME  # noqa: E741 - X.520's


def role(*attributes: tuple[x509.ObjectIdentifier, str]) -> SignerRole:
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])
    return role_by_subject(known(pki.certify(subject, pki.person().private).certificate))


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ([(CN, "Nguyễn Văn A"), (O, "Sở Nội vụ")], PERSON),
        ([(CN, "Vũ Thị B"), (O, "Vụ Tổ chức cán bộ")], PERSON),  # Vũ is a surname, Vụ a department
        ([(CN, "Đoàn Văn C"), (O, "UBND tỉnh")], PERSON),
        ([(CN, "NGUYEN VAN D"), (NameOID.USER_ID, "CMND:082000000")], PERSON),
        ([(CN, "Ủy ban nhân dân tỉnh"), (NameOID.SERIAL_NUMBER, "CCCD:0010")], PERSON),  # a number decides
        ([(CN, "E"), (NameOID.GIVEN_NAME, "E")], PERSON),
        ([(O, "Ủy ban nhân dân tỉnh Lạng Sơn")], AGENCY),
        ([(O, "UBND tỉnh"), (OU, "Văn phòng")], AGENCY),
        ([(CN, "Sở Tài chính"), (O, "SỞ TÀI CHÍNH")], AGENCY),
        ([(CN, "Ủy ban nhân dân xã Đồng Đăng"), (O, "Ban Cơ yếu Chính phủ")], AGENCY),
        ([(CN, "UBND TINH LANG SON"), (O, "Ban Co yeu Chinh phu")], AGENCY),
        ([(CN, "Vụ Tổ chức cán bộ"), (O, "Bộ Nội vụ")], AGENCY),
        ([(CN, "Ai đó"), (NameOID.USER_ID, "MST:0100000000")], AGENCY),
        ([(CN, "Con dấu số 000.00.14.H37"), (NameOID.USER_ID, "000.00.14.H37"), (O, "Tỉnh Lạng Sơn")], AGENCY),
        ([(NameOID.COUNTRY_NAME, "VN")], UNKNOWN),
    ],
)
def test_the_subject_tells_person_from_agency(
    attributes: list[tuple[x509.ObjectIdentifier, str]], expected: SignerRole
) -> None:
    assert role(*attributes) is expected
