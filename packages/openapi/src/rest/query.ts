/** The fields of a query string, or of a form: texts, with what brackets nest. */
import { TRPCError } from "@trpc/server";

/** One value, several of the same key, or what is in brackets behind it. What both has is a list that ends in the object. */
export type Text = string | readonly Text[] | TextFields;
export interface TextFields {
  readonly [key: string]: Text;
}

/**
 * `a=1&a=2` is `{a: ["1", "2"]}`, `a[b]=1` is `{a: {b: "1"}}`, `a[]=1&a[]=2` is `{a: {"": ["1", "2"]}}`: whether that is an
 * array or an object is for the schema to say. A plus sign is a space. More than 16 pairs of brackets are a key like any
 * other, and the key `__proto__` is dropped at every depth. Throws `PARSE_ERROR` where an escape is none.
 *
 * @param text without the question mark
 */
export function parseQuery(text: string): TextFields {
  const root = newBranch();
  for (const part of text.split("&")) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const key = decode(equals === -1 ? part : part.slice(0, equals));
    const value = equals === -1 ? "" : decode(part.slice(equals + 1));
    branchAt(root, pathOf(key)).values.push(value);
  }
  return fieldsOf(root);
}

interface Branch {
  readonly values: string[];
  readonly children: Map<string, Branch>;
}

function newBranch(): Branch {
  return { values: [], children: new Map() };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    throw new TRPCError({ code: "PARSE_ERROR", message: "A field has a percent sign that starts no valid escape." });
  }
}

/** `a[b][c]` is `a`, `b`, `c`. */
function pathOf(key: string): string[] {
  const bracket = key.indexOf("[");
  if (bracket < 1 || !key.endsWith("]")) return [key];
  const inner = key.slice(bracket + 1, -1).split("][");
  return inner.length > 16 || inner.some((name) => /[[\]]/.test(name)) ? [key] : [key.slice(0, bracket), ...inner];
}

function branchAt(root: Branch, path: readonly string[]): Branch {
  let branch = root;
  for (const name of path) {
    const child = branch.children.get(name) ?? newBranch();
    branch.children.set(name, child);
    branch = child;
  }
  return branch;
}

/** `fromEntries` makes own properties, whatever they are called; a setter is never reached. */
function fieldsOf({ children }: Branch): TextFields {
  const entries = [...children].filter(([name]) => name !== "__proto__");
  return Object.fromEntries(entries.map(([name, child]) => [name, textOf(child)]));
}

function textOf(branch: Branch): Text {
  const { values, children } = branch;
  const [only = ""] = values;
  if (children.size === 0) return values.length === 1 ? only : values;
  return values.length === 0 ? fieldsOf(branch) : [...values, fieldsOf(branch)];
}
