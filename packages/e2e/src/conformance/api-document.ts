/** The OpenAPI document as a stranger reads it: its operations, and what a value is held against. */
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

/** JSON Schema 2020-12, as far as the document uses it. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly oneOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
}

export interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required?: boolean;
  readonly schema: Schema;
}

export interface DocumentedBody {
  readonly isRequired: boolean;
  readonly schema: Schema;
  /** The first of its examples. */
  readonly example: unknown;
}

export interface DocumentedAnswer {
  /** By media type. Without it the answer has no body. */
  readonly content?: Readonly<Record<string, { readonly schema: Schema }>>;
  readonly headers?: Readonly<Record<string, { readonly required?: boolean; readonly schema: Schema }>>;
}

export interface Operation {
  /** `GET /api/v1/runs/{run_id}`. */
  readonly name: string;
  readonly id: string;
  readonly method: string;
  readonly path: string;
  /** Whether it needs no token. */
  readonly isOpen: boolean;
  readonly parameters: readonly Parameter[];
  readonly body: DocumentedBody | undefined;
  readonly answers: ReadonlyMap<number, DocumentedAnswer>;
}

export interface ApiDocument {
  readonly operations: readonly Operation[];
  operation(id: string): Operation;
  /** What `schema` refers to, and its name; the schema itself where it refers to nothing. */
  resolve(schema: Schema): { readonly schema: Schema; readonly name: string | undefined };
  /** What is wrong with `value`, a sentence each. */
  faultsOf(schema: Schema, value: unknown): string[];
  /** What every failure at this path looks like. */
  errorSchema(path: string): Schema;
}

export function readApiDocument(text: string): ApiDocument {
  const raw: RawDocument = JSON.parse(text);
  const { components, paths } = raw;
  const operations = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => readOperation(raw, path, method.toUpperCase(), operation)),
  );
  const validators = new WeakMap<Schema, ValidateFunction>();

  function validatorOf(schema: Schema): ValidateFunction {
    const known = validators.get(schema);
    if (known) return known;
    const made = ajv.compile({ allOf: [schema], components });
    validators.set(schema, made);
    return made;
  }

  return {
    operations,
    operation(id) {
      const found = operations.find((operation) => operation.id === id);
      if (!found) throw new Error(`The document has no operation ${id}.`);
      return found;
    },
    resolve(schema) {
      const name = schema.$ref?.split("/").at(-1);
      return name === undefined ? { schema, name } : { schema: componentOf(components.schemas, name), name };
    },
    faultsOf(schema, value) {
      const isValid = validatorOf(schema);
      if (isValid(value)) return [];
      return (isValid.errors ?? []).map(({ instancePath, message }) => `${instancePath || "it"} ${message}`);
    },
    errorSchema: (path) => ({ $ref: `#/components/schemas/${path.startsWith("/v1/") ? "OpenAiError" : "Error"}` }),
  };
}

const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats.default(ajv);

interface RawDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, RawOperation>>>>;
  readonly security: readonly object[];
  readonly components: {
    readonly schemas: Readonly<Record<string, Schema>>;
    readonly responses: Readonly<Record<string, DocumentedAnswer>>;
  };
}

interface RawOperation {
  readonly operationId: string;
  readonly security?: readonly object[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: {
    readonly required?: boolean;
    readonly content: Readonly<Record<string, RawBody>>;
  };
  readonly responses: Readonly<Record<string, DocumentedAnswer & { readonly $ref?: string }>>;
}

interface RawBody {
  readonly schema: Schema;
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>;
}

function readOperation(raw: RawDocument, path: string, method: string, operation: RawOperation): Operation {
  const { operationId, security = raw.security, parameters = [], requestBody, responses } = operation;
  const body = requestBody?.content["application/json"];
  const [example] = Object.values(body?.examples ?? {});
  const answers = Object.entries(responses).map(([status, answer]): [number, DocumentedAnswer] => {
    const name = answer.$ref?.split("/").at(-1);
    return [Number(status), name === undefined ? answer : componentOf(raw.components.responses, name)];
  });
  return {
    name: `${method} ${path}`,
    id: operationId,
    method,
    path,
    isOpen: security.length === 0,
    parameters,
    body: body && {
      isRequired: requestBody?.required ?? false,
      schema: body.schema,
      example: example?.value,
    },
    answers: new Map(answers),
  };
}

function componentOf<T>(components: Readonly<Record<string, T>>, name: string): T {
  const found = components[name];
  if (found === undefined) throw new Error(`The document has no component ${name}.`);
  return found;
}
