// The tests that run in a page, and again in a Worker. `run` calls `report(name, problem)` for each;
// without a problem the test passed.

import { npz } from "./npz.js";

/** Other engines compute in another order of sums. */
const TOLERANCE = 2e-6;

/** Sixty-four bits that say where a random array stands. */
function random(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state / 2 ** 31;
  };
}

export function tensor(shape, seed = 1) {
  const next = random(seed);
  return { data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, next), shape };
}

function check(holds, text) {
  if (!holds) throw new Error(text);
}

function same(found, expected, what) {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)];
  check(a === b, `${what}: ${a}, expected ${b}`);
}

/** The largest difference of two arrays of the same shape. */
function difference(found, expected, what) {
  same(found.shape, Array.from(expected.shape), `the shape of ${what}`);
  let largest = 0;
  for (let i = 0; i < found.data.length; i++) {
    const apart = Math.abs(found.data[i] - Number(expected.data[i]));
    // NaN is not below anything.
    if (!(apart <= largest)) largest = apart;
  }
  return largest;
}

function close(found, expected, what, tolerance = TOLERANCE) {
  const largest = difference(found, expected, what);
  check(largest <= tolerance, `${what} is ${largest} off`);
}

function equal(found, expected, what) {
  close(found, expected, what, 0);
}

/** That it is refused, with an error of this kind whose text has these words. */
async function refused(birnn, act, kind, ...words) {
  let done;
  try {
    done = await act();
  } catch (error) {
    check(error instanceof birnn.BirnnError, `no BirnnError, but ${error}`);
    same(error.kind, kind, `the kind of ${error.message}`);
    for (const word of words) {
      check(error.message.includes(word), `${JSON.stringify(error.message)} doesn't say ${word}`);
    }
    return error;
  }
  throw new Error(`it isn't refused: ${done}`);
}

/** The models of the fixtures that are run, each with the options to load it and its arrays. */
async function fixtures() {
  const keras = async (folder, name, file = `${name}.keras`, options = {}) => {
    const arrays = await npz(`/fixtures/${folder}/${name}.npz`);
    const list = (prefix) =>
      Object.keys(arrays)
        .filter((key) => key.startsWith(prefix))
        .map((key) => arrays[key]);
    const several = Object.keys(arrays).filter((key) => /^call\d+_input0$/.test(key)).length;
    const calls = Array.from({ length: Math.max(several, 1) }, (_, call) => {
      const prefix = several ? `call${call}_` : "";
      return { inputs: list(`${prefix}input`), outputs: list(`${prefix}output`) };
    });
    return { name, url: `/fixtures/${folder}/${file}`, options, calls };
  };
  const onnx = async (name) => {
    const arrays = Object.entries(await npz(`/fixtures/onnx/${name}.npz`));
    const list = (prefix) => arrays.filter(([key]) => key.startsWith(prefix)).map(([, array]) => array);
    const calls = [{ inputs: list("in_"), outputs: list("out_") }];
    return { name, url: `/fixtures/onnx/${name}.onnx`, options: {}, calls };
  };
  const torch = async (name, file) => {
    const { [`${name}.x`]: x, [`${name}.output`]: output } = await npz("/fixtures/torch/arrays.npz");
    return { name, url: `/fixtures/torch/${file}`, options: {}, calls: [{ inputs: [x], outputs: [output] }] };
  };
  const config = "file_weights_mask_stack_embedding_gru_bi_gru";
  const json = await (await fetch(`/fixtures/layers/${config}.json`)).text();
  const resets = async (fixture) => ({ ...(await fixture), resetBefore: 2 });
  return Promise.all([
    ...["lstm1", "lstm2", "gru1", "gru2"].map((model) => keras("keras", `notebook_${model}`)),
    keras("keras", "notebook_lstm2_keras2", "notebook_lstm2_keras2.h5"),
    keras("keras", "encoder_decoder_bi_lstm"),
    keras("layers", "mask_bi_gru_concat_seq_state"),
    keras("layers", "mask_bi_gru_mul_last"),
    keras("layers", config, `${config}.weights.h5`, { config: json }),
    resets(keras("layers", "stateful_bi_lstm_masked")),
    onnx("lstm_bidirectional"),
    onnx("exported_bilstm"),
    torch("lstm_1_bi", "lstm_1_bi.safetensors"),
    torch("lstm_2_bi", "lstm_2_bi.pt"),
  ]);
}

