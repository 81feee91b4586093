import type { Agent, SendInput } from "@ksi/client";

/** A choice of whom to send to: everyone, one agent, or whoever can do something. The field is called `to`. */
export function Receivers({ agents }: { agents: readonly Agent[] }) {
  const ids = agents.map(({ agent_id }) => agent_id).sort();
  const capabilities = [...new Set(agents.flatMap((agent) => agent.capabilities))].sort();
  return (
    <label>
      To
      <select name="to">
        <option value="">everyone</option>
        {ids.map((id) => (
          <option key={id} value={`agent:${id}`}>
            {id}
          </option>
        ))}
        {capabilities.map((name) => (
          <option key={name} value={`can:${name}`}>
            whoever can {name}
          </option>
        ))}
      </select>
    </label>
  );
}

export function receiverOf(to: string): Pick<SendInput, "target" | "capability"> {
  if (to.startsWith("agent:")) return { target: to.slice("agent:".length) };
  if (to.startsWith("can:")) return { capability: to.slice("can:".length) };
  return {};
}
