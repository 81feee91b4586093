/** The frames of a streamed answer: each event of a run as server-sent `data:` lines. */
import { type FinalRunEvent, KsiError, type RunEvent, type SpawnAccepted } from "@ksi/contract";
import {
  answerId,
  type CompletedRun,
  completedOf,
  contentOf,
  finishReasonOf,
  metadataOf,
  toSeconds,
  usageOf,
} from "./answer-facts.ts";
import type { AnswerForm } from "./chat-request.ts";
import type { AnswerMetadata, ChatUsage, FinishReason } from "./chat-schemas.ts";
import { toOpenAiError } from "./errors.ts";
import { createStreamedText } from "./streamed-text.ts";

export interface ChatChunks {
  /** The role, before anything else. */
  open(): string;
  /**
   * What the event says to the client; empty for nothing. The final event gives all that is left to be said. Throws
   * `MODEL_ERROR` where the agent takes back what was sent, and says something else.
   */
  of(event: RunEvent): string;
}

/** `first` is the run's first event, of which the time is taken. */
export function createChatChunks(run: SpawnAccepted, form: AnswerForm, first: RunEvent | undefined): ChatChunks {
  const { model, includeUsage, isJson, stops } = form;
  const streamed = createStreamedText(stops);
  // A history that was trimmed at its beginning lacks the first words: then the result is sent instead of the rest.
  const isWhole = first === undefined || first.event_type === "run.queued";

  // Only the delta differs from chunk to chunk, so the rest is written once.
  const base = { id: answerId(run), object: "chat.completion.chunk", created: toSeconds(first?.timestamp), model };
  const head = `data: ${JSON.stringify(base).slice(0, -1)},"choices":`;
  const before = `${head}[{"index":0,"delta":`;
  const after = `,"logprobs":null,"finish_reason":null}]${includeUsage ? ',"usage":null' : ""}}\n\n`;

  // JSON, and what replaces a history with a hole, is sent when it is whole.
  const isSentAsSaid = isWhole && !isJson;

  function delta(content: string): string {
    return content === "" ? "" : `${before}{"content":${JSON.stringify(content)}}${after}`;
  }

  function end(event: FinalRunEvent): string {
    let completed: CompletedRun;
    let content: string;
    try {
      completed = completedOf(event);
      content = contentOf(completed, form);
    } catch (thrown) {
      return delta(streamed.flush()) + errorFrame(KsiError.from(thrown));
    }
    const rest = streamed.end(content);
    const reason = finishReasonOf(completed.stop_reason, streamed.isCut);
    const last = finish(reason, metadataOf(run, model, completed.model));
    return `${delta(rest)}${last}${usageFrame(usageOf(completed))}data: [DONE]\n\n`;
  }

  function finish(finish_reason: FinishReason, metadata: AnswerMetadata): string {
    const choices = [{ index: 0, delta: {}, logprobs: null, finish_reason }];
    return frame({ ...base, choices, ...(includeUsage && { usage: null }), metadata });
  }

  function usageFrame(usage: ChatUsage | undefined): string {
    return includeUsage && usage ? frame({ ...base, choices: [], usage }) : "";
  }

  return {
    open() {
      const choices = [{ index: 0, delta: { role: "assistant", content: "" }, logprobs: null, finish_reason: null }];
      return frame({ ...base, choices, ...(includeUsage && { usage: null }), metadata: metadataOf(run, model) });
    },
    of(event) {
      switch (event.event_type) {
        case "run.text":
          return isSentAsSaid ? delta(streamed.text(event.payload.text)) : "";
        case "run.retracted":
          if (isSentAsSaid) streamed.retract(event.payload.chars);
          return "";
        case "run.tool_use":
          return delta(streamed.endBlock());
        case "run.completed":
        case "run.failed":
        case "run.cancelled":
        case "run.timed_out":
          return end(event);
        default:
          return "";
      }
    },
  };
}

/** What a client that understands no comments passes over, and a proxy takes for life. */
export const keepAlive = ": keep-alive\n\n";

/** The end of an answer that failed midway; `[DONE]` does not follow. */
export function errorFrame(error: KsiError): string {
  return frame(toOpenAiError(error));
}

function frame(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}
