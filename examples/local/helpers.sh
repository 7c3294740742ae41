# Sourced by the examples' run.sh, in the repository's root: what they start beside themselves. It ends with the
# script that sources this, each process by its id.

servers="${NOZZLE_TEST_SERVERS:-.servers}"
nozzle="${CARGO_TARGET_DIR:-target}/debug/nozzle"

fail() {
    echo "error: $*" >&2
    exit 1
}

[[ -x "$nozzle" && -f guest-plugins/dist/per_record.wasm ]] || fail 'run `make guests build` first'

work="$(mktemp -d)"
started=()
last=

finish() {
    local id
    for id in ${started[@]+"${started[@]}"}; do
        kill "$id" 2>/dev/null && wait "$id" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# start NAME PROGRAM…: starts a program beside the script; what it says is in $work/NAME.log.
start() {
    local name="$1"
    shift
    "$@" >"$work/$name.log" 2>&1 &
    last=$!
    started+=("$last")
}

# until_true NAME COMMAND…: waits for COMMAND to succeed, a minute at most, and only as long as what was started last runs.
until_true() {
    local name="$1" tries
    shift
    for ((tries = 0; tries < 600; tries++)); do
        if "$@" >/dev/null 2>&1; then
            return
        fi
        kill -0 "$last" 2>/dev/null || break
        sleep 0.1
    done
    cat "$work/$name.log" >&2
    fail "$name has not done its part"
}

# local_endpoint OPTIONS…: starts an endpoint that fails at random.
local_endpoint() {
    start endpoint "$nozzle" endpoint --listen 127.0.0.1:8080 "$@"
    until_true endpoint grep -q listening "$work/endpoint.log"
}

# local_kinesis STREAM: starts a Kinesis server that has the stream, and points the AWS SDKs to it.
local_kinesis() {
    [[ -f "$servers/installed" ]] || fail 'run `make servers` first: it installs a local Kinesis server'
    local module="$servers/node/node_modules/kinesis-local" port tls_port
    read -r port tls_port < <("$servers/python/bin/python" -c '
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(socket.getsockname()[1] for socket in sockets))')
    # It listens on all interfaces, and has no option for another address.
    start kinesis env LOG_LEVEL=ERROR INITIALIZE_STREAMS="$1:2" KINESIS_MOCK_CERT_PATH="$module/server.json" \
        KINESIS_MOCK_PLAIN_PORT="$port" KINESIS_MOCK_TLS_PORT="$tls_port" node "$module/main.js"
    # None of the machine's own credentials. The account in the ARN of a local stream is the access key id.
    unset AWS_PROFILE AWS_SESSION_TOKEN
    export AWS_ACCESS_KEY_ID=000000000000 AWS_SECRET_ACCESS_KEY=local AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1
    export AWS_ENDPOINT_URL_KINESIS="http://127.0.0.1:$port"
    until_true kinesis stream active "$1"
    echo "the stream $1 is at $AWS_ENDPOINT_URL_KINESIS"
}

# stream active|put|read NAME …: boto3, a client that is not Nozzle's.
stream() {
    "$servers/python/bin/python" examples/local/stream.py "$@"
}
