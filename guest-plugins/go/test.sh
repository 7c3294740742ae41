#!/usr/bin/env bash
# Tests the plugins in Go with the host `nozzle` in $1: the code natively, the components by their cases, the templates as
# projects of their own, and that memory does not grow from call to call.
set -euo pipefail
nozzle="$(cd "$(dirname "$1")" && pwd)/$(basename "$1")"
cd "$(dirname "${BASH_SOURCE[0]}")"
source ./tools.sh
for module in sdk bulk; do
    (cd "$module" && go vet ./... && go test ./...)
done
test -z "$(gofmt -l .)"
"$nozzle" --log error plugin test ../dist/go_bulk.wasm ../vectors/bulk
"$nozzle" --log error plugin test ../dist/go_echo.wasm echo/cases
projects="$(mktemp -d)"
trap 'rm -rf "$projects"' EXIT
for template in per-record per-batch bulk; do
    ./new.sh "$template" "$projects/$template"
    (cd "$projects/$template" && go vet . && go test . && ./sdk/build.sh && "$nozzle" --log error plugin test plugin.wasm)
done
../adapter/many-calls.sh "$nozzle" "$PWD/../dist/go_bulk.wasm" 100000
../adapter/many-calls.sh "$nozzle" "$PWD/../dist/go_echo.wasm" 10000
