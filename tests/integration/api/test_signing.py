"""Signing in two steps, as an agency's system meets it: the gateway never has the key."""

from __future__ import annotations

import hashlib
import io
import json
import os
import threading
from base64 import b64decode, b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from gateway.exchange.signing_requests import SigningRules, Signings
from gateway.ledger.actions import Action
from gateway.ledger.records import SigningBounds
from gateway.model import FileSignature, FileStanding, SignerRole, Standing
from gateway.signing.apart import PreparedApart
from gateway.signing.keys import SigningKey, certificates_to_pem
from tests.support import documents, pdfs, pki
from tests.support.exchange import COMMUNE, DEPARTMENT, Site, registered

PERSON = pki.person()
SEAL = pki.agency_seal()


@pytest.fixture(scope="module")
def apart() -> PreparedApart:
    return PreparedApart()


@pytest.fixture
def signings(site: Site, tmp_path: Path, apart: PreparedApart) -> Signings:
    site.change(DEPARTMENT, certificates=(registered(PERSON, "person"), registered(SEAL, "agency")))
    return Signings(lambda: site.parts, tmp_path / "signing", apart=apart)


@pytest.fixture
def client(site: Site, signings: Signings) -> FlaskClient:
    return site.client(signings=signings)


@pytest.fixture
def headers(site: Site) -> dict[str, str]:
    return site.key(DEPARTMENT)


def options(key: SigningKey = PERSON, **changes: Any) -> dict[str, Any]:
    pem = certificates_to_pem([key.certificate]).decode()
    return {"kind": "pdf", "certificate": pem, "chain": [certificates_to_pem(key.chain[:1]).decode()], **changes}


def prepare(
    client: FlaskClient, headers: dict[str, str], file: bytes | None = None, *, image: bytes | None = None, **more: Any
) -> TestResponse:
    form: dict[str, Any] = {
        "file": (io.BytesIO(pdfs.plain() if file is None else file), "tên của họ.pdf"),
        "options": json.dumps(options(**more)),
    }
    if image is not None:
        form["image"] = (io.BytesIO(image), "image.png")
    return client.post("/api/v1/signing", data=form, headers=headers)


def prepared(client: FlaskClient, headers: dict[str, str], file: bytes | None = None, **more: Any) -> dict[str, Any]:
    response = prepare(client, headers, file, **more)
    assert response.status_code == 201, response.data
    body: dict[str, Any] = response.get_json()
    assert response.headers["Location"] == f"/api/v1/signing/{body['id']}"
    return body


def complete(client: FlaskClient, headers: dict[str, str], request: dict[str, Any], signature: bytes) -> TestResponse:
    body = {"signature": b64encode(signature).decode()}
    return client.post(f"/api/v1/signing/{request['id']}/complete", json=body, headers=headers)


def sign(request: dict[str, Any], key: SigningKey = PERSON) -> bytes:
    return key.sign(b64decode(request["to_be_signed"]))


def code_of(response: TestResponse) -> tuple[int, str]:
    assert response.content_type == "application/problem+json"
    return response.status_code, str(json.loads(response.data)["code"])


def judged(pdf: bytes) -> tuple[FileSignature, ...]:
    """By what judges the attachments of documents."""
    [verdict] = pdfs.judged(pdf)
    return verdict.signatures


def told(site: Site) -> list[Action]:
    return [e.action for e in site.ledger.events() if e.action.startswith("signing.")]


# The two steps


def test_a_pdf_signed_elsewhere_is_judged_valid(site: Site, client: FlaskClient, headers: dict[str, str]) -> None:
    request = prepared(client, headers)
    assert (request["kind"], request["state"], request["digest_algorithm"]) == ("pdf", "prepared", "sha256")
    assert b64decode(request["digest"]) == hashlib.sha256(b64decode(request["to_be_signed"])).digest()
    answer = complete(client, headers, request, sign(request))
    assert answer.status_code == 200, answer.data
    done = answer.get_json()
    fetched = client.get(done["file"], headers=headers)
    assert (fetched.status_code, fetched.content_type) == (200, "application/pdf")
    assert hashlib.sha256(fetched.data).hexdigest() == done["sha256"]
    assert len(fetched.data) == done["signed_size"]
    [signature] = judged(fetched.data)
    assert (signature.standing, signature.role) == (FileStanding.VALID, SignerRole.PERSON)
    assert told(site) == [Action.SIGNING_PREPARED, Action.SIGNING_COMPLETED]


