"""
Typed settings from one TOML file and the environment; an unknown key is an error that names it.

``GATEWAY_CONFIG`` names the file; ``GATEWAY__WEB__PORT=8080`` overrides ``[web] port``.
Paths in the file are relative to the file. Secrets stand in files of their own (``*_file``),
never in the settings, so that the settings can be shown.
"""

from __future__ import annotations

import os
import re
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import limits
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from gateway.errors import SettingsInvalid
from gateway.model import AgencyCode, Standing

Code = Annotated[AgencyCode, BeforeValidator(AgencyCode.normal)]
"""An agency code, normalised while the settings are read."""


def _rate(text: str) -> str:
    limits.parse(text)
    return text


Rate = Annotated[str, AfterValidator(_rate)]
"""How often, in the notation of the ``limits`` library: ``10 per minute``."""


def _prefix(text: str) -> str:
    if text and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", text):
        raise ValueError("begins with a slash and ends without one, or is empty for the root")
    return text


def _http_url(text: str) -> str:
    if not re.fullmatch(r"https?://[!-~]+", text):
        raise ValueError("begins with http:// or https://, and holds no white space")
    return text


HttpUrl = Annotated[str, AfterValidator(_http_url)]
"""An address that is asked."""

Prefix = Annotated[str, AfterValidator(_prefix)]
"""Where a protocol is served: ``/lgsp``; empty for the root."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class GatewaySection(_Section):
    """Who this gateway is."""

    code: Code
    """Agency code that the gateway acts under: its hops, seals and receipts name it."""
    name: str
    first_levels: frozenset[Code]
    """First-level parts of its own agencies (``H37``); several after a merger of provinces. Below a province:
    the codes at the top of its own branch, in both generations (``H37.21``, ``000.21.24.H37``)."""
    default_route: Code | None = None
    """Agency code of the gateway above; absent on the national level."""
    closed_sender_grace_days: int = Field(default=14, ge=0, le=90)
    """For so long after its sender closed a document is still taken from another gateway, when its trace says that
    it was sent before: as long as a gateway tries to deliver. Never from the sender itself."""
    agencies: Path = Path("agencies.toml")
    data: Path = Path("../var")
    """Folder of ledger, payloads, spool and keys; must survive restarts."""


class WebSection(_Section):
    """Where and how requests are served."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    threads: int = Field(default=8, ge=1, le=256)
    body_limit_bytes: int = Field(default=300 * 1024 * 1024, ge=1024)
    rate_limit: Rate = "1200 per minute"
    """Per credential, in the notation of the ``limits`` library; counted by each process alone."""
    login_rate_limit: Rate = "10 per minute"
    """Console log-in tries, per address."""
    proxies: int = Field(default=0, ge=0)
    """Trusted reverse proxies in front; only then are forwarded addresses believed."""
    secure_cookies: bool = False
    """True behind TLS: the session cookie is then never sent in the clear."""
    tls_certificate: Path | None = None
    tls_key: Path | None = None


class LedgerSection(_Section):
    """The database that is ledger and queue."""

    url: str | None = None
    """SQLAlchemy URL; absent means SQLite in the data folder. PostgreSQL: ``postgresql+psycopg://…``."""
    url_file: Path | None = None
    """A file holding the URL, when it carries a password."""
    refusals_kept: int = Field(default=10_000, ge=0)
    refusals_kept_bytes: int = Field(default=256 * 1024 * 1024, ge=0)


class PayloadsSection(_Section):
    """Where packages are kept that are too large for the ledger."""

    inline_bytes: int = Field(default=512 * 1024, ge=0, le=8 * 1024 * 1024)
    """Up to this size a package lives in the ledger (design D4)."""
    store: Literal["files", "s3"] = "files"
    s3_bucket: str | None = None
    s3_prefix: str = "payloads"
    s3_endpoint: str | None = None
    s3_region: str | None = None
    s3_allow_http: bool = False
    s3_credentials_file: Path | None = None
    """Two lines: access key id and secret; absent means the platform's own way."""


