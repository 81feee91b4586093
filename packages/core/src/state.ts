/**
 * The state that agents share: JSON under a key, in namespaces, with a version and perhaps an end.
 *
 * A key is not there, or there with a version; set, deleted and expired are the ways between. It expires by the clock of
 * Redis: from that moment on it is absent for every call, although its value stays until somebody changes the key or the
 * sweep (state-sweep.ts) comes by, which is also when its end is told.
 */
import type { Json, StateEntry, StatePage, StatePort, StateRef } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import type { EventLog } from "./event-log.ts";
import type { Store } from "./redis/store.ts";
import { deleteScript, getScript, listScript, setScript, stateChange, stateEvent } from "./state-scripts.ts";

export interface StateOptions {
  store: Pick<Store, "commands" | "keys">;
  /** Of the same tenant. */
  log: EventLog;
  tenant?: string | undefined;
}

/** Keys that one call of Redis looks at, where those that were looked for first have expired. */
const longestLook = 1_000;

/**
 * A change and its event (`state.set`, `state.deleted`) are one step. `get` and `delete` reject with NOT_FOUND for what
 * is not there, `set` and `delete` with CONFLICT where the key has not the version in `if_version`; `details.version` is
 * the one it has. Everything rejects with STORE_UNAVAILABLE when Redis is away, and nothing is repeated: where the
 * outcome is unknown, `get` tells.
 */
export function createState({ store, log, tenant }: StateOptions): StatePort {
  const { commands } = store;
  const keys = store.keys.tenant(tenant);

  return {
    async get(ref) {
      const { values } = keys.state(ref.namespace);
      const found = (await getScript.run(commands, [values], [ref.key])) as [string, string] | null;
      if (!found) throw keyNotFound(ref);
      const [facts, value] = found;
      return { ...decodeFacts(ref, facts), value: JSON.parse(value) as Json };
    },

    async set({ namespace, key, value, if_version, ttl_ms, source = "ksi" }) {
      const ref = { namespace, key };
      const event = stateEvent({ event_type: "state.set", source, payload: { ...ref, version: 0 } });
      const change = stateChange(keys, log.terms, ref);
      const args = [...change.args, event, if_version ?? "", JSON.stringify(value), ttl_ms ?? ""];
      const [outcome, facts = ""] = (await setScript.run(commands, change.names, args)) as string[];
      if (outcome === "conflict") throw conflict(ref, if_version, Number(facts));
      return { status: "set", ...decodeFacts(ref, facts) };
    },

    async delete({ namespace, key, if_version, source = "ksi" }) {
      const ref = { namespace, key };
      const payload = { ...ref, reason: "deleted" as const, version: 0 };
      const event = stateEvent({ event_type: "state.deleted", source, payload });
      const change = stateChange(keys, log.terms, ref);
      const answer = await deleteScript.run(commands, change.names, [...change.args, event, if_version ?? ""]);
      const [outcome, version] = answer as string[];
      if (outcome === "missing") throw keyNotFound(ref);
      if (outcome === "conflict") throw conflict(ref, if_version, Number(version));
      return { status: "deleted", ...ref };
    },

    async list({ namespace, prefix = "", after, limit }) {
      const entries: StatePage["entries"] = [];
      // No key begins with half a character.
      if (!prefix.isWellFormed()) return { entries };
      const { values, index } = keys.state(namespace);
      let min = after !== undefined && isBehind(after, prefix) ? `(${after}` : `[${prefix}`;
      for (let look = limit + 1; ; look = longestLook) {
        const seen = (await listScript.run(commands, [values, index], [min, prefix, look])) as string[];
        for (let i = 0; i < seen.length; i += 2) {
          const [key = "", facts = ""] = seen.slice(i, i + 2);
          if (facts !== "") entries.push(decodeFacts({ namespace, key }, facts));
        }
        const isEnd = seen.length < look * 2;
        if (entries.length > limit || isEnd) break;
        min = `(${seen.at(-2)}`;
      }
      const shown = entries.slice(0, limit);
      const next = entries.length > limit ? shown.at(-1)?.key : undefined;
      return { entries: shown, ...(next !== undefined && { next }) };
    },
  };
}

/** In the order of UTF-8 bytes, which is Redis' and not that of JavaScript's strings. */
function isBehind(after: string, prefix: string): boolean {
  return Buffer.compare(Buffer.from(after), Buffer.from(prefix)) >= 0;
}

function decodeFacts({ namespace, key }: StateRef, facts: string): Omit<StateEntry, "value"> {
  const [version = 0, updatedMs = 0, expiresMs = 0] = facts.split(" ").map(Number);
  return {
    namespace,
    key,
    version,
    updated_at: new Date(updatedMs).toISOString(),
    ...(expiresMs > 0 && { expires_at: new Date(expiresMs).toISOString() }),
  };
}

function keyNotFound({ namespace, key }: StateRef): KsiError {
  return new KsiError(
    "NOT_FOUND",
    `There is no key ${JSON.stringify(key)} in the namespace ${namespace}. It was never set, was deleted, or has expired.`,
  );
}

function conflict(ref: StateRef, wanted: number | undefined, version: number): KsiError {
  const name = `The key ${JSON.stringify(ref.key)} in the namespace ${ref.namespace}`;
  return new KsiError("CONFLICT", `${name} ${explainConflict(wanted, version)}`, { details: { version } });
}

function explainConflict(wanted: number | undefined, version: number): string {
  if (version === 0) return `is not there, so it has no version ${wanted}. With if_version 0 it is set anew.`;
  const advice = `Get it, and if the change still holds, make it with if_version ${version}.`;
  if (wanted === 0) return `is there already, with version ${version}. ${advice}`;
  return `has version ${version} by now and not ${wanted}. ${advice}`;
}
