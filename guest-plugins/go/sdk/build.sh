#!/usr/bin/env bash
# Builds the plugin in the working folder, or in $1: into plugin.wasm there, or into $2.
set -euo pipefail
sdk="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
project="$(cd "${1:-.}" && pwd)"
out="${2:-$project/plugin.wasm}"
for tool in go wasm-tools; do
    command -v "$tool" >/dev/null || {
        echo "error: $tool is missing: README.md says how to install it" >&2
        exit 1
    }
done
# The contract stands beside the SDK in a project of its own.
wit="$sdk/../wit"
[[ -d "$wit" ]] || wit="$sdk/../../../wit"
# The SDK reads and writes memory as this contract has it, whatever its comments say.
contract="$(sed 's#//.*##' "$wit"/*.wit | tr -d '[:space:]' | cksum)"
[[ "$contract" == "$(<"$sdk/internal/abi/contract.cksum")" ]] || {
    echo "error: the SDK is of another version of the contract: look at sdk/internal and sdk/*_wasip1.go, then write \`$contract\` into sdk/internal/abi/contract.cksum" >&2
    exit 1
}
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$project"
world=shaper
if go list -deps . | grep -qx nozzle/handling; then
    world=sink
fi
GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -buildvcs=false -trimpath -ldflags="-s -w" -o "$work/core.wasm" .
wasm-tools component embed "$wit" --world "nozzle:plugin/$world" "$work/core.wasm" -o "$work/embedded.wasm"
wasm-tools component embed "$sdk/adapter/wasip1.wit" --world adapter "$sdk/adapter/wasip1.wat" -o "$work/adapter.wasm"
wasm-tools component new "$work/embedded.wasm" --adapt "wasi_snapshot_preview1=$work/adapter.wasm" -o "$out"
