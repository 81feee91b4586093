import { z } from "zod";
import { capability } from "./agents.ts";

/** Letters, digits and `_ . -`, 128 at most, starting with a letter or digit. */
export const profileName = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/,
    "must be 1 to 128 letters, digits or _ . - and start with a letter or digit",
  );

/** A named preset for runs. What a run says itself goes before what its profile says. */
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
  /** Where it comes from: it ships with KSI, is part of the configuration, or is a file in `{data_dir}/profiles`. */
  origin: z.enum(["built_in", "config", "file"]),
});

export const profileRef = z.object({ name: profileName });

/** In order of name. Of one name, a file goes before the configuration, and both before what ships with KSI. */
export const profilesList = z.object({
  profiles: z.array(profile),
  /** Files that cannot be used as profiles, and why. A run that names one of them is refused with the same words. */
  problems: z.array(z.object({ file: z.string(), message: z.string() })),
});

export type Profile = z.infer<typeof profile>;
export type ProfilesList = z.infer<typeof profilesList>;
