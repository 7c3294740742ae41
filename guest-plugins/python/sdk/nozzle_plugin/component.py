"""Between the plugin and the component: the only module that knows what componentize-py makes of the contract.

`connect` runs when the component is built, the classes that it returns when it is called.
"""

from __future__ import annotations

import logging
from typing import Any

from componentize_py_types import Err, Ok
from wit_world.imports import host, types

from nozzle_plugin import log
from nozzle_plugin.batch import Batch, Reject
from nozzle_plugin.outcome import (
    ByStatus,
    Call,
    Delivered,
    Each,
    EventVerdict,
    Failure,
    Handled,
    Outcome,
    Response,
    Result,
    Retry,
    Verdict,
)
from nozzle_plugin.plugin import Plugin, explain, make
from nozzle_plugin.shaped import Joined, Request, Shaped

_LEVELS = {level.name.lower(): level for level in host.Level}
_METHODS = {method.name.lower(): method for method in types.Method}
_plugin: Plugin[Any]


def connect(kind: type[Plugin[Any]]) -> tuple[type, type]:
    """The classes `Shaping` and `Handling` of the component."""
    log.write = lambda level, message, fields: host.log(_LEVELS[level], message, fields)
    log.add = host.count
    logging.basicConfig(level=logging.DEBUG, handlers=[_Handler()], force=True)

    class Shaping:
        def configure(self, config: str) -> None:
            global _plugin
            try:
                _plugin = make(kind, config)
            except Exception as error:
                raise Err(explain(error, (ValueError,))) from None

        def shape(self, batch: Any) -> Any:
            try:
                shaped = _plugin.shape(Batch(batch))
                if not isinstance(shaped, Shaped):
                    raise TypeError(f"`shape` returned {type(shaped).__name__}, which is no `Shaped`")
                return _lower_shaped(shaped)
            except Exception as error:
                raise Err(explain(error, ())) from None

    if not kind.handles():
        return Shaping, object

    # What is not imported while the component is built is not there later; the world `shaper` has neither.
    from wit_world.exports import handling
    from wit_world.imports import current_call

    call = Call(current_call)

    class Handling:
        def handle(self, outcome: Any) -> Any:
            try:
                answer = _plugin.handle(_lift_outcome(outcome), call)
                handled = answer if isinstance(answer, Handled) else Handled(answer)
                results = [_lower_result(one) for one in handled.results]
                return handling.Handled(_lower_verdict(handled.verdict), results)
            except Exception as error:
                # `handle` has no error in the contract: the trap that follows says nothing of its cause.
                log.error("handle raised an exception", error=explain(error, ()))
                raise

    return Shaping, Handling


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        names = {"critical": "error", "warning": "warn"}
        level = record.levelname.lower()
        level = names.get(level, level)
        log.write(level if level in _LEVELS else "info", record.getMessage(), [("logger", record.name)])


def _lower_shaped(shaped: Shaped) -> Any:
    requests = [_lower_request(request) for request in shaped.requests]
    rejections = [types.Rejection(event, str(reason)) for event, reason in shaped.rejected]
    return types.Shaped(shaped.headers, requests, shaped.dropped, rejections)


def _lower_request(request: Request) -> Any:
    body: Any
    if request.content is None:
        body = types.Body_Empty()
    elif isinstance(request.content, Joined):
        joined = request.content
        body = types.Body_Joined(types.Joined(joined.prefix, joined.separator, joined.suffix))
    else:
        body = types.Body_Bytes(request.content)
    method = _METHODS[request.method]
    return types.Request(method, request.endpoint_name, request.target, request.headers, body, request.indices)


def _lift_outcome(outcome: Any) -> Outcome:
    if isinstance(outcome, Ok):
        response = outcome.value
        return Response(response.status, response.headers, response.body, response.truncated)
    failure = outcome.value
    if isinstance(failure, types.Failure_Timeout):
        return Failure("timeout")
    if isinstance(failure, types.Failure_Connect):
        return Failure("connect", failure.value)
    if isinstance(failure, types.Failure_Tls):
        return Failure("tls", failure.value)
    return Failure("protocol", failure.value)


def _lower_verdict(verdict: Verdict) -> Any:
    if isinstance(verdict, ByStatus):
        return types.Verdict_ByStatus()
    if isinstance(verdict, Delivered):
        return types.Verdict_Delivered()
    if isinstance(verdict, Retry):
        return types.Verdict_Retry(verdict.after_ms)
    if isinstance(verdict, Reject):
        return types.Verdict_Reject(verdict.reason)
    if isinstance(verdict, Each):
        return types.Verdict_Each([_lower_event_verdict(one) for one in verdict.verdicts])
    raise TypeError(f"`handle` returned {verdict!r}, which is no verdict")


def _lower_event_verdict(verdict: EventVerdict) -> Any:
    if isinstance(verdict, Delivered):
        return types.EventVerdict_Delivered()
    if isinstance(verdict, Retry):
        return types.EventVerdict_Retry()
    if isinstance(verdict, Reject):
        return types.EventVerdict_Reject(verdict.reason)
    raise TypeError(f"`handle` returned {verdict!r}, which is no verdict of an event")


def _lower_result(result: Result) -> Any:
    return types.Emission(result.key, list(result.attributes.items()), result.data)
