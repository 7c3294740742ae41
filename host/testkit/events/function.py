"""A Lambda function behind a URL, with AWS's own library: a request as a line of JSON in, the response as a line of JSON out.

It fails on each record of the host `srv02` once."""

import base64
import json
import sys
from types import SimpleNamespace
from urllib.parse import urlsplit

from aws_lambda_powertools.event_handler import LambdaFunctionUrlResolver
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

app = LambdaFunctionUrlResolver()
seen = set()


def handle(record):
    if json.loads(record.body)["host"] == "srv02" and record.message_id not in seen:
        seen.add(record.message_id)
        raise ValueError("not yet")


@app.post("/")
def take():
    given = app.current_event.json_body["records"]
    records = [{"messageId": one["id"], "body": json.dumps(one["data"])} for one in given]
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response({"Records": records}, handle, processor, CONTEXT)


CONTEXT = SimpleNamespace(function_name="alerts", aws_request_id="1")


def url_event(asked):
    """The payload that a function URL makes of a request: format 2.0."""
    url = urlsplit(asked["url"])
    http = {"method": asked["method"], "path": url.path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "nozzle"}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": url.path,
        "rawQueryString": url.query,
        "headers": dict(asked["headers"]),
        "requestContext": {"accountId": "anonymous", "apiId": "url", "http": http, "requestId": "1", "routeKey": "$default", "stage": "$default", "timeEpoch": 0},
        "body": base64.b64decode(asked["body"]).decode(),
        "isBase64Encoded": False,
    }


for line in sys.stdin:
    try:
        answer = app(url_event(json.loads(line)), CONTEXT)
        answer = {"ok": {"status": answer["statusCode"], "body": answer["body"]}}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
