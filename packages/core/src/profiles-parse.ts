/** From the bytes of a profile's file to its fields, or to what is wrong with it. */
import { describeFaults, otherName, type ProfileFields, profileFields } from "./profiles-fields.ts";
import { isPredecessors, predecessorFields } from "./profiles-predecessor.ts";

/** A file can repeat itself in many ways; what is wrong with it is clear from the first of them. */
const maxMessage = 1_000;

/** Why a file is no profile. The message stands behind the file's name, and has 1,000 characters at most. */
export class ProfileProblem extends Error {
  constructor(message: string) {
    super(message.length <= maxMessage ? message : `${message.slice(0, maxMessage - 1)}…`);
  }
}

/** `name` is what the file is called. Rejects with a ProfileProblem, which names the line of broken YAML or JSON. */
export async function parseProfile(bytes: Uint8Array, name: string, format: "json" | "yaml"): Promise<ProfileFields> {
  const text = decode(bytes);
  const value = format === "json" ? parseJson(text) : await parseYaml(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ProfileProblem('must hold fields and values, such as "model: sonnet"');
  }
  const schema = format === "json" && isPredecessors(value) ? predecessorFields : profileFields;
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new ProfileProblem(describeFaults(parsed.error));
  const { name: inside = name } = parsed.data;
  if (inside !== name) throw new ProfileProblem(`name: ${otherName(name)}, since the file is called so`);
  return parsed.data;
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new ProfileProblem("is not UTF-8 text");
  }
}

async function parseYaml(text: string): Promise<unknown> {
  // Most daemons have no file of theirs, so the parser is not loaded before one is there.
  const { parseDocument } = await import("yaml");
  const document = parseDocument(text);
  const [error] = document.errors;
  if (error) {
    const [reason = ""] = error.message.split(/ at line \d+|\n|; please use /);
    throw new ProfileProblem(`line ${error.linePos?.[0].line ?? 1}: is not valid YAML: ${reason}`);
  }
  try {
    return document.toJS();
  } catch (thrown) {
    // Such as aliases that would become gigabytes.
    throw new ProfileProblem(`is not valid YAML: ${messageOf(thrown)}`);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (thrown) {
    const reason = messageOf(thrown).replace(/( in JSON)? at position .*$|(, .*)? is not valid JSON$/s, "");
    throw new ProfileProblem(`line ${lineOfFault(text)}: is not valid JSON: ${reason}`);
  }
}

/**
 * V8 tells the place of most faults, but not of a token that may not stand where it stands. It is in the last line of
 * the shortest beginning of the text with that complaint: a shorter one only ends too early.
 */
function lineOfFault(text: string): number {
  const lines = text.split("\n");
  const told = /\(line (\d+) /.exec(complaintOf(text))?.[1];
  if (told !== undefined) return Number(told);
  let [low, high] = [1, lines.length];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (complaintOf(lines.slice(0, middle).join("\n")).startsWith("Unexpected token")) high = middle;
    else low = middle + 1;
  }
  return low;
}

function complaintOf(text: string): string {
  try {
    JSON.parse(text);
    return "";
  } catch (thrown) {
    return messageOf(thrown);
  }
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
