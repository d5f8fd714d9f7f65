"""``gateway alive``: for supervisors, which must not have to know the port or whether there is TLS."""

from __future__ import annotations

import http.client
import ssl

import click

from gateway.cli import exits
from gateway.cli.command import command, option
from gateway.cli.shell import Shell
from gateway.cli.words import Text
from gateway.settings import WebSection

_PATIENCE_SECONDS = 10.0
_OF_EVERY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - asked on the loopback instead


@command(
    "alive",
    Text(
        """Trục có đang chạy trên máy này không: hỏi /healthz ở địa chỉ của cấu hình, TLS hay không.
Dành cho bộ giám sát (Docker HEALTHCHECK): mã 0 khi có trả lời, 1 khi không. Điều gì sai: gateway doctor.""",
        """Whether the gateway runs on this machine: ask /healthz at the address of the settings, TLS or not.
For supervisors (Docker's HEALTHCHECK): exit code 0 when it answers, 1 when not. What is wrong: gateway doctor.""",
    ),
    examples="gateway alive\ngateway alive --port 9090",
)
@option("--host", words=Text("Địa chỉ; mặc định theo cấu hình.", "Address; by default the settings'."))
@option("--port", type=click.IntRange(1, 65535), words=Text("Cổng; mặc định theo cấu hình.", "Port; likewise."))
def alive(shell: Shell, *, host: str | None, port: int | None) -> int:
    """Ask the web server that runs here."""
    web = shell.settings().web
    listens = web.host if host is None else host
    fault = _ask(_OF_EVERY_ADDRESS.get(listens, listens), port or web.port, web)
    if fault is None:
        shell.say(Text("Trục đang chạy.", "The gateway runs."))
        return exits.DONE
    shell.note(Text("Trục không trả lời: {fault}", "The gateway does not answer: {fault}"), fault=fault)
    return exits.FAILED


def _ask(host: str, port: int, web: WebSection) -> str | None:
    """``None`` when it answers as it should; else why not."""
    connection: http.client.HTTPConnection = (
        http.client.HTTPConnection(host, port, timeout=_PATIENCE_SECONDS)
        if web.tls_certificate is None
        else http.client.HTTPSConnection(host, port, timeout=_PATIENCE_SECONDS, context=_whoever_answers())
    )
    try:
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as e:
        return f"{type(e).__name__}: {e}"
    finally:
        connection.close()
    return None if status == 200 else f"HTTP {status}"


def _whoever_answers() -> ssl.SSLContext:
    """Its certificate names the address that others use, not this one; and nothing but that it answers is learned."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
