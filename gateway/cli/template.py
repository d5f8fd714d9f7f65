"""The settings file that a person starts from: every setting, explained; what is commented out is the default."""

from __future__ import annotations

from typing import Final

from gateway.cli.founding import Site, toml_value

_SETTINGS: Final = """\
# Settings of this gateway. Every key is here; what is commented out shows its default.
# A misspelt key is an error. Environment variables win: GATEWAY__WEB__PORT=9090 overrides [web] port.
# Paths are relative to this file, those of [signing] to the data folder. Secrets stand in files of
# their own, never here. `gateway config check` says what is wrong, `gateway config show` what is in force.

[gateway]
# Agency code that this gateway acts under, and its name.
code = {code}
name = {name}
# First-level parts of its own agencies; several after a merger of provinces, none on the national level.
first_levels = {first_levels}
# The gateway above: everything outside goes there. An agency of the directory with a peer endpoint.
{default_route}
# Read once, when the database is new; afterwards `gateway agencies import` puts changes in force.
agencies = "agencies.toml"
# For so many days after its sender closed, a document that was sent before is still taken from another gateway.
# closed_sender_grace_days = 14
# Ledger, payloads, spool and keys; must survive restarts, and be backed up (`gateway db backup`).
data = "../var"

[web]
host = "127.0.0.1"
port = 8080
# threads = 8
# body_limit_bytes = 314572800
# Per API key, counted by each process alone.
# rate_limit = "1200 per minute"
# login_rate_limit = "10 per minute"
# Trusted reverse proxies in front; only then are forwarded addresses believed.
# proxies = 0
# Set to true behind TLS.
# secure_cookies = false
# tls_certificate = "tls.crt"
# tls_key = "tls.key"

[ledger]
# Absent: SQLite in the data folder. With a password in it, use a file.
# url = "postgresql+psycopg://gateway@db.example/gateway"
# url_file = "ledger.url"
# refusals_kept = 10000
# refusals_kept_bytes = 268435456

[payloads]
# Packages up to this size live in the ledger, larger ones in the store.
# inline_bytes = 524288
# store = "files"
# s3_bucket = "gateway"
# s3_prefix = "payloads"
# s3_endpoint = "https://s3.example"
# s3_region = "vn-1"
# s3_allow_http = false
# s3_credentials_file = "s3.credentials"

[limits]
# Bounds on what a package may be; absent members keep the program's defaults.
# package_bytes = 314572800
# attachments = 500
# recipients = 5000

[signing]
# The gateway's own key: PKCS#12 or PEM, and the file with its password.
# key = "keys/gateway.p12"
# password_file = "keys/gateway.password"
# Instead of a file, a PKCS#11 token: its library, which token and certificate where there are several, and the PIN
# in a file of the data folder that only its owner can read (or in GATEWAY_TOKEN_PIN).
# token_module = "/usr/lib/softhsm/libsofthsm2.so"
# token_label = "gateway"
# certificate_label = "gateway"
# pin_file = "keys/token.pin"
# Earlier certificates of the gateway (PEM), beside those in keys/former of the data folder.
# former = ["../certs/gateway-2025.pem"]
# Trust anchors (PEM). Empty: registered certificates are trusted by themselves.
# anchors = ["../certs/anchors.pem"]
# Authorities between anchors and certificates (PEM); believed only as far as they chain to an anchor.
# intermediates = ["../certs/intermediates.pem"]
# Verdicts accepted from senders without a policy of their own; `invalid` never is.
# accepts = ["valid", "valid_weak", "unsigned", "unverifiable"]
# minimum_rsa_bits = 2048
# Add this hop and the gateway's signature to packages without any.
# complete_unsigned = true

[revocation]
# "off": not asked; "if_known": a known revocation counts; "required": without knowledge a package is indeterminate.
# mode = "off"
# An indeterminate package is accepted and judged again later ("accept"), accepted and kept here until it is known
# ("hold"), or refused for now ("refuse").
# outage = "hold"
# The only addresses that are ever fetched, whatever a certificate says: these and what lies below them.
# urls = ["http://ocsp.ca.gov.vn/", "http://ca.gov.vn/pki/"]
# CRLs that no certificate names.
# crls = ["http://ca.gov.vn/pki/pub/crl/cp.crl"]
# CRLs and OCSP answers as files, for networks that reach no authority.
# folder = "revocation"
# refresh_minutes = 60
# timeout_seconds = 30
# max_bytes = 33554432
# per_round = 500

[files]
# Judge the signatures inside attached files, after acceptance, in a process of its own.
# inspect = true
# Tell person from agency by the certificate's subject where it is not registered.
# role_by_subject = true
# The anchors (PEM) of the authorities of time-stamps inside files; none: signing.anchors.
# timestamp_ca = ["../certs/tsa.pem"]
# How many documents' files are read at the same time, and what one file may take.
# readers = 1
# seconds = 20
# memory_bytes = 1073741824
# file_bytes = 209715200
# Whose signatures one of the files must carry, valid, before a document of that type is handed over.
# require = {{ "Quyết định" = ["person", "agency"], "*" = [] }}
# Whose signatures every other PDF must carry then; a type that is not named: the agency's.
# require_others = {{ "Giấy mời" = [] }}
# Which file of such a document is the one to be signed: any that is ("any"), or the first.
# main = {{ "Giấy mời" = "first" }}

[scanning]
# ClamAV's daemon; absent: files are not searched for malware.
# clamd = "unix:/run/clamav/clamd.ctl"
# What was not searched is kept here until it is ("hold"), or passed on as not scanned ("pass").
# unreachable = "hold"
# timeout_seconds = 20
# max_bytes = 26214400

[exchange]
# A recall takes back at once what nobody has collected; false: it follows the document, and the receiver answers.
# withdraw_uncollected = true
# For tests alone: write what systems fetch anew, as the national axis does; signatures are lost.
# reserialise = false

[delivery]
# threads = 8
# per_endpoint = 2
# lease_seconds = 300
# mailbox_lease_seconds = 300
# connect_timeout_seconds = 10
# read_timeout_seconds = 60
# poll_seconds = 1.0
# ca_file = "peers-ca.pem"
# Multiplies every wait between tries; below 1 for demonstrations.
# wait_factor = 1.0

[fetch]
# Axes that speak VXP or LGSP are asked for arrivals so often; 0: not by this process.
# seconds = 60
# Without arrivals for so long an axis counts as silent, which is an event; 0: never.
# silent_hours = 72

[vxp]
# The national kit's protocol, for systems added by `gateway systems add`.
# enabled = true
# Empty for software that takes no path: prefix = ""
# prefix = "/vxp"

[lgsp]
# The provincial axis' protocol, for systems added by `gateway systems add`.
# enabled = true
# prefix = "/lgsp"
# "actual": as the axis of Lạng Sơn answers; "documented": as its vendor's document says.
# response = "actual"
# token_minutes = 30
# A newer login of a system ends its older token.
# single_token = false
# One system's login serves others that call with their own id and secret.
# shared_login = false
# window_days = 7

[signing_requests]
# Files that are signed in two steps, with a key that this gateway never sees: how long they wait for the signature,
# how long the signed file can be fetched, and how much of one agency may wait.
# minutes = 15
# kept_minutes = 60
# per_agency = 50
# per_agency_bytes = 1073741824
# largest_bytes = 67108864
# What the preparation of one PDF may take, in a process of its own.
# prepare_seconds = 20
# prepare_memory_bytes = 1610612736

[log_chain]
# What has happened is sealed into the event log's chain so often.
# seal_seconds = 5
# A second place for the chain's heads, only ever appended to; on another machine's disk, best.
# heads_file = "/mnt/elsewhere/gateway-heads.jsonl"

[timestamps]
# Time-stamp authorities (RFC 3161), asked in this order; none: nothing is stamped.
# urls = ["http://tsa.ca.gov.vn"]
# The anchors (PEM) that they chain to; none: a token is taken whoever signed it.
# ca = ["../certs/tsa.pem"]
# policy_oid = "1.2.3"
# What is sealed has its stamp after so long, or once there are so many events, whichever comes first.
# every_minutes = 60
# every_events = 10000
# When a stamp has been due for so long, `gateway doctor` fails and the console says so; nothing stops.
# alarm_after_hours = 4

[console]
# enabled = true
# session_minutes = 480
# language = "vi"

[log]
# level = "info"
# format = "json"

# Secrets by the names that agencies.toml gives them (`credential`): push secrets (whsec_…), keys for peers.
# [secrets.national]
# file = "secrets/national.key"
# [secrets.so-khcn]
# file = "secrets/so-khcn.whsec"
"""

