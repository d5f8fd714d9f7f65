"""Searching files for malware: a client of clamd, ClamAV's daemon. It sees bytes and no documents."""

from gateway.scanning.clamd import Address, Clamd
from gateway.scanning.scanner import File, Scanned, Scanner

__all__ = ["Address", "Clamd", "File", "Scanned", "Scanner"]
