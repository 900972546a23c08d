// The page's side of the Worker: calls go there and come back as promises, so that the page stays
// responsive while a model is read or runs.

/** A Worker with a model. Its calls run one after the other. */
export class Engine {
  #worker = null;
  #waiting = new Map(); // by number: what settles the call, and what hears of its progress
  #last = 0;

  /**
   * Has the Worker act. `onProgress` is called with what the act tells on its way.
   * @returns {Promise<any>} what it returns; it rejects with an `Error`, of birnn's with its `kind`
   */
  call(act, argument, { onProgress, transfer = [] } = {}) {
    this.#worker ??= this.#start();
    const number = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject, onProgress });
      this.#worker.postMessage({ number, act, argument }, transfer);
    });
  }

  /** Stops whatever runs. The model is gone with it. */
  stop(reason) {
    this.#worker?.terminate();
    this.#worker = null;
    this.#rejectAll(Object.assign(new Error(reason), { kind: "Stopped" }));
  }

  #start() {
    const worker = new Worker(new URL("worker.js", import.meta.url), {
      type: "module",
      name: "birnn",
    });
    worker.onmessage = ({ data: { number, value, error, progress } }) => {
      const call = this.#waiting.get(number);
      if (!call) return;
      if (progress) {
        call.onProgress?.(progress);
        return;
      }
      this.#waiting.delete(number);
      if (error) call.reject(Object.assign(new Error(error.message), { kind: error.kind }));
      else call.resolve(value);
      if (error?.kind === "Aborted") this.stop("the model is gone: choose it again");
    };
    worker.onerror = (event) => {
      event.preventDefault(); // it is said in the page
      this.stop(event.message || "the Worker can't be started");
    };
    return worker;
  }

  #rejectAll(error) {
    for (const call of this.#waiting.values()) call.reject(error);
    this.#waiting.clear();
  }
}