def test_the_person_signs_and_then_the_agency(client: FlaskClient, headers: dict[str, str]) -> None:
    first = prepared(client, headers)
    by_person = client.get(complete(client, headers, first, sign(first)).get_json()["file"], headers=headers).data
    second = prepared(client, headers, by_person, key=SEAL)
    issued = client.get(complete(client, headers, second, sign(second, SEAL)).get_json()["file"], headers=headers).data
    roles = [(s.role, s.standing) for s in judged(issued)]
    assert roles == [(SignerRole.PERSON, FileStanding.VALID), (SignerRole.AGENCY, FileStanding.VALID)]


def test_the_agency_does_not_sign_before_the_person(client: FlaskClient, headers: dict[str, str]) -> None:
    assert code_of(prepare(client, headers, key=SEAL)) == (422, "file.person_signature_missing")


def test_the_agency_alone_certifies_a_copy(client: FlaskClient, headers: dict[str, str]) -> None:
    request = prepared(client, headers, key=SEAL, pdf_form="copy", number="12/SY-UBND")
    copy = client.get(complete(client, headers, request, sign(request, SEAL)).get_json()["file"], headers=headers).data
    assert [s.standing for s in judged(copy)] == [FileStanding.VALID]


@pytest.mark.parametrize("form", ["xades", "xmldsig"])
def test_a_package_signed_elsewhere_is_accepted_as_valid(
    site: Site, client: FlaskClient, headers: dict[str, str], form: str
) -> None:
    raw = documents.a_package(recipients=(documents.an_organization(COMMUNE),))
    request = prepared(client, headers, raw, key=SEAL, kind="package", package_form=form)
    signed = client.get(complete(client, headers, request, sign(request, SEAL)).get_json()["file"], headers=headers)
    assert signed.content_type == "application/xml"
    posted = client.post("/api/v1/documents", data=signed.data, content_type="application/xml", headers=headers)
    assert posted.status_code == 202, posted.data
    document = site.ledger.document(posted.get_json()["id"])
    assert document is not None
    assert document.verdict.standing is Standing.VALID


def test_an_elliptic_signature_in_der_is_taken_too(site: Site, client: FlaskClient, headers: dict[str, str]) -> None:
    site.change(DEPARTMENT, certificates=(registered(pki.agency_ec(), "person"),))
    request = prepared(client, headers, key=pki.agency_ec())
    plain = sign(request, pki.agency_ec())
    der = encode_dss_signature(int.from_bytes(plain[:32], "big"), int.from_bytes(plain[32:], "big"))
    first = complete(client, headers, request, der)
    assert first.status_code == 200
    assert complete(client, headers, request, plain).get_json() == first.get_json()


# What comes back


def test_a_signature_over_other_bytes_is_refused_and_the_file_waits_on(
    site: Site, client: FlaskClient, headers: dict[str, str]
) -> None:
    request = prepared(client, headers)
    other = prepared(client, headers, pdfs.plain("Thanh toan 9.000.000 dong"))
    assert code_of(complete(client, headers, request, sign(other))) == (422, "signing.mismatch")
    assert code_of(client.get(f"/api/v1/signing/{request['id']}/file", headers=headers)) == (
        409,
        "signing.not_completed",
    )
    assert told(site)[-1] is Action.SIGNING_MISMATCH
    assert complete(client, headers, request, sign(request)).status_code == 200


@pytest.mark.parametrize("signature", [b"", b"x", b"\x00" * 256, os.urandom(256), b"\x30\x03\x02\x01\x01"])
def test_what_is_no_signature_is_refused(client: FlaskClient, headers: dict[str, str], signature: bytes) -> None:
    request = prepared(client, headers)
    assert code_of(complete(client, headers, request, signature)) == (422, "signing.mismatch")


