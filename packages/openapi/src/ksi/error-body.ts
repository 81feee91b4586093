/** What every failure of KSI answers, as the document says it. */
import { schemas } from "@ksi/contract";
import { z } from "zod";
import type { ErrorBody } from "../document/document.ts";

const issue = z.object({ path: z.string(), message: z.string() });

/** Texts for its fields come from the comments of `ErrorDetails` in the contract. */
export const restError = z.object({
  error: z.looseObject({
    code: schemas.wireError.shape.code,
    message: z.string().describe("What happened and what to do next, for people."),
    issues: z.array(issue).optional().describe("With `INVALID_INPUT`: each field at fault."),
    oldest: schemas.cursor.optional(),
    reason: z.enum(["trimmed", "epoch_changed"]).optional(),
    retry_after_ms: z.number().optional().describe("When to try again."),
    run_id: schemas.runId.optional().describe("The run that the call contradicts."),
  }),
});

export const restErrorSchemas = { Issue: issue, ErrorCode: schemas.wireError.shape.code, Error: restError };

export const restErrors: ErrorBody = {
  schema: restError,
  statuses: {
    400: {
      description: "The request cannot be read: its body is not JSON, or its URL has a broken escape.",
      examples: example("MALFORMED_REQUEST", "The body is not valid JSON."),
    },
    401: {
      description: "The token is missing or wrong.",
      examples: example("UNAUTHORIZED", "This needs the daemon's token: see `ksi token`, or {data_dir}/token."),
    },
    403: {
      description: "The `Host` or `Origin` of the request is not allowed, or `cwd` lies outside of the server's roots.",
      examples: example("FORBIDDEN", "This Host is not one of the daemon's names. Add it to allowed_hosts."),
    },
    404: {
      description: "There is no run, session or agent with this id.",
      examples: example("NOT_FOUND", "No agent is registered as planner. Register it first, or look at the list."),
    },
    409: {
      description: "The call contradicts what exists.",
      examples: example(
        "CONFLICT",
        "This idempotency_key was used for run 0b6f7c4e-5d1a-4f0e-9a57-2f1c8f3f6c10 with another body. " +
          "Use a new key for a new run.",
        { run_id: "0b6f7c4e-5d1a-4f0e-9a57-2f1c8f3f6c10" },
      ),
    },
    412: {
      description: "What follows the given cursor is no longer kept. After `oldest` one can go on.",
      examples: example(
        "HISTORY_TRIMMED",
        "Events after this cursor are no longer kept (events:broadcast). To go on with what there is, follow after " +
          "1795255200000.4096.",
        { reason: "trimmed", oldest: "1795255200000.4096" },
      ),
    },
    413: {
      description: "The body is over the limit, 8 MiB unless configured.",
      examples: example("PAYLOAD_TOO_LARGE", "A body must not be over 8388608 bytes."),
    },
    415: {
      description: "The body is not JSON by its content-type, or in a charset or encoding that is not read.",
      examples: example("UNSUPPORTED_MEDIA_TYPE", "A body must be application/json."),
    },
    422: {
      description: "A field does not satisfy its schema, and `issues` names each; or no runner serves the model.",
      examples: example("INVALID_INPUT", "prompt: must not be empty", {
        issues: [{ path: "prompt", message: "must not be empty" }],
      }),
    },
    429: {
      description: "Too many calls. `retry_after_ms` says when to come back.",
      examples: example("RATE_LIMITED", "There are 1000 unused tickets. Wait until some have expired.", {
        retry_after_ms: 30_000,
      }),
    },
    500: {
      description: "A fault of KSI's. The daemon's log has the cause.",
      examples: example("INTERNAL", "Something went wrong inside KSI. The daemon's log has the cause."),
    },
    503: {
      description: "Redis is away, or the daemon is stopping.",
      examples: example("STORE_UNAVAILABLE", "Nothing answers at Redis's address. Is it running?"),
    },
  },
};

function example(code: z.infer<typeof schemas.wireError>["code"], message: string, details: object = {}) {
  return { [code]: { value: { error: { code, message, ...details } } } };
}
