"""Numbers as clients in JavaScript and Lua write them: 256.0 where a member is an integer.

These languages have one kind of number, and some of their JSON encoders give each a fraction. 256.5 is no integer, and
a text is no number: a body is decoded strictly first, and anew with such numbers made whole only if it did not fit.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

EXACT = 2**53  # beyond it, a float stands for several integers


def decoded(body: bytes, kind: type) -> Any:
    """A JSON body as this struct. Raises what msgspec.json.decode raises."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError:
        return converted(msgspec.json.decode(body), kind)


def converted(members: Any, kind: type) -> Any:
    """What was decoded without a type, as this struct. Raises msgspec.ValidationError."""
    return msgspec.convert(_whole(members, _described(kind)), kind)


@cache
def _described(kind: type) -> Any:
    """As msgspec.inspect has it, which is imported here: nearly all calls do without."""
    from msgspec import inspect

    return inspect.type_info(kind)


def _whole(value: Any, kind: Any) -> Any:
    """The value, with whole floats as integers where the type has integers and no floats."""
    from msgspec import inspect

    kinds = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    if isinstance(value, float):
        integer = any(isinstance(one, inspect.IntType) for one in kinds)
        floating = any(isinstance(one, inspect.FloatType) for one in kinds)
        return int(value) if integer and not floating and value.is_integer() and abs(value) <= EXACT else value
    for one in kinds:
        if isinstance(value, list) and isinstance(one, inspect.ListType):
            return [_whole(inner, one.item_type) for inner in value]
        if isinstance(value, dict) and isinstance(one, inspect.StructType):
            fields = {field.encode_name: field.type for field in one.fields}
            return {name: _whole(inner, fields[name]) if name in fields else inner for name, inner in value.items()}
    return value
