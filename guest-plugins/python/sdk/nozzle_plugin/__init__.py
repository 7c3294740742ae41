"""Write a Nozzle plugin in Python: see `docs/plugins-python.md`."""

from nozzle_plugin import log
from nozzle_plugin.batch import Batch, Event, Reject
from nozzle_plugin.log import count
from nozzle_plugin.outcome import (
    ByStatus,
    Call,
    Delivered,
    Each,
    Failure,
    Handled,
    Outcome,
    Response,
    Result,
    Retry,
    Verdict,
)
from nozzle_plugin.plugin import NoSettings, Plugin
from nozzle_plugin.shaped import Joined, Request, Shaped, delete, get, patch, post, put

__all__ = [
    "Batch",
    "ByStatus",
    "Call",
    "Delivered",
    "Each",
    "Event",
    "Failure",
    "Handled",
    "Joined",
    "NoSettings",
    "Outcome",
    "Plugin",
    "Reject",
    "Request",
    "Response",
    "Result",
    "Retry",
    "Shaped",
    "Verdict",
    "count",
    "delete",
    "get",
    "log",
    "patch",
    "post",
    "put",
]
