/** JSON that agents share, with what a client adds to the calls: types, and a change that nobody else undoes. */
import type {
  AppRouter,
  Json,
  StateDeleted,
  StateDeleteInput,
  StateEntry,
  StatePage,
  StateSet,
  StateSetInput,
} from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import type { inferRouterInputs } from "@trpc/server";
import type { CallOptions } from "./call.ts";
import { delay } from "./delay.ts";
import type { JsonCompatible, JsonMembers } from "./payload.ts";
import { type Schema, validate } from "./schema.ts";

export interface StateCalls {
  /**
   * `NOT_FOUND` where the key is not there, and with a `schema` `OUTPUT_INVALID` where the value does not fit it.
   */
  get<Value = Json>(namespace: string, key: string, options?: StateGetOptions<Value>): Promise<TypedEntry<Value>>;
  /**
   * With `if_version` it is set only if the key has that version (0: is not there); `CONFLICT` has the version that it
   * has in `details.version`. Never repeated: after a lost answer (`CONNECTION_LOST`) the version tells what happened.
   */
  set<Value>(input: TypedSetInput<Value>, options?: CallOptions): Promise<StateSet>;
  /**
   * Sets what `change` makes of the value (undefined where the key is not there). Where somebody else changed it meanwhile,
   * `change` is asked again with the new value, so no change is lost. Rejects with what `change` throws, and with
   * `CONFLICT` where others were faster 100 times.
   */
  update<Value extends JsonMembers<Value> = Json>(
    namespace: string,
    key: string,
    change: (value: Value | undefined) => Value | Promise<Value>,
    options?: StateUpdateOptions<Value>,
  ): Promise<StateSet>;
  /** As `set`; `NOT_FOUND` where the key is not there. */
  delete(input: StateDeleteInput, options?: CallOptions): Promise<StateDeleted>;
  /** Keys without their values, in order. `next` of the answer is `after` of the next page. */
  list(input: inferRouterInputs<AppRouter>["state"]["list"], options?: CallOptions): Promise<StatePage>;
}

export interface StateGetOptions<Value = Json> extends CallOptions {
  /** Checks and types the value: a zod schema, or another Standard Schema. */
  schema?: Schema<Value> | undefined;
}

export interface StateUpdateOptions<Value = Json>
  extends StateGetOptions<Value>,
    Pick<StateSetInput, "ttl_ms" | "source"> {}

export type TypedEntry<Value> = Omit<StateEntry, "value"> & { value: Value };
export type TypedSetInput<Value> = Omit<StateSetInput, "value"> & { value: Value & JsonCompatible<Value> };

interface PlainCalls extends Pick<StateCalls, "delete" | "list"> {
  get(namespace: string, key: string, options?: CallOptions): Promise<StateEntry>;
  set(input: StateSetInput, options?: CallOptions): Promise<StateSet>;
}

const maxTries = 100;
/** A random wait up to this keeps those who change one key from meeting again and again. */
const maxWaitMs = 20;

export function createStateCalls(calls: PlainCalls): StateCalls {
  async function get<Value>(namespace: string, key: string, options: StateGetOptions<Value> = {}) {
    const { schema, ...callOptions } = options;
    const entry = await calls.get(namespace, key, callOptions);
    // Without a schema the value is of the type that the entry has.
    if (!schema) return entry as TypedEntry<Value>;
    const message = `The value of ${key} in ${namespace} does not fit the schema`;
    return { ...entry, value: await validate(schema, entry.value, { code: "OUTPUT_INVALID", message }) };
  }

  return {
    ...calls,
    get,
    set: (input, callOptions) => calls.set(input as StateSetInput, callOptions),
    async update(namespace, key, change, options = {}) {
      const { schema, signal, ...fields } = options;
      for (let tries = 1; ; tries++) {
        const entry = await get(namespace, key, { schema, signal }).catch(missing);
        const value = (await change(entry?.value)) as Json;
        try {
          return await calls.set({ ...fields, namespace, key, value, if_version: entry?.version ?? 0 }, { signal });
        } catch (error) {
          if (KsiError.from(error).code !== "CONFLICT" || tries === maxTries) throw error;
        }
        await delay(Math.random() * maxWaitMs, signal);
      }
    },
  };
}

function missing(error: unknown): undefined {
  if (KsiError.from(error).code !== "NOT_FOUND") throw error;
}
