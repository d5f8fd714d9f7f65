"""
The documentation tells the truth: its tables are those of the program, its commands exist, its examples run.

What cannot be compared by a machine (why, what to do when) is left to the reader.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from gateway.api import app as api
from gateway.api.v1.routes import v1
from gateway.cli import exits
from gateway.cli.root import root
from gateway.delivery import push
from gateway.directory.toml import load_agencies
from gateway.edxml import Limits
from gateway.evidence.receipt import ReceiptFacts, make_receipt
from gateway.faults import POINTS
from gateway.ledger.actions import Action
from gateway.ledger.states import TRANSITIONS
from gateway.model import DeliveryState, DocumentId, Level, Standing, StatusCode
from gateway.settings import SecretSection, Settings
from gateway.signing.policy import Reason
from tests.support import documents, pki
from tests.support.agencies import an_agency
from tests.support.exchange import COMMUNE, DEPARTMENT, MAILBOX, PROVINCE
from tests.support.gateways import RunningGateway, a_gateway
from tests.support.pages import fences
from tests.support.programs import needs

ROOT = Path(__file__).resolve().parents[1]
SKIPPED = {".git", ".hypothesis", ".pytest_cache", "node_modules"}


def pages(folder: Path) -> Iterator[Path]:
    """The project's pages; those of packages, in whatever virtual environments stand in its tree, are not its own."""
    for entry in folder.iterdir():
        if entry.is_file() and entry.suffix == ".md":
            yield entry
        elif entry.is_dir() and entry.name not in SKIPPED and not (entry / "pyvenv.cfg").exists():
            yield from pages(entry)


PAGES = sorted(pages(ROOT))
LATER = {"docs/benchmarks.md"}
"""Written by `make bench`; named, never linked."""
INSTALLED = {"config/gateway.toml"}
"""Files of an installation, which the project itself may not have."""


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def rows(text: str) -> list[list[str]]:
    """The cells of every table row, without code marks."""
    found = [line.strip().strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in cells] for cells in found]


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


# Every page


def test_virtual_environments_in_the_tree_are_passed_over(tmp_path: Path) -> None:
    for name in ("README.md", "docs/a.md", "env/lib/package/README.md", ".git/x.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "env" / "pyvenv.cfg").touch()
    assert sorted(p.relative_to(tmp_path).as_posix() for p in pages(tmp_path)) == ["README.md", "docs/a.md"]


def slugs(text: str) -> set[str]:
    """The anchors of a page's headings, as forges make them."""
    without_code = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", without_code, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", t).lower()).replace(" ", "-") for t in titles}


@pytest.mark.parametrize("path", PAGES, ids=_name)
def test_every_link_inside_the_project_leads_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        if not there.exists() or (anchor and anchor not in slugs(there.read_text(encoding="utf-8"))):
            dead.append(target)
    assert dead == []


_OF_A_MACHINE = re.compile(
    r"(?<![\w.-])/(work|root|tmp|home|Users)/|pypi\.org|pythonhosted|files\.python|npmjs\.|docker\.io"
)


