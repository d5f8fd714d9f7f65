"""The only place where parts are built and joined."""

from __future__ import annotations

import errno
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, NamedTuple

from cryptography import x509
from prometheus_client import CollectorRegistry

from gateway import __version__
from gateway.api import app as api
from gateway.api.auth import Doorkeeper
from gateway.api.lgsp import install as lgsp
from gateway.api.lgsp.access import Gatekeeper
from gateway.api.lgsp.parts import LgspParts
from gateway.api.lgsp.tokens import TokenMint
from gateway.api.services import Services
from gateway.api.systems import SystemDoor
from gateway.api.vxp import routes as vxp
from gateway.clock import settle_zone, utc_now
from gateway.console import words as console_words
from gateway.console.install import install as install_console
from gateway.console.parts import ConsoleParts
from gateway.delivery.circuit import CircuitPolicy
from gateway.delivery.http import HttpClient, HttpSettings
from gateway.delivery.lgsp import Tokens
from gateway.delivery.retry import POLICIES, scaled
from gateway.delivery.send import Sender, stored_payload
from gateway.delivery.worker import Pace, Worker
from gateway.directory import LocalSite, load_agencies
from gateway.directory.keeper import DirectoryKeeper
from gateway.directory.store import DirectoryStore
from gateway.edxml import Limits
from gateway.errors import GatewayError, SettingsInvalid, StorageFull, TokenPinNeeded
from gateway.exchange import examine, lookup, own_reports
from gateway.exchange.allowed import AllowedUrls
from gateway.exchange.evidence import EvidenceMaker
from gateway.exchange.examine import ExaminationPace, Examiner
from gateway.exchange.fetch import FetchPace, Poller
from gateway.exchange.parts import ExaminationRules, Parts, Rules, type_key
from gateway.exchange.rejudge import Rejudge
from gateway.exchange.revocation import RevocationKeeper, RevocationPace, RevocationWatch
from gateway.exchange.sealing import HeadsFile, Sealer
from gateway.exchange.signing_requests import SigningRules, Signings
from gateway.exchange.stamping import Stamper, StampPace, Timestamps
from gateway.exchange.systems import KEY_FILE, SecretBox, Systems
from gateway.ledger import Ledger, check, open_engine, prepare
from gateway.ledger.records import RefusalBounds, SigningBounds, Trace, new_id
from gateway.logs import configure_logging
from gateway.metrics import DeliveryMeter, ExaminationMeter, FetchMeter, RevocationMeter, StampMeter
from gateway.model import SignerRole
from gateway.payloads import FileStore, PayloadStore, S3Store
from gateway.scanning import Address, Clamd, Scanner
from gateway.scratch import OwnFolder
from gateway.settings import Settings, load_settings
from gateway.signing.apart import Bounds, PreparedApart
from gateway.signing.files import FileLimits, Inspector
from gateway.signing.files.required import MainFile
from gateway.signing.keys import Signer, fingerprint, load_certificates, load_key
from gateway.signing.token import Token, read_pin
from gateway.signing.token_service import SharedTokenKey
from gateway.signing.trust import RevocationFacts, RevocationMode, TrustAnchors

_LEAST_FREE_BYTES = 64 * 1024 * 1024
"""Below this the gateway says that it is not ready, while it still has room to finish what it has begun."""


class Waker:
    """Tells the worker of this process, when there is one, that something has become due."""

    def __init__(self) -> None:
        self.worker: Callable[[], None] | None = None

    def __call__(self) -> None:
        if self.worker is not None:
            self.worker()


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """One gateway, joined; what commands and servers start from."""

    settings: Settings
    parts: Parts
    ledger: Ledger
    store: DirectoryStore
    keeper: DirectoryKeeper
    revocation: RevocationKeeper
    waker: Waker
    scratch: OwnFolder
    """Where packages are while they arrive; lasts as long as this object."""
    metrics: CollectorRegistry
    tokens: Tokens = field(default_factory=Tokens)
    """Log-ins at axes, one for each credential in the whole process."""


