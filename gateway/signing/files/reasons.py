"""Why a file or a signature in it is judged as it is: stable codes, kept in the ledger and shown."""

from __future__ import annotations

import enum

from gateway.signing.policy import Reason


class FileReason(enum.StrEnum):
    """The reasons of :class:`gateway.model.FileVerdict` and :class:`gateway.model.FileSignature`."""

    VERIFIED = "file.verified"
    WEAK = "file.weak_algorithm"
    """Verified, with SHA-1 or a key of RSA-1024 that the policy for the sender tolerates."""
    REVOCATION_UNKNOWN = "file.revocation_unknown"
    """Verified, and nothing is known of revocation where the deployment requires that."""
    UNSIGNED = "file.unsigned"
    """It could carry signatures and carries none."""

    DIGEST_MISMATCH = "file.digest_mismatch"
    """The signed bytes are not what was signed."""
    VALUE_MISMATCH = "file.value_mismatch"
    """The key of the certificate in the signature did not make it."""
    COVERAGE = "file.coverage"
    """The signature does not cover the whole of its revision."""
    ALTERED_AFTER = "file.altered_after"
    """A later revision changes what was signed, or adds what may not be added."""
    COVERED_AFTER = "file.covered_after"
    """A later revision puts something that nobody trusted signed over what the signed page shows."""

    ALGORITHM = "file.algorithm"
    """An algorithm that policy does not accept."""
    CERTIFICATE_UNTRUSTED = "file.certificate_untrusted"
    CERTIFICATE_EXPIRED = "file.certificate_expired"
    CERTIFICATE_NOT_YET_VALID = "file.certificate_not_yet_valid"
    CERTIFICATE_USAGE = "file.certificate_usage"
    KEY_TOO_SMALL = "file.key_too_small"
    CERTIFICATE_REVOKED = "file.certificate_revoked"
    """Revoked when it signed; without a trusted time-stamp, revoked before the file was received."""

    SIGNATURE_BROKEN = "file.signature_broken"
    """The signature cannot be read."""
    SIGNATURE_FORM = "file.signature_form"
    """A form of signature that is recognised and not judged."""

    BROKEN = "file.broken"
    """The file does not follow its format."""
    ENCRYPTED = "file.encrypted"
    TOO_LARGE = "file.too_large"
    """More bytes, signatures, revisions or files inside than are looked at, or more memory than its reader has."""
    READER_CRASHED = "file.reader_crashed"
    READER_STALLED = "file.reader_stalled"

    NOT_JUDGED = "file.not_judged"
    """It carries signatures of a format that is recognised and not judged."""
    NO_SIGNATURES_KNOWN = "file.no_signatures_known"
    """A format in which this gateway looks for no signatures."""
    EMPTY_ARCHIVE = "file.empty_archive"


OF_CERTIFICATE: dict[Reason, FileReason] = {
    Reason.CERTIFICATE_UNTRUSTED: FileReason.CERTIFICATE_UNTRUSTED,
    Reason.CERTIFICATE_EXPIRED: FileReason.CERTIFICATE_EXPIRED,
    Reason.CERTIFICATE_NOT_YET_VALID: FileReason.CERTIFICATE_NOT_YET_VALID,
    Reason.CERTIFICATE_USAGE: FileReason.CERTIFICATE_USAGE,
    Reason.KEY_TOO_SMALL: FileReason.KEY_TOO_SMALL,
}
"""What is found of a certificate, in the words for files."""