_AGENCIES: Final = """\
# The agencies that this gateway knows. Add yours, then `gateway agencies check` and `gateway agencies import`.
# The keys are explained at the head of config/agencies.toml of the project, and in docs/operate.md.

[[agency]]
code = {code}
name = {name}
level = {level}
[agency.endpoint]
channel = "mailbox"
"""

_ABOVE: Final = """
# The gateway above; its URL and key come from its operator. The national axis itself speaks another protocol:
# channel = "vxp", and system = the id that it gave to this gateway (docs/operate.md, "Joining an axis").
[[agency]]
code = {code}
name = "Trục liên thông cấp trên"
level = "national"
hidden = true
[agency.endpoint]
channel = "peer"
url = "https://truc-cap-tren.example"
credential = "national"
"""


def settings_template(site: Site) -> str:
    """``gateway.toml`` for a site."""
    route = f"default_route = {toml_value(site.default_route)}" if site.default_route else '# default_route = "…"'
    return _SETTINGS.format(
        code=toml_value(site.code),
        name=toml_value(site.name),
        first_levels=toml_value(site.first_levels),
        default_route=route,
    )


def agencies_template(site: Site) -> str:
    """``agencies.toml`` for a site: itself, and the gateway above."""
    level = "province" if site.default_route else "national"
    own = _AGENCIES.format(code=toml_value(site.code), name=toml_value(site.name), level=toml_value(level))
    return own + (_ABOVE.format(code=toml_value(site.default_route)) if site.default_route else "")
