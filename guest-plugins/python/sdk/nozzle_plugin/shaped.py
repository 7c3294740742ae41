"""Building answers to `shape`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from nozzle_plugin.batch import Event, Reject

Method = Literal["get", "head", "post", "put", "patch", "delete"]


@dataclass
class Joined:
    """A body of the data of the request's events, joined by the host."""

    prefix: bytes
    separator: bytes
    suffix: bytes


@dataclass
class Request:
    """One HTTP call that the host shall make; without a body at first."""

    method: Method
    target: str
    endpoint_name: str | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    content: bytes | Joined | None = None
    indices: list[int] = field(default_factory=list)

    def endpoint(self, name: str) -> Request:
        """Sends it to the endpoint that the sink grants under this name, in place of its default one.

        Another name breaks the contract.
        """
        self.endpoint_name = name
        return self

    def header(self, name: str, value: str) -> Request:
        """A header of this request alone."""
        self.headers.append((name, value))
        return self

    def body(self, body: bytes | str) -> Request:
        """These bytes, or this text in UTF-8, as body."""
        self.content = body.encode() if isinstance(body, str) else bytes(body)
        return self

    def json(self, value: object) -> Request:
        """`value` as JSON, with its content type."""
        text = json.dumps(value, separators=(",", ":"), allow_nan=False)
        return self.header("content-type", "application/json").body(text)

    def joined(self, prefix: str, separator: str, suffix: str) -> Request:
        """The data of the request's events as body, joined by the host: it need not pass through the plugin."""
        self.content = Joined(prefix.encode(), separator.encode(), suffix.encode())
        return self

    def events(self, events: Event | Iterable[Event | int]) -> Request:
        """The events that this request delivers: events, their indices, or a whole batch."""
        every = [events] if isinstance(events, Event) else events
        self.indices = [one if isinstance(one, int) else one.index for one in every]
        return self


def get(target: str) -> Request:
    """A GET."""
    return Request("get", target)


def post(target: str) -> Request:
    """A POST. `target` is resolved against the endpoint's URL: "items" stands below its path, "/items" replaces it,
    "" is the URL itself."""
    return Request("post", target)


def put(target: str) -> Request:
    """A PUT."""
    return Request("put", target)


def patch(target: str) -> Request:
    """A PATCH."""
    return Request("patch", target)


def delete(target: str) -> Request:
    """A DELETE."""
    return Request("delete", target)


@dataclass
class Shaped:
    """An answer to `shape`: every event of the batch stands in one place, in a request, dropped or rejected."""

    headers: list[tuple[str, str]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)
    rejected: list[tuple[int, str]] = field(default_factory=list)

    def header(self, name: str, value: str) -> Shaped:
        """A header for every request of this answer."""
        self.headers.append((name, value))
        return self

    def send(self, request: Request) -> Shaped:
        """Adds a call."""
        self.requests.append(request)
        return self

    def drop(self, event: Event) -> Shaped:
        """Filters an event out: it is done without a call, and counted."""
        self.dropped.append(event.index)
        return self

    def reject(self, event: Event, reason: str) -> Shaped:
        """Dead-letters an event with a reason."""
        self.rejected.append((event.index, reason))
        return self

    @contextmanager
    def rejecting(self, event: Event) -> Iterator[None]:
        """Rejects `event` where the block raises `Reject`, as `event.json()` does, and goes on after it."""
        try:
            yield
        except Reject as rejection:
            self.reject(event, rejection.reason)
