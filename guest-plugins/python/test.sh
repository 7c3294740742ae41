#!/usr/bin/env bash
# Tests the plugins in Python with the host `nozzle` in $1: types, the SDK and the code in the Python that is there, the component by its
# cases, the templates as projects of their own, and the code in the book.
set -euo pipefail
nozzle="$(cd "$(dirname "$1")" && pwd)/$(basename "$1")"
cd "$(dirname "${BASH_SOURCE[0]}")"
tools="${NOZZLE_TEST_SERVERS:-$PWD/../../.servers}/toolchains/python"
../../host/testkit/servers/install.sh toolchain "$tools"
../../host/testkit/servers/install.sh toolchain-check "$tools-check"
python="$(cd "$tools/python/bin" && pwd)/python"
mypy="$(cd "$tools-check/python/bin" && pwd)/mypy"
export PYTHONDONTWRITEBYTECODE=1
PYTHONPATH=sdk "$python" -m unittest discover --start-directory tests
PYTHONPATH=sdk "$python" -m unittest discover --start-directory bulk
"$nozzle" --log error plugin test --limit-time 60s ../dist/python_bulk.wasm ../vectors/bulk
projects="$(mktemp -d)"
trap 'rm -rf "$projects"' EXIT
"$tools/python/bin/componentize-py" --quiet --wit-path ../../wit --world nozzle:plugin/sink bindings "$projects/bindings"
types() {
    MYPYPATH="$projects/bindings:$1" "$mypy" --strict --python-version 3.11 --cache-dir "$projects/types" "${@:2}"
}
types sdk sdk/nozzle_plugin tests bulk/*.py
project() {
    project="$projects/$1"
    mkdir "$project"
    cp -r template/common/. sdk/. ../../wit "$project"
}
project docs
../docs-code.sh ../../docs/plugins-python.md "$project"
(
    cd "$project"
    types . ./*.py
    "$python" -m unittest
    "$python" -c 'from nozzle_plugin.testing import start; from settings import Items; start(Items, {"id-field": "id"}).shape("{}")'
    for code in plugin orders scores; do "$python" -m nozzle_plugin build "$code.py" --out "$code.wasm"; done
)
for code in orders scores; do "$nozzle" --log error plugin test --limit-time 60s "$project/$code.wasm" "tests/cases/$code"; done
for template in per-record per-batch bulk; do
    project "$template"
    cp -r template/"$template"/. "$project"
    (cd "$project" && types . ./*.py && "$python" -m unittest && "$python" -m nozzle_plugin build && "$nozzle" --log error plugin test --limit-time 60s plugin.wasm cases)
done
