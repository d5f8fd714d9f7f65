"""Set up the three gateways: folders, ports, keys, certificates, directories, API keys."""

from __future__ import annotations

import base64
import secrets
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from gateway.cli.demo.mail import DEPARTMENT, GOVERNMENT_OFFICE, LANG_SON, LAO_CAI, NATIONAL, Office
from gateway.cli.demo.trust import INTERMEDIATE, ROOT, make_authorities
from gateway.cli.founding import CERTIFICATE, found, make_keys, settings_toml, write_new
from gateway.cli.keys import make_key
from gateway.directory import dump_agencies, load_agencies
from gateway.directory.certificates import register_certificate
from gateway.errors import SettingsInvalid
from gateway.exchange.systems import KEY_FILE, SecretBox, add_system
from gateway.ledger import Ledger, open_engine
from gateway.model import Agency, AgencyCode, Channel, Endpoint, RegisteredCertificate
from gateway.settings import Settings, load_settings
from gateway.signing.keys import certificates_to_pem, load_certificates, write_secret

GATEWAYS: Mapping[str, tuple[AgencyCode, str, tuple[str, ...], AgencyCode | None]] = {
    "national": (NATIONAL, "Trục quốc gia (mô phỏng)", (), None),
    "langson": (LANG_SON, "Trục liên thông tỉnh Lạng Sơn", ("H37",), NATIONAL),
    "laocai": (LAO_CAI, "Trục liên thông tỉnh Lào Cai", ("H38", "H63"), NATIONAL),
}
"""Name → code, name on the screen, first levels, gateway above."""

_SYSTEMS_ABOVE = {"langson": "00.37.W00", "laocai": "00.38.W00"}
"""The id under which a province's gateway is known to the national axis; its directory names the same."""
LGSP_SYSTEM = "H37.21"
"""The id of the eOffice of a commune of Lạng Sơn that speaks the provincial protocol, and its code."""
_PORT_ORDER = ("national", "langson", "laocai", "receiver")


@dataclass(kw_only=True)
class DemoGateway:
    """One gateway of the demo."""

    name: str
    title: str
    settings: Settings
    config: Path
    port: int
    password: str | None
    """Of its first operator."""
    keys: dict[AgencyCode, str]
    """API keys by agency."""
    secrets: dict[str, str] = field(default_factory=dict)
    """Of the systems registered there, by id."""

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True, kw_only=True)
class Places:
    """Everything that was set up."""

    folder: Path
    gateways: Mapping[str, DemoGateway]
    offices: Mapping[str, Office]
    root: Path
    """The certificate from which all others can be judged."""
    receiver_port: int
    push_secret: Path
    agencies: Mapping[str, Sequence[Agency]]
    """The directory of each gateway."""
    catalogue: Sequence[Agency]
    """The national directory: who is who."""

    @property
    def collected_by_gateways(self) -> Mapping[str, frozenset[AgencyCode]]:
        """Gateway → agencies whose mailboxes there are emptied by the gateways below."""
        return {"national": frozenset(GATEWAYS[name][0] for name in _SYSTEMS_ABOVE)}


def demo_config() -> Path:
    """
    The folder with the demo's directories.

    :raises SettingsInvalid: the program was installed without them.
    """
    # The own one first: above an installed wheel, ``config`` may be somebody else's.
    for folder in (Path(__file__).with_name("config"), Path(__file__).parents[3] / "config" / "demo"):
        if (folder / "langson.agencies.toml").is_file():
            return folder
    raise SettingsInvalid("The demo's directories (config/demo) are not beside the program; run it from the project.")


