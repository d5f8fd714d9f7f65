"""
A CRL that is taken apart once: what it says of one certificate is looked up, and its signature is computed once.

A national authority's list has half a million entries. certvalidator decodes, copies and hashes the whole of it for
each certificate that it is asked about; here it is given the same list with the entries about that certificate alone,
and its question about the signature is answered for the whole list.
"""

from __future__ import annotations

import bisect
import threading
import zlib
from array import array
from collections.abc import Iterator
from functools import cached_property

from asn1crypto import algos, keys
from cryptography.exceptions import InvalidSignature
from pyhanko_certvalidator.sig_validate import (
    DEFAULT_VALIDATION_CONTEXT,
    DefaultSignatureValidator,
    SignatureValidationContext,
)

_SEQUENCE = 0x30
_TIMES = (0x17, 0x18)
_OFFSET_BITS = 26
"""Enough for ``facts.ITEM_BYTES_MAX``."""
_SIGNERS_MAX = 8
"""Keys of which it is remembered whether one of them made the signature; a list has one issuer, seldom two."""


class OpenedList:
    """
    The places of a CRL's parts, and its entries by serial number. Safe to use from many threads.

    Costs eight bytes for each entry, besides the list itself.
    """

    def __init__(self, der: bytes) -> None:
        """
        :param der: not trusted.
        :raises ValueError: it is no CRL in DER.
        """
        self._der = der
        _, content, end = _element(der, 0, len(der), _SEQUENCE)
        self._tbs, self._tbs_content, self._tbs_end = _element(der, content, end, _SEQUENCE)
        self._end = end
        self._entries = self._place_of_entries()
        self._guard = threading.Lock()
        self._signed_by: dict[tuple[bytes, ...], bool] = {}

    def _place_of_entries(self) -> tuple[int, int, int]:
        """
        Where the entries begin, with and without their head, and where they end; all the same when there are none.

        :raises ValueError: the parts before them are not a CRL's.

        Source: RFC 5280 §5.1: they come right after the times.
        """
        at, after_time = self._tbs_content, False
        while at < self._tbs_end:
            begin, content, end = _element(self._der, at, self._tbs_end)
            tag = self._der[begin]
            if after_time and tag == _SEQUENCE:
                return begin, content, end
            if after_time and tag not in _TIMES:
                return begin, begin, begin
            after_time = after_time or tag in _TIMES
            at = end
        if not after_time:
            raise ValueError("A CRL without a time.")
        return at, at, at

    @cached_property
    def _index(self) -> array[int]:
        """For each entry the checksum of its serial number and where it begins, sorted."""
        der, (_, start, end) = self._der, self._entries
        return array("Q", sorted(_key(der, at, end) | at for at in _beginnings(der, start, end)))

    def ready(self) -> None:
        """
        Do beforehand what the first question would wait for: half a second for half a million entries.

        :raises ValueError: its entries are not in DER.
        """
        _ = self._index

    def about(self, serial: bytes) -> bytes:
        """
        The list with the entries about one certificate alone, in their order; its signature is the whole list's.

        :param serial: the serial number as an INTEGER in DER.
        :raises ValueError: its entries are not in DER.
        """
        return self._with(b"".join(self._found(serial)))

    @property
    def bare(self) -> bytes:
        """The list without entries."""
        return self._with(b"")

    def _found(self, serial: bytes) -> Iterator[bytes]:
        der, (_, _, end) = self._der, self._entries
        checksum = zlib.crc32(serial) << _OFFSET_BITS
        # A checksum says nothing for certain: the number itself is compared.
        for place in range(bisect.bisect_left(self._index, checksum), len(self._index)):
            if self._index[place] >> _OFFSET_BITS != checksum >> _OFFSET_BITS:
                return
            begin, content, stop = _element(der, self._index[place] & ((1 << _OFFSET_BITS) - 1), end, _SEQUENCE)
            if der.startswith(serial, content):
                yield der[begin:stop]

    def _with(self, entries: bytes) -> bytes:
        begin, _, end = self._entries
        listed = _sequence(entries) if entries else b""
        tbs = self._der[self._tbs_content : begin] + listed + self._der[end : self._tbs_end]
        return _sequence(_sequence(tbs) + self._der[self._tbs_end : self._end])

    def check(self, signature: bytes, key: keys.PublicKeyInfo, algorithm: algos.SignedDigestAlgorithm) -> None:
        """
        Whether the whole list was signed so by this key; computed once for each.

        :raises InvalidSignature: it was not.
        """
        asked = (signature, key.dump(), algorithm.dump())
        with self._guard:
            known = self._signed_by.get(asked)
        if known is None:
            known = self._is_signed(signature, key, algorithm)
            with self._guard:
                if len(self._signed_by) >= _SIGNERS_MAX:
                    self._signed_by.clear()
                self._signed_by[asked] = known
        if not known:
            raise InvalidSignature

    def _is_signed(self, signature: bytes, key: keys.PublicKeyInfo, algorithm: algos.SignedDigestAlgorithm) -> bool:
        whole = self._der[self._tbs : self._tbs_end]
        try:
            DefaultSignatureValidator().validate_signature(signature, whole, key, algorithm)
        except InvalidSignature:
            return False
        return True


