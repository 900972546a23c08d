// The package over a WebAssembly module; birnn.d.ts says what each function does.

import { given } from "./call.js";
import { BirnnError, Guard, quoted } from "./errors.js";
import { fetched, reading } from "./source.js";

export { BirnnError };
export const version = "0.1.0";

/** What only this file may give to constructors. */
const OWN = Symbol("birnn");

function checkOwn(key, name, maker) {
  if (key !== OWN) throw new TypeError(`${name} has no constructor: ${maker} makes one`);
}

/** Where the layer's name begins in the name of an array, such as `forward hidden state of lstm`. */
const ROLES = /^(?:(forward|backward) )?(input|output|hidden state|cell state) of /;

function outputInfo(name) {
  const [begun, direction, role] = name.match(ROLES);
  const layer = name.slice(begun.length);
  return { name, layer, role, direction: direction ?? null, dtype: "float32" };
}

/** Makes an object of arrays and objects that can't be changed. */
function frozen(value) {
  if (typeof value === "object" && value !== null) {
    Object.values(value).forEach(frozen);
    Object.freeze(value);
  }
  return value;
}

/** Pairs of values and shapes, which the module returns one after the other. */
function* pairs(list) {
  for (let index = 0; index < list.length; index += 2) {
    yield { data: list[index], shape: Array.from(list[index + 1]) };
  }
}

export class Outputs extends Array {
  // What map and filter return is a plain list.
  static get [Symbol.species]() {
    return Array;
  }

  get(name) {
    const found =
      this.find((output) => output.name === name) ??
      this.find((output) => output.role === "output" && output.layer === name);
    if (found) return found;
    const names = this.map((output) => quoted(output.name)).join(", ");
    throw new BirnnError(`the model returns no ${quoted(name)}; it returns ${names}`, "NoSuchOutput");
  }

  asObject() {
    return Object.fromEntries(this.map((output) => [output.name, output]));
  }
}

/** A module with what calls into it need. */
class Package {
  constructor(imported) {
    this.imported = imported;
    this.module = null; // until init is done
    this.guard = new Guard();
    this.loading = null;
  }

  init(wasm) {
    const loaded = async () => {
      const module = await this.imported(wasm !== undefined);
      await module.default(wasm === undefined ? undefined : { module_or_path: wasm });
      this.module = module;
    };
    const failed = (cause) => {
      this.loading = null; // so that it can be tried again
      throw new BirnnError(`birnn's WebAssembly can't be loaded: ${cause.message}`, "Fetch", { cause });
    };
    this.loading ??= loaded().catch(failed);
    return this.loading;
  }

  async devices() {
    await this.init();
    return JSON.parse(await this.guard.wait(() => this.module.devices()));
  }

  async openDevice(wanted = "best", { allowSoftware, halfWeights, memoryBudget, ...others } = {}) {
    checkOptions("a device", others, ["allowSoftware", "halfWeights", "memoryBudget"]);
    if (memoryBudget !== undefined && !(memoryBudget >= 0)) {
      throw new BirnnError(`memoryBudget is ${memoryBudget}, and takes bytes`, "Argument");
    }
    await this.init();
    const open = () => this.module.Device.open(String(wanted), allowSoftware, halfWeights, memoryBudget);
    return new Device(OWN, this, await this.guard.wait(open));
  }

  /** The device that is asked for, and whether it was opened here. */
  async device({ device, ...options }) {
    if (!(device instanceof Device)) return [await this.openDevice(device, options), true];
    const given = Object.keys(options).find((name) => options[name] !== undefined);
    if (given !== undefined) {
      const text = `a Device has its options already: give ${given} to openDevice`;
      throw new BirnnError(text, "Argument");
    }
    if (innerOf(device).pack !== this) {
      throw new BirnnError("the Device is of another module of birnn's", "Argument");
    }
    return [device, false];
  }

  async loadModel(source, options = {}) {
    checkOptions("a file", options, READING);
    await this.init();
    const { guard, module } = this;
    const { name, bytes } = await fetched(guard, module, source, options);
    const how = await reading(guard, module, options);
    return new Model(OWN, this, guard.call(() => module.Model.read(name, bytes, how)));
  }

