/** What a caller says to an operation, and how it travels. */
import fc from "fast-check";
import type { ApiDocument, Operation, Parameter, Schema } from "./api-document.ts";
import type { ApiRequest } from "./send.ts";
import type { Values } from "./values.ts";

export interface Input {
  readonly path: Fields;
  readonly query: Fields;
  readonly header: Fields;
  /** `undefined` for none. */
  readonly body: unknown;
}

export type Fields = Readonly<Record<string, unknown>>;

/** Inputs that the document says are valid. */
export function inputsOf(operation: Operation, values: Values): fc.Arbitrary<Input> {
  const { id, body, parameters } = operation;
  const at = (place: Parameter["in"]) => {
    const here = parameters.filter((parameter) => parameter.in === place);
    const fields = here.map(({ name, schema }): [string, fc.Arbitrary<unknown>] => {
      const drawn = values(schema, `${id}.${name}`);
      return [name, place === "header" ? drawn.filter(isHeaderValue) : drawn];
    });
    const requiredKeys = here.filter(({ required }) => required).map(({ name }) => name);
    return fc.record(Object.fromEntries(fields), { requiredKeys, noNullPrototype: true });
  };
  const bodies = body ? values(body.schema, id) : fc.constant(undefined);
  return fc.record({
    path: at("path"),
    query: fc.tuple(unknownFields, at("query")).map(([unknown, known]) => ({ ...unknown, ...known })),
    header: at("header"),
    body: body?.isRequired === false ? fc.option(bodies, { nil: undefined }) : bodies,
  });
}

const unknownFields = fc.dictionary(
  fc.constantFrom("command", "__proto__", "constructor", "toString", "utm[source]", "日", " "),
  fc.constantFrom("", "1", "a b", "[]", "{}", "✓"),
  { maxKeys: 1, noNullPrototype: true },
);

/** Also without spaces around it, which HTTP takes off. */
function isHeaderValue(value: unknown): boolean {
  return typeof value === "string" && /^[!-~]([ -~]*[!-~])?$/.test(value);
}

/** With the token, unless `headers` say something else. */
export function toRequest(operation: Operation, input: Input, token: string, headers: Headers = {}): ApiRequest {
  const { method, path } = operation;
  const filled = path.replace(/\{([^}]+)\}/g, (_, name: string) => encode(input.path[name]));
  const query = Object.entries(input.query)
    .flatMap(([name, value]) => [value].flat().map((each) => `${encode(name)}=${encode(each)}`))
    .join("&");
  const body = input.body === undefined ? undefined : JSON.stringify(input.body);
  const given = Object.entries(input.header).map(([name, value]) => [name.toLowerCase(), String(value)]);
  return {
    method,
    path: query ? `${filled}?${query}` : filled,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body !== undefined && { "content-type": "application/json" }),
      ...Object.fromEntries(given),
      ...headers,
    },
    ...(body !== undefined && { body }),
  };
}

type Headers = Readonly<Record<string, string | undefined>>;

function encode(value: unknown): string {
  return encodeURIComponent(String(value).toWellFormed());
}

/** What in an input does not fit its schema, such as `limit: it must be >= 1`. Empty for one that is valid. */
export function faultsOf(document: ApiDocument, { parameters, body }: Operation, input: Input): string[] {
  const held: [string, Schema, unknown][] = parameters
    .filter((parameter) => Object.hasOwn(input[parameter.in], parameter.name))
    .map((parameter) => [parameter.name, parameter.schema, input[parameter.in][parameter.name]]);
  if (body && input.body !== undefined) held.push(["body", body.schema, input.body]);
  return held.flatMap(([name, schema, value]) => document.faultsOf(schema, value).map((fault) => `${name}: ${fault}`));
}
