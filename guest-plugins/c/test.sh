#!/usr/bin/env bash
# Tests the plugins in C with the host `nozzle` in $1: the reader of JSON natively, the components by their cases, the
# templates as projects of their own, and that memory does not grow from call to call.
set -euo pipefail
nozzle="$(cd "$(dirname "$1")" && pwd)/$(basename "$1")"
cd "$(dirname "${BASH_SOURCE[0]}")"
source ./tools.sh
projects="$(mktemp -d)"
trap 'rm -rf "$projects"' EXIT
python3 -m ziglang cc -std=c11 -g -fsanitize=undefined -Wall -Wextra -Werror -Isdk -o "$projects/json" test/json.c sdk/json.c sdk/arena.c
"$projects/json"
"$nozzle" --log error plugin test ../dist/c_bulk.wasm ../vectors/bulk
"$nozzle" --log error plugin test ../dist/c_echo.wasm ../go/echo/cases
for template in per-record per-batch bulk; do
    ./new.sh "$template" "$projects/$template"
    (cd "$projects/$template" && ./sdk/build.sh && "$nozzle" --log error plugin test plugin.wasm)
done
../adapter/many-calls.sh "$nozzle" "$PWD/../dist/c_bulk.wasm" 100000
../adapter/many-calls.sh "$nozzle" "$PWD/../dist/c_echo.wasm" 10000
