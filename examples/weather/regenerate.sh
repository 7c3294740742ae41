#!/usr/bin/env bash
# Makes weather.ndjson again, byte for byte, from the npm package it comes from. Needs npm, tar and awk.
set -euo pipefail
cd "$(dirname "$0")"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

npm pack --silent --pack-destination "$folder" vega-datasets@2.11.0 >/dev/null
tar -xzf "$folder/vega-datasets-2.11.0.tgz" -C "$folder" package/data/weather.csv

# location,date,precipitation,temp_max,temp_min,wind,weather: no field is quoted, and numbers are JSON as they stand.
awk -F, 'NR > 1 {
    printf "{\"id\":\"%s/%s\",\"location\":\"%s\",\"date\":\"%s\",", $1, $2, $1, $2
    printf "\"precipitation\":%s,\"temp_max\":%s,\"temp_min\":%s,\"wind\":%s,\"weather\":\"%s\"}\n", $3, $4, $5, $6, $7
}' "$folder/package/data/weather.csv" >weather.ndjson
