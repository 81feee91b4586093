/** What has nothing to do with an operation's own fields: credentials, methods, media types, broken and huge requests. */
import type { ApiDocument, Operation } from "./api-document.ts";
import { type Input, toRequest } from "./input.ts";
import type { ApiRequest } from "./send.ts";

export interface Case {
  readonly what: string;
  readonly request: ApiRequest;
  /** One of these must be answered. Undefined where the answer is that of the plain request. */
  readonly statuses: readonly number[] | undefined;
}

export interface CaseOptions {
  readonly document: ApiDocument;
  readonly operation: Operation;
  /** A valid one. */
  readonly input: Input;
  readonly token: string;
}

/** Each must be answered in one of its statuses, and as the document says. */
export function mannersOf(options: CaseOptions): Case[] {
  return [...credentials(options), ...oddHeaders(options), ...bodies(options), ...urls(options)];
}

/** The wrong methods for the operation's path, and what `Allow` must say. */
export function wrongMethods({ document, operation, input, token }: CaseOptions) {
  const request = toRequest(operation, { ...input, body: undefined, query: {} }, token);
  const [path = ""] = request.path.split("?");
  const served = document.operations.filter((other) => toPattern(other.path).test(path)).map(({ method }) => method);
  const allow = [...served, ...(served.includes("GET") ? ["HEAD"] : []), "OPTIONS"].sort();
  const requests = allMethods
    .filter((method) => !allow.includes(method))
    .map((method): ApiRequest => ({ ...request, method }));
  return { allow, requests };
}

const allMethods = ["GET", "POST", "PUT", "PATCH", "DELETE", "PROPFIND", "TRACE"];

function toPattern(path: string): RegExp {
  return new RegExp(`^${path.replaceAll(/\{[^}]+\}/g, "[^/]+").replaceAll(".", "\\.")}$`);
}

function credentials({ operation, input, token }: CaseOptions): Case[] {
  const isSocket = operation.id === "events_socket";
  const refused = isSocket ? [426] : operation.isOpen ? undefined : [401];
  const wrong = ["", "Bearer", "Bearer ", `Bearer ${token}x`, `Bearer x${token}`, token, `Basic ${token}`, "Bearer é"];
  const cases = [undefined, ...wrong].map(
    (authorization): Case => ({
      what: `authorization: ${authorization}`,
      request: toRequest(operation, input, token, { authorization }),
      statuses: refused,
    }),
  );
  const guessed = { ...input, query: { ...input.query, ticket: "guessed" } };
  return [
    ...cases,
    {
      what: "a guessed ticket",
      request: toRequest(operation, guessed, token, { authorization: undefined }),
      statuses: refused,
    },
    {
      what: "the scheme in other letters",
      request: toRequest(operation, input, token, { authorization: `bEARER ${token}` }),
      statuses: undefined,
    },
  ];
}

function oddHeaders({ operation, input, token }: CaseOptions): Case[] {
  const withHeaders = (headers: Record<string, string>, statuses?: readonly number[]): Case => ({
    what: JSON.stringify(headers),
    request: toRequest(operation, input, token, headers),
    statuses,
  });
  return [
    withHeaders({ host: "evil.example" }, [403]),
    withHeaders({ host: "127.0.0.1.evil.example:80" }, [403]),
    withHeaders({ origin: "https://evil.example" }, [403]),
    withHeaders({ origin: "null" }, [403]),
    ...harmless.map((headers) => withHeaders(headers)),
  ];
}

const harmless: readonly Record<string, string>[] = [
  { accept: "text/html, */*;q=0" },
  { accept: "\u00ff;;;=" },
  { "accept-encoding": "br;q=1, nonsense" },
  { range: "bytes=5-2" },
  { "if-modified-since": "yesterday" },
  { "if-none-match": '"x", W/"y"' },
  { cookie: "a=b; __proto__=c" },
  { "x-request-id": "no good id \u00e9" },
  { "x-http-method-override": "DELETE" },
  { "x-forwarded-host": "evil.example", "x-forwarded-proto": "https", forwarded: "for=_x" },
  { te: "trailers" },
  { connection: "Upgrade, HTTP2-Settings", upgrade: "h2c", "http2-settings": "AAMAAABkAAQAoAAAAAIAAAAA" },
  { expect: "100-continue" },
  { constructor: "x", __proto__x: "y" },
  { "x-long": "x".repeat(8_000) },
];

