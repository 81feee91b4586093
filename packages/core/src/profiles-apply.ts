/** A run with a profile: what the caller asked for, over what the profile says. */
import type { Profile, ProfilesPort, SpawnInput } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";

export interface AppliedProfile {
  /** The run as if the caller had said all of it. */
  readonly input: SpawnInput;
  /** The same error; where the field that it is about is the profile's, it says so. */
  blame(field: "model" | "cwd", thrown: unknown): KsiError;
}

/**
 * What the run says itself counts before what its profile says, in `model`, `cwd` and `timeout_ms`. `system_prompt` is
 * something that is added, so the run's stands behind the profile's: an added "answer in French" does not cost the agent
 * its role. Tools only ever narrow: the agent has those that the configuration, the profile and the run all allow.
 *
 * `INVALID_INPUT` for a profile that is not there, which names those that are, and for one whose file is wrong.
 */
export async function applyProfile(input: SpawnInput, profiles: ProfilesPort): Promise<AppliedProfile> {
  if (input.agent_profile === undefined) return { input, blame: (_, thrown) => KsiError.from(thrown) };
  const profile = await find(input.agent_profile, profiles);
  return {
    input: {
      ...input,
      model: input.model ?? profile.model,
      cwd: input.cwd ?? profile.cwd,
      timeout_ms: input.timeout_ms ?? profile.timeout_ms,
      system_prompt: joinPrompts(profile.system_prompt, input.system_prompt),
      enable_tools: input.enable_tools && profile.enable_tools !== false,
      tools: narrow(profile.tools, input.tools),
    },
    blame(field, thrown) {
      const error = KsiError.from(thrown);
      if (input[field] !== undefined || profile[field] === undefined) return error;
      const message = `The profile ${profile.name} has a ${field} that cannot be used here. ${error.message}`;
      return new KsiError(error.code, message, { details: error.details, cause: error });
    },
  };
}

async function find(name: string, profiles: ProfilesPort): Promise<Profile> {
  try {
    return await profiles.get(name);
  } catch (thrown) {
    const { code, message } = KsiError.from(thrown);
    if (code !== "NOT_FOUND" && code !== "INVALID_INPUT") throw thrown;
    const issue = { path: "agent_profile", message };
    throw new KsiError("INVALID_INPUT", `agent_profile: ${message}`, { details: { issues: [issue] }, cause: thrown });
  }
}

function joinPrompts(ofProfile: string | undefined, ofRun: string | undefined): string | undefined {
  return [ofProfile, ofRun].filter((text) => text !== undefined).join("\n\n") || undefined;
}

function narrow(ofProfile: string[] | undefined, ofRun: string[] | undefined): string[] | undefined {
  if (!ofProfile || !ofRun) return ofProfile ?? ofRun;
  return ofProfile.filter((tool) => ofRun.includes(tool));
}
