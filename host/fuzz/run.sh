#!/usr/bin/env bash
# Runs fuzz targets under libFuzzer: SECONDS for each, then their names; without names, all. FUZZ_JOBS of them at a time.
# What libFuzzer finds worth keeping stays in target/fuzz/<target>/corpus, so that the next run goes on from there.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=$1
shift
jobs="${FUZZ_JOBS:-$(nproc)}"

command -v c++ >/dev/null || { echo "libFuzzer is C++: install a compiler that is called c++" >&2; exit 2; }
export RUSTC_WORKSPACE_WRAPPER="$PWD/host/fuzz/rustc"
cargo build --locked -p nozzle-fuzz
(cd guest-plugins/rust && CARGO_TARGET_DIR="$GUEST_TARGET_DIR" CARGO_PROFILE_DEV_OPT_LEVEL=1 cargo build --locked -p guest-fuzz)

declare -A programs
for program in "$CARGO_TARGET_DIR/debug/nozzle-fuzz" "$GUEST_TARGET_DIR/debug/guest-fuzz"; do
    for target in $("$program" 2>/dev/null); do programs[$target]=$program; done
done
[ $# -gt 0 ] || set -- $(printf '%s\n' "${!programs[@]}" | sort)
for target in "$@"; do
    [ -n "${programs[$target]:-}" ] || { echo "there is no target $target, but ${!programs[*]}" >&2; exit 2; }
done

# Runs a target, and says in one line what came of it.
run() {
    local target=$1 work="$CARGO_TARGET_DIR/fuzz/$1" TIMEFORMAT='%U %S'
    mkdir -p "$work/corpus" "$work/written"
    if { time NOZZLE_FUZZ_TARGET="$target" NOZZLE_FUZZ_INPUTS="$work/written" "${programs[$target]}" \
        -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=256 \
        -print_final_stats=1 -artifact_prefix="$work/" \
        "$work/corpus" "$work/written" >"$work/log" 2>&1 </dev/null; } 2>"$work/time"; then
        local executions cpu
        executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log")
        cpu=$(awk '{ printf "%.0f", $1 + $2 }' "$work/time")
        printf '%-16s %12s executions in %s s, %s s of processor time\n' "$target" "$executions" "$seconds" "$cpu"
    else
        printf '%-16s FAILED: see %s\n%s\n' "$target" "$work/log" \
            "$(grep -m1 -A1 'fails on this input' "$work/log" || tail -5 "$work/log")"
        return 1
    fi
}

failed=0
for target in "$@"; do
    while (($(jobs -rp | wc -l) >= jobs)); do wait -n || failed=1; done
    run "$target" &
done
while [ -n "$(jobs -p)" ]; do wait -n || failed=1; done
exit $failed
