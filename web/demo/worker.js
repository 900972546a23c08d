// The Worker: holds a model and its sessions, and does what engine.js asks for.

import { devices, loadModel } from "./birnn/birnn.js";

let model = null;
/** The model's sessions, by the name of the device. */
const sessions = new Map();
/** Set while a measurement is to end early. */
let measuringEnds = false;

function dispose() {
  for (const session of sessions.values()) session.dispose();
  sessions.clear();
  model?.dispose();
  model = null;
}

/** The model; the page asks for it only while there is one, unless WebAssembly had to stop. */
function current() {
  if (!model) throw new Error("the model is gone: choose it again");
  return model;
}

/** A device is named by whoever wants to see it, a software adapter, too. */
const compile = (device) => current().compile({ device, allowSoftware: true });

async function session(device) {
  if (!sessions.has(device)) sessions.set(device, await compile(device));
  return sessions.get(device);
}

const acts = {
  devices,

  /** Reads a model from a file or URL in place of the one before, and describes it. */
  async read({ source, options }, tell) {
    const read = await loadModel(source, { ...options, onProgress: tell });
    dispose();
    model = read;
    const { inputs, outputs, isStateful, recurrentLayers } = model;
    return { inputs, outputs, isStateful, recurrentLayers, summary: model.summary() };
  },

  /** Runs the model: its outputs, the time of the call, whether it is the first, and the device. */
  async run({ device, inputs, options }) {
    const isFirst = !sessions.has(device);
    const running = await session(device);
    try {
      const before = performance.now();
      const outputs = await running.run(inputs, options);
      const time = performance.now() - before;
      const list = outputs.map((output) => output);
      return { outputs: list, time, isFirst, device: running.device };
    } catch (error) {
      // The next call opens the device again.
      if (error.kind === "DeviceLost") {
        running.dispose();
        sessions.delete(device);
      }
      throw error;
    }
  },

  /** What a recurrent layer held at each timestep: a list of directions for each call of it. */
  trace: ({ layer, inputs, options }) => current().trace(layer, inputs, options),

  resetStates() {
    for (const one of sessions.values()) one.resetStates();
  },

  /** The model in birnn's own form. */
  save: () => current().save(),

  /**
   * Measures calls on a device, in a session of its own: until there are `count` times, or
   * `seconds` have gone by. Browsers' clocks tick every 0.1 ms, so short calls are measured in
   * groups, each as long as some ticks.
   */
  async measure({ device, inputs, options, count, seconds }, tell) {
    measuringEnds = false;
    const begin = performance.now();
    const measured = await compile(device);
    const opened = performance.now();
    try {
      await measured.run(inputs, options);
      const first = performance.now();
      await measured.run(inputs, options);
      const once = performance.now() - first;
      const group = Math.min(1000, Math.max(1, Math.ceil(4 / Math.max(once, 0.004))));
      const times = [];
      while (times.length < count && performance.now() - first < 1000 * seconds && !measuringEnds) {
        const before = performance.now();
        for (let call = 0; call < group; call++) await measured.run(inputs, options);
        times.push((performance.now() - before) / group);
        tell({ done: times.length, count });
        await new Promise((resolve) => setTimeout(resolve)); // a wish to end comes in
      }
      times.sort((one, other) => one - other);
      return {
        device: measured.device,
        opening: opened - begin,
        first: first - opened,
        median: times.length > 0 ? times[times.length >> 1] : once,
        calls: Math.max(1, times.length) * (times.length > 0 ? group : 1),
        group,
      };
    } finally {
      measured.dispose();
    }
  },

  endMeasuring() {
    measuringEnds = true;
  },
};

/** The buffers of arrays in a value, which go to the page without a copy. */
function buffers(value) {
  if (value instanceof Float32Array || value instanceof Uint8Array) return [value.buffer];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(buffers);
}

/** Settles when the last act is done: acts follow one another. */
let turn = Promise.resolve();

self.onmessage = ({ data }) => {
  if (data.act === "endMeasuring")
    perform(data); // that is running
  else turn = turn.then(() => perform(data));
};

async function perform({ number, act, argument }) {
  try {
    const value = await acts[act](argument, (progress) => self.postMessage({ number, progress }));
    self.postMessage({ number, value }, [...new Set(buffers(value))]);
  } catch (error) {
    self.postMessage({ number, error: { message: error.message, kind: error.kind ?? error.name } });
  }
}