class ListSignature(DefaultSignatureValidator):
    """Answers for one list as :meth:`OpenedList.about` gave it out what holds for the whole; for all else as usual."""

    def __init__(self, opened: OpenedList, given_out: bytes) -> None:
        """:param given_out: what ``about`` returned."""
        self._opened = opened
        _, content, end = _element(given_out, 0, len(given_out), _SEQUENCE)
        begin, _, stop = _element(given_out, content, end, _SEQUENCE)
        self._given_out = given_out[begin:stop]

    def validate_signature(
        self,
        signature: bytes,
        signed_data: bytes,
        public_key_info: keys.PublicKeyInfo,
        signature_algorithm: algos.SignedDigestAlgorithm,
        context: SignatureValidationContext = DEFAULT_VALIDATION_CONTEXT,
    ) -> None:
        """As in the class above."""
        if signed_data == self._given_out and context == DEFAULT_VALIDATION_CONTEXT:
            self._opened.check(signature, public_key_info, signature_algorithm)
        else:
            super().validate_signature(signature, signed_data, public_key_info, signature_algorithm, context)


def _beginnings(der: bytes, start: int, end: int) -> Iterator[int]:
    """Where each entry begins."""
    at = start
    while at < end:
        begin, _, at = _element(der, at, end, _SEQUENCE)
        yield begin


def _key(der: bytes, at: int, end: int) -> int:
    """The checksum of an entry's first part, which is its serial number; its place goes into the lower bits."""
    _, content, stop = _element(der, at, end, _SEQUENCE)
    begin, _, after = _element(der, content, stop)
    return zlib.crc32(der[begin:after]) << _OFFSET_BITS


def _element(der: bytes, at: int, end: int, tag: int | None = None) -> tuple[int, int, int]:
    """
    Where an element begins, where its content does, and where it ends.

    :param end: of what it is in.
    :param tag: that it must have.
    :raises ValueError: it is not in DER, or another one.
    """
    if at + 2 > end or (tag is not None and der[at] != tag):
        raise ValueError("A CRL that is not in DER.")
    length, content = der[at + 1], at + 2
    if length & 0x80:
        content += length & 0x7F
        length = int.from_bytes(der[at + 2 : content], "big")
        if length < 0x80:
            raise ValueError("A CRL that is not in DER.")
    if content + length > end:
        raise ValueError("A CRL that is not in DER.")
    return at, content, content + length


def _sequence(content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((_SEQUENCE, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((_SEQUENCE, 0x80 | len(length))) + length + content
