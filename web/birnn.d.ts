/**
 * Recurrent networks of Keras, PyTorch or ONNX, run in a browser: on WebGPU, or on the CPU in
 * WebAssembly where there is none.
 *
 * ```js
 * import { load } from "birnn";
 * const session = await load("model.keras"); // a URL, or the file's bytes
 * const [output] = await session.run({ data: x, shape: [1, 8, 2] }); // [batch, timesteps, features]
 * console.log(output.name, output.shape, output.data); // a Float32Array
 * session.dispose();
 * ```
 *
 * `birnn` reads every format that birnn has; `birnn/portable` is a smaller module with the same
 * functions that reads birnn's own form alone ({@link Model.save} writes it).
 *
 * Whatever fails rejects with a {@link BirnnError}, whose message names the value at fault.
 */

/** Where a model's bytes come from; a string is a URL. */
export type Source = string | URL | Blob | ArrayBuffer | ArrayBufferView | Response;

/** An array that a call is given. */
export interface Tensor {
  /** The values in C order: the last axis is the one whose neighbours are side by side. */
  data: ArrayLike<number> | ArrayLike<boolean>;
  /** The length of each axis, such as `[batch, timesteps, features]`. */
  shape: readonly number[];
}

/** What an array is to its layer; a model can also return an input as it is. */
export type Role = "output" | "hidden state" | "cell state" | "input";

/**
 * The direction of a state, or of the output of one direction alone; null of any other output. A
 * recurrent layer that isn't bidirectional is `"forward"`.
 */
export type Direction = "forward" | "backward" | null;

/** An array that a model returned. */
export interface Output {
  /** What it is, such as `"output of lstm"` or `"forward hidden state of lstm"`. */
  readonly name: string;
  /** The layer (of ONNX: the output) that it comes from. */
  readonly layer: string;
  readonly role: Role;
  readonly direction: Direction;
  /** The values in C order. */
  readonly data: Float32Array;
  /** The length of each axis, such as `[batch, timesteps, features]`. */
  readonly shape: number[];
}

/**
 * The arrays that a model returned, in Keras's order:
 * `const [output, h1, c1, h2, c2] = await session.run(x)`.
 */
export class Outputs extends Array<Output> {
  /**
   * Gives the array of this name, or the output of the layer of this name.
   *
   * @throws BirnnError of kind `NoSuchOutput`
   */
  get(name: string): Output;
  /** Gives the arrays by name: `{ "output of lstm": { data, shape, … }, … }`. */
  asObject(): Record<string, Output>;
}

/** An input of a model. */
export interface InputInfo {
  readonly name: string;
  /** The length of each axis; null is any. */
  readonly shape: readonly (number | null)[];
  /** What birnn computes with; whole numbers are exact up to 2^24. */
  readonly dtype: "float32";
  /** What the input is read as, where not as plain values. */
  readonly givenAs: "ids" | "mask" | "initial state" | null;
}

/** An array that a model returns. */
export interface OutputInfo {
  /** As in {@link Output}. */
  readonly name: string;
  readonly layer: string;
  readonly role: Role;
  readonly direction: Direction;
  readonly dtype: "float32";
}

/** An input or a layer of a model. */
export interface SummaryRow {
  readonly name: string;
  /** The layer's class in Keras; `InputLayer` for an input. */
  readonly className: string;
  /** The shape of each array that it returns; null is any length. */
  readonly outputShapes: readonly (readonly (number | null)[])[];
  /** The number of values in its weights. */
  readonly parameters: number;
  /** The inputs and layers whose arrays it reads. */
  readonly connectedTo: readonly string[];
  /** As in {@link InputInfo}. */
  readonly givenAs: "ids" | "mask" | "initial state" | null;
}

/** A table of a model's inputs and layers. */
export interface Summary {
  readonly rows: readonly SummaryRow[];
  /** The number of values in all weights. */
  readonly parameters: number;
  /** The table as Keras's `model.summary()` prints it. */
  readonly text: string;
}

/** Describes a device. */
export interface DeviceInfo {
  /** The adapter's name, `"WebGPU adapter"` where the browser doesn't say it; of the CPU path `"cpu"`. */
  readonly name: string;
  /** Such as `"GPU"`, `"software GPU"` or `"CPU"`. */
  readonly kind: string;
  /** `"BrowserWebGpu"`, or of the CPU path the vectors that it computes in. */
  readonly backend: string;
  /** Why it was chosen. */
  readonly reason: string;
}

/** An adapter that was found, or the CPU path. */
export interface Adapter {
  readonly info: DeviceInfo;
  /** Why birnn can't use it; null where it can. */
  readonly unusable: string | null;
  /** Limits in bytes; null for the CPU path. */
  readonly maxBufferSize: number | null;
  readonly maxStorageBufferBindingSize: number | null;
}

