// Arrays as people have them: .npy files of NumPy, CSV, and numbers that are typed in. An array is
// `{ data, shape }`, its values in C order.

const product = (shape) => shape.reduce((size, length) => size * length, 1);

/** The most values that are read: what a page can hold with room to spare. */
const MOST = 2 ** 26;

function checkSize(shape, what) {
  if (product(shape) > MOST) throw new Error(`${what} has more than ${MOST} values`);
}

// --- .npy ---

/** How each type of NumPy's is read: its size in bytes, and a value at a place. */
const TYPES = {
  f2: [2, (view, place, little) => half(view.getUint16(place, little))],
  f4: [4, (view, place, little) => view.getFloat32(place, little)],
  f8: [8, (view, place, little) => view.getFloat64(place, little)],
  b1: [1, (view, place) => view.getUint8(place)],
  i1: [1, (view, place) => view.getInt8(place)],
  u1: [1, (view, place) => view.getUint8(place)],
  i2: [2, (view, place, little) => view.getInt16(place, little)],
  u2: [2, (view, place, little) => view.getUint16(place, little)],
  i4: [4, (view, place, little) => view.getInt32(place, little)],
  u4: [4, (view, place, little) => view.getUint32(place, little)],
  i8: [8, (view, place, little) => Number(view.getBigInt64(place, little))],
  u8: [8, (view, place, little) => Number(view.getBigUint64(place, little))],
};

/** A number of 16 bits. */
function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Reads a .npy file. */
export function readNpy(buffer, name) {
  const bytes = new Uint8Array(buffer);
  const view = new DataView(buffer);
  const isNpy = bytes.length >= 10 && String.fromCharCode(...bytes.subarray(0, 6)) === "\x93NUMPY";
  if (!isNpy) throw new Error(`${name} isn't a .npy file of NumPy`);
  const isLong = bytes[6] >= 2; // versions 2 and 3 have a header of any length
  if (isLong && bytes.length < 12) throw new Error(`${name} ends within its header`);
  const begin = isLong ? 12 : 10;
  const end = begin + (isLong ? view.getUint32(8, true) : view.getUint16(8, true));
  if (end > bytes.length) throw new Error(`${name} ends within its header`);
  const header = new TextDecoder("latin1").decode(bytes.subarray(begin, end));
  const type = header.match(/'descr':\s*'([<>|=]?)(\w+)'/);
  const order = header.match(/'fortran_order':\s*(True|False)/);
  const axes = header.match(/'shape':\s*\(([\d,\s]*)\)/);
  if (!type || !order || !axes)
    throw new Error(`${name} has a header that isn't NumPy's: ${header}`);
  const [size, get] = TYPES[type[2]] ?? [];
  if (!get) {
    const known = Object.keys(TYPES).join(", ");
    throw new Error(`${name} has values of type ${type[2]}; this page reads ${known}`);
  }
  const shape = axes[1]
    .split(",")
    .filter((length) => length.trim())
    .map(Number);
  checkSize(shape, name);
  const count = product(shape);
  if (bytes.length - end < count * size) {
    throw new Error(`${name} has too few bytes for its shape ${JSON.stringify(shape)}`);
  }
  const data = new Float32Array(count);
  for (let index = 0; index < count; index++)
    data[index] = get(view, end + index * size, type[1] !== ">");
  return { data: order[1] === "True" ? inCOrder(data, shape) : data, shape };
}

/** Values whose first axis is the one with neighbours side by side, in C order. */
function inCOrder(data, shape) {
  const to = new Float32Array(data.length);
  const strides = shape.map((_, axis) => product(shape.slice(0, axis)));
  const index = shape.map(() => 0);
  for (let place = 0; place < to.length; place++) {
    to[place] = data[index.reduce((sum, at, axis) => sum + at * strides[axis], 0)];
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis] === shape[axis]; axis--)
      index[axis] = 0;
  }
  return to;
}

/** Writes a .npy file of 32-bit floats. */
export function writeNpy({ data, shape }) {
  const axes = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  let header = `{'descr': '<f4', 'fortran_order': False, 'shape': (${axes}), }`;
  header = header.padEnd(64 * Math.ceil((11 + header.length) / 64) - 11) + "\n";
  const bytes = new Uint8Array(10 + header.length + 4 * data.length);
  bytes.set([0x93, ...[..."NUMPY"].map((letter) => letter.charCodeAt(0)), 1, 0]);
  const view = new DataView(bytes.buffer);
  view.setUint16(8, header.length, true);
  bytes.set(new TextEncoder().encode(header), 10);
  data.forEach((value, index) => view.setFloat32(10 + header.length + 4 * index, value, true));
  return bytes;
}

// --- text ---

const NOT_FINITE = { nan: NaN, inf: Infinity, "+inf": Infinity, "-inf": -Infinity };

/** The number that a word stands for; undefined where it is none. */
function number(word) {
  const lower = word.toLowerCase();
  if (lower in NOT_FINITE) return NOT_FINITE[lower];
  if (lower === "true") return 1;
  if (lower === "false") return 0;
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/.test(lower) ? Number(lower) : undefined;
}

