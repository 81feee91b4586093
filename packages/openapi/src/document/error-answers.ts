/** The answers of operations that fail: one component for each status and kind of body, which operations refer to. */
import { z } from "zod";
import type { Example, Reference, ResponseObject } from "./openapi.ts";
import type { SchemaWriter } from "./schema-writer.ts";
import { describeStatus } from "./statuses.ts";

/** One shape that errors have. A document has one, or several where it describes several APIs. */
export interface ErrorBody {
  readonly schema: z.core.$ZodType;
  /** Texts and examples by status, in place of the usual ones. */
  readonly statuses?: Readonly<
    Record<number, { readonly description?: string; readonly examples?: Record<string, Example> }>
  >;
}

/** `{"error": {"code", "message", "issues"?}}`, as `createOpenApiHandler` answers. */
export const defaultErrorBody: ErrorBody = {
  schema: z.object({
    error: z.looseObject({
      code: z.string().describe("For programs."),
      message: z.string().describe("For people."),
      issues: z
        .array(z.object({ path: z.string().describe("Dotted; empty for the whole input."), message: z.string() }))
        .optional()
        .describe("Each field that does not satisfy its schema."),
    }),
  }),
};

export interface ErrorAnswers {
  /** A reference to the component of that status; inline where the operation has a text of its own. */
  answer(status: number, body?: string, description?: string): Reference | ResponseObject;
  readonly components: Readonly<Record<string, ResponseObject>>;
}

/** `bodies` by name, the usual one first. The components of the others have the name before that of the status. */
export function createErrorAnswers(bodies: Readonly<Record<string, ErrorBody>>, writer: SchemaWriter): ErrorAnswers {
  const [usual = "Error"] = Object.keys(bodies);
  const components: Record<string, ResponseObject> = {};

  function write(status: number, name: string, description?: string): ResponseObject {
    const body = bodies[name];
    if (!body) throw new Error(`There is no body of errors called ${name}.`);
    const { description: usualText = describeStatus(status).description, examples } = body.statuses?.[status] ?? {};
    const schema = writer.write(body.schema, "output", name);
    return {
      description: description ?? usualText,
      ...(retryable.includes(status) && { headers: retryAfter }),
      content: { "application/json": { schema, ...(examples && { examples }) } },
    };
  }

  return {
    components,
    answer(status, body = usual, description) {
      if (description !== undefined) return write(status, body, description);
      const name = (body === usual ? "" : body) + describeStatus(status).name;
      components[name] ??= write(status, body);
      return { $ref: `#/components/responses/${name}` };
    },
  };
}

const retryable = [429, 503];
const retryAfter = {
  "Retry-After": { description: "Seconds after which to try again.", schema: { type: "integer" } },
};
