#!/usr/bin/env bash
# Tests the plugins in C with the host `nozzle` in $1: the reader of JSON natively, the components by their cases, the
# templates as projects of their own, and that memory does not grow from call to call.
set -euo pipefail
nozzle="$(cd "$(dirname "$1")" && pwd)/$(basename "$1")"
cd "$(dirname "${BASH_SOURCE[0]}")"
source ./tools.sh
export CFLAGS=-Werror
projects="$(mktemp -d)"
trap 'rm -rf "$projects"' EXIT
python3 -m ziglang cc -std=c11 -g -fsanitize=undefined -Wall -Wextra -Werror -Isdk -o "$projects/json" test/json.c sdk/json.c sdk/arena.c
"$projects/json"
"$nozzle" --log error plugin test --limit-time 30s ../dist/c_bulk.wasm ../vectors/bulk
"$nozzle" --log error plugin test --limit-time 30s ../dist/c_echo.wasm ../go/echo/cases
project() {
    project="$projects/$1"
    mkdir "$project"
    cp -rL template/common/. sdk ../../wit "$project"
}
project docs
../docs-code.sh ../../docs/plugins-c.md "$project"
(cd "$project" && for code in */plugin.c; do sdk/build.sh "${code%/*}"; done)
for template in per-record per-batch bulk; do
    project "$template"
    cp -r "template/$template/." "$project"
    (cd "$project" && sdk/build.sh && "$nozzle" --log error plugin test --limit-time 30s plugin.wasm cases)
done
python3 ../many_calls.py "$nozzle" ../dist/c_bulk.wasm 60000
python3 ../many_calls.py "$nozzle" ../dist/c_echo.wasm 10000
