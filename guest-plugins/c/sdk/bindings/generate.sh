#!/usr/bin/env bash
# Writes the bindings anew, from the contract in $1 (wit/ of Nozzle's repository). It needs wit-bindgen 0.63.0:
# cargo install --locked --no-default-features --features c,async wit-bindgen-cli@0.63.0
set -euo pipefail
wit="$(cd "$1" && pwd)"
cd "$(dirname "${BASH_SOURCE[0]}")"
for world in sink shaper; do
    wit-bindgen c --world "$world" --rename-world plugin --no-object-file --out-dir "$world" "$wit"
done
sed 's#//.*##' "$wit"/*.wit | tr -d '[:space:]' | cksum >contract.cksum
