/** Typed output of runs. Its schema must also describe itself as JSON Schema, as those of zod 4.2 and later do. */
import type { JsonObject } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import { type Schema, validate } from "./schema.ts";

/** A schema that also describes itself by Standard JSON Schema (version 1). */
export interface OutputSchema<Output = unknown> extends Schema<Output> {
  readonly "~standard": Schema<Output>["~standard"] & {
    readonly jsonSchema: { readonly input: (options: { target: "draft-07" }) => Record<string, unknown> };
  };
}

interface Answer {
  readonly run_id: string;
  /** Absent when the run was not asked for JSON. */
  readonly output: unknown;
}

/** What the agent is asked to satisfy: the schema's input side, as draft 07, which every agent's validator reads. */
export function toJsonSchema(schema: OutputSchema): JsonObject {
  const { vendor, jsonSchema } = schema["~standard"];
  if (!jsonSchema) {
    throw new KsiError(
      "INVALID_INPUT",
      `output: schemas of ${vendor} have no ~standard.jsonSchema; use zod 4.2 or later.`,
    );
  }
  try {
    return jsonSchema.input({ target: "draft-07" }) as JsonObject;
  } catch (cause) {
    throw new KsiError("INVALID_INPUT", "output: this schema has a part that JSON Schema cannot say.", { cause });
  }
}

/** The typed value, or a KsiError `OUTPUT_INVALID` whose `details.issues` name the fields. */
export function validateOutput<Output>(schema: OutputSchema<Output>, answer: Answer): Promise<Output> {
  const message = "The agent's answer does not fit the output schema";
  return validate(schema, answer.output, { code: "OUTPUT_INVALID", message, details: { run_id: answer.run_id } });
}
