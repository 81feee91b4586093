/**
 * Typed output by Standard Schema (https://standardschema.dev), so that the client needs no schema library of its own.
 * The schema must also describe itself as JSON Schema, as those of zod 4.2 and later do.
 */
import type { JsonObject } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";

/** The part of Standard Schema and Standard JSON Schema (both version 1) that the client uses. */
export interface OutputSchema<Output = unknown> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
    readonly validate: (value: unknown) => Validated<Output> | Promise<Validated<Output>>;
    readonly jsonSchema: { readonly input: (options: { target: "draft-07" }) => Record<string, unknown> };
  };
}

type Validated<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly OutputIssue[] };

interface OutputIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
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
export async function validateOutput<Output>(schema: OutputSchema<Output>, answer: Answer): Promise<Output> {
  const validated = await schema["~standard"].validate(answer.output);
  if (!validated.issues) return validated.value;
  const issues = validated.issues.map(({ path = [], message }) => ({
    path: path.map((part) => String(typeof part === "object" ? part.key : part)).join("."),
    message,
  }));
  const sentence = issues.map(({ path, message }) => (path ? `${path}: ${message}` : message)).join("; ");
  throw new KsiError("OUTPUT_INVALID", `The agent's answer does not fit the output schema: ${sentence}`, {
    details: { issues, run_id: answer.run_id },
  });
}
