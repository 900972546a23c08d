// Errors, and what becomes of calls when WebAssembly stops.

export class BirnnError extends Error {
  constructor(message, kind, options) {
    super(message, options);
    this.name = "BirnnError";
    this.kind = kind;
  }
}

/** The text of a value in a message, in quotes, as Rust's errors have it. */
export const quoted = (value) => JSON.stringify(String(value));

/**
 * Calls of one WebAssembly module. After a trap (most often its memory is used up) nothing in the
 * module can be trusted: calls that wait are rejected, and later ones, too.
 */
export class Guard {
  /** Why the module stopped. */
  #stopped = null;
  /** What rejects the promises that wait. */
  #waiting = new Set();

  constructor() {
    // A trap in a task that the module queued itself reaches no promise, but these.
    const trap = (error) => {
      if (error instanceof WebAssembly.RuntimeError && /birnn/.test(error.stack ?? "")) {
        this.#stop(error);
      }
    };
    globalThis.addEventListener?.("error", (event) => trap(event.error));
    globalThis.addEventListener?.("unhandledrejection", (event) => trap(event.reason));
  }

  #stop(cause) {
    this.#stopped ??= new BirnnError(
      `WebAssembly stopped (${cause.message}), most often because its memory was used up: load the ` +
        "page or start the Worker again",
      "Aborted",
      { cause },
    );
    for (const reject of this.#waiting) reject(this.#stopped);
    this.#waiting.clear();
  }

  /** What a failure is to the caller. */
  #own(error) {
    if (error instanceof WebAssembly.RuntimeError) {
      this.#stop(error);
      return this.#stopped;
    }
    if (error instanceof BirnnError || typeof error?.kind !== "string") return error;
    return new BirnnError(error.message, error.kind);
  }

  /** Calls into the module. */
  call(act) {
    if (this.#stopped) throw this.#stopped;
    try {
      return act();
    } catch (error) {
      throw this.#own(error);
    }
  }

  /** Waits for a promise of the module's. */
  wait(act) {
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      const settled = (settle) => (value) => {
        this.#waiting.delete(reject);
        settle(value);
      };
      const failed = settled((error) => reject(this.#own(error)));
      try {
        this.call(act).then(settled(resolve), failed);
      } catch (error) {
        failed(error);
      }
    });
  }
}
