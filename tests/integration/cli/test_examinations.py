"""Operators see what is held and why, in commands and in the doctor, and let it go with a reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.doctor import Finding, examine
from gateway.cli.opened import opened
from gateway.cli.root import root
from gateway.errors import EnclosureSignatureRequired
from gateway.ledger.actions import Action
from gateway.ledger.records import ExaminationResult, Examined, NewExamination
from gateway.model import (
    DeliveryState,
    ExaminationKind,
    ExaminationState,
    FilePart,
    FileStanding,
    FileVerdict,
    SignerRole,
)
from gateway.settings import load_settings
from tests.support.clamd import FakeClamd
from tests.support.ledger import NOON, a_delivery, a_document, at

KIND = ExaminationKind.MALWARE


@pytest.fixture
def founded(tmp_path: Path) -> Path:
    """The settings file of a gateway that was set up."""
    # Its data lie beside the folder of its settings: not where another test's do.
    done = CliRunner().invoke(root, ["init", str(tmp_path / "config")])
    assert done.exit_code == 0, done.output
    return next(tmp_path.rglob("gateway.toml"))


def call(settings: Path, *words: str) -> str:
    done = CliRunner().invoke(root, ["--config", str(settings), *words])
    assert done.exit_code == 0, done.output
    return done.stdout


def held(settings: Path) -> str:
    document = a_document()
    with opened(load_settings(settings)) as gateway:
        one = NewExamination(kind=KIND, holds=True, reason="malware.scanner_unreachable", due_at=NOON)
        gateway.ledger.accept(document, [a_delivery()], examinations=[one])
    return document.id


def findings(settings: Path, minute: float) -> dict[str, Finding]:
    return {f.name: f for f in examine(load_settings(settings), now=at(minute), links=False)}


def test_what_is_held_is_listed_and_let_go_with_a_reason(founded: Path) -> None:
    document = held(founded)
    listed = call(founded, "examinations", "list")
    assert document in listed.replace("\n", "") or document[:8] in listed
    (row,) = json.loads(call(founded, "examinations", "list", "--json"))
    assert (row["document"], row["state"], row["holds"]) == (document, "pending", True)
    done = json.loads(
        call(founded, "examinations", "release", document, "--kind", "malware", "--reason", "đã quét", "--json")
    )
    assert done == {"document": document, "kind": "malware", "sent_again": []}
    assert "Người vận hành cho chuyển" in call(founded, "examinations", "show", document)
    assert json.loads(call(founded, "examinations", "list", "--json")) == []
    with opened(load_settings(founded)) as gateway:
        (delivery,) = gateway.ledger.deliveries(document)
        assert (delivery.state, delivery.blocked) == (DeliveryState.WAITING, False)
        released = next(e for e in gateway.ledger.events() if e.action is Action.DOCUMENT_RELEASED)
    assert (released.actor or "").startswith("cli")
    assert released.data["reason"] == "đã quét"


def test_the_file_that_lacks_a_required_signature_is_named(founded: Path) -> None:
    document = a_document()
    verdict = FileVerdict(
        content_id="main", name="phu-luc.pdf", format="pdf", standing=FileStanding.UNSIGNED, reason="file.unsigned",
        judged_at=NOON, part=FilePart.ENCLOSED, lacks=(SignerRole.AGENCY,),
    )  # fmt: skip
    code = EnclosureSignatureRequired.code
    found = Examined(state=ExaminationState.REFUSED, reason=code, result=ExaminationResult(files=(verdict,)))
    files = ExaminationKind.FILES
    with opened(load_settings(founded)) as gateway:
        delivery = a_delivery()
        gateway.ledger.accept(document, [delivery], examinations=[NewExamination(kind=files, holds=True, due_at=NOON)])
        assert gateway.ledger.settle_examination(document.id, files, found, now=NOON, replies={delivery.id: None})
    shown = call(founded, "examinations", "show", document.id)
    assert "phu-luc.pdf: unsigned (file.unsigned), tệp kèm theo\n    Còn thiếu chữ ký hợp lệ của: Cơ quan\n" in shown
    assert EnclosureSignatureRequired.vi in shown


def test_the_doctor_fails_when_documents_are_held_for_long(founded: Path) -> None:
    held(founded)
    assert findings(founded, 5)["examinations"].grade == "ok"
    late = findings(founded, 90)["examinations.late"]
    assert (late.grade, late.todo is None) == ("fail", False)


def test_the_doctor_asks_the_malware_scanner(founded: Path) -> None:
    assert "scanning" not in findings(founded, 0)
    peer = FakeClamd()
    with peer.listening() as address:
        founded.write_text(
            founded.read_text(encoding="utf-8").replace(
                "[scanning]", f'[scanning]\nclamd = "tcp:127.0.0.1:{address.port}"'
            ),
            encoding="utf-8",
        )
        answers = findings(founded, 0)["scanning"]
        assert answers.grade == "ok"
        assert "ClamAV 1.4.3/27600" in answers.words.en
    silent = findings(founded, 0)["scanning"]
    assert silent.grade == "fail"
