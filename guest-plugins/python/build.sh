#!/usr/bin/env bash
# Builds the plugins in Python into guest-plugins/dist. componentize-py is installed into $NOZZLE_TEST_SERVERS/toolchains, once for
# each version of the list.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
tools="${NOZZLE_TEST_SERVERS:-$PWD/../../.servers}/toolchains/python"
../../host/testkit/servers/install.sh toolchain "$tools"
PYTHONPATH=sdk PYTHONDONTWRITEBYTECODE=1 "$tools/python/bin/python" -m nozzle_plugin build bulk/plugin.py --out ../dist/python_bulk.wasm --wit ../../wit
