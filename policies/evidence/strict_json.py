"""Read JSON of which two readers could never see different things.

Used by everything in this package that takes bytes from outside. Pure.
"""

from __future__ import annotations

import json
from typing import Final, NoReturn

MAX_BYTES: Final = 1 << 20


class JsonRefused(ValueError):  # noqa: N818  # reads as what it says
    """Not JSON, or JSON that is read in more than one way. The message says which."""


def parse_object(data: bytes) -> dict[str, object]:
    """Return the object that `data` spells.

    Raises:
        JsonRefused: too large, not UTF-8, not JSON, no object, a key twice, a number that is none.
    """
    if len(data) > MAX_BYTES:
        raise JsonRefused(f"longer than {MAX_BYTES} bytes")
    try:
        value: object = json.loads(data.decode("utf-8"), object_pairs_hook=_distinct, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise JsonRefused("not UTF-8") from error
    except RecursionError as error:
        raise JsonRefused("nested too deeply") from error
    except JsonRefused:
        raise
    except ValueError as error:
        raise JsonRefused(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise JsonRefused("not an object")
    return value


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise JsonRefused(f"key `{key}` appears twice")
        found[key] = value
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise JsonRefused(f"`{name}` is not a number in JSON")
