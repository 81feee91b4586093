/**
 * Profiles: presets for runs, by name. One in a file of the folder takes the place of one of the configuration, and that
 * of one that ships. A file that is no profile takes it as well: whoever asks for its name hears what is wrong with it,
 * instead of getting another preset than the one that was written down.
 */
import type { Profile, ProfilesPort } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import { didYouMean, nearNames } from "@ksi/contract/near-names";
import type { ConfiguredProfiles, ProfileFields } from "./profiles-fields.ts";
import { createProfilesFolder, type ProfileFile } from "./profiles-folder.ts";
import { shippedProfiles } from "./profiles-shipped.ts";

export interface ProfilesOptions {
  /** YAML and JSON files, read anew when they change. It need not exist. */
  readonly dir?: string | undefined;
  readonly configured?: ConfiguredProfiles | undefined;
}

/** How many names an error lists. */
const maxListed = 50;

export interface Profiles extends ProfilesPort {
  /** For agents, whose profile may be any name: undefined where there is no profile of this one that can be used. */
  capabilitiesOf(name: string): Promise<string[] | undefined>;
}

export function createProfiles({ dir, configured = {} }: ProfilesOptions = {}): Profiles {
  const folder = createProfilesFolder(dir);
  const lasting = new Map([...toProfiles(shippedProfiles, "built_in"), ...toProfiles(configured, "config")]);

  return {
    async list() {
      const files = await folder.read().catch((thrown: unknown) => KsiError.from(thrown));
      // What the folder would have changed is not known, so nothing is offered that it might change.
      if (files instanceof KsiError) return { profiles: [], problems: [{ file: "profiles", message: files.message }] };
      const problems = files.flatMap(({ file, problem }) =>
        problem === undefined ? [] : [{ file, message: problem }],
      );
      return { profiles: merge(files), problems };
    },

    async get(name) {
      const profile = await find(name);
      if (!profile) throw unknownProfile(name, merge(await folder.read()));
      return profile;
    },

    async capabilitiesOf(name) {
      const profile = await find(name).catch((thrown: unknown) => {
        if (KsiError.from(thrown).code !== "INVALID_INPUT") throw thrown;
        return undefined;
      });
      return profile?.capabilities;
    },
  };

  async function find(name: string): Promise<Profile | undefined> {
    const [file] = await folder.read(name);
    if (file?.problem !== undefined) throw unusable(name, file.file, file.problem);
    return file ? toProfile(name, file.fields, "file") : lasting.get(name);
  }

  /** In order of name. */
  function merge(files: readonly ProfileFile[]): Profile[] {
    const merged = new Map(lasting);
    for (const { name, fields } of files) {
      if (fields) merged.set(name, toProfile(name, fields, "file"));
      else merged.delete(name);
    }
    return [...merged.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}

function toProfiles(named: Readonly<Record<string, ProfileFields>>, origin: Profile["origin"]): [string, Profile][] {
  return Object.entries(named).map(([name, fields]) => [name, toProfile(name, fields, origin)]);
}

function toProfile(name: string, fields: ProfileFields, origin: Profile["origin"]): Profile {
  return { ...fields, name, capabilities: fields.capabilities ?? [], origin };
}

function unusable(name: string, file: string, problem: string): KsiError {
  return new KsiError("INVALID_INPUT", `The profile ${name} cannot be used. ${file}: ${problem}.`);
}

function unknownProfile(name: string, profiles: readonly Profile[]): KsiError {
  const names = profiles.map((profile) => profile.name);
  const near = nearNames(name, names);
  const listed = [...near, ...names.filter((other) => !near.includes(other))].slice(0, maxListed);
  const more = names.length > listed.length ? ` and ${names.length - listed.length} more` : "";
  const there = listed.length === 0 ? "" : ` There are: ${listed.join(", ")}${more}.`;
  return new KsiError("NOT_FOUND", `There is no profile ${JSON.stringify(name)}.${didYouMean(name, names)}${there}`);
}
