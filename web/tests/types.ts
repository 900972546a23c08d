// Compiled, never run: that the package's types say what its users write.

import {
  BirnnError,
  devices,
  init,
  load,
  loadModel,
  openDevice,
  type Adapter,
  type Output,
  type Session,
} from "birnn";
import { load as loadPortable } from "birnn/portable";

export async function uses(file: File, bytes: Uint8Array): Promise<Output> {
  await init();
  const adapters: Adapter[] = await devices();
  const device = await openDevice("webgpu", { allowSoftware: adapters.length > 1 });
  const session: Session = await load(file, {
    device,
    onProgress: ({ loaded, total }) => console.log(loaded, total ?? 0),
    fixedInputs: { sr: 16000, ids: { data: [1n], shape: [1] } },
    externalData: { "w.bin": bytes },
  });
  const x = { data: new Float32Array(16), shape: [1, 8, 2] };
  const [first, ...states] = await session.run(x, { lengths: [8], initialState: { lstm: [x, x] } });
  await session.run([x, x], { mask: { input: { data: [true, false], shape: [1, 2] } } });
  const found = await session.run({ input: x });
  const width: number | null = session.inputs[0].shape[2];
  console.log(first.data.subarray(1), states.length, found.get("lstm").role, width);
  const model = await loadModel(bytes, { prefix: "encoder.lstm", nonlinearity: "relu" });
  const [{ name, directions }] = model.recurrentLayers;
  const units: number = directions[0].units;
  console.log(units, directions[0].gates.join(), directions[0].cell);
  const [[trace]] = model.trace(name, x);
  console.log(trace.cell?.data, trace.gates.length);
  const other = await loadPortable(model.save({ halfWeights: true }), { device: "cpu" });
  other.recoverWith("webgpu", "cpu");
  try {
    await other.rebuild({ device: "best" });
  } catch (error) {
    if (error instanceof BirnnError && error.kind === "NoAdapter") console.log(error.message);
  }
  // @ts-expect-error: a device is named or opened
  await load(file, { device: 5 });
  // @ts-expect-error: a tensor has a shape
  await session.run({ data: [1] });
  return found.asObject()["output of lstm"];
}
