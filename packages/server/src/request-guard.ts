/**
 * Who may knock: checks of Host (against DNS rebinding) and Origin (against other sites' pages), before any token is
 * looked at and the same on every door.
 */
import { isIP } from "node:net";
import { KsiError } from "@ksi/contract/errors";
import type { Config } from "./config.ts";

export interface RequestGuard {
  /** Why the request is refused (`FORBIDDEN`), if it is. A request without Origin does not come from a web page. */
  refusal(request: { host: string | undefined; origin: string | undefined }): KsiError | undefined;
  /** Whether pages of this origin may read answers. */
  allowsOrigin(origin: string, host: string | undefined): boolean;
}

export function createRequestGuard(config: Pick<Config, "host" | "allowed_hosts" | "allowed_origins">): RequestGuard {
  const names = new Set([config.host, "localhost", "127.0.0.1", "::1", ...config.allowed_hosts].map(normal));
  const origins = new Set(config.allowed_origins.map(normal));
  // A name can be made to point here by its owner; an address cannot.
  const takesAnyAddress = config.host === "0.0.0.0" || config.host === "::";

  function allowsHost(host: string | undefined): boolean {
    const name = host && nameOf(host);
    if (!name) return false;
    return names.has(name) || names.has(normal(host)) || (takesAnyAddress && isIP(name) !== 0);
  }

  function allowsOrigin(origin: string, host: string | undefined): boolean {
    // The scheme is not compared: behind a TLS proxy the page is https and the request that arrives is not.
    return origins.has(normal(origin)) || (host !== undefined && hostOf(origin) === normal(host));
  }

  return {
    allowsOrigin,
    refusal({ host, origin }) {
      if (!allowsHost(host)) {
        return new KsiError("FORBIDDEN", "This Host is not one of the daemon's names. Add it to allowed_hosts.");
      }
      if (origin !== undefined && !allowsOrigin(origin, host)) {
        return new KsiError("FORBIDDEN", "Pages of this Origin may not call the daemon. Add it to allowed_origins.");
      }
      return undefined;
    },
  };
}

const normal = (text: string) => text.toLowerCase();

/** `[::1]:8000` → `::1`, `Localhost:8000` → `localhost`; undefined for what no URL could hold. */
function nameOf(host: string): string | undefined {
  if (!/^[^/?#@\\\s]+$/.test(host)) return undefined;
  return URL.parse(`http://${host}`)?.hostname.replace(/^\[(.*)\]$/, "$1");
}

/** `https://ksi.example.com` → `ksi.example.com`; undefined for `null`, which sandboxed pages send. */
function hostOf(origin: string): string | undefined {
  return /^https?:\/\/([^/\s]+)$/i.exec(origin)?.[1]?.toLowerCase();
}
