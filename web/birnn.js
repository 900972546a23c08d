// What birnn.d.ts describes, with the readers of all formats.

import { over } from "./api.js";

export { BirnnError, Device, Model, Outputs, Session, version } from "./api.js";
export const { devices, init, load, loadModel, openDevice } = over(() => import("./wasm/birnn_all.js"));
