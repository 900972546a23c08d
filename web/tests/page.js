// Runs the tests in the page and in a Worker; run.mjs calls it, and is told of each result.

import "./watch.js";
import * as birnn from "/package/birnn.js";
import { run } from "./cases.js";

globalThis.runTests = async (setup) => {
  await run(birnn, setup, (result) => globalThis.report({ where: "page", ...result }));
  const worker = new Worker("worker.js", { type: "module" });
  await new Promise((resolve, reject) => {
    worker.onerror = (event) => {
      if (event.message?.includes("unreachable")) event.preventDefault();
      else reject(new Error(`the Worker: ${event.message}`));
    };
    worker.onmessage = ({ data }) => {
      if (data === "done") resolve();
      else globalThis.report({ where: "Worker", ...data });
    };
    worker.postMessage({ ...setup, brief: true });
  });
  worker.terminate();
};
