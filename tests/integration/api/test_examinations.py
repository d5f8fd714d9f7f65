"""Over the REST API: what the files of a document are, what it waits for, and that malware is refused by name."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.exchange import examine
from gateway.exchange.parts import ExaminationRules
from gateway.ledger.records import ExaminationResult, Examined
from gateway.model import ExaminationKind, ExaminationState, FileSignature, FileStanding, FileVerdict, SignerRole, fold
from tests.support import documents, pki
from tests.support.clamd import FakeClamd, Fault, scanner
from tests.support.exchange import COMMUNE, DEPARTMENT, Site
from tests.support.vxp import a_vxp, failed

FILES = ExaminationKind.FILES


def test_a_document_says_what_it_waits_for_and_then_who_signed_its_files(site: Site) -> None:
    site.rule(examinations=ExaminationRules(require={fold("*"): frozenset({SignerRole.AGENCY})}))
    document = site.accept(documents.a_package()).document_id
    client, sender, receiver = site.client(), site.key(DEPARTMENT), site.key(COMMUNE)
    path = f"/api/v1/documents/{document}"
    held = client.get(path, headers=sender).json
    assert held is not None
    (examination,) = held["examinations"]
    assert (examination["kind"], examination["state"], examination["holds"]) == ("files", "pending", True)
    assert held["files"] == []
    assert client.get(path, headers=receiver).status_code == 404
    assert 'gateway_examinations{kind="files",state="held"} 1.0' in client.get("/metrics").text
    signed = FileSignature(field="S1", role=SignerRole.AGENCY, standing=FileStanding.VALID, reason="file.verified")
    verdict = FileVerdict(
        content_id="main", name="07-SA-VP.pdf", format="pdf", standing=FileStanding.VALID, reason="file.verified",
        signatures=(signed,), judged_at=pki.NOW,
    )  # fmt: skip
    done = Examined(
        state=ExaminationState.DONE,
        reason="file.required_signatures_valid",
        result=ExaminationResult(files=(verdict,)),
    )
    site.ledger.settle_examination(document, FILES, done, now=site.clock())
    for key in (sender, receiver):
        shown = client.get(path, headers=key).json
        assert shown is not None
        (file,) = shown["files"]
        assert (file["standing"], file["has_person"], file["has_agency"]) == ("valid", False, True)
        assert file["signatures"][0]["role"] == "agency"
        assert shown["examinations"][0]["reason"] == "file.required_signatures_valid"
    assert 'state="held"' not in client.get("/metrics").text


def test_malware_is_a_problem_with_a_name(site: Site) -> None:
    peer = FakeClamd(Fault(answer=b"stream: Thu.Nghiem-1 FOUND\0"))
    with peer.listening() as address:
        site.parts = replace(site.parts, scanner=scanner(address, pause=timedelta(0)))
        answer = site.client().post(
            "/api/v1/documents", data=documents.a_package(), content_type="application/xml",
            headers=site.key(DEPARTMENT),
        )  # fmt: skip
    assert answer.status_code == 422
    assert answer.json is not None
    assert answer.json["code"] == "malware.found"
    assert "07-SA-VP.pdf: Thu.Nghiem-1" in answer.json["detail"]


@pytest.mark.parametrize("refused", [False, True])
def test_what_is_kept_here_is_not_to_be_had_by_its_receiver_whatever_it_asks(site: Site, refused: bool) -> None:
    site.rule(examinations=ExaminationRules(require={"*": frozenset({SignerRole.AGENCY})}))
    to = (documents.an_organization(COMMUNE),)
    document = site.accept(documents.a_package(recipients=to)).document_id
    if refused:
        found = Examined(state=ExaminationState.REFUSED, reason="file.signature_required")
        assert examine.settle(site.parts, document, FILES, found)
    (delivery,) = site.ledger.deliveries(document)
    vxp = a_vxp(site)
    system, client, key = vxp.system(COMMUNE), vxp.web, site.key(COMMUNE)
    assert list(system.waiting()) == []
    for known in (document, delivery.id):
        for path in ("", "/package", "/trace", "/evidence"):
            assert client.get(f"/api/v1/documents/{known}{path}", headers=key).status_code == 404, path
        assert client.post(f"/api/v1/inbox/{known}/lock", headers=key, json={}).status_code == 404
        assert client.get(f"/api/v1/inbox/{known}/package", headers=key | {"Lock-Token": "x"}).status_code in (404, 409)
        assert failed(system.call("getEdoc", b"{}", docId=known))[1] == "request.not_found"
    for path, rows in (("inbox", "items"), ("documents", "documents")):
        listed = client.get(f"/api/v1/{path}", headers=key).json
        assert listed is not None
        # The status that refused it in its name is the receiver's own.
        assert [row for row in listed[rows] if row["kind"] != "status"] == []
    # Its sender sees it all the while.
    assert client.get(f"/api/v1/documents/{document}", headers=site.key(DEPARTMENT)).status_code == 200
