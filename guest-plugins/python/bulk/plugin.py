"""An NDJSON bulk API, as Elasticsearch's `_bulk`: an action line and a data line for each record, and a response with
one item for each. Only the items that failed are sent again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from action import Action
from items import verdicts
from nozzle_plugin import (
    Batch,
    ByStatus,
    Call,
    Delivered,
    Each,
    Outcome,
    Plugin,
    Response,
    Retry,
    Shaped,
    Verdict,
    log,
    post,
)


@dataclass(frozen=True)
class Settings:
    target: str = "_bulk"
    """Resolved against the endpoint's URL."""
    action: str = "index"
    """The operation of the action line."""
    action_fields: dict[str, Any] = field(default_factory=dict)
    """Further keys of the action, such as `_index`."""
    id_field: str = "_id"
    """The action's key for the event's id, so that an item that is sent twice is stored once; "" for none."""
    key_field: str = ""
    """The action's key for the event's key, such as `routing`; "" for none."""
    delivered: list[int] = field(default_factory=list)
    """Item statuses that mean that the item is there already."""


class Bulk(Plugin[Settings]):
    def configure(self) -> None:
        settings = self.settings
        self.action = Action(settings.action, settings.action_fields, settings.id_field, settings.key_field)

    def shape(self, batch: Batch) -> Shaped:
        shaped = Shaped().header("content-type", "application/x-ndjson")
        lines: list[str] = []
        sent: list[int] = []
        for event in batch:
            with shaped.rejecting(event):
                # JSON has no line ends inside its strings: those that there are stand between its parts.
                record = event.json_text().replace("\r", "").replace("\n", "")
                lines += (self.action.line(event), record)
                sent.append(event.index)
        if sent:
            shaped.send(post(self.settings.target).body("\n".join(lines) + "\n").events(sent))
        return shaped

    def handle(self, outcome: Outcome, call: Call) -> Verdict:
        if not isinstance(outcome, Response) or not outcome.ok:
            return ByStatus()
        try:
            each = verdicts(outcome.json(), call.event_count, self.settings.delivered)
        except ValueError as error:
            # A bulk API that does not say what became of each item has not said that they are stored.
            log.warn("the response is no bulk response", error=error)
            return Retry()
        return Delivered() if all(isinstance(one, Delivered) for one in each) else Each(each)
