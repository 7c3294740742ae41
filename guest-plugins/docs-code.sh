#!/usr/bin/env bash
# Writes the blocks of code of the page $1 into the folder $2, each into the file that its first line names: `// src/plugin.ts`,
# `# plugin.py`.
set -euo pipefail
awk -v folder="$2" '
    /^```/ { inside = !inside && $0 ~ /^```(ts|python|go|c)$/; first = inside; next }
    first { first = 0; if ($2 !~ /^[a-z][a-z_.\/-]*[.][a-z]+$/ || $2 ~ /[.][.]/) { print FILENAME ":" FNR ": names no file" > "/dev/stderr"; exit 1 } file = folder "/" $2; parent = file; sub("/[^/]*$", "", parent); system("mkdir -p \"" parent "\""); printf "" > file; next }
    inside { print >> file }
' "$1"
