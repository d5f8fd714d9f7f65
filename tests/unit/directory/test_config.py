"""The directories that come with the program hold together and show what they are to show."""

import re
from pathlib import Path

import pytest

from gateway.directory import Directory, LocalSite, check_site, dump_agencies, load_agencies, parse_agencies
from gateway.errors import RecipientClosed
from gateway.model import AgencyCode, Channel, Severity
from gateway.routing import route
from tests.support.agencies import BEFORE_JULY, LANG_SON, NATIONAL, NOW
from tests.support.samples import sample, sample_names

CONFIG = Path(__file__).resolve().parents[3] / "config"
LAO_CAI = LocalSite(
    code=AgencyCode("000.00.00.H38"),
    first_levels=frozenset({"H38", "H63"}),
    default_route=AgencyCode("000.00.22.W00"),
)
SITES = {
    "agencies.toml": LANG_SON,
    "demo/langson.agencies.toml": LANG_SON,
    "demo/laocai.agencies.toml": LAO_CAI,
    "demo/national.agencies.toml": NATIONAL,
}


def directory_of(name: str) -> Directory:
    return Directory(load_agencies(CONFIG / name), SITES[name])


def one(text: str) -> list[AgencyCode]:
    return [AgencyCode(text)]


@pytest.mark.parametrize("name", SITES)
def test_a_shipped_directory_is_without_errors(name: str) -> None:
    assert [f for f in check_site(directory_of(name), at=NOW) if f.severity is Severity.ERROR] == []


@pytest.mark.parametrize("name", SITES)
def test_a_shipped_directory_survives_being_dumped_and_read(name: str) -> None:
    agencies = directory_of(name).agencies()
    assert parse_agencies(dump_agencies(agencies), source=name, folder=CONFIG) == list(agencies)


@pytest.mark.parametrize("name", SITES)
def test_a_shipped_directory_holds_no_personal_data(name: str) -> None:
    text = (CONFIG / name).read_text(encoding="utf-8")
    assert "@" not in text
    assert not re.search(r"\b0[0-9]{8,10}\b", text)


@pytest.mark.parametrize(("name", "peer"), [("langson", "000.00.00.H37"), ("laocai", "000.00.00.H38")])
def test_the_national_directory_knows_every_agency_of_the_provinces(name: str, peer: str) -> None:
    national, here = directory_of("demo/national.agencies.toml"), directory_of(f"demo/{name}.agencies.toml")
    inside = [a for a in here.agencies() if here.is_inside(a)]
    assert inside
    for agency in inside:
        known = national.get(agency.code)
        assert known is not None
        assert (known.codes, known.name, known.valid_to, known.successors) == (
            agency.codes,
            agency.name,
            agency.valid_to,
            agency.successors,
        )
        living = national.successor(known, at=NOW)
        if living is not None:
            holder = national.endpoint_holder(living, at=NOW)
            assert holder is not None
            assert holder.code == peer
            assert national.speaks_for(holder, agency.code, at=NOW)


def test_the_sample_packages_can_be_routed_by_the_national_gateway() -> None:
    national = directory_of("demo/national.agencies.toml")
    names = sample_names() or [sample("edoc.edxml").name]
    for name in names:
        text = sample(name).read_text(encoding="utf-8", errors="replace")
        text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
        senders = re.findall(r"<edXML:From>\s*<edXML:OrganId>(.*?)</", text)
        recipients = re.findall(r"<edXML:To>\s*<edXML:OrganId>(.*?)</", text)
        assert senders, name
        assert all(national.find(code, at=NOW) for code in senders), name
        if recipients:
            assert route([AgencyCode(code) for code in recipients], national, at=NOW), name


def test_the_demo_shows_three_tiers_and_two() -> None:
    langson = directory_of("demo/langson.agencies.toml")
    (before,) = route(one("000.00.24.H37"), langson, at=BEFORE_JULY)
    assert before.via == "000.00.24.H37"
    with pytest.raises(RecipientClosed) as caught:
        route(one("000.00.24.H37"), langson, at=NOW)
    assert caught.value.choices == ("H37.21", "H37.22")
    (redirected,) = route(one("H37.25"), langson, at=NOW)
    assert (redirected.recipient, redirected.redirected_from) == ("H37.23", "000.00.25.H37")
    (station,) = route(one("000.27.24.H37"), langson, at=NOW)
    assert station.via == "000.00.00.H37"
    district, commune = route([AgencyCode("H37.26"), AgencyCode("H37.26.21")], langson, at=NOW)
    assert (district.via, commune.recipient, commune.via) == ("000.00.26.H37", "000.21.26.H37", "000.00.26.H37")


def test_the_demo_shows_mailbox_push_and_axis() -> None:
    langson = directory_of("demo/langson.agencies.toml")
    routes = route([AgencyCode(c) for c in ("21.24.H37", "H37.14.1", "H38")], langson, at=NOW)
    # A mailbox commune by its old short code, a unit behind a department's push, a neighbour behind the axis.
    assert [r.endpoint.channel for r in routes] == [Channel.MAILBOX, Channel.PUSH, Channel.VXP]


def test_the_merged_province_is_redirected() -> None:
    (only,) = route(one("H63"), directory_of("demo/laocai.agencies.toml"), at=NOW)
    assert (only.recipient, only.redirected_from) == ("000.00.00.H38", "000.00.00.H63")
