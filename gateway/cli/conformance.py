"""``gateway conformance``: the rules of the protocols, asked of a gateway, or watched while a client calls."""

from __future__ import annotations

import os
import secrets
import signal
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import click

from gateway.cli import exits
from gateway.cli.command import Group, for_programs, option
from gateway.cli.misuse import Misuse
from gateway.cli.shell import Shell, plain
from gateway.cli.words import Text
from gateway.conformance import lgsp_checks, v1_checks, vxp_checks
from gateway.conformance.axis import PARTNER
from gateway.conformance.lgsp_checks import Lgsp
from gateway.conformance.rules import Line, Outcome, Report, Rule, Words
from gateway.conformance.server import ConformanceServer
from gateway.conformance.stand import RULES, a_stand
from gateway.conformance.v1_checks import V1
from gateway.conformance.vxp_checks import Vxp
from gateway.conformance.watch import Watch
from gateway.conformance.wire import Server

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_PROTOCOLS = ("vxp", "lgsp", "v1")

_MARKS: Final = {
    Outcome.PASS: Text("ĐẠT       ", "pass"),
    Outcome.FAIL: Text("KHÔNG ĐẠT ", "FAIL"),
    Outcome.SKIP: Text("BỎ QUA    ", "skip"),
    Outcome.OPEN: Text("CHƯA THẤY ", "open"),
}

conformance = Group(
    "conformance",
    words=Text(
        """Kiểm tra tương thích giao thức: hỏi một trục từng quy tắc (check),
hoặc đóng vai trục để xem phần mềm của mình làm đúng chưa (serve).""",
        """Conformance to the protocols: ask a gateway about each rule (check), or play the gateway and see
what one's own client does right (serve).""",
    ),
    examples="""\
gateway conformance check --protocol vxp --url https://truc.example/vxp --system H37.QLVB \\
    --secret-file khoa.txt --agency 000.00.14.H37
gateway conformance serve --protocol lgsp --port 8099 --system H37.DN.001 --agency 000.00.14.H37
gateway conformance rules --protocol lgsp""",
)


@conformance.command_of(
    "rules", Text("Liệt kê các quy tắc; không gọi đi đâu.", "List the rules; calls nobody."),
    examples="gateway conformance rules --protocol vxp --json\ngateway conformance rules --protocol vxp --of client",
)  # fmt: skip
@option("--protocol", type=click.Choice(_PROTOCOLS), required=True, words=Text("Giao thức.", "The protocol."))
@option(
    "--of",
    "side",
    type=click.Choice(("gateway", "client")),
    default="gateway",
    show_default=True,
    words=Text("Của trục (check) hay của phần mềm gọi vào (serve).", "Of gateways (check) or of clients (serve)."),
)
@for_programs()
def rules(shell: Shell, *, protocol: str, side: str) -> None:
    """List what is asked or watched."""
    found = _rules_of(protocol) if side == "gateway" else _watch(protocol).rules
    if shell.json:
        shell.result([{"rule": rule.id, **rule.words._asdict()} for rule in found])
        return
    shell.table(
        [Text("Quy tắc", "Rule"), Text("Phải đúng là", "What must hold")],
        [(rule.id, _said(shell, rule.words)) for rule in found],
    )


def _rules_of(protocol: str) -> list[Rule]:
    return {"vxp": vxp_checks.book.rules, "lgsp": lgsp_checks.book.rules, "v1": v1_checks.book.rules}[protocol]


def _watch(protocol: str, told: Callable[[Line], None] = lambda _: None) -> Watch:
    if protocol not in RULES:
        raise Misuse(Text("serve chỉ có vxp và lgsp.", "serve knows vxp and lgsp only."))
    return Watch(f"{protocol}-client", RULES[protocol], told=told)