def test_another_s_signature_over_the_right_bytes_is_refused(client: FlaskClient, headers: dict[str, str]) -> None:
    request = prepared(client, headers)
    assert code_of(complete(client, headers, request, sign(request, pki.agency()))) == (422, "signing.mismatch")


def test_the_same_signature_again_has_the_same_answer_and_another_one_is_refused(
    client: FlaskClient, headers: dict[str, str]
) -> None:
    request = prepared(client, headers)
    signature = sign(request)
    first = complete(client, headers, request, signature).get_json()
    assert complete(client, headers, request, signature).get_json() == first
    # An elliptic key never signs the same twice.
    assert sign(request) != signature
    assert code_of(complete(client, headers, request, sign(request))) == (409, "signing.completed")
    assert client.get(f"/api/v1/signing/{request['id']}", headers=headers).get_json() == first


def test_the_prepared_file_that_was_changed_on_the_disk_is_not_completed(
    client: FlaskClient, headers: dict[str, str], tmp_path: Path
) -> None:
    request = prepared(client, headers)
    file = tmp_path / "signing" / request["id"] / "prepared"
    file.write_bytes(file.read_bytes().replace(b"/Count 1", b"/Count 2"))
    assert code_of(complete(client, headers, request, sign(request))) == (422, "file.not_signable")


@pytest.mark.parametrize("text", ["not base64!", "chữ ký", "QQ="])
def test_a_signature_that_is_not_base64_is_named(client: FlaskClient, headers: dict[str, str], text: str) -> None:
    request = prepared(client, headers)
    body = {"signature": text}
    response = client.post(f"/api/v1/signing/{request['id']}/complete", json=body, headers=headers)
    assert code_of(response) == (400, "request.invalid")


@pytest.mark.parametrize("same", [True, False], ids=["the same signature", "two signatures"])
def test_of_two_completions_in_two_processes_one_file_stays(
    site: Site, tmp_path: Path, apart: PreparedApart, same: bool
) -> None:
    site.change(DEPARTMENT, certificates=(registered(PERSON, "person"),))
    both_are_there, headers = threading.Barrier(2), site.key(DEPARTMENT)

    def stamp(digest: bytes) -> bytes:
        both_are_there.wait(20)
        return pki.timestamp_token(digest)

    clients = [
        site.client(signings=Signings(lambda: site.parts, tmp_path / "signing", apart=apart, stamp=stamp))
        for _ in range(2)
    ]
    request = prepared(clients[0], headers)
    first = sign(request)
    signatures = [first, first if same else sign(request)]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda c, s: complete(c, headers, request, s), clients, signatures))
    assert sorted(answer.status_code for answer in answers) == ([200, 200] if same else [200, 409])
    done = clients[0].get(f"/api/v1/signing/{request['id']}", headers=headers).get_json()
    assert all(answer.get_json() == done for answer in answers if answer.status_code == 200)
    assert hashlib.sha256(clients[1].get(done["file"], headers=headers).data).hexdigest() == done["sha256"]
    assert told(site).count(Action.SIGNING_COMPLETED) == 1


# Time-stamps


def test_a_configured_authority_stamps_the_signature(site: Site, tmp_path: Path, apart: PreparedApart) -> None:
    site.change(DEPARTMENT, certificates=(registered(PERSON, "person"),))
    stamping = Signings(lambda: site.parts, tmp_path / "signing", apart=apart, stamp=pki.timestamp_token)
    client, headers = site.client(signings=stamping), site.key(DEPARTMENT)
    request = prepared(client, headers)
    done = complete(client, headers, request, sign(request)).get_json()
    assert done["stamped"] is True
    [signature] = judged(client.get(done["file"], headers=headers).data)
    assert signature.standing is FileStanding.VALID
    assert signature.stamped_at == pki.NOW


def test_an_authority_that_is_down_stops_no_signature(site: Site, tmp_path: Path, apart: PreparedApart) -> None:
    site.change(DEPARTMENT, certificates=(registered(PERSON, "person"),))
    down = Signings(lambda: site.parts, tmp_path / "signing", apart=apart, stamp=lambda _digest: None)
    client, headers = site.client(signings=down), site.key(DEPARTMENT)
    request = prepared(client, headers)
    assert complete(client, headers, request, sign(request)).get_json()["stamped"] is False


