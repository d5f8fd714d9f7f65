"""A real browser without a window: Chromium, spoken to by the pipe of its own debugging protocol."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.programs import program

_SECONDS = 120.0


class Page:
    """One page of a browser."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session

    def go(self, url: str) -> None:
        """Open a page, and wait until its scripts have run."""
        self._browser.call("Page.navigate", {"url": url}, self._session)
        self.wait(f"document.readyState === 'complete' && location.href.startsWith({json.dumps(url)})")

    def run(self, script: str) -> Any:
        """The value of an expression; of a promise what it becomes. A failure in the page fails the test."""
        asked = {"expression": script, "awaitPromise": True, "returnByValue": True, "userGesture": True}
        found = self._browser.call("Runtime.evaluate", asked, self._session)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, condition: str) -> None:
        """Until an expression is true."""
        until = time.monotonic() + _SECONDS
        while not self.run(f"Boolean({condition})"):
            assert time.monotonic() < until, f"{condition}\n{self.run('document.body.innerText')}"
            time.sleep(0.02)

    def choose_file(self, selector: str, path: Path) -> None:
        """Put a file into a field, as a person does."""
        root = self._browser.call("DOM.getDocument", {}, self._session)["root"]["nodeId"]
        node = self._browser.call("DOM.querySelector", {"nodeId": root, "selector": selector}, self._session)
        self._browser.call("DOM.setFileInputFiles", {"nodeId": node["nodeId"], "files": [str(path)]}, self._session)

    def fill(self, selector: str, text: str) -> None:
        """Put a text into a field."""
        self.run(f"document.querySelector({json.dumps(selector)}).value = {json.dumps(text)}")

    def click(self, selector: str) -> None:
        """Press something."""
        self.run(f"document.querySelector({json.dumps(selector)}).click()")


class Browser:
    """The process, and its protocol: JSON texts, each ended by a zero byte, over descriptors 3 and 4."""

    def __init__(self, process: subprocess.Popen[bytes], to: int, back: int) -> None:
        self._process = process
        self._to = to
        self._back = back
        self._number = 0
        self._read = b""

    def call(self, method: str, parameters: dict[str, Any], session: str | None = None) -> dict[str, Any]:
        """One command and its answer; events are passed over."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._read:
            piece = os.read(self._back, 1 << 16)
            assert piece, f"the browser has ended ({self._process.poll()})"
            self._read += piece
        text, _, self._read = self._read.partition(b"\0")
        answer: dict[str, Any] = json.loads(text)
        return answer

    def page(self) -> Page:
        """A new page, with storage of its own."""
        context = self.call("Target.createBrowserContext", {})["browserContextId"]
        target = self.call("Target.createTarget", {"url": "about:blank", "browserContextId": context})["targetId"]
        session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        return Page(self, session)


_AT_3_AND_4 = """
import os, sys
commands, answers, *rest = sys.argv[1:]
os.dup2(int(commands), 3), os.dup2(int(answers), 4)
os.execv(rest[0], rest)
"""


def _high(descriptor: int) -> int:
    high = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 100)
    os.close(descriptor)
    return high


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Chromium for as long as the block lasts, with a profile of its own."""
    found = program("chromium")
    assert found is not None
    # High numbers, so that moving them to 3 and 4 in the child overwrites none of them.
    commands, to = map(_high, os.pipe())
    back, answers = map(_high, os.pipe())
    with tempfile.TemporaryDirectory(prefix="gateway-browser-") as folder:
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        arguments += ["--remote-debugging-pipe", f"--user-data-dir={folder}", "about:blank"]
        process = subprocess.Popen(
            [sys.executable, "-I", "-c", _AT_3_AND_4, str(commands), str(answers), found, *arguments],
            pass_fds=(commands, answers),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(commands)
        os.close(answers)
        browser = Browser(process, to, back)
        try:
            yield browser
        finally:
            try:
                browser.call("Browser.close", {})
            except (AssertionError, OSError):  # it has ended already
                process.kill()
            process.wait(20)
            os.close(to)
            os.close(back)
