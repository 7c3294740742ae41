#!/usr/bin/env bash
# Tries every mutant of the modules that `.cargo/mutants.toml` names by their unit tests, compiled by themselves.
#
#   run.sh [option of cargo-mutants …]     run.sh --re host/src/batch tries those of the batcher
#
# What is found stands in target/mutation: caught.txt, unviable.txt, timeout.txt and missed.txt. JOBS=2 try as many at a time.
set -euo pipefail
root="$(cd "$(dirname "$0")/../.." && pwd)"
built="${CARGO_TARGET_DIR:-$root/target}/mutation"
jobs="${JOBS:-2}"
version=27.1.0
cd "$root"
if [[ "$(cargo mutants --version 2>/dev/null)" != "cargo-mutants $version" ]]; then
    cargo install --locked --version "$version" cargo-mutants
fi

# Each job has sources of its own, and beside them what is compiled. cargo-mutants would copy both without their times, and
# compile the dependencies again.
tree() { echo "$built/$1/tree"; }
# With the times of now: what was compiled of a mutant is older.
copy_sources() {
    mkdir -p "$1"
    find "$1" -mindepth 1 -maxdepth 1 ! -name target -exec rm -rf {} +
    git ls-files -z --cached --others --exclude-standard | tar --null -T - -cf - | tar -xmf - -C "$1"
}

unset CARGO_TARGET_DIR
# Compiled soon, and no debugger will look at it.
export CARGO_INCREMENTAL=1 CARGO_PROFILE_DEV_OPT_LEVEL=0 CARGO_PROFILE_DEV_DEBUG=false
# The same cases for every mutant and in every run, and no time for smaller ones.
export PROPTEST_RNG_SEED=1 PROPTEST_DISABLE_FAILURE_PERSISTENCE=1 PROPTEST_MAX_SHRINK_ITERS=0

# By ourselves, as cargo-mutants would try the whole host: where a test fails without any mutant, all would seem to be caught.
copy_sources "$(tree 0)"
(cd "$(tree 0)" && cargo test --quiet --locked --package nozzle-mutation --features run)

# Nothing of an earlier run is taken for this one's.
rm -rf "$built"/*/mutants.out "$built"/*/mutants.out.old
all="$(cd "$(tree 0)" && cargo mutants --list --package nozzle "$@" | wc -l)"
running=()
for ((job = 0; job < jobs; job++)); do
    if ((job > 0)); then
        copy_sources "$(tree "$job")"
        [[ -d "$(tree "$job")/target" ]] || cp -a "$(tree 0)/target" "$(tree "$job")/"
    fi
    # A mutant that takes so long does not end: the tests take a second.
    cargo mutants --dir "$(tree "$job")" --in-place --package nozzle --baseline skip --timeout 20 --build-timeout 600 \
        --shard "$job/$jobs" --sharding round-robin --output "$built/$job" --colors never --no-times "$@" >"$built/$job/log" 2>&1 &
    running+=($!)
done
# 2: one was missed; 3: one did not end. Any other failure is one of cargo-mutants.
for process in "${running[@]}"; do
    status=0
    wait "$process" || status=$?
    if ((status != 0 && status != 2 && status != 3)); then
        echo "error: cargo-mutants ended with $status: $built/*/log" >&2
        exit 1
    fi
done

for list in caught unviable timeout missed; do
    cat "$built"/*/mutants.out/"$list.txt" | sort >"$built/$list.txt"
    printf '%-9s %d\n' "$list" "$(wc -l <"$built/$list.txt")"
done
tried="$(cat "$built"/{caught,unviable,timeout,missed}.txt | wc -l)"
if ((tried != all)); then
    echo "error: $tried of $all mutants were tried: $built/*/log" >&2
    exit 1
fi
cat "$built/missed.txt"
[[ ! -s "$built/missed.txt" ]]
