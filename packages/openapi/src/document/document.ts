/** OpenAPI 3.1.1 from a tRPC router. */
import type { AnyTRPCRouter } from "@trpc/server";
import type { z } from "zod";
import { listOperations, type Operation } from "../rest/operations.ts";
import { describeProcedure, type ProcedureNotes } from "./describe-procedure.ts";
import type { DescribedOperation } from "./described-operation.ts";
import { createErrorAnswers, defaultErrorBody, type ErrorBody } from "./error-answers.ts";
import type {
  Info,
  LowerMethod,
  OpenApiDocument,
  PathItem,
  SecurityRequirement,
  SecurityScheme,
  Server,
  Tag,
} from "./openapi.ts";
import type { SchemaTexts } from "./schema-texts.ts";
import { createSchemaWriter } from "./schema-writer.ts";
import { type Writers, writeOperation } from "./write-operation.ts";

export type { ProcedureNotes } from "./describe-procedure.ts";
export type { DescribedAnswer, DescribedOperation, OperationExamples } from "./described-operation.ts";
export type { ErrorBody } from "./error-answers.ts";
export type * from "./openapi.ts";
export type { SchemaTexts } from "./schema-texts.ts";

export interface OpenApiDocumentOptions extends Info {
  /** Default: the origin that serves the document. */
  readonly servers?: readonly Server[];
  /** Before the path of every procedure, as for `createOpenApiHandler`. */
  readonly basePath?: `/${string}`;
  /** Default: `bearer`, a token in the Authorization header. */
  readonly securitySchemes?: Readonly<Record<string, SecurityScheme>>;
  /** What operations need unless they say otherwise. Default: the first of `securitySchemes`. */
  readonly security?: readonly SecurityRequirement[];
  readonly tags?: readonly Tag[];
  /**
   * Schemas that become components, by name, wherever a procedure uses them; those with an `id` in `.meta()` do so by
   * themselves. The options of a discriminated union need names, or the union is written without its discriminator.
   */
  readonly schemas?: Readonly<Record<string, z.core.$ZodType>>;
  /** Descriptions for the schemas with a name. */
  readonly texts?: Readonly<Record<string, SchemaTexts>>;
  /** By procedure: `runs.spawn`. */
  readonly notes?: Readonly<Record<string, ProcedureNotes>>;
  /** The shapes of error bodies by name, that of the procedures first. Default: `Error`, as `createOpenApiHandler` answers. */
  readonly errors?: Readonly<Record<string, ErrorBody>>;
  /** Error statuses of a procedure, beside those that follow from its input and its meta. Default: none. */
  readonly commonErrors?: (operation: Operation) => readonly number[];
  /** What is served beside the router. */
  readonly operations?: readonly DescribedOperation[];
  /** Requests that the server sends, by a name of the webhook; their paths are not looked at. */
  readonly webhooks?: Readonly<Record<string, DescribedOperation>>;
}

/**
 * Describes every procedure with `meta.openapi`, by the convention of trpc-openapi, as `createOpenApiHandler` serves it:
 * parameters and bodies as a caller may send them, answers as they come, subscriptions as `text/event-stream` with the
 * schema of the JSON in one `data:`. Operation ids are the procedure's path with `_`: `runs_spawn`. HEAD is not written.
 *
 * Rejects as `listOperations` does, and where a schema cannot travel as JSON (a function, say), a note is for a procedure
 * that is not there, or an operation id is used twice. Gives the same for the same input.
 */