@pytest.mark.parametrize("path", PAGES, ids=_name)
def test_no_page_names_a_path_of_a_machine_or_a_registry(path: Path) -> None:
    assert _OF_A_MACHINE.findall(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", PAGES, ids=_name)
def test_every_file_that_a_page_names_exists(path: Path) -> None:
    named = set(re.findall(r"`((?:gateway|tests|docs|schemas|config|certs)/[\w./-]+\.\w+)`", path.read_text("utf-8")))
    assert {n for n in named - LATER - INSTALLED if not (ROOT / n).exists()} == set()


def test_the_list_of_decisions_is_complete() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = set(re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", page("docs/decisions/README.md")))
    assert listed == {p.name for p in folder.glob("[0-9]*.md")}
    numbers = sorted(name[:4] for name in listed)
    assert numbers == [f"{n:04}" for n in range(1, len(numbers) + 1)]


@pytest.mark.parametrize("group", ["dependencies", "build", "dev"])
def test_every_dependency_has_its_reason(group: str) -> None:
    project = tomllib.loads(page("pyproject.toml"))["project"]
    wanted = project["dependencies"] if group == "dependencies" else project["optional-dependencies"][group]
    names = {re.match(r"[\w-]+", w)[0] for w in wanted}  # type: ignore[index]
    given = set(re.findall(r"`([\w-]+)`", page("docs/decisions/0002-dependencies.md")))
    assert names - given == set()


# The tables


def defaults(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every key of the settings with its default, as the page writes it."""
    for name, field in model.model_fields.items():
        if name in {"base", "secrets"}:
            continue
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from defaults(kind, f"{name}.")
        elif prefix == "limits.":
            yield f"limits.{name}", str(getattr(Limits(), name))
        else:
            yield prefix + name, written(field.get_default())


def written(value: Any) -> str:
    if value is PydanticUndefined:
        return "required"
    if value is None or value == ():
        return "–"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, frozenset):
        return "`, `".join(sorted(value))
    return str(value)


def test_the_table_of_settings_is_that_of_the_program() -> None:
    table = page("docs/operate.md").partition("<!-- settings: begin -->")[2].partition("<!-- settings: end -->")[0]
    shown = {cells[0]: cells[1] for cells in rows(table)[2:]}
    secrets = {f"secrets.NAME.{name}": "–" for name in SecretSection.model_fields}
    assert shown == dict(defaults(Settings)) | secrets


def test_every_kind_of_event_is_described() -> None:
    shown = [cells[0] for cells in rows(page("docs/audit-events.md").partition("## The program's log")[0])[2:]]
    assert shown == [a.value for a in Action]


def test_every_reason_of_a_verdict_is_described() -> None:
    section = page("docs/divergences.md").partition("### Reasons of verdicts")[2].partition("\n## ")[0]
    assert [cells[0] for cells in rows(section)[2:]] == [r.value for r in Reason]


def test_every_fault_point_stands_at_its_step() -> None:
    named = re.findall(r"`((?:accept|deliver|mailbox)\.\w+)`", page("docs/lifecycle.md"))
    assert tuple(dict.fromkeys(named)) == POINTS


def test_the_table_of_states_is_that_of_the_ledger() -> None:
    section = page("docs/lifecycle.md").partition("## States")[2].partition("\n## ")[0]
    shown = {(DeliveryState(a), DeliveryState(c)) for froms, _, c in rows(section)[2:] for a in froms.split(", ")}
    assert shown == {(state, after) for (state, _), after in TRANSITIONS.items()}


@pytest.mark.parametrize(("kind", "name"), [(DeliveryState, "glossary"), (StatusCode, "glossary"), (Standing, "trust")])
def test_every_member_has_its_line(kind: Any, name: str) -> None:
    shown = {cells[0] for cells in rows(page(f"docs/{name}.md"))}
    assert {member.value for member in kind} <= shown


def test_the_exit_codes_are_those_of_the_commands() -> None:
    text = page("docs/errors.md").partition("<!-- exit codes: begin -->")[2].partition("<!-- exit codes: end -->")[0]
    shown = rows(text)
    names = {cells[1]: int(cells[0]) for cells in shown if len(cells) == 3 and cells[0].isdigit()}
    assert names == {n: v for n, v in vars(exits).items() if n.isupper() and isinstance(v, int)}
    by_error = {cells[0]: int(cells[1]) for cells in shown if len(cells) == 2 and cells[1].isdigit()}
    assert by_error == {error.code: code for error, code in exits._OF_ERROR.items()}


def test_every_call_of_the_api_is_described() -> None:
    app = api.new_app("docs", version="0")
    app.register_api(v1)
    text = page("docs/integrate.md")
    for path, calls in app.api_doc["paths"].items():
        pattern = re.escape(path).replace(r"\{document\}", r"\$ID").replace(r"\{delivery\}", r"\$DELIVERY")
        assert calls, path
        assert re.search(pattern + r"[\"?/ ]", text), f"{path} is not in docs/integrate.md"


# The commands


def commands(command: click.Command, *above: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, by its words."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from commands(inner, *above, name)
    elif not command.hidden:
        yield above, command


COMMANDS = dict(commands(root))


def test_every_command_is_in_the_operators_guide() -> None:
    text = page("docs/operate.md")
    assert [" ".join(words) for words in COMMANDS if f"`gateway {' '.join(words)}`" not in text] == []


def shown_commands() -> Iterator[tuple[str, str]]:
    """Every use of the program in a shell example, or in code of a line."""
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        for fence in fences(text, "sh"):
            for line in re.sub(r"\\\n", " ", fence).splitlines():
                for use in re.findall(r"(?:^|&& |\$\(|gateway )(gateway(?: [^|&>#]*)?)", line):
                    yield _name(path), use.rstrip(" )")
        for use in re.findall(r"`(gateway [a-z][^`…]*)`", text):
            yield _name(path), use


@pytest.mark.parametrize(("where", "use"), sorted(set(shown_commands())))
def test_a_shown_command_exists_with_its_options(where: str, use: str) -> None:
    given = [w for w in shlex.split(use.replace("…", "x"), comments=True)[1:] if w not in {"COMMAND"}]
    while given and given[0].startswith("--"):  # options of every command may stand first
        given = given[2:] if given[0] in {"--config", "--lang"} else given[1:]
    if not given:
        return
    words = next((w for w in COMMANDS if tuple(given[: len(w)]) == w), None)
    assert words is not None or given[0] in root.places, f"{where}: gateway {given[0]}"
    if words is None:
        return
    known = {name for parameter in COMMANDS[words].params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert {w.partition("=")[0] for w in given if w.startswith("--")} - {"--help"} <= known, where


# The examples


@pytest.mark.parametrize("path", PAGES, ids=_name)
def test_toml_and_python_of_the_pages_can_be_read(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for fence in fences(text, "python"):
        ast.parse(fence)
    for fence in fences(text, "toml"):
        tomllib.loads(fence)


def example(name: str) -> dict[str, Any]:
    """What an example of the integrators' page defines."""
    source = next(f for f in fences(page("docs/integrate.md"), "python") if f.startswith(f"# {name}"))
    space: dict[str, Any] = {}
    exec(compile(source, name, "exec"), space)  # the page's own code
    return space


def test_the_example_of_a_push_accepts_ours_and_nothing_else() -> None:
    is_genuine = example("push.py")["is_genuine"]
    secret, body, stamp = "whsec_" + "c2VjcmV0LW9mLXRoZS10ZXN0cy1vbmx5LTMyLWI=", b"<edXML/>", int(time.time())
    headers = {
        "webhook-id": "d1",
        "webhook-timestamp": str(stamp),
        "webhook-signature": push.signature(push.read_secrets(secret), webhook_id="d1", timestamp=stamp, body=body),
    }
    assert is_genuine(headers, body, secret)
    assert not is_genuine(headers, body + b" ", secret)
    old = str(stamp - 3600)
    signed = push.signature(push.read_secrets(secret), webhook_id="d1", timestamp=int(old), body=body)
    assert not is_genuine({**headers, "webhook-timestamp": old, "webhook-signature": signed}, body, secret)


def test_the_example_of_a_receipt_reads_ours_and_no_other() -> None:
    facts = ReceiptFacts(
        receipt_id="r1", gateway=PROVINCE, document_id=DocumentId("x"), sender=DEPARTMENT, recipients=(COMMUNE,),
        sha256="0" * 64, size=1, accepted_at=pki.NOW, standing=Standing.VALID,
    )  # fmt: skip
    read = example("receipt.py")["facts"]
    receipt = make_receipt(facts, pki.gateway())
    assert ReceiptFacts.from_json(read(receipt.jws, pki.gateway().certificate.public_bytes(Encoding.PEM))) == facts
    with pytest.raises(Exception, match="ignature"):
        read(receipt.jws, pki.agency_ec().certificate.public_bytes(Encoding.PEM))


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningGateway]:
    agencies = [
        an_agency(PROVINCE, level=Level.PROVINCE, endpoint=MAILBOX),
        an_agency(DEPARTMENT, level=Level.DEPARTMENT, parent=PROVINCE, endpoint=MAILBOX),
        an_agency(COMMUNE, level=Level.COMMUNE, parent=PROVINCE, endpoint=MAILBOX),
    ]
    gateway = a_gateway(tmp_path, code=PROVINCE, agencies=agencies, first_levels=["H37"]).start()
    yield gateway
    gateway.stop()


@pytest.mark.slow
def test_the_examples_of_posting_collecting_and_reporting_work(
    running: RunningGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_URL", running.url)
    monkeypatch.setenv("GATEWAY_KEY", running.key(DEPARTMENT))
    post = example("post.py")["post"]
    package = documents.a_package(recipients=(documents.an_organization(COMMUNE),))
    receipt = post(package)
    assert (receipt["duplicate"], post(package)["duplicate"]) == (False, True)
    with pytest.raises(RuntimeError, match=r"document\.conflict"):
        post(documents.a_package(recipients=(documents.an_organization(COMMUNE),), subject="V/v khác"))

    monkeypatch.setenv("GATEWAY_KEY", running.key(COMMUNE))
    collect = example("collect.py")["collect"]
    assert collect(tmp_path) == [receipt["id"]]
    assert collect(tmp_path) == []
    assert (tmp_path / f"{receipt['id']}.edxml").stat().st_size > len(package)  # completed by the gateway
    assert example("report.py")["report"](receipt["id"], "03")["sender"] == COMMUNE
    with running.client(DEPARTMENT) as sender:
        assert [d["status"] for d in sender.trace(receipt["id"])["deliveries"]] == ["03"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@needs("bash", "curl")
@pytest.mark.slow
def test_the_quickstart_of_the_readme_works(tmp_path: Path) -> None:
    text = page("README.md").partition("<!-- quickstart: begin -->")[2].partition("<!-- quickstart: end -->")[0]
    (script,) = fences(text, "sh")
    port = _free_port()
    own = {k: v for k, v in os.environ.items() if not k.startswith("GATEWAY_")}
    environment = own | {
        "GATEWAY__WEB__PORT": str(port),
        "GATEWAY_URL": f"http://127.0.0.1:{port}",
        "TMPDIR": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True,
        timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    trace, _, statuses = done.stdout.partition("status.received")
    assert "mailbox.acknowledged" in trace
    assert statuses.count("status.received") == 1


def test_the_starting_directory_can_be_read() -> None:
    assert load_agencies(ROOT / "config" / "agencies.toml")
