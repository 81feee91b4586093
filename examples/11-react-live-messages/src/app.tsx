import { useState } from "react";
import { type Access, forgetAccess, keepAccess } from "./access.ts";
import { LivePage } from "./live-page.tsx";
import { SignIn } from "./sign-in.tsx";

/** Asks for the daemon's token if the link brought none, and then shows what happens there. */
export function App(props: { access: Access | undefined }) {
  const [access, setAccess] = useState(props.access);
  const [refusal, setRefusal] = useState<string>();

  function enter(next: Access) {
    keepAccess(next);
    setRefusal(undefined);
    setAccess(next);
  }

  function leave(reason?: string) {
    forgetAccess();
    setRefusal(reason);
    setAccess(undefined);
  }

  return access ? <LivePage access={access} onLeave={leave} /> : <SignIn refusal={refusal} onEnter={enter} />;
}
