"""
Signatures inside attached files: who signed a PDF, in which role, when, and whether that stands.

``Inspector`` judges a file in a process of its own, which a hostile file may crash or stall; ``judge.inspect_file``
does the same at once, for commands. This module imports nothing that reads such files.
"""

from gateway.signing.files.inspector import Inspector
from gateway.signing.files.limits import FileLimits
from gateway.signing.files.policy import FilePolicy, RegisteredSigner
from gateway.signing.files.reasons import FileReason

__all__ = ["FileLimits", "FilePolicy", "FileReason", "Inspector", "RegisteredSigner"]
