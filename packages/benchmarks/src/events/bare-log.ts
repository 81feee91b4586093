/** The log without KSI: what a plain ioredis program does to append in batches, and to follow. */
import { createHash } from "node:crypto";
import type { Redis } from "ioredis";

/** KEYS: 1 stream and channel. ARGV: 1 cap of its length, then each event's JSON. Returns how many. */
const script = `
local lines = {}
for i = 2, #ARGV do
  local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'e', ARGV[i])
  lines[#lines + 1] = id .. ' ' .. ARGV[i]
end
redis.call('PUBLISH', KEYS[1], table.concat(lines, '\\n'))
return #lines
`;
const sha = createHash("sha1").update(script).digest("hex");
const channel = "bench:{default}:events";
/** As the daemon's default. */
const maxEvents = 100_000;

export interface BareLog {
  /** One call: all in one XADD each, one PUBLISH. */
  append(events: readonly object[]): Promise<void>;
}

export async function openBareLog(redis: Redis): Promise<BareLog> {
  await redis.script("LOAD", script);
  return {
    append: async (events) => {
      await redis.evalsha(sha, 1, channel, maxEvents, ...events.map((event) => JSON.stringify(event)));
    },
  };
}

/** Calls back with what one append published: each event's id and JSON. `redis` is the subscription's own from now on. */
export async function followBareLog(redis: Redis, onBatch: (batch: readonly BareEntry[]) => void): Promise<void> {
  redis.on("message", (_channel: string, message: string) => {
    onBatch(
      message.split("\n").map((line) => {
        const space = line.indexOf(" ");
        return { id: line.slice(0, space), json: line.slice(space + 1) };
      }),
    );
  });
  await redis.subscribe(channel);
}

export interface BareEntry {
  id: string;
  json: string;
}