export async function createOpenApiDocument(
  router: AnyTRPCRouter,
  options: OpenApiDocumentOptions,
): Promise<OpenApiDocument> {
  const { servers = [{ url: "/" }], securitySchemes = bearer, tags, webhooks } = options;
  const bodies = options.errors ?? { Error: defaultErrorBody };
  const schemas = createSchemaWriter({
    schemas: { ...options.schemas, ...schemasOf(bodies, options.schemas) },
    texts: options.texts ?? {},
  });
  const errors = createErrorAnswers(bodies, schemas);
  const writers = { schemas, errors };
  const operations = [...(await describeRouter(router, options)), ...(options.operations ?? [])];
  const paths = writePaths(operations, writers);
  const called = webhooks && writeWebhooks(webhooks, writers);
  const written = schemas.finish({ paths, ...(called && { webhooks: called }), responses: sorted(errors.components) });
  const { responses, ...body } = written.document;
  return {
    openapi: "3.1.1",
    info: infoOf(options),
    servers: [...servers],
    security: [...(options.security ?? firstOf(securitySchemes))],
    ...(tags && { tags: [...tags] }),
    ...body,
    components: { schemas: written.schemas, responses, securitySchemes: { ...securitySchemes } },
  };
}

const bearer = { bearer: { type: "http", scheme: "bearer" } } as const;

function firstOf(schemes: Readonly<Record<string, SecurityScheme>>): SecurityRequirement[] {
  const [name] = Object.keys(schemes);
  return name === undefined ? [] : [{ [name]: [] }];
}

function infoOf({ title, version, summary, description, license, contact }: Info): Info {
  return {
    title,
    version,
    ...(summary !== undefined && { summary }),
    ...(description !== undefined && { description }),
    ...(license && { license }),
    ...(contact && { contact }),
  };
}

/** Under the names of the bodies, unless one of them is given to another schema. */
function schemasOf(
  bodies: Readonly<Record<string, ErrorBody>>,
  taken: OpenApiDocumentOptions["schemas"] = {},
): Record<string, z.core.$ZodType> {
  const free = Object.entries(bodies).filter(([name]) => !Object.hasOwn(taken, name));
  return Object.fromEntries(free.map(([name, { schema }]) => [name, schema]));
}

async function describeRouter(
  router: AnyTRPCRouter,
  { notes = {}, commonErrors = () => [], basePath = "/" }: OpenApiDocumentOptions,
): Promise<DescribedOperation[]> {
  const operations = await listOperations(router);
  const known = new Set(operations.map(({ procedure }) => procedure));
  const stray = Object.keys(notes).find((procedure) => !known.has(procedure));
  if (stray !== undefined) throw new Error(`There is a note for ${stray}, but no such procedure with meta.openapi.`);
  return operations.map((operation) => {
    const described = describeProcedure(operation, notes[operation.procedure] ?? {}, commonErrors(operation));
    return { ...described, path: join(basePath, described.path) };
  });
}

function join(basePath: string, path: string): `/${string}` {
  return `/${[...basePath.split("/"), ...path.split("/")].filter((segment) => segment !== "").join("/")}`;
}

function writePaths(operations: readonly DescribedOperation[], writers: Writers): Record<string, PathItem> {
  const paths: Record<string, PathItem> = {};
  const ids = new Set<string>();
  for (const operation of operations) {
    const { operationId, path } = operation;
    if (ids.has(operationId)) throw new Error(`The operation id ${operationId} is used twice.`);
    ids.add(operationId);
    paths[path] = { ...paths[path], [methodOf(operation)]: writeNamed(operation, writers) };
  }
  return paths;
}

function writeWebhooks(
  webhooks: Readonly<Record<string, DescribedOperation>>,
  writers: Writers,
): Record<string, PathItem> {
  const entries = Object.entries(webhooks).map(([name, operation]) => [
    name,
    { [methodOf(operation)]: writeNamed(operation, writers) },
  ]);
  return Object.fromEntries(entries);
}

function writeNamed(operation: DescribedOperation, writers: Writers) {
  try {
    return writeOperation(operation, writers);
  } catch (cause) {
    throw new Error(`${operation.operationId} cannot be described: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    });
  }
}

const lower = { GET: "get", POST: "post", PUT: "put", PATCH: "patch", DELETE: "delete" } as const;

function methodOf({ method }: DescribedOperation): LowerMethod {
  return lower[method];
}

function sorted<T>(record: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}
