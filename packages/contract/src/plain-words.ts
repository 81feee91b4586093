/**
 * Says what is wrong with a field in words for people, where zod would say `Invalid input: expected string, received
 * undefined`. Sentences that a schema brings itself stay as they are.
 *
 * It works on what zod has found, after the fact: zod's own way to other words is `z.config`, which holds for all of a
 * process, and so for the schemas of whoever uses this package.
 */
import { z } from "zod";
import type { Issue } from "./errors.ts";

type ZodIssue = z.core.$ZodIssue;

/** What is wrong, field by field. The path is empty for the input as a whole. */
export function issuesOf(error: z.core.$ZodError): Issue[] {
  return error.issues.map((issue) => ({ path: issue.path.join("."), message: plainMessage(issue) }));
}

/** To stand behind the name of the field, as in `prompt: is missing`. */
export function plainMessage(issue: ZodIssue): string {
  if (!isInZodsWords(issue)) return issue.message;
  switch (issue.code) {
    case "invalid_type":
      return isMissing(issue) ? "is missing" : `must be ${nameOfType(issue.expected)}`;
    case "invalid_value":
      return oneOf(issue.values);
    case "too_small":
      return sized(issue, issue.minimum, issue.inclusive ? "at least" : "more than");
    case "too_big":
      return sized(issue, issue.maximum, issue.inclusive ? "at most" : "less than");
    case "invalid_union":
      return isMissing(issue) ? "is missing" : inWordsOfOptions(issue);
    case "unrecognized_keys":
      return `has what is not known here: ${issue.keys.join(", ")}`;
    default:
      // "Invalid string: must start with …", "Invalid ISO datetime", "Invalid key in record".
      return issue.message.replace(/^Invalid \w+: (?=must)/, "").replace(/^Invalid /, "is no valid ");
  }
}

const english = z.locales.en().localeError;

/** Zod keeps no note of who wrote a message, so it is compared with what zod writes. */
function isInZodsWords(issue: ZodIssue): boolean {
  const message = messageWithout(issue);
  if (issue.code !== "invalid_type") return issue.message === message;
  // It ends in what was received, which is no longer known.
  return issue.message.startsWith(message.slice(0, -"undefined".length));
}

function isMissing(issue: ZodIssue): boolean {
  if (issue.code === "invalid_type") return issue.message === messageWithout(issue);
  if (issue.code !== "invalid_union" || issue.errors.length === 0) return false;
  return issue.errors.every(([first]) => first !== undefined && first.path.length === 0 && isMissing(first));
}

/** What zod says where there is no input. */
function messageWithout(issue: ZodIssue): string {
  const message = english({ ...issue, input: undefined });
  return typeof message === "string" ? message : (message?.message ?? "");
}

const typeNames: Record<string, string> = {
  string: "a string",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "an array",
  object: "an object",
  record: "an object",
};

function nameOfType(expected: string): string {
  return typeNames[expected] ?? expected;
}

function oneOf(values: readonly unknown[]): string {
  const names = values.map((value) => (typeof value === "string" ? JSON.stringify(value) : String(value)));
  return names.length === 1 ? `must be ${names[0]}` : `must be one of ${names.join(", ")}`;
}

const units: Partial<Record<string, string>> = { string: "character", array: "item", set: "item", map: "item" };

type Size = z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig;

function sized({ code, origin, exact }: Size, limit: number | bigint, relation: string): string {
  const unit = units[origin];
  const amount = `${exact ? "exactly" : relation} ${limit}`;
  if (!unit) return `must be ${amount}`;
  if (code === "too_small" && limit === 1) return "must not be empty";
  return `must have ${amount} ${unit}${limit === 1 ? "" : "s"}`;
}

/** Each option once, where all of them refuse the value as such and not what is in it. */
function inWordsOfOptions(issue: z.core.$ZodIssueInvalidUnion): string {
  if (issue.inclusive !== false && issue.options?.length) return oneOf(issue.options);
  const firsts = issue.errors.map(([first]) => first);
  const words = firsts.map((first) => (first?.path.length === 0 ? plainMessage(first) : ""));
  const kinds = [...new Set(words.map((word) => word.replace(/^must be /, "")))];
  return kinds.length > 0 && words.every((word) => word.startsWith("must be "))
    ? `must be ${kinds.join(" or ")}`
    : "has none of the forms that it can have";
}
