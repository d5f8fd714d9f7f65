"""
Agencies with their histories: who they are, what codes they answer to, how they are reached.

``Directory`` is the immutable snapshot that routing and trust ask; ``store`` keeps the agencies
in the database and is imported by name, so that the pure parts do not load SQLAlchemy.
"""

from gateway.directory.certificates import certificate_of, registered_certificates
from gateway.directory.check import Finding, check_agencies, check_site
from gateway.directory.describe import AgencyDetails, describe
from gateway.directory.directory import Directory, LocalSite, closed_at, exists_at
from gateway.directory.toml import dump_agencies, load_agencies, parse_agencies

__all__ = [
    "AgencyDetails",
    "Directory",
    "Finding",
    "LocalSite",
    "certificate_of",
    "check_agencies",
    "check_site",
    "closed_at",
    "describe",
    "dump_agencies",
    "exists_at",
    "load_agencies",
    "parse_agencies",
    "registered_certificates",
]
