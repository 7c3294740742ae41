#!/usr/bin/env bash
# Runs the example on this machine alone: `run.sh datagen`, or `run.sh kinesis` against a local Kinesis server.
set -euo pipefail
cd "$(dirname "$0")/../.."
source examples/local/helpers.sh

module="examples/http-sink/${1:-datagen}.yaml"
[[ -f "$module" ]] || fail "write run.sh datagen, or run.sh kinesis"
export HTTP_SINK_API_KEY=secret

stats() {
    curl -fsS http://127.0.0.1:8080/stats
}
accepted() {
    [[ "$(stats)" == *"\"unique\":$1,"* ]]
}

if [[ "$module" == *kinesis.yaml ]]; then
    local_kinesis http-sink-orders
    stream put http-sink-orders 500
    echo "500 orders are in it"
fi
local_endpoint --api-key secret --status 503=8 --status 429=4 --resets 2 --latency 5ms..40ms
if [[ "$module" == *kinesis.yaml ]]; then
    # A stream has no end: once all orders are accepted, the run is stopped as Ctrl-C does it.
    start nozzle "$nozzle" run "$module" --state-dir "$work/state"
    until_true nozzle accepted 500
    kill "$last"
    wait "$last"
    cat "$work/nozzle.log"
else
    "$nozzle" run "$module" --state-dir "$work/state"
fi
echo "the endpoint has counted $(stats)"