def free_ports(base: int | None) -> dict[str, int]:
    """
    Ports on the loopback for the demo's processes.

    :param base: take these and the following; ``None`` takes any free ones.
    :raises SettingsInvalid: one of them is taken.
    """
    held: list[socket.socket] = []
    try:
        for number in range(len(_PORT_ORDER)):
            wanted = base + number if base is not None else 0
            try:
                held.append(socket.create_server(("127.0.0.1", wanted)))
            except OSError as e:
                raise SettingsInvalid(f"The port {wanted} cannot be used: {e.strerror}.") from e
        return {name: s.getsockname()[1] for name, s in zip(_PORT_ORDER, held, strict=True)}
    finally:
        for listener in held:
            listener.close()


def set_up(folder: Path, *, now: datetime, port_base: int | None) -> Places:
    """
    Make everything that the demo's processes need, in a folder of its own.

    :param now: aware; certificates are valid from then on.
    """
    ports = free_ports(port_base)
    authorities = make_authorities(folder, now=now)
    push_secret = folder / "so-khcn.whsec"
    write_secret(push_secret, b"whsec_" + base64.b64encode(secrets.token_bytes(32)) + b"\n")

    source = demo_config()
    configs = {name: _write_settings(folder, name, ports, push_secret) for name in GATEWAYS}
    settings = {name: load_settings(config) for name, config in configs.items()}
    # Keys first: each directory registers the others' certificates.
    for each in settings.values():
        make_keys(each, at=now, ca=authorities.issuing)
    certificates = {name: load_certificates(each.data / CERTIFICATE)[0] for name, each in settings.items()}
    own = {name: certificates_to_pem([certificate]).decode() for name, certificate in certificates.items()}
    directories = {name: load_agencies(source / f"{name}.agencies.toml") for name in GATEWAYS}
    gateways = {}
    for name, each in settings.items():
        agencies = directories[name] = _complete(
            name,
            agencies=directories[name],
            catalogue=directories["national"],
            offices=authorities.offices,
            gateways=own,
            ports=ports,
        )
        write_new(each.agencies_file, dump_agencies(agencies))
        password = found(each, now=now).password
        gateways[name] = DemoGateway(
            name=name,
            title=GATEWAYS[name][1],
            settings=each,
            config=configs[name],
            port=ports[name],
            password=password,
            keys=_issue_keys(folder, name, each, agencies, now),
        )
    _register_systems(gateways, now)
    return Places(
        folder=folder,
        gateways=gateways,
        offices=authorities.offices,
        root=folder / ROOT,
        receiver_port=ports["receiver"],
        push_secret=push_secret,
        agencies=directories,
        catalogue=directories["national"],
    )


def _write_settings(folder: Path, name: str, ports: Mapping[str, int], push_secret: Path) -> Path:
    code, title, first_levels, above = GATEWAYS[name]
    secret_files = {"national": "national.secret"} if above else {}
    if name == "langson":
        secret_files["so-khcn"] = str(push_secret)
    sections: dict[str, Mapping[str, object]] = {
        "gateway": {
            "code": code,
            "name": title,
            "first_levels": first_levels,
            **({"default_route": above} if above else {}),
            "data": "data",
        },
        "web": {"host": "127.0.0.1", "port": ports[name], "threads": 8, "rate_limit": "100000 per minute"},
        "signing": {"anchors": [f"../{ROOT}"], "intermediates": [f"../{INTERMEDIATE}"]},
        "log_chain": {"seal_seconds": 0.5, "heads_file": "log-heads.jsonl"},
        "delivery": {"poll_seconds": 0.2, "wait_factor": 0.02, "connect_timeout_seconds": 2, "per_endpoint": 4},
        "fetch": {"seconds": 0.3},
        **{f"secrets.{secret}": {"file": file} for secret, file in secret_files.items()},
    }
    config = folder / name / "gateway.toml"
    write_new(config, settings_toml(sections))
    return config


