/** What a person sees at `/docs`, in Chromium; and what a page can do with a ticket where it can send no header. */
import { expect, test } from "vitest";
import { collectComplaints, isBrowserNeeded, startBrowser } from "./browser.ts";
import { startLiveDaemon } from "./live-daemon.ts";

const inBrowser = test.runIf(isBrowserNeeded);

inBrowser("the docs page shows every operation, tries one with the token, and loads nothing from outside", async () => {
  await using live = await startLiveDaemon();
  await using chromium = await startBrowser();
  const { url, token } = live.daemon;
  const page = await chromium.browser.newPage();
  const complaints = collectComplaints(page);

  await page.goto(`${url}/docs`);
  const { paths } = (await (await fetch(`${url}/openapi.json`)).json()) as { paths: Record<string, object> };
  const shown = page.locator(".opblock");
  await shown.first().waitFor();
  expect(await shown.count()).toBe(Object.values(paths).flatMap((path) => Object.keys(path)).length);

  await page.getByRole("button", { name: "Authorize" }).first().click();
  await page.locator(".auth-container input").first().fill(token);
  await page.locator(".auth-btn-wrapper .authorize").first().click();
  await page.locator(".close-modal").click();

  const status = page.locator("#operations-system-system_status");
  await status.locator(".opblock-summary-control").click();
  await status.getByRole("button", { name: "Execute" }).click();
  const answered = status.locator(".live-responses-table .response").first();
  await answered.waitFor();
  expect(await answered.locator(".response-col_status").first().innerText()).toMatch(/^200/);
  expect(await answered.innerText()).toContain('"status": "healthy"');
  expect(complaints).toEqual([]);
});

inBrowser("a page follows a run over an EventSource with a ticket", async () => {
  await using live = await startLiveDaemon();
  await using chromium = await startBrowser();
  const { url, token } = live.daemon;
  const page = await chromium.browser.newPage();
  await page.goto(`${url}/docs`);
  const run = await live.ksi.run({ prompt: "Hello, page!", model: "echo" });
  await run.result();
  const { ticket } = (await (
    await fetch(`${url}/api/v1/tickets`, { method: "POST", headers: { authorization: `Bearer ${token}` } })
  ).json()) as { ticket: string };

  const source = `/api/v1/runs/${run.run_id}/events?ticket=${ticket}`;
  const types = await page.evaluate(
    (path) =>
      new Promise<string[]>((resolve) => {
        const seen: string[] = [];
        const events = new EventSource(path);
        events.onmessage = ({ data }) => {
          seen.push(JSON.parse(data).event_type);
          if (seen.at(-1) !== "run.completed") return;
          events.close();
          resolve(seen);
        };
      }),
    source,
  );
  expect(types).toEqual(["run.queued", "run.started", "run.text", "run.text", "run.completed"]);
});
