/** A procedure as a described operation: what its meta leaves open, and the errors that it can have by its nature. */
import { z } from "zod";
import { type Operation, takesBody } from "../rest/operations.ts";
import type { DescribedAnswer, DescribedOperation, OperationExamples } from "./described-operation.ts";
import type { SecurityRequirement } from "./openapi.ts";
import { isList } from "./write-operation.ts";

/** What is said of one procedure beside its meta. */
export interface ProcedureNotes {
  readonly description?: string | undefined;
  readonly examples?: OperationExamples | undefined;
  /** Descriptions of parameters, in place of what their schemas say in general. */
  readonly parameters?: Readonly<Record<string, string>> | undefined;
  /** In place of that of the document, for what can be called with other credentials too. */
  readonly security?: readonly SecurityRequirement[] | undefined;
  /** What a subscription yields, where it has no `.output()`. */
  readonly stream?: z.core.$ZodType | undefined;
}

/** `more` are error statuses beside those that follow from the operation's input and its meta. */
export function describeProcedure(
  operation: Operation,
  notes: ProcedureNotes,
  more: readonly number[],
): DescribedOperation {
  const { procedure, method, path, meta, type, input, schema } = operation;
  const { summary, tags, deprecated, protect = true, requestHeaders, contentTypes = [] } = meta;
  return {
    method,
    path,
    operationId: meta.operationId ?? procedure.replaceAll(".", "_"),
    summary,
    description: notes.description ?? meta.description,
    tags,
    deprecated,
    security: protect ? notes.security : [],
    input: schema,
    fields: input,
    isInputOptional: input && operation.isInputOptional,
    requestHeaders,
    parameterTexts: notes.parameters,
    requestTypes: [...new Set(["application/json", ...contentTypes])],
    isStream: type === "subscription",
    answers: type === "subscription" ? describeStream(operation, notes) : describeAnswer(operation),
    errors: describeErrors(operation, more),
    examples: notes.examples,
  };
}

function describeAnswer({ output, meta }: Operation): Record<number, DescribedAnswer> {
  const { successDescription, responseHeaders: headers } = meta;
  if (output && isNothing(output)) {
    return { 204: { description: successDescription ?? "Done; there is nothing to say.", headers } };
  }
  const content = { "application/json": output ?? z.unknown() };
  return { 200: { description: successDescription ?? "Success.", content, headers } };
}

function describeStream({ output, meta }: Operation, { stream }: ProcedureNotes): Record<number, DescribedAnswer> {
  const { successDescription, responseHeaders: headers } = meta;
  const content = { "text/event-stream": stream ?? output ?? z.unknown() };
  return {
    200: { description: successDescription ?? streamText, content, headers },
    204: { description: "The stream had ended before, and nothing follows. An `EventSource` stops here." },
  };
}

const streamText =
  "Server-sent events: `id:` is where to resume, `data:` is JSON, and lines that start with `:` keep the line alive. A " +
  "failure after the beginning is an event named `error`, whose `data:` is the body of an error answer; then it ends.";

function describeErrors(operation: Operation, more: readonly number[]) {
  const { input, meta } = operation;
  const hasInput = input !== undefined;
  const byNature = [
    ...(meta.protect === false ? [] : [401]),
    // 400 is for broken escapes in a URL, and for JSON that is none.
    ...(hasInput ? [400, 422] : []),
    ...(takesBody(operation) ? [413, 415] : []),
    500,
    ...more,
  ];
  const { errorResponses = [] } = meta;
  if (isList(errorResponses)) return [...byNature, ...errorResponses];
  return { ...Object.fromEntries(byNature.map((status) => [status, undefined])), ...errorResponses };
}

function isNothing(output: z.core.$ZodType): boolean {
  return ["void", "undefined", "never"].includes(output._zod.def.type);
}
