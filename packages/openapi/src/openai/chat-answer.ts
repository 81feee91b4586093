/** The answer in one piece. */
import { isFinalRunEvent, type SpawnAccepted } from "@ksi/contract";
import { answerId, completedOf, contentOf, finishReasonOf, metadataOf, toSeconds, usageOf } from "./answer-facts.ts";
import type { AnswerForm } from "./chat-request.ts";
import type { ChatCompletion } from "./chat-schemas.ts";
import type { RunWatch } from "./run-watch.ts";
import { createStopCutter } from "./stop-sequences.ts";

/**
 * Waits for the end of the run. The content is the run's `result`: the agent's last text, without what it said between
 * its tools. With JSON asked for it is the run's `output`.
 *
 * Rejects with the run's own error, or as the watch does.
 */
export async function readAnswer(watch: RunWatch, run: SpawnAccepted, form: AnswerForm): Promise<ChatCompletion> {
  let queuedAt: string | undefined;
  for (;;) {
    for (const event of await watch.take(Number.POSITIVE_INFINITY)) {
      queuedAt ??= event.timestamp;
      if (!isFinalRunEvent(event)) continue;

      const completed = completedOf(event);
      const cutter = createStopCutter(form.stops);
      const content = cutter.push(contentOf(completed, form)) + cutter.flush();
      const usage = usageOf(completed);
      return {
        id: answerId(run),
        object: "chat.completion",
        created: toSeconds(queuedAt),
        model: form.model,
        choices: [
          {
            index: 0,
            message: { role: "assistant", content, refusal: null },
            logprobs: null,
            finish_reason: finishReasonOf(completed.stop_reason, cutter.isCut),
          },
        ],
        ...(usage && { usage }),
        metadata: metadataOf(run, form.model, completed.model),
      };
    }
  }
}
