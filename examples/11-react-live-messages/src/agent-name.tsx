/** An agent's name in its own colour, which is the same wherever the name stands. */
export function AgentName({ id }: { id: string }) {
  return (
    <span className="agent-name" style={{ "--hue": hueOf(id) }}>
      {id}
    </span>
  );
}

function hueOf(id: string): number {
  let sum = 0;
  for (const char of id) sum = (sum * 17 + (char.codePointAt(0) ?? 0)) % 360;
  return sum;
}

declare module "react" {
  interface CSSProperties {
    "--hue"?: number;
  }
}
