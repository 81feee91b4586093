/** The ways in for producers that speak only Redis: the streams `commands:spawn` and `agents:messages`. */
import { type Ports, schemas } from "@ksi/contract";
import type { TenantKeys } from "./redis/keys.ts";
import { startWayIn, type WayInOptions } from "./way-in.ts";

export interface WaysInOptions extends WayInOptions {
  readonly keys: TenantKeys;
  /** Of the same tenant. */
  readonly ports: { readonly runs: Pick<Ports["runs"], "spawn">; readonly messages: Pick<Ports["messages"], "send"> };
}

/** Takes entries until it is drained or disposed. */
export function startWaysIn(options: WaysInOptions): AsyncDisposable {
  const { keys, ports } = options;
  const spawn = startWayIn(options, {
    name: "spawn",
    schema: schemas.spawnInput,
    key: keys.ways.spawn,
    refusedKey: keys.refused.spawn,
    call: (input) => ports.runs.spawn(input),
    lineOf: ({ session_id }) => session_id,
  });
  const messages = startWayIn(options, {
    name: "messages",
    schema: schemas.sendInput,
    key: keys.ways.messages,
    refusedKey: keys.refused.messages,
    call: (input) => ports.messages.send(input),
    // What is sent at once keeps its order.
    lineOf: () => undefined,
  });
  return {
    async [Symbol.asyncDispose]() {
      await Promise.all([spawn, messages].map((way) => way[Symbol.asyncDispose]()));
    },
  };
}
