#!/usr/bin/env bash
# Plants the bugs of this folder, one at a time, in a copy of the sources, and has the oracle find each.
#
#   run.sh [name …]     these patches, or all
#
# A patch begins with lines that say what the bug is, which test finds it: `simulation`
# (host/src/pipeline/simulation.rs) or `kills` (host/tests/proof/kills.rs), and the word for the promise that it breaks
# (docs/proof.md). A bug counts as found when the test's oracle says that word: a test that fails otherwise has not found it.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
root="$(cd "$here/../.." && pwd)"
built="${CARGO_TARGET_DIR:-$root/target}"
tree="$built/mutants/tree"
target="$built/mutants/target"
log="$built/mutants/log"
mkdir -p "$log"

# The sources, with the times of the originals: what has not changed is not compiled again.
rm -rf "$tree"
mkdir -p "$tree"
(cd "$root" && git ls-files -z --cached --others --exclude-standard | tar --null -T - -cf -) | tar -xf - -C "$tree"
ln -s "$root/guest-plugins/dist" "$tree/guest-plugins/dist"

# The dependencies that are built already, without another byte on the disk.
if [[ ! -d "$target/debug" && -d "$built/debug/deps" ]]; then
    mkdir -p "$target/debug"
    cp -al "$built/debug/deps" "$built/debug/build" "$built/debug/.fingerprint" "$target/debug/"
    rm -rf "$target"/debug/{deps,build,.fingerprint}/*nozzle* "$target"/debug/deps/{bench,proof}*
fi

# Compiles and runs the test that $1 names; its output goes to the file $2. Not optimised, each bug is compiled sooner.
run() {
    local test
    case "$1" in
        simulation) test=(--lib -- simulation) ;;
        kills) test=(--test proof -- nothing_is_lost_over_kills_of_every_kind) ;;
        *) echo "no such test: $1" >&2 && return 2 ;;
    esac
    (cd "$tree" && CARGO_TARGET_DIR="$target" CARGO_INCREMENTAL=1 CARGO_PROFILE_DEV_OPT_LEVEL=0 NOZZLE_PROOF_KILLS=26 NOZZLE_PROOF_RECORDS=40000 \
        timeout 900 cargo test --quiet --locked -p nozzle "${test[@]}") >"$2" 2>&1
}

# The copy is no repository of its own, and git must not take it for a part of this one.
plant() { GIT_CEILING_DIRECTORIES="$built/mutants" git -C "$tree" apply "${@:2}" "$1"; }

field() { sed -n "s/^# $2: //p" "$1"; }

names=("$@")
if [[ ${#names[@]} -eq 0 ]]; then
    for patch in "$here"/*.patch; do names+=("$(basename "$patch" .patch)"); done
fi

for name in simulation kills; do
    if ! run "$name" "$log/no-bug-$name"; then
        echo "error: the test finds something without any bug planted: $log/no-bug-$name" >&2
        exit 1
    fi
done

survived=0
for name in "${names[@]}"; do
    patch="$here/$name.patch"
    by="$(field "$patch" by)"
    words="$(field "$patch" word)"
    if [[ -z "$words" ]]; then
        echo "error: $name.patch does not say which promise it breaks: \`# word: …\`" >&2
        exit 1
    fi
    if ! plant "$patch"; then
        echo "error: $name.patch does not fit any more: bring it up to date" >&2
        exit 1
    fi
    status=0
    run "$by" "$log/$name" || status=$?
    plant "$patch" --reverse
    word="$(grep -oEm 1 "\b($words): " "$log/$name" | head -n 1)" || true
    if [[ $status -ne 0 && -n "$word" ]]; then
        printf '%-11s %-11s %s\n' "${word%: }" "$by" "$(head -n 1 "$patch" | cut -c 3-)"
    else
        echo "SURVIVED: $name ($log/$name)" >&2
        survived=1
    fi
done
exit "$survived"
