import { z } from "zod";
import { capability } from "./agents.ts";

export const profileName = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/,
    "must be 1 to 128 letters, digits or _ . - and start with a letter or digit",
  );

/** A named preset for runs. What a run says itself counts before what its profile says. */
export const profile = z.object({
  name: profileName,
  description: z.string().optional(),
  model: z.string().optional(),
  system_prompt: z.string().optional(),
  tools: z.array(z.string()).optional(),
  enable_tools: z.boolean().optional(),
  cwd: z.string().optional(),
  timeout_ms: z.number().int().optional(),
  /** What an agent of this profile can do, unless it says so itself. */
  capabilities: z.array(capability),
  /** Where it comes from: it ships with KSI, is in the configuration, or in a file of `{data_dir}/profiles`. */
  origin: z.enum(["built_in", "config", "file"]),
});

export const profileRef = z.object({ name: profileName });

/** In order of name. A profile of a file takes the place of one of the configuration, and that of one that ships. */
export const profilesList = z.object({
  profiles: z.array(profile),
  /** Files that are no profiles, and why. A run that names one of them is refused with the same words. */
  problems: z.array(z.object({ file: z.string(), message: z.string() })),
});

export type Profile = z.infer<typeof profile>;
export type ProfilesList = z.infer<typeof profilesList>;
