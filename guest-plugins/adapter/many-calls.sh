#!/usr/bin/env bash
# Delivers $3 records with the host $1 and the plugin $2, in one instance with little memory: what the plugin does not give
# back after each call runs out of it.
set -euo pipefail
nozzle="$1"
plugin="$2"
records="$3"
work="$(mktemp -d)"
cd "$work"
: >endpoint.log
"$nozzle" endpoint --listen 127.0.0.1:0 >endpoint.log 2>&1 &
endpoint=$!
trap 'kill $endpoint; rm -rf "$work"' EXIT
for _ in $(seq 600); do
    url="$(sed -n 's#.*listening on \(http://[0-9.:]*\).*#\1#p' endpoint.log)"
    [[ -z "$url" ]] || break
    sleep 0.1
done
cat >module.yaml <<YAML
version: "1"
ingresses:
  - id: many/records
    datagen: { count: $records }
    routers:
      - to: [many/calls]
sinks:
  - id: many/calls
    plugin:
      path: $plugin
      limits: { memory: 24MiB, time: 30s, instances: 1 }
    endpoint: { url: "$url/" }
    results: { to: many/results }
egresses:
  - id: many/results
    file: { path: results.ndjson }
YAML
"$nozzle" run module.yaml >run.log 2>&1 || { cat run.log; exit 1; }
if grep -qE 'trapped|exceeded' run.log || ! tr -d , <run.log | grep -q "many/calls: .* = $records delivered + 0 dropped + 0 dead-lettered"; then
    cat run.log
    exit 1
fi
