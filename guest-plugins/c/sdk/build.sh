#!/usr/bin/env bash
# Builds the plugin of all `*.c` in the working folder, or in $1: into plugin.wasm there, or into $2. $CFLAGS are further flags.
set -euo pipefail
sdk="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
project="$(cd "${1:-.}" && pwd)"
out="${2:-$project/plugin.wasm}"
zig=(zig)
command -v zig >/dev/null || zig=(python3 -m ziglang)
"${zig[@]}" version >/dev/null 2>&1 && command -v wasm-tools >/dev/null || {
    echo "error: zig or wasm-tools is missing: README.md says how to install them" >&2
    exit 1
}
# The contract stands beside the SDK in a project of its own.
wit="$sdk/../wit"
[[ -d "$wit" ]] || wit="$sdk/../../../wit"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
# The bindings are those of this contract, whatever its comments say.
contract="$(sed 's#//.*##' "$wit"/*.wit | tr -d '[:space:]' | cksum)"
[[ "$contract" == "$(<"$sdk/bindings/contract.cksum")" ]] || {
    echo "error: the bindings are of another version of the contract: bindings/generate.sh writes them anew" >&2
    exit 1
}
world=shaper
define=()
if grep -q '\bnozzle_handle\b' "$project"/*.c; then
    world=sink
    define=(-DNOZZLE_SINK)
fi
flags=(-target wasm32-wasi -std=gnu11 -O2 "${define[@]}" -I"$sdk" -I"$sdk/bindings/$world")
"${zig[@]}" cc "${flags[@]}" -c -o "$work/bindings.o" "$sdk/bindings/$world/plugin.c"
# shellcheck disable=SC2086 # They are several.
"${zig[@]}" cc "${flags[@]}" -Wall -Wextra ${CFLAGS:-} -mexec-model=reactor -s -Wl,-z,stack-size=1048576 -o "$work/core.wasm" \
    "$work/bindings.o" "$sdk"/*.c "$project"/*.c
wasm-tools component embed "$wit" --world "nozzle:plugin/$world" "$work/core.wasm" -o "$work/embedded.wasm"
wasm-tools component embed "$sdk/adapter/wasip1.wit" --world adapter "$sdk/adapter/wasip1.wat" -o "$work/adapter.wasm"
wasm-tools component new "$work/embedded.wasm" --adapt "wasi_snapshot_preview1=$work/adapter.wasm" -o "$out"
