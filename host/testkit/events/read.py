"""Reads CloudEvents with the SDK of PyPI: a request as a line of JSON in, a line of JSON with its events out."""

import base64
import json
import sys

from cloudevents.core.bindings.http import HTTPMessage, from_http_event


def shown(event):
    data = event.get_data()
    if isinstance(data, bytes):
        data = {"base64": base64.b64encode(data).decode()}
    attributes = {name: str(value) for name, value in event.get_attributes().items() if name != "time"}
    if event.get_time() is not None:
        attributes["time"] = event.get_time().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"attributes": attributes, "data": data}


def read(headers, body):
    kind = headers.get("content-type", "")
    if not kind.startswith("application/cloudevents-batch"):
        return [shown(from_http_event(HTTPMessage(headers, body)))]
    # The SDK has no batches over HTTP: each of its items is read as a request of its own.
    one = {"content-type": kind.replace("-batch", "")}
    return [shown(from_http_event(HTTPMessage(one, json.dumps(item).encode()))) for item in json.loads(body)]


for line in sys.stdin:
    asked = json.loads(line)
    try:
        answer = {"ok": read(dict(asked["headers"]), base64.b64decode(asked["body"]))}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
