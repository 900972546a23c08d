// Reads NumPy's archives, such as tests/fixtures has.

/** The arrays of an archive by name, each `{ data, shape }` as a call takes it. */
export async function npz(url) {
  const bytes = await (await fetch(url)).arrayBuffer();
  const view = new DataView(bytes);
  const text = (at, length) => new TextDecoder().decode(new Uint8Array(bytes, at, length));
  const end = bytes.byteLength - 22; // the directory's end, which has no comment
  const arrays = {};
  let at = view.getUint32(end + 16, true);
  for (let left = view.getUint16(end + 10, true); left > 0; left--) {
    const [method, packed] = [view.getUint16(at + 10, true), view.getUint32(at + 20, true)];
    const [name, extra, comment] = [28, 30, 32].map((field) => view.getUint16(at + field, true));
    const local = view.getUint32(at + 42, true);
    const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    const content = new Uint8Array(bytes, start, packed);
    const file = text(at + 46, name).replace(/\.npy$/, "");
    arrays[file] = npy(method === 0 ? content.slice().buffer : await inflated(content));
    at += 46 + name + extra + comment;
  }
  return arrays;
}

async function inflated(content) {
  const stream = new Blob([content]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Response(stream).arrayBuffer();
}

const KINDS = {
  "<f4": Float32Array,
  "<f8": Float64Array,
  "|b1": Uint8Array,
  "|i1": Int8Array,
  "<i4": Int32Array,
  "<i8": BigInt64Array,
};

function npy(bytes) {
  const length = new DataView(bytes).getUint16(8, true);
  const header = new TextDecoder().decode(new Uint8Array(bytes, 10, length));
  const [, kind] = header.match(/'descr': '([^']+)'/);
  const shape = header.match(/'shape': \(([^)]*)\)/)[1].split(",").filter((n) => n.trim()).map(Number);
  const data = new KINDS[kind](bytes.slice(10 + length));
  return { data: header.includes("'fortran_order': True") ? inOrderOfC(data, shape) : data, shape };
}

/** The values of an array whose first axis is the one whose neighbours are side by side. */
function inOrderOfC(data, shape) {
  const order = data.slice();
  const place = shape.map(() => 0);
  for (let i = 0; i < data.length; i++) {
    let [at, stride] = [0, 1];
    shape.forEach((length, axis) => {
      at += place[axis] * stride;
      stride *= length;
    });
    order[i] = data[at];
    for (let axis = shape.length - 1; axis >= 0 && ++place[axis] === shape[axis]; axis--) place[axis] = 0;
  }
  return order;
}
