/** Values by Standard Schema (https://standardschema.dev), so that the client needs no schema library of its own. */
import { type ErrorDetails, type Issue, KsiError } from "@ksi/contract/errors";

/** The part of Standard Schema (version 1) that validates: a schema of zod, valibot, arktype and others. */
export interface Schema<Output = unknown> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
    readonly validate: (value: unknown) => Validated<Output> | Promise<Validated<Output>>;
  };
}

type Validated<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

interface Misfit {
  readonly code: "INVALID_INPUT" | "OUTPUT_INVALID";
  /** A sentence without its end, before what is wrong. */
  readonly message: string;
  readonly details?: ErrorDetails | undefined;
}

/** What the schema gives for the value, or a KsiError with this code, whose `details.issues` name the fields. */
export async function validate<Output>(schema: Schema<Output>, value: unknown, misfit: Misfit): Promise<Output> {
  const validated = await schema["~standard"].validate(value);
  if (!validated.issues) return validated.value;
  const issues = validated.issues.map(toIssue);
  const sentence = issues.map(({ path, message }) => (path ? `${path}: ${message}` : message)).join("; ");
  throw new KsiError(misfit.code, `${misfit.message}: ${sentence}`, { details: { ...misfit.details, issues } });
}

function toIssue({ path = [], message }: SchemaIssue): Issue {
  return { path: path.map((part) => String(typeof part === "object" ? part.key : part)).join("."), message };
}
