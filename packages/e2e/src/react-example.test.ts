/** examples/11-react-live-messages in Chromium: what a person sees of agents, messages and receipts, over a cut too. */
import { join } from "node:path";
import type { KsiClient } from "@ksi/client";
import { createTempFolder, startFaultProxy, until } from "@ksi/testing";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { collectComplaints, isBrowserNeeded, startBrowser } from "./browser.ts";
import { startLiveDaemon } from "./live-daemon.ts";
import { buildSite, type Site, startDevSite } from "./vite-site.ts";

const example = join(import.meta.dirname, "../../../examples/11-react-live-messages");

describe.runIf(isBrowserNeeded)("the page of live messages", () => {
  const stack = new AsyncDisposableStack();
  let site: Site;
  let browser: Browser;
  beforeAll(async () => {
    site = stack.use(await buildSite(example));
    browser = stack.use(await startBrowser()).browser;
  });
  afterAll(() => stack.disposeAsync());

  test("shows who is there, what they say, and what becomes of it", async () => {
    await using live = await startLiveDaemon({ args: ["--allowed-origins", site.origin] });
    const { ksi } = live;
    await ksi.agents.register({ agent_id: "alice" });
    await ksi.agents.register({ agent_id: "bob", capabilities: ["math"] });
    await ksi.messages.send({ source: "alice", target: "bob", event_type: "x.sum", payload: { a: 1, b: 2 } });

    const page = await openPage(browser);
    const complaints = collectComplaints(page);
    await page.goto(linkTo(site, live.daemon));
    const { agent, messages, connection } = partsOf(page);
    await messages.first().waitFor();
    expect(page.url()).toBe(`${site.origin}/`);
    await connection.getByText("Live").waitFor();
    expect(await messages.innerText()).toMatch(/alice.*bob\s+x\.sum\s+\{"a":1,"b":2\}\s+waiting/s);

    const inbox = ksi.agents.inbox("bob")[Symbol.asyncIterator]();
    const { value: sum } = await inbox.next();
    await agent("bob").getByText("online").waitFor();
    await messages.first().getByText("delivered").waitFor();
    await ksi.messages.ack({ agent_id: "bob", ids: [sum.id] });
    await messages.first().getByText("acked").waitFor();

    const form = page.getByRole("form", { name: "Send a message" });
    await form.getByLabel("To").selectOption("whoever can math");
    await form.getByLabel("Payload").fill("What is 2+2?");
    await form.getByRole("button").click();
    await messages.nth(1).waitFor();
    const { value: question } = await inbox.next();
    expect(question).toMatchObject({ source: "visitor", target: "bob", event_type: "x.note", payload: "What is 2+2?" });
    await messages.nth(1).getByText("delivered").waitFor();
    await inbox.return?.();

    await messages.first().locator("summary").click();
    expect(JSON.parse(await messages.first().locator("pre").innerText())).toEqual({ a: 1, b: 2 });
    await page.getByRole("search").getByLabel("Type").selectOption("x.note");
    await until(async () => (await messages.count()) === 1, { message: "the filter keeps one message" });
    expect(await messages.innerText()).toContain("What is 2+2?");
    await agent("alice").click();
    await page.getByText("Nothing here yet").waitFor();
    expect(complaints).toEqual([]);
  });

  test("misses nothing of what happens while it is cut off and the daemon restarts", async () => {
    await using folder = await createTempFolder();
    const options = { dataDir: folder.path, args: ["--allowed-origins", site.origin] };
    let live = await startLiveDaemon(options);
    await using stack = new AsyncDisposableStack();
    stack.defer(() => live[Symbol.asyncDispose]());
    await using way = await startFaultProxy({ target: live.daemon.url });
    await live.ksi.agents.register({ agent_id: "alice" });
    await live.ksi.agents.register({ agent_id: "bob" });
    let sent = 0;
    const send = async (times: number) => {
      for (const until = sent + times; sent < until; sent++)
        await live.ksi.messages.send({ source: "alice", target: "bob", event_type: "x.count", payload: sent });
    };
    await send(3);

    const page = await openPage(browser);
    await page.goto(linkTo(site, { url: `http://${way.address}`, token: live.daemon.token }));
    const { agent, messages, connection } = partsOf(page);
    await until(async () => (await messages.count()) === 3);

    way.isRefusing = true;
    way.cut();
    await connection.getByText("Cut off").waitFor();
    await send(30);
    await ackAll(live.ksi, "bob", sent);
    await live.ksi.agents.unregister("alice");
    await live.ksi.agents.register({ agent_id: "carol" });
    await live[Symbol.asyncDispose]();
    const { port } = new URL(live.daemon.url);
    live = await startLiveDaemon({ ...options, args: [...options.args, "--port", port] });
    await send(3);
    expect(await messages.count()).toBe(3);

    way.isRefusing = false;
    await connection.getByText("Live").waitFor();
    await until(async () => (await messages.count()) === sent, { message: "the page has caught up" });
    // What is out of sight is not drawn, and has no inner text.
    const previews = await messages.locator(".preview").allTextContents();
    expect(previews).toEqual(Array.from({ length: sent }, (_, n) => String(n)));
    await agent("carol").waitFor();
    expect(await agent("alice").count()).toBe(0);
    await until(async () => (await messages.getByText("acked").count()) === sent - 3, {
      message: "receipts are shown",
    });
    expect(await messages.getByText("waiting").count()).toBe(3);
    await until(async () => (await page.getByRole("alert").count()) === 0, { message: "no alarm is left" });
  });

  test("keeps the last five hundred messages, and stays at their end", async () => {
    await using live = await startLiveDaemon({ args: ["--allowed-origins", site.origin] });
    const page = await openPage(browser);
    await page.goto(linkTo(site, live.daemon));
    const { messages, connection } = partsOf(page);
    await connection.getByText("Live").waitFor();
    const publish = (payload: string) => live.ksi.events.publish({ source: "clock", event_type: "x.tick", payload });
    const publishAll = (times: number, payload: string) =>
      Promise.all(Array.from({ length: times }, () => publish(payload)));
    await publishAll(20, "early");
    await publishAll(499, "late");
    await publish("last");
    await messages.getByText("last", { exact: true }).waitFor();
    expect(await messages.count()).toBe(500);
    expect(await messages.getByText("early").count()).toBe(0);
    const isInSight = (element: Element) => element.getBoundingClientRect().bottom <= innerHeight;
    await until(() => messages.last().evaluate(isInSight), { message: "the last message is in sight" });

    // Who reads further up is left in peace.
    await messages.last().hover();
    await page.mouse.wheel(0, -2_000);
    const latest = page.getByRole("button", { name: "Latest" });
    await latest.waitFor();
    await publish("behind the reader");
    await messages.getByText("behind the reader").waitFor({ state: "attached" });
    expect(await messages.last().evaluate(isInSight)).toBe(false);
    await latest.click();
    await until(() => messages.last().evaluate(isInSight), { message: "the latest message is in sight" });
    await latest.waitFor({ state: "detached" });
  });

  test("says why it shows nothing: no daemon, a wrong token, or an origin that the daemon does not allow", async () => {
    await using open = await startLiveDaemon({ args: ["--allowed-origins", site.origin] });
    await using shut = await startLiveDaemon();
    const page = await openPage(browser);
    await page.goto(linkTo(site, { url: "nowhere", token: open.daemon.token }));
    await page.getByRole("button", { name: "Open" }).waitFor();
    await page.goto(linkTo(site, { ...open.daemon, token: "wrong" }));
    await page.reload(); // another fragment alone is the same page
    await page.getByRole("alert").getByText("needs the daemon's token").waitFor();
    await page.getByLabel("Daemon").fill(open.daemon.url);
    await page.getByLabel("Token").fill(open.daemon.token);
    await page.getByRole("button", { name: "Open" }).click();
    await partsOf(page).connection.getByText("Live").waitFor();

    await page.getByRole("button", { name: "Leave" }).click();
    await page.getByLabel("Daemon").fill(shut.daemon.url);
    await page.getByLabel("Token").fill(shut.daemon.token);
    await page.getByRole("button", { name: "Open" }).click();
    await page.getByRole("alert").getByText(`${site.origin} must be one of its allowed_origins`).waitFor();
  });
});

