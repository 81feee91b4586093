import { readFileSync } from "node:fs";

let text: string | undefined;

/** The text of `openapi.json`, which is a file of this package. Read once. */
export function readKsiDocument(): string {
  text ??= readFileSync(new URL("../../openapi.json", import.meta.url), "utf8");
  return text;
}
