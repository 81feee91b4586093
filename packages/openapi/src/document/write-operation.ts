/** One described operation as it stands in the document. */
import type { DescribedAnswer, DescribedOperation } from "./described-operation.ts";
import type { ErrorAnswers } from "./error-answers.ts";
import type { JsonSchema, MediaType, OperationObject, Parameter, RequestBody, ResponseObject } from "./openapi.ts";
import { toParameters } from "./parameters.ts";
import type { SchemaWriter } from "./schema-writer.ts";

export interface Writers {
  readonly schemas: SchemaWriter;
  readonly errors: ErrorAnswers;
}

export function writeOperation(operation: DescribedOperation, writers: Writers): OperationObject {
  const { operationId, summary, description, tags, deprecated, security } = operation;
  const parameters = writeParameters(operation, writers.schemas);
  const requestBody = hasBody(operation) ? writeBody(operation, writers.schemas) : undefined;
  return {
    operationId,
    ...(summary !== undefined && { summary }),
    ...(description !== undefined && { description }),
    ...(tags && { tags: [...tags] }),
    ...(deprecated && { deprecated }),
    ...(security && { security: [...security] }),
    ...(parameters.length > 0 && { parameters }),
    ...(requestBody && { requestBody }),
    responses: writeAnswers(operation, writers),
  };
}

/** Whether fields that are not in the path are in the body, and not in the query. */
function hasBody({ method }: Pick<DescribedOperation, "method">): boolean {
  return method !== "GET" && method !== "DELETE";
}

/** The names in `{braces}`. */
function pathParametersOf(path: string): string[] {
  return [...path.matchAll(/\{([^{}]+)\}/g)].map(([, name = ""]) => name);
}

function writeParameters(operation: DescribedOperation, schemas: SchemaWriter): Parameter[] {
  const { operationId, path, requestHeaders, isStream, parameterTexts: texts = {} } = operation;
  const fields = fieldsOf(operation, schemas);
  const inPath = pathParametersOf(path);
  const parameters = toParameters({ where: "path", fields, schemas, texts, names: inPath });
  if (!hasBody(operation)) {
    const rest = Object.keys(fields.properties ?? {}).filter((name) => !inPath.includes(name));
    for (const parameter of toParameters({ where: "query", fields, schemas, texts, names: rest })) {
      parameters.push(...(isStream && parameter.name === "lastEventId" ? resumption(parameter.schema) : [parameter]));
    }
  }
  if (!requestHeaders) return parameters;
  const headers = schemas.resolve(schemas.write(requestHeaders, "input", `${pascal(operationId)}Headers`));
  return [...parameters, ...toParameters({ where: "header", fields: headers, schemas, texts })];
}

/** EventSource sends the header by itself when it reconnects; whoever opens a stream can also use the query. */
function resumption(schema: JsonSchema): Parameter[] {
  const description = "Resume directly after the event that had this `id:`.";
  return [
    { name: "last_event_id", in: "query", description, schema },
    { name: "Last-Event-ID", in: "header", description: `${description} Goes before \`last_event_id\`.`, schema },
  ];
}

function writeBody(operation: DescribedOperation, schemas: SchemaWriter): RequestBody | undefined {
  const { operationId, path, input, requestTypes = ["application/json"], examples } = operation;
  if (!input) return undefined;
  const inPath = pathParametersOf(path);
  const whole = schemas.write(input, "input", `${pascal(operationId)}Body`);
  const schema = inPath.length === 0 ? whole : withoutFields(fieldsOf(operation, schemas), inPath);
  const { properties, required } = schemas.resolve(schema);
  if (inPath.length > 0 && Object.keys(properties ?? {}).length === 0) return undefined;
  const isRequired = !mayLackInput(operation) && (!properties || (required && required.length > 0));
  const media: MediaType = { schema, ...(examples?.request && { examples: { ...examples.request } }) };
  return {
    ...(isRequired && { required: true }),
    content: Object.fromEntries(requestTypes.map((type) => [type, media])),
  };
}

/** The input as one object, references at its top resolved. */
function fieldsOf(operation: DescribedOperation, schemas: SchemaWriter): JsonSchema {
  const { operationId, input, fields } = operation;
  const schema = fields ?? input;
  if (!schema) return {};
  const { required = [], ...written } = schemas.resolve(schemas.write(schema, "input", `${pascal(operationId)}Input`));
  return mayLackInput(operation) ? written : { ...written, required };
}

/** With a field in the path there always is an input. */
function mayLackInput({ path, isInputOptional = false }: DescribedOperation): boolean {
  return isInputOptional && pathParametersOf(path).length === 0;
}

function withoutFields(
  { properties = {}, required = [], ...schema }: JsonSchema,
  names: readonly string[],
): JsonSchema {
  const { description: _, ...rest } = schema;
  const others = required.filter((name) => !names.includes(name));
  return {
    ...rest,
    properties: Object.fromEntries(Object.entries(properties).filter(([name]) => !names.includes(name))),
    ...(others.length > 0 && { required: others }),
  };
}

function writeAnswers(operation: DescribedOperation, { schemas, errors }: Writers): OperationObject["responses"] {
  const { operationId, answers, errorBody, examples } = operation;
  const responses: OperationObject["responses"] = {};
  for (const [status, answer] of Object.entries(answers)) {
    const hint = `${pascal(operationId)}Answer${status === "200" ? "" : status}`;
    responses[status] = writeAnswer(answer, schemas, hint, examples?.answers?.[Number(status)]);
  }
  for (const [status, text] of errorEntries(operation.errors)) {
    responses[status] ??= errors.answer(status, errorBody, text);
  }
  return responses;
}

function writeAnswer(
  { description, content, headers }: DescribedAnswer,
  schemas: SchemaWriter,
  hint: string,
  examples: MediaType["examples"],
): ResponseObject {
  const head = headers && schemas.resolve(schemas.write(headers, "output", `${hint}Headers`));
  const media = Object.entries(content ?? {}).map(([type, schema], i): [string, MediaType] => [
    type,
    { schema: schemas.write(schema, "output", hint + (i || "")), ...(i === 0 && examples && { examples }) },
  ]);
  return {
    description,
    ...(head && { headers: toHeaders(head) }),
    ...(media.length > 0 && { content: Object.fromEntries(media) }),
  };
}

function toHeaders({ properties = {}, required = [] }: JsonSchema): NonNullable<ResponseObject["headers"]> {
  const headers = Object.entries(properties).map(([name, { description, ...schema }]) => [
    name,
    {
      ...(description !== undefined && { description }),
      ...(required.includes(name) && { required: true }),
      schema,
    },
  ]);
  return Object.fromEntries(headers);
}

function errorEntries(errors: DescribedOperation["errors"]): [status: number, text: string | undefined][] {
  const entries: [status: number, text: string | undefined][] = isList(errors)
    ? [...new Set(errors)].map((status) => [status, undefined])
    : Object.entries(errors).map(([status, text]) => [Number(status), text]);
  return entries.sort(([a], [b]) => a - b);
}

/** Unlike `Array.isArray` it tells TypeScript what else there is. */
export function isList<Other extends object>(errors: readonly number[] | Other): errors is readonly number[] {
  return Array.isArray(errors);
}

/** `runs_spawn` → `RunsSpawn`. */
function pascal(operationId: string): string {
  return operationId.replace(/(?:^|[^A-Za-z0-9])+([A-Za-z0-9]?)/g, (_, letter: string) => letter.toUpperCase());
}