  async load(source, options = {}) {
    const { device, allowSoftware, halfWeights, memoryBudget, ...how } = options;
    const wanted = { device, allowSoftware, halfWeights, memoryBudget };
    // The device opens while the file comes in.
    const opening = this.device(wanted);
    opening.catch(() => {}); // awaited below, unless the file fails first
    let model;
    try {
      model = await this.loadModel(source, how);
    } catch (error) {
      opening.then(([device, isOwn]) => isOwn && device.dispose(), () => {});
      throw error;
    }
    try {
      return await compiled(this, model, await opening);
    } finally {
      model.dispose();
    }
  }
}

const READING = [
  "name",
  "onProgress",
  "signal",
  "maxBytes",
  "config",
  "prefix",
  "nonlinearity",
  "tied",
  "axisLengths",
  "fixedInputs",
  "externalData",
];

/** That no option is misspelt. */
function checkOptions(of, options, known) {
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    const text = `${of} has no option ${quoted(unknown)}; there are ${known.join(", ")}`;
    throw new BirnnError(text, "Argument");
  }
}

/** What this file sees of an object: its package, and what the module has of it. */
const INNERS = new WeakMap();
const innerOf = (object) => INNERS.get(object);

function disposed(what) {
  return new BirnnError(`the ${what} was disposed of`, "Disposed");
}

export class Device {
  constructor(key, pack, inner) {
    checkOwn(key, "Device", "openDevice");
    INNERS.set(this, { pack, inner });
    this.info = frozen(JSON.parse(inner.info()));
  }

  dispose() {
    const own = innerOf(this);
    own.inner?.destroy();
    own.inner?.free();
    own.inner = null;
  }
}

export class Model {
  #described;

  constructor(key, pack, inner) {
    checkOwn(key, "Model", "loadModel");
    INNERS.set(this, { pack, inner });
    this.#described = described(inner);
  }

  get inputs() {
    return this.#described.inputs;
  }

  get outputs() {
    return this.#described.outputs;
  }

  get layerNames() {
    return this.#described.layerNames;
  }

  get recurrentLayers() {
    return this.#described.recurrentLayers;
  }

  get isStateful() {
    return this.#described.isStateful;
  }

  summary() {
    return this.#described.summary;
  }

  weights(layer) {
    return [...pairs(this.#call((inner) => inner.weights(String(layer))))];
  }

  trace(layer, inputs, options) {
    const { module } = innerOf(this).pack;
    const names = this.inputs.map((input) => input.name);
    const calls = this.#call((inner) => {
      const call = given(module, names, inputs, options);
      try {
        return inner.trace(String(layer), call);
      } finally {
        call.free();
      }
    });
    return calls.map((directions) => directions.map(traced));
  }

  async compile(options = {}) {
    const { pack } = innerOf(this);
    return compiled(pack, this, await pack.device(options));
  }

  save({ halfWeights = false } = {}) {
    return this.#call((inner) => inner.save(halfWeights));
  }

  dispose() {
    const own = innerOf(this);
    own.inner?.free();
    own.inner = null;
  }

  #call(act) {
    const { pack, inner } = innerOf(this);
    if (!inner) throw disposed("model");
    return pack.guard.call(() => act(inner));
  }
}

/** What a direction did, as the module lists it. */
function traced([direction, goBackwards, ...list]) {
  const arrays = [];
  for (let index = 0; index < list.length; index += 3) {
    const [name, data, shape] = list.slice(index, index + 3);
    arrays.push({ name, data, shape: Array.from(shape) });
  }
  const [hidden, second, ...rest] = arrays;
  const hasCell = second?.name === "cell state";
  const [cell, gates] = hasCell ? [second, rest] : [null, arrays.slice(1)];
  return { direction, goBackwards, hidden, cell, gates };
}

function described(inner) {
  const all = JSON.parse(inner.describe());
  all.outputs = all.outputs.map(outputInfo);
  return frozen(all);
}