/** What the tests of one device share: the device, whose kernels are built once. */
class Bench {
  constructor(birnn, name) {
    this.birnn = birnn;
    this.name = name;
    // Chromium's adapter is in software where the tests run.
    this.options = { allowSoftware: name === "webgpu" };
  }

  /** Loads a model for the device, or another where the options say so. */
  async load(source, options = {}) {
    this.device ??= await this.open();
    return this.birnn.load(source, { device: this.device, ...options });
  }

  /** The options for a device that nobody else has. */
  get own() {
    return { device: this.name, ...this.options };
  }

  open() {
    return this.birnn.openDevice(this.name, this.options);
  }
}

/** Bidirectional(LSTM(3, return_sequences=True, return_state=True)) of `[batch, 8, 2]`. */
const NOTEBOOK = "/fixtures/keras/notebook_lstm2.keras";
/** Bidirectional(LSTM(64, return_state=True)) of any number of timesteps of one feature. */
const FREE = "/fixtures/keras/bi_lstm_sum_last_state_b3t33u64f1.keras";
/** How many recurrent layers models have. */
const RECURRENT = {
  "keras/backward_layer_lstm_gru.keras": 1,
  "keras/stack_gru_bi_gru.keras": 2,
  "layers/inside_words_bi_then_lstm.keras": 2,
  "layers/mask_bi_gru_mul_last.keras": 1,
  "onnx/exported_bilstm.onnx": 2,
  "torch/lstm_2_bi.pt": 2,
};

