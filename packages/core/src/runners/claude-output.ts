/** Reads what `claude --output-format stream-json --include-partial-messages` prints: one JSON object a line. */
import type { Json, JsonObject, Usage } from "@ksi/contract";
import { z } from "zod";
import { createClaudeText } from "./claude-text.ts";
import type { TurnEvent } from "./runner.ts";

/** The line that ends a turn, and by which alone a turn is judged. */
export type ClaudeResult = z.infer<typeof resultLine>;

/** What one line means. `kind: "other"` is of the protocol and of no interest here. */
export type ClaudeLine =
  | { kind: "event"; event: TurnEvent }
  | { kind: "init"; model: string }
  | { kind: "apiError"; error: string }
  | { kind: "result"; result: ClaudeResult; answer: string; raw: JsonObject }
  | { kind: "other" };

export interface ClaudeReader {
  /** Everything that the line says, in order; `undefined` when it is not of the protocol. */
  read(line: string): ClaudeLine[] | undefined;
}

/** One for each process: text is streamed in pieces and then repeated whole, so what was streamed is remembered. */
export function createClaudeReader(): ClaudeReader {
  const streamed = new Set<string>();
  const answer = createClaudeText();

  function readStreamEvent(line: StreamLine): ClaudeLine[] {
    const { event, parent_tool_use_id, abandoned_blocks } = line;
    // What a sub-agent says is between the agents; its tools are reported, its words are not the answer.
    if (parent_tool_use_id) return [];
    switch (event?.type) {
      case "message_start":
        if (event.message?.id) streamed.add(event.message.id);
        answer.open(event.message?.id);
        return [];
      case "content_block_delta":
        return readDelta(event);
      case "message_delta":
        if (event.delta?.stop_reason) answer.stop(event.delta.stop_reason);
        return [];
      case "message_stop":
        return abandoned_blocks ? retract(answer.abandon(abandoned_blocks.from_block_index ?? 0)) : [];
      default:
        return [];
    }
  }

  function readDelta({ delta, index = 0 }: StreamEvent): ClaudeLine[] {
    const { type, text, thinking } = delta ?? {};
    if (type === "thinking_delta" && thinking) return [say("run.thinking", thinking)];
    if (type !== "text_delta" || !text) return [];
    answer.add(text, index);
    return [say("run.text", text)];
  }

  function readAssistant({ message, error, parent_tool_use_id }: MessageLine): ClaudeLine[] {
    if (typeof error === "string") return [{ kind: "apiError", error }];
    const isOwn = !parent_tool_use_id;
    // The agent may fall back to a request without streaming; then the whole message is all there is.
    const isNews = isOwn && !streamed.has(message?.id ?? "");
    if (isNews) answer.open(message?.id);
    if (isNews && message?.stop_reason) answer.stop(message.stop_reason);
    return blocksOf(message).flatMap((block): ClaudeLine[] => {
      if (block.type === "tool_use") {
        if (isOwn) answer.useTool();
        return [toolUse(block)];
      }
      if (block.type !== "text" || !isNews || typeof block.text !== "string") return [];
      answer.add(block.text);
      return [say("run.text", block.text)];
    });
  }

  return {
    read(text) {
      const line = parse(text);
      switch (line?.type) {
        case undefined:
          return undefined;
        case "stream_event":
          return readStreamEvent(line as StreamLine);
        case "assistant":
          return readAssistant(line as MessageLine);
        case "user":
          return blocksOf((line as MessageLine).message).flatMap((block) =>
            block.type === "tool_result" ? [toolResult(block)] : [],
          );
        case "system":
          return readSystem(line as SystemLine);
        case "result":
          return readResult(line, answer.answer);
        default:
          return [{ kind: "other" }];
      }
    },
  };
}

/** Tokens of this turn alone. */
export function usageOf({ usage }: ClaudeResult): Usage | undefined {
  if (!usage) return undefined;
  const { input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens } = usage;
  return { input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens };
}

/**
 * Dollars of this turn alone. `total_cost_usd` counts over the whole session, also over `--resume`; versions that do
 * not say what was added since the last result need the total as it was then. Without it nothing can be said of a
 * resumed session.
 */
export function costOf(result: ClaudeResult, before: number | undefined): number | undefined {
  const sinceLast = result.model_usage_since_last_result;
  if (sinceLast) return Object.values(sinceLast).reduce((sum, { costUSD = 0 }) => sum + costUSD, 0);
  const { total_cost_usd } = result;
  if (total_cost_usd === undefined || before === undefined) return undefined;
  // A total below the one before comes from a count that started anew.
  return total_cost_usd < before ? total_cost_usd : total_cost_usd - before;
}

const tokens = z.number().int().nonnegative();

