"""A genuine dispatch does not vouch for what lies beside it; read by the real reader, told to sender and receiver."""

from __future__ import annotations

import contextlib
import io
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from gateway.exchange.examine import Examiner
from gateway.exchange.parts import ExaminationRules, type_key
from gateway.ledger.records import ExaminationRow
from gateway.model import DeliveryState, DocumentId, DocumentType, ExaminationKind, FilePart, SignerRole
from gateway.signing.files import Inspector
from gateway.signing.files.required import MainFile
from gateway.signing.keys import SigningKey
from gateway.signing.pdf_sign import PdfForm, PdfSignOptions
from gateway.signing.sign import sign_package
from tests.support import documents, pdfs, pki
from tests.support.exchange import COMMUNE, DEPARTMENT, Site, registered

PERSON, AGENCY = SignerRole.PERSON, SignerRole.AGENCY
BOTH = frozenset({PERSON, AGENCY})
DECISION = DocumentType(type=1, detail=2, name="Quyết định")
NEW = pdfs.plain("Van ban moi, khong ai ky")
GOES, REFUSED = (DeliveryState.WAITING, False), (DeliveryState.REFUSED, True)


@pytest.fixture(scope="module")
def inspector() -> Iterator[Inspector]:
    """One process for all."""
    with Inspector() as one:
        yield one


def demand(site: Site, **changes: Any) -> None:
    """Decisions need both signatures inside a file."""
    rules = ExaminationRules(inspect=True, require={type_key("Quyết định"): BOTH})
    site.rule(examinations=replace(rules, **changes))


def sent(site: Site, files: Mapping[str, bytes], *, key: SigningKey | None = None, number: int = 7) -> str:
    """A decision to the commune with these files in this order; signed as a package by ``key``."""
    site.clock.forward(minutes=1)
    references = tuple(documents.kit_reference(f"tep-{n}", name) for n, name in enumerate(files))
    raw = documents.a_package(
        recipients=(documents.an_organization(COMMUNE),),
        document_type=DECISION,
        document_id=DocumentId(f"000.00.14.H37,2026/03/05,{number}/SA-VP"),
        references=references,
        contents={r.content_id: content for r, content in zip(references, files.values(), strict=True)},
    )
    return site.accept(raw if key is None else sign_package(raw, key)).document_id


def judged(site: Site, document: str, inspector: Inspector) -> ExaminationRow:
    """The examination of its files, once the real reader has read them."""
    job = Examiner(site.parts, reader=lambda: contextlib.nullcontext(inspector))
    while job.examine_next([ExaminationKind.FILES], inspector):
        pass
    (row,) = site.ledger.examinations(document)
    return row


def state(site: Site, document: str) -> tuple[DeliveryState, bool]:
    (delivery,) = site.ledger.deliveries(document)
    return delivery.state, delivery.blocked