/** The tests that each device has to pass. */
const OF_A_DEVICE = {
  async "models of the fixtures compute what Keras, PyTorch and onnxruntime do"(bench) {
    for (const { name, url, options, calls, resetBefore } of await fixtures()) {
      const session = await bench.load(url, options);
      for (const [number, { inputs, outputs }] of calls.entries()) {
        if (number === resetBefore) session.resetStates();
        const found = await session.run(inputs);
        outputs.forEach((expected, index) => close(found[index], expected, `${name} ${index}`));
        same(found.map((output) => output.name), session.outputs.map((output) => output.name), name);
      }
      session.dispose();
    }
  },

  async "outputs have names, roles and directions"(bench) {
    const session = await bench.load(NOTEBOOK);
    const found = await session.run(tensor([1, 8, 2]));
    const told = ({ name, layer, role, direction, shape }) => [name, layer, role, direction, shape];
    same(told(found[0]), ["output of bidirectional", "bidirectional", "output", null, [1, 8, 6]], "0");
    const name = "backward cell state of bidirectional";
    same(told(found[4]), [name, "bidirectional", "cell state", "backward", [1, 3]], "4");
    check(found.get("bidirectional") === found[0] && found.get(name) === found[4], "get");
    check(found.asObject()[name] === found[4] && found.length === 5, "asObject");
    await refused(bench.birnn, () => found.get("lstm"), "NoSuchOutput", '"lstm"', name);
    const input = { name: "input_layer", shape: [null, 8, 2], dtype: "float32", givenAs: null };
    same(session.inputs[0], { ...session.inputs[0], ...input }, "inputs");
    same(session.outputs[4].direction, "backward", "outputs");
    const { rows, parameters, text } = session.summary();
    same([rows.length, rows[1].className, parameters], [2, "Bidirectional", 144], "summary");
    check(text.includes("bidirectional (Bidirectional)"), text);
    session.dispose();
  },

  async "masks, lengths and initial states are those of the reference"(bench) {
    const [session, exact] = [await bench.load(FREE), await bench.load(FREE, { device: "reference" })];
    const x = tensor([3, 7, 1], 5);
    const lengths = [7, 0, 3];
    const mask = { data: lengths.flatMap((n) => Array.from({ length: 7 }, (_, t) => t < n)), shape: [3, 7] };
    const initialState = [1, 2, 3, 4].map((seed) => tensor([3, 64], seed));
    const [layer, input] = [session.outputs[0].layer, session.inputs[0].name];
    for (const [options, alike] of [
      [{}, {}],
      [{ mask }, { lengths }],
      [{ lengths: { [input]: Int32Array.from(lengths) } }, { mask: { [input]: mask } }],
      [{ initialState }, { initialState: { [layer]: initialState } }],
      [{ lengths, initialState }, { mask, initialState }],
    ]) {
      const [found, other, expected] = await Promise.all([
        session.run(x, options),
        session.run(x, alike),
        exact.run(x, options),
      ]);
      const what = Object.keys(options).join();
      found.forEach((output, i) => close(output, expected[i], `${what} ${i}`));
      found.forEach((output, i) => equal(output, other[i], `${what} ${i} alike`));
    }
    const { birnn } = bench;
    const run = (options, ...rest) => refused(birnn, () => session.run(x, options), ...rest);
    await run({ mask: tensor([3, 6]) }, "InputShape", "[3, 7]");
    await run({ mask: tensor([21]) }, "InputShape", "[batch, timesteps]");
    await run({ lengths: [7, 8, 1] }, "Length", "row 1");
    await run({ lengths: [7, -1, 1] }, "Argument", "-1");
    await run({ lengths: { other: [1, 2, 3] } }, "InputName", "other", input);
    await run({ initialState: [tensor([3, 64])] }, "Argument", "4 arrays");
    await run({ initialState: { other: initialState } }, "UnknownLayer", "other");
    await run({ masks: mask }, "Argument", "masks");
    session.dispose();
    exact.dispose();
  },

  async "states of a stream stay on the device"(bench) {
    const options = { tied: { initial_h: "Y_h", initial_c: "Y_c" } };
    const url = "/fixtures/onnx/lstm_forward_lengths.onnx";
    const [streaming, whole] = [await bench.load(url, options), await bench.load(url, options)];
    check(streaming.isStateful, "it has states");
    const x = tensor([6, 2, 3], 3); // [timesteps, batch, features]
    const call = (from, to) => ({
      X: { data: x.data.subarray(from * 6, to * 6), shape: [to - from, 2, 3] },
      sequence_lens: { data: [to - from, to - from], shape: [2] },
    });
    const all = (await whole.run(call(0, 6))).get("Y");
    const values = all.data.length / 6;
    for (let round = 0; round < 2; round++) {
      for (const [from, to] of [[0, 2], [2, 5], [5, 6]]) {
        const found = (await streaming.run(call(from, to))).get("Y");
        const part = all.data.subarray(from * values, to * values);
        close(found, { data: part, shape: [to - from, ...all.shape.slice(1)] }, `from ${from}`);
      }
      streaming.resetStates();
    }
    streaming.dispose();
    whole.dispose();
  },

  async "calls in flight come back with their own outputs"(bench) {
    const session = await bench.load(FREE);
    const inputs = Array.from({ length: 12 }, (_, i) => tensor([1 + (i % 3), 5 + (i % 2), 1], i));
    const alone = [];
    for (const input of inputs) alone.push(await session.run(input));
    const calls = inputs.map((input) => session.run(input));
    inputs.forEach((input) => input.data.fill(NaN)); // they were copied
    const together = await Promise.all(calls);
    together.forEach((found, call) =>
      found.forEach((output, i) => equal(output, alone[call][i], `call ${call} output ${i}`)),
    );
    // One that fails leaves the others alone.
    const [bad, good] = await Promise.allSettled([
      session.run(tensor([1, 5, 2])),
      session.run(tensor([1, 5, 1])),
    ]);
    same([bad.reason.kind, good.status], ["InputShape", "fulfilled"], "a call beside one that fails");
    session.dispose();
  },

  async "a thousand calls leave memory as it is"(bench, { memory, buffers }) {
    const session = await bench.load(NOTEBOOK);
    const calls = async (count) => {
      for (let i = 0; i < count; i++) await session.run(tensor([2, 8, 2], i));
    };
    await calls(50);
    globalThis.gc?.();
    const before = [memory(), buffers()];
    await calls(1000);
    globalThis.gc?.();
    const after = [memory(), buffers()];
    same(after, before, "WebAssembly's memory, and buffers made on the GPU");
    session.dispose();
  },

  async "what is wrong with a call is said"(bench) {
    const session = await bench.load(FREE);
    const input = session.inputs[0].name;
    const run = (given, ...rest) => refused(bench.birnn, () => session.run(given), ...rest);
    await run(tensor([1, 8, 3]), "InputShape", input, "[1, 8, 3]");
    await run(tensor([8, 1]), "InputShape", "[8, 1]");
    await run({ data: new Float32Array(7), shape: [1, 8, 1] }, "InputShape", "7", "[1, 8, 1]");
    await run({ data: new Float32Array(0), shape: [1, 0, 1] }, "EmptyAxis", "timesteps");
    await run({ data: [[1, 2]], shape: [1, 1, 1] }, "Argument", input, "flat");
    await run({ data: ["1", "2"], shape: [1, 1, 1] }, "Argument", input);
    await run({ data: [1, 2], shape: [1, 1.5, 1] }, "Argument", "1.5");
    await run({ data: [1, 2], shape: [-1, 1, 1] }, "Argument", "-1");
    await run({ x: tensor([1, 1, 1]) }, "InputName", '"x"', input);
    await run([], "InputCount");
    await run([tensor([1, 1, 1]), tensor([1, 1, 1])], "InputCount", "got 2");
    await run(undefined, "Argument");
    await run(new Float32Array(2), "Argument");
    const named = await session.run({ [input]: tensor([1, 8, 1]) });
    const [plain] = await session.run({ data: Array.from(tensor([1, 8, 1]).data), shape: [1, 8, 1] });
    equal(named[0], plain, "the same by name and of a plain list");
    session.dispose();
  },

  async "a session that was disposed of says so"(bench) {
    const session = await bench.load(NOTEBOOK, bench.own);
    const call = session.run(tensor([1, 8, 2]));
    session.dispose();
    const { birnn } = bench;
    await refused(birnn, () => call, "Disposed", "session");
    await refused(birnn, () => session.run(tensor([1, 8, 2])), "Disposed");
    await refused(birnn, async () => session.resetStates(), "Disposed");
    await refused(birnn, () => session.rebuild(), "Disposed");
    session.dispose(); // again
    const device = await bench.open();
    const [first, second] = [await bench.load(NOTEBOOK, { device }), await bench.load(NOTEBOOK, { device })];
    first.dispose(); // the device is not its own
    await second.run(tensor([1, 8, 2]));
    second.dispose();
    device.dispose();
    await refused(birnn, () => bench.load(NOTEBOOK, { device }), "Disposed", "device");
  },
};

