"""Violations found while reading, each once, with a sentence in both languages."""

from __future__ import annotations

from gateway.model import Severity, Violation

_MOST = 200
"""More findings than this help nobody, and a hostile package could make one per element."""
_LONGEST_PATH = 160


class Findings:
    """What departs from the standard in one package; sentences never quote its text, which may be personal."""

    def __init__(self) -> None:
        self.respelled = False
        """True when an element's name was not spelled as the kit spells it (variant V5)."""
        self._found: dict[tuple[str, str], Violation] = {}

    def add(self, code: str, severity: Severity, *, vi: str, en: str) -> None:
        """Record one violation; the same one again changes nothing."""
        code = code[:_LONGEST_PATH]
        known = self._found.get((code, en))
        if known is None and len(self._found) >= _MOST and severity is Severity.WARNING:
            return
        if known is None or severity is Severity.ERROR:
            self._found[code, en] = Violation(code=code, severity=severity, vi=vi, en=en)

    def missing(self, path: str, severity: Severity = Severity.ERROR) -> None:
        """``N.``: the element is absent or empty."""
        self.add(f"N.{path}", severity, vi=f"Thiếu {path}.", en=f"{path} is missing or empty.")

    def too_long(self, path: str, longest: int, severity: Severity = Severity.WARNING) -> None:
        """``R.``: more characters than the standard allows."""
        self.add(
            f"R.{path}",
            severity,
            vi=f"{path} dài quá {longest} ký tự.",
            en=f"{path} is longer than {longest} characters.",
        )

    def bad_form(self, path: str, form: str, severity: Severity = Severity.ERROR, *, vi: str | None = None) -> None:
        """``T.``: not written as its type demands; ``form`` says what was expected."""
        self.add(
            f"T.{path}",
            severity,
            vi=f"{path} không đúng định dạng ({vi or form}).",
            en=f"{path} is not of the expected form ({form}).",
        )

    def meaningless(self, path: str, severity: Severity, *, vi: str, en: str) -> None:
        """``M.``: well written, and yet it cannot be what it says."""
        self.add(f"M.{path}", severity, vi=vi, en=en)

    @property
    def violations(self) -> tuple[Violation, ...]:
        """Errors first, otherwise in the order found."""
        return tuple(sorted(self._found.values(), key=lambda v: v.severity is not Severity.ERROR))
