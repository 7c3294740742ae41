"""The action lines of a bulk request."""

from __future__ import annotations

import json
from typing import Any

from nozzle_plugin import Event


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Action:
    """Writes action lines. What is the same for every record is made once."""

    def __init__(self, name: str, fields: dict[str, Any], id_field: str, key_field: str) -> None:
        """`id_field` and `key_field` name what holds the event's id and key; "" leaves it out."""
        if not name:
            raise ValueError("`action` is empty")
        for twice in fields.keys() & {id_field, key_field}:
            raise ValueError(f"`{twice}` stands twice in the action")
        if id_field and id_field == key_field:
            raise ValueError(f"`{id_field}` stands for the id and for the key")
        self._head = f"{{{_quoted(name)}:{{"
        self._fields = [_quoted(fields)[1:-1]] if fields else []
        self._id = _quoted(id_field) if id_field else None
        self._key = _quoted(key_field) if key_field else None

    def line(self, event: Event) -> str:
        """The line of one event, without its end."""
        parts = list(self._fields)
        if self._id:
            parts.append(f"{self._id}:{_quoted(event.id)}")
        if self._key and event.key is not None:
            parts.append(f"{self._key}:{_quoted(event.key)}")
        return f"{self._head}{','.join(parts)}}}}}"
