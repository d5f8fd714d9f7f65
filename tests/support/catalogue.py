"""A generated catalogue of the size of the national one."""

import hashlib
import json
import random
from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from typing import Any

from gateway.model import Agency, AgencyCode, Level
from tests.support.agencies import MAILBOX

_PLACES = (
    "Hòa Tiến Sơn Đồng Đăng Lạng Cao Lộc Bình Gia Tràng Định Hữu Lũng Chi Lăng Văn Quan Bắc Nam Đông Tây Phú Thọ "
    "Vĩnh Phúc Yên Bái Lào Cai Thái Nguyên Tân An Mỹ Long Xuân Quang Trung Thành Hưng Thịnh Minh Đức Khánh Kỳ Lương"
)
_SYLLABLES = _PLACES.split()
_OFFICES = ("Sở Tài chính", "Sở Y tế", "Sở Xây dựng", "Sở Nội vụ", "Chi cục Thuế", "Ban Quản lý dự án", "Trường THPT")


def a_catalogue(size: int, *, provinces: int = 34, seed: int = 1) -> list[Agency]:
    """
    So many agencies with codes of both generations: provinces, offices and communes, and units below those.

    Every province and every tenth agency has a mailbox; the others are reached through their ancestors.
    """
    chance = random.Random(seed)
    agencies = [_province(n) for n in range(1, provinces + 1)]
    while len(agencies) < size:
        n = len(agencies)
        # A quarter directly below the provinces, the rest below those.
        parent = agencies[n % provinces if n < size // 4 else chance.randrange(provinces, size // 4)]
        agencies.append(_below(parent, n, chance))
    return agencies[:size]


def _province(n: int) -> Agency:
    name = f"Ủy ban nhân dân tỉnh {_SYLLABLES[n]} {_SYLLABLES[n + 1]}"
    return Agency(
        code=AgencyCode(f"000.00.00.H{n:02}"),
        aliases=(AgencyCode(f"H{n:02}"),),
        name=name,
        level=Level.PROVINCE,
        endpoint=MAILBOX,
    )


def _below(parent: Agency, n: int, chance: random.Random) -> Agency:
    place = " ".join(chance.choices(_SYLLABLES, k=2))
    is_commune = parent.level is Level.PROVINCE and n % 3 > 0
    level1 = parent.code.level1
    return Agency(
        code=AgencyCode(f"{level1}.{n}"),
        # Each in the form of TT 10, made distinct by a letter that no real code has there.
        aliases=(AgencyCode(f"{n // 1000:03}.{n // 10 % 100:02}.{n % 10}X.{level1}"),),
        name=f"Ủy ban nhân dân xã {place}" if is_commune else f"{chance.choice(_OFFICES)} {place} số {n % 400}",
        level=Level.COMMUNE if is_commune else Level.DEPARTMENT,
        parent=parent.code,
        endpoint=MAILBOX if n % 10 == 0 else None,
    )


# As an axis answers


def an_answer(rows: Iterable[Mapping[str, Any]], **outcome: Any) -> BytesIO:
    """The answer to a call of the catalogue, at its first byte."""
    envelope = {"status": "OK", "ErrorCode": "0", "ErrorDesc": "Thanh cong", **outcome, "data": list(rows)}
    return BytesIO(json.dumps(envelope, ensure_ascii=False).encode())


def a_unit(unit: str, code: str, pid: str | None = None, **changes: Any) -> dict[str, Any]:
    """One row of ``getSynchronizeUnit``."""
    return {
        "id": unit,
        "pid": pid,
        "code": code,
        "name": f"Cơ quan {code}",
        "mail": "van.thu@example.invalid",
        "version": 1,
        "centerCode": None,
        "deleted": False,
        "modifyDate": "2024-05-06 07:08:09",
        "isAgency": True,
        **changes,
    }


def unit_rows(size: int, *, version: int = 1) -> Iterator[dict[str, Any]]:
    """``getSynchronizeUnit`` for the generated catalogue, one row at a time."""
    for agency in a_catalogue(size):
        parent = None if agency.parent is None else _object_id(agency.parent)
        yield a_unit(
            _object_id(agency.code), agency.code, parent, name=agency.name, version=version, oldCode=agency.aliases[0]
        )


def _object_id(code: str) -> str:
    """24 hexadecimal digits, as an axis' database makes them."""
    return hashlib.sha256(code.encode()).hexdigest()[:24]
