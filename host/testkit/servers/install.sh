#!/usr/bin/env bash
# Installs the servers that the Kinesis tests run against into the folder $1, once for each version of this folder.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
mkdir -p "$1"
folder="$(cd "$1" && pwd)"
wanted="$(cat "$here"/* | cksum)"
if [[ -f "$folder/installed" && "$(<"$folder/installed")" == "$wanted" ]]; then
    exit 0
fi
for tool in python3 node npm; do
    command -v "$tool" >/dev/null || {
        echo "error: the tests start real Kinesis servers, and need $tool (Python 3.9 or later, Node.js 18 or later)" >&2
        exit 1
    }
done
echo "installing the servers for the Kinesis tests into $folder"
rm -rf "$folder/python" "$folder/node" "$folder/installed"
python3 -m venv "$folder/python"
"$folder/python/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
mkdir "$folder/node"
cp "$here/package.json" "$here/package-lock.json" "$folder/node/"
npm --prefix "$folder/node" ci --silent --no-audit --no-fund
printf '%s\n' "$wanted" >"$folder/installed"