# Who may


def test_a_certificate_that_is_not_the_agency_s_prepares_nothing(client: FlaskClient, headers: dict[str, str]) -> None:
    assert code_of(prepare(client, headers, key=pki.agency())) == (403, "signing.certificate_unknown")


@pytest.mark.parametrize("key", [pki.expired, pki.not_yet_valid, pki.wrong_usage, pki.stranger, pki.rsa1024])
def test_a_certificate_that_cannot_sign_now_prepares_nothing(
    site: Site, client: FlaskClient, headers: dict[str, str], key: Any
) -> None:
    site.change(DEPARTMENT, certificates=(registered(key(), "person"),))
    assert code_of(prepare(client, headers, key=key())) == (422, "signing.certificate_unusable")


@pytest.mark.parametrize("kind", ["pdf", "package"])
def test_a_key_that_is_only_tolerated_makes_no_new_signature(
    site: Site, client: FlaskClient, headers: dict[str, str], kind: str
) -> None:
    weak = pki.rsa1024()
    site.change(DEPARTMENT, certificates=(registered(weak, "person"),), tolerate_rsa_1024=True)
    file = pdfs.plain() if kind == "pdf" else documents.a_package()
    assert code_of(prepare(client, headers, file, key=weak, kind=kind)) == (422, "signing.certificate_unusable")
    said = client.get(f"/api/v1/signing/certificates/{weak.certificate_sha256}", headers=headers).get_json()
    assert (said["registered"], said["reason"]) == (True, "signature.key_too_small")


def test_a_certificate_whose_registration_has_ended_prepares_nothing(
    site: Site, client: FlaskClient, headers: dict[str, str]
) -> None:
    ended = replace(registered(PERSON, "person"), valid_to=site.clock())
    site.change(DEPARTMENT, certificates=(ended,))
    assert code_of(prepare(client, headers)) == (403, "signing.certificate_unknown")


def test_a_certificate_whose_registration_ends_meanwhile_completes_nothing(
    site: Site, client: FlaskClient, headers: dict[str, str]
) -> None:
    request, other = prepared(client, headers), prepared(client, headers)
    done, signature = complete(client, headers, request, sign(request)), sign(other)
    site.change(DEPARTMENT, certificates=(replace(registered(PERSON, "person"), valid_to=site.clock()),))
    assert code_of(complete(client, headers, other, signature)) == (403, "signing.certificate_unknown")
    assert told(site)[-1] is Action.SIGNING_COMPLETED
    # What was completed before stays: whether the signature counts is judged by when it was made.
    assert client.get(done.get_json()["file"], headers=headers).status_code == 200


@pytest.mark.parametrize("name", ["%00", "..%2f..%2fetc", "a" * 64, "%ed%a0%80"])
def test_what_is_no_id_is_not_found(client: FlaskClient, headers: dict[str, str], name: str) -> None:
    assert client.get(f"/api/v1/signing/{name}", headers=headers).status_code == 404


@pytest.mark.parametrize("call", ["get", "complete", "file", "delete"])
def test_another_agency_finds_nothing(site: Site, client: FlaskClient, headers: dict[str, str], call: str) -> None:
    request = prepared(client, headers)
    url = f"/api/v1/signing/{request['id']}"
    stranger = site.key(COMMUNE)
    response = {
        "get": lambda: client.get(url, headers=stranger),
        "complete": lambda: complete(client, stranger, request, sign(request)),
        "file": lambda: client.get(f"{url}/file", headers=stranger),
        "delete": lambda: client.delete(url, headers=stranger),
    }[call]()
    assert code_of(response) == (404, "request.not_found")


def test_a_key_that_may_not_send_may_not_sign(site: Site, client: FlaskClient) -> None:
    assert code_of(prepare(client, site.key(DEPARTMENT, ("read", "receive")))) == (403, "request.not_permitted")


