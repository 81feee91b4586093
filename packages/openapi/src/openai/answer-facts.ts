/** What the end of a run says, in OpenAI's words. */
import { type FinalRunEvent, KsiError, type Run, type SpawnAccepted } from "@ksi/contract";
import type { AnswerForm } from "./chat-request.ts";
import type { AnswerMetadata, ChatUsage, FinishReason } from "./chat-schemas.ts";

export type CompletedRun = Extract<FinalRunEvent, { event_type: "run.completed" }>["payload"];

/** Throws what the run ended with, unless it completed. */
export function completedOf(event: FinalRunEvent): CompletedRun {
  if (event.event_type === "run.completed") return event.payload;
  throw KsiError.from(event.payload.error);
}

/** `OUTPUT_INVALID` where JSON was asked for and the runner gave none. */
export function contentOf({ result, output }: CompletedRun, { isJson }: AnswerForm): string {
  if (!isJson) return result;
  if (output !== undefined) return JSON.stringify(output);
  throw new KsiError("OUTPUT_INVALID", "The agent gave no JSON that satisfies response_format.");
}

/** Undefined where the agent reported none. */
export function usageOf({ usage }: Pick<Run, "usage">): ChatUsage | undefined {
  if (!usage) return undefined;
  const { input_tokens, output_tokens, cache_read_input_tokens = 0, cache_creation_input_tokens = 0 } = usage;
  const prompt_tokens = input_tokens + cache_read_input_tokens + cache_creation_input_tokens;
  return {
    prompt_tokens,
    completion_tokens: output_tokens,
    total_tokens: prompt_tokens + output_tokens,
    prompt_tokens_details: { cached_tokens: cache_read_input_tokens },
  };
}

export function finishReasonOf(stopReason: string | undefined, isCut: boolean): FinishReason {
  if (isCut) return "stop";
  if (stopReason === "max_tokens") return "length";
  return stopReason === "refusal" ? "content_filter" : "stop";
}

/** `answered` is the model as the provider names it; it is given where it is another name than the one asked for. */
export function metadataOf({ session_id, run_id }: SpawnAccepted, asked: string, answered?: string): AnswerMetadata {
  return { session_id, run_id, ...(answered !== undefined && answered !== asked && { model: answered }) };
}

/** The same in every answer of one run, also in a repeated one. */
export function answerId({ run_id }: SpawnAccepted): string {
  return `chatcmpl-${run_id}`;
}

/** OpenAI's `created` from the time of the run's first event. */
export function toSeconds(timestamp: string | undefined): number {
  return Math.floor((timestamp === undefined ? Date.now() : Date.parse(timestamp)) / 1_000);
}