def _complete(
    name: str,
    *,
    agencies: Sequence[Agency],
    catalogue: Sequence[Agency],
    offices: Mapping[str, Office],
    gateways: Mapping[str, str],
    ports: Mapping[str, int],
) -> list[Agency]:
    """The directory of one gateway, with ports and certificates put in."""
    vouchers = {
        # Who hands over → certificates of the gateways whose signatures it brings. The national axis brings
        # packages that the other province's gateway signed for senders without a signature of their own.
        "national": {LANG_SON: ["langson"], LAO_CAI: ["laocai"]},
        "langson": {NATIONAL: ["national", "laocai"]},
        "laocai": {NATIONAL: ["national", "langson"]},
    }[name]
    known = {
        code: [register_certificate(gateways[gateway], role="gateway") for gateway in names]
        for code, names in vouchers.items()
    }
    for office in offices.values():
        known.setdefault(office.code, []).extend(_registered(office))
    return [
        replace(
            agency,
            endpoint=_reachable(agency.endpoint, ports),
            certificates=tuple(known.get(agency.code, ())),
        )
        for agency in [*agencies, *_strangers(name, agencies, catalogue)]
    ]


def _registered(office: Office) -> Iterator[RegisteredCertificate]:
    yield register_certificate(certificates_to_pem([office.seal.certificate]).decode(), role="agency")
    person = certificates_to_pem([office.person.certificate]).decode()
    yield register_certificate(person, role="person", holder=office.holder)


def _strangers(name: str, agencies: Sequence[Agency], catalogue: Sequence[Agency]) -> Iterator[Agency]:
    """Agencies of elsewhere that sign: their certificates must be known where their packages arrive."""
    known = {agency.code for agency in agencies}
    if name != "national":
        for agency in catalogue:
            if agency.code in (LANG_SON, DEPARTMENT, LAO_CAI, GOVERNMENT_OFFICE) and agency.code not in known:
                yield replace(agency, endpoint=None)


def _reachable(endpoint: Endpoint | None, ports: Mapping[str, int]) -> Endpoint | None:
    if endpoint is None or endpoint.url is None:
        return endpoint
    port = ports["receiver" if endpoint.channel is Channel.PUSH else str(endpoint.credential)]
    return replace(endpoint, url=f"http://127.0.0.1:{port}{urlsplit(endpoint.url).path}")


def _issue_keys(
    folder: Path, name: str, settings: Settings, agencies: Iterable[Agency], now: datetime
) -> dict[AgencyCode, str]:
    """A key for every agency whose system is reached: it may also send."""
    engine = open_engine(settings.ledger_url)
    try:
        ledger = Ledger(engine)
        tokens = {
            agency.code: make_key(ledger, agency.code, now=now, by="demo", label="demo").token
            for agency in agencies
            if agency.endpoint is not None and not agency.endpoint.channel.is_gateway
        }
    finally:
        engine.dispose()
    for code, token in tokens.items():
        write_secret(folder / name / f"{code}.apikey", (token + "\n").encode())
    return tokens


def _register_systems(gateways: Mapping[str, DemoGateway], now: datetime) -> None:
    """Each province becomes a system of the national axis, and a commune's eOffice one of its province's."""
    for name, system in _SYSTEMS_ABOVE.items():
        code, title = GATEWAYS[name][:2]
        secret = _register(gateways["national"], system, title, code, gateway=True, now=now)
        write_secret(gateways[name].config.with_name("national.secret"), (secret + "\n").encode())
    langson = gateways["langson"]
    secret = _register(langson, LGSP_SYSTEM, "eOffice xã Đồng Đăng", AgencyCode(LGSP_SYSTEM), gateway=False, now=now)
    write_secret(langson.config.with_name(f"{LGSP_SYSTEM}.secret"), (secret + "\n").encode())


def _register(at: DemoGateway, system: str, title: str, code: AgencyCode, *, gateway: bool, now: datetime) -> str:
    engine = open_engine(at.settings.ledger_url)
    try:
        box = SecretBox(at.settings.within_data(KEY_FILE))
        secret = add_system(
            Ledger(engine), box, id=system, name=title, agencies=[code], gateway=gateway, now=now, actor="demo"
        )
    finally:
        engine.dispose()
    at.secrets[system] = secret
    return secret