def test_the_gateway_says_of_a_certificate_what_it_is_good_for(
    site: Site, client: FlaskClient, headers: dict[str, str]
) -> None:
    def asked(key: SigningKey) -> dict[str, Any]:
        url = f"/api/v1/signing/certificates/{key.certificate_sha256}"
        found: dict[str, Any] = client.get(url, headers=headers).get_json()
        assert found.pop("now") == site.clock().isoformat().replace("+00:00", "Z")
        assert found.pop("sha256") == key.certificate_sha256
        return found

    assert asked(PERSON) == {"registered": True, "role": "person", "reason": None}
    assert asked(pki.agency()) == {"registered": False, "role": None, "reason": None}
    site.change(DEPARTMENT, certificates=(registered(pki.expired(), "agency"),))
    assert asked(pki.expired()) == {
        "registered": True,
        "role": "agency",
        "reason": "signature.certificate_expired",
    }


# Bounds


def test_a_file_waits_for_its_time_and_not_longer(site: Site, client: FlaskClient, headers: dict[str, str]) -> None:
    request = prepared(client, headers)
    site.clock.forward(minutes=15)
    assert code_of(complete(client, headers, request, sign(request))) == (410, "signing.expired")
    assert code_of(client.get(f"/api/v1/signing/{request['id']}", headers=headers)) == (410, "signing.expired")


def test_a_signed_file_is_kept_for_its_time_and_then_swept(
    site: Site, client: FlaskClient, headers: dict[str, str], signings: Signings, tmp_path: Path
) -> None:
    request = prepared(client, headers)
    done = complete(client, headers, request, sign(request)).get_json()
    site.clock.forward(minutes=59)
    assert signings.sweep() == 0
    assert client.get(done["file"], headers=headers).status_code == 200
    site.clock.forward(minutes=1)
    assert code_of(client.get(done["file"], headers=headers)) == (410, "signing.expired")
    assert signings.sweep() == 1
    assert list((tmp_path / "signing").iterdir()) == []
    assert code_of(client.get(done["file"], headers=headers)) == (404, "request.not_found")
    assert Action.SIGNING_EXPIRED not in told(site)


def test_a_file_that_nobody_signed_is_swept_and_told(
    site: Site, client: FlaskClient, headers: dict[str, str], signings: Signings, tmp_path: Path
) -> None:
    prepared(client, headers)
    site.clock.forward(minutes=15)
    assert signings.sweep() == 1
    assert list((tmp_path / "signing").iterdir()) == []
    assert told(site)[-1] is Action.SIGNING_EXPIRED


def test_what_a_power_cut_has_left_is_swept_and_what_is_being_made_is_not(signings: Signings, tmp_path: Path) -> None:
    left, fresh = tmp_path / "signing" / "left", tmp_path / "signing" / "fresh"
    for folder in (left, fresh):
        folder.mkdir(parents=True)
        (folder / "source").write_bytes(b"%PDF")
    old = left.stat().st_mtime - timedelta(hours=2).total_seconds()
    os.utime(left, (old, old))
    signings.sweep()
    assert (left.exists(), fresh.exists()) == (False, True)


def test_a_cancelled_file_is_gone(
    site: Site, client: FlaskClient, headers: dict[str, str], signings: Signings, tmp_path: Path
) -> None:
    request = prepared(client, headers)
    url = f"/api/v1/signing/{request['id']}"
    assert client.delete(url, headers=headers).status_code == 204
    assert code_of(client.get(url, headers=headers)) == (404, "request.not_found")
    assert list((tmp_path / "signing").iterdir()) == []
    assert told(site)[-1] is Action.SIGNING_CANCELLED


@pytest.fixture
def narrow(site: Site, signings: Signings, tmp_path: Path, apart: PreparedApart) -> FlaskClient:
    rules = SigningRules(bounds=SigningBounds(number=1, bytes=1024**2), largest_bytes=4096)
    small = Signings(lambda: site.parts, tmp_path / "signing", apart=apart, rules=rules)
    return site.client(signings=small)


def test_an_agency_has_no_more_files_waiting_than_it_may(narrow: FlaskClient, headers: dict[str, str]) -> None:
    prepared(narrow, headers)
    assert code_of(prepare(narrow, headers)) == (429, "signing.too_many")


