#!/usr/bin/env bash
# Builds the plugins in Go into guest-plugins/dist.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source ./tools.sh
mkdir -p ../dist
for plugin in bulk echo; do
    sdk/build.sh "$plugin" "$PWD/../dist/go_$plugin.wasm"
done
