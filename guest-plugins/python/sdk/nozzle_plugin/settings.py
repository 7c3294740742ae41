"""`plugin.config` as a dataclass, checked, so that a slip of the pen is an error before anything is read."""

from __future__ import annotations

import dataclasses
import json
import types
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

S = TypeVar("S")


def read_settings(kind: type[S], config: Any) -> S:
    """Makes `kind` of `plugin.config`; `None` is none. The field `id_field` is the key `id-field`.

    Raises `ValueError` in words for the user.
    """
    given = {} if config is None else config
    if not isinstance(given, dict):
        raise ValueError(f"invalid type: {_found(given)}, expected an object")
    hints = get_type_hints(kind)
    fields = {one.name.replace("_", "-"): one for one in dataclasses.fields(kind) if one.init}  # type: ignore[arg-type]
    for name in given:
        if name not in fields:
            known = ", ".join(f"`{one}`" for one in fields)
            raise ValueError(f"unknown field `{name}`, " + (f"expected one of {known}" if known else "there are no fields"))
    values = {}
    for name, one in fields.items():
        if name in given:
            values[one.name] = _checked(f"`{name}`", hints[one.name], given[name])
        elif one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING:
            raise ValueError(f"missing field `{name}`")
    return kind(**values)


def _checked(place: str, hint: Any, value: Any) -> Any:
    """`value` if it fits `hint`, which is made of str, bool, int, float, list, dict, Literal, unions and Any."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any or hint is object:
        return value
    if origin is list and isinstance(value, list):
        return [_checked(place, arguments[0], one) for one in value]
    if origin is dict and isinstance(value, dict):
        return {name: _checked(place, arguments[1], one) for name, one in value.items()}
    if origin in (Union, types.UnionType):
        for one in arguments:
            try:
                return _checked(place, one, value)
            except ValueError:
                continue
    # In Python, True is an int, and an int is no float.
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint in (str, bool, int, float, list, dict, type(None)) and type(value) is hint:
        return value
    if origin is Literal and type(value) is str and value in arguments:
        return value
    raise ValueError(f"{place}: invalid type: {_found(value)}, expected {_expected(hint)}")


def _found(value: object) -> str:
    names = {str: "string", bool: "boolean", int: "number", float: "number"}
    if type(value) in names:
        return f"{names[type(value)]} {json.dumps(value, ensure_ascii=False)}"
    if isinstance(value, list):
        return "list"
    return "object" if isinstance(value, dict) else "null"


def _expected(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return "one of " + ", ".join(f"`{one}`" for one in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_expected(one) for one in arguments)
    names = {str: "a string", bool: "true or false", int: "a whole number", float: "a number", type(None): "null"}
    if hint in names:
        return names[hint]
    return "a list" if list in (hint, origin) else "an object"
