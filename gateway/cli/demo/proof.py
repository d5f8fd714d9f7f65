"""
What stands inside the files, and the proof at the end.

Each gateway judges the signatures in a document's files by itself; all must find the same. At the end one document's
evidence is fetched by its sender, and ``gateway verify`` and ``gateway log verify`` are asked, each a process of its
own that is given nothing but the demo's root certificate, or the database.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.cli.demo.mail import Dispatch
from gateway.cli.demo.places import Places
from gateway.cli.demo.watch import Watch
from gateway.cli.words import Language, Text
from gateway.console.verdicts import FILE_STANDINGS, SIGNER_ROLES, subject_name
from gateway.delivery.agency import AgencyClient, AgencySettings
from gateway.model import FileSignature, FileStanding, FileVerdict

_SEALED_WITHIN_SECONDS = 20
_JUDGED_WITHIN_SECONDS = 120
"""For one question to the command line."""
_TRUSTED = (FileStanding.VALID, FileStanding.VALID_WEAK)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What one gateway found in the main file of one dispatch."""

    dispatch: Dispatch
    gateway: str
    """Its name."""
    verdict: FileVerdict | None
    """``None``: not yet judged."""


def judged(dispatches: Iterable[Dispatch], watch: Watch, gateways: Iterable[str]) -> list[Judged]:
    """The main files of all dispatches that are asked about, at every gateway that they have come to."""
    wanted = [d for d in dispatches if d.main_file is not None and d.posted_id is not None]
    return [
        Judged(dispatch=dispatch, gateway=name, verdict=_main(watch.files(name, found)))
        for dispatch in wanted
        for name in gateways
        for found in watch.named(name, dispatch.by, dispatch.document_id or "")
    ]


def _main(files: Sequence[FileVerdict] | None) -> FileVerdict | None:
    return next((file for file in files or () if file.format == "pdf"), None)


def at_their_own(found: Iterable[Judged]) -> Mapping[str, FileVerdict | None]:
    """By the name of the dispatch: what the gateway found that it was posted to."""
    return {one.dispatch.name: one.verdict for one in found if one.gateway == one.dispatch.at}


def not_judged(found: Iterable[Judged], titles: Mapping[str, str]) -> Iterator[Text]:
    """Which files are not judged yet, or otherwise than they had to be."""
    for one in found:
        dispatch, verdict = one.dispatch, one.verdict
        assert dispatch.main_file is not None
        if verdict is None:
            yield Text(
                f"{titles[one.gateway]}: chưa xét chữ ký trong tệp của {dispatch.name}",
                f"{titles[one.gateway]}: the signatures in the file of {dispatch.name} are not judged yet",
            )
        elif verdict.standing is not dispatch.main_file or (_by_both(verdict) is not _expects_both(dispatch)):
            yield Text(
                f"{titles[one.gateway]}: tệp của {dispatch.name} là {verdict.standing}, phải là {dispatch.main_file}",
                f"{titles[one.gateway]}: the file of {dispatch.name} is {verdict.standing}, must be "
                f"{dispatch.main_file}",
            )


def _by_both(verdict: FileVerdict) -> bool:
    return verdict.has_person and verdict.has_agency


def _expects_both(dispatch: Dispatch) -> bool:
    return dispatch.main_file is FileStanding.VALID


def in_short(verdict: FileVerdict | None, language: Language) -> tuple[str, str]:
    """For a table: the standing with its shape, and the tone of it."""
    if verdict is None:
        return "…", "busy"
    mark = FILE_STANDINGS[verdict.standing]
    roles = [SIGNER_ROLES[s.role].say(language).lower() for s in verdict.signatures] if _by_both(verdict) else []
    return f"{mark.shape} {mark.words.say(language)}" + (f": {' + '.join(roles)}" if roles else ""), mark.tone


def in_words(found: Sequence[Judged], titles: Mapping[str, str]) -> Iterator[Text]:
    """One sentence for each signed file: who signed, what that is worth, and who found it so."""
    for dispatch in dict.fromkeys(one.dispatch.name for one in found):
        same = [one for one in found if one.dispatch.name == dispatch]
        verdict = same[0].verdict
        if verdict is None or not verdict.signatures:
            continue
        where = ", ".join(titles[one.gateway] for one in same)
        mark = FILE_STANDINGS[verdict.standing]
        who = [f"{mark.shape} {verdict.name}", *(_signer(s, "vi") for s in verdict.signatures)]
        whose = [f"{mark.shape} {verdict.name}", *(_signer(s, "en") for s in verdict.signatures)]
        yield Text(" · ".join([*who, f"xét tại: {where}"]), " · ".join([*whose, f"judged at: {where}"]))


def _signer(signature: FileSignature, language: Language) -> str:
    role = SIGNER_ROLES[signature.role].say(language).lower()
    standing = FILE_STANDINGS[signature.standing].words.say(language).lower()
    return f"{subject_name(signature.subject or '–')} ({role}): {standing}"


# At the end


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What ``gateway verify`` and ``gateway log verify`` have said."""

    evidence: Path
    said: str
    """Its conclusion, as it is printed."""
    log: str
    problems: tuple[str, ...]
    """What was said last by those that found something wrong."""


def prove(places: Places, watch: Watch, dispatch: Dispatch, *, language: Language) -> Proof:
    """
    Fetch the evidence of a dispatch as its sender, and have it and the gateway's log checked.

    :raises DeliveryError: the gateway does not give it.
    """
    gateway = places.gateways[dispatch.at]
    # What has not been sealed yet is in no proof: half a second later it is.
    deadline = time.monotonic() + _SEALED_WITHIN_SECONDS
    while not watch.is_sealed(dispatch.at) and time.monotonic() < deadline:
        time.sleep(0.1)
    evidence = places.folder / f"{dispatch.package.stem}.asice"
    key = gateway.keys[dispatch.by]
    with AgencyClient(AgencySettings(url=gateway.url, key=key)) as client, evidence.open("wb") as out:
        client.evidence(dispatch.posted_id or "", out)
    asked = [
        ["verify", str(evidence), "--anchor", str(places.root)],
        ["--config", str(gateway.config), "log", "verify"],
    ]
    # Both at once: most of what they take is the start of a program.
    running = [_ask(arguments, language) for arguments in asked]
    answers = [_answer(process) for process in running]
    return Proof(
        evidence=evidence,
        said=_last(answers[0][1]),
        log=_last(answers[1][1]),
        problems=tuple(_last(text) for code, text in answers if code != 0),
    )


def _ask(arguments: Sequence[str], language: Language) -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GATEWAY_")}
    return subprocess.Popen(  # noqa: S603 - our own interpreter, our own arguments
        [sys.executable, "-m", "gateway", "--lang", language, *arguments],
        env=environment | {"PYTHONIOENCODING": "utf-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )


def _answer(process: subprocess.Popen[str]) -> tuple[int, str]:
    try:
        said, _ = process.communicate(timeout=_JUDGED_WITHIN_SECONDS)
    finally:
        process.kill()
    return process.returncode, said.strip()


def _last(said: str) -> str:
    return said.splitlines()[-1] if said else ""
