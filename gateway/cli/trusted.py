"""What those who check evidence are told to believe: the options and files that several commands share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from cryptography import x509

from gateway.cli.command import option
from gateway.cli.words import Text
from gateway.signing.keys import load_certificates
from gateway.signing.trust import RevocationItem, read_item

A_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
"""One that is there."""

anchor_option = option(
    "--anchor",
    "anchors",
    type=A_FILE,
    multiple=True,
    words=Text("Chứng thư gốc tin cậy (PEM); có thể lặp lại.", "Trust anchor (PEM); may be repeated."),
)
tsa_anchor_option = option(
    "--tsa-anchor",
    "authorities",
    type=A_FILE,
    multiple=True,
    words=Text(
        "Chứng thư gốc của bên cấp dấu thời gian, cũ và mới (PEM); mặc định là --anchor.",
        "Trust anchor of time-stamp authorities, old and new (PEM); by default those of --anchor.",
    ),
)


def certificates_of(files: Sequence[Path]) -> tuple[x509.Certificate, ...]:
    """
    All certificates of all files.

    :raises KeyUnusable: as ``load_certificates``.
    """
    return tuple(certificate for file in files for certificate in load_certificates(file))


def revocation_of(files: Sequence[Path]) -> tuple[RevocationItem, ...]:
    """
    The revocation lists and OCSP answers, one a file.

    :raises RevocationUnreadable: as ``read_item``.
    """
    return tuple(read_item(file.read_bytes(), source=file.name) for file in files)
