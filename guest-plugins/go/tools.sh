# Sourced by build.sh and test.sh: puts `wasm-tools`, and `go` where there is none of 1.24 or later, on the PATH. What is
# missing is installed from PyPI into $NOZZLE_TEST_SERVERS/toolchains, once for each version of the lists.
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
tools="${NOZZLE_TEST_SERVERS:-$here/../../.servers}/toolchains"
install="$here/../../host/testkit/servers/install.sh"
"$install" "$here/toolchain" "$tools/go"
PATH="$(cd "$tools/go/python/bin" && pwd):$PATH"
has_go() {
    local version
    version="$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null)" || return 1
    [[ "$version" =~ ^go1\.([0-9]+) ]] && ((BASH_REMATCH[1] >= 24))
}
if ! has_go; then
    "$install" "$here/toolchain-go" "$tools/go-itself"
    PATH="$("$tools/go-itself/python/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/go/bin:$PATH"
fi
export PATH
