"""The events of a batch, read in place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn, Protocol


class Reject(Exception):
    """A record that can never be delivered, with the reason.

    Raised inside `Shaped.rejecting` it rejects that record; as a verdict it rejects what it stands for.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reject) and other.reason == self.reason

    def __hash__(self) -> int:
        return hash(self.reason)


class SpanLike(Protocol):
    start: int
    len: int


class EventMetaLike(Protocol):
    timestamp_ms: int
    id: Any
    key: Any
    data: Any
    first_attribute: int
    attribute_count: int


class BatchLike(Protocol):
    """The contract's `batch`."""

    bytes: bytes
    events: Any
    attributes: Any


class Batch(Sequence["Event"]):
    """Events in the order of their ingress: `for event in batch`. There is at least one."""

    def __init__(self, batch: BatchLike) -> None:
        self._batch = batch

    def __len__(self) -> int:
        return len(self._batch.events)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        return Event(self._batch, self._batch.events[place], place)

    def __iter__(self) -> Iterator[Event]:
        for index, meta in enumerate(self._batch.events):
            yield Event(self._batch, meta, index)


class Event:
    """One event. What is not asked for is not read."""

    __slots__ = ("_batch", "_meta", "index")

    def __init__(self, batch: BatchLike, meta: EventMetaLike, index: int) -> None:
        self._batch = batch
        self._meta = meta
        self.index = index
        """Its place in the batch."""

    def __repr__(self) -> str:
        return f"Event(index={self.index}, id={self.id!r})"

    @property
    def id(self) -> str:
        """Where the record stands in its ingress: the same on every redelivery."""
        return self._bytes(self._meta.id).decode()

    @property
    def key(self) -> str | None:
        """The record's key, if it has one."""
        return None if self._meta.key is None else self._bytes(self._meta.key).decode()

    @property
    def timestamp_ms(self) -> int:
        """When the record entered the ingress, in milliseconds since the Unix epoch."""
        return self._meta.timestamp_ms

    @property
    def data(self) -> bytes:
        """The record itself."""
        return self._bytes(self._meta.data)

    @property
    def attributes(self) -> dict[str, str]:
        """Names and values that the ingress has added."""
        first = self._meta.first_attribute
        own = self._batch.attributes[first : first + self._meta.attribute_count]
        return {self._bytes(one.name).decode(): self._bytes(one.value).decode() for one in own}

    def text(self) -> str:
        """The record as text. Raises `Reject` where it is no UTF-8."""
        try:
            return self.data.decode()
        except UnicodeDecodeError:
            raise Reject("the record is no UTF-8") from None

    def json(self) -> Any:
        """The record as one JSON value. Raises `Reject` where it is none."""
        return _parse(self._json_bytes())

    def json_text(self) -> str:
        """The text of the record, which is one JSON value. Raises `Reject` where it is none.

        Numbers keep every digit, keys their order.
        """
        text = self._json_bytes()
        # Numbers of any length are good; making them would take time, and has a limit.
        _parse(text, parse_int=_unread, parse_float=_unread)
        return text

    def _json_bytes(self) -> str:
        try:
            return self.data.decode()
        except UnicodeDecodeError:
            raise Reject("the record is no JSON, as it is no UTF-8") from None

    def _bytes(self, span: SpanLike) -> bytes:
        return self._batch.bytes[span.start : span.start + span.len]


def _parse(text: str, **options: Any) -> Any:
    if is_too_deep(text):
        raise Reject(f"the record is nested deeper than {MAX_DEPTH} levels")
    try:
        return json.loads(text, parse_constant=_refuse, **options)
    except ValueError as error:
        raise Reject(f"the record is no JSON: {error}") from None


# The parser of JSON recurses, and in a component the end of the stack is a trap, not an exception.
MAX_DEPTH = 256
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def is_too_deep(text: str) -> bool:
    """Whether JSON is nested deeper than `MAX_DEPTH`."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    depth = 0
    for token in _TOKEN.finditer(text):
        first = text[token.start()]
        if first in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif first in "]}":
            depth -= 1
    return False


def _unread(_: str) -> int:
    return 0


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is none of its numbers")
