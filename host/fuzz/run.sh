#!/usr/bin/env bash
# Runs fuzz targets under libFuzzer, one after the other: SECONDS for each, then their names; without names, all.
# What libFuzzer finds worth keeping stays in target/fuzz/<target>/corpus, so that the next run goes on from there.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=$1
shift

command -v c++ >/dev/null || { echo "libFuzzer is C++: install a compiler that is called c++" >&2; exit 2; }
export RUSTC_WORKSPACE_WRAPPER="$PWD/host/fuzz/rustc"
cargo build --locked -p nozzle-fuzz
(cd guest-plugins/rust && CARGO_TARGET_DIR="$GUEST_TARGET_DIR" cargo build --locked -p guest-fuzz)

declare -A programs
for program in "$CARGO_TARGET_DIR/debug/nozzle-fuzz" "$GUEST_TARGET_DIR/debug/guest-fuzz"; do
    for target in $("$program" 2>/dev/null); do programs[$target]=$program; done
done
[ $# -gt 0 ] || set -- $(printf '%s\n' "${!programs[@]}" | sort)

failed=0
for target in "$@"; do
    program=${programs[$target]:-}
    [ -n "$program" ] || { echo "there is no target $target, but ${!programs[*]}" >&2; exit 2; }
    work="$CARGO_TARGET_DIR/fuzz/$target"
    mkdir -p "$work/corpus" "$work/written"
    if NOZZLE_FUZZ_TARGET="$target" NOZZLE_FUZZ_INPUTS="$work/written" "$program" \
        -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=256 \
        -print_final_stats=1 -artifact_prefix="$work/" \
        "$work/corpus" "$work/written" >"$work/log" 2>&1 </dev/null; then
        executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log")
        printf '%-16s %12s executions in %s s\n' "$target" "$executions" "$seconds"
    else
        failed=1
        printf '%-16s FAILED: see %s\n' "$target" "$work/log"
        grep -m1 -A1 'fails on this input' "$work/log" || tail -5 "$work/log"
    fi
done
exit $failed
