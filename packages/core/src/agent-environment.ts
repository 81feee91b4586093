/** Which of the daemon's environment variables an agent gets. A list of what may pass, since secrets have any name. */

const passedNames = new Set([
  ...["PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TMPDIR", "TZ", "LANG", "LANGUAGE"],
  ...["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"],
  ...["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR", "API_TIMEOUT_MS", "CLAUDE_CONFIG_DIR"],
]);
const passedPrefixes = ["LC_", "XDG_", "ANTHROPIC_", "CLAUDE_CODE_", "DISABLE_"];

/**
 * The variables of `env` that an agent gets: what a program needs to run at all (PATH, HOME, locale, proxies,
 * certificates), what configures the agent itself (`ANTHROPIC_*`, `CLAUDE_CODE_*`, `DISABLE_*`), and the names in
 * `passEnv`, of which one with a `*` at its end is a prefix. `KSI_*` never passes, also when named: the daemon's token
 * and Redis URL are among them.
 */
export function pickAgentEnvironment(env: NodeJS.ProcessEnv, passEnv: readonly string[] = []): Record<string, string> {
  const picked: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && passes(name, passEnv)) picked[name] = value;
  }
  return picked;
}

function passes(name: string, passEnv: readonly string[]): boolean {
  if (name.startsWith("KSI_")) return false;
  const isNamed = passEnv.some((item) => (item.endsWith("*") ? name.startsWith(item.slice(0, -1)) : name === item));
  return isNamed || passedNames.has(name) || passedPrefixes.some((prefix) => name.startsWith(prefix));
}
