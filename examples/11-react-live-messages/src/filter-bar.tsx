import type { Agent } from "@ksi/client";
import type { Filter } from "./filter.ts";
import type { LiveMessage } from "./flow.ts";

interface Props {
  messages: readonly LiveMessage[];
  agents: readonly Agent[];
  filter: Filter;
  onFilter(filter: Filter): void;
  /** How many messages it lets through. */
  shown: number;
}

export function FilterBar({ messages, agents, filter, onFilter, shown }: Props) {
  // Whoever sends need not be registered.
  const names = [...agents.map(({ agent_id }) => agent_id), ...messages.map(({ source }) => source)];
  const types = messages.map(({ event_type }) => event_type);
  return (
    <search className="filters">
      <Choice
        label="Agent"
        all="Everybody"
        values={[...names, filter.agent]}
        chosen={filter.agent}
        onChoose={(agent) => onFilter({ ...filter, agent })}
      />
      <Choice
        label="Type"
        all="All types"
        values={[...types, filter.type]}
        chosen={filter.type}
        onChoose={(type) => onFilter({ ...filter, type })}
      />
      <output className="dim">{`${shown} of ${messages.length} messages`}</output>
    </search>
  );
}

interface ChoiceProps {
  label: string;
  all: string;
  values: readonly string[];
  chosen: string;
  onChoose(value: string): void;
}

function Choice({ label, all, values, chosen, onChoose }: ChoiceProps) {
  const sorted = [...new Set(values)].filter(Boolean).sort((a, b) => a.localeCompare(b));
  return (
    <label>
      {label}
      <select value={chosen} onChange={(event) => onChoose(event.target.value)}>
        <option value="">{all}</option>
        {sorted.map((value) => (
          <option key={value}>{value}</option>
        ))}
      </select>
    </label>
  );
}
