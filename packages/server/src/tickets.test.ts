import { expect, test } from "vitest";
import { createTickets } from "./tickets.ts";

test("a ticket works once", () => {
  const tickets = createTickets();
  const { ticket, expires_in_ms } = tickets.issue();
  expect(expires_in_ms).toBe(30_000);
  expect(tickets.redeem(ticket)).toBe(true);
  expect(tickets.redeem(ticket)).toBe(false);
  expect(tickets.redeem("another")).toBe(false);
});

test("a ticket works no longer than 30 seconds", () => {
  let now = 0;
  const tickets = createTickets({ now: () => now });
  const [first, second] = [tickets.issue(), tickets.issue()];
  now = 29_999;
  expect(tickets.redeem(first.ticket)).toBe(true);
  now = 30_000;
  expect(tickets.redeem(second.ticket)).toBe(false);
});

test("unused tickets are limited in number until they expire", () => {
  let now = 0;
  const tickets = createTickets({ now: () => now, max: 2 });
  tickets.issue();
  tickets.issue();
  expect(() => tickets.issue()).toThrow("2 unused tickets");
  now = 30_000;
  expect(() => tickets.issue()).not.toThrow();
});
