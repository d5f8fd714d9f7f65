"""Agencies as TOML: what is read, what is refused and by what name, and writing back the same."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from gateway.directory import (
    certificate_of,
    check_agencies,
    check_site,
    dump_agencies,
    load_agencies,
    parse_agencies,
    registered_certificates,
)
from gateway.directory.certificates import register_certificate
from gateway.directory.rows import from_body, to_body
from gateway.errors import DirectoryInvalid, KeyUnusable
from gateway.model import Agency, AgencyCode, Channel, Endpoint, Level, Severity, Standing
from tests.support.agencies import MAILBOX, NATIONAL, NOW, PEER, a_directory, an_agency, code

DAY = timedelta(days=1)
GOOD = '[[agency]]\ncode = "H37"\nname = "UBND tỉnh Lạng Sơn"\nlevel = "province"\n'


def make_pem(name: str = "Sở mẫu", *, days: int = 365) -> tuple[str, str]:
    """PEM of a certificate that lasts so many days from ``NOW``, and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = x509.CertificateBuilder(subject, subject, key.public_key(), 1, NOW - DAY, NOW + days * DAY).sign(
        key, hashes.SHA256()
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), secret.decode()


PEM, KEY = make_pem()


def parse(text: str, folder: Path = Path("nowhere")) -> list[Agency]:
    return parse_agencies(text, source="agencies.toml", folder=folder)


def test_every_field_is_read() -> None:
    (above, closed) = parse(
        GOOD
        + f'''
[[agency]]
code = "14.h37"
aliases = ["h37.14"]
name = "Sở \\"mẫu\\""
level = "department"
parent = "H37"
valid_from = 2020-01-01
valid_to = 2025-07-01
successors = ["h37"]
closed_reason = "Hợp nhất"
accepts = ["valid", "unsigned"]
tolerate_sha1 = true
tolerate_rsa_1024 = true
hidden = true
[agency.endpoint]
channel = "push"
url = "https://so.example/edoc"
credential = "so"
[[agency.certificates]]
pem = """
{PEM}"""
role = "person"
valid_from = 2025-07-01
valid_to = 2026-01-01T00:00:00Z
'''
    )
    assert above.level is Level.PROVINCE
    assert closed.codes == ("000.00.14.H37", "H37.14")
    assert (closed.name, closed.parent, closed.successors) == ('Sở "mẫu"', "H37", ("H37",))
    assert (closed.valid_from, closed.valid_to) == (date(2020, 1, 1), date(2025, 7, 1))
    assert closed.accepts == {Standing.VALID, Standing.UNSIGNED}
    assert closed.tolerate_sha1
    assert closed.tolerate_rsa_1024
    assert closed.hidden
    assert closed.endpoint == Endpoint(channel=Channel.PUSH, url="https://so.example/edoc", credential="so")
    (certificate,) = closed.certificates
    assert certificate.role == "person"
    assert certificate.valid_from == datetime(2025, 6, 30, 17, tzinfo=UTC)
    assert certificate.valid_to == datetime(2026, 1, 1, tzinfo=UTC)
    assert certificate.sha256 == certificate_of(certificate).fingerprint(hashes.SHA256()).hex()


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ('succesors = ["H38"]', "succesors"),
        ('level2 = "x"', "level2"),
        ("valid_to = 2025-07-01T00:00:00Z", "valid_to"),
        ('valid_from = "2025-07-01"', "valid_from"),
        ("hidden = 1", "hidden"),
        ("aliases = [1]", "aliases"),
        ('aliases = "H38"', "aliases"),
        ('accepts = ["fine"]', "accepts"),
        ('accepts = ["invalid"]', "accepts"),
        ('parent = "H38"', "parent"),
        ('parent = "H37"', "parent"),  # its own: a circle, and a province below a province
        ('successors = ["H38"]\nvalid_to = 2025-07-01', "successors"),
        ('successors = ["H37"]\nvalid_to = 2025-07-01', "successors"),
        ("valid_from = 2025-07-01\nvalid_to = 2025-07-01", "valid_to"),
        ('aliases = ["H37"]', "aliases"),
        ('aliases = ["a b"]', "aliases"),
        (f'aliases = ["{"X" * 36}"]', "aliases"),
        ('endpoint = "mailbox"', "endpoint"),
        ("[agency.endpoint]", "endpoint.channel"),
        ('[agency.endpoint]\nchannel = "fax"', "endpoint.channel"),
        ('[agency.endpoint]\nchannel = "push"', "endpoint.url"),
        ('[agency.endpoint]\nchannel = "peer"', "endpoint.url"),
        ('[agency.endpoint]\nchannel = "push"\nurl = "ftp://x"', "endpoint.url"),
        ('[agency.endpoint]\nchannel = "push"\nurl = "https://x:y"', "endpoint.url"),
        ('[agency.endpoint]\nchannel = "push"\nurl = "https://me:secret@x.example"', "endpoint.url"),
        ('[agency.endpoint]\nchannel = "mailbox"\nurl = "https://x.example"', "endpoint.url"),
        ('[agency.endpoint]\nchannel = "mailbox"\nport = 1', "endpoint.port"),
        ('[[agency.certificates]]\npem = "no certificate"', "certificates.pem"),
        ("[[agency.certificates]]", "certificates.pem"),
        ('[[agency.certificates]]\npem = "x"\nfile = "y"', "certificates.pem"),
        ('[[agency.certificates]]\nfile = "../secret.pem"', "certificates.file"),
        ('[[agency.certificates]]\nfile = "/etc/hostname"', "certificates.file"),
        ('[[agency.certificates]]\nfile = "absent.pem"', "certificates.file"),
        (f'[[agency.certificates]]\nrole = "boss"\npem = """{PEM}"""', "certificates.role"),
        (f'[[agency.certificates]]\nvalid_to = 2025-07-01T00:00:00\npem = """{PEM}"""', "certificates.valid_to"),
        (f'[[agency.certificates]]\npem = """{PEM}{PEM}"""', "certificates.pem"),
        (f'[[agency.certificates]]\npem = """{PEM}{KEY}"""', "certificates.pem"),
        (f'[agency.certificates]\npem = """{PEM}"""', "certificates"),
    ],
)
def test_what_is_wrong_is_refused_naming_file_agency_and_key(change: str, key: str) -> None:
    with pytest.raises(DirectoryInvalid) as caught:
        parse(GOOD + change)
    assert caught.value.path == f"H37.{key}"
    assert caught.value.detail.startswith(f"agencies.toml: H37: {key}: ")


