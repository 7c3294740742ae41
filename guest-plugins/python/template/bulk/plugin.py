"""A bulk call with partial failures: a line a record, and an answer with an item for each,
`{"items":[{"status":201},{"status":400,"error":"…"}]}`."""

import json
from dataclasses import dataclass
from typing import Any

from nozzle_plugin import (
    Batch,
    ByStatus,
    Call,
    Delivered,
    Each,
    Outcome,
    Plugin,
    Reject,
    Response,
    Retry,
    Shaped,
    Verdict,
    log,
    post,
)


@dataclass(frozen=True)
class Settings:
    """`plugin.config`: the field `max_size` would be the key `max-size`."""

    target: str = "bulk"


class MyPlugin(Plugin[Settings]):
    def shape(self, batch: Batch) -> Shaped:
        shaped = Shaped().header("content-type", "application/x-ndjson")
        lines = []
        sent = []
        for event in batch:
            with shaped.rejecting(event):
                # As it is written: `event.json()` would round long fractions. Line ends stand between JSON's parts, never in
                # its strings.
                record = event.json_text().replace("\n", "").replace("\r", "")
                lines.append(f'{{"id":{json.dumps(event.id)},"record":{record}}}\n')
                sent.append(event)
        if sent:
            shaped.send(post(self.settings.target).body("".join(lines)).events(sent))
        return shaped

    def handle(self, outcome: Outcome, call: Call) -> Verdict:
        # A busy or broken service, a redirect, no answer at all: the sink's status policy knows what to do.
        if not isinstance(outcome, Response) or not outcome.ok:
            return ByStatus()
        try:
            items = outcome.json()["items"]
            verdicts = [verdict(item) for item in items]
        except (ValueError, LookupError, TypeError) as error:
            log.warn("the response does not say what became of each record", error=error)
            return Retry()
        if len(verdicts) != call.event_count:
            log.warn("the response has another number of items", items=len(verdicts), events=call.event_count)
            return Retry()
        return Each(verdicts)


def verdict(item: dict[str, Any]) -> Delivered | Retry | Reject:
    status = item["status"]
    if 200 <= status < 300:
        return Delivered()
    if status in (408, 425, 429) or 500 <= status < 600:
        return Retry()
    if 400 <= status < 500:
        return Reject(f"item status {status}: {json.dumps(item.get('error'))[:200]}")
    raise ValueError(f"an item of status {status}")