/** The tests whose kernels take long to build in software: a Worker leaves them to the page. */
const SLOW = [
  "masks, lengths and initial states are those of the reference",
  "larger batches and layers are those of the CPU path",
];

/** The tests of a GPU. */
const OF_A_GPU = {
  async "a lost GPU is an error, and others take over"(bench) {
    const { birnn } = bench;
    const x = tensor([1, 8, 2]);
    const device = await bench.open();
    const session = await bench.load(NOTEBOOK, { device });
    const before = await session.run(x);
    device.dispose();
    await refused(birnn, () => session.run(x), "DeviceLost", "destroyed");
    await session.rebuild(bench.own);
    equal((await session.run(x))[0], before[0], "on the same adapter");
    session.recoverWith("no such adapter", "cpu");
    // The browser takes the GPU away, without telling birnn before.
    globalThis.openGpus.at(-1).destroy();
    const after = await session.run(x);
    same(session.device.kind, "CPU", "what took over");
    close(after[0], before[0], "on the CPU path");
    session.dispose();
    const other = await bench.load(NOTEBOOK, bench.own);
    const calls = [other.run(x), other.run(x)];
    globalThis.openGpus.at(-1).destroy();
    for (const { reason } of await Promise.allSettled(calls)) {
      if (reason) same(reason.kind, "DeviceLost", reason.message);
    }
    await refused(birnn, () => other.run(x), "DeviceLost");
    other.dispose();
  },

  async "a device that is disposed of gives the GPU back"(bench) {
    const session = await bench.load(NOTEBOOK, bench.own);
    const gpu = globalThis.openGpus.at(-1);
    session.dispose();
    same((await gpu.lost).reason, "destroyed", "the GPU");
  },

  async "larger batches and layers are those of the CPU path"(bench) {
    const url = "/fixtures/keras/bi_lstm_concat_last_b17t2u130f5.keras";
    const [gpu, cpu] = [await bench.load(url), await bench.load(url, { device: "cpu" })];
    const x = tensor([40, 20, 5], 9);
    close((await gpu.run(x))[0], (await cpu.run(x))[0], "130 units");
    gpu.dispose();
    cpu.dispose();
  },
};

