"""Bytes of large packages, by SHA-256: files, or an S3-compatible store."""

from gateway.payloads.files import FileStore
from gateway.payloads.s3 import S3Store
from gateway.payloads.store import PayloadStore

__all__ = ["FileStore", "PayloadStore", "S3Store"]
