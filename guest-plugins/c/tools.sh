# Sourced by build.sh and test.sh: puts Zig (as `python3 -m ziglang`) and `wasm-tools` on the PATH, installed from PyPI into
# $NOZZLE_TEST_SERVERS/toolchains, once for each version of the list.
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
tools="${NOZZLE_TEST_SERVERS:-$here/../../.servers}/toolchains"
"$here/../../host/testkit/servers/install.sh" "$here/toolchain" "$tools/c"
PATH="$(cd "$tools/c/python/bin" && pwd):$PATH"
export PATH
