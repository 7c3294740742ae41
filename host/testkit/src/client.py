"""A client of the Kinesis and DynamoDB APIs that is not Nozzle's: boto3, driven by lines of JSON.

Each line on standard input is `{"service", "call", "args"}`, each on standard output `{"ok": …}` or `{"error": …}`.
`put`, `put_texts` and `put_aggregated` are calls that boto3 does not have: numbered records, texts, and KPL aggregates.
"""

import base64
import json
import sys

import aws_kinesis_agg.aggregator
import boto3
import botocore.config

endpoints = json.loads(sys.argv[1])
config = botocore.config.Config(retries={"max_attempts": 8, "mode": "standard"})
clients = {
    service: boto3.client(service, endpoint_url=url, region_name="us-east-1", config=config)
    for service, url in endpoints.items()
}


def records(numbers, keys):
    """`{"id": n, "key": k}` with the keys k-0, k-1, … in turn."""
    for n in numbers:
        key = f"k-{n % keys}"
        yield key, json.dumps({"id": n, "key": key}).encode()


def put(stream, first, last, keys):
    return put_all(stream, records(range(first, last), keys))


def put_texts(stream, records):
    """These pairs of key and text."""
    return put_all(stream, ((key, text.encode()) for key, text in records))


def put_all(stream, records):
    client = clients["kinesis"]
    entries = [{"Data": data, "PartitionKey": key} for key, data in records]
    for start in range(0, len(entries), 100):
        chunk = entries[start : start + 100]
        while chunk:
            answer = client.put_records(StreamName=stream, Records=chunk)
            chunk = [entry for entry, result in zip(chunk, answer["Records"]) if "ErrorCode" in result]
    return len(entries)


def put_aggregated(stream, first, last, keys):
    """All of these records in one Kinesis record."""
    aggregator = aws_kinesis_agg.aggregator.RecordAggregator()
    for key, data in records(range(first, last), keys):
        aggregator.add_user_record(key, data)
    key, _, data = aggregator.clear_and_get().get_contents()
    answer = clients["kinesis"].put_record(StreamName=stream, Data=data, PartitionKey=key)
    return answer["SequenceNumber"]


def read_all(stream):
    """Every record of the stream, as text, from all shards."""
    client = clients["kinesis"]
    found = []
    for shard in client.list_shards(StreamName=stream)["Shards"]:
        iterator = client.get_shard_iterator(
            StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while iterator:
            answer = client.get_records(ShardIterator=iterator)
            for record in answer["Records"]:
                found.append({"key": record["PartitionKey"], "data": record["Data"].decode(), "shard": shard["ShardId"]})
            iterator = answer.get("NextShardIterator") if answer["Records"] else None
    return found


own = {"put": put, "put_texts": put_texts, "put_aggregated": put_aggregated, "read_all": read_all}


def plain(value):
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)


for line in sys.stdin:
    request = json.loads(line)
    try:
        if request["call"] in own:
            result = own[request["call"]](**request["args"])
        else:
            result = getattr(clients[request["service"]], request["call"])(**request["args"])
        answer = {"ok": result}
    except Exception as error:  # The test decides what an error means.
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer, default=plain), flush=True)