/** React complains there about what a build passes over in silence, and StrictMode does every effect twice. */
test.runIf(isBrowserNeeded)("its dev server shows each message once, and React does not complain", async () => {
  await using site = await startDevSite(example);
  await using live = await startLiveDaemon({ args: ["--allowed-origins", site.origin] });
  await using chromium = await startBrowser();
  await live.ksi.agents.register({ agent_id: "bob", capabilities: ["math"] });
  for (let n = 0; n < 3; n++) await live.ksi.messages.send({ source: "alice", event_type: "x.count", payload: n });
  const page = await openPage(chromium.browser);
  const complaints = collectComplaints(page);
  await page.goto(linkTo(site, live.daemon));
  const { agent, messages, connection } = partsOf(page);
  await connection.getByText("Live").waitFor();
  await agent("bob").waitFor();
  await messages.getByText("2", { exact: true }).waitFor();
  await messages.first().locator("summary").click();
  expect(await messages.locator(".preview").allTextContents()).toEqual(["0", "1", "2"]);
  expect(complaints).toEqual([]);
});

async function openPage(browser: Browser): Promise<Page> {
  const page = await browser.newPage();
  page.setDefaultTimeout(20_000); // less than a test has, which then says what it waited for
  return page;
}

function linkTo({ origin }: Site, { url, token }: { url: string; token: string }): string {
  return `${origin}/#${new URLSearchParams({ token, url })}`;
}

function partsOf(page: Page) {
  return {
    connection: page.getByRole("status").filter({ hasText: "127.0.0.1" }),
    messages: page.getByRole("region", { name: "Messages" }).getByRole("listitem"),
    agent: (id: string) => page.getByRole("navigation").getByRole("button").filter({ hasText: id }),
  };
}

async function ackAll(ksi: KsiClient, agent_id: string, count: number): Promise<void> {
  const ids: string[] = [];
  for await (const { id } of ksi.agents.inbox(agent_id)) {
    ids.push(id);
    if (ids.length === count) break;
  }
  await ksi.messages.ack({ agent_id, ids });
}