class LimitsSection(_Section):
    """Bounds on what a package may be; see ``gateway.edxml`` for each. Absent members keep its defaults."""

    package_bytes: int | None = None
    depth: int | None = None
    elements: int | None = None
    attributes_per_element: int | None = None
    name_bytes: int | None = None
    text_bytes: int | None = None
    attachments: int | None = None
    attachment_bytes: int | None = None
    unpacked_ratio: int | None = None
    recipients: int | None = None
    stream_above: int | None = None
    tag_bytes: int | None = None
    skeleton_bytes: int | None = None


class SigningSection(_Section):
    """The gateway's own key, and whom it believes."""

    key: Path = Path("keys/gateway.p12")
    """PKCS#12 or PEM, relative to the data folder."""
    password_file: Path | None = Path("keys/gateway.password")
    """Relative to the data folder."""
    token_module: Path | None = None
    """PKCS#11 library of the token that holds the key instead of ``key``; an absolute path."""
    token_label: str | None = None
    """``None``: the only token there is."""
    certificate_label: str | None = None
    """Of the key's certificate in the token; ``None``: the only one that can sign."""
    pin_file: Path | None = None
    """Relative to the data folder, readable by its owner alone; ``None``: ``GATEWAY_TOKEN_PIN`` holds the PIN."""
    former: tuple[Path, ...] = ()
    """PEM files of the gateway's earlier certificates, beside those in the data folder's ``keys/former``."""
    anchors: tuple[Path, ...] = ()
    """PEM files of the trust anchors; empty means that registered certificates are trusted by themselves."""
    intermediates: tuple[Path, ...] = ()
    """PEM files of authorities between anchors and certificates; believed only as far as they chain to an anchor."""
    accepts: frozenset[Standing] = frozenset(
        {Standing.VALID, Standing.VALID_WEAK, Standing.UNSIGNED, Standing.UNVERIFIABLE}
    )
    """Verdicts accepted from senders that have no policy of their own; ``invalid`` never is."""
    minimum_rsa_bits: int = Field(default=2048, ge=1024)
    complete_unsigned: bool = True
    """Add this hop and the gateway's signature to packages that carry no verifiable signature (design D1)."""


class RevocationSection(_Section):
    """How it is known which certificates have been revoked (docs/trust.md)."""

    mode: Literal["off", "if_known", "required"] = "off"
    """``off``: not asked; ``if_known``: a known revocation counts, ignorance does not; ``required``: ignorance makes
    a package ``indeterminate``. The latter two need ``signing.anchors``."""
    outage: Literal["accept", "hold", "refuse"] = "hold"
    """What becomes of an ``indeterminate`` package: accepted and judged again later; accepted, and handed over only
    when it is known; or refused, to be sent again."""
    urls: tuple[str, ...] = ()
    """Prefixes of the only addresses that are ever fetched, whatever a certificate says."""
    crls: tuple[str, ...] = ()
    """CRLs that are fetched though no certificate names them."""
    folder: Path | None = None
    """CRLs and OCSP answers as files, for networks that reach no authority; read again when they change."""
    refresh_minutes: float = Field(default=60, gt=0, le=7 * 24 * 60)
    """Between two questions to one source."""
    timeout_seconds: float = Field(default=30, gt=0, le=600)
    max_bytes: int = Field(default=32 * 1024 * 1024, ge=1024, le=64 * 1024 * 1024)
    """Of one CRL or OCSP answer."""
    per_round: int = Field(default=500, ge=1, le=100_000)
    """Sources that are asked in one round; the others follow in the next one, 15 seconds later."""


class FilesSection(_Section):
    """How the signatures inside attached files are judged, and which documents must carry some."""

    inspect: bool = True
    """Look at the signatures inside every attached file, after acceptance."""
    require: dict[str, tuple[Literal["person", "agency"], ...]] = {}
    """Type of document → whose signatures its dispatch must carry; such documents are handed over only then.
    The type by its name (marks and letter case ignored) or its number; ``*`` for all others."""
    require_others: dict[str, tuple[Literal["person", "agency"], ...]] = {}
    """Type of document → whose signatures every other PDF of it must carry, where ``require`` demands any of the
    dispatch; a type that is not named here, nor covered by ``*``: the agency's."""
    main: dict[str, Literal["any", "first"]] = {}
    """Type of document → which file is the dispatch: any that carries what is required, or the first one."""
    role_by_subject: bool = True
    """Tell person from agency by the certificate's subject where it is not registered."""
    timestamp_ca: tuple[Path, ...] = ()
    """PEM files of the anchors of the authorities of time-stamps inside files; empty: ``signing.anchors``."""
    readers: int = Field(default=1, ge=1, le=16)
    """Documents whose files are read at the same time, each in a process of its own."""
    seconds: float = Field(default=20, gt=0, le=600)
    """For one file; then it is ``unreadable``."""
    memory_bytes: int = Field(default=1024**3, ge=256 * 1024**2)
    """Of a reading process, for one file: beyond its libraries and what is known of revocation."""
    file_bytes: int = Field(default=200 * 1024**2, ge=1024)
    """A larger file is ``unreadable``."""


