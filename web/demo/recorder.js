// Runs where the browser hears the microphone: hands its sound to the page at another rate, in
// chunks.

import { Resampler } from "./resample.js";

class Recorder extends AudioWorkletProcessor {
  #resampler;
  #chunk;
  #filled = 0;

  constructor({ processorOptions: { rate, size } }) {
    super();
    this.#resampler = new Resampler(sampleRate, rate);
    this.#chunk = new Float32Array(size);
  }

  process([[sound]]) {
    if (!sound) return true; // the microphone isn't connected yet
    for (const sample of this.#resampler.push(sound)) {
      this.#chunk[this.#filled++] = sample;
      if (this.#filled === this.#chunk.length) {
        this.port.postMessage(this.#chunk.slice());
        this.#filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("recorder", Recorder);
