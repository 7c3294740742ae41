"""A call a batch: one JSON array. The host joins the records; they do not pass through the plugin a second time."""

from dataclasses import dataclass

from nozzle_plugin import Batch, Plugin, Shaped, post


@dataclass(frozen=True)
class Settings:
    """`plugin.config`: the field `max_size` would be the key `max-size`."""

    target: str = "items"


class MyPlugin(Plugin[Settings]):
    def shape(self, batch: Batch) -> Shaped:
        shaped = Shaped().header("content-type", "application/json")
        sent = []
        for event in batch:
            with shaped.rejecting(event):
                # Raises `Reject` where the record is no JSON: it would spoil the array for its neighbours.
                event.json_text()
                sent.append(event)
        if sent:
            shaped.send(post(self.settings.target).joined("[", ",", "]").events(sent))
        return shaped
