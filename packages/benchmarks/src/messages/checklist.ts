/** What each agent was sent and has to receive: each message once, in the order sent. */
import type { BenchMessage } from "./bench-message.ts";

export interface Checklist {
  /** `agent` is the index of the agent whose inbox it came from. */
  check(agent: number, message: BenchMessage): void;
  /** The first message that was not the one due: others were lost, it came again, or out of turn. */
  readonly fault: string | undefined;
}

export function createChecklist(agents: readonly string[]): Checklist {
  const due = agents.map(() => 0);
  let fault: string | undefined;
  return {
    check(agent, { target, payload: { n } }) {
      if (target !== agents[agent] || n !== due[agent]) {
        fault ??= `${agents[agent]} was given message ${n} to ${target} where ${due[agent]} was due`;
      }
      due[agent] = n + 1;
    },
    get fault() {
      return fault;
    },
  };
}
