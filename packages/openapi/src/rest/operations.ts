/** Which procedures of a router are served over REST, and where: those with `meta.openapi`, by trpc-openapi's convention. */
import type { AnyTRPCProcedure, AnyTRPCRouter } from "@trpc/server";
import { z } from "zod";
import { type InputObject, inputObject } from "./input-object.ts";

/** What may stand in a procedure's `meta`. Give it to `initTRPC.meta<OpenApiMeta>()`, alone or with members of your own. */
export interface OpenApiMeta {
  openapi?: OpenApiOperationMeta;
}

/** Where and how one procedure is served. Only `method` and `path` are needed. */
export interface OpenApiOperationMeta {
  /** `false` hides the procedure from REST and from the document. Default: `true`. */
  readonly enabled?: boolean;
  /** A subscription must be `GET`. */
  readonly method: OpenApiMethod;
  /**
   * Starts with a slash. `{name}` takes what is between two slashes, or a part of it, as the input's field
   * `name`: `/users/{id}`, `/files/{name}.json`.
   */
  readonly path: `/${string}`;
  /** Default: chosen by the document from the procedure's name. */
  readonly operationId?: string;
  readonly summary?: string;
  /** May hold Markdown. */
  readonly description?: string;
  /** `false` where the document should ask for no credentials. It does not open or close anything. */
  readonly protect?: boolean;
  readonly tags?: readonly string[];
  /** Bodies taken beside JSON; `application/x-www-form-urlencoded` is the only one. Default: JSON alone. */
  readonly contentTypes?: readonly string[];
  readonly deprecated?: boolean;
  /** For the document. The handler does not read them. */
  readonly requestHeaders?: z.ZodObject;
  /** For the document. The handler does not set them. */
  readonly responseHeaders?: z.ZodObject;
  readonly successDescription?: string;
  /** Statuses that the document lists beside those that every operation can have. */
  readonly errorResponses?: readonly number[] | Readonly<Record<number, string>>;
}

export type OpenApiMethod = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** One procedure as it is served over REST. */
export interface Operation {
  /** In the router: `runs.spawn`. */
  readonly procedure: string;
  readonly type: "query" | "mutation" | "subscription";
  readonly method: OpenApiMethod;
  /** As in the meta, without the handler's `basePath`: `/users/{id}`. */
  readonly path: `/${string}`;
  readonly meta: OpenApiOperationMeta;
  /** The names in the path, in its order. Each is a field of `input`. */
  readonly pathParameters: readonly string[];
  /**
   * The fields of all `.input()` together: the procedure's own object where there is one input, a new one where there are
   * several. It says what may be sent; validation is tRPC's, with the schemas of the procedure. `undefined` without input.
   */
  readonly input: z.ZodObject | undefined;
  /**
   * What may be sent as a whole: the procedure's own schema where there is one input, the intersection where there are
   * several. Says more than `input` where that is a union, or wrapped as an optional.
   */
  readonly schema: z.core.$ZodType | undefined;
  /** Whether a call may come without any input, as with `z.object({ … }).optional()`. */
  readonly isInputOptional: boolean;
  /** What `.output()` was given, where that is a zod schema. */
  readonly output: z.ZodType | undefined;
}

/**
 * Whether there is something for a body to say: fields outside the path, with a method that has a body. GET and DELETE take
 * them from the query.
 */
export function takesBody({ method, input, pathParameters }: Operation): boolean {
  if (method === "GET" || method === "DELETE" || !input) return false;
  return pathParameters.length === 0 || Object.keys(input.shape).some((name) => !pathParameters.includes(name));
}

/**
 * All procedures of `router` with `meta.openapi` that is not `enabled: false`, in the router's order. Lazy routers are
 * loaded, and come last.
 *
 * Rejects with an `Error` that names the procedure where: the method or path is none, two procedures share method and
 * path (names of parameters do not tell them apart), a path parameter is not in the input, an input is not a zod 4
 * object, or a subscription's method is not GET. Safe to repeat.
 */
export async function listOperations(router: AnyTRPCRouter): Promise<Operation[]> {
  await loadLazyRouters(router);
  return readOperations(router);
}

/** Loads what `lazy()` has put off, also what lies within it. */
export async function loadLazyRouters({ _def }: AnyTRPCRouter): Promise<void> {
  for (let loaders = Object.values(_def.lazy); loaders.length > 0; loaders = Object.values(_def.lazy)) {
    for (const loader of loaders) await loader.load();
  }
}

