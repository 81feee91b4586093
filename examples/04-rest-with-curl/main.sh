#!/usr/bin/env bash
# REST with nothing but curl: accepts a run, follows its events, and asks for its result.
set -euo pipefail

url=${KSI_URL:-http://127.0.0.1:8000}
# KSI_TOKEN is what `ksi token` prints.
call() {
  curl --silent --show-error --fail-with-body \
    -H "authorization: Bearer ${KSI_TOKEN:-}" -H "content-type: application/json" "$@"
}

accepted=$(call "$url/api/v1/spawn" -d '{"prompt": "Hello from curl!", "model": "echo"}')
run_id=$(sed 's/.*"run_id":"\([^"]*\)".*/\1/' <<<"$accepted")

# Server-sent events: a line `id:` with the cursor, a line `data:` with the event. The stream ends with the run.
call --no-buffer "$url/api/v1/runs/$run_id/events" | grep --only-matching '"event_type":"[^"]*"'

call "$url/api/v1/runs/$run_id/result?wait_ms=10000" | grep --only-matching '"result":"[^"]*"'
