#!/usr/bin/env bash
# KSI from a program that speaks only Redis, which here is redis-cli: spawns a run and hears its result, sends a message
# to an agent, and sees why an entry was refused. Chapter 19 of PROTOCOL.md has the names and forms.
set -euo pipefail
command -v redis-cli >/dev/null || { echo "This needs redis-cli: \`apt install redis-tools\` on Debian." >&2; exit 1; }

# The daemon's own Redis is a Unix socket in its data directory; KSI_REDIS_URL is that of an external one.
redis=(redis-cli -s "${KSI_DATA_DIR:-$HOME/.ksi}/redis/redis.sock")
[ -z "${KSI_REDIS_URL:-}" ] || redis=(redis-cli -u "$KSI_REDIS_URL")
key='ksi:{default}' # prefix and tenant
session_id=00000000-0000-4000-8000-000000000009

# redis-cli prints three lines for each message: its kind, the channel, and the content, which is a cursor and an event.
hear() {
  local line
  for _ in kind channel content; do read -r -t 20 -u 3 line; done
  echo "${line#* }"
}
exec 3< <(exec "${redis[@]}" SUBSCRIBE "$key:results:$session_id" "$key:agents:listener:inbox")
trap "kill $!" EXIT
for _ in results inbox; do hear >/dev/null; done # that we are subscribed

# 1. A run. An entry holds the fields of the call as they are, or its JSON in one field called data.
"${redis[@]}" XADD "$key:commands:spawn" '*' \
  prompt 'Hello from redis-cli!' model echo session_id "$session_id" >/dev/null
hear | grep --only-matching '"status":"completed","output":"[^"]*","error":null'

# 2. A message. Agents register over the other doors.
curl --silent --show-error --fail-with-body "${KSI_URL:-http://127.0.0.1:8000}/api/v1/agents/register" \
  -H "authorization: Bearer ${KSI_TOKEN:-}" -H "content-type: application/json" -d '{"agent_id": "listener"}' >/dev/null
"${redis[@]}" XADD "$key:agents:messages" '*' \
  data '{"source": "shell", "target": "listener", "event_type": "x.greeting", "payload": {"text": "Hello!"}}' >/dev/null
hear | grep --only-matching '"payload":{[^}]*}'

# 3. What cannot be used is set aside, with the reason.
id=$("${redis[@]}" XADD "$key:commands:spawn" '*' data 'this is no JSON')
"${redis[@]}" XREAD BLOCK 20000 STREAMS "$key:commands:spawn:refused" $((${id%-*} - 1)) |
  grep --only-matching '{"code":.*'