def test_signed_files_count_until_they_are_fetched_and_forgotten(
    site: Site, signings: Signings, headers: dict[str, str], tmp_path: Path, apart: PreparedApart
) -> None:
    rules = SigningRules(bounds=SigningBounds(number=9, bytes=60_000))
    small = site.client(signings=Signings(lambda: site.parts, tmp_path / "signing", apart=apart, rules=rules))
    request = prepared(small, headers)
    done = complete(small, headers, request, sign(request)).get_json()
    assert done["signed_size"] > 30_000
    request = prepared(small, headers)
    complete(small, headers, request, sign(request))
    assert code_of(prepare(small, headers)) == (429, "signing.too_many")
    assert small.delete(f"/api/v1/signing/{done['id']}", headers=headers).status_code == 204
    prepared(small, headers)


def test_of_a_signed_file_nothing_else_is_kept(client: FlaskClient, headers: dict[str, str], tmp_path: Path) -> None:
    request = prepared(client, headers)
    done = complete(client, headers, request, sign(request)).get_json()
    assert [file.name for file in (tmp_path / "signing" / done["id"]).iterdir()] == [done["sha256"]]


def test_a_file_beyond_the_bound_is_refused_while_it_comes(narrow: FlaskClient, headers: dict[str, str]) -> None:
    assert code_of(prepare(narrow, headers, b"%PDF-1.7\n" + b" " * 5000)) == (413, "request.body_too_large")


# Files and options that cannot be


@pytest.mark.parametrize(
    ("file", "code"),
    [(b"not a PDF", "file.not_signable"), (b"%PDF-1.7\n" + os.urandom(500), "file.not_signable"),
     (b"", "package.empty")],
)  # fmt: skip
def test_a_file_that_is_no_pdf_is_refused_and_leaves_nothing(
    client: FlaskClient, headers: dict[str, str], tmp_path: Path, file: bytes, code: str
) -> None:
    assert code_of(prepare(client, headers, file))[1] == code
    folder = tmp_path / "signing"
    assert not folder.exists() or list(folder.iterdir()) == []


def test_a_package_that_is_signed_already_is_refused(client: FlaskClient, headers: dict[str, str]) -> None:
    raw = documents.a_package(recipients=(documents.an_organization(COMMUNE),))
    request = prepared(client, headers, raw, key=SEAL, kind="package")
    signed = client.get(complete(client, headers, request, sign(request, SEAL)).get_json()["file"], headers=headers)
    assert code_of(prepare(client, headers, signed.data, key=SEAL, kind="package")) == (422, "package.already_signed")


def test_an_image_that_is_none_is_refused(client: FlaskClient, headers: dict[str, str]) -> None:
    assert code_of(prepare(client, headers, image=b"not a PNG")) == (422, "signing.image_unusable")


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "docx"},
        {"pdf_form": "draft"},
        {"role": "agency"},
        {"place": {"x_mm": -1, "y_mm": 0}},
        {"certificate": "x" * 20_000},
        {"chain": ["x"] * 6},
    ],
)
def test_options_that_cannot_be_are_named(client: FlaskClient, headers: dict[str, str], change: Any) -> None:
    assert code_of(prepare(client, headers, **change)) == (400, "request.invalid")


@pytest.mark.parametrize("missing", ["file", "options"])
def test_a_part_that_is_missing_is_named(client: FlaskClient, headers: dict[str, str], missing: str) -> None:
    form: dict[str, Any] = {"file": (io.BytesIO(pdfs.plain()), "a.pdf"), "options": json.dumps(options())}
    del form[missing]
    response = client.post("/api/v1/signing", data=form, content_type="multipart/form-data", headers=headers)
    assert code_of(response) == (400, "request.invalid")
    assert json.loads(response.data)["path"] == missing


def test_a_body_that_is_no_form_is_refused(client: FlaskClient, headers: dict[str, str]) -> None:
    response = client.post("/api/v1/signing", json=options(), headers=headers)
    assert code_of(response) == (415, "request.unsupported_media")


def test_no_event_names_a_person(site: Site, client: FlaskClient, headers: dict[str, str]) -> None:
    request = prepared(client, headers, reason="Nguyễn Văn A ký")
    complete(client, headers, request, sign(request))
    written = json.dumps([e.data for e in site.ledger.events()], ensure_ascii=False, default=str)
    assert "Nguyễn" not in written
    assert ".pdf" not in written
