#!/usr/bin/env bash
# Builds the plugins in TypeScript into guest-plugins/dist.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source ./tools.sh
node sdk/tool.mjs build bulk/src/plugin.ts --out ../dist/typescript_bulk.wasm --wit ../../wit