@pytest.mark.parametrize("missing", ["code", "name", "level"])
def test_what_is_missing_is_named(missing: str) -> None:
    lines = [line for line in GOOD.splitlines() if not line.startswith(missing)]
    with pytest.raises(DirectoryInvalid) as caught:
        parse("\n".join(lines))
    assert caught.value.path == ("agency 1" if missing == "code" else "H37") + f".{missing}"


@pytest.mark.parametrize("text", ["code = ", 'agencies = "x"', "[agency]\n", "agency = [1]", GOOD.replace("H37", "")])
def test_what_is_not_a_list_of_agencies_is_refused(text: str) -> None:
    with pytest.raises(DirectoryInvalid):
        parse(text)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(DirectoryInvalid) as caught:
        parse(GOOD + "wrong = 1\nworse = 2\n")
    assert "wrong" in caught.value.detail
    assert "worse" in caught.value.detail


def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DirectoryInvalid, match=r"absent\.toml"):
        load_agencies(tmp_path / "absent.toml")


def test_a_certificate_may_lie_beside_the_file_and_never_outside(tmp_path: Path) -> None:
    inside = tmp_path / "config"
    (inside / "certs").mkdir(parents=True)
    (inside / "certs" / "so.pem").write_text(PEM)
    (tmp_path / "outside.pem").write_text(PEM)
    (inside / "link.pem").symlink_to(tmp_path / "outside.pem")
    path = inside / "agencies.toml"
    path.write_text(GOOD + '[[agency.certificates]]\nfile = "certs/so.pem"\n')
    (agency,) = load_agencies(path)
    assert agency.certificates[0].pem == PEM
    path.write_text(GOOD + '[[agency.certificates]]\nfile = "link.pem"\n')
    with pytest.raises(DirectoryInvalid):
        load_agencies(path)


def test_no_private_key_enters_the_directory() -> None:
    with pytest.raises(KeyUnusable):
        register_certificate(KEY + PEM)


def test_certificates_count_in_their_time_and_role() -> None:
    agency = an_agency(
        "H37",
        certificates=(
            register_certificate(PEM, valid_to=NOW),
            register_certificate(make_pem()[0], valid_from=NOW),
            register_certificate(make_pem()[0], role="gateway"),
        ),
    )
    old, new, gateway = agency.certificates
    assert registered_certificates(agency, at=NOW - DAY) == (old,)
    assert registered_certificates(agency, at=NOW) == (new,)
    assert registered_certificates(agency, at=NOW, roles=("gateway",)) == (gateway,)


