#!/usr/bin/env bash
# Builds the plugins in C into guest-plugins/dist.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source ./tools.sh
export CFLAGS=-Werror
mkdir -p ../dist
for plugin in bulk echo; do
    sdk/build.sh "$plugin" "$PWD/../dist/c_$plugin.wasm"
done
