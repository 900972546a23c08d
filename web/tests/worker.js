// Runs the tests in a Worker.

import "./watch.js";
import * as birnn from "/package/birnn.js";
import { run } from "./cases.js";

globalThis.onmessage = async ({ data }) => {
  await run(birnn, data, (result) => postMessage(result));
  postMessage("done");
};
