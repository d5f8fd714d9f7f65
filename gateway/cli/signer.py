"""``gateway signer``: the helper on a clerk's machine."""

from __future__ import annotations

import contextlib
import os
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from gateway import __version__
from gateway.api.problems import status_of
from gateway.cli import exits
from gateway.cli.command import command, option
from gateway.cli.misuse import Misuse
from gateway.cli.server import Patience, Serving, WebServer
from gateway.cli.shell import Shell
from gateway.cli.signals import Signals
from gateway.cli.words import Text
from gateway.clock import utc_now
from gateway.delivery.agency import AgencyClient, AgencySettings
from gateway.errors import GatewayError, NoWayToAsk, SettingsInvalid
from gateway.logs import configure_logging
from gateway.signer.app import Door, is_open_to_change, make_app, origin_of
from gateway.signer.desk import ANSWER_WITHIN, Desk
from gateway.signer.helper import GatewayFacts, Helper
from gateway.signer.keyring import FileKeyring, Keyring, TokenKeyring, read_file
from gateway.signer.lock import only_one
from gateway.signer.memory import keep_from_dumps
from gateway.signer.pairing import Pairings
from gateway.signer.preflight import AtGateway
from gateway.signer.terminal import Terminal
from gateway.signer.window import Window

PORT = 28450
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_THREADS = 4
_PATIENCE = timedelta(seconds=5)
"""For the gateway, while a page waits for the preflight."""


@command(
    "signer",
    Text(
        """Trình ký số trên máy của văn thư: trang web đã được phép xin ký, trình này hỏi người dùng và tự hỏi PIN.
Chỉ máy này gọi được (127.0.0.1). PIN không qua trình duyệt, không được lưu. Ctrl-C để kết thúc.""",
        """The signing helper on a clerk's machine: allowed pages ask, the helper asks the person, and for the PIN.
Only this machine can reach it (127.0.0.1). The PIN never passes the browser and is never stored. Ctrl-C ends it.""",
    ),
    examples="""\
gateway signer --token /usr/lib/softhsm/libsofthsm2.so --allow-origin https://eoffice.langson.gov.vn
gateway signer --key van-thu.p12 --allow-origin https://eoffice.langson.gov.vn --keep-open 10
gateway signer --token bit4xpki.dll --allow-origin https://eoffice.langson.gov.vn --ask window""",
)
@option("--token", "module", type=_FILE, words=Text("Thư viện PKCS#11 của thiết bị.", "The token's PKCS#11 module."))
@option("--token-label", words=Text("Tên thiết bị, khi cắm nhiều cái.", "Which token, when several are plugged in."))
@option("--key", "key_file", type=_FILE, words=Text("Khóa: PKCS#12 hoặc PEM.", "Key: PKCS#12 or PEM."))
@option(
    "--allow-origin",
    "origins",
    multiple=True,
    required=True,
    words=Text(
        "Trang được phép xin ký, như https://eoffice.tinh.gov.vn; có thể lặp lại.",
        "A page that may ask, such as https://eoffice.tinh.gov.vn; may be repeated.",
    ),
)
@option(
    "--ask",
    type=click.Choice(["auto", "terminal", "window"]),
    default="auto",
    words=Text(
        "Hỏi ở cửa sổ dòng lệnh hay hộp thoại; auto: dòng lệnh nếu có.",
        "Ask at the terminal or in windows; auto: the terminal where there is one.",
    ),
)
@option(
    "--keep-open",
    type=click.IntRange(0, 60),
    default=0,
    words=Text(
        "Sau khi ký, trang đó không phải nhập lại PIN trong số phút này; vẫn hỏi đồng ý từng chữ ký.",
        "For so many minutes after a signature the same page needs no PIN again; each is still asked about.",
    ),
)
@option("--gateway", "url", words=Text("Trục liên thông để hỏi.", "The gateway to ask."))
@option(
    "--api-key-file",
    type=_FILE,
    words=Text(
        "Khóa API của cơ quan tại trục: để biết chứng thư đã đăng ký chưa, đồng hồ có đúng không.",
        "The agency's API key there: to see whether certificates are registered and the clock is right.",
    ),
)
@option("--port", type=click.IntRange(0, 65535), default=PORT, words=Text("Cổng.", "Port."))
@option(
    "--port-file",
    type=click.Path(dir_okay=False, path_type=Path),
    words=Text("Ghi cổng đang dùng vào tệp này.", "Write the port in use to this file."),
)
@option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=lambda: Path(click.get_app_dir("edxml-signer")),
    words=Text("Thư mục ghi nhớ các trang đã ghép nối.", "Folder that remembers which pages were paired."),
)
def signer(
    shell: Shell,
    *,
    module: Path | None,
    token_label: str | None,
    key_file: Path | None,
    origins: tuple[str, ...],
    ask: str,
    keep_open: int,
    url: str | None,
    api_key_file: Path | None,
    port: int,
    port_file: Path | None,
    folder: Path,
) -> int:
    """Serve this machine until told to stop."""
    if (key_file is None) == (module is None):
        raise Misuse(Text("Cho biết khóa: --key hoặc --token.", "Say which key: --key or --token."))
    if (api_key_file is None) != (url is None):
        raise Misuse(Text("--gateway và --api-key-file đi cùng nhau.", "--gateway and --api-key-file go together."))
    keep_from_dumps()
    configure_logging("warning", "text")
    allowed = [origin_of(origin) for origin in origins]
    for origin in filter(is_open_to_change, allowed):
        shell.note(
            Text(
                "Chú ý: {origin} không dùng HTTPS; ai ở giữa đường truyền đều có thể sửa trang này.",
                "Note: {origin} is not HTTPS; whoever is on the network can change that page.",
            ),
            origin=origin,
        )
    with contextlib.ExitStack() as stack:
        stack.enter_context(only_one(folder, module or _given(key_file), label=token_label if module else None))
        desk = _desk(shell, ask, stack)
        keyring: Keyring = TokenKeyring(module, label=token_label) if module else _key_file(shell, _given(key_file))
        helper = Helper(
            keyring=keyring,
            desk=desk,
            clock=utc_now,
            gateway=_gateway(stack, url, api_key_file) if url and api_key_file else None,
            keep_open=timedelta(minutes=keep_open),
        )
        stack.callback(helper.close)
        _serve(shell, helper, allowed, folder, port=port, port_file=port_file)
    return exits.DONE