/**
 * Which device to open:
 *
 * - `"best"` (default): WebGPU, or else the CPU path. A software adapter is slower than the CPU path
 *   and passed over.
 * - `"webgpu"` (or `"gpu"`): WebGPU, or an error.
 * - `"cpu"`: the CPU path in WebAssembly.
 * - `"reference"`: plain formulas in 64 bits, to compare with; not in `birnn/portable`.
 * - part of an adapter's name.
 */
export type DeviceName = "best" | "webgpu" | "gpu" | "cpu" | "reference" | (string & {});

/** How a device is used. */
export interface DeviceOptions {
  /** Whether a software adapter may be chosen (default: false). */
  allowSoftware?: boolean;
  /**
   * Whether weights of recurrent layers are stored in 16 bits, which changes results by up to 1e-3
   * (default: false).
   */
  halfWeights?: boolean;
  /** About how many bytes of the GPU's memory the arrays of a call may take (default: 1 GiB). */
  memoryBudget?: number;
}

/** A device that several sessions share; {@link openDevice} opens it. */
export class Device {
  /** Describes the device, and says why it was chosen. */
  readonly info: DeviceInfo;
  /**
   * Gives the GPU's memory back at once. Sessions on the device then fail with an error of kind
   * `DeviceLost`. Of the CPU path it does nothing.
   */
  dispose(): void;
}

/** How a file is read. Each format takes its own options; those of another are an error. */
export interface ReadOptions {
  /** The file's name in messages (default: the URL, or the Blob's name). */
  name?: string;
  /** Is called as the bytes come in. `total` is null where the server doesn't say it. */
  onProgress?: (progress: { loaded: number; total: number | null }) => void;
  /** Stops fetching; the promise is rejected with the signal's reason. */
  signal?: AbortSignal;
  /** The largest file in bytes (default: 2 GiB, and no more than WebAssembly has memory for). */
  maxBytes?: number;
  /** Keras: what `model.to_json()` returned, for a file of weights alone. */
  config?: string;
  /** PyTorch: which of its modules it is, such as `"encoder.lstm"`. */
  prefix?: string;
  /** PyTorch: that of an `RNN` (default: `"tanh"`). */
  nonlinearity?: "tanh" | "relu";
  /** ONNX: inputs that no call gives, each with the output that it is in the next call. */
  tied?: Record<string, string>;
  /** ONNX: the length of all axes that the file calls so. */
  axisLengths?: Record<string, number>;
  /**
   * ONNX: inputs that no call gives, with their values. A number alone, a `bigint`, and arrays of
   * whole numbers (`Int32Array`, `BigInt64Array`, …) are whole numbers.
   */
  fixedInputs?: Record<string, FixedValue>;
  /** ONNX: the files beside the model that hold its values, by the names that it calls them. */
  externalData?: Record<string, Source>;
}

/** The value of an input that no call gives. */
export type FixedValue =
  | number
  | bigint
  | boolean
  | { data: ArrayLike<number> | ArrayLike<bigint> | ArrayLike<boolean>; shape: readonly number[] };

/** How a model is read and made ready to run. */
export interface LoadOptions extends ReadOptions, DeviceOptions {
  /**
   * The device (default: `"best"`). One that is named is opened for this session alone, and given
   * back when the session is disposed of; a {@link Device} is shared.
   */
  device?: DeviceName | Device;
}

/** What a call is given besides its inputs. */
export interface RunOptions {
  /**
   * Which timesteps count: `[batch, timesteps]`, true or not 0 where they do. Of a model with
   * several inputs by the input's name.
   */
  mask?: Tensor | Record<string, Tensor>;
  /** In place of a mask the number of timesteps of each row; by name as `mask`. */
  lengths?: ArrayLike<number> | Record<string, ArrayLike<number>>;
  /**
   * The initial states, each `[batch, units]`, in Keras's order: those of the model's first
   * recurrent layer, or by the layer's name.
   */
  initialState?: Tensor | readonly Tensor[] | Record<string, Tensor | readonly Tensor[]>;
}

/** What a call is given: the only input, the inputs in order, or by name. */
export type Inputs = Tensor | readonly Tensor[] | Record<string, Tensor>;

/** What there is to know of a direction of a recurrent layer. */
export interface RecurrentDirection {
  readonly direction: "forward" | "backward";
  /** Whether it reads the last timestep first. */
  readonly goBackwards: boolean;
  /** The class of a layer with this cell, such as `"LSTM"`, `"GRU"` or `"SimpleRNN"`. */
  readonly cell: string;
  readonly units: number;
  /** Whether the cell has a cell state besides the hidden state. */
  readonly hasCellState: boolean;
  /** The gates and candidates, named and in order as in {@link Trace}. */
  readonly gates: readonly string[];
}

/** A recurrent layer, or a `TimeDistributed` that holds one. */
export interface RecurrentLayer {
  readonly name: string;
  /** Of a `Bidirectional` two, forward first; otherwise one. */
  readonly directions: readonly RecurrentDirection[];
}

/** An array with a name, `[batch, timesteps, units]`. */
export interface TraceArray {
  readonly name: string;
  readonly data: Float32Array;
  readonly shape: number[];
}