def prepare_database(settings: Settings, *, now: datetime) -> None:
    """
    Bring the database to this version, before anything serves or works.

    The agencies' file is read once, for a database that has no agencies yet: afterwards the database is
    the directory, and a start must not undo what ``gateway agencies import`` has put in force since.

    :raises LedgerUnavailable, DirectoryInvalid, SettingsInvalid: nothing may start then.
    """
    # Packages and the ledger are nobody's but the gateway's.
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = open_engine(settings.ledger_url)
    try:
        prepare(engine)
        store = DirectoryStore(engine)
        if store.version() == 0 and settings.agencies_file.is_file():
            store.import_agencies(load_agencies(settings.agencies_file), source=settings.agencies_file.name, now=now)
    finally:
        engine.dispose()


def join(settings: Settings, *, clock: Callable[[], datetime] = utc_now) -> Gateway:
    """
    Build the parts of one gateway over a prepared database.

    :raises LedgerOutdated, KeyUnusable, SettingsInvalid: what an operator must do first.
    """
    engine = open_engine(settings.ledger_url)
    check(engine)
    bounds = RefusalBounds(rows=settings.ledger.refusals_kept, payload_bytes=settings.ledger.refusals_kept_bytes)
    ledger = Ledger(engine, refusals=bounds)
    site = LocalSite(
        code=settings.gateway.code,
        first_levels=settings.gateway.first_levels,
        default_route=settings.gateway.default_route,
    )
    store = DirectoryStore(engine)
    keeper = DirectoryKeeper(store, site, monotonic=time.monotonic)
    facts = RevocationFacts()
    revocation = RevocationKeeper(ledger, facts, monotonic=time.monotonic)
    scratch = _own_spool(settings.data / "spool")
    waker = Waker()
    parts = Parts(
        site=site,
        ledger=ledger,
        payloads=_payload_store(settings),
        directory=keeper.current,
        key=gateway_key(settings),
        anchors=trust_anchors(settings, facts),
        # Where nothing is asked, nothing needs to be known.
        freshen=revocation.freshen if settings.revocation.mode != "off" else lambda: None,
        rules=Rules(
            limits=_limits(settings),
            accepts=settings.signing.accepts,
            minimum_rsa_bits=settings.signing.minimum_rsa_bits,
            complete_unsigned=settings.signing.complete_unsigned,
            inline_bytes=settings.payloads.inline_bytes,
            body_limit_bytes=settings.web.body_limit_bytes,
            closed_sender_grace=timedelta(days=settings.gateway.closed_sender_grace_days),
            withdraw_uncollected=settings.exchange.withdraw_uncollected,
            reserialise=settings.exchange.reserialise,
            mailbox_lease=settings.delivery.mailbox_lease,
            retries=scaled(POLICIES, settings.delivery.wait_factor),
            examinations=examination_rules(settings),
        ),
        scanner=malware_scanner(settings),
        spool=scratch.path,
        clock=clock,
        wake=waker,
    )
    return Gateway(
        settings=settings,
        parts=parts,
        ledger=ledger,
        store=store,
        keeper=keeper,
        revocation=revocation,
        waker=waker,
        scratch=scratch,
        metrics=CollectorRegistry(),
    )


def _own_spool(shared: Path) -> OwnFolder:
    try:
        shared.mkdir(parents=True, exist_ok=True)
        return OwnFolder(shared)
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(f"{shared}: {e.strerror}.") from e
        raise SettingsInvalid(f"{shared} cannot be used: {e.strerror}.", path="gateway.data") from e


def check_settings(settings: Settings) -> None:
    """
    Load what settings name and only a start would otherwise try: keys, anchors, limits, secrets, agencies.

    :raises SettingsInvalid, KeyUnusable, DirectoryInvalid: the first thing that is wrong.
    """
    _limits(settings)
    key = gateway_key(settings)
    if isinstance(key, SharedTokenKey):
        key.close()
    _session_key(settings)
    trust_anchors(settings)
    revocation_pace(settings)
    timestamp_anchors(settings)
    malware_scanner(settings)
    for name in settings.secrets:
        settings.secret(name)
    if settings.agencies_file.is_file():
        load_agencies(settings.agencies_file)


