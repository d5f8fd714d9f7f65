"""``gateway init``: everything that a new gateway needs, with one command and no questions."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli import founding
from gateway.cli.command import command, for_programs, option
from gateway.cli.founding import LANG_SON, Site
from gateway.cli.shell import Shell
from gateway.cli.template import agencies_template, settings_template
from gateway.cli.words import Text
from gateway.clock import utc_now
from gateway.model import AgencyCode
from gateway.settings import load_settings

_NEXT = Text(
    """
Việc tiếp theo:
  1. Sửa {config}, rồi chạy: gateway --config {config} config check
  2. Sửa {agencies}, rồi chạy: gateway --config {config} agencies import {agencies}
  3. Cấp khóa cho hệ thống của từng cơ quan: gateway --config {config} keys create MÃ_CƠ_QUAN
  4. Chạy: gateway --config {config} serve
Khóa ký trong {keys} do CA thử nghiệm cấp; khi dùng thật: gateway init --csr""",
    """
What to do next:
  1. Edit {config}, then run: gateway --config {config} config check
  2. Edit {agencies}, then run: gateway --config {config} agencies import {agencies}
  3. Give each agency's system a key: gateway --config {config} keys create AGENCY
  4. Run: gateway --config {config} serve
The signing key in {keys} is issued by a test CA; for real use: gateway init --csr""",
)


@command(
    "init",
    Text(
        """Lập một trục mới: tệp cấu hình, danh bạ, khóa ký (CA thử nghiệm), cơ sở dữ liệu, tài khoản đầu tiên.
Không ghi đè tệp nào đã có; chạy lại chỉ bổ sung phần còn thiếu.""",
        """Set up a gateway: settings, directory, signing key (test CA), database, first account.
Nothing that exists is overwritten; running it again adds what is missing.""",
    ),
    examples=Text(
        """\
gateway init
gateway init /etc/gateway --code 000.00.00.H38 --name "Trục liên thông tỉnh Lào Cai" --first-level H38
gateway init --csr                       # khóa và yêu cầu gửi CA thật
gateway init --certificate issued.crt    # ghép chứng thư CA đã cấp với khóa đó""",
        """\
gateway init
gateway init /etc/gateway --code 000.00.00.H38 --name "Trục liên thông tỉnh Lào Cai" --first-level H38
gateway init --csr                       # a key and a request for a real CA
gateway init --certificate issued.crt    # join what the CA has issued with that key""",
    ),
)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path("config"))
@option("--code", default=LANG_SON.code, words=Text("Mã định danh của trục.", "Agency code of the gateway."))
@option("--name", default=LANG_SON.name, words=Text("Tên của trục.", "Its name."))
@option(
    "--first-level",
    "first_levels",
    multiple=True,
    words=Text(
        "Mã cấp 1 của các cơ quan thuộc trục (H37); có thể lặp lại.",
        "First-level part of its own agencies (H37); may be repeated.",
    ),
)
@option(
    "--default-route",
    default=LANG_SON.default_route,
    words=Text("Mã của trục cấp trên; để trống nếu không có.", "Code of the gateway above; empty for none."),
)
@option("--csr", is_flag=True, words=Text("Chỉ tạo khóa và yêu cầu cấp chứng thư.", "Only a key and a request."))
@option(
    "--certificate",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    words=Text("Chứng thư do CA cấp theo yêu cầu trước đó.", "The certificate that a CA issued for that request."),
)
@for_programs()
def init(
    shell: Shell,
    *,
    folder: Path,
    code: str,
    name: str,
    first_levels: tuple[str, ...],
    default_route: str,
    csr: bool,
    certificate: Path | None,
) -> None:
    """Set up a gateway in a folder."""
    site = _site(code, name, first_levels, default_route)
    config, agencies = (folder / "gateway.toml").absolute(), (folder / "agencies.toml").absolute()
    made = [config] if founding.write_new(config, settings_template(site)) else []
    if founding.write_new(agencies, agencies_template(site)):
        made.append(agencies)
    settings = load_settings(config)
    password = None
    if certificate is not None:
        made += founding.take_certificate(settings, certificate)
    elif csr:
        made += founding.request_certificate(settings)
    else:
        founded = founding.found(settings, now=utc_now())
        made += founded.files
        password = founded.password
    if shell.json:
        shell.result({"config": config, "data": settings.data, "made": made, "login": "admin", "password": password})
        return
    for path in made:
        shell.say(Text("Đã tạo {path}", "Made {path}"), path=path)
    if csr:
        shell.say(
            Text(
                "Gửi {path} cho tổ chức cấp chứng thư; khi nhận được: gateway init --certificate TỆP",
                "Send {path} to the CA; when the certificate has come: gateway init --certificate FILE",
            ),
            path=settings.data / founding.REQUEST,
        )
        return
    if password is not None:
        click.echo(
            shell.words(
                Text(
                    "Tài khoản điều hành: {login}   mật khẩu (chỉ hiện một lần): {password}",
                    "Console account: {login}   password (shown once): {password}",
                ),
                login=founding.FIRST_LOGIN,
                password=password,
            )
        )
    shell.say(_NEXT, config=config, agencies=agencies, keys=settings.data / founding.KEYS)


def _site(code: str, name: str, first_levels: tuple[str, ...], default_route: str) -> Site:
    normal = AgencyCode.normal(code)
    own = first_levels or tuple(level for level in (normal.level1,) if level and default_route)
    return Site(
        code=normal,
        name=name,
        first_levels=own,
        default_route=AgencyCode.normal(default_route) if default_route else None,
    )
