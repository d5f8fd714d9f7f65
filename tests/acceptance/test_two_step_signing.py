"""
Signing in two steps from end to end: processes, HTTP, a token, and nothing of the key in the gateway.

The script of docs/sign.md signs with a token; and ``gateway signer`` does, asking at a real terminal.
"""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import requests

from gateway.ledger.actions import Action
from gateway.model import FileStanding, SignerRole
from gateway.signing.keys import SigningKey, certificates_to_pem, subject_name
from tests.support import pdfs, pki
from tests.support.exchange import COMMUNE, DEPARTMENT, PROVINCE, agencies, registered
from tests.support.gateways import RunningGateway, a_gateway
from tests.support.pages import fences
from tests.support.tokens import PIN, SoftToken, needs_softhsm, soft_token

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), needs_softhsm()]

ROOT = Path(__file__).resolve().parents[2]
PAGE = "https://eoffice.example.vn"
# For long enough: the helper has this machine's clock, whatever year it is.
PERSON = pki.certify(subject_name("Nguyễn Văn Thử", organization="Sở Thử nghiệm"), valid_for=50 * pki.YEAR)
LABEL = "Người ký"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    known = agencies()
    department = replace(known[DEPARTMENT], certificates=(registered(PERSON, "person"),))
    running = a_gateway(
        tmp_path_factory.mktemp("gateway"),
        code=PROVINCE,
        agencies=[known[PROVINCE], department, known[COMMUNE]],
        first_levels=["H37"],
    ).start()
    yield running
    running.stop()


@pytest.fixture
def token(tmp_path: Path) -> Iterator[SoftToken]:
    with soft_token(tmp_path / "token", (LABEL, PERSON)) as plugged_in:
        yield plugged_in


def is_signed_by_the_person(pdf: bytes) -> None:
    [verdict] = pdfs.judged(pdf, at=pki.NOW.replace(year=pki.NOW.year + 1))
    [signature] = verdict.signatures
    assert signature.certificate_sha256 == PERSON.certificate_sha256
    assert (signature.standing, signature.role) == (FileStanding.VALID, SignerRole.PERSON)


# The script of the page