/** The tests that need no device of their own. */
const OF_THE_PACKAGE = {
  async "the reference has the same bits as the native one"(birnn, { natives }) {
    for (const { url, input, outputs } of natives.reference) {
      const session = await birnn.load(url, { device: "reference" });
      const found = await session.run(input);
      outputs.forEach((expected, i) => equal(found[i], expected, `${url} ${i}`));
      session.dispose();
    }
  },

  async "devices are listed"(birnn, { gpu }) {
    const list = await birnn.devices();
    const cpu = list.at(-1);
    same([cpu.info.kind, cpu.unusable, cpu.maxBufferSize], ["CPU", null, null], "the CPU path");
    same(list.length, gpu ? 2 : 1, JSON.stringify(list));
    if (gpu) {
      same([list[0].info.backend, list[0].unusable], ["BrowserWebGpu", null], "the adapter");
      check(list[0].maxStorageBufferBindingSize >= 1 << 27, "its limits");
    }
    const session = await birnn.load(NOTEBOOK);
    same(session.device.kind, "CPU", "the best that is no software adapter");
    check(session.device.reason.includes(gpu ? "software" : "has this browser WebGPU"), session.device.reason);
    await refused(birnn, () => birnn.load(NOTEBOOK, { device: "webgpu" }), "NoAdapter", "found");
    await refused(birnn, () => birnn.openDevice("no such"), "NoAdapter", "no such");
    session.dispose();
  },

  async "files that are no models are refused"(birnn) {
    const text = (content, ...rest) => refused(birnn, () => birnn.loadModel(new Blob([content])), ...rest);
    await text("plain text", "MalformedFile", "the blob", "plain text");
    await text("<!doctype html><html></html>", "MalformedFile", "web page");
    await text("", "MalformedFile", "empty");
    const whole = new Uint8Array(await (await fetch(NOTEBOOK)).arrayBuffer());
    for (const length of [10, 100, whole.length >> 1, whole.length - 1]) {
      await text(whole.subarray(0, length), "MalformedFile");
    }
    const missing = "/fixtures/missing.keras";
    await refused(birnn, () => birnn.load(missing), "Fetch", missing, "404");
    await refused(birnn, () => birnn.load("/broken"), "Fetch", "/broken");
    await refused(birnn, () => birnn.load(5), "Argument");
    await refused(birnn, () => birnn.load(NOTEBOOK, { devices: "cpu" }), "Argument", "devices");
    await refused(birnn, () => birnn.load(NOTEBOOK, { tied: { a: "b" } }), "Argument", "Onnx", "Keras");
    const rnn = "/fixtures/torch/cell_rnn_relu.safetensors";
    const options = { nonlinearity: "gelu" };
    await refused(birnn, () => birnn.loadModel(rnn, options), "Argument", "gelu");
    const named = () => birnn.loadModel(whole.subarray(9), { name: "mine.keras" });
    await refused(birnn, named, "MalformedFile", "mine.keras");
  },

  async "files that are too large are refused"(birnn) {
    const load = (url, maxBytes) => () => birnn.loadModel(url, { maxBytes });
    // By the length that the server says, by what comes in, and by what WebAssembly has memory for.
    await refused(birnn, load("/zeros?bytes=5000000&says=5000000", 4e6), "MalformedFile", "4000000");
    await refused(birnn, load("/zeros?bytes=5000000", 4e6), "MalformedFile", "4000000", "maxBytes");
    await refused(birnn, load("/zeros?bytes=100&says=3000000000"), "MalformedFile", "maxBytes");
    await refused(birnn, load("/zeros?bytes=100&says=3000000000", 4e9), "OutOfMemory", "3000000000");
    await refused(birnn, load("/zeros?bytes=5000000"), "MalformedFile", "zeros");
  },

  async "a file comes in piece by piece, and can be stopped"(birnn) {
    const seen = [];
    const onProgress = (progress) => seen.push(progress);
    const url = "/zeros?bytes=3000000&says=3000000";
    await refused(birnn, () => birnn.loadModel(url, { onProgress }), "MalformedFile", "zeros");
    check(seen.length > 1, "it comes in one piece");
    check(seen.every(({ loaded }, i) => i === 0 || loaded > seen[i - 1].loaded), "it grows");
    same(seen.at(-1), { loaded: 3000000, total: 3000000 }, "the end");
    const stop = new AbortController();
    const stopped = birnn.loadModel(url, { signal: stop.signal, onProgress: () => stop.abort("enough") });
    same(await stopped.catch((reason) => reason), "enough", "the signal's reason");
    same(await birnn.load(url, { signal: stop.signal }).catch((reason) => reason), "enough", "before");
  },

  async "a model is read from all that holds bytes"(birnn) {
    const response = await fetch(NOTEBOOK);
    const bytes = await response.clone().arrayBuffer();
    const within = new Uint8Array(bytes.byteLength + 7);
    within.set(new Uint8Array(bytes), 7);
    const url = new URL(NOTEBOOK, location.href);
    for (const source of [bytes, within.subarray(7), new Blob([bytes]), response, url, url.href]) {
      const model = await birnn.loadModel(source);
      same(model.layerNames, ["bidirectional"], "layers");
      const weights = model.weights("bidirectional");
      same(weights.map(({ shape }) => shape), [[2, 12], [3, 12], [12], [2, 12], [3, 12], [12]], "weights");
      await refused(birnn, async () => model.weights("lstm"), "UnknownLayer", "lstm");
      model.dispose();
      await refused(birnn, async () => model.weights("bidirectional"), "Disposed", "model");
      await refused(birnn, () => model.compile({ device: "cpu" }), "Disposed", "model");
    }
  },

  async "ONNX's values in other files, and inputs that no call gives"(birnn) {
    const bytes = onnxSum();
    const w = Float32Array.from([0.5, -1.5]);
    const x = { data: [1, 2], shape: [2] };
    await refused(birnn, () => birnn.loadModel(bytes), "MalformedFile", "w.bin");
    const session = await birnn.load(bytes, { device: "cpu", externalData: { "w.bin": w } });
    same(Array.from((await session.run(x))[0].data), [1.5, 0.5], "the sum");
    session.dispose();
    for (const value of [{ data: [1, 2], shape: [2] }, { data: Float32Array.from([1, 2]), shape: [2] }]) {
      const options = { device: "cpu", externalData: { "w.bin": new Blob([w]) }, fixedInputs: { x: value, z: 3 } };
      await refused(birnn, () => birnn.load(bytes, options), "InputName", "z");
    }
  },

  async "the states of a layer over time"(birnn) {
    const model = await birnn.loadModel(NOTEBOOK);
    const session = await model.compile({ device: "reference" });
    const x = tensor([1, 8, 2]);
    const [output, hidden, cell] = await session.run(x);
    const [[forward, backward]] = model.trace("bidirectional", x);
    same([forward.direction, forward.goBackwards], ["forward", false], "forward");
    same([backward.direction, backward.goBackwards], ["backward", true], "backward");
    same(forward.hidden.shape, [1, 8, 3], "the hidden state");
    const last = (array) => ({ data: array.data.subarray(21), shape: [1, 3] });
    close(last(forward.hidden), hidden, "the last hidden state");
    close(last(forward.cell), cell, "the last cell state");
    close({ data: output.data.subarray(3, 6), shape: [3] }, { data: backward.hidden.data.subarray(0, 3), shape: [3] }, "backward");
    same(forward.gates.length, 4, forward.gates.map((gate) => gate.name).join());
    same(forward.gates[1].name, "forget gate", "a gate");
    await refused(birnn, async () => model.trace("lstm", x), "UnknownLayer", "lstm");
    await refused(birnn, async () => model.trace("bidirectional", tensor([1, 8, 3])), "InputShape");
    const gru = await birnn.loadModel("/fixtures/keras/notebook_gru2.keras");
    const [[only]] = gru.trace(gru.layerNames[0], x);
    same([only.cell, only.gates.length], [null, 3], "a GRU");
    [session, model, gru].forEach((own) => own.dispose());
  },

  async "the layers whose states over time can be had"(birnn) {
    const gates = ["input gate", "forget gate", "candidate", "output gate"];
    const of = (direction, goBackwards) => {
      return { cell: "LSTM", direction, gates, goBackwards, hasCellState: true, units: 3 };
    };
    const notebook = await birnn.loadModel(NOTEBOOK);
    const directions = [of("forward", false), of("backward", true)];
    const both = { directions, name: "bidirectional" };
    same(notebook.recurrentLayers, [both], "the notebook's");
    check(Object.isFrozen(notebook.recurrentLayers[0].directions), "they can't be changed");
    notebook.dispose();
    for (const [file, count] of Object.entries(RECURRENT)) {
      const model = await birnn.loadModel(`/fixtures/${file}`);
      // Zeros, which are ids as well.
      const inputs = model.inputs.map((input) => {
        const shape = input.shape.map((length) => length ?? 2);
        return { data: new Float32Array(shape.reduce((a, b) => a * b, 1)), shape };
      });
      same(model.recurrentLayers.length, count, `the recurrent layers of ${file}`);
      for (const { name, directions } of model.recurrentLayers) {
        const [traces] = model.trace(name, inputs);
        const told = traces.map(({ direction, goBackwards, hidden, cell, gates }) => {
          const names = gates.map((gate) => gate.name);
          return [direction, goBackwards, hidden.shape[2], cell !== null, names];
        });
        const said = directions.map(({ direction, goBackwards, units, hasCellState, gates }) => {
          return [direction, goBackwards, units, hasCellState, gates];
        });
        same(said, told, `what trace tells of ${name} in ${file}`);
      }
      const rest = model.layerNames.filter((layer) => {
        return !model.recurrentLayers.some(({ name }) => name === layer);
      });
      for (const layer of rest) {
        await refused(birnn, async () => model.trace(layer, inputs), "UnknownLayer", layer);
      }
      model.dispose();
    }
  },

  async "what is saved is read by the smaller module"(birnn, { portable }) {
    const model = await birnn.loadModel(FREE);
    const saved = model.save();
    const half = model.save({ halfWeights: true });
    check(half.length < saved.length, `half weights take ${half.length} bytes of ${saved.length}`);
    const x = tensor([2, 8, 1]);
    const session = await model.compile({ device: "cpu" });
    const other = await portable.load(saved, { device: "cpu" });
    const [found, expected] = [await other.run(x), await session.run(x)];
    // Not to the bit: where the browser has multiply-adds, the module of all formats uses them.
    expected.forEach((output, i) => close(found[i], output, output.name));
    check(portable.BirnnError === birnn.BirnnError, "the same class of errors");
    await refused(birnn, () => portable.load(NOTEBOOK), "MalformedFile", "birnn/portable");
    await refused(birnn, () => portable.openDevice("reference"), "NoAdapter", "reference");
    const device = await portable.openDevice("cpu");
    await refused(birnn, () => birnn.load(NOTEBOOK, { device }), "Argument", "module");
    const options = { device, halfWeights: true };
    await refused(birnn, () => portable.load(saved, options), "Argument", "halfWeights");
    [model, session, other].forEach((own) => own.dispose());
  },
};

