"""One window as a program: a message in JSON comes in, what was chosen goes out; see ``gateway.signer.window``."""

from __future__ import annotations

import json
import sys
import tkinter
from tkinter import ttk
from typing import Any

from gateway.signer.memory import keep_from_dumps

NO_DISPLAY = 3
"""Exit code."""


def show(message: dict[str, Any]) -> dict[str, Any]:
    """
    Show one window until it is closed, and say what was chosen.

    :param message: ``title``, ``lines``, ``pin`` (label of its field, or absent), ``sign`` and ``decline`` or ``close``
        (labels of buttons); ``seconds`` after which it closes by itself; or only ``check``, which shows nothing.
    :return: ``agreed``, and ``pin`` when that was asked for.
    :raises tkinter.TclError: there is no display.
    """
    root = tkinter.Tk()
    answer: dict[str, Any] = {"agreed": False}
    if message.get("check"):
        root.destroy()
        return answer
    root.title(message["title"])
    root.attributes("-topmost", True)
    frame = ttk.Frame(root, padding=16)
    frame.grid()
    for number, line in enumerate(message["lines"]):
        ttk.Label(frame, text=line, wraplength=560, justify="left").grid(row=number, column=0, columnspan=2, sticky="w")
    row = len(message["lines"])
    pin = tkinter.StringVar(root)
    if message.get("pin"):
        ttk.Label(frame, text=message["pin"]).grid(row=row, column=0, sticky="w")
        field = ttk.Entry(frame, textvariable=pin, show="•")
        field.grid(row=row, column=1, sticky="ew", pady=12)
        field.focus()

    def agree() -> None:
        answer.update(agreed=True, pin=pin.get())
        root.destroy()

    if message.get("sign"):
        ttk.Button(frame, text=message["sign"], command=agree).grid(row=row + 1, column=0)
    label = message.get("decline") or message["close"]
    # Enter does nothing: somebody who goes on typing has not read what stands here.
    ttk.Button(frame, text=label, command=root.destroy).grid(row=row + 1, column=1)
    if message.get("seconds"):
        root.after(1000 * int(message["seconds"]), root.destroy)
    root.mainloop()
    return answer


def main() -> int:
    """Read one message, show it, write the answer."""
    keep_from_dumps()
    message = json.loads(sys.stdin.buffer.read())
    try:
        answer = show(message)
    except tkinter.TclError:
        return NO_DISPLAY
    sys.stdout.write(json.dumps(answer))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
