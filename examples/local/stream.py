"""Writes numbered orders to a Kinesis stream, or reads all that it holds, with boto3.

    stream.py active NAME        ends well once the stream can be used
    stream.py put NAME COUNT     writes {"amount", "id", "user"}, with the user as the partition key
    stream.py read NAME          prints every record of every shard, a line each
"""

import json
import sys

import boto3

call, name, *rest = sys.argv[1:]
kinesis = boto3.client("kinesis")

if call == "active":
    summary = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
    sys.exit(summary["StreamStatus"] != "ACTIVE")
elif call == "put":
    orders = [{"amount": n * 7 % 100, "id": n, "user": f"user-{n % 20}"} for n in range(int(rest[0]))]
    entries = [{"Data": json.dumps(order).encode(), "PartitionKey": order["user"]} for order in orders]
    for first in range(0, len(entries), 100):
        left = entries[first : first + 100]
        while left:
            answer = kinesis.put_records(StreamName=name, Records=left)
            left = [entry for entry, result in zip(left, answer["Records"]) if "ErrorCode" in result]
elif call == "read":
    for shard in kinesis.list_shards(StreamName=name)["Shards"]:
        iterator = kinesis.get_shard_iterator(
            StreamName=name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while iterator:
            answer = kinesis.get_records(ShardIterator=iterator)
            for record in answer["Records"]:
                print(record["Data"].decode())
            iterator = answer.get("NextShardIterator") if answer["Records"] else None
else:
    sys.exit(__doc__)