/** A model `y = x + w` whose `w` is in the file `w.bin`. */
function onnxSum() {
  const field = (tag, content) => {
    const bytes = typeof content === "string" ? [...new TextEncoder().encode(content)] : content;
    const length = bytes.length < 128 ? [bytes.length] : [(bytes.length & 127) | 128, bytes.length >> 7];
    return [tag * 8 + 2, ...length, ...bytes];
  };
  const number = (tag, value) => [tag * 8, value];
  const shape = field(2, field(1, number(1, 2)));
  const value = (name) => [...field(1, name), ...field(2, field(1, [...number(1, 1), ...shape]))];
  const entry = (key, text) => field(13, [...field(1, key), ...field(2, text)]);
  const place = [...entry("location", "w.bin"), ...entry("length", "8")];
  const tensor = [...number(1, 2), ...number(2, 1), ...field(8, "w"), ...place, ...number(14, 1)];
  const node = [...field(1, "x"), ...field(1, "w"), ...field(2, "y"), ...field(4, "Add")];
  const graph = [...field(1, node), ...field(2, "g"), ...field(5, tensor)];
  const ends = [...field(11, value("x")), ...field(12, value("y"))];
  const model = [...number(1, 8), ...field(7, [...graph, ...ends]), ...field(8, number(2, 17))];
  return Uint8Array.from(model);
}

