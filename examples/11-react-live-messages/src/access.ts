/** Where the daemon is, and the token that opens it: from the link that led here, or from before a reload. */
export interface Access {
  readonly url: string;
  readonly token: string;
}

export const defaultUrl = "http://127.0.0.1:8000";

/**
 * From `#token=…` or `#token=…&url=…`, which no server is sent, and which is gone from the address bar afterwards. A link
 * that names a url alone is passed over: it could send the token of this tab to somebody else.
 */
export function readAccess(): Access | undefined {
  const link = new URLSearchParams(location.hash.slice(1));
  const token = link.get("token");
  const url = link.get("url") ?? defaultUrl;
  if (token && /^https?:/.test(url) && URL.canParse(url)) {
    history.replaceState(null, "", location.pathname + location.search);
    keepAccess({ url, token });
  }
  const kept = { url: sessionStorage.getItem("ksi-url"), token: sessionStorage.getItem("ksi-token") };
  return kept.url && kept.token ? { url: kept.url, token: kept.token } : undefined;
}

/** For this tab alone, until it is closed. */
export function keepAccess({ url, token }: Access): void {
  sessionStorage.setItem("ksi-url", url);
  sessionStorage.setItem("ksi-token", token);
}

export function forgetAccess(): void {
  sessionStorage.removeItem("ksi-token");
}
