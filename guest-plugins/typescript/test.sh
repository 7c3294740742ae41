#!/usr/bin/env bash
# Tests the plugins in TypeScript with the host `nozzle` in $1: the SDK and the code in Node.js, the component by its cases, and the
# templates as projects of their own, and the code in the book.
set -euo pipefail
nozzle="$(cd "$(dirname "$1")" && pwd)/$(basename "$1")"
cd "$(dirname "${BASH_SOURCE[0]}")"
source ./tools.sh
node sdk/tool.mjs test --project tsconfig.test.json {.,bulk}/test/*.test.ts
"$nozzle" --log error plugin test --limit-time 30s ../dist/typescript_bulk.wasm ../vectors/bulk
projects="$(mktemp -d)"
trap 'rm -rf "$projects"' EXIT
project() {
    project="$projects/$1"
    mkdir "$project"
    cp -r template/common/. "$project"
    cp -r sdk ../../wit "$project"
    ln -s "$PWD/node_modules" "$project"
}
project docs
../docs-code.sh ../../docs/plugins-typescript.md "$project"
(
    cd "$project"
    npm --silent test
    for code in plugin settings requests responses; do node sdk/tool.mjs build "src/$code.ts" --out "$code.wasm"; done
)
for code in requests responses; do "$nozzle" --log error plugin test --limit-time 30s "$project/$code.wasm" "test/cases/$code"; done
for template in per-record per-batch bulk; do
    project "$template"
    cp -r template/"$template"/. "$project"
    (cd "$project" && npm --silent test && npm --silent run build && "$nozzle" --log error plugin test --limit-time 30s plugin.wasm cases)
done