/** That the notebook's models on WebGPU have the bits of the native program on the same driver. */
async function sameBits(bench, { natives }) {
  for (const { url, input, outputs } of natives.gpu) {
    const session = await bench.load(url);
    const found = await session.run(input);
    outputs.forEach((expected, i) => equal(found[i], expected, `${url} ${i}`));
    session.dispose();
  }
}

/** A trap, of which nothing but an event tells. It is the last test: birnn doesn't go on after it. */
async function stops(birnn, { errors }) {
  const guard = new errors.Guard();
  const waiting = guard.wait(() => new Promise(() => {}));
  const trap = new WebAssembly.RuntimeError("unreachable");
  Object.defineProperty(trap, "stack", { value: "at birnn_all_bg.wasm:wasm-function[1]" });
  globalThis.dispatchEvent(Object.assign(new Event("error"), { error: trap }));
  await refused(birnn, () => waiting, "Aborted", "memory");
  await refused(birnn, async () => guard.call(() => 1), "Aborted");
  await refused(birnn, () => birnn.load(NOTEBOOK), "Aborted", "start the Worker again");
}

/**
 * Runs all tests.
 * @param {object} setup `gpu`: whether there is an adapter; `brief`: whether what takes long is left
 *   out; `natives`: what the native
 *   program computed
 */
