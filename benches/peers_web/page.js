// What runs in the browser: compare.mjs calls `measure` for each case.

import { load } from "/package/birnn.js";

/** Milliseconds that a round of calls takes at least, for clocks of browsers are coarse. */
const ROUND = 20;
const MOST_CALLS = 1000;

/** The outputs are in [-1, 1], and each runtime sums in an order of its own. */
const TOLERANCE = 2e-5;

const runtimes = {
  birnn: (device) => async (bytes, x) => {
    const options = { device, allowSoftware: true, name: "layer.onnx" };
    const session = await load(bytes, options);
    return {
      run: async () => (await session.run(x))[0].data,
      about: `${session.device.name}, ${session.device.backend}`,
      dispose: () => session.dispose(),
    };
  },
  onnxruntime: (device) => async (bytes, x) => {
    const build = device === "cpu" ? "wasm" : "webgpu";
    const ort = await import(`/ort/ort.${build}.min.mjs`);
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmPaths = "/ort/";
    const session = await ort.InferenceSession.create(bytes, { executionProviders: [build] });
    const feeds = { X: new ort.Tensor("float32", x.data, x.shape) };
    return {
      run: async () => (await session.run(feeds)).Y.data,
      about: `onnxruntime-web ${ort.env.versions.web}`,
      dispose: () => session.release(),
    };
  },
};

async function bytesOf(name) {
  return new Uint8Array(await (await fetch(`/models/${name}`)).arrayBuffer());
}

/**
 * The times of both runtimes on a case, in turn.
 * @returns `{ [runtime]: { about, first, times, far } }`: milliseconds from the file's bytes to the
 *   first result, and of a call in each round; how far the outputs are from onnxruntime-web's.
 */
globalThis.measure = async ({ name, x: shape }, device, rounds) => {
  const data = new Float32Array((await bytesOf(`${name}.x`)).buffer);
  const ready = [];
  for (const [runtime, on] of Object.entries(runtimes)) {
    const open = on(device);
    const bytes = await bytesOf(`${name}.onnx`);
    await (await open(bytes, { data, shape })).dispose(); // WebAssembly is loaded and compiled
    const began = performance.now();
    const session = await open(bytes, { data, shape });
    const output = Float32Array.from(await session.run());
    ready.push({ runtime, session, output, first: performance.now() - began, times: [] });
  }
  const exact = ready.at(-1).output;
  for (const each of ready) {
    each.far = each.output.reduce((far, value, i) => Math.max(far, Math.abs(value - exact[i])), 0);
    if (each.output.length !== exact.length || !(each.far < TOLERANCE)) {
      throw new Error(`${name} of ${each.runtime} on ${device} is ${each.far} off`);
    }
    // Compilers of WebAssembly look at what runs often.
    let began = performance.now();
    const isWarm = (calls) => calls >= MOST_CALLS || (calls >= 3 && performance.now() - began > 1000);
    for (let calls = 0; !isWarm(calls); calls++) await each.session.run();
    began = performance.now();
    await each.session.run();
    each.calls = Math.min(Math.ceil(ROUND / Math.max(performance.now() - began, 0.02)), MOST_CALLS);
  }
  for (let round = 0; round < rounds; round++) {
    for (const { session, calls, times } of ready) {
      const began = performance.now();
      for (let call = 0; call < calls; call++) await session.run();
      times.push((performance.now() - began) / calls);
    }
  }
  for (const { session } of ready) await session.dispose();
  const found = ({ session: { about }, first, times, far }) => ({ about, first, times, far });
  return Object.fromEntries(ready.map((each) => [each.runtime, found(each)]));
};
globalThis.isReady = true;
