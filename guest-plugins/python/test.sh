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
# Builds and runs, which take half a minute each, in two lanes: that of the docs beside that of the templates.
component() {
    (cd "$1" && "$python" -m nozzle_plugin build "$2.py" --out "$2.wasm")
    "$nozzle" --log error plugin test --limit-time 60s "$1/$2.wasm" "$3"
}
project docs
../docs-code.sh ../../docs/plugins-python.md "$project"
(
    cd "$project"
    types . ./*.py
    "$python" -m unittest
    "$python" -c 'from nozzle_plugin.testing import start; from settings import Items; start(Items, {"id-field": "id"}).shape("{}")'
    "$python" -m nozzle_plugin build
)
(for code in orders scores; do component "$project" "$code" "tests/cases/$code"; done) >"$projects/docs.log" 2>&1 &
docs=$!
# Its folder goes with the script: it must not outlive it.
trap 'kill "$docs" 2>/dev/null || true; wait; rm -rf "$projects"' EXIT
for template in per-record per-batch bulk; do
    project "$template"
    cp -r template/"$template"/. "$project"
    (cd "$project" && types . ./*.py && "$python" -m unittest)
    component "$project" plugin "$project/cases"
done
wait "$docs" || {
    cat "$projects/docs.log" >&2
    exit 1
}
cat "$projects/docs.log"
