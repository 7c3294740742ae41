#!/usr/bin/env bash
# Installs the server that the Kinesis benchmark reads from into the folder $1, once for each version of this folder.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
mkdir -p "$1"
folder="$(cd "$1" && pwd)"
wanted="$(cat "$here"/* | cksum)"
if [[ -f "$folder/installed" && "$(<"$folder/installed")" == "$wanted" ]]; then
    exit 0
fi
command -v python3 >/dev/null || {
    echo "error: the Kinesis benchmark starts a server that needs python3 (Python 3.10 or later)" >&2
    exit 1
}
echo "installing the server for the Kinesis benchmark into $folder"
rm -rf "$folder/python" "$folder/installed"
python3 -m venv "$folder/python"
"$folder/python/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
printf '%s\n' "$wanted" >"$folder/installed"
