"""The response of a bulk API: from its items to verdicts."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from nozzle_plugin import Delivered, Reject, Retry


def verdicts(answer: Any, events: int, delivered: Collection[int]) -> list[Delivered | Retry | Reject]:
    """One verdict for each of `events` items. `{"status": …}` and Elasticsearch's `{"index": {"status": …}}` are read.

    Raises `ValueError` where the answer does not say what became of each.
    """
    items = answer.get("items") if isinstance(answer, dict) else None
    if not isinstance(items, list):
        raise ValueError("there are no items")
    if len(items) != events:
        raise ValueError(f"{len(items)} items for {events} events")
    return [_verdict(item, delivered) for item in items]


def _verdict(given: Any, delivered: Collection[int]) -> Delivered | Retry | Reject:
    candidates = [given, *given.values()] if isinstance(given, dict) else []
    item = next((one for one in candidates if isinstance(one, dict) and "status" in one), None)
    if item is None:
        raise ValueError("an item without a status")
    status = item["status"]
    if type(status) is not int:
        raise ValueError("a status that is no number")
    if 200 <= status < 300 or status in delivered:
        return Delivered()
    if status in (408, 425, 429) or 500 <= status < 600:
        return Retry()
    if 400 <= status < 500:
        return Reject(_reason(status, item))
    raise ValueError(f"an item of status {status}")


def _reason(status: int, item: dict[str, Any]) -> str:
    if "error" not in item:
        return f"item status {status}"
    error = item["error"]
    if isinstance(error, dict) and isinstance(error.get("reason"), str):
        error = error["reason"]
    text = error if isinstance(error, str) else json.dumps(error, ensure_ascii=False, separators=(",", ":"))
    return f"item status {status}: {text[:200]}"
