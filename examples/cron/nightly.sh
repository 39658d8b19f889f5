#!/usr/bin/env bash
# Brings the results of all completed jobs into a folder. Prints nothing unless something is wrong.
set -euo pipefail

folder=${1:?the folder for the results}
mkdir -p "$folder"

mapfile -t ids < <(batchctl list --status completed --limit 100 --json | grep -o '"batch_id":"[^"]*"' | cut -d '"' -f 4)
[ "${#ids[@]}" -eq 0 ] && exit 0

batchctl download "${ids[@]}" --skip-existing --quiet -o "$folder/"
