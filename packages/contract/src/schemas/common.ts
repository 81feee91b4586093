import { z } from "zod";
import { findJsonProblem } from "../free-json.ts";
import { limits } from "../limits.ts";

const notBase64 = "is not base64 (letters, digits, + and /, padded with = to a multiple of four)";

/** A UUID in lower case, as the CLI wants it. Upper case is refused, so that one session never has two names. */
export const sessionId = z
  .string()
  .regex(
    /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/,
    "must be a lower-case UUID such as 3f2b8c1e-9a4d-4e6f-8b7a-1c2d3e4f5a6b",
  );

/** Opaque; issued by KSI. */
export const runId = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[A-Za-z0-9-]+$/, "is not a run id");

/** The name of an agent or sender: letters, digits and `_ . @ -`, 128 at most, starting with a letter or digit. */
export const agentId = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9_.@-]{0,127}$/,
    "must be 1 to 128 letters, digits or _ . @ - and start with a letter or digit",
  );

/** A place in one channel, `epoch.number`. Opaque to clients: keep it, send it back, do not compute with it. */
export const cursor = z
  .string()
  .max(64)
  .regex(/^\d+\.\d+$/, "is not a cursor of this server");

/** ISO 8601 in UTC with milliseconds. */
export const timestamp = z.iso.datetime();

/** A JSON object of at most 64 kB, 100 levels deep, without the keys `__proto__`, `constructor` and `prototype`. */
export const jsonObject = z.preprocess(
  (value: JsonObject, context) => refuseWhatIsNoJson(value, limits.jsonBytes, context),
  z.record(z.string(), z.json()),
);

/** Any JSON value of at most 256 kB, 100 levels deep, without the keys `__proto__`, `constructor` and `prototype`. */
export const payload = z.preprocess(
  (value: Json, context) => refuseWhatIsNoJson(value, limits.payloadBytes, context),
  z.json(),
);

/** What the Anthropic API takes. */
export const imageMediaTypes = ["image/png", "image/jpeg", "image/gif", "image/webp"] as const;

/** A picture in full. KSI fetches none: an address in a caller's hands could point into the server's own network. */
export const image = z.object({
  media_type: z.enum(imageMediaTypes),
  /** Base64 with padding and without line breaks, of 5,000,000 bytes at most. */
  data: z
    .string()
    .min(1, "must not be empty")
    .max(Math.ceil(limits.imageBytes / 3) * 4, `must be at most ${limits.imageBytes} bytes, base64-encoded`)
    // One loop over one class of characters takes milliseconds for megabytes; groups of four would fill the stack.
    .regex(/^[A-Za-z0-9+/]*={0,2}$/, notBase64)
    .refine((data) => data.length % 4 === 0, notBase64)
    .meta({ contentEncoding: "base64" }),
});

/** What every list takes: `after` is the `next` of the page before, `limit` the size of this one (1 to 500, default 50). */
export const page = z.object({
  after: z.string().max(200).optional(),
  limit: z.number().int().min(1).max(limits.pageMax).default(limits.pageDefault),
});

/**
 * What every subscription takes. `lastEventId` resumes after that cursor (tRPC clients send it by themselves);
 * without it, `from` says where to start.
 */
export const follow = z.object({
  lastEventId: cursor.nullish(),
  from: z.enum(["oldest", "now"]).optional(),
});

export type Json = z.infer<ReturnType<typeof z.json>>;
export type JsonObject = Record<string, Json>;
export type Image = z.infer<typeof image>;
export type FollowInput = z.infer<typeof follow>;

/** Before zod's own look, which would recurse, and leave `__proto__` away in silence. */
function refuseWhatIsNoJson<T>(value: T, maxBytes: number, context: z.RefinementCtx): T {
  // A field that was left out is for zod to name.
  const problem = value === undefined ? undefined : findJsonProblem(value, maxBytes);
  if (problem) context.addIssue({ code: "custom", path: [...problem.path], message: problem.message });
  return value;
}
