"""A call a record: `PUT items/ID`, with the record as body."""

from dataclasses import dataclass
from urllib.parse import quote

from nozzle_plugin import Batch, Plugin, Reject, Shaped, put


@dataclass(frozen=True)
class Settings:
    """`plugin.config`: the field `max_size` would be the key `max-size`."""

    target: str = "items"


class MyPlugin(Plugin[Settings]):
    def shape(self, batch: Batch) -> Shaped:
        shaped = Shaped().header("content-type", "application/json")
        for event in batch:
            # `event.json()` raises `Reject` where the record is no JSON: that record is rejected, and the others go.
            with shaped.rejecting(event):
                item = event.json()
                if isinstance(item, dict) and item.get("hidden"):
                    shaped.drop(event)
                    continue
                name = event.key or event.id
                if name in (".", ".."):
                    raise Reject(f"`{name}` would lead to another folder")
                shaped.send(put(f"{self.settings.target}/{quote(name, safe='')}").body(event.data).events(event))
        return shaped
