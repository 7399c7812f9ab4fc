#!/usr/bin/env bash
# A believable business in one go: its log, what is in it, its funnel, its closed loop,
# and what the loop found against the truths that were planted.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

customers="${CUSTOMERS:-5000}"
folder=build/demo
rm -rf "$folder"
mkdir -p "$folder"
export BOWTIE_STORE="sqlite:///$folder/journeys.db"
unset BOWTIE_VIEWS

say() { printf '\n$ %s\n' "$*"; }
run() { say "$@"; "$@"; }

run bowtie demo --customers "$customers" -o "$folder/log.jsonl"

# Some lines of the log are malformed on purpose: ingest parks them and says so with exit code 3.
say bowtie ingest "$folder/log.jsonl"
code=0
bowtie ingest "$folder/log.jsonl" || code=$?
if [ "$code" -ne 3 ]; then
  echo "ingest ended with $code; 3 was expected, as the log holds lines that must be parked" >&2
  exit 1
fi

run bowtie status
run bowtie funnel --by channel
run bowtie loop
bowtie loop --json > "$folder/loop.json"
run bowtie demo --customers "$customers" --check "$folder/loop.json"
run bowtie referrals --most 5
bowtie referrals --json > "$folder/referrals.json"
run bowtie demo --customers "$customers" --check "$folder/referrals.json"