function bodies(options: CaseOptions): Case[] {
  const { operation, input, token } = options;
  if (!operation.body) return ignoredBodies(options);
  const isOpenAi = operation.path.startsWith("/v1/");
  const given = input.body ?? {};
  const request = toRequest(operation, { ...input, body: given }, token);
  const text = String(request.body);
  const cased = (what: string, change: Partial<ApiRequest>, statuses?: readonly number[]): Case => ({
    what,
    request: { ...request, ...change },
    statuses,
  });
  const typed = (type: string, statuses?: readonly number[]) =>
    cased(`content-type: ${type}`, { headers: { ...request.headers, "content-type": type } }, statuses);
  const invalid = isOpenAi ? 400 : 422;
  const tooLarge = { body: `${" ".repeat(maxBodyBytes)}${text}` };
  return [
    ...foreignTypes.map((type) => typed(type, [415])),
    ...[...jsonTypes, ...(isOpenAi ? [] : ["application/problem+json"])].map((type) => typed(type)),
    ...["gzip", "br", "x, gzip"].map((encoding) =>
      cased(`content-encoding: ${encoding}`, { headers: { ...request.headers, "content-encoding": encoding } }, [415]),
    ),
    ...brokenTexts(text).map((broken) => cased(`the body ${broken.slice(-40)}`, { body: broken }, [400])),
    cased("bytes that are no UTF-8", { body: Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]) }, [400]),
    ...["[]", "null", "7", '"x"', "true", "[{}]"].map((other) =>
      cased(`the body ${other}`, { body: other }, [invalid]),
    ),
    cased("a body over the limit", tooLarge, [413]),
    cased("a body over the limit in chunks", { ...tooLarge, isChunked: true }, [413]),
    cased("a body in chunks", { isChunked: true }),
    ...[500, 50_000].map((depth) =>
      cased(`${depth} brackets in a field that nobody knows`, { body: withField(text, `"unknown":${nested(depth)}`) }),
    ),
    cased("names that every object has", { body: withField(text, inherited) }),
    cased("a name twice", { body: withField(text, text.slice(1, -1) || '"a":1,"a":2') }),
    ...[900, 1_500, 50_000].flatMap((depth) =>
      deepFields(options, depth).map((body) => cased(`${depth} brackets`, { body }, [200, 400, 422])),
    ),
  ];
}

const maxBodyBytes = 8_388_608;

/** Says nothing where nothing is asked. */
function ignoredBodies({ operation, input, token }: CaseOptions): Case[] {
  const request = toRequest(operation, input, token);
  return ["{}", "{", "x".repeat(10_000)].map((body) => ({
    what: `the body ${body.slice(0, 20)}`,
    request: { ...request, body, headers: { ...request.headers, "content-type": "application/json" } },
    statuses: undefined,
  }));
}

const foreignTypes = [
  ...["text/plain", "text/json", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data"],
  ...["application/jsonp", "json", "*/*", "application/json; charset=nonsense", "application/octet-stream"],
];

const jsonTypes = [
  ...["application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"', "application/json ; charset=UTF8"],
  "application/json; boundary=x; charset=utf-8",
];

function brokenTexts(text: string): string[] {
  return [
    text.slice(0, -1),
    `${text}}`,
    `${text}x`,
    `${text},${text}`,
    `\u0000${text}`,
    "{a:1}",
    "{'a':1}",
    "NaN",
    "{",
  ];
}

function nested(depth: number): string {
  return "[".repeat(depth) + "]".repeat(depth);
}

const inherited = '"__proto__":{"isAdmin":true},"constructor":{"prototype":{"x":1}},"toString":1,"valueOf":null';

function withField(object: string, field: string): string {
  return object === "{}" ? `{${field}}` : `${object.slice(0, -1)},${field}}`;
}

/** The body, with arrays in arrays in each of its fields that take any JSON. */
function deepFields({ document, operation, input }: CaseOptions, depth: number): string[] {
  if (!operation.body) return [];
  const { properties = {} } = document.resolve(operation.body.schema).schema;
  const isOpen = (name: string) =>
    document.faultsOf(properties[name] ?? {}, {}).length === 0 &&
    document.faultsOf(properties[name] ?? {}, { a: [] }).length === 0;
  return Object.keys(properties)
    .filter(isOpen)
    .map((name) =>
      withField(JSON.stringify({ ...Object(input.body), [name]: undefined }), `"${name}":{"a":${nested(depth)}}`),
    );
}

function urls({ operation, input, token }: CaseOptions): Case[] {
  const { parameters, path } = operation;
  const request = toRequest(operation, input, token);
  const [plain = ""] = request.path.split("?");
  const at = (what: string, to: string, statuses?: readonly number[]): Case => ({
    what: `${what}: ${to.slice(0, 100)}`,
    request: { ...request, path: to },
    statuses,
  });
  const inPath = parameters.filter((parameter) => parameter.in === "path");
  const brokenSegments = inPath.flatMap(({ name }) =>
    ["%", "%zz", "%2", "%ff", "%c0%af"].map((wrong) => {
      const broken = path.replace(`{${name}}`, `a${wrong}`).replaceAll(/\{[^}]+\}/g, "a");
      return at("a broken escape", broken, [400]);
    }),
  );
  // Who takes no fields in the query does not look at it.
  const isRead = !["POST", "PUT"].includes(operation.method) && path.startsWith("/api/") && parameters.length > 0;
  const queries = ["%", "x=%zz", "%ff=1"].map((query) =>
    at("a broken escape", `${plain}?${query}`, isRead ? [400] : undefined),
  );
  const scalars = parameters.filter((parameter) => parameter.in === "query" && parameter.schema.type !== "array");
  const twice = path === "/ws" ? [426] : [422];
  const repeated = scalars.map(({ name }) => at("given twice", `${plain}?${name}=1&${name}=1`, twice));
  const odd = [
    "",
    "&&",
    "=",
    "&=&",
    "a",
    "a[",
    "a]=1",
    "[a]=1",
    "a[__proto__][x]=1",
    "__proto__[x]=1",
    "a=1&a=2",
    "#x",
  ];
  return [...brokenSegments, ...queries, ...repeated, ...odd.map((query) => at("an odd query", `${plain}?${query}`))];
}