def _serve(
    shell: Shell, helper: Helper, origins: list[str], folder: Path, *, port: int, port_file: Path | None
) -> None:
    pairings = Pairings(folder / "pairings.json", clock=utc_now)
    door = Door(origins=origins, port=lambda: server.port, pairings=pairings)
    app = make_app(helper, door, version=__version__, status_of=status_of)
    # Until the person has answered nothing moves on the connection.
    patience = Patience(window_seconds=ANSWER_WITHIN.total_seconds() + 60)
    server = WebServer("127.0.0.1", port, app, threads=_THREADS, patience=patience)
    try:
        server.prepare()
    except OSError as e:
        raise SettingsInvalid(f"Port {port} cannot be listened on ({e.strerror}); --port takes another.") from e
    serving = Serving(server)
    with Signals() as signals:
        serving.start()
        if port_file is not None:
            port_file.write_text(str(server.port), encoding="ascii")
        shell.say(
            Text(
                "Trình ký số đang chạy tại http://127.0.0.1:{port} cho: {origins}. Ctrl-C để kết thúc.",
                "The signing helper runs at http://127.0.0.1:{port} for: {origins}. Ctrl-C ends it.",
            ),
            port=server.port,
            origins=", ".join(origins),
        )
        try:
            while serving.is_alive and not signals.stop.wait(1):
                pass
        finally:
            serving.stop()


def _desk(shell: Shell, ask: str, stack: contextlib.ExitStack) -> Desk:
    """
    :raises NoWayToAsk: there is neither a terminal nor a display, or not the one asked for.
    """
    if ask != "window" and sys.platform != "win32":
        try:
            tty = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError as e:
            if ask == "terminal":
                raise NoWayToAsk("There is no terminal to ask at.") from e
        else:
            stack.callback(os.close, tty)
            return Terminal(tty, shell.language)
    window = Window(shell.language)
    window.check()
    return window


def _given(key_file: Path | None) -> Path:
    assert key_file is not None
    return key_file


def _key_file(shell: Shell, path: Path) -> FileKeyring:
    """The certificates of a key file, for which its password is asked once; the key itself is not kept."""
    if not sys.stdin.isatty():
        raise NoWayToAsk("The key's password cannot be asked for: there is no terminal.")
    words = shell.words(Text("Mật khẩu của khóa, để đọc chứng thư", "The key's password, to read its certificate"))
    return read_file(path, str(click.prompt(words, hide_input=True, err=True)))


class _Gateway:
    """The gateway that this helper was told of, as ``GatewayFacts``."""

    def __init__(self, agency: AgencyClient) -> None:
        self._agency = agency

    def ahead(self) -> timedelta | None:
        """As ``GatewayFacts``: what the gateway says on any certificate has its time."""
        before = utc_now()
        found = self._asked("0" * 64)
        try:
            return before - datetime.fromisoformat(found["now"]) if found else None
        except (KeyError, TypeError, ValueError):
            return None

    def says_of(self, sha256: str) -> AtGateway | None:
        """As ``GatewayFacts``."""
        found = self._asked(sha256)
        if found is None:
            return None
        if not found.get("registered"):
            return AtGateway.STRANGER
        return AtGateway.GOOD if found.get("reason") is None else AtGateway.UNUSABLE

    def _asked(self, sha256: str) -> dict[str, Any] | None:
        try:
            return self._agency.certificate(sha256)
        except GatewayError:
            return None


def _gateway(stack: contextlib.ExitStack, url: str, api_key_file: Path) -> GatewayFacts:
    seconds = _PATIENCE.total_seconds()
    settings = AgencySettings(
        url=url,
        key=api_key_file.read_text(encoding="utf-8").strip(),
        connect_timeout_seconds=seconds,
        read_timeout_seconds=seconds,
    )
    return _Gateway(stack.enter_context(AgencyClient(settings)))
