#!/usr/bin/env bash
# Begins a plugin: ./new.sh per-record|per-batch|bulk FOLDER. The folder stands alone: it has the SDK and the contract.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
mkdir -p "$2"
cp -R "$here/template/$1/." "$2/"
cp -R "$here/sdk" "$2/sdk"
cp -R "$here/../adapter" "$2/sdk/adapter"
mkdir "$2/sdk/wit"
cp "$here"/../../wit/*.wit "$2/sdk/wit/"
