/** One line of the table. `ours` and `theirs` are in `unit`; `ratio` is ours over theirs. */
export interface Row {
  what: string;
  unit: "ms" | "MB" | "requests/s" | "chunks/s";
  ours: number;
  theirs?: number;
  ratio?: number;
  /** What `theirs` is, or what the row means. */
  beside: string;
  goal?: string;
}

/** One file asks one question; its raw samples are kept beside the rows. */
export interface Answer {
  question: string;
  rows: Row[];
  raw: Record<string, unknown>;
}
