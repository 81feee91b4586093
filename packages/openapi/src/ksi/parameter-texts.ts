/** Of parameters that mean the same wherever they are, and whose schemas have no text. */
export const parameterTexts: Readonly<Record<string, string>> = {
  after: "`next` of the page before.",
  limit: "How many a page has at most.",
  status: "Only those with this status.",
  types: "Names of events, or beginnings of names followed by `*`. One that matches is enough.",
  source: "Only from this source.",
  target: "Only messages to this agent, and receipts for messages from it.",
  from: "Where to start without a cursor.",
};
