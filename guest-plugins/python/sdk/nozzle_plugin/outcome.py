"""What became of a call, and what that means for its events."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, Union

from nozzle_plugin.batch import MAX_DEPTH, Batch, BatchLike, Reject, is_too_deep


@dataclass(frozen=True)
class Response:
    """A complete response; 3xx too, as redirects are never followed."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    """Names are in lower case."""
    body: bytes = b""
    truncated: bool = False
    """The host has cut the body off at `max-response-body`."""

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    def header(self, name: str) -> str | None:
        """The first value of a header, by its name in lower case."""
        return next((value for other, value in self.headers if other == name), None)

    def text(self) -> str:
        """The body as text. Raises `ValueError` where it is no UTF-8."""
        return self.body.decode()

    def json(self) -> Any:
        """The body as JSON. Raises `ValueError` where it is none. Whatever a service sends can be in it: check it."""
        text = self.text()
        if is_too_deep(text):
            raise ValueError(f"the body is nested deeper than {MAX_DEPTH} levels")
        return json.loads(text)


@dataclass(frozen=True)
class Failure:
    """Why no complete response arrived."""

    kind: Literal["timeout", "connect", "tls", "protocol"]
    message: str = ""
    """What the host says of it; "" for a timeout."""

    @property
    def ok(self) -> bool:
        """Never."""
        return False


Outcome = Union[Response, Failure]


@dataclass(frozen=True)
class ByStatus:
    """The sink's status policy decides."""


@dataclass(frozen=True)
class Delivered:
    """It is delivered."""


@dataclass(frozen=True)
class Retry:
    """Try again, when the sink's retry policy says so; for a whole call after so many milliseconds if that agrees."""

    after_ms: int | None = None


EventVerdict = Union[Delivered, Retry, Reject]


@dataclass(frozen=True)
class Each:
    """One verdict for each event of the call, in the order of the request's events."""

    verdicts: Sequence[EventVerdict]


Verdict = Union[ByStatus, Delivered, Retry, Reject, Each]


@dataclass(frozen=True)
class Result:
    """A record for the sink's result egress."""

    data: bytes
    key: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Handled:
    """A verdict with results."""

    verdict: Verdict
    results: Sequence[Result] = ()


@dataclass(frozen=True)
class CallEvent:
    """An event of the call whose outcome is being handled."""

    id: str
    key: str | None
    timestamp_ms: int
    attributes: dict[str, str]
    data: bytes


class CurrentCall(Protocol):
    """The import `nozzle:plugin/current-call`."""

    def attempt(self) -> int: ...
    def get_request(self) -> Any: ...
    def event_count(self) -> int: ...
    def get_event(self, index: int) -> Any: ...
    def get_events(self) -> BatchLike: ...


class Call:
    """The call whose outcome is being handled. What is not asked for is not copied from the host."""

    def __init__(self, call: CurrentCall) -> None:
        self._call = call

    @property
    def attempt(self) -> int:
        """1 for the first attempt."""
        return self._call.attempt()

    @property
    def event_count(self) -> int:
        """How many events the call delivers."""
        return self._call.event_count()

    @property
    def target(self) -> str:
        """The target of the request, as `shape` returned it."""
        return str(self._call.get_request().target)

    def event(self, index: int) -> CallEvent | None:
        """One event of the call, by its place in the request's events."""
        event = self._call.get_event(index)
        if event is None:
            return None
        return CallEvent(event.id, event.key, event.timestamp_ms, dict(event.attributes), event.data)

    def events(self) -> Batch:
        """All events of the call."""
        return Batch(self._call.get_events())
