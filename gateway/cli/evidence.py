"""``gateway evidence``: what proves the way of a document, as one file that anybody can check."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import click

from gateway.bootstrap import join, make_evidence, make_http
from gateway.cli.command import Group, for_programs, option
from gateway.cli.misuse import Misuse
from gateway.cli.opened import actor
from gateway.cli.shell import Shell
from gateway.cli.words import Text
from gateway.errors import NotFound

evidence = Group(
    "evidence",
    words=Text("Tệp bằng chứng về văn bản.", "Evidence files of documents."),
    examples="""\
gateway evidence export 01a200ec-5c01-75c8-9165-5747b21712ca -o van-ban.asice
gateway verify van-ban.asice --anchor root.crt""",
)


@evidence.command_of(
    "export",
    Text(
        """Xuất một tệp chứa mọi bằng chứng về một văn bản: gói tin, niêm phong, biên nhận, trạng thái, nhật ký.
Tệp kiểm tra được bằng `gateway verify`, không cần trục này và không cần mạng.""",
        """Write one file with all evidence on a document: package, seal, receipts, statuses, log, certificates.
`gateway verify` checks it, without this gateway and without a network.""",
    ),
    examples="gateway evidence export 01a200ec-5c01-75c8-9165-5747b21712ca",
)
@click.argument("document")
@option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    words=Text("Tệp kết quả; mặc định MÃ.asice tại đây.", "Where to write; by default ID.asice here."),
)
@option("--force", is_flag=True, words=Text("Ghi đè tệp đã có.", "Replace an existing file."))
@for_programs()
def export(shell: Shell, *, document: str, output: Path | None, force: bool) -> None:
    """Write the file; it appears only when it is complete."""
    settings = shell.settings()
    gateway = join(settings)
    http = make_http(settings)
    try:
        trace = gateway.ledger.trace(document)
        if trace is None:
            raise NotFound(f"The ledger has no document {document}.")
        path = output or Path(f"{trace.document.id}.asice")
        if path.exists() and not force:
            raise Misuse(Text("{output} đã có; --force để thay.", "{output} exists; --force replaces it."), output=path)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        try:
            with os.fdopen(handle, "wb") as out, make_evidence(gateway, http).export(trace, actor=actor()) as made:
                shutil.copyfileobj(made, out)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    finally:
        http.close()
        gateway.scratch.close()
        gateway.ledger.engine.dispose()
    if shell.json:
        shell.result({"document": trace.document.id, "file": path, "size": path.stat().st_size})
    shell.say(
        Text(
            "Đã ghi {path}; kiểm tra: gateway verify {path} --anchor CHỨNG-THƯ-GỐC.",
            "Wrote {path}; check it with: gateway verify {path} --anchor ROOT-CERTIFICATE.",
        ),
        path=path,
    )
