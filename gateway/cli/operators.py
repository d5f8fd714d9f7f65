"""``gateway operators``: people who may log in to the console."""

from __future__ import annotations

import secrets
import sys

import click

from gateway.cli.command import Group, for_programs, option
from gateway.cli.misuse import Misuse
from gateway.cli.opened import actor, opened, utc_now
from gateway.cli.shell import Shell, moment
from gateway.cli.words import LANGUAGES, Text
from gateway.console.passwords import PASSWORD_LONGEST, hash_password
from gateway.ledger.records import Operator, OperatorRole, new_id

_SHORTEST = 10

operators = Group(
    "operators",
    words=Text("Người được đăng nhập trang điều hành.", "People who may log in to the console."),
    examples="""\
gateway operators add lan --role operator
printf '%s' "$MAT_KHAU" | gateway operators password lan --stdin
gateway operators disable lan""",
)

_stdin = option("--stdin", is_flag=True, words=Text("Đọc mật khẩu từ đầu vào chuẩn.", "Read the password from stdin."))
_ask = option("--ask", is_flag=True, words=Text("Hỏi mật khẩu tại màn hình.", "Ask for the password at the terminal."))


def _password(*, stdin: bool, ask: bool) -> tuple[str, bool]:
    """The password, and whether it was made here and must be shown."""
    if stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif ask:
        password = str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    else:
        return secrets.token_urlsafe(12), True
    if not _SHORTEST <= len(password) <= PASSWORD_LONGEST:
        raise Misuse(
            Text(
                "Mật khẩu dài từ {shortest} đến {longest} ký tự.",
                "A password has {shortest} to {longest} characters.",
            ),
            shortest=_SHORTEST,
            longest=PASSWORD_LONGEST,
        )
    return password, False


def _show(shell: Shell, login: str, password: str, *, made: bool) -> None:
    if shell.json:
        shell.result({"login": login, "password": password if made else None})
    elif made:
        shell.note(
            Text("Mật khẩu của {login}, chỉ hiện lần này:", "Password of {login}, shown this once:"), login=login
        )
        click.echo(password)


@operators.command_of(
    "add",
    Text(
        "Thêm người; mật khẩu tự tạo, trừ khi có --ask hoặc --stdin.",
        "Add a person; the password is made up unless --ask or --stdin.",
    ),
    examples="gateway operators add lan --role admin --ask",
)
@click.argument("login")
@option(
    "--role",
    type=click.Choice([role.value for role in OperatorRole]),
    default=OperatorRole.OPERATOR.value,
    show_default=True,
    words=Text("Quyền: chỉ xem, vận hành, quản trị.", "viewer looks, operator also replays, admin also manages."),
)
@option("--language", type=click.Choice(LANGUAGES), default="vi", words=Text("Ngôn ngữ.", "Language."))
@_ask
@_stdin
@for_programs()
def add(shell: Shell, *, login: str, role: str, language: str, ask: bool, stdin: bool) -> None:
    """Register a person."""
    password, made = _password(stdin=stdin, ask=ask)
    operator = Operator(
        id=new_id(),
        login=login,
        password_hash=hash_password(password),
        role=OperatorRole(role),
        language=language,
        created_at=utc_now(),
    )
    with opened(shell.settings()) as gateway:
        gateway.ledger.add_operator(operator, actor=actor())
    _show(shell, login, password, made=made)


@operators.command_of("list", Text("Liệt kê.", "List."))
@for_programs()
def list_operators(shell: Shell) -> None:
    """Show people without their password hashes."""
    with opened(shell.settings()) as gateway:
        found = gateway.ledger.operators()
    if shell.json:
        names = [n for n in Operator.__dataclass_fields__ if n != "password_hash"]
        shell.result([{n: getattr(o, n) for n in names} for o in found])
        return
    columns = [
        Text("Tài khoản", "Login"),
        Text("Quyền", "Role"),
        Text("Tạo lúc", "Made"),
        Text("Đăng nhập lần cuối", "Last login"),
        Text("Khóa lúc", "Disabled"),
    ]
    shell.table(
        columns,
        [(o.login, o.role.value, moment(o.created_at), moment(o.last_login_at), moment(o.disabled_at)) for o in found],
    )


@operators.command_of(
    "password", Text("Đặt lại mật khẩu.", "Set a new password."), examples="gateway operators password lan"
)
@click.argument("login")
@_ask
@_stdin
@for_programs()
def set_password(shell: Shell, *, login: str, ask: bool, stdin: bool) -> None:
    """Change a password."""
    password, made = _password(stdin=stdin, ask=ask)
    with opened(shell.settings()) as gateway:
        gateway.ledger.change_operator(login, actor=actor(), now=utc_now(), password_hash=hash_password(password))
    _show(shell, login, password, made=made)


@operators.command_of("disable", Text("Khóa tài khoản.", "Lock an account."))
@click.argument("login")
@option("--undo", is_flag=True, words=Text("Mở lại tài khoản.", "Unlock it again."))
def disable(shell: Shell, *, login: str, undo: bool) -> None:
    """Lock or unlock an account."""
    with opened(shell.settings()) as gateway:
        gateway.ledger.change_operator(login, actor=actor(), now=utc_now(), disabled=not undo)
    shell.say(
        Text("Đã mở lại {login}.", "{login} may log in again.")
        if undo
        else Text("Đã khóa {login}.", "{login} may no longer log in."),
        login=login,
    )
