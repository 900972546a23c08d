// What birnn.d.ts describes, with the readers of all formats.

import { over } from "./api.js";
import { hasRelaxedSimd } from "./simd.js";

export { BirnnError, Device, Model, Outputs, Session, version } from "./api.js";

/** The module with multiply-adds, where the browser has them. One that `init` is given has none. */
const imported = (isGiven) =>
  !isGiven && hasRelaxedSimd() ? import("./wasm/birnn_all_relaxed.js") : import("./wasm/birnn_all.js");

export const { devices, init, load, loadModel, openDevice } = over(imported);
