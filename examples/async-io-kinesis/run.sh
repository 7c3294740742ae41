#!/usr/bin/env bash
# Runs the example without an AWS account: against a local Kinesis server, and an endpoint that fails at random.
set -euo pipefail
cd "$(dirname "$0")/../.."
source examples/local/helpers.sh

local_kinesis async-io-results
local_endpoint --api-key secret --status 500=10 --resets 1 --latency 10ms..2100ms

"$nozzle" run examples/async-io-kinesis/module.yaml --state-dir "$work/state" \
    --properties examples/async-io-kinesis/flink-application-properties-dev.json

stream read async-io-results >"$work/results"
echo "$(sort -u "$work/results" | wc -l) results are in the stream, such as:"
head -n 3 "$work/results"