# The whole


def errors_of(*agencies: Agency) -> list[tuple[str, str]]:
    return [(f.agency, f.key) for f in check_agencies(agencies) if f.severity is Severity.ERROR]


def warnings_of(*agencies: Agency) -> list[tuple[str, str]]:
    return [(f.agency, f.key) for f in check_agencies(agencies) if f.severity is Severity.WARNING]


PROVINCE = an_agency("000.00.00.H37", "H37", level=Level.PROVINCE)
JULY = date(2025, 7, 1)


def test_a_code_belongs_to_one_agency_at_a_time() -> None:
    assert errors_of(PROVINCE, an_agency("H38", "H37", level=Level.PROVINCE)) == [("H38", "aliases")]
    assert errors_of(PROVINCE, PROVINCE) == [("000.00.00.H37", "code")]


def test_a_code_may_pass_on_when_its_holder_closes() -> None:
    before = an_agency("H38.CU", "H38", level=Level.PROVINCE, valid_to=JULY, closed_reason="x")
    assert errors_of(before, an_agency("H38.MOI", "H38", level=Level.PROVINCE, valid_from=JULY)) == []
    overlapping = an_agency("H38.MOI", "H38", level=Level.PROVINCE, valid_from=date(2025, 6, 30))
    assert errors_of(before, overlapping) == [("H38.MOI", "aliases")]


def test_a_passed_on_code_cannot_be_a_reference() -> None:
    before = an_agency("H38.CU", "H38", level=Level.PROVINCE, valid_to=JULY, closed_reason="x")
    after = an_agency("H38.MOI", "H38", level=Level.PROVINCE, valid_from=JULY)
    assert errors_of(before, after, an_agency("H38.1", parent="H38")) == [("H38.1", "parent")]
    assert errors_of(before, after, an_agency("H38.1", parent="H38.MOI")) == []


def test_circles_are_found_wherever_they_lie() -> None:
    ring = [an_agency(f"H37.{n}", parent=f"H37.{(n + 1) % 3}") for n in range(3)]
    assert errors_of(*ring, an_agency("H37.9", parent="H37.0")) == [("H37.2", "parent")]
    heirs = [
        an_agency(f"H37.{n}", parent="H37", valid_to=JULY, successors=(f"H37.{1 - n}",), closed_reason="x")
        for n in range(2)
    ]
    assert errors_of(PROVINCE, *heirs) == [("H37.1", "successors")]


def test_two_ways_to_one_successor_are_no_circle() -> None:
    closed = {"parent": "H37", "valid_to": JULY, "closed_reason": "x"}
    diamond = [
        an_agency("H37.1", successors=("H37.2", "H37.3"), **closed),
        an_agency("H37.2", successors=("H37.4",), **closed),
        an_agency("H37.3", successors=("H37.4",), **closed),
        an_agency("H37.4", parent="H37"),
    ]
    assert errors_of(PROVINCE, *diamond) == []


def test_a_chain_of_thousands_is_checked_without_recursion() -> None:
    chain = [an_agency(f"H37.{n}", parent=f"H37.{n + 1}") for n in range(5_000)]
    assert errors_of(*chain, an_agency("H37.5000")) == []


@pytest.mark.parametrize(
    ("level", "parent_level", "allowed"),
    [
        (Level.COMMUNE, Level.DISTRICT, True),  # until 30 June 2025
        (Level.COMMUNE, Level.PROVINCE, True),  # since
        (Level.COMMUNE, Level.NATIONAL, False),
        (Level.DISTRICT, Level.COMMUNE, False),
        (Level.DEPARTMENT, Level.COMMUNE, True),
        (Level.PROVINCE, Level.PROVINCE, False),
        (Level.PROVINCE, Level.NATIONAL, True),
    ],
)
def test_levels_stand_below_the_right_ones(level: Level, parent_level: Level, *, allowed: bool) -> None:
    found = errors_of(an_agency("H37", level=parent_level), an_agency("H37.1", level=level, parent="H37"))
    assert (found == []) is allowed


def test_a_sub_agency_is_of_its_parents_first_level() -> None:
    assert errors_of(PROVINCE, an_agency("H40.1", parent="H37")) == [("H40.1", "parent")]
    merged = an_agency("000.00.00.H38", "H38", "H63", level=Level.PROVINCE)
    assert errors_of(merged, an_agency("H63.1", parent="H38")) == []