const resultLine = z.looseObject({
  type: z.literal("result"),
  subtype: z.string(),
  is_error: z.boolean().default(false),
  result: z.string().optional(),
  errors: z.array(z.string()).optional(),
  api_error_status: z.number().nullish(),
  terminal_reason: z.string().nullish(),
  stop_reason: z.string().nullish(),
  num_turns: z.number().int().optional(),
  total_cost_usd: z.number().optional(),
  /** Of a line of JSON, so JSON; zod's own look at it would recurse as deep as a model can nest. */
  structured_output: z.custom<Json>().optional(),
  session_id: z.string().optional(),
  /** As older versions call it. */
  sessionId: z.string().optional(),
  usage: z
    .looseObject({
      input_tokens: tokens,
      output_tokens: tokens,
      cache_read_input_tokens: tokens.optional(),
      cache_creation_input_tokens: tokens.optional(),
    })
    .optional()
    .catch(undefined),
  model_usage_since_last_result: z
    .record(z.string(), z.looseObject({ costUSD: z.number().optional() }))
    .optional()
    .catch(undefined),
});

/** Checked where it matters, at the result; a turn must not fail because a field of a delta got another type. */
interface StreamLine {
  readonly parent_tool_use_id?: string | null;
  readonly event?: StreamEvent;
  /** With the end of a message that the provider broke off: its blocks from there on are void. */
  readonly abandoned_blocks?: { readonly from_block_index?: number };
}

interface StreamEvent {
  readonly type?: string;
  readonly index?: number;
  readonly message?: { readonly id?: string };
  readonly delta?: {
    readonly type?: string;
    readonly text?: string;
    readonly thinking?: string;
    readonly stop_reason?: string | null;
  };
}

interface MessageLine {
  readonly message?: { readonly id?: string; readonly content?: unknown; readonly stop_reason?: string | null };
  readonly parent_tool_use_id?: string | null;
  readonly error?: unknown;
}

interface SystemLine {
  readonly subtype?: string;
  readonly model?: unknown;
  readonly attempt?: unknown;
  readonly retry_delay_ms?: unknown;
  readonly error_status?: unknown;
  readonly tool_name?: unknown;
  readonly message?: unknown;
}

interface Block {
  readonly type?: unknown;
  readonly [field: string]: unknown;
}

function parse(text: string): { type: string } | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isLine = typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";
    return isLine ? (value as { type: string }) : undefined;
  } catch {
    // Not JSON is an answer here, not a fault: the caller decides what it means.
    return undefined;
  }
}

function blocksOf(message: MessageLine["message"]): readonly Block[] {
  return Array.isArray(message?.content) ? (message.content as Block[]) : [];
}

function say(event_type: "run.text" | "run.thinking", text: string): ClaudeLine {
  return { kind: "event", event: { event_type, payload: { text } } };
}

function retract(chars: number): ClaudeLine[] {
  return chars === 0 ? [] : [{ kind: "event", event: { event_type: "run.retracted", payload: { chars } } }];
}

function toolUse({ id, name, input }: Block): ClaudeLine {
  const payload = { tool_use_id: String(id), name: String(name), input: (input ?? {}) as Json };
  return { kind: "event", event: { event_type: "run.tool_use", payload } };
}

/** As the contract says of `run.tool_result`. */
const toolResultChars = 32_000;

function toolResult({ tool_use_id, is_error, content }: Block): ClaudeLine {
  const text = textOf(content);
  const payload = {
    tool_use_id: String(tool_use_id),
    is_error: is_error === true,
    content: text.slice(0, toolResultChars),
    ...(text.length > toolResultChars && { is_truncated: true }),
  };
  return { kind: "event", event: { event_type: "run.tool_result", payload } };
}

/** A tool answers with text, or with blocks of which some may be pictures. */
function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return (content as Block[])
    .map((block) => (typeof block.text === "string" ? block.text : `[${block.type}]`))
    .join("\n");
}

function readSystem(line: SystemLine): ClaudeLine[] {
  switch (line.subtype) {
    case "init":
      return typeof line.model === "string" ? [{ kind: "init", model: line.model }] : [];
    case "api_retry": {
      const { attempt, retry_delay_ms, error_status } = line;
      const payload = {
        attempt: Number(attempt),
        delay_ms: Number(retry_delay_ms),
        ...(typeof error_status === "number" && { status: error_status }),
      };
      return [{ kind: "event", event: { event_type: "run.retrying", payload } }];
    }
    case "permission_denied": {
      const payload = {
        tool_name: String(line.tool_name),
        ...(typeof line.message === "string" && { reason: line.message }),
      };
      return [{ kind: "event", event: { event_type: "run.permission_denied", payload } }];
    }
    default:
      return [{ kind: "other" }];
  }
}

function readResult(line: object, toAnswer: (result: string) => string): ClaudeLine[] | undefined {
  const { data: result } = resultLine.safeParse(line);
  return result && [{ kind: "result", result, answer: toAnswer(result.result ?? ""), raw: line as JsonObject }];
}
