/** The models that can be asked for. */
import { KsiError, type SystemPort } from "@ksi/contract";
import type { Model, ModelList } from "./chat-schemas.ts";

/**
 * What the available runners list, and the default model, unless it is one of a runner that is not available. Runners
 * may serve more names than they list. `created`, in seconds, is the same for all, since nobody knows when a model was
 * made.
 */
export async function listModels(system: SystemPort, created: number): Promise<ModelList> {
  const { runners, default_model } = await system.status();
  const owners = new Map<string, string>();
  for (const { name, models, available } of runners) {
    if (!available) continue;
    for (const id of models) if (!owners.has(id)) owners.set(id, name);
  }
  const isListed = runners.some(({ models }) => models.includes(default_model));
  if (!isListed) owners.set(default_model, "ksi");
  const data = [...owners].map(([id, owned_by]): Model => ({ id, object: "model", created, owned_by }));
  return { object: "list", data };
}

/** `MODEL_NOT_FOUND` for what is not listed. */
export async function getModel(system: SystemPort, created: number, id: string): Promise<Model> {
  const { data } = await listModels(system, created);
  const model = data.find((candidate) => candidate.id === id);
  if (model) return model;
  const listed = data.map((candidate) => candidate.id).join(", ");
  const advice = listed ? `Ready here: ${listed}.` : "No other is ready here either: GET /api/v1/status says why.";
  throw new KsiError("MODEL_NOT_FOUND", `There is no model ${id.slice(0, 200)}. ${advice}`);
}
