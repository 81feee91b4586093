/** What a profile is made of, in a file and in the configuration: one schema, so that both are refused in the same words. */
import { issuesOf, schemas } from "@ksi/contract";
import { nearNames } from "@ksi/contract/near-names";
import { z } from "zod";

const run = schemas.spawnInput.shape;

/** Each means what it means for a run, and has the same limits. One that is null counts as not given, as in YAML. */
export const fieldShape = {
  /** Need not be there: a file's name, or the key in the configuration, is the profile's name. */
  name: schemas.profileName.optional(),
  description: z.string().min(1).max(1_000).optional(),
  model: run.model,
  system_prompt: run.system_prompt,
  tools: run.tools,
  enable_tools: z.boolean().optional(),
  cwd: run.cwd,
  timeout_ms: run.timeout_ms,
  capabilities: z.array(schemas.capability).max(100).optional(),
};

/** Fields that are not known are refused: a slip in `tools` would otherwise give an agent all of them. */
export const profileFields = z.preprocess(
  withoutNulls,
  z.strictObject(fieldShape, {
    error: (issue) => (issue.code === "unrecognized_keys" ? unknownFields(issue.keys) : undefined),
  }),
);

export type ProfileFields = z.infer<typeof profileFields>;

const nameRule = "is no name of a profile: it must be 1 to 128 letters, digits or _ . -, from a letter or digit on";

/** The setting `profiles`: by name. */
export const configuredProfiles = z
  .record(schemas.profileName, profileFields, {
    error: (issue) => (issue.code === "invalid_key" ? nameRule : undefined),
  })
  .superRefine((profiles, context) => {
    for (const [key, { name = key }] of Object.entries(profiles)) {
      if (name !== key) context.addIssue({ code: "custom", path: [key, "name"], message: otherName(key) });
    }
  });

export type ConfiguredProfiles = z.infer<typeof configuredProfiles>;

/** What is wrong with a name, or undefined where nothing is. */
export function faultOfName(name: string): string | undefined {
  return schemas.profileName.safeParse(name).success ? undefined : nameRule;
}

/** To stand behind `name: `. */
export function otherName(name: string): string {
  return `must be ${name}, or be left out`;
}

const fieldNames = Object.keys(fieldShape);

export function unknownFields(keys: readonly string[], names: readonly string[] = fieldNames): string {
  const unknown = keys.map((key) => {
    const near = nearNames(key, names);
    return near.length === 0 ? key : `${key} (did you mean ${near.join(" or ")}?)`;
  });
  return `no field of a profile: ${unknown.join(", ")}. The fields are ${names.join(", ")}`;
}

/** In one line: `tools: must be an array; timeout_ms: must be at least 1`. */
export function describeFaults(error: z.core.$ZodError): string {
  return issuesOf(error)
    .map(({ path, message }) => (path === "" ? message : `${path}: ${message}`))
    .join("; ");
}

export function withoutNulls(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([, given]) => given !== null));
}
