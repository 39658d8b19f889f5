#!/usr/bin/env bash
# Brings the results of all completed jobs into a folder. Prints nothing unless something is wrong.
set -euo pipefail

folder=${1:?the folder for the results}
mkdir -p "$folder"

mapfile -t ids < <(batchctl list --status completed --limit 100 --json | jq -r .batch_id)
[ "${#ids[@]}" -eq 0 ] && exit 0

batchctl download "${ids[@]}" --skip-existing --quiet -o "$folder/"