def test_what_an_operator_should_read_is_a_warning() -> None:
    assert warnings_of(PROVINCE, an_agency("H37.1", parent="H37", valid_to=JULY)) == [("H37.1", "closed_reason")]
    assert warnings_of(an_agency("VXP.SAAS.03", level=Level.NATIONAL)) == [("VXP.SAAS.03", "code")]
    assert warnings_of(an_agency("H37.1")) == [("H37.1", "parent")]
    http = Endpoint(channel=Channel.PUSH, url="http://so.example")
    assert warnings_of(an_agency("H37.1", parent="H37", endpoint=http), PROVINCE) == [
        ("H37.1", "endpoint.credential"),
        ("H37.1", "endpoint.url"),
    ]
    shared = (register_certificate(PEM),)
    one, two = (
        an_agency("H37.1", parent="H37", certificates=shared),
        an_agency("H37.2", parent="H37", certificates=shared),
    )
    assert warnings_of(PROVINCE, one, two) == [("H37.2", "certificates")]


def test_the_site_is_checked_at_a_moment() -> None:
    soon, past = register_certificate(make_pem(days=10)[0]), register_certificate(PEM, valid_to=NOW)
    agencies = [
        an_agency("000.00.00.H37", level=Level.PROVINCE, endpoint=MAILBOX, certificates=(soon, past)),
        an_agency("H37.1", parent="000.00.00.H37", valid_to=JULY),
        an_agency("H37.2", parent="H37.1"),
        an_agency("H37.3"),
    ]
    found = check_site(a_directory(agencies), at=NOW)
    assert [(f.severity, f.agency, f.key) for f in found] == [
        (Severity.ERROR, "site", "default_route"),
        (Severity.WARNING, "000.00.00.H37", "certificates"),
        (Severity.WARNING, "000.00.00.H37", "certificates"),
        (Severity.WARNING, "H37.2", "parent"),
        (Severity.WARNING, "H37.3", "endpoint"),
    ]
    assert check_site(a_directory([], NATIONAL), at=NOW)[0].key == "code"


# Writing


_texts = st.text(min_size=1, max_size=30).filter(lambda t: t.strip() and "\x00" not in t)


@st.composite
def agencies(draw: st.DrawFn) -> list[Agency]:
    """A province and agencies below it with any content that is allowed."""
    top = an_agency("H37", level=Level.PROVINCE, name=draw(_texts), endpoint=MAILBOX)
    found = [top]
    for n in range(draw(st.integers(0, 4))):
        closed = draw(st.booleans())
        found.append(
            an_agency(
                f"H37.{n}",
                *draw(st.sampled_from([(), (f"000.00.{n:02}.H37",)])),
                parent="H37",
                name=draw(_texts),
                valid_from=draw(st.none() | st.dates(date(1945, 9, 2), date(2000, 1, 1))),
                valid_to=draw(st.dates(date(2000, 1, 2), date(2100, 1, 1))) if closed else None,
                successors=("H37",) if closed else (),
                closed_reason=draw(_texts) if closed else None,
                accepts=draw(st.none() | st.frozensets(st.sampled_from([s for s in Standing if s != "invalid"]))),
                tolerate_sha1=draw(st.booleans()),
                tolerate_rsa_1024=draw(st.booleans()),
                hidden=draw(st.booleans()),
                endpoint=draw(st.sampled_from([None, MAILBOX, PEER])),
                certificates=draw(
                    st.sampled_from(
                        [
                            (),
                            (
                                register_certificate(
                                    PEM, role="person", holder='Bà "Hà"', valid_from=NOW, valid_to=NOW + DAY
                                ),
                            ),
                        ]
                    )
                ),
            )
        )
    return found


@given(agencies())
def test_what_is_written_is_read_back_the_same_and_written_the_same(found: list[Agency]) -> None:
    text = dump_agencies(found)
    again = parse(text)
    assert again == sorted(found, key=lambda a: a.code)
    assert dump_agencies(reversed(again)) == text


@given(agencies())
def test_what_is_stored_is_read_back_the_same(found: list[Agency]) -> None:
    parents: dict[str, AgencyCode] = {}
    assert [from_body(to_body(agency), parents) for agency in found] == found


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"code":"H37","name":"x","level":"moon"}', '{"code":1}'])
def test_a_stored_text_that_was_tampered_with_is_named(body: str) -> None:
    with pytest.raises(DirectoryInvalid):
        from_body(body, {})


def test_codes_of_the_factories_are_normal() -> None:
    assert code("14.h37") == AgencyCode("000.00.14.H37")
