import { type Job, Worker } from "bullmq";
import { settlesWithin } from "./within.ts";

/** What BullMQ may take to close; without Redis it waits for ever. */
const closeMs = 3_000;

/**
 * BullMQ's worker, patient with a Redis that refuses, and not with one that is away at the end.
 *
 * In a file of its own because BullMQ takes long to load, and is loaded only where it is needed.
 */
export class PatientWorker<T> extends Worker<T> {
  /**
   * Waits `runRetryDelay` also where Redis answers with an error. BullMQ itself waits only for a lost connection: a Redis
   * that is full or read-only it asks thousands of times a second, with an error for each.
   */
  protected override async moveToActive(token: string, name?: string): Promise<Job<T>> {
    try {
      return await super.moveToActive(token, name);
    } catch (error) {
      await this.delay(this.opts.runRetryDelay);
      throw error;
    }
  }

  /** The wait after a failure; BullMQ's own, where a replica refuses to wait for a job, is a tenth of a second. */
  override delay(...[ms = this.opts.runRetryDelay, abort]: Parameters<Worker["delay"]>): Promise<void> {
    return super.delay(ms, abort);
  }

  override async close(force = false): Promise<void> {
    if (await settlesWithin(super.close(force), closeMs)) return;
    // Else its timer keeps the process alive.
    await this.lockManager.close();
  }
}
