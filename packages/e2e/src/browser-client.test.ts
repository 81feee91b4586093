/** The typed client in Chromium: on a page of another origin, over a network that breaks. */
import { gzipSync } from "node:zlib";
import { startFaultProxy, until } from "@ksi/testing";
import { expect, test } from "vitest";
import { isBrowserNeeded, startBrowser } from "./browser.ts";
import { bundleClient, startClientPage } from "./client-page.ts";
import { startLiveDaemon } from "./live-daemon.ts";

declare global {
  /** On the page. */
  var ksiClient: typeof import("@ksi/client");
}

const inBrowser = test.runIf(isBrowserNeeded);
const bundle = await bundleClient();

test("a bundle of the client for browsers has nothing of Node, no router and no schemas", () => {
  const kilobytes = (bytes: number) => (bytes / 1_000).toFixed(1);
  const gzipped = gzipSync(bundle.code).length;
  console.info(`the client in a bundle: ${kilobytes(bundle.code.length)} kB, ${kilobytes(gzipped)} kB gzipped`);
  expect(bundle.imports).toEqual([]);
  const packages = new Set(
    bundle.files.map((file) => /\/(?:node_modules|packages)\/((?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? file),
  );
  expect([...packages].sort()).toEqual([
    "@trpc/client",
    "@trpc/server",
    "client",
    "contract",
    "copy-anything",
    "superjson",
  ]);
  expect(bundle.files.filter((file) => file.includes("/packages/contract/"))).toEqual([
    expect.stringMatching(/\/contract\/dist\/errors\.js$/),
  ]);
  expect(bundle.code).not.toMatch(/\bprocess\.|\bBuffer\b|\brequire\(/);
  // Measured: 59 kB, 19 kB gzipped. Half as much again is something that came along by mistake.
  expect(gzipped).toBeLessThan(28_000);
});

inBrowser("a page follows a run and the firehose over cuts, each event once and in order", async () => {
  await using site = await startClientPage(bundle);
  await using live = await startLiveDaemon({ args: ["--allowed-origins", site.origin] });
  await using way = await startFaultProxy({ target: live.daemon.url });
  await using chromium = await startBrowser();
  const page = await chromium.browser.newPage();
  let sockets = 0;
  page.on("websocket", () => sockets++);
  await page.goto(site.origin);
  await page.locator("body[data-client=loaded]").waitFor();

  const words = Array.from({ length: 400 }, (_, index) => `word-${index}`);
  const prompt = words.join(" ");
  const { run_id } = await live.ksi.run({ prompt, model: "echo", metadata: { echo: { delay_ms: 10 } } });
  await page.evaluate(follow, { url: `http://${way.address}`, token: live.daemon.token, run_id });
  const count = (list: "run" | "firehose") => page.locator(`#${list} > li`).count();
  const connection = page.locator("#connection");
  const hasEnded = async () => (await page.locator("body[data-run=ended]").count()) > 0;

  let ticks = 0;
  const tick = () => live.ksi.events.publish({ source: "clock", event_type: "x.tick", payload: ticks++ });
  // Whoever has no event of the firehose yet has no cursor, and would start at a later now.
  await until(async () => {
    await tick();
    return (await count("firehose")) > 0;
  });
  const first = Number(await page.locator("#firehose > li").first().innerText());
  const hasCaughtUp = async () => (await count("firehose")) === ticks - first;
  expect(await connection.innerText()).toBe("open");

  const cuts = 5;
  for (let cut = 0; cut < cuts; cut++) {
    const seen = await count("run");
    await until(async () => (await count("run")) > seen + 10 || (await hasEnded()), { message: "the run goes on" });
    way.cut();
    for (let more = 0; more < 10; more++) await tick();
    await until(hasCaughtUp, { message: "the firehose has caught up" });
  }
  expect(sockets).toBe(1 + cuts);

  way.isRefusing = true;
  way.cut();
  const connections = way.counts.accepted;
  await until(() => way.counts.accepted >= connections + 2, { message: "the page keeps trying" });
  expect(await connection.innerText()).toBe("connecting: CONNECTION_LOST");
  await tick();
  way.isRefusing = false;
  await until(hasEnded);
  await until(hasCaughtUp);
  expect(await connection.innerText()).toBe("open");

  const read = (list: string) => page.locator(`#${list} > li`).allInnerTexts();
  const whole = await Array.fromAsync((await live.ksi.runs.attach(run_id)).events({ from: "oldest" }));
  expect(await read("run")).toEqual(whole.map(({ id }) => id));
  expect(whole.map((event) => (event.event_type === "run.text" ? event.payload.text : "")).join("")).toBe(prompt);
  expect(await read("firehose")).toEqual(Array.from({ length: ticks - first }, (_, index) => String(first + index)));
  expect(await page.evaluate(() => document.body.dataset.reconnects)).toBe(String(cuts + 1));
});

inBrowser("a page whose origin is not allowed is told so by its name", async () => {
  await using site = await startClientPage(bundle);
  await using live = await startLiveDaemon();
  await using chromium = await startBrowser();
  const page = await chromium.browser.newPage();
  await page.goto(site.origin);
  await page.locator("body[data-client=loaded]").waitFor();
  const address = { url: live.daemon.url, token: live.daemon.token };
  const message = await page.evaluate(async ({ url, token }) => {
    const ksi = ksiClient.createKsiClient({ url, token, retries: 0 });
    return await ksi.system.health().then(JSON.stringify, (error: Error) => error.message);
  }, address);
  expect(message).toContain(`${site.origin} must be one of its allowed_origins`);
});

/** What the page does, on the page. */
async function follow({ url, token, run_id }: { url: string; token: string; run_id: string }): Promise<void> {
  const shown = document.getElementById("connection") as HTMLElement;
  const add = (list: string, text: string) => {
    document.getElementById(list)?.append(Object.assign(document.createElement("li"), { innerText: text }));
  };
  const ksi = ksiClient.createKsiClient({
    url,
    token,
    onConnection({ state, error }) {
      shown.innerText = error ? `${state}: ${error.code}` : state;
    },
  });
  const run = await ksi.runs.attach(run_id);
  let reconnects = 0;
  const followRun = async () => {
    for await (const { id } of run.events()) add("run", id);
    document.body.dataset.run = "ended";
  };
  const followFirehose = async () => {
    const onReconnect = () => {
      document.body.dataset.reconnects = String(++reconnects);
    };
    const events = ksi.events.subscribe({ types: ["x.tick"] }, { onReconnect });
    for await (const { payload } of events) add("firehose", JSON.stringify(payload));
  };
  void followRun();
  void followFirehose();
}
