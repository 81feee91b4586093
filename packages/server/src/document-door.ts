/** What describes the daemon to people and programs, for everybody: it holds nothing that is not in the package. */
import { createHash } from "node:crypto";
import { createDocsPage } from "@ksi/openapi";
import { readKsiDocument } from "@ksi/openapi/ksi";
import type { Handler } from "hono";

/** The OpenAPI document, with an ETag by which clients need not fetch it twice. */
export function serveDocument(): Handler {
  let read: { text: string; etag: string } | undefined;
  return (c) => {
    read ??= withEtag(readKsiDocument());
    const headers = { etag: read.etag, "cache-control": "no-cache" };
    if (names(c.req.header("if-none-match"), read.etag)) return new Response(null, { status: 304, headers });
    return new Response(read.text, { headers: { ...headers, "content-type": "application/json" } });
  };
}

/** Swagger UI. */
export function serveDocs(): Handler {
  const answer = createDocsPage({ documentUrl: "/openapi.json", title: "KSI" });
  return (c) => answer(c.req.raw);
}

function withEtag(text: string) {
  return { text, etag: `"${createHash("sha256").update(text).digest("base64url").slice(0, 22)}"` };
}

/** Whether If-None-Match has this tag; proxies that compress make weak ones of them. */
function names(ifNoneMatch: string | undefined, etag: string): boolean {
  const tags = ifNoneMatch?.split(",").map((tag) => tag.trim().replace(/^W\//, "")) ?? [];
  return tags.includes(etag) || tags.includes("*");
}
