import { z } from "zod";
import { limits } from "../limits.ts";
import { agentId, page, payload, timestamp } from "./common.ts";

/** A room for keys: letters, digits and `_ . : @ -`, 128 at most, starting with a letter or digit. */
export const namespace = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,127}$/,
    "must be 1 to 128 letters, digits or _ . : @ - and start with a letter or digit",
  );

/** Any text of 1 to 512 characters without control characters, but `.` and `..`, which are no part of a URL's path. */
export const stateKey = z
  .string()
  .min(1)
  .max(512)
  // An empty one is refused above, in other words.
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, "must not contain control characters, or half of a surrogate pair")
  // Whoever asks for `/state/plans/.` asks for `/state/plans/`, which is something else.
  .regex(/^(?!\.\.?$)/, "must not be . or .., which no URL can hold as a name");

/** 0 stands for a key that is not there. */
const version = z.number().int().nonnegative();

export const stateRef = z.object({ namespace, key: stateKey });

export const stateSetInput = stateRef.extend({
  value: payload,
  /** Nothing happens, and it is a `CONFLICT`, unless the key has this version; 0: unless it is not there. */
  if_version: version.optional(),
  /** The key is forgotten so long after this. Default: never. */
  ttl_ms: z.number().int().min(1).max(limits.ttlMsMax).optional(),
  /** Who changes it, told in the event. Default `ksi`. */
  source: agentId.optional(),
});
export const stateDeleteInput = stateRef.extend({
  /** Nothing happens, and it is a `CONFLICT`, unless the key has this version. */
  if_version: z.number().int().min(1).optional(),
  /** Who deletes it, told in the event. Default `ksi`. */
  source: agentId.optional(),
});
export const stateListInput = page.extend({
  /** `next` of the page before. */
  after: z.string().max(512).optional(),
  namespace,
  /** Only keys that begin with this. */
  prefix: z.string().max(512).optional(),
});

const facts = {
  ...stateRef.shape,
  /** Goes up with every change of the key, also when it is deleted and set again. */
  version,
  updated_at: timestamp,
  /** When the key is forgotten. Absent for one that is kept. */
  expires_at: timestamp.optional(),
};

/** A key without its value. */
export const stateFacts = z.object(facts);
export const stateEntry = z.object({ ...facts, value: z.json() });
export const stateSet = z.object({ status: z.literal("set"), ...facts });
export const stateDeleted = z.object({ status: z.literal("deleted"), ...stateRef.shape });
/** In order of the keys' UTF-8 bytes, without the values. */
export const statePage = z.object({ entries: z.array(stateFacts), next: z.string().optional() });

export type StateRef = z.infer<typeof stateRef>;
export type StateEntry = z.infer<typeof stateEntry>;
export type StateSetInput = z.infer<typeof stateSetInput>;
export type StateSet = z.infer<typeof stateSet>;
export type StateDeleteInput = z.infer<typeof stateDeleteInput>;
export type StateDeleted = z.infer<typeof stateDeleted>;
export type StateListInput = z.infer<typeof stateListInput>;
export type StatePage = z.infer<typeof statePage>;