export async function run(birnn, setup, report) {
  const exports = await (await import("/package/wasm/birnn_all.js")).default();
  const tools = {
    ...setup,
    portable: await import("/package/portable.js"),
    errors: await import("/package/errors.js"),
    memory: () => exports.memory.buffer.byteLength,
    buffers: () => globalThis.madeBuffers ?? 0,
  };
  const tried = async (name, act) => {
    const began = performance.now();
    try {
      await act();
      report({ name, seconds: (performance.now() - began) / 1000 });
    } catch (error) {
      report({ name, problem: `${error.stack ?? error}` });
    }
  };
  for (const [name, test] of Object.entries(OF_THE_PACKAGE)) {
    await tried(name, () => test(birnn, tools));
  }
  for (const device of setup.gpu ? ["cpu", "webgpu"] : ["cpu"]) {
    const bench = new Bench(birnn, device);
    for (const [name, test] of Object.entries(OF_A_DEVICE)) {
      if (setup.brief && device === "webgpu" && SLOW.includes(name)) continue;
      await tried(`${device}: ${name}`, () => test(bench, tools));
    }
  }
  if (setup.gpu) {
    const bench = new Bench(birnn, "webgpu");
    for (const [name, test] of Object.entries(OF_A_GPU)) {
      if (setup.brief && SLOW.includes(name)) continue;
      await tried(`webgpu: ${name}`, () => test(bench, tools));
    }
    if (setup.natives.gpu.length) {
      await tried("webgpu: the bits are those of the native program on the same driver", () => sameBits(bench, tools));
    }
  }
  await tried("calls are told when WebAssembly stops", () => stops(birnn, tools));
}