def examination_rules(settings: Settings) -> ExaminationRules:
    """What documents are examined for."""
    section = settings.files
    return ExaminationRules(
        inspect=section.inspect,
        require=_roles_by_type(section.require),
        require_others=_roles_by_type(section.require_others),
        main={type_key(kind): MainFile(which) for kind, which in section.main.items()},
        unscanned=settings.scanning.unreachable,
        revocation_unknown=settings.revocation.outage,
        role_by_subject=section.role_by_subject,
    )


def _roles_by_type(table: Mapping[str, Sequence[str]]) -> dict[str, frozenset[SignerRole]]:
    return {type_key(kind): frozenset(map(SignerRole, roles)) for kind, roles in table.items()}


def malware_scanner(settings: Settings) -> Scanner | None:
    """
    Who searches files for malware; ``None``: nobody does. It is not asked for anything yet.

    :raises SettingsInvalid: its address is none.
    """
    section = settings.scanning
    if section.clamd is None:
        return None
    timeout = timedelta(seconds=section.timeout_seconds)
    # Half of those who serve may wait for it: the others still do when it does not answer.
    at_once = max(1, settings.web.threads // 2)
    return Scanner(Clamd(Address.parse(section.clamd)), timeout=timeout, max_bytes=section.max_bytes, at_once=at_once)


def _limits(settings: Settings) -> Limits:
    given = settings.limits.model_dump(exclude_none=True)
    known = {f.name for f in fields(Limits)}
    unknown = set(given) - known
    if unknown:
        raise SettingsInvalid(f"limits: unknown: {', '.join(sorted(unknown))}.", path="limits")
    return Limits(**given)


def gateway_key(settings: Settings) -> Signer:
    """
    The gateway's own key, out of its file or in its token.

    :raises KeyUnusable: it cannot be read; of a token the kind that says why.
    """
    section = settings.signing
    if section.token_module is not None:
        token = Token(settings.beside(section.token_module), label=section.token_label, pin=lambda: token_pin(settings))
        folder = settings.within_data(Path("keys"))
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return SharedTokenKey(token, folder=folder, certificate_label=section.certificate_label)
    password = None
    if settings.signing.password_file is not None:
        path = settings.within_data(settings.signing.password_file)
        if path.is_file():
            password = path.read_text(encoding="utf-8").strip()
    return load_key(settings.within_data(settings.signing.key), password)


def trust_anchors(settings: Settings, facts: RevocationFacts | None = None) -> TrustAnchors:
    """
    Whom the gateway believes, by its settings.

    :param facts: of revocation, which the caller keeps fresh; ``None``: nothing is known of it.
    :raises KeyUnusable: a file of certificates cannot be read.
    """
    section = settings.signing
    anchors, intermediates, authorities = (
        [c for path in paths for c in load_certificates(settings.beside(path))]
        for paths in (section.anchors, section.intermediates, settings.files.timestamp_ca)
    )
    mode = RevocationMode(settings.revocation.mode)
    return TrustAnchors(anchors, intermediates, mode=mode, facts=facts, authorities=authorities)


def revocation_pace(settings: Settings) -> RevocationPace:
    """
    What may be asked about revocation, and how often.

    :raises SettingsInvalid: a listed address is none.
    """
    section = settings.revocation
    try:
        allowed, _ = AllowedUrls(section.urls), AllowedUrls(section.crls)
    except ValueError as e:
        raise SettingsInvalid(f"revocation: {e}", path="revocation.urls") from e
    return RevocationPace(
        allowed=allowed,
        crls=section.crls,
        folder=settings.beside(section.folder) if section.folder else None,
        every=timedelta(minutes=section.refresh_minutes),
        limit_bytes=section.max_bytes,
        per_round=section.per_round,
    )


def token_pin(settings: Settings) -> str:
    """
    The PIN that this machine is given for the gateway's token; read at each log-in, kept nowhere.

    :raises TokenPinNeeded: none is given. A program that serves has nobody to ask.
    """
    path = settings.signing.pin_file
    pin = read_pin(None if path is None else settings.within_data(path))
    if not pin:
        raise TokenPinNeeded("signing.pin_file or GATEWAY_TOKEN_PIN must hold the PIN.")
    return pin


def _former_certificates(settings: Settings) -> dict[str, x509.Certificate]:
    """The gateway's earlier certificates, kept for receipts and seals that their keys have signed."""
    files = sorted((settings.data / "keys" / "former").glob("*.pem"))
    files += [settings.beside(path) for path in settings.signing.former]
    return {fingerprint(c): c for path in files for c in load_certificates(path)}


def _payload_store(settings: Settings) -> PayloadStore:
    section = settings.payloads
    if section.store == "files":
        return FileStore(settings.data / "payloads")
    assert section.s3_bucket is not None
    key_id = secret = None
    if section.s3_credentials_file is not None:
        lines = settings.beside(section.s3_credentials_file).read_text(encoding="utf-8").split()
        if len(lines) != 2:
            raise SettingsInvalid("payloads.s3_credentials_file: two lines are needed: key id and secret.")
        key_id, secret = lines
    return S3Store(
        bucket=section.s3_bucket,
        prefix=section.s3_prefix,
        endpoint=section.s3_endpoint,
        region=section.s3_region,
        access_key_id=key_id,
        secret_access_key=secret,
        allow_http=section.s3_allow_http,
    )


# What serves


def make_app(gateway: Gateway) -> api.App:
    """The web application: API, documentation, machine endpoints, console."""
    settings = gateway.settings
    app = api.new_app(f"eOffice gateway: {settings.gateway.name}", version=__version__, proxies=settings.web.proxies)
    parts = gateway.parts
    services = Services(
        parts=parts,
        doorkeeper=Doorkeeper(
            ledger=gateway.ledger,
            directory=gateway.keeper.current,
            clock=parts.clock,
            rate_limit=settings.web.rate_limit,
        ),
        systems=Systems(ledger=gateway.ledger, box=SecretBox(settings.within_data(KEY_FILE)), clock=parts.clock),
        mailbox_lease_seconds=settings.delivery.mailbox_lease_seconds,
        signings=make_signings(gateway),
        evidence=make_evidence(gateway),
        certificates=_former_certificates(settings),
    )
    api.install(app, services, ready=lambda: not_ready(gateway), registry=gateway.metrics)
    if settings.vxp.enabled:
        vxp.install(app, vxp_parts(gateway, services), prefix=settings.vxp.prefix)
    if settings.lgsp.enabled:
        lgsp.install(app, lgsp_parts(gateway, services), prefix=settings.lgsp.prefix)
    if settings.console.enabled:
        install_console(app, console_parts(gateway))
    return app


def make_signings(gateway: Gateway) -> Signings:
    """What prepares and completes files that are signed elsewhere, in a folder that all processes share."""
    section = gateway.settings.signing_requests
    return Signings(
        lambda: gateway.parts,
        gateway.settings.data / "signing",
        rules=SigningRules(
            wait=timedelta(minutes=section.minutes),
            kept=timedelta(minutes=section.kept_minutes),
            bounds=SigningBounds(number=section.per_agency, bytes=section.per_agency_bytes),
            largest_bytes=section.largest_bytes,
        ),
        apart=PreparedApart(
            Bounds(
                time=timedelta(seconds=section.prepare_seconds),
                patience=timedelta(seconds=3 * section.prepare_seconds),
                memory_bytes=section.prepare_memory_bytes,
            )
        ),
        stamp=_stamp_at_once(gateway.settings) if gateway.settings.timestamps.urls else None,
    )


def _stamp_at_once(settings: Settings) -> Callable[[bytes], bytes | None]:
    """Ask for a stamp while a person waits: not for as long as in the background, over a connection of its own."""

    def stamp(digest: bytes) -> bytes | None:
        http = make_http(settings, patience=timedelta(seconds=5))
        try:
            authorities = make_timestamps(settings, http)
            return authorities.stamp(digest) if authorities else None
        finally:
            http.close()

    return stamp


def make_evidence(gateway: Gateway, http: HttpClient | None = None) -> EvidenceMaker:
    """
    What makes evidence files.

    :param http: the way to the time-stamp authorities; ``None``: one of its own, for as long as the program runs.
    """
    former = _former_certificates(gateway.settings)
    own = gateway.parts.key
    # A person or a program waits for the file: as for signing in two steps.
    http = http or make_http(gateway.settings, patience=timedelta(seconds=5))
    stamps = make_timestamps(gateway.settings, http)
    return EvidenceMaker(
        gateway.parts,
        name=gateway.settings.gateway.name,
        certificate=lambda name: own.certificate if name == own.certificate_sha256 else former.get(name),
        stamp=(lambda _: None) if stamps is None else stamps.stamp,
        words=console_words.called,
        authorities=_of_authorities(gateway),
    )


def _of_authorities(gateway: Gateway) -> TrustAnchors | None:
    """What is known of the time-stamp authorities' certificates; ``None`` where nothing is asked of revocation."""
    anchors, roots = gateway.parts.anchors, timestamp_anchors(gateway.settings)
    if anchors.mode is RevocationMode.OFF or not roots:
        return None
    return TrustAnchors(roots, anchors.intermediates, mode=anchors.mode, facts=anchors.facts)


def vxp_parts(gateway: Gateway, services: Services) -> vxp.Vxp:
    """What the national kit's protocol is given."""
    return vxp.Vxp(door=_system_door(gateway, services), changed_at=gateway.store.changed_at)


def _system_door(gateway: Gateway, services: Services) -> SystemDoor:
    return SystemDoor(
        systems=services.systems,
        directory=gateway.keeper.current,
        clock=gateway.parts.clock,
        rate_limit=gateway.settings.web.rate_limit,
    )


def lgsp_parts(gateway: Gateway, services: Services) -> LgspParts:
    """What the provincial protocol is given."""
    settings, parts = gateway.settings, gateway.parts
    section = settings.lgsp
    return LgspParts(
        parts=parts,
        gatekeeper=Gatekeeper(
            door=_system_door(gateway, services),
            ledger=gateway.ledger,
            clock=parts.clock,
            mint=TokenMint(_session_key(settings), life=timedelta(minutes=section.token_minutes)),
            single_token=section.single_token,
            shared_login=section.shared_login,
        ),
        shape=section.response,
        window_days=section.window_days,
    )


def application() -> api.App:
    """The web application by the settings in force, over a database that is prepared already."""
    settle_zone()
    settings = load_settings()
    configure_logging(settings.log.level, settings.log.format)
    return make_app(join(settings))


def console_parts(gateway: Gateway) -> ConsoleParts:
    """What the pages for operators are given."""
    settings, parts, ledger = gateway.settings, gateway.parts, gateway.ledger

    def replay(ids: Sequence[str], reason: str, actor: str) -> int:
        count = len(ledger.replay(ids, reason=reason, actor=actor, now=parts.clock()))
        parts.wake()
        return count

    def package(document_id: str) -> BinaryIO:
        return lookup.open_received(parts, document_id)

    evidence = make_evidence(gateway)

    def export(trace: Trace, actor: str) -> BinaryIO:
        return evidence.export(trace, actor=actor)

    return ConsoleParts(
        ledger=ledger,
        directory=gateway.keeper.current,
        clock=parts.clock,
        replay=replay,
        open_package=package,
        export_evidence=export,
        session_key=_session_key(settings),
        session=timedelta(minutes=settings.console.session_minutes),
        default_language=settings.console.language,
        secure_cookies=settings.web.secure_cookies,
        login_rate_limit=settings.web.login_rate_limit,
        timestamp_alarm=timedelta(hours=settings.timestamps.alarm_after_hours),
        gateway_name=settings.gateway.name,
    )


def _session_key(settings: Settings) -> bytes:
    path = settings.within_data(Path("keys/session.key"))
    try:
        return bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as e:
        raise SettingsInvalid(f"The session key {path} cannot be read; `gateway init` makes it.") from e


def not_ready(gateway: Gateway) -> dict[str, str]:
    """What keeps documents from being accepted now: part → code; empty when nothing does."""
    missing: dict[str, str] = {}
    probes: dict[str, Callable[[], object]] = {
        "ledger": lambda: check(gateway.ledger.engine),
        "payloads": gateway.parts.payloads.check,
        "directory": gateway.keeper.current,
    }
    if isinstance(gateway.parts.key, SharedTokenKey):
        probes["key"] = gateway.parts.key.check
    for part, probe in probes.items():
        try:
            probe()
        except GatewayError as error:
            missing[part] = error.code
    if shutil.disk_usage(gateway.settings.data).free < _LEAST_FREE_BYTES:
        missing["disk"] = "storage.full"
    return missing


# What works


def make_http(settings: Settings, *, patience: timedelta | None = None) -> HttpClient:
    """
    The connections of a process to endpoints; the caller closes them at the end.

    :param patience: the longest wait for a connection, and for each piece of an answer; ``None``: the settings alone.
    """
    section = settings.delivery
    longest = patience or timedelta.max
    return HttpClient(
        HttpSettings(
            connect_timeout=min(timedelta(seconds=section.connect_timeout_seconds), longest),
            read_timeout=min(timedelta(seconds=section.read_timeout_seconds), longest),
            ca_file=settings.beside(section.ca_file) if section.ca_file else None,
            connections_per_endpoint=section.per_endpoint,
        )
    )


def make_worker(gateway: Gateway, name: str | None = None) -> tuple[Worker, HttpClient]:
    """A worker over the gateway's queue, and its client, which the caller closes at the end."""
    section = gateway.settings.delivery
    http = make_http(gateway.settings)
    parts = gateway.parts

    worker = Worker(
        name=name or f"worker-{new_id()[-12:]}",
        queue=gateway.ledger,
        sender=Sender(
            http=http,
            directory=gateway.keeper.current,
            payload=stored_payload(gateway.ledger.payload, parts.payloads.open),
            secret=gateway.settings.secret,
            document=gateway.ledger.document,
            deliveries=gateway.ledger.deliveries,
            tokens=gateway.tokens,
        ),
        arrival_report=lambda claim, now: own_reports.arrival_report(parts, claim, now),
        policies={lane: policy.scaled(section.wait_factor) for lane, policy in POLICIES.items()},
        circuits=CircuitPolicy().scaled(section.wait_factor),
        pace=Pace(
            threads=section.threads,
            per_endpoint=section.per_endpoint,
            lease=section.lease,
            poll=timedelta(seconds=section.poll_seconds),
        ),
        clock=parts.clock,
        meter=DeliveryMeter(gateway.metrics),
    )
    return worker, http


def make_poller(gateway: Gateway, http: HttpClient, meter: FetchMeter | None = None) -> Poller:
    """What asks the axes of the directory for arrivals."""
    section = gateway.settings.fetch
    return Poller(
        gateway.parts,
        http=http,
        secret=gateway.settings.secret,
        tokens=gateway.tokens,
        pace=FetchPace(
            every=timedelta(seconds=section.seconds),
            silent_after=timedelta(hours=section.silent_hours) if section.silent_hours else None,
            lease=timedelta(seconds=min(max(2 * section.seconds, 10), 120)),
            look=timedelta(seconds=min(max(section.seconds, 0.05), 1)),
        ),
        meter=meter,
    )


def make_timestamps(settings: Settings, http: HttpClient) -> Timestamps | None:
    """What asks time-stamp authorities; ``None`` when the settings name none."""
    section = settings.timestamps
    if not section.urls:
        return None
    return Timestamps(http, urls=section.urls, anchors=timestamp_anchors(settings), policy=section.policy_oid)


def timestamp_anchors(settings: Settings) -> list[x509.Certificate]:
    """Whom to believe for time-stamps."""
    return [c for path in settings.timestamps.ca for c in load_certificates(settings.beside(path))]


def heads_path(settings: Settings) -> Path | None:
    """Where the heads of the event log's chain are kept a second time."""
    path = settings.log_chain.heads_file
    return None if path is None else settings.beside(path)


def make_sealer(gateway: Gateway) -> Sealer:
    """What seals the event log."""
    settings, heads = gateway.settings, heads_path(gateway.settings)
    return Sealer(
        gateway.ledger.log,
        gateway=settings.gateway.code,
        clock=gateway.parts.clock,
        every=timedelta(seconds=settings.log_chain.seal_seconds),
        heads=None if heads is None else HeadsFile(heads),
    )


def make_stamper(gateway: Gateway, http: HttpClient, meter: StampMeter | None = None) -> Stamper | None:
    """What has the event log stamped; ``None`` when the settings name no authority."""
    timestamps, section = make_timestamps(gateway.settings, http), gateway.settings.timestamps
    if timestamps is None:
        return None
    return Stamper(
        gateway.ledger.log,
        timestamps,
        gateway=gateway.settings.gateway.code,
        clock=gateway.parts.clock,
        pace=StampPace(every=timedelta(minutes=section.every_minutes), events=section.every_events),
        meter=meter,
    )


def _started(name: str, run: Callable[[threading.Event], None], stop: threading.Event) -> threading.Thread:
    thread = threading.Thread(target=run, args=(stop,), name=name, daemon=True)
    thread.start()
    return thread


def make_revocation_watch(gateway: Gateway, http: HttpClient) -> RevocationWatch:
    """
    What looks after revocation and the ends of certificates.

    :param http: of ``make_revocation_http``.
    """
    parts, meter = gateway.parts, RevocationMeter(gateway.metrics)
    return RevocationWatch(
        ledger=gateway.ledger,
        directory=gateway.keeper.current,
        anchors=parts.anchors,
        keeper=gateway.revocation,
        rejudge=Rejudge(
            gateway.ledger,
            parts.anchors,
            settle=lambda document, kind, outcome: examine.settle(parts, document, kind, outcome),
            counted=lambda standing: meter.rejudged(standing=standing.value),
        ),
        http=http,
        pace=revocation_pace(gateway.settings),
        clock=parts.clock,
        own=[parts.key.certificate],
        former=list(_former_certificates(gateway.settings).values()),
        meter=meter,
    )


def make_revocation_http(settings: Settings) -> HttpClient:
    """Connections to authorities, apart from those of deliveries: a slow one of these delays no document."""
    bound = timedelta(seconds=settings.revocation.timeout_seconds)
    ca_file = settings.beside(settings.delivery.ca_file) if settings.delivery.ca_file else None
    return HttpClient(HttpSettings(connect_timeout=bound, read_timeout=bound, ca_file=ca_file, endpoints=16))


def make_examiner(gateway: Gateway) -> Examiner:
    """What examines accepted documents: the files of each in a process of their own, and malware once more."""
    section = gateway.settings.files
    limits = FileLimits(seconds=section.seconds, memory_bytes=section.memory_bytes, file_bytes=section.file_bytes)
    return Examiner(
        gateway.parts,
        reader=lambda: Inspector(limits),
        pace=ExaminationPace(readers=section.readers, file=timedelta(seconds=section.seconds)),
        meter=ExaminationMeter(gateway.metrics),
    )


class _Job(NamedTuple):
    """What goes on beside delivering."""

    name: str
    run: Callable[[threading.Event], None]
    patience: float
    """Seconds for which its end is waited for."""


def _jobs(gateway: Gateway, http: HttpClient, authorities: HttpClient) -> list[_Job]:
    settings = gateway.settings
    patience = settings.delivery.read_timeout_seconds
    jobs = [
        _Job("signings", make_signings(gateway).run, patience),
        _Job("revocation", make_revocation_watch(gateway, authorities).run, settings.revocation.timeout_seconds),
        _Job("examine", make_examiner(gateway).run, settings.files.seconds),
    ]
    if settings.fetch.seconds:
        jobs.append(_Job("fetch", make_poller(gateway, http, FetchMeter(gateway.metrics)).run, patience))
    stamper = make_stamper(gateway, http, StampMeter(gateway.metrics))
    if stamper is not None:
        jobs.append(_Job("stamping", stamper.run, patience))
    return jobs


def run_worker(gateway: Gateway, stop: threading.Event, name: str | None = None) -> None:
    """Deliver, and fetch from axes, until told to stop; what is under way is finished first."""
    worker, http = make_worker(gateway, name)
    gateway.waker.worker = worker.wake
    authorities = make_revocation_http(gateway.settings)
    jobs = _jobs(gateway, http, authorities)
    ended = threading.Event()
    sealing = _started("sealing", make_sealer(gateway).run, ended)
    threads = [(_started(job.name, job.run, stop), job.patience) for job in jobs]
    try:
        worker.run(stop)
    finally:
        # Also when the worker failed: the process is about to end.
        stop.set()
        for thread, patience in threads:
            thread.join(timeout=patience)
        # Last of all, so that the last events of the others are sealed too.
        ended.set()
        sealing.join(timeout=gateway.settings.delivery.read_timeout_seconds)
        authorities.close()
        gateway.waker.worker = None
        http.close()