class ScanningSection(_Section):
    """Searching attached files for malware."""

    clamd: str | None = None
    """Where ClamAV's daemon listens: ``unix:/run/clamav/clamd.ctl`` or ``tcp:127.0.0.1:3310``; absent: nobody
    searches."""
    unreachable: Literal["hold", "pass"] = "hold"
    """What becomes of a document that it did not search: kept here until it has, or passed on as not scanned."""
    timeout_seconds: float = Field(default=20, gt=0, le=600)
    """For all files of one package, while its sender waits."""
    max_bytes: int = Field(default=25 * 1024**2, ge=1)
    """Of one file; larger ones count as not searched. ``StreamMaxLength`` of clamd must not be less."""


class ExchangeSection(_Section):
    """How documents are dealt with."""

    withdraw_uncollected: bool = True
    """A recall takes back at once what nobody has collected, and the gateway answers 15 itself; false: it follows
    the document, and the receiver answers."""
    reserialise: bool = False
    """For tests: what systems fetch by VXP or LGSP is written anew as the national axis does; signatures are lost."""


class DeliverySection(_Section):
    """How deliveries are tried."""

    threads: int = Field(default=8, ge=1, le=128)
    per_endpoint: int = Field(default=2, ge=1, le=32)
    lease_seconds: int = Field(default=300, ge=10)
    mailbox_lease_seconds: int = Field(default=300, ge=10)
    connect_timeout_seconds: float = Field(default=10, gt=0)
    read_timeout_seconds: float = Field(default=60, gt=0)
    poll_seconds: float = Field(default=1.0, gt=0)
    ca_file: Path | None = None
    """Extra CA for TLS to endpoints; absent means the system's."""
    wait_factor: float = Field(default=1.0, gt=0, le=10)
    """Multiplies every wait between tries; below 1 for demonstrations and tests."""

    @property
    def lease(self) -> timedelta:
        """How long a worker may take for one claim."""
        return timedelta(seconds=self.lease_seconds)

    @property
    def mailbox_lease(self) -> timedelta:
        """How long a receiver's lock lasts."""
        return timedelta(seconds=self.mailbox_lease_seconds)


class VxpSection(_Section):
    """The national kit's protocol (VXP), for systems that `gateway systems add` has registered."""

    enabled: bool = True
    prefix: Prefix = "/vxp"
    """The kit's `service.endpoint` is this gateway's address with it; empty for software that takes no path."""


class LgspSection(_Section):
    """The provincial axis' protocol (LGSP), for systems that `gateway systems add` has registered."""

    enabled: bool = True
    prefix: Prefix = "/lgsp"
    response: Literal["actual", "documented"] = "actual"
    """``actual``: as the axis of Lạng Sơn answers; ``documented``: as its vendor's document says."""
    token_minutes: int = Field(default=30, ge=1, le=24 * 60)
    single_token: bool = False
    """True, as on the axis of Lạng Sơn: a newer login of a system ends its older token."""
    shared_login: bool = False
    """True: one system's login serves others that call with their own id and secret, as some software does."""
    window_days: int = Field(default=7, ge=1, le=366)
    """The widest window of a list."""


class FetchSection(_Section):
    """How axes that speak VXP or LGSP are asked for what has arrived there."""

    seconds: float = Field(default=60, ge=0)
    """Between two questions to one axis; 0: none is asked, by this process."""
    silent_hours: float = Field(default=72, ge=0)
    """Without arrivals for so long an axis counts as silent, which is an event; 0: never. Longer than a week-end."""