@conformance.command_of(
    "check",
    Text(
        """Hỏi một trục từng quy tắc của giao thức, mỗi quy tắc một dòng.
Chỉ gửi văn bản kiểm thử từ hệ thống của mình cho chính mình, và lấy đi hết khi xong.""",
        """Ask a gateway about each rule of a protocol, a line for each.
Sends test documents from one's own system to itself only, and takes them all away at the end.""",
    ),
    examples=Text(
        """\
gateway conformance check --protocol vxp --url https://truc.example/vxp --system H37.QLVB \\
    --secret-file khoa.txt --agency 000.00.14.H37
gateway conformance check --protocol lgsp --url https://truc.example/lgsp --system H37.DN.001 --secret-file khoa.txt
gateway conformance check --protocol v1 --url https://truc.example --secret-file khoa-api.txt \\
    --agency 000.00.14.H37 --json
gateway conformance check --protocol vxp --url … --system … --secret-file … --only vxp.signature""",
        """\
gateway conformance check --protocol vxp --url https://gateway.example/vxp --system H37.QLVB \\
    --secret-file secret.txt --agency 000.00.14.H37
gateway conformance check --protocol lgsp --url https://gateway.example/lgsp --system H37.DN.001 \\
    --secret-file secret.txt
gateway conformance check --protocol v1 --url https://gateway.example --secret-file key.txt \\
    --agency 000.00.14.H37 --json
gateway conformance check --protocol vxp --url … --system … --secret-file … --only vxp.signature""",
    ),
)
@option("--protocol", type=click.Choice(_PROTOCOLS), required=True, words=Text("Giao thức.", "The protocol."))
@option(
    "--url",
    required=True,
    words=Text("Địa chỉ trục, kèm tiền tố của giao thức.", "The gateway, with the protocol's prefix."),
)
@option("--system", words=Text("systemid, X-SystemId; v1 không cần.", "systemid, X-SystemId; not for v1."))
@option(
    "--secret-file",
    type=_FILE,
    words=Text(
        "Tệp chứa khóa bí mật (v1: khóa API); hoặc biến GATEWAY_SECRET.",
        "File with the secret (v1: the API key); or the variable GATEWAY_SECRET.",
    ),
)
@option(
    "--agency",
    multiple=True,
    words=Text(
        "Mã cơ quan của hệ thống: nơi gửi thử, rồi nơi nhận thử nếu khác. Mặc định là --system.",
        "Code of the system's agency: test sender, then test recipient if another. By default --system.",
    ),
)
@option(
    "--foreign",
    words=Text(
        "Mã một cơ quan của trục mà hệ thống không đại diện, để thử mạo danh.",
        "Code of an agency that the system does not speak for, to try impersonation.",
    ),
)
@option("--username", words=Text("LGSP: tên đăng nhập; mặc định --system.", "LGSP: user; by default --system."))
@option(
    "--password-file",
    type=_FILE,
    words=Text("LGSP: tệp mật khẩu; mặc định khóa bí mật.", "LGSP: file with the password; by default the secret."),
)
@option("--application", default="edoc", show_default=True, words=Text("LGSP: applicationCode.", "LGSP: its code."))
@option("--only", multiple=True, words=Text("Chỉ quy tắc bắt đầu như thế.", "Only rules that begin so."))
@option("--ca-file", type=_FILE, words=Text("CA để tin kết nối TLS (PEM).", "CA to believe for TLS (PEM)."))
@option(
    "--timeout",
    type=click.FloatRange(1, 600),
    default=60.0,
    show_default=True,
    words=Text("Giây chờ mỗi câu trả lời.", "Seconds to wait for an answer."),
)
@for_programs()
def check(
    shell: Shell,
    *,
    protocol: str,
    url: str,
    system: str | None,
    secret_file: Path | None,
    agency: tuple[str, ...],
    foreign: str | None,
    username: str | None,
    password_file: Path | None,
    application: str,
    only: tuple[str, ...],
    ca_file: Path | None,
    timeout: float,
) -> int:
    """Examine a gateway."""
    if only and not any(rule.id.startswith(only) for rule in _rules_of(protocol)):
        raise Misuse(Text("Không có quy tắc nào bắt đầu như thế.", "No rule begins so."))
    server = Server(url=url, ca_file=ca_file, timeout_seconds=timeout)
    secret = _secret(secret_file)
    codes = agency or ((system,) if system else ())
    if not codes or (system is None and protocol != "v1"):
        raise Misuse(
            Text("Cần --system (vxp, lgsp) và --agency.", "--system (vxp, lgsp) and --agency are needed."),
        )
    sender, receiver, name = codes[0], codes[-1], system or ""
    if protocol == "vxp":
        vxp = Vxp(server, name, secret, sender=sender, receiver=receiver, foreign=foreign)
        lines = vxp_checks.book.run(vxp, only=only)
    elif protocol == "lgsp":
        password = _secret(password_file) if password_file else secret
        user = username or name
        lgsp = Lgsp(server, name, secret, username=user, password=password, application=application,
                    sender=sender, receiver=receiver, foreign=foreign)  # fmt: skip
        lines = lgsp_checks.book.run(lgsp, only=only)
    else:
        lines = v1_checks.book.run(V1(server, secret, sender=sender, receiver=receiver, foreign=foreign), only=only)
    return _told(shell, lines)


