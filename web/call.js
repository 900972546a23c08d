// What a call is given, put into a `Given` of the module.

import { BirnnError, quoted } from "./errors.js";

const isTensor = (value) => typeof value === "object" && value !== null && "data" in value && "shape" in value;
const wrong = (text) => new BirnnError(text, "Argument");

/** Copies what a call gives; `names` are those of the model's inputs. */
export function given(module, names, inputs, { mask, lengths, initialState, ...others } = {}) {
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) {
    throw wrong(`a call has no option ${quoted(unknown)}; it has mask, lengths and initialState`);
  }
  const to = new module.Given();
  try {
    checkNames(mask, isTensor, names);
    checkNames(lengths, isList, names);
    for (const [place, name, tensor] of listed(inputs)) {
      const own = name ?? names[place] ?? `number ${place}`;
      const what = `input ${quoted(own)}`;
      add(tensor, what, (data, shape) => to.input(what, name, data, shape));
      const itsMask = ofInput(mask, isTensor, names, own);
      const itsLengths = ofInput(lengths, isList, names, own);
      if (itsMask !== undefined) {
        const about = `the mask of ${what}`;
        add(itsMask, about, (data, shape) => to.mask(about, Uint8Array.from(data, Boolean), shape));
      }
      if (itsLengths !== undefined) {
        to.lengths(counts(itsLengths, `the lengths of ${what}`));
      }
    }
    for (const [layer, states] of byLayer(initialState)) {
      to.states_of(layer);
      const of = layer === undefined ? "the model's first recurrent layer" : `layer ${quoted(layer)}`;
      (isTensor(states) ? [states] : Array.from(states)).forEach((state, index) => {
        const what = `initial state ${index} of ${of}`;
        add(state, what, (data, shape) => to.state(what, data, shape));
      });
    }
    return to;
  } catch (error) {
    to.free();
    throw error;
  }
}

/** The inputs, each with its place and, where the call gives them by name, its name. */
function listed(inputs) {
  if (isTensor(inputs)) return [[0, undefined, inputs]];
  if (Array.isArray(inputs)) return inputs.map((tensor, place) => [place, undefined, tensor]);
  if (typeof inputs === "object" && inputs !== null && !ArrayBuffer.isView(inputs)) {
    return Object.entries(inputs).map(([name, tensor], place) => [place, name, tensor]);
  }
  throw wrong("a call takes { data, shape }, a list of them, or an object of them by name");
}

function byLayer(states) {
  if (states === undefined) return [];
  if (isTensor(states) || Array.isArray(states)) return [[undefined, states]];
  if (typeof states !== "object" || states === null) {
    throw wrong("initialState has to be a list of { data, shape }, or an object of such by layer");
  }
  return Object.entries(states);
}

const isList = (value) => Array.isArray(value) || ArrayBuffer.isView(value);

/** That masks and lengths are of inputs that there are. */
function checkNames(value, isAlone, names) {
  if (value === undefined || isAlone(value)) return;
  if (typeof value !== "object" || value === null) {
    throw wrong("mask has to be { data, shape }, lengths a list of numbers, or an object of such by input");
  }
  for (const name of Object.keys(value)) {
    if (!names.includes(name)) {
      const known = names.map(quoted).join(", ");
      const text = `input ${quoted(name)} isn't one of the model's; the model takes [${known}]`;
      throw new BirnnError(text, "InputName");
    }
  }
}

/** The mask or the lengths of one input: that of the only one, or by name. */
function ofInput(value, isAlone, names, name) {
  if (value === undefined) return undefined;
  if (!isAlone(value)) return Object.hasOwn(value, name) ? value[name] : undefined;
  if (names.length > 1) {
    const known = names.map(quoted).join(", ");
    throw wrong(`the model takes several inputs ([${known}]): give masks and lengths by name`);
  }
  return value;
}

/** Hands on a tensor's values and shape, checked. */
function add(tensor, what, to) {
  if (!isTensor(tensor)) throw wrong(`${what} has to be { data, shape }`);
  to(floats(tensor.data, what), counts(tensor.shape, `the shape of ${what}`));
}

function floats(data, what) {
  if (data instanceof Float32Array) return data;
  if (typeof data?.length !== "number" || typeof data === "string") {
    throw wrong(`the data of ${what} have to be an array of numbers`);
  }
  // Those of other typed arrays are numbers already.
  if (ArrayBuffer.isView(data)) return Float32Array.from(data, Number);
  return Float32Array.from(data, (value, index) => {
    if (typeof value !== "number" && typeof value !== "boolean") {
      const hint = typeof value === "object" ? ": give the values in one flat list" : "";
      throw wrong(`${what} holds ${quoted(value)} at ${index}, which is no number${hint}`);
    }
    return Number(value);
  });
}

/** Whole numbers from 0. */
function counts(list, what) {
  if (!isList(list)) throw wrong(`${what} has to be a list of numbers`);
  return Uint32Array.from(list, (value, index) => {
    const count = Number(value);
    if (!Number.isInteger(count) || count < 0 || count >= 2 ** 32) {
      throw wrong(`${what} holds ${value} at ${index}, and takes whole numbers from 0`);
    }
    return count;
  });
}
