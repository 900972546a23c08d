// The fields in which a call's inputs are given: one for each of the model's inputs.

import { fitted, readNpy, readText, shortest } from "./arrays.js";
import { button, clearError, make, shapeText, showError } from "./dom.js";
import { declaredText } from "./results.js";

/** The most values that a file's array shows in the field, where they can be changed. */
const MOST_TYPED = 4096;
/** The timesteps of random arrays where the model takes any. */
const TIMESTEPS = 8;

/** Normally distributed numbers, as `np.random.randn` draws them. */
function randomNormal() {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}

/** An array as it can be typed in again. */
function asText({ data, shape }) {
  const columns = shape.at(-1) ?? 1;
  const rows = shape.length > 1 ? shape.at(-2) : 1;
  if (shape.length > 3 || columns === 0) return null;
  const lines = [];
  for (let row = 0; row * columns < data.length; row++) {
    if (row > 0 && row % rows === 0 && shape.length === 3) lines.push("");
    lines.push(Array.from(data.subarray(row * columns, (row + 1) * columns), shortest).join(", "));
  }
  return lines.join("\n");
}

let numbers = 0; // of fields, for their ids

/** A field for one input. */
export class InputField {
  #info;
  #given = null; // an array that isn't typed in
  #text;
  #status;
  #error;
  #mask;
  #lengths;
  #vocabulary;

  /**
   * @param samples arrays that the page brings: `{ label, fits(info), get() }`
   * @param vocabulary how many ids the model knows, where the input has ids
   */
  constructor(info, samples, vocabulary) {
    this.#info = info;
    this.#vocabulary = vocabulary;
    const id = `input-${++numbers}`;
    this.#text = make("textarea", {
      id,
      rows: 6,
      spellcheck: false,
      autocomplete: "off",
      aria: { describedby: `${id}-help ${id}-status` },
      on: { input: () => this.#typed() },
    });
    this.#status = make("p", { id: `${id}-status`, className: "note", role: "status" });
    this.#error = make("p", { className: "error", role: "alert", hidden: true });
    const file = make("input", {
      type: "file",
      id: `${id}-file`,
      accept: ".npy,.csv,.tsv,.txt,.json",
      on: { change: ({ target }) => this.#file(target) },
    });
    const chooser = make(
      "label",
      { className: "file", htmlFor: file.id },
      "Choose .npy or CSV",
      file,
    );
    const chosen = samples.filter((sample) => sample.fits(info));
    const buttons = chosen.map((sample) =>
      button(sample.label, () => this.#take(sample.get, sample.label)),
    );
    const random = button("Random numbers", () => this.random());
    const help =
      `Lines of numbers (${this.#isIds ? "ids" : "timesteps"}), an empty line between the rows ` +
      "of a batch; or lists in brackets.";
    const givenAs = info.givenAs ? `, read as ${info.givenAs}` : "";
    this.element = make(
      "fieldset",
      { className: "input" },
      make(
        "legend",
        {},
        info.name,
        " ",
        make("code", { textContent: declaredText(info.shape) }),
        givenAs,
      ),
      make("label", { htmlFor: id, textContent: `Values of ${info.name}` }),
      make("p", { id: `${id}-help`, className: "note", textContent: help }),
      this.#text,
      this.#status,
      this.#error,
      make("p", { className: "buttons" }, ...buttons, random, chooser),
      this.#masks(id),
    );
  }

  get name() {
    return this.#info.name;
  }

  get #isIds() {
    return this.#info.givenAs === "ids";
  }

  /** Where a mask can be given: of inputs with timesteps. */
  #masks(id) {
    const isSequence = this.#info.shape.length >= (this.#isIds ? 2 : 3);
    if (!isSequence || ["mask", "initial state"].includes(this.#info.givenAs)) return null;
    const field = (of, label, placeholder) =>
      make("textarea", {
        id: `${id}-${of}`,
        rows: 1,
        spellcheck: false,
        placeholder,
        aria: { label },
      });
    this.#lengths = field("lengths", `Lengths of ${this.name}`, "5");
    this.#mask = field("mask", `Mask of ${this.name}`, "1 1 1 1 1 0 0 0");
    return make(
      "details",
      {},
      make("summary", { textContent: "Mask or lengths" }),
      make("label", {
        htmlFor: this.#lengths.id,
        textContent: "Lengths: how many timesteps of each row count",
      }),
      this.#lengths,
      make("label", {
        htmlFor: this.#mask.id,
        textContent: "Or a mask: a line for each row, 1 where a timestep counts, else 0",
      }),
      this.#mask,
    );
  }

  #typed() {
    this.#given = null;
    this.#check();
  }

  /** Says what the field holds. */
  #check() {
    clearError(this.#error);
    this.#status.textContent = "";
    if (!this.#given && this.#text.value.trim() === "") return;
    try {
      this.#status.textContent = `float32 ${shapeText(this.tensor().shape)}`;
    } catch (error) {
      showError(this.#error, error);
    }
  }

  /** Takes an array from elsewhere. */
  set(tensor, from) {
    const text = tensor.data.length <= MOST_TYPED ? asText(tensor) : null;
    this.#given = tensor;
    this.#text.value = text ?? "";
    this.#text.placeholder = text === null ? `${from}: ${tensor.data.length} values` : "";
    this.#check();
    this.#status.textContent += `, from ${from}`;
  }

  async #take(get, from) {
    try {
      this.set(fitted(await get(), this.#info.shape), from);
    } catch (error) {
      showError(this.#error, error);
    }
  }

  async #file(target) {
    const [file] = target.files;
    if (!file) return;
    target.value = ""; // so that the same file can be chosen again
    await this.#take(async () => read(file), file.name);
  }

  /** Fills the field with numbers of a shape that the model takes. */
  random() {
    const { shape, givenAs } = this.#info;
    const free = (axis) => (axis === 0 ? 1 : TIMESTEPS);
    const lengths = shape.map((length, axis) => length ?? free(axis));
    const size = lengths.reduce((all, length) => all * length, 1);
    const draw = { ids: () => Math.floor(Math.random() * this.#vocabulary), mask: () => 1 }[
      givenAs
    ];
    this.set(
      { data: Float32Array.from({ length: size }, draw ?? randomNormal), shape: lengths },
      "random numbers",
    );
  }

  /** What the field holds. */
  tensor() {
    if (this.#given) return this.#given;
    if (this.#text.value.trim() === "") throw new Error(`input ${this.name} has no values yet`);
    return fitted(readText(this.#text.value, this.name), this.#info.shape);
  }

  lengths() {
    const text = this.#lengths?.value.trim();
    return text ? Array.from(readText(text, `the lengths of ${this.name}`).data) : undefined;
  }

  mask() {
    const text = this.#mask?.value.trim();
    return text ? readText(text, `the mask of ${this.name}`) : undefined;
  }
}

async function read(file) {
  if (/\.npy$/i.test(file.name)) return readNpy(await file.arrayBuffer(), file.name);
  return readText(await file.text(), file.name);
}

/** What `run` and `trace` are given: the inputs by name, their masks and lengths. */
export function gathered(fields) {
  const inputs = {};
  const [mask, lengths] = [{}, {}];
  for (const field of fields) {
    inputs[field.name] = field.tensor();
    const [itsMask, itsLengths] = [field.mask(), field.lengths()];
    if (itsMask) mask[field.name] = itsMask;
    if (itsLengths) lengths[field.name] = itsLengths;
  }
  const options = {};
  if (Object.keys(mask).length > 0) options.mask = mask;
  if (Object.keys(lengths).length > 0) options.lengths = lengths;
  return { inputs, options };
}
