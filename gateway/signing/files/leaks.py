"""What the libraries let through, besides their own errors, on hostile files."""

from __future__ import annotations

import struct
import zlib

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from pyhanko.pdf_utils.misc import PdfError

LEAKS = (
    PdfError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""
Each is a way in which pyHanko, asn1crypto or the standard library fail on a file that breaks its format; seen in
the fuzz corpus (tests/integration/signing/files). RuntimeError is also RecursionError and NotImplementedError.
Not among them: MemoryError, which ends the reader, and whatever nobody has seen, which the process around it ends.
"""
