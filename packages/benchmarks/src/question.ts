/** One line of the table. `ours` and `theirs` are in `unit`; `ratio` is ours over theirs. */
export interface Row {
  what: string;
  unit: Unit;
  ours: number;
  theirs?: number;
  ratio?: number;
  /** What `theirs` is, or what the row means. */
  beside: string;
  goals?: readonly Goal[];
}

type Unit =
  | "ms"
  | "s"
  | "µs"
  | "MB"
  | "kB"
  | "requests/s"
  | "chunks/s"
  | "events/s"
  | "deliveries/s"
  | "messages/s"
  | "events";

export interface Goal {
  /** Which figure it is for. */
  of: "ours" | "ratio";
  is: "≤" | "<" | "≥" | ">";
  value: number;
}

/** One file asks one question; its raw samples are kept beside the rows. */
export interface Answer {
  question: string;
  rows: Row[];
  raw: Record<string, unknown>;
}

export interface Effort {
  /** Asked to see that the question runs: fewer and shorter rounds, whose figures mean nothing. */
  isShort: boolean;
}

/** Also for a row that has the figure of no goal: a goal that cannot be judged is not met. */
export function isMet({ of, is, value }: Goal, { ours, ratio }: Pick<Row, "ours" | "ratio">): boolean {
  const figure = of === "ours" ? ours : (ratio ?? Number.NaN);
  switch (is) {
    case "≤":
      return figure <= value;
    case "<":
      return figure < value;
    case "≥":
      return figure >= value;
    case ">":
      return figure > value;
  }
}
