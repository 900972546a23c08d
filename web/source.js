// Where the bytes of a file come from: they go into WebAssembly's memory piece by piece.

import { BirnnError, quoted } from "./errors.js";

const MOST = 2 ** 31;

/**
 * Reads a source into a `Bytes` of the module.
 * @returns {Promise<{name: string, bytes: object}>} the file's name in messages, and its content
 */
export async function fetched(guard, module, source, options = {}) {
  const { signal, onProgress } = options;
  const most = Math.min(options.maxBytes ?? MOST, 2 ** 32 - 1);
  signal?.throwIfAborted();
  if (typeof source === "string" || source instanceof URL) {
    source = await response(source, signal);
  }
  let [own, total, pieces] = ["the given bytes", null, null];
  if (source instanceof Response) {
    if (!source.ok) {
      const status = `${source.status} ${source.statusText}`.trim();
      throw new BirnnError(`${source.url}: the server answers ${status}`, "Fetch");
    }
    // The length that the server says is that of what it compressed.
    const length = source.headers.has("content-encoding") ? null : source.headers.get("content-length");
    [own, total] = [source.url || "the response", length === null ? null : Number(length)];
    pieces = source.body ? streamed(source.body, own, signal) : [];
  } else if (source instanceof Blob) {
    [own, total] = [source.name || "the blob", source.size];
    pieces = streamed(source.stream(), own, signal);
  } else if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) {
    total = source.byteLength;
    const whole = ArrayBuffer.isView(source)
      ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength)
      : new Uint8Array(source);
    pieces = [whole];
  } else {
    throw new BirnnError(
      "the source of a file has to be a URL, a Response, a Blob, an ArrayBuffer or a view of one",
      "Argument",
    );
  }
  const name = options.name ?? own;
  const check = (bytes) => {
    if (bytes > most) {
      throw new BirnnError(`${name}: it has more than ${most} bytes (maxBytes)`, "MalformedFile");
    }
  };
  check(total ?? 0);
  const bytes = guard.call(() => new module.Bytes(total ?? 0));
  try {
    let loaded = 0;
    for await (const piece of pieces) {
      loaded += piece.byteLength;
      check(loaded);
      guard.call(() => bytes.push(piece));
      onProgress?.({ loaded, total });
    }
  } catch (error) {
    bytes.free();
    throw error;
  }
  return { name, bytes };
}

async function response(url, signal) {
  try {
    return await fetch(url, { signal });
  } catch (cause) {
    signal?.throwIfAborted();
    throw new BirnnError(`${url}: ${cause.message}`, "Fetch", { cause });
  }
}

/** The pieces of a stream; one that isn't read to its end is told so. */
async function* streamed(stream, name, signal) {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((cause) => {
        signal?.throwIfAborted();
        throw new BirnnError(`${name}: ${cause.message}`, "Fetch", { cause });
      });
      if (done) return;
      signal?.throwIfAborted();
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {}); // of one that failed: it said so already
  }
}

/** Tells a module's `Reading` the options of `loadModel`, and reads the files that they name. */
export async function reading(guard, module, options) {
  const { config, prefix, nonlinearity, tied, axisLengths, fixedInputs, externalData } = options;
  const external = [];
  for (const [name, source] of Object.entries(externalData ?? {})) {
    const { signal, maxBytes } = options;
    external.push([name, (await fetched(guard, module, source, { name, signal, maxBytes })).bytes]);
  }
  return guard.call(() => {
    const to = new module.Reading();
    if (config !== undefined) to.config(String(config));
    if (prefix !== undefined) to.prefix(String(prefix));
    if (nonlinearity !== undefined) to.nonlinearity(String(nonlinearity));
    for (const [input, output] of Object.entries(tied ?? {})) to.tied(input, String(output));
    for (const [axis, length] of Object.entries(axisLengths ?? {})) {
      if (!Number.isSafeInteger(length) || length < 0 || length >= 2 ** 32) {
        throw new BirnnError(`axisLengths: ${quoted(axis)} is ${length}`, "Argument");
      }
      to.axis_length(axis, length);
    }
    for (const [input, value] of Object.entries(fixedInputs ?? {})) fix(to, input, value);
    for (const [name, bytes] of external) to.external(name, bytes);
    return to;
  });
}

/** Gives an input a value, whose kind its data say. */
function fix(to, input, value) {
  const isScalar = typeof value !== "object";
  const [data, shape] = isScalar ? [[value], []] : [value?.data, value?.shape];
  if (typeof data?.length !== "number" || !Array.isArray(shape)) {
    const text = `the fixed input ${quoted(input)} has to be a number, or to have data and shape`;
    throw new BirnnError(text, "Argument");
  }
  const values = Array.from(data);
  const is = (test) => !(data instanceof Float32Array || data instanceof Float64Array) && values.every(test);
  const areBools = is((one) => typeof one === "boolean");
  if (areBools || is((one) => typeof one === "bigint" || Number.isSafeInteger(one))) {
    to.fixed_integers(input, BigInt64Array.from(values, BigInt), shape, areBools);
  } else if (values.every((one) => typeof one === "number")) {
    to.fixed_floats(input, Float32Array.from(values), shape);
  } else {
    throw new BirnnError(`the fixed input ${quoted(input)} holds other values than numbers`, "Argument");
  }
}
