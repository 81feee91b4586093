import type { Agent } from "@ksi/client";
import { AgentName } from "./agent-name.tsx";
import { clock } from "./clock.ts";

interface Props {
  agents: readonly Agent[];
  /** Whose messages are shown; empty: everybody's. */
  chosen: string;
  onChoose(agentId: string): void;
}

/** Who is there, those that are online first. A click narrows the flow down to one, another widens it again. */
export function AgentList({ agents, chosen, onChoose }: Props) {
  const sorted = agents.toSorted((a, b) => rank(a) - rank(b) || a.agent_id.localeCompare(b.agent_id));
  const online = agents.filter(({ status }) => status === "online").length;
  return (
    <nav aria-label="Agents">
      <h2>
        Agents <span className="dim">{`${online} of ${agents.length} online`}</span>
      </h2>
      {agents.length === 0 && <p className="dim">Nobody has registered yet.</p>}
      <ul>
        {sorted.map((agent) => (
          <li key={agent.agent_id}>
            <button
              type="button"
              aria-pressed={agent.agent_id === chosen}
              onClick={() => onChoose(agent.agent_id === chosen ? "" : agent.agent_id)}
            >
              <AgentName id={agent.agent_id} />
              <Presence agent={agent} />
              {agent.capabilities.length > 0 && <span className="capabilities">{agent.capabilities.join(", ")}</span>}
            </button>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function Presence({ agent: { status, last_seen } }: { agent: Agent }) {
  return (
    <span className="presence" data-status={status} title={`Last seen at ${clock(last_seen)}`}>
      {status}
    </span>
  );
}

const rank = ({ status }: Agent) => (status === "online" ? 0 : 1);