@pytest.fixture
def script(gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("GATEWAY_URL", gateway.url)
    monkeypatch.setenv("GATEWAY_KEY", gateway.key(DEPARTMENT))
    text = (ROOT / "docs" / "sign.md").read_text(encoding="utf-8")
    source = next(f for f in fences(text, "python") if f.startswith("# two_steps.py"))
    space: dict[str, Any] = {}
    exec(compile(source, "two_steps.py", "exec"), space)  # the page's own code
    return space


def told(gateway: RunningGateway) -> list[Action]:
    ledger = gateway.ledger()
    try:
        return [event.action for event in ledger.events() if event.action.startswith("signing.")]
    finally:
        ledger.engine.dispose()


def test_the_script_signs_with_a_token_and_the_gateway_never_has_the_key(
    gateway: RunningGateway, script: dict[str, Any], token: SoftToken
) -> None:
    is_signed_by_the_person(script["sign"](pdfs.plain(), str(token.module.resolve()), PIN, LABEL))
    assert told(gateway)[-2:] == [Action.SIGNING_PREPARED, Action.SIGNING_COMPLETED]
    secret = PERSON.private.private_numbers().private_value.to_bytes(32, "big")  # type: ignore[union-attr]  # P-256
    for file in filter(Path.is_file, gateway.folder.rglob("*")):
        assert secret not in file.read_bytes(), file


def test_the_script_is_told_that_a_signature_over_other_bytes_is_none(
    gateway: RunningGateway, script: dict[str, Any], token: SoftToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = b64encode(b"other bytes").decode()
    checked = script["checked"]
    # As if what was to be signed had been changed on its way.
    script["checked"] = lambda answer: {
        **checked(answer),
        **({"to_be_signed": other} if answer.status_code == 201 else {}),
    }
    with pytest.raises(RuntimeError, match=r"^signing\.mismatch$"):
        script["sign"](pdfs.plain(), str(token.module.resolve()), PIN, LABEL)
    assert told(gateway)[-1] is Action.SIGNING_MISMATCH


# The helper, as a process at a terminal


@dataclass
class Helper:
    """``gateway signer``, and the person in front of it."""

    process: subprocess.Popen[bytes]
    terminal: int
    port_file: Path
    shown: str = ""

    def until(self, pattern: str) -> re.Match[str]:
        """Read the screen until this stands there."""
        until = time.monotonic() + 180
        while (found := re.search(pattern, self.shown)) is None:
            assert time.monotonic() < until, self.shown
            if select.select([self.terminal], [], [], 0.1)[0]:
                self.shown += os.read(self.terminal, 4096).decode("utf-8", "replace")
        self.shown = self.shown[found.end() :]
        return found

    def type(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port_file.read_text()}"


_AT_THIS_TERMINAL = """
import fcntl, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from gateway.__main__ import main
main()
"""
"""The program, in a session whose terminal is its standard input."""


@contextmanager
def running_helper(folder: Path, *arguments: str) -> Iterator[Helper]:
    near, far = pty.openpty()
    own = ["--allow-origin", PAGE, "--port", "0", "--port-file", str(folder / "port"), "--folder", str(folder / "own")]
    process = subprocess.Popen(
        [sys.executable, "-c", _AT_THIS_TERMINAL, "--lang", "en", "signer", *arguments, *own],
        stdin=far,
        stdout=far,
        stderr=far,
        start_new_session=True,
        cwd=ROOT,
    )
    os.close(far)
    helper = Helper(process, near, folder / "port")
    try:
        helper.until(r"Ctrl-C ends it")
        yield helper
    finally:
        process.terminate()
        code = process.wait(30)
        os.close(near)
    assert code == 0


def asked(helper: Helper, method: str, path: str, token: str | None = None, body: object = None) -> requests.Response:
    headers = {"Origin": PAGE} | ({"Authorization": f"Bearer {token}"} if token else {})
    return requests.request(method, helper.url + path, json=body, headers=headers, timeout=60)


def paired(helper: Helper) -> str:
    assert asked(helper, "POST", "/v1/pairing", body={}).status_code == 202
    code = helper.until(r"type this code into that very page: (\d{4} \d{4})").group(1)
    answer = asked(helper, "POST", "/v1/pairing/code", body={"code": code.replace(" ", "")})
    return str(answer.json()["token"])


def prepared(gateway: RunningGateway, key: SigningKey) -> dict[str, Any]:
    options = {"kind": "pdf", "certificate": certificates_to_pem([key.certificate]).decode()}
    answer = requests.post(
        f"{gateway.url}/api/v1/signing",
        data={"options": json.dumps(options)},
        files={"file": pdfs.plain()},
        headers={"Authorization": f"Bearer {gateway.key(DEPARTMENT)}"},
        timeout=60,
    )
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def signing(helper: Helper, token: str, request: dict[str, Any], typed: str) -> requests.Response:
    """Ask for the signature, and type at the terminal when it asks."""
    body = {
        "certificate_sha256": PERSON.certificate_sha256,
        "to_be_signed": request["to_be_signed"],
        "description": "12/QĐ-UBND",
    }
    answers: list[requests.Response] = []
    thread = threading.Thread(target=lambda: answers.append(asked(helper, "POST", "/v1/sign", token, body)))
    thread.start()
    helper.until(r"12/QĐ-UBND[\s\S]*within 120 seconds\):")
    helper.type(typed + "\n")
    thread.join(60)
    return answers[0]


def test_a_page_has_a_file_signed_by_the_helper_at_the_person_s_terminal(
    gateway: RunningGateway, token: SoftToken, tmp_path: Path
) -> None:
    key_file = tmp_path / "api.key"
    key_file.write_text(gateway.key(DEPARTMENT), encoding="ascii")
    arguments = ["--token", str(token.module), "--gateway", gateway.url, "--api-key-file", str(key_file)]
    with running_helper(tmp_path, *arguments) as helper:
        pairing = paired(helper)
        state = asked(helper, "GET", "/v1/state", pairing).json()
        assert (state["ready"], state["asked_gateway"], state["findings"]) == (True, True, [])
        assert [c["findings"] for c in state["certificates"]] == [[]]
        request = prepared(gateway, PERSON)
        assert signing(helper, pairing, request, "").json()["code"] == "signer.declined"
        assert signing(helper, pairing, request, "000000").json()["code"] == "token.pin_wrong"
        signed = signing(helper, pairing, request, PIN)
        assert signed.status_code == 200, signed.text
        # Neither the right PIN nor the wrong one is on the screen.
        assert not re.search(rf"{PIN}|000000", helper.shown)
        headers = {"Authorization": f"Bearer {gateway.key(DEPARTMENT)}"}
        url = f"{gateway.url}/api/v1/signing/{request['id']}"
        body = {"signature": signed.json()["signature"]}
        done = requests.post(f"{url}/complete", json=body, headers=headers, timeout=60)
        assert done.status_code == 200, done.text
        is_signed_by_the_person(requests.get(f"{url}/file", headers=headers, timeout=60).content)
        own = ["--allow-origin", PAGE, "--port", "0", "--folder", str(tmp_path / "own")]
        second = subprocess.run(
            [sys.executable, "-m", "gateway", "--lang", "en", "signer", *arguments, *own],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=ROOT,
        )
        assert second.returncode == 1
        assert "signer.already_running" in second.stderr