/** As `listOperations`, of what is loaded by now. Throws at once. */
export function readOperations({ _def }: AnyTRPCRouter): Operation[] {
  const procedures: Record<string, AnyTRPCProcedure> = _def.procedures;
  const operations: Operation[] = [];
  const taken = new Map<string, string>();
  for (const [name, procedure] of Object.entries(procedures)) {
    const operation = toOperation(name, procedure);
    if (!operation) continue;
    const place = `${operation.method} ${operation.path.replace(parameter, "{}").replace(/(.)\/$/, "$1")}`;
    const other = taken.get(place);
    if (other) throw fault(name, `is at ${operation.method} ${operation.path}, where ${other} is already`);
    taken.set(place, name);
    operations.push(operation);
  }
  return operations;
}

/** `{name}` in a path. */
export const parameter = /\{([^{}]+)\}/g;

function toOperation(name: string, procedure: AnyTRPCProcedure): Operation | undefined {
  const { type, inputs } = procedure._def;
  const meta = readMeta(name, procedure._def.meta);
  if (!meta) return undefined;
  const { method, path } = meta;
  if (type === "subscription" && method !== "GET") {
    throw fault(name, `is a subscription, which is served by GET and not by ${method}`);
  }
  const input = readInputs(name, inputs);
  const pathParameters = readPathParameters(name, path, input);
  return {
    procedure: name,
    type,
    method,
    path,
    meta,
    pathParameters,
    input: input?.object,
    schema: input?.schema,
    isInputOptional: input?.isOptional ?? true,
    output: outputOf(procedure._def),
  };
}

function readMeta(name: string, meta: unknown): OpenApiOperationMeta | undefined {
  if (!hasOpenApi(meta) || !meta.openapi || meta.openapi.enabled === false) return undefined;
  const { method, path } = meta.openapi;
  if (!methods.includes(method)) throw fault(name, `has the method ${method}, which is none of ${methods.join(", ")}`);
  const isPath = typeof path === "string" && path.startsWith("/") && !/[?#\s]/.test(path);
  if (!isPath || /[{}]/.test(path.replace(parameter, ""))) {
    throw fault(name, `has the path ${path}, which is none: write one like /users/{id}`);
  }
  if (path.split("/").some((segment) => segment.split(parameter).length > 3)) {
    throw fault(name, `has two parameters between two slashes of the path ${path}, which cannot be told apart`);
  }
  return meta.openapi;
}

const methods: readonly OpenApiMethod[] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

function hasOpenApi(meta: unknown): meta is OpenApiMeta {
  return typeof meta === "object" && meta !== null && "openapi" in meta;
}

function readInputs(name: string, inputs: readonly unknown[]): (InputObject & { schema: z.core.$ZodType }) | undefined {
  const schemas = inputs.map((input) => {
    if (input instanceof z.core.$ZodType) return input;
    throw fault(name, "has an input that is no zod 4 schema");
  });
  // Inputs that take nothing, as `z.void()`, say that there is none.
  const [first, ...others] = schemas.filter((schema) => !["void", "undefined"].includes(schema._zod.def.type));
  if (!first) return undefined;
  const schema = others.reduce<z.core.$ZodType>((left, right) => z.intersection(left, right), first);
  const object = inputObject(schema);
  if (!object) throw fault(name, "has an input that is no object, so that its fields have no names on the wire");
  return { ...object, schema };
}

function readPathParameters(name: string, path: string, input: InputObject | undefined): string[] {
  const parameters = [...path.matchAll(parameter)].map(([, key = ""]) => key);
  for (const [index, key] of parameters.entries()) {
    if (parameters.indexOf(key) !== index) throw fault(name, `has {${key}} twice in the path ${path}`);
    if (!input || !Object.hasOwn(input.object.shape, key)) {
      throw fault(name, `has {${key}} in the path ${path}, but its input has no field of that name`);
    }
  }
  return parameters;
}

function outputOf(definition: object): z.ZodType | undefined {
  return "output" in definition && definition.output instanceof z.ZodType ? definition.output : undefined;
}

function fault(procedure: string, message: string): Error {
  return new Error(`The procedure ${procedure} ${message}.`);
}
