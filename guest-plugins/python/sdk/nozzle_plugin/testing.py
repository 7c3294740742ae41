"""Runs a plugin in a test, without a host and without a component: `python3 -m unittest`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Union

from nozzle_plugin.batch import Batch
from nozzle_plugin.outcome import Call, CallEvent, Handled, Outcome
from nozzle_plugin.plugin import Plugin, make
from nozzle_plugin.shaped import Shaped


@dataclass
class TestEvent:
    """One event of a test."""

    __test__ = False

    data: bytes
    id: str | None = None
    """Left out: its index."""
    key: str | None = None
    timestamp_ms: int = 0
    attributes: dict[str, str] = field(default_factory=dict)


Given = Union[TestEvent, bytes, str]


@dataclass
class _Span:
    start: int
    len: int


@dataclass
class _Attribute:
    name: _Span
    value: _Span


@dataclass
class _Meta:
    timestamp_ms: int
    id: _Span
    key: _Span | None
    data: _Span
    first_attribute: int
    attribute_count: int


@dataclass
class _Batch:
    bytes: bytes
    events: list[_Meta]
    attributes: list[_Attribute]


class Instance:
    """A plugin that is configured."""

    def __init__(self, plugin: Plugin[Any]) -> None:
        self.plugin = plugin

    def shape(self, *events: Given) -> Shaped:
        """Shapes a batch of these events."""
        return self.plugin.shape(Batch(_lay_out(events)))

    def handle(self, outcome: Outcome, *events: Given, attempt: int = 1) -> Handled:
        """Handles the outcome of a call of these events."""
        answer = self.plugin.handle(outcome, Call(_Call(_lay_out(events), attempt, self.plugin)))
        return answer if isinstance(answer, Handled) else Handled(answer)


def start(kind: type[Plugin[Any]], config: object = None) -> Instance:
    """Configures a plugin. Raises `ValueError` with the message with which it refuses `config`."""
    return Instance(make(kind, json.dumps(config)))


class _Call:
    def __init__(self, batch: _Batch, attempt: int, plugin: Plugin[Any]) -> None:
        self._batch = batch
        self._attempt = attempt
        self._plugin = plugin

    def attempt(self) -> int:
        return self._attempt

    def get_request(self) -> Any:
        return self._plugin.shape(Batch(self._batch)).requests[0]

    def event_count(self) -> int:
        return len(self._batch.events)

    def get_event(self, index: int) -> Any:
        batch = Batch(self._batch)
        if index >= len(batch):
            return None
        event = batch[index]
        return CallEvent(event.id, event.key, event.timestamp_ms, event.attributes, event.data)

    def get_events(self) -> _Batch:
        return self._batch


def _lay_out(events: Sequence[Given]) -> _Batch:
    bytes_ = bytearray()

    def put(part: bytes | str) -> _Span:
        part = part.encode() if isinstance(part, str) else part
        span = _Span(len(bytes_), len(part))
        bytes_.extend(part)
        return span

    attributes: list[_Attribute] = []
    metas: list[_Meta] = []
    for index, given in enumerate(events):
        event = given if isinstance(given, TestEvent) else TestEvent(given.encode() if isinstance(given, str) else given)
        metas.append(
            _Meta(
                event.timestamp_ms,
                put(str(index) if event.id is None else event.id),
                None if event.key is None else put(event.key),
                put(event.data),
                len(attributes),
                len(event.attributes),
            )
        )
        attributes.extend(_Attribute(put(name), put(value)) for name, value in event.attributes.items())
    return _Batch(bytes(bytes_), metas, attributes)