@conformance.command_of(
    "serve",
    Text(
        """Đóng vai trục cho phần mềm của mình gọi vào, và báo từng quy tắc nó đúng, sai hay chưa thấy.
Chạy trong bộ nhớ, chỉ để thử; cố ý làm mất vài câu trả lời như trục thật. Báo cáo: GET /conformance, và khi dừng.""",
        """Play the gateway to one's own client, and tell of each rule whether it keeps it, breaks it, or neither yet.
In memory, for tests only; loses answers on purpose as real axes do. The report: GET /conformance, and at the end.""",
    ),
    examples=Text(
        """\
gateway conformance serve --protocol vxp --port 8099 --system H37.QLVB --agency 000.00.14.H37
gateway conformance serve --protocol lgsp --port 8099 --system H37.DN.001 --agency 000.00.14.H37 --no-faults
gateway conformance serve --protocol vxp --system H37.QLVB --secret-file khoa.txt --agency H37.21 --seconds 600""",
        """\
gateway conformance serve --protocol vxp --port 8099 --system H37.QLVB --agency 000.00.14.H37
gateway conformance serve --protocol lgsp --port 8099 --system H37.DN.001 --agency 000.00.14.H37 --no-faults
gateway conformance serve --protocol vxp --system H37.QLVB --secret-file key.txt --agency H37.21 --seconds 600""",
    ),
)
@option("--protocol", type=click.Choice(("vxp", "lgsp")), required=True, words=Text("Giao thức.", "The protocol."))
@option("--host", default="127.0.0.1", show_default=True, words=Text("Nghe ở địa chỉ này.", "Listen here."))
@option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8099,
    show_default=True,
    words=Text("Cổng; 0: cổng trống bất kỳ.", "Port; 0 for any that is free."),
)
@option(
    "--port-file",
    type=click.Path(dir_okay=False, path_type=Path),
    words=Text("Ghi số cổng vào tệp này.", "Write the port here."),
)
@option("--system", required=True, words=Text("systemid, X-SystemId của phần mềm.", "systemid, X-SystemId."))
@option("--agency", required=True, words=Text("Mã cơ quan của phần mềm.", "Code of the client's agency."))
@option(
    "--secret-file",
    type=_FILE,
    words=Text(
        "Tệp chứa khóa bí mật, hoặc biến GATEWAY_SECRET; mặc định tạo một khóa và hiện ra.",
        "File with the secret, or the variable GATEWAY_SECRET; by default one is made and shown.",
    ),
)
@option("--no-faults", is_flag=True, words=Text("Không cố ý gây sự cố.", "Lose nothing on purpose."))
@option("--seconds", type=click.FloatRange(1), words=Text("Dừng sau số giây này.", "End after so many seconds."))
@for_programs()
def serve(
    shell: Shell,
    *,
    protocol: str,
    host: str,
    port: int,
    port_file: Path | None,
    system: str,
    agency: str,
    secret_file: Path | None,
    no_faults: bool,
    seconds: float | None,
) -> int:
    """Examine a client."""
    given = secret_file is not None or "GATEWAY_SECRET" in os.environ
    secret = _secret(secret_file) if given else secrets.token_urlsafe(24)
    watch = _watch(protocol, told=lambda line: _tell(shell, line))
    server = a_stand(
        (host, port), watch, system=system, secret=secret, agency=agency, faults=not no_faults, protocol=protocol
    )
    if port_file is not None:
        port_file.write_text(f"{server.port}\n", encoding="ascii")
    shell.note(
        Text(
            "Trục thử {protocol}: http://{host}:{port} · cơ quan đối tác {partner}. Ctrl-C để dừng và xem báo cáo.",
            "A {protocol} axis for tests: http://{host}:{port} · partner agency {partner}. Ctrl-C ends and reports.",
        ),
        protocol=protocol, host=host, port=server.port, partner=PARTNER,
    )  # fmt: skip
    if not given:
        shell.note(Text("Khóa bí mật: {secret}", "Secret: {secret}"), secret=secret)
    _serve_until_told(server, seconds)
    report = watch.report()
    if shell.json:
        shell.result(report.as_json())
    else:
        for line in report.lines:
            click.echo(as_text(shell, line))
    shell.say(Text("Tổng: {counts}", "In all: {counts}"), counts=_counts(shell, report))
    return exits.DONE if report.passed else exits.FAILED


