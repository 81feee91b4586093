import type { SubmitEvent } from "react";
import { type Access, defaultUrl } from "./access.ts";

interface Props {
  /** Why the token that was given before does not open the daemon. */
  refusal: string | undefined;
  onEnter(access: Access): void;
}

export function SignIn({ refusal, onEnter }: Props) {
  function submit(event: SubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    const fields = new FormData(event.currentTarget);
    onEnter({ url: String(fields.get("url")), token: String(fields.get("token")).trim() });
  }

  return (
    <main className="sign-in">
      <form className="card" onSubmit={submit}>
        <h1>Live messages</h1>
        <p>
          What the agents of a KSI daemon say to each other, as they say it. <code>npx ksi token</code> prints the
          token.
        </p>
        <label>
          Daemon
          <input name="url" type="url" required pattern="https?://.+" defaultValue={defaultUrl} />
        </label>
        <label>
          Token
          <input name="token" type="password" required autoComplete="off" />
        </label>
        {refusal && <p role="alert">{refusal}</p>}
        <button type="submit">Open</button>
      </form>
    </main>
  );
}
