/** Chromium, where one is installed, driven by playwright-core. */
import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

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
