/**
 * Holds our document against that of trpc-to-openapi, from the same router. Each difference must be one that is
 * explained below, and each explanation must still explain one.
 */
import { appRouter } from "@ksi/contract";
import { generateOpenApiDocument } from "trpc-to-openapi";
import { expect, test } from "vitest";
import { listOperations } from "../rest/operations.ts";
import { readKsiDocument } from "./read-document.ts";

interface Difference {
  readonly operation: string;
  /** Keys from the operation down, with a space between them. */
  readonly at: string;
  readonly ours: unknown;
  readonly theirs: unknown;
}

interface Explanation {
  readonly what: string;
  readonly why: string;
  readonly is: (difference: Difference) => boolean;
}

const isText = (at: string) => /(^| )(description|summary|examples)$/.test(at);

const explanations: readonly Explanation[] = [
  {
    what: "operation ids",
    why: "`runs_spawn` is a name in most languages, so that generators leave it as it is; `runs-spawn` is in none.",
    is: ({ at, ours, theirs }) => at === "operationId" && ours === String(theirs).replace("-", "_"),
  },
  {
    what: "security",
    why: "We say it once for all operations, and only the exceptions; they repeat it.",
    is: ({ at, ours, theirs }) => at === "security" && !ours && Array.isArray(theirs),
  },
  {
    what: "texts and examples that they do not have",
    why: "Ours come from the comments of the schemas and from a table of examples.",
    is: ({ at, ours, theirs }) => isText(at) && ours !== undefined && theirs === undefined,
  },
  {
    what: "the text of a success",
    why: "Two ways to say it.",
    is: ({ at, ours, theirs }) =>
      at === "responses 200 description" && ours === "Success." && theirs === "Successful response",
  },
  {
    what: "the body of errors",
    why:
      "Ours is `{error: {code, message, …}}`, as all doors of KSI answer, and a 429 has `retry-after`; theirs is " +
      "trpc-to-openapi's own.",
    is: ({ at, ours, theirs }) =>
      /^responses ([45]\d\d (description|content)|429 headers)/.test(at) && (ours ?? theirs) !== undefined,
  },
  {
    what: "errors that they do not list",
    why:
      "Where the meta has `errorResponses` they list only those. Every call can be answered 401, 403, 500 and 503, one " +
      "with an input also 400 and 422, one with a body 413 and 415.",
    is: ({ at, ours, theirs }) =>
      /^responses (40[013]|413|415|422|429|50[03])$/.test(at) && ours !== undefined && !theirs,
  },
  {
    what: "404 for lists",
    why: "They guess it for every GET with an input. A list that has nothing is an empty page.",
    is: ({ operation, at, ours, theirs }) =>
      at === "responses 404" &&
      !ours &&
      theirs !== undefined &&
      /^GET ([^{]*|\/api\/v1\/state\/\{namespace\})$/.test(operation),
  },
  {
    what: "400 for calls without input",
    why: "Without an input there is nothing that could not be read: neither a query nor a body is looked at.",
    is: ({ operation, at, ours, theirs }) =>
      at === "responses 400" && !ours && theirs !== undefined && /(status|shutdown|profiles)$/.test(operation),
  },
  {
    what: "closed objects in answers",
    why: "A field that a later version adds would be against their schema. Ours leaves objects open.",
    is: ({ at, ours, theirs }) =>
      /^responses 200 .*schema( .*)? additionalProperties$/.test(at) && ours === undefined && theirs === false,
  },
  {
    what: "any JSON value",
    why: "They spell `z.json()` out, and refer to it in itself. The schema without keywords says the same.",
    is: ({ at, ours, theirs }) => / anyOf$/.test(at) && ours === undefined && JSON.stringify(theirs).includes('"null"'),
  },
  {
    what: "names of properties that are strings",
    why: "In JSON they always are.",
    is: ({ at, ours, theirs }) => / propertyNames$/.test(at) && !ours && JSON.stringify(theirs) === '{"type":"string"}',
  },
  {
    what: "the type of a union",
    why: "Each of its options has its own.",
    is: ({ at, ours, theirs }) => / type$/.test(at) && ours === undefined && theirs === "object",
  },
  {
    what: "bounds of integers",
    why: "Those of JavaScript's numbers say nothing about the field.",
    is: ({ at, ours, theirs }) =>
      / (minimum|maximum)$/.test(at) && ours === undefined && Math.abs(Number(theirs)) === Number.MAX_SAFE_INTEGER,
  },
  {
    what: "a body whose fields may all be left out",
    why: "They require it, since the input as a whole has a field in the path. The body may be left out too.",
    is: ({ operation, at, ours, theirs }) =>
      at === "requestBody required" && !ours && theirs === true && /^POST .*\/(cancel|redrive)$/.test(operation),
  },
];

test("the document differs from trpc-to-openapi's only where it is meant to", async () => {
  const { differences, missing } = compare(readOurs(), await generateTheirs());
  expect(missing).toEqual([]);
  const unexplained = differences.filter((difference) => !explanations.some(({ is }) => is(difference)));
  expect(unexplained).toEqual([]);
  const idle = explanations.filter(({ is }) => !differences.some(is));
  expect(idle.map(({ what }) => what)).toEqual([]);
});

test("what trpc-to-openapi cannot describe at all is described", async () => {
  expect(() => generateOpenApiDocument(router(), info)).toThrow("Subscriptions are not supported by OpenAPI v3");
  const theirs = operationsOf(await generateTheirs());
  const onlyOurs = [...operationsOf(readOurs()).keys()].filter((name) => !theirs.has(name) && name.includes("/api/"));
  expect(onlyOurs.sort()).toEqual([
    "GET /api/v1/agents/{agent_id}/inbox",
    "GET /api/v1/events",
    "GET /api/v1/runs/{run_id}/events",
    // No procedure.
    "POST /api/v1/tickets",
  ]);
});

const info = { title: "KSI", version: "0.1.0", baseUrl: "/" };

type Json = { readonly [key: string]: unknown };

function readOurs(): Json {
  return JSON.parse(readKsiDocument());
}

/** Without the subscriptions, which it refuses. Its generator, unlike its handler, leaves the router's schemas alone. */
async function generateTheirs(): Promise<Json> {
  const operations = await listOperations(appRouter);
  const streams: unknown[] = operations.filter(({ type }) => type === "subscription").map(({ meta }) => meta);
  const document = generateOpenApiDocument(router(), {
    ...info,
    filter: ({ metadata }) => !streams.includes(metadata.openapi),
  });
  return JSON.parse(JSON.stringify(document));
}

/** Their type of a router wants metas of any kind, and ours is of one. */
function router(): Parameters<typeof generateOpenApiDocument>[0] {
  const any: unknown = appRouter;
  if (isTheirs(any)) return any;
  throw new Error("unreachable");
}

function isTheirs(value: unknown): value is Parameters<typeof generateOpenApiDocument>[0] {
  return value === appRouter;
}

function compare(ours: Json, theirs: Json): { differences: Difference[]; missing: string[] } {
  const known = operationsOf(ours);
  const differences: Difference[] = [];
  const missing: string[] = [];
  for (const [operation, there] of operationsOf(theirs)) {
    const here = known.get(operation);
    if (!here) missing.push(operation);
    else collect(differences, { operation, at: "", ours: here, theirs: there });
  }
  return { differences, missing };
}

/** By method and path; references are resolved, and parameters are by place and name. */
function operationsOf(document: Json): Map<string, Json> {
  const operations = new Map<string, Json>();
  for (const [path, item] of entriesOf(document.paths)) {
    for (const [method, operation] of entriesOf(item)) {
      const { parameters = [], ...rest } = toFields(resolve(document, operation, []));
      const byName = listOf(parameters).map((parameter) => {
        const fields = toFields(parameter);
        return [`${fields.in} ${fields.name}`, fields];
      });
      operations.set(`${method.toUpperCase()} ${path}`, { ...rest, parameters: Object.fromEntries(byName) });
    }
  }
  return operations;
}

function resolve(document: Json, node: unknown, within: readonly string[]): unknown {
  if (Array.isArray(node)) return node.map((item) => resolve(document, item, within));
  if (typeof node !== "object" || node === null) return node;
  const { $ref, ...rest } = toFields(node);
  const resolved = Object.fromEntries(entriesOf(rest).map(([key, value]) => [key, resolve(document, value, within)]));
  if (typeof $ref !== "string") return resolved;
  if (within.includes($ref)) return { isRecursive: true };
  const target = $ref
    .slice(2)
    .split("/")
    .reduce<unknown>((part, key) => toFields(part)[key], document);
  return { ...toFields(resolve(document, target, [...within, $ref])), ...resolved };
}

function collect(differences: Difference[], difference: Difference): void {
  const { operation, at, ours, theirs } = difference;
  if (JSON.stringify(ours) === JSON.stringify(theirs)) return;
  const [left, right] = [partsOf(ours, theirs), partsOf(theirs, ours)];
  if (!left || !right) {
    differences.push(difference);
    return;
  }
  for (const key of new Set([...Object.keys(left), ...Object.keys(right)])) {
    const path = at === "" ? key : `${at} ${key}`;
    collect(differences, { operation, at: path, ours: left[key], theirs: right[key] });
  }
}

/** What can be compared one by one. Lists of another length differ as a whole. */
function partsOf(value: unknown, other: unknown): Json | undefined {
  if (Array.isArray(value)) return Array.isArray(other) && value.length === other.length ? { ...value } : undefined;
  return isObject(value) ? value : undefined;
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function toFields(value: unknown): Json {
  return isObject(value) ? value : {};
}

function entriesOf(value: unknown): [string, unknown][] {
  return Object.entries(toFields(value));
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
