/**
 * Reads the input of a call from superjson's form, `{"json": …, "meta"?: …}`. superjson's own reader trusts `meta`: a
 * small body can make it repeat an object of an object of an object until the memory is full, or walk a huge set once for
 * each of its members, and over WebSocket before the token was looked at. This one does work in proportion to the bytes.
 *
 * What cannot be read is not thrown, since tRPC's WebSocket adapter would answer that to nobody in particular: it is
 * given on as a value that `refuseUnreadable` knows, which answers the call.
 */
import superjson from "superjson";
import { KsiError } from "./errors.ts";
import { isRefusedKey } from "./free-json.ts";

const unreadable = Symbol("unreadable");

/** The value of the input, whose richer values are of the kinds below, or what `refuseUnreadable` throws. */
export function readCallInput(wire: unknown): unknown {
  try {
    return read(wire);
  } catch (thrown) {
    return { [unreadable]: thrown instanceof KsiError ? thrown : malformed("cannot be read", thrown) };
  }
}

export function refuseUnreadable(input: unknown): void {
  if (!isObject(input) || !Object.hasOwn(input, unreadable)) return;
  throw Reflect.get(input, unreadable);
}

/** What a call may carry that JSON cannot: some dozen values in a call, and not a whole table of them. */
const kinds = ["undefined", "bigint", "Date", "number", "map", "set", "URL"] as const;
const maxRichValues = 1_000;
/** To read a number takes longer than in proportion to its digits. */
const maxBigintChars = 1_000;
/** Of the tree that says where richer values are. */
const maxMetaDepth = 200;

function read(wire: unknown): unknown {
  // The input of a procedure that takes none.
  if (wire === undefined || (isObject(wire) && Object.keys(wire).length === 0)) return undefined;
  if (!isObject(wire) || !Object.hasOwn(wire, "json")) throw malformed('must be wrapped as {"json": …}');
  const { json, meta } = wire;
  if (meta === undefined) return json;
  if (!isObject(meta)) throw malformed("has a meta that is no object");
  checkEqualities(json, meta.referentialEqualities);
  const root = { json };
  for (const { path, kind } of richValues(meta.values, [])) revive(root, path, kind);
  return root.json;
}

interface RichValue {
  readonly path: readonly string[];
  readonly kind: unknown;
}

/** Inner values before those around them, as superjson has it: a date is made before the map that holds it. */
function richValues(tree: unknown, path: readonly string[], found: RichValue[] = []): RichValue[] {
  if (tree === undefined) return found;
  if (path.length > maxMetaDepth) throw malformed("has a meta that is nested too deep");
  const isNode = Array.isArray(tree);
  const inner: unknown = isNode ? tree[1] : tree;
  if (!isNode && !isObject(tree)) throw malformed("has a meta that is no tree of paths");
  for (const [steps, child] of Object.entries(isObject(inner) ? inner : {})) {
    richValues(child, [...path, ...parsePath(steps)], found);
  }
  if (isNode) found.push({ path, kind: tree[0] });
  if (found.length > maxRichValues) throw malformed(`has more than ${maxRichValues} values that are not JSON`);
  return found;
}

function revive(root: { json: unknown }, path: readonly string[], kind: unknown): void {
  if (!isTaken(kind)) throw notTaken(path, kind);
  const place = find(root, path);
  const value = place.holder[place.key];
  if (kind === "bigint" && String(value).length > maxBigintChars) throw notTaken(path, "bigint of so many digits");
  try {
    place.holder[place.key] = superjson.deserialize({ json: value as never, meta: { values: [kind], v: 1 } }, inPlace);
  } catch (thrown) {
    throw malformed(`holds no ${kind} at ${path.join(".")}`, thrown);
  }
}

/** What is inside has been made already, and is not to be made again. */
const inPlace = { inPlace: true };

function isTaken(kind: unknown): kind is (typeof kinds)[number] {
  return (kinds as readonly unknown[]).includes(kind);
}

/**
 * superjson says which objects of the sender were one and the same. They are in the JSON as often as they were in the
 * value, and stay so. Only where it left `null` instead would reading on be wrong.
 */
function checkEqualities(json: unknown, equalities: unknown): void {
  const groups: unknown = Array.isArray(equalities) ? equalities[1] : equalities;
  const ofRoot: unknown = Array.isArray(equalities) ? equalities[0] : [];
  for (const paths of [ofRoot, ...Object.values(isObject(groups) ? groups : {})]) {
    if (!Array.isArray(paths)) throw malformed("has referentialEqualities that are no lists of paths");
    for (const path of paths) {
      const steps = parsePath(String(path));
      const { holder, key } = find({ json }, steps);
      if (holder[key] === null) throw repeated(steps);
    }
  }
}

/** Only through objects and arrays, and only by keys of their own. */
function find(root: { json: unknown }, path: readonly string[]): { holder: Record<string, unknown>; key: string } {
  let [holder, key]: [Record<string, unknown>, string] = [root, "json"];
  for (const step of path) {
    const next = holder[key];
    const isThere = isObject(next) && Object.hasOwn(next, step) && !(Array.isArray(next) && step === "length");
    if (!isThere || isRefusedKey(step)) throw malformed(`has a meta that names ${shown(path)}, which is not there`);
    [holder, key] = [next, step];
  }
  return { holder, key };
}

/** `a.b\.c` is `b.c` within `a`. */
function parsePath(text: string): string[] {
  const steps = [""];
  for (const [part = ""] of text.matchAll(/\\[\s\S]|[^\\.]+|\./g)) {
    if (part === ".") steps.push("");
    else steps[steps.length - 1] += part.startsWith("\\") ? part.slice(1) : part;
  }
  return steps;
}

/** Sets and maps too are objects here; none of what is sought is a key of theirs. */
function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function malformed(what: string, cause?: unknown): KsiError {
  return new KsiError("MALFORMED_REQUEST", `The input ${what}. tRPC's inputs are JSON in superjson's form.`, { cause });
}

function notTaken(path: readonly string[], kind: unknown): KsiError {
  const name = Array.isArray(kind) ? kind.join(" ") : String(kind);
  const issue = { path: shown(path), message: `must not be a ${name.slice(0, 64)}: calls do not carry that` };
  return new KsiError("INVALID_INPUT", `${issue.path}: ${issue.message}`, { details: { issues: [issue] } });
}

function repeated(path: readonly string[]): KsiError {
  const issue = { path: shown(path), message: "must not be an object that holds itself, or was left out as a repeat" };
  return new KsiError("INVALID_INPUT", `${issue.path}: ${issue.message}`, { details: { issues: [issue] } });
}

/** An error does not repeat all of what was too long. */
function shown(path: readonly string[]): string {
  return path.join(".").slice(0, 200);
}
