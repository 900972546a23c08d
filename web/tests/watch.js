// Counts what is made on the GPU. It has to be imported before birnn.

globalThis.openGpus = []; // every GPUDevice that was opened
globalThis.madeBuffers = 0;
if (globalThis.GPUAdapter) {
  const { requestDevice } = GPUAdapter.prototype;
  GPUAdapter.prototype.requestDevice = async function (...options) {
    const device = await requestDevice.apply(this, options);
    globalThis.openGpus.push(device);
    return device;
  };
  const { createBuffer } = GPUDevice.prototype;
  GPUDevice.prototype.createBuffer = function (...options) {
    globalThis.madeBuffers += 1;
    return createBuffer.apply(this, options);
  };
}