/**
 * What a direction of a recurrent layer did. At index t of each array's timesteps is what the
 * direction had after it had read timestep t of its input.
 */
export interface Trace {
  readonly direction: "forward" | "backward";
  /** Whether it reads the last timestep first. */
  readonly goBackwards: boolean;
  readonly hidden: TraceArray;
  /** The cell state, where the cell has one; else null. */
  readonly cell: TraceArray | null;
  /** The gates and candidates, such as `"forget gate"`; NaN where a mask leaves a timestep out. */
  readonly gates: readonly TraceArray[];
}

/** A network: its layers, how they are connected, and their weights. */
export class Model {
  private constructor();
  readonly inputs: readonly InputInfo[];
  readonly outputs: readonly OutputInfo[];
  readonly layerNames: readonly string[];
  /** The layers that {@link Model.trace} knows, with what each of their directions holds. */
  readonly recurrentLayers: readonly RecurrentLayer[];
  /** Whether a call starts from what the last one ended with. */
  readonly isStateful: boolean;
  /** Lists the model's inputs and layers, with shapes and numbers of weights. */
  summary(): Summary;
  /** Copies the weights of a layer: the arrays of Keras's `get_weights`, in the same order. */
  weights(layer: string): { data: Float32Array; shape: number[] }[];
  /**
   * Runs the model and returns what a recurrent layer did at each timestep: a list for each call of
   * the layer, with its directions. It computes by plain formulas on the CPU, to look at.
   *
   * @throws BirnnError of kind `UnknownLayer` where no recurrent layer has this name
   */
  trace(layer: string, inputs: Inputs, options?: RunOptions): Trace[][];
  /** Makes the model ready to run: uploads its weights and builds the kernels. */
  compile(options?: DeviceOptions & { device?: DeviceName | Device }): Promise<Session>;
  /** Gives the model in birnn's own form, a `.safetensors` file that `birnn/portable` reads, too. */
  save(options?: { halfWeights?: boolean }): Uint8Array;
  /** Gives the model's memory back. Sessions keep a copy of their own. */
  dispose(): void;
}

/**
 * A model made ready for a device. It runs any batch and any number of timesteps that the model
 * takes.
 */
export class Session {
  private constructor();
  readonly inputs: readonly InputInfo[];
  readonly outputs: readonly OutputInfo[];
  /** The device that it runs on, and why it was chosen. */
  readonly device: DeviceInfo;
  /** Whether a call starts from what the last one ended with. */
  readonly isStateful: boolean;
  /** Lists the model's inputs and layers, with shapes and numbers of weights. */
  summary(): Summary;
  /**
   * Runs the model. The inputs are copied before it returns the promise. Several calls can be in
   * flight; the GPU runs them in the order in which they were made. The states of a stateful model
   * stay on the GPU from call to call.
   *
   * On the CPU path it computes while nothing else of the page or Worker runs: use a Worker.
   */
  run(inputs: Inputs, options?: RunOptions): Promise<Outputs>;
  /** Makes stateful layers start from zeros in the next call, as Keras's `reset_states`. */
  resetStates(): void;
  /**
   * Makes calls go on when the GPU is lost: on the first of these devices that opens, as in
   * `session.recoverWith("webgpu", "cpu")`. Calls then run one after the other. The states of
   * stateful layers are lost with the device, which is an error of kind `DeviceLost` once.
   */
  recoverWith(...devices: DeviceName[]): void;
  /** Builds the session again on a device, after the GPU was lost or to move it there. */
  rebuild(options?: DeviceOptions & { device?: DeviceName | Device }): Promise<void>;
  /** Gives its memory back, that of the GPU, too. Calls in flight are rejected. */
  dispose(): void;
}

/** Something that birnn refused or that failed. Its message names the value at fault. */
export class BirnnError extends Error {
  /**
   * The name of the variant of Rust's `birnn::Error`, such as `"InputShape"`, `"MalformedFile"` or
   * `"DeviceLost"`; or `"Fetch"` (a URL that gives no file), `"Argument"` (a value of a type that it
   * can't have), `"Disposed"` (an object that was given back) or `"Aborted"` (WebAssembly stopped,
   * most often because its memory was used up; it has to be loaded again).
   */
  readonly kind: string;
}

/**
 * Loads WebAssembly. Everything else does so by itself, from beside the package's JavaScript; call
 * it first to load it early or from elsewhere.
 */
export function init(
  wasm?: string | URL | Response | Promise<Response> | BufferSource | WebAssembly.Module,
): Promise<void>;

/** Lists WebGPU's adapter, where there is one, and the CPU path. */
export function devices(): Promise<Adapter[]>;

/** Opens a device for several sessions. */
export function openDevice(device?: DeviceName, options?: DeviceOptions): Promise<Device>;

/** Reads a model and makes it ready to run. */
export function load(source: Source, options?: LoadOptions): Promise<Session>;

/** Reads a model. The content says which format it is, not the name. Nothing in it is executed. */
export function loadModel(source: Source, options?: ReadOptions): Promise<Model>;

/** The version of the package. */
export const version: string;
