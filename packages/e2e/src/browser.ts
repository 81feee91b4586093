/** Chromium, where one is installed, driven by playwright-core. */
import { existsSync } from "node:fs";
import { type Browser, chromium, type Page } from "playwright-core";

const places = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/opt/google/chrome/chrome",
];

/** `KSI_CHROMIUM`, or where distributions put it. Undefined where there is none; in CI there has to be one. */
const chromiumPath = [process.env.KSI_CHROMIUM, ...places].find((path) => path && existsSync(path));

export const isBrowserNeeded = process.env.CI === "true" || chromiumPath !== undefined;

export async function startBrowser(): Promise<AsyncDisposable & { browser: Browser }> {
  if (!chromiumPath) throw new Error("No Chromium is installed. On Debian and Ubuntu: apt-get install chromium.");
  const browser = await chromium.launch({
    executablePath: chromiumPath,
    // As root, as in most containers, its own sandbox does not start; what it is shown is only ours.
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"],
  });
  return { browser, [Symbol.asyncDispose]: () => browser.close() };
}

/** What the console of a page says from now on, and what it asks of anybody but this machine. */
export function collectComplaints(page: Page): string[] {
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => {
    const { hostname, protocol } = new URL(request.url());
    if (protocol !== "data:" && hostname !== "127.0.0.1") complaints.push(`asked ${request.url()}`);
  });
  return complaints;
}