def _tell(shell: Shell, line: Line) -> None:
    """A rule whose outcome has just changed, on standard error: the report follows on the other."""
    if shell.verbosity >= 0:
        click.echo(as_text(shell, line), err=True)


def _serve_until_told(server: ConformanceServer, seconds: float | None) -> None:
    """Until Ctrl-C, SIGTERM, or so many seconds have passed."""
    ended = threading.Event()
    before = {s: signal.signal(s, lambda *_: ended.set()) for s in (signal.SIGINT, signal.SIGTERM)}
    thread = threading.Thread(target=server.serve_forever, name="conformance", daemon=True)
    thread.start()
    try:
        ended.wait(seconds)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        server.shutdown()
        server.server_close()
        thread.join()


def _secret(file: Path | None) -> str:
    """A secret of a file or the surroundings; never an argument: those are public."""
    secret = file.read_text(encoding="utf-8").strip() if file else os.environ.get("GATEWAY_SECRET", "").strip()
    if not secret:
        raise Misuse(
            Text(
                "Cần khóa: --secret-file, hoặc biến môi trường GATEWAY_SECRET.",
                "A secret is needed: --secret-file, or GATEWAY_SECRET in the environment.",
            )
        )
    return secret


def _told(shell: Shell, lines: Iterable[Line]) -> int:
    """Show each line as soon as it is known, then the sum; the exit code."""
    found = []
    for line in lines:
        found.append(line)
        if not shell.json and (shell.verbosity >= 0 or line.outcome is Outcome.FAIL):
            click.echo(as_text(shell, line))
    report = Report(tuple(found))
    if shell.json:
        shell.result(report.as_json())
    shell.say(Text("Tổng: {counts}", "In all: {counts}"), counts=_counts(shell, report))
    # Where every rule was left out nothing has been shown.
    shown = any(line.outcome is Outcome.PASS for line in found)
    return exits.DONE if report.passed and shown else exits.FAILED


def as_text(shell: Shell, line: Line) -> str:
    """A rule with its verdict, and the reason below it."""
    text = f"{shell.words(_MARKS[line.outcome])}  {line.rule.id:<28} {_said(shell, line.rule.words)}"
    return f"{text}\n              → {_said(shell, line.reason)}" if line.reason else text


def _counts(shell: Shell, report: Report) -> str:
    counts = report.counts().items()
    return ", ".join(f"{count} {shell.words(_MARKS[Outcome(name)]).strip().lower()}" for name, count in counts)


def _said(shell: Shell, words: Words) -> str:
    # What the other side answered stands in it: nothing that moves the cursor.
    return plain(words.vi if shell.language == "vi" else words.en)
