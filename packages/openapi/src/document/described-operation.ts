/** One operation before its schemas are written: what a procedure's operation and a hand-written one have in common. */
import type { z } from "zod";
import type { OpenApiMethod } from "../rest/operations.ts";
import type { Example, SecurityRequirement } from "./openapi.ts";

/** An operation that is served beside the router, or a procedure's as it is described. */
export interface DescribedOperation {
  readonly method: OpenApiMethod;
  /** With `{name}` for each path parameter, which is then a field of `input`. */
  readonly path: `/${string}`;
  readonly operationId: string;
  readonly summary?: string | undefined;
  /** May hold Markdown. */
  readonly description?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly deprecated?: boolean | undefined;
  /** Default: what the document says for all operations. `[]` where no credentials are asked for. */
  readonly security?: readonly SecurityRequirement[] | undefined;
  /** Its fields that are not in the path are in the query for GET and DELETE, and in the body otherwise. */
  readonly input?: z.core.$ZodType | undefined;
  /** The fields of `input`, where it is not itself an object. */
  readonly fields?: z.ZodObject | undefined;
  /** Whether a call may come without any input. Default: `false`. */
  readonly isInputOptional?: boolean | undefined;
  readonly requestHeaders?: z.ZodObject | undefined;
  /** Descriptions of parameters, in place of what their schemas say in general. */
  readonly parameterTexts?: Readonly<Record<string, string>> | undefined;
  /** Media types of the body. Default: `application/json`. */
  readonly requestTypes?: readonly string[] | undefined;
  /** The field that resumes it, `lastEventId`, is then `last_event_id` in the query and the header `Last-Event-ID`. */
  readonly isStream?: boolean | undefined;
  /** By status: what is not an error, and errors with another body than all others have. */
  readonly answers: Readonly<Record<number, DescribedAnswer>>;
  /** Statuses that are answered with the body of errors; where they are keys, the text replaces the usual one. */
  readonly errors: readonly number[] | Readonly<Record<number, string | undefined>>;
  /** Which of the document's bodies of errors it is; default the first. */
  readonly errorBody?: string | undefined;
  readonly examples?: OperationExamples | undefined;
}

export interface DescribedAnswer {
  readonly description: string;
  /** By media type; without it the answer has no body. For `text/event-stream` the JSON of one `data:`. */
  readonly content?: Readonly<Record<string, z.core.$ZodType>> | undefined;
  readonly headers?: z.ZodObject | undefined;
}

export interface OperationExamples {
  /** By a short name. */
  readonly request?: Readonly<Record<string, Example>>;
  /** By status, then by a short name. For an answer with several media types, they belong to the first. */
  readonly answers?: Readonly<Record<number, Readonly<Record<string, Example>>>>;
}