class SigningRequestsSection(_Section):
    """Files that are signed in two steps, with a key that the gateway never sees."""

    minutes: int = Field(default=15, ge=1, le=24 * 60)
    """How long a file waits for its signature."""
    kept_minutes: int = Field(default=60, ge=1, le=7 * 24 * 60)
    """How long the signed file can be fetched."""
    per_agency: int = Field(default=50, ge=1, le=10_000)
    """Files of one agency that wait for a signature."""
    per_agency_bytes: int = Field(default=1024 * 1024 * 1024, ge=1024)
    """Their bytes together."""
    largest_bytes: int = Field(default=64 * 1024 * 1024, ge=1024)
    """Of one file."""
    prepare_seconds: float = Field(default=20, gt=0, le=300)
    """How long the preparation of one PDF may take, in a process of its own."""
    prepare_memory_bytes: int = Field(default=1536 * 1024 * 1024, ge=512 * 1024 * 1024)
    """Address space of that process, libraries included."""


class LogChainSection(_Section):
    """How the event log is chained (docs/trust.md)."""

    seal_seconds: float = Field(default=5, gt=0, le=3600)
    """Between two rounds of sealing what has happened."""
    heads_file: Path | None = None
    """A second place for the chain's heads, only ever appended to; on another machine's disk, best."""


class TimestampsSection(_Section):
    """Time-stamp authorities (RFC 3161) for the event log, and for seals in evidence (docs/trust.md)."""

    urls: tuple[HttpUrl, ...] = ()
    """Authorities, asked in this order; empty: nothing is stamped."""
    ca: tuple[Path, ...] = ()
    """PEM files of the anchors that the authorities chain to; empty: a token is taken whoever signed it."""
    policy_oid: str | None = Field(default=None, pattern=r"[0-2](\.(0|[1-9][0-9]*))+")
    """The authority's policy to ask for; absent: its own choice."""
    every_minutes: float = Field(default=60, gt=0, le=7 * 24 * 60)
    """What is sealed has its stamp after so long at the latest."""
    every_events: int = Field(default=10_000, ge=1)
    """And once there are so many events without one."""
    alarm_after_hours: float = Field(default=4, gt=0)
    """When a stamp has been due for so long and could not be had, `gateway doctor` fails and the console says so."""


class ConsoleSection(_Section):
    """The pages for operators."""

    enabled: bool = True
    session_minutes: int = Field(default=480, ge=5)
    language: Literal["vi", "en"] = "vi"
    """Language until a person has chosen one."""


class LogSection(_Section):
    """The program's own log."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "text"] = "json"


class SecretSection(_Section):
    """One secret, by name: a push secret (``whsec_…``) or the key for a peer."""

    file: Path | None = None
    value: str | None = Field(default=None, repr=False)
    """For the environment (``GATEWAY__SECRETS__NATIONAL__VALUE``) rather than for the file."""


class Settings(BaseSettings):
    """Everything that an operator may set; ``docs/operate.md`` has the table."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix="GATEWAY__",
        env_nested_delimiter="__",
        arbitrary_types_allowed=True,
    )

    base: Path = Field(default=Path(), exclude=True)
    """Folder of the settings file; set by ``load_settings``."""
    gateway: GatewaySection
    web: WebSection = WebSection()
    ledger: LedgerSection = LedgerSection()
    payloads: PayloadsSection = PayloadsSection()
    limits: LimitsSection = LimitsSection()
    signing: SigningSection = SigningSection()
    revocation: RevocationSection = RevocationSection()
    files: FilesSection = FilesSection()
    scanning: ScanningSection = ScanningSection()
    exchange: ExchangeSection = ExchangeSection()
    delivery: DeliverySection = DeliverySection()
    vxp: VxpSection = VxpSection()
    lgsp: LgspSection = LgspSection()
    fetch: FetchSection = FetchSection()
    signing_requests: SigningRequestsSection = SigningRequestsSection()
    log_chain: LogChainSection = LogChainSection()
    timestamps: TimestampsSection = TimestampsSection()
    console: ConsoleSection = ConsoleSection()
    log: LogSection = LogSection()
    secrets: dict[str, SecretSection] = {}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file (whose content comes as the initial values); nothing else is read."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

    @property
    def data(self) -> Path:
        """The data folder, absolute."""
        return (self.base / self.gateway.data).resolve()

    @property
    def agencies_file(self) -> Path:
        """The agencies' file, absolute."""
        return (self.base / self.gateway.agencies).resolve()

    def beside(self, path: Path) -> Path:
        """A path of the settings file, absolute."""
        return (self.base / path).resolve()

    def within_data(self, path: Path) -> Path:
        """A path of the data folder, absolute."""
        return (self.data / path).resolve()

    @property
    def ledger_url(self) -> str:
        """The URL to open; may hold a password: never shown."""
        if self.ledger.url_file is not None:
            return _read_secret(self.beside(self.ledger.url_file), "ledger.url_file")
        if self.ledger.url is not None:
            return self.ledger.url
        return f"sqlite:///{self.data / 'ledger.sqlite3'}"

    def secret(self, name: str) -> str | None:
        """
        The secret of that name, read anew each time so that it can be rotated without a restart.

        :return: ``None`` when no such secret is configured.
        :raises SettingsInvalid: when its file cannot be read or is empty.
        """
        section = self.secrets.get(name)
        if section is None:
            return None
        if section.value is not None:
            return section.value
        if section.file is not None:
            return _read_secret(self.beside(section.file), f"secrets.{name}.file")
        raise SettingsInvalid(f"The secret {name} has neither a file nor a value.", path=f"secrets.{name}")


