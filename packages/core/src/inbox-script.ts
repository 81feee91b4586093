/** A script on the ledger of `inbox-lua.ts`, and how it is called. */
import { randomUUID } from "node:crypto";
import { inboxLua } from "./inbox-lua.ts";
import { createLuaScript } from "./lua-script.ts";
import type { TenantKeys } from "./redis/keys.ts";
import type { Store } from "./redis/store.ts";

/** What is the same for all scripts of a tenant. */
export interface InboxContext {
  readonly redis: Store["commands"];
  readonly keys: TenantKeys;
  /** Of the log, from `logTerms`. */
  readonly logTerms: string;
  /** From `inboxTerms`. */
  readonly inboxTerms: string;
}

/**
 * A script by the names of its own arguments, which are followed by `REST` (index in ARGV). Its text gives the answer;
 * what it told is published when it has. KEYS: 1 epoch. ARGV: 1 log terms, 2 inbox terms, 3 what ids of its events begin
 * with, 4 their time.
 */
export function createInboxScript<const Args extends readonly string[]>(args: Args, body: string) {
  const names = args.map((name, i) => `local ${name} = ARGV[${i + 5}]`);
  const script = createLuaScript(`${inboxLua}
local env = ksi_open_inboxes(KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4])
${names.join("\n")}
local REST = ${args.length + 5}
local function carry_out()
${body}
end
local answer = carry_out()
ksi_publish(env.log)
return answer
`);
  return (
    { redis, keys, logTerms, inboxTerms }: InboxContext,
    values: Record<Args[number], string | number>,
    rest: readonly (string | number)[] = [],
  ): Promise<unknown> => {
    const own = args.map((name) => values[name as Args[number]]);
    const common = [logTerms, inboxTerms, randomUUID(), new Date().toISOString()];
    return script.run(redis, [keys.epoch], [...common, ...own, ...rest]);
  };
}