/** Makes a model ready for a device; one that was opened for it is given back where that fails. */
async function compiled(pack, model, [device, isOwn]) {
  try {
    const inner = innerOf(model).inner;
    if (!inner) throw disposed("model");
    if (!innerOf(device).inner) throw disposed("device");
    const session = await pack.guard.wait(() => inner.compile(innerOf(device).inner));
    return new Session(OWN, pack, session, model, device, isOwn);
  } catch (error) {
    if (isOwn) device.dispose();
    throw error;
  }
}

export class Session {
  #pack;
  #inner;
  #device;
  /** The device, where it was opened for this session alone. */
  #ownDevice;
  #described;
  #names;
  /** Settles when the last call was started: calls start one after the other. */
  #turn = Promise.resolve();

  constructor(key, pack, inner, model, device, isOwn) {
    checkOwn(key, "Session", "load");
    this.#pack = pack;
    this.#inner = inner;
    this.#device = device.info;
    this.#ownDevice = isOwn ? device : null;
    const { inputs, outputs, isStateful } = model;
    this.#described = { inputs, outputs, isStateful, summary: model.summary() };
    this.#names = inputs.map((input) => input.name);
  }

  get inputs() {
    return this.#described.inputs;
  }

  get outputs() {
    return this.#described.outputs;
  }

  get isStateful() {
    return this.#described.isStateful;
  }

  get device() {
    const found = this.#inner?.device(); // none while a call starts
    if (found) this.#device = frozen(JSON.parse(found));
    return this.#device;
  }

  summary() {
    return this.#described.summary;
  }

  async run(inputs, options) {
    if (!this.#inner) throw disposed("session");
    const { guard, module } = this.#pack;
    // Before anything is awaited: the caller may change its arrays afterwards.
    const call = guard.call(() => given(module, this.#names, inputs, options));
    try {
      const started = await this.#inTurn((inner) => guard.wait(() => inner.start(call)));
      const list = await guard.wait(() => started.finish());
      if (!this.#inner) throw disposed("session");
      return this.#outputs(list);
    } catch (error) {
      // What a call says whose GPU was taken from it.
      throw this.#inner ? error : disposed("session");
    }
  }

  #outputs(list) {
    const outputs = new Outputs();
    let index = 0;
    for (const array of pairs(list)) {
      const { name, layer, role, direction } = this.outputs[index++];
      outputs.push({ name, layer, role, direction, ...array });
    }
    return outputs;
  }

  /** Acts when everything before it has been started. */
  #inTurn(act) {
    const turn = this.#turn.then(() => {
      if (!this.#inner) throw disposed("session");
      return act(this.#inner);
    });
    this.#turn = turn.then(
      () => {},
      () => {}, // its own caller hears of it
    );
    return turn;
  }

  resetStates() {
    if (!this.#inner) throw disposed("session");
    this.#inTurn((inner) => inner.reset_states()).catch(() => {}); // disposed of: nothing to reset
  }

  recoverWith(...devices) {
    if (!this.#inner) throw disposed("session");
    const names = devices.map(String);
    this.#inTurn((inner) => inner.recover_with(names)).catch(() => {}); // as above
  }

  async rebuild(options = {}) {
    if (!this.#inner) throw disposed("session");
    const [device, isOwn] = await this.#pack.device(options);
    try {
      if (!innerOf(device).inner) throw disposed("device");
      await this.#inTurn((inner) => this.#pack.guard.wait(() => inner.rebuild(innerOf(device).inner)));
    } catch (error) {
      if (isOwn) device.dispose();
      throw error;
    }
    this.#ownDevice?.dispose();
    this.#ownDevice = isOwn ? device : null;
    this.#device = device.info;
  }

  dispose() {
    this.#inner?.dispose();
    this.#inner = null;
    this.#ownDevice?.dispose();
    this.#ownDevice = null;
  }
}

/** The functions of the package over the module that `imported` imports. */
export function over(imported) {
  const pack = new Package(imported);
  return {
    init: (wasm) => pack.init(wasm),
    devices: () => pack.devices(),
    openDevice: (device, options) => pack.openDevice(device, options),
    load: (source, options) => pack.load(source, options),
    loadModel: (source, options) => pack.loadModel(source, options),
  };
}
