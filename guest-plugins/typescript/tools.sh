# Sourced by build.sh and test.sh: installs what the lock file of the templates names into $NOZZLE_TEST_SERVERS/toolchains, once for
# each version of it, and shows it to the plugins here as `node_modules`.
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
tools="${NOZZLE_TEST_SERVERS:-$here/../../.servers}/toolchains/typescript"
for tool in node npm; do
    command -v "$tool" >/dev/null || {
        echo "error: plugins in TypeScript need Node.js 20 or later" >&2
        exit 1
    }
done
(($(node --print 'process.versions.node.split(".")[0]') >= 20)) || {
    echo "error: plugins in TypeScript need Node.js 20 or later, this is $(node --version)" >&2
    exit 1
}
wanted="$(cat "${BASH_SOURCE[0]}" "$here"/template/common/package*.json | cksum)"
if [[ ! -f "$tools/installed" || "$(<"$tools/installed")" != "$wanted" ]]; then
    echo "installing the tools for TypeScript into $tools"
    mkdir -p "$tools"
    rm -rf "$tools/installed" "$tools/node_modules"
    cp "$here"/template/common/package*.json "$tools"
    npm --prefix "$tools" ci --silent --no-audit --no-fund
    printf '%s\n' "$wanted" >"$tools/installed"
fi
ln -sfn "$(cd "$tools" && pwd)/node_modules" "$here/node_modules"
