/** What every chaos scenario is: a module whose `run` starts what it needs, breaks it by a seed, and says what came of it. */
export interface Scenario {
  run(options: ScenarioOptions): Promise<ScenarioReport>;
}

export interface ScenarioOptions {
  /** The same seed gives the same faults; when they fall differs with the speed of the machine. */
  readonly seed: number;
  /** The form whose result is checked in; the short one is a test. */
  readonly isLong: boolean;
  /** For a person who waits. */
  readonly log: (line: string) => void;
}

export interface ScenarioReport {
  readonly counts: Readonly<Record<string, number>>;
  /** One sentence each; empty where all held. */
  readonly failures: readonly string[];
}
