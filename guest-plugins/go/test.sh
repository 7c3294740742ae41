#!/usr/bin/env bash
# Tests the plugins in Go with the host `nozzle` in $1: the code natively, the components by their cases, the templates as
# projects of their own, the code in the book, and that memory does not grow from call to call.
set -euo pipefail
nozzle="$(cd "$(dirname "$1")" && pwd)/$(basename "$1")"
cd "$(dirname "${BASH_SOURCE[0]}")"
source ./tools.sh
for module in sdk bulk; do
    (cd "$module" && go vet ./... && go test ./...)
done
test -z "$(gofmt -l .)"
"$nozzle" --log error plugin test --limit-time 30s ../dist/go_bulk.wasm ../vectors/bulk
"$nozzle" --log error plugin test --limit-time 30s ../dist/go_echo.wasm echo/cases
said="$("$nozzle" plugin test --limit-time 30s ../dist/go_echo.wasm echo/panic.yaml 2>&1 || true)"
grep -q "it said: panic: at the disco" <<<"$said"
grep -q "echo/main.go:" <<<"$said"
projects="$(mktemp -d)"
trap 'rm -rf "$projects"' EXIT
project() {
    project="$projects/$1"
    mkdir "$project"
    cp -rL template/common/. sdk ../../wit "$project"
}
project docs
../docs-code.sh ../../docs/plugins-go.md "$project"
(cd "$project" && for code in */main.go; do sdk/build.sh "${code%/*}"; done)
for template in per-record per-batch bulk; do
    project "$template"
    cp -r "template/$template/." "$project"
    (cd "$project" && go vet . && go test . && sdk/build.sh && "$nozzle" --log error plugin test --limit-time 30s plugin.wasm cases)
done
python3 ../many_calls.py "$nozzle" ../dist/go_bulk.wasm 60000
python3 ../many_calls.py "$nozzle" ../dist/go_echo.wasm 10000