def zipped(**members: bytes) -> bytes:
    """An archive of files whose names have a dot for each underscore."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_", "."), content)
    return out.getvalue()


def test_a_genuine_decision_does_not_vouch_for_an_unsigned_one_beside_it(site: Site, inspector: Inspector) -> None:
    demand(site)
    document = sent(site, {"moi.pdf": NEW, "cu.pdf": pdfs.issued()})
    row = judged(site, document, inspector)
    words = "Tệp kèm theo «moi.pdf» thiếu chữ ký hợp lệ của cơ quan (không ký)."
    assert (state(site, document), row.reason, row.detail) == (REFUSED, "file.enclosure_signature_required", words)
    # Its sender is told so, and sees it file by file.
    (delivery,) = site.ledger.deliveries(document)
    trace = site.ledger.trace(document)
    assert trace is not None
    (status,) = trace.statuses
    assert words in (status.description or "")
    assert "[file.enclosure_signature_required]" in (status.description or "")
    shown = site.client().get(f"/api/v1/documents/{document}", headers=site.key(DEPARTMENT)).json
    assert shown is not None
    assert [(f["name"], f["part"], f["lacks"]) for f in shown["files"]] == [
        ("moi.pdf", "enclosed", ["agency"]),
        ("cu.pdf", "main", []),
    ]
    assert delivery.error_code == "file.enclosure_signature_required"


def test_what_is_enclosed_goes_with_the_agencys_signature_alone_and_other_formats_with_none(
    site: Site, inspector: Inspector
) -> None:
    demand(site)
    annex = pdfs.signed(NEW, pki.agency_seal(), options=PdfSignOptions(role=AGENCY, form=PdfForm.ANNEX))
    archive = zipped(ban_ve_dwg=b"AC1032", phu_luc_pdf=annex)
    files = {"phu-luc.pdf": annex, "qd.pdf": pdfs.issued(), "ghi-chu.txt": b"Ghi chu", "kem.zip": archive}
    document = sent(site, files)
    row = judged(site, document, inspector)
    assert (state(site, document), row.reason) == (GOES, "file.required_signatures_valid")
    assert row.result is not None
    enclosed, main = FilePart.ENCLOSED, FilePart.MAIN
    assert [(f.part, f.lacks) for f in row.result.files] == [(p, ()) for p in (enclosed, main, *[enclosed] * 3)]


def test_only_the_agencys_own_signature_over_the_package_answers_for_what_is_enclosed(
    site: Site, inspector: Inspector
) -> None:
    demand(site)
    files = {"qd.pdf": pdfs.issued(), "quet.pdf": NEW}
    signed = sent(site, files, key=pki.agency())
    assert judged(site, signed, inspector).reason == "file.required_signatures_valid"
    assert state(site, signed) == GOES
    without_seal = {"qd.pdf": pdfs.by_person(), "quet.pdf": NEW}
    row = judged(site, sent(site, without_seal, key=pki.agency(), number=9), inspector)
    assert row.reason == "file.signature_required"
    site.change(DEPARTMENT, certificates=(registered(pki.agency(), "person"),))
    row = judged(site, sent(site, files, key=pki.agency(), number=10), inspector)
    assert row.reason == "file.enclosure_signature_required"


def test_an_archive_is_its_files_and_one_that_cannot_be_read_may_hold_anything(
    site: Site, inspector: Inspector
) -> None:
    demand(site)
    row = judged(site, sent(site, {"ca.zip": zipped(moi_pdf=NEW, cu_pdf=pdfs.issued())}), inspector)
    assert row.detail == "Tệp kèm theo «ca.zip › moi.pdf» thiếu chữ ký hợp lệ của cơ quan (không ký)."
    cut = {"qd.pdf": pdfs.issued(), "kem.zip": zipped(moi_pdf=NEW, b_pdf=NEW)[:-30]}
    row = judged(site, sent(site, cut, number=8), inspector)
    assert row.detail == "Tệp kèm theo «kem.zip» thiếu chữ ký hợp lệ của cơ quan (không đọc được)."


def test_the_same_file_under_another_name_is_looked_at_anew(site: Site, inspector: Inspector) -> None:
    """What is seen of a file depends on its name: as a text of another format it hides what an archive shows."""
    demand(site)
    job = Examiner(site.parts, reader=lambda: contextlib.nullcontext(inspector))
    hiding = zipped(mimetype=b"application/vnd.oasis.opendocument.text", moi_pdf=NEW)
    reasons = []
    for number, name in enumerate(["kem.odt", "kem.zip"]):
        document = sent(site, {"qd.pdf": pdfs.issued(), name: hiding}, number=number)
        assert job.examine_next([ExaminationKind.FILES], inspector)
        reasons += [row.reason for row in site.ledger.examinations(document)]
    assert reasons == ["file.required_signatures_valid", "file.enclosure_signature_required"]


def test_an_operator_may_let_enclosures_go_unsigned_and_ask_for_the_dispatch_first(
    site: Site, inspector: Inspector
) -> None:
    demand(site, require_others={"*": frozenset()}, main={"*": MainFile.FIRST})
    good = sent(site, {"cu.pdf": pdfs.issued(), "quet.pdf": NEW})
    assert judged(site, good, inspector).reason == "file.required_signatures_valid"
    row = judged(site, sent(site, {"moi.pdf": NEW, "cu.pdf": pdfs.issued()}, number=8), inspector)
    assert (row.reason, row.detail) == (
        "file.signature_required",
        "Tệp đầu tiên phải là văn bản chính: "
        "«moi.pdf» thiếu chữ ký hợp lệ của cơ quan, người có thẩm quyền (không ký).",
    )


def test_a_sender_is_told_of_so_many_files_as_there_is_room_for(site: Site, inspector: Inspector) -> None:
    demand(site)
    files = {"qd.pdf": pdfs.issued(), **{f"{'dài ' * 60}{n}.pdf": NEW for n in range(30)}}
    row = judged(site, sent(site, files), inspector)
    assert row.detail is not None
    assert row.detail.endswith("…» thiếu chữ ký hợp lệ của cơ quan (không ký); và 25 tệp khác.")
    assert len(row.detail) < 1500
