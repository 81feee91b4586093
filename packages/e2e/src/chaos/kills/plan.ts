/** What is asked of agents, by a seed. */
import type { Random } from "@ksi/testing";

export interface PlannedRun {
  /** Numbers of the session, and of the run in it. */
  readonly session: number;
  readonly number: number;
  readonly kind: Kind;
  readonly model: "echo" | "sonnet";
  readonly prompt: string;
  /** What it answers if it completes. */
  readonly answer: string;
  readonly timeout_ms?: number;
}

type Kind = keyof typeof orders;

/** Nothing polite ends these agents, and they leave grandchildren in other groups and sessions. */
const stubborn = "#fork #ignore=SIGINT,SIGTERM";

/** Words for the stand-in; the echo runner has none. */
const orders = {
  echo: "",
  talks: "#delay=120 ",
  works: "#start=1500 ",
  stubborn: `${stubborn} #start=700 `,
  hangs: `${stubborn} #hang `,
};

/** Half of them cost nothing, so that there are many. */
const kinds = ["echo", "echo", "echo", "echo", "talks", "talks", "works", "stubborn", "hangs"] as const;

export function planRun(random: Random, session: number, number: number): PlannedRun {
  const kind = random.pick(kinds);
  // Long enough for one that talks to be interrupted.
  const answer = `run ${number} of session ${session} says ${"word ".repeat(random.between(1, 20))}now`;
  return {
    session,
    number,
    kind,
    model: kind === "echo" ? "echo" : "sonnet",
    prompt: `${orders[kind]}${answer}`,
    answer,
    ...(kind === "hangs" && { timeout_ms: random.between(1_000, 4_000) }),
  };
}
