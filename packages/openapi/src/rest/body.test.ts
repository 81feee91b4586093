import { expect, test } from "vitest";
import { readBody } from "./body.ts";

const form = "application/x-www-form-urlencoded";

function post(body: BodyInit | null, headers: Record<string, string> = {}): Request {
  const request = new Request("http://localhost/", Object.assign({ method: "POST", body }, { duplex: "half" }));
  request.headers.delete("content-type");
  for (const [name, value] of Object.entries(headers)) request.headers.set(name, value);
  return request;
}

async function read(request: Request, maxBytes = 1000, contentTypes: readonly string[] = []): Promise<unknown> {
  return (await readBody(request, maxBytes, contentTypes))?.value;
}

const types = [
  "application/json",
  "application/json; charset=utf-8",
  'Application/JSON ;  Charset="UTF-8"',
  "application/problem+json",
  "application/vnd.api.v1+json; profile=x",
];

test.each(types)("a body of type %s is JSON", async (type) => {
  expect(await read(post('{"a":"€"}', { "content-type": type }))).toEqual({ a: "€" });
});

test("a body without a type is JSON", async () => {
  expect(await read(post('{"a":1}'))).toEqual({ a: 1 });
});

test("a byte order mark is no part of the JSON", async () => {
  expect(await read(post('\uFEFF{"a":1}'))).toEqual({ a: 1 });
});

test("the charset says how the bytes are read", async () => {
  const latin = Uint8Array.from('{"a":"ü"}', (letter) => letter.charCodeAt(0));
  expect(await read(post(latin, { "content-type": "application/json; charset=iso-8859-1" }))).toEqual({ a: "ü" });
  const wide = Buffer.from('{"a":"ü"}', "utf16le");
  expect(await read(post(wide, { "content-type": "application/json;charset=utf-16le" }))).toEqual({ a: "ü" });
});

test("no body is undefined, whatever its headers say", async () => {
  expect(await readBody(post(null, { "content-type": "text/plain" }), 10)).toBeUndefined();
  expect(await readBody(post(""), 10)).toBeUndefined();
  expect(await readBody(post("", { "content-type": "application/json" }), 10)).toBeUndefined();
  expect(await readBody(post(new ReadableStream({ start: (it) => it.close() })), 10)).toBeUndefined();
});

test("a form is taken where the operation takes it", async () => {
  const request = () => post("a=1&a=2&b[c]=%E2%82%AC", { "content-type": `${form}; charset=utf-8` });
  expect(await readBody(request(), 1000, [form])).toEqual({ source: "text", value: { a: ["1", "2"], b: { c: "€" } } });
  await expect(read(request())).rejects.toMatchObject({ code: "UNSUPPORTED_MEDIA_TYPE" });
});

test("JSON is taken also where a form is", async () => {
  const request = post("{}", { "content-type": "application/json" });
  expect(await readBody(request, 1000, [form])).toEqual({ source: "json", value: {} });
});

const refused: [string, Record<string, string>, string][] = [
  ["text", { "content-type": "text/plain" }, "A body must be application/json."],
  ["a type that only starts like JSON", { "content-type": "application/jsonp" }, "A body must be application/json."],
  ["two types", { "content-type": "application/json, text/plain" }, "A body must be application/json."],
  ["no type in the header", { "content-type": "" }, "A body must be application/json."],
  ["an encoding", { "content-encoding": "gzip" }, "A body must not be encoded: leave content-encoding out."],
  [
    "a charset",
    { "content-type": "application/json; charset=x-none" },
    "The charset of the body is unknown: use utf-8.",
  ],
];

test.each(refused)("%s that is not known is refused", async (_name, headers, message) => {
  await expect(read(post("{}", headers))).rejects.toMatchObject({ code: "UNSUPPORTED_MEDIA_TYPE", message });
});

test("the encoding identity is none", async () => {
  expect(await read(post("{}", { "content-encoding": "Identity" }))).toEqual({});
});

test("bytes that are no text in their charset are refused", async () => {
  const message = "The body is no text in its charset, utf-8.";
  await expect(read(post(Uint8Array.of(0x22, 0xff, 0x22)))).rejects.toMatchObject({ code: "PARSE_ERROR", message });
});

test.each(["{", "nothing", "{'a':1}", "[1,]", "\0"])("%j is refused as no JSON, and not quoted", async (text) => {
  const message = "The body is not valid JSON.";
  await expect(read(post(text))).rejects.toMatchObject({ code: "PARSE_ERROR", message });
});

test("JSON that is nested without end is read or refused, and breaks nothing", async () => {
  const deep = `{"__proto__":${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
  await read(post(deep), 1_000_000).catch((error) => expect(error).toMatchObject({ code: "PARSE_ERROR" }));
});

test("a body of just the limit is taken, and one byte more is not", async () => {
  expect(await read(post('"345678"'), 8)).toBe("345678");
  const error = { code: "PAYLOAD_TOO_LARGE", message: "A body must not be over 8 bytes." };
  await expect(read(post('"3456789"'), 8)).rejects.toMatchObject(error);
});

test("a body that says it is too large is refused unread", async () => {
  const request = post('"34567890"', { "content-length": "10" });
  await expect(read(request, 8)).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
  expect(request.bodyUsed).toBe(false);
});

test("a body that turns out too large is refused as soon as it is, and the rest is not read", async () => {
  let pulled = 0;
  let isCancelled = false;
  const endless = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        pulled++;
        controller.enqueue(new Uint8Array(100));
      },
      cancel() {
        isCancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  await expect(read(post(endless), 1000)).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
  expect(pulled).toBe(11);
  expect(isCancelled).toBe(true);
});

test("a body that breaks off is the caller's fault", async () => {
  const broken = new ReadableStream({ pull: () => Promise.reject(new Error("ECONNRESET at /secret")) });
  await expect(read(post(broken))).rejects.toMatchObject({ code: "PARSE_ERROR", message: "The body broke off." });
});

test("a body that somebody else has read is a fault of the program", async () => {
  const request = post("{}");
  await request.text();
  await expect(read(request)).rejects.toThrow("Something has read the request's body before the handler got it.");
});
