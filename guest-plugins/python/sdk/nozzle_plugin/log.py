"""Words to the operator: lines in the host's log, under the sink's id, and counters.

The module `logging` of the standard library ends there too, and so does `print`.
"""

from __future__ import annotations

from collections.abc import Callable

Level = str
"""`trace`, `debug`, `info`, `warn` or `error`."""


def _nothing(*_: object) -> None:
    """Stands in for the host until the component is connected to it: tests need none."""


write: Callable[[Level, str, list[tuple[str, str]]], None] = _nothing
add: Callable[[str, int], None] = _nothing


def _line(level: Level, message: str, fields: dict[str, object]) -> None:
    write(level, message, [(name, str(value)) for name, value in fields.items()])


def debug(message: str, **fields: object) -> None:
    """A line for those who look for a fault in the plugin."""
    _line("debug", message, fields)


def info(message: str, **fields: object) -> None:
    """A line on what goes as it should."""
    _line("info", message, fields)


def warn(message: str, **fields: object) -> None:
    """A line on what went wrong and was set right. A message is best a constant, with what varies in the fields."""
    _line("warn", message, fields)


def error(message: str, **fields: object) -> None:
    """A line that someone must act on."""
    _line("error", message, fields)


def count(name: str, by: int = 1) -> None:
    """Adds to the counter `nozzle_plugin_<name>_total`: of lower-case letters, digits and `_`, at most 64 of them."""
    add(name, by)
