"""The base class of plugins."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, get_args, get_origin

from nozzle_plugin.batch import Batch, Reject
from nozzle_plugin.outcome import ByStatus, Call, Handled, Outcome, Verdict
from nozzle_plugin.settings import read_settings
from nozzle_plugin.shaped import Shaped

S = TypeVar("S")


@dataclass(frozen=True)
class NoSettings:
    """For a plugin without settings."""


class Plugin(Generic[S]):
    """From batches to requests: `class MyPlugin(Plugin[MySettings])`, where `MySettings` is a dataclass.

    One object lives in each instance of the component; the host keeps several.
    """

    settings: S
    """`plugin.config`, checked."""

    def __init__(self, settings: S) -> None:
        self.settings = settings
        self.configure()

    def configure(self) -> None:
        """Runs before anything else: prepare here what is the same for every batch.

        `ValueError` refuses the plugin, with its message.
        """

    def shape(self, batch: Batch) -> Shaped:
        """From a batch to requests: every event of the batch goes to exactly one place.

        An exception is for a batch that cannot be shaped at all: the host halves it until the record at fault stands
        alone, and dead-letters that one.
        """
        raise NotImplementedError("`shape` is missing")

    def handle(self, outcome: Outcome, call: Call) -> Verdict | Handled:
        """From an outcome to a verdict. Where it is not overridden the sink's status policy decides, and nothing is called."""
        return ByStatus()

    @classmethod
    def handles(cls) -> bool:
        """Whether it judges responses: then it is built for the world `sink`, otherwise for `shaper`."""
        return cls.handle is not Plugin.handle

    @classmethod
    def settings_type(cls) -> type[Any]:
        """The dataclass in `Plugin[…]`."""
        for one in cls.__mro__:
            for base in getattr(one, "__orig_bases__", ()):
                if get_origin(base) is Plugin and isinstance(get_args(base)[0], type):
                    return get_args(base)[0]  # type: ignore[no-any-return]
        return NoSettings


P = TypeVar("P", bound="Plugin[Any]")


def make(kind: type[P], config: str) -> P:
    """Reads `plugin.config` and makes the plugin. Raises `ValueError` in words for the user."""
    return kind(read_settings(kind.settings_type(), json.loads(config)))


def explain(error: BaseException, meant: tuple[type[BaseException], ...]) -> str:
    """What an exception says; for one that nobody meant, with its kind and its place."""
    if isinstance(error, (Reject, *meant)) and str(error):
        return str(error)
    place = ""
    if (step := error.__traceback__) is not None:
        while step.tb_next is not None:
            step = step.tb_next
        code = step.tb_frame.f_code
        place = f" ({os.path.basename(code.co_filename)} line {step.tb_lineno}, in {code.co_name})"
    text = f": {error}" if str(error) else ""
    return f"{type(error).__name__}{text}{place}"
