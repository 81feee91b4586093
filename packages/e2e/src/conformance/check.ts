/** Holds an answer against the document. */
import type { ApiDocument, DocumentedAnswer, Operation, Schema } from "./api-document.ts";
import { failsOnOrder, unexcused } from "./exceptions.ts";
import type { Input } from "./input.ts";
import type { Answer } from "./send.ts";

/** What is wrong with the answer to an input that the document says is valid. Empty where nothing is. */
export function faultsOfTaken(document: ApiDocument, operation: Operation, input: Input, answer: Answer): string[] {
  const refusals = [400, 415, 422].includes(answer.status) ? unexcused(operation, input, answer) : [];
  return [...faultsOfAnswer(document, operation, answer, failsOnOrder(input)), ...refusals];
}

/** What is wrong with the answer to a request that must end with one of these statuses. */
export function faultsOfRefused(
  document: ApiDocument,
  operation: Operation,
  statuses: readonly number[],
  answer: Answer,
): string[] {
  const isWanted = statuses.includes(answer.status);
  const wrong = isWanted ? [] : [`answered ${answer.status} in place of ${statuses.join(" or ")}: ${start(answer)}`];
  return [...wrong, ...faultsOfAnswer(document, operation, answer)];
}

/** What is wrong with an answer to whatever it was. A 5xx always is, unless the agent was told to fail. */
export function faultsOfAnswer(document: ApiDocument, operation: Operation, answer: Answer, mayFail = false): string[] {
  const { status, headers } = answer;
  const isFault = status >= 500 && !(mayFail && status !== 500);
  const fault = isFault ? [`answered ${status}: ${start(answer)}`] : [];
  const noId = headers["x-request-id"] ? [] : ["answered without x-request-id"];
  const documented = operation.answers.get(status);
  if (!documented) return [...fault, ...noId, `the document has no ${status}, which was answered: ${start(answer)}`];
  const wrong = [
    ...faultsOfHeaders(document, documented, answer),
    ...faultsOfBody(document, operation, documented, answer),
  ];
  return [...fault, ...noId, ...wrong];
}

/** What is wrong with an error that no operation has, such as that of a path that is not served. */
export function faultsOfError(document: ApiDocument, path: string, answer: Answer): string[] {
  return faultsOfContent(document, path, { "application/json": { schema: document.errorSchema(path) } }, answer);
}

function faultsOfHeaders(document: ApiDocument, { headers = {} }: DocumentedAnswer, answer: Answer): string[] {
  return Object.entries(headers).flatMap(([name, { required, schema }]) => {
    const text = answer.headers[name.toLowerCase()];
    if (text === undefined) return required ? [`the header ${name} is missing`] : [];
    const isNumber = schema.type === "integer" || schema.type === "number";
    return document.faultsOf(schema, isNumber ? Number(text) : text).map((fault) => `the header ${name}: ${fault}`);
  });
}

function faultsOfBody(
  document: ApiDocument,
  { path }: Operation,
  { content }: DocumentedAnswer,
  answer: Answer,
): string[] {
  if (content) return faultsOfContent(document, path, content, answer);
  return answer.body ? [`${answer.status} has a body, and the document none: ${start(answer)}`] : [];
}

function faultsOfContent(
  document: ApiDocument,
  path: string,
  content: NonNullable<DocumentedAnswer["content"]>,
  answer: Answer,
): string[] {
  const type = (answer.headers["content-type"] ?? "").split(";")[0] ?? "";
  const schema = content[type]?.schema;
  if (!schema) return [`${answer.status} came as ${type || "nothing"}, which the document does not have`];
  if (type === "text/event-stream") return faultsOfEvents(document, path, schema, answer.body);
  return faultsOfJson(document, schema, answer.body);
}

function faultsOfEvents(document: ApiDocument, path: string, schema: Schema, body: string): string[] {
  const events = eventsOf(body);
  return events.flatMap(({ name, data }, index) => {
    if (data === "[DONE]" && path.startsWith("/v1/") && index === events.length - 1) return [];
    const isError = name === "error" || data.startsWith('{"error":');
    return faultsOfJson(document, isError ? document.errorSchema(path) : schema, data);
  });
}

export interface StreamEvent {
  readonly id: string | undefined;
  readonly name: string | undefined;
  readonly data: string;
}

/** Those that have come whole. */
export function eventsOf(body: string): StreamEvent[] {
  return body
    .split("\n\n")
    .slice(0, -1)
    .flatMap((block) => {
      const fields = new Map(
        block.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.replace(/^\w*: ?/, "")]),
      );
      const data = fields.get("data");
      return data === undefined ? [] : [{ id: fields.get("id"), name: fields.get("event"), data }];
    });
}

function faultsOfJson(document: ApiDocument, schema: Schema, text: string): string[] {
  try {
    return document.faultsOf(schema, JSON.parse(text)).map((fault) => `${fault}: ${text.slice(0, 300)}`);
  } catch {
    return [`this is no JSON: ${text.slice(0, 300)}`];
  }
}

function start({ body }: Answer): string {
  return body.slice(0, 300);
}
