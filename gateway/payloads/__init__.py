"""Bytes of large packages, by SHA-256: files, or an S3-compatible store."""

from gateway.payloads.store import PayloadStore

__all__ = ["PayloadStore"]
