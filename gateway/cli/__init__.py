"""Commands: ``gateway serve``, ``gateway send`` and the others. ``root`` lists them, ``exits`` holds the exit codes."""

from gateway.cli.root import main

__all__ = ["main"]