def _read_secret(path: Path, key: str) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as e:
        raise SettingsInvalid(f"{key}: the file {path} cannot be read ({type(e).__name__}).", path=key) from e
    if not text:
        raise SettingsInvalid(f"{key}: the file {path} is empty.", path=key)
    return text


def settings_path(explicit: Path | None = None) -> Path:
    """The settings file in force: the given one, ``GATEWAY_CONFIG``, or ``config/gateway.toml`` here."""
    return (explicit or Path(os.environ.get("GATEWAY_CONFIG") or "config/gateway.toml")).resolve()


def load_settings(path: Path | None = None) -> Settings:
    """
    Read the settings file and the environment.

    :raises SettingsInvalid: naming the file and each key at fault.
    """
    where = settings_path(path)
    try:
        content: dict[str, Any] = tomllib.loads(where.read_text(encoding="utf-8"))
    except OSError as e:
        raise SettingsInvalid(
            f"The settings file {where} cannot be read ({type(e).__name__}); `gateway init` makes one."
        ) from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise SettingsInvalid(f"The settings file {where} is not TOML: {e}.") from e
    if "base" in content:
        raise SettingsInvalid(f"{where}: base: unknown key.", path="base")
    try:
        settings = Settings(**content)
    except ValidationError as e:
        faults = "; ".join(f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in e.errors(include_input=False))
        raise SettingsInvalid(f"{where}: {faults}.") from e
    _check(settings, where)
    return settings.model_copy(update={"base": where.parent})


def _check(settings: Settings, where: Path) -> None:
    """Contradictions that no single field can see."""
    if Standing.INVALID in settings.signing.accepts:
        raise SettingsInvalid(f"{where}: signing.accepts: `invalid` is never accepted.", path="signing.accepts")
    if not settings.gateway.first_levels and settings.gateway.default_route:
        raise SettingsInvalid(
            f"{where}: gateway.first_levels: a gateway below another must name its own province or branch.",
            path="gateway.first_levels",
        )
    if settings.revocation.mode != "off" and not settings.signing.anchors:
        raise SettingsInvalid(
            f"{where}: revocation.mode: only the certificates of an authority can be revoked; name it in "
            "signing.anchors.",
            path="revocation.mode",
        )
    if settings.payloads.store == "s3" and not settings.payloads.s3_bucket:
        raise SettingsInvalid(f"{where}: payloads.s3_bucket: needed when the store is s3.", path="payloads.s3_bucket")
    if (settings.web.tls_certificate is None) != (settings.web.tls_key is None):
        raise SettingsInvalid(f"{where}: web.tls_certificate and web.tls_key go together.", path="web.tls_key")