/**
 * Reads numbers that are typed in: rows of numbers with commas, semicolons or space between them,
 * where an empty line begins the next row of the batch; or nested lists in brackets, as NumPy and
 * JSON print them.
 */
export function readText(text, name) {
  return text.includes("[") ? readBrackets(text, name) : readRows(text, name);
}

function readRows(text, name) {
  const blocks = [[]];
  let columns = null;
  text.split(/\r?\n/).forEach((line, index) => {
    const words = line.split(/\s*[,;\t]\s*|\s+/).filter((word) => word !== "");
    if (words.length === 0) {
      if (blocks.at(-1).length > 0) blocks.push([]);
      return;
    }
    const row = words.map(number);
    const isFirst = columns === null;
    if (isFirst && row.every((value) => value === undefined)) return; // names of columns
    const wrong = row.indexOf(undefined);
    if (wrong >= 0) throw new Error(`${name}, line ${index + 1}: "${words[wrong]}" is no number`);
    columns ??= row.length;
    if (row.length !== columns) {
      const lines = `${row.length} numbers, and the lines before it ${columns}`;
      throw new Error(`${name}, line ${index + 1} has ${lines}`);
    }
    blocks.at(-1).push(row);
  });
  if (blocks.at(-1).length === 0) blocks.pop();
  if (blocks.length === 0) throw new Error(`${name} has no numbers`);
  const rows = blocks[0].length;
  const other = blocks.findIndex((block) => block.length !== rows);
  if (other >= 0) {
    const lines = `${blocks[other].length} lines, and block 1 has ${rows}`;
    throw new Error(
      `${name}: block ${other + 1} has ${lines}; blocks of a batch are as long as each other`,
    );
  }
  const shape = blocks.length > 1 ? [blocks.length, rows, columns] : [rows, columns];
  return { data: Float32Array.from(blocks.flat(2)), shape };
}

function readBrackets(text, name) {
  const data = [];
  const shape = []; // the length of each axis, once it is known
  const counts = []; // how many elements each open bracket has so far
  let depthOfNumbers = null;
  const count = () => {
    if (counts.length > 0) counts[counts.length - 1]++;
  };
  for (const [word] of text.matchAll(/[[\]]|[^\s,;[\]]+/g)) {
    if (word === "[") {
      if (counts.length === 0 && data.length > 0) throw new Error(`${name}: a second list begins`);
      if (depthOfNumbers !== null && counts.length >= depthOfNumbers) {
        throw new Error(`${name}: a list stands where numbers are`);
      }
      counts.push(0);
    } else if (word === "]") {
      const length = counts.pop();
      if (length === undefined) throw new Error(`${name}: "]" without "["`);
      shape[counts.length] ??= length;
      if (shape[counts.length] !== length) {
        const lengths = `${length} and ${shape[counts.length]} elements`;
        throw new Error(`${name}: lists of axis ${counts.length} have ${lengths}`);
      }
      count();
    } else {
      const value = number(word);
      if (value === undefined) throw new Error(`${name}: "${word}" is no number`);
      depthOfNumbers ??= counts.length;
      if (counts.length === 0 || counts.length !== depthOfNumbers) {
        throw new Error(`${name}: ${word} stands outside of the innermost lists`);
      }
      data.push(value);
      count();
    }
  }
  if (counts.length > 0) throw new Error(`${name}: "[" without "]"`);
  return { data: Float32Array.from(data), shape };
}

/**
 * Gives an array the shape that an input is declared with (null is any length) where it fits: a
 * batch of one is added, or rows are cut into timesteps. birnn says what is wrong with others.
 */
export function fitted({ data, shape }, declared) {
  const fits = (candidate) =>
    candidate.length === declared.length &&
    candidate.every((length, axis) => declared[axis] === null || declared[axis] === length);
  const withOne = [1, ...shape];
  const isRow = shape.length === 2 && shape[0] === 1;
  const candidates = [shape, withOne, [1, ...withOne]];
  if (isRow) candidates.push([shape[1]], [1, shape[1], 1]);
  if (shape.length === 2 && shape[1] === 1) candidates.push([1, shape[0]], [shape[0]]);
  const found = candidates.find(fits);
  if (found) return { data, shape: found };
  // The batch is what is left over.
  const rest = declared.slice(1);
  const batch = data.length / product(rest);
  if (declared[0] === null && !rest.includes(null) && Number.isInteger(batch) && batch > 0) {
    return { data, shape: [batch, ...rest] };
  }
  return { data, shape: shape.length === declared.length - 1 ? withOne : shape };
}

/** The fewest digits that are read back as the same 32-bit float. */
export function shortest(value) {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  for (let digits = 1; digits < 9; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === value) return String(Number(text));
  }
  return String(Number(value.toPrecision(9)));
}

/** Writes an array as CSV: a line for each row of the last axis, an empty line between blocks. */
export function writeCsv({ data, shape }) {
  const columns = shape.at(-1) ?? 1;
  const rows = shape.at(-2) ?? 1;
  const lines = [];
  for (let row = 0; row * columns < data.length; row++) {
    if (row > 0 && row % rows === 0) lines.push("");
    const values = Array.from(data.subarray(row * columns, (row + 1) * columns), shortest);
    lines.push(values.join(","));
  }
  return lines.join("\n") + "\n";
}
