#!/usr/bin/env bash
# Tries every mutant of the modules that `.cargo/mutants.toml` names by their unit tests, compiled by themselves.
#
#   run.sh [option of cargo-mutants …]     run.sh --re host/src/batch tries those of the batcher
#
# What is found stands in target/mutation/mutants.out.
set -euo pipefail
root="$(cd "$(dirname "$0")/../.." && pwd)"
built="${CARGO_TARGET_DIR:-$root/target}/mutation"
tree="$built/tree"
version=27.1.0
cd "$root"
if [[ "$(cargo mutants --version 2>/dev/null)" != "cargo-mutants $version" ]]; then
    cargo install --locked --version "$version" cargo-mutants
fi

# The sources, and in them what is compiled: each job begins with a copy of both.
mkdir -p "$tree"
find "$tree" -mindepth 1 -maxdepth 1 ! -name target -exec rm -rf {} +
(git ls-files -z --cached --others --exclude-standard | tar --null -T - -cf -) | tar -xf - -C "$tree"
unset CARGO_TARGET_DIR
# Compiled soon, and no debugger will look at it.
export CARGO_INCREMENTAL=1 CARGO_PROFILE_DEV_OPT_LEVEL=0 CARGO_PROFILE_DEV_DEBUG=false
# The same cases for every mutant and in every run, and no time for smaller ones.
export PROPTEST_RNG_SEED=1 PROPTEST_DISABLE_FAILURE_PERSISTENCE=1 PROPTEST_MAX_SHRINK_ITERS=0

# cargo-mutants would try the whole host first: a test that fails without any mutant would seem to catch all of them.
(cd "$tree" && cargo test --quiet --locked --package nozzle-mutation --features run)
# A mutant that takes so long does not end: the tests take seconds.
exec cargo mutants --dir "$tree" --package nozzle --baseline skip --build-timeout 300 --timeout 60 \
    --gitignore false --copy-target true --jobs "${JOBS:-2}" --output "$built" "$@"
