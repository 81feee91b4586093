/** Which operation a method and path mean. */
import { TRPCError } from "@trpc/server";
import { type OpenApiMethod, type Operation, parameter } from "./operations.ts";

export interface PathTable {
  /**
   * Looks a path up, as it stands in a URL (percent-encoded). One slash at its end is tolerated.
   *
   * A static segment goes before one with a parameter, but only among operations of the same method: with
   * `POST /agents/register` and `GET /agents/{id}`, `GET /agents/register` means the agent called `register`. `undefined`
   * where nothing is at the path. Throws `PARSE_ERROR` where the path has escapes that are none.
   */
  find(pathname: string): PathMatch | undefined;
}

export interface PathMatch {
  /** What the path is served by. Never empty. */
  readonly methods: ReadonlyMap<OpenApiMethod, MatchedOperation>;
}

export interface MatchedOperation {
  readonly operation: Operation;
  /** Decoded, by name. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** @param basePath stands before the path of every operation. */
export function createPathTable(operations: readonly Operation[], basePath = ""): PathTable {
  const base = segmentsOf(basePath).map((prefix) => ({ prefix, suffix: "" }));
  const patterns = new Map<number, Pattern[]>();
  for (const operation of operations) {
    const segments = [...base, ...segmentsOf(operation.path).map(toSegmentPattern)];
    const ofSameLength = patterns.get(segments.length) ?? [];
    patterns.set(segments.length, [...ofSameLength, { operation, segments }].sort(mostStaticFirst));
  }
  return {
    find(pathname) {
      const segments = segmentsOf(pathname).map(decodeSegment);
      const methods = new Map<OpenApiMethod, MatchedOperation>();
      for (const pattern of patterns.get(segments.length) ?? []) {
        const { operation } = pattern;
        if (methods.has(operation.method)) continue;
        const parameters = match(pattern, segments);
        if (parameters) methods.set(operation.method, { operation, parameters });
      }
      return methods.size > 0 ? { methods } : undefined;
    },
  };
}

interface Pattern {
  readonly operation: Operation;
  readonly segments: readonly SegmentPattern[];
}

/** `name` is what lies between the two; without it, `prefix` is the whole segment. */
interface SegmentPattern {
  readonly prefix: string;
  readonly name?: string;
  readonly suffix: string;
}

/** Without the slash at the start, and without one at the end. */
function segmentsOf(path: string): string[] {
  const segments = path.split("/").slice(1);
  if (segments.at(-1) === "") segments.pop();
  return segments;
}

function toSegmentPattern(segment: string): SegmentPattern {
  // `split` puts what its group has caught between the rest.
  const [prefix = "", name, suffix = ""] = segment.split(parameter);
  return name === undefined ? { prefix: segment, suffix } : { prefix, name, suffix };
}

function mostStaticFirst(a: Pattern, b: Pattern): number {
  for (const [index, segment] of a.segments.entries()) {
    const difference = freedomOf(segment) - freedomOf(b.segments[index]);
    if (difference !== 0) return difference;
  }
  return 0;
}

function freedomOf(segment: SegmentPattern | undefined): number {
  if (segment?.name === undefined) return 0;
  return segment.prefix || segment.suffix ? 1 : 2;
}

function match(pattern: Pattern, segments: readonly string[]): Map<string, string> | undefined {
  const parameters = new Map<string, string>();
  for (const [index, { prefix, name, suffix }] of pattern.segments.entries()) {
    const segment = segments[index] ?? "";
    if (name === undefined) {
      if (segment !== prefix) return undefined;
      continue;
    }
    const isLongEnough = segment.length > prefix.length + suffix.length;
    if (!isLongEnough || !segment.startsWith(prefix) || !segment.endsWith(suffix)) return undefined;
    parameters.set(name, segment.slice(prefix.length, segment.length - suffix.length));
  }
  return parameters;
}

/** Decoded one by one, so that an escaped slash (`%2F`) stays inside its segment. */
function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new TRPCError({ code: "PARSE_ERROR", message: "The path has a percent sign that starts no valid escape." });
  }
}
