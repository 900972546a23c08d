// The section in which silero-vad listens: to the microphone, to a sound file, or to a sample that
// the page makes.

import { scheme } from "./colors.js";
import { byId, clearError, millisecondsText, showError } from "./dom.js";
import { Engine } from "./engine.js";
import { RATE, sample } from "./sound.js";

/** The samples of a call, and those of the one before that the model reads again. */
const CHUNK = 512;
const CONTEXT = 64;
/** The seconds that the curve shows. */
const SHOWN = 10;
/** From here on somebody speaks. */
const THRESHOLD = 0.5;
/** The most of a sound file, in seconds. */
const LONGEST = 600;

/** The model as its authors made it for 16 kHz: its states are its own. */
const READING = {
  tied: { state: "stateN" },
  fixedInputs: { sr: RATE },
  axisLengths: { batch: 1 },
};

/** The voice detector, in a Worker of its own, beside the page's model. */
class Detector {
  #engine = new Engine();
  #ready = null;
  #window = new Float32Array(CONTEXT + CHUNK);
  /** The time that each call took. */
  times = [];

  constructor(url) {
    this.url = url;
  }

  /** Loads the model, once. */
  load(onProgress) {
    this.#ready ??= this.#engine
      .call("read", { source: this.url, options: READING }, { onProgress })
      .catch((error) => {
        this.#ready = null; // so that it can be tried again
        throw error;
      });
    return this.#ready;
  }

  /** Begins a sound. */
  async reset() {
    this.#window.fill(0);
    this.times = [];
    await this.#engine.call("resetStates");
  }

  /** The probability that somebody speaks in the next chunk. */
  async hear(chunk) {
    this.#window.copyWithin(0, CHUNK);
    this.#window.set(chunk, CONTEXT);
    const inputs = { input: { data: this.#window, shape: [1, CONTEXT + CHUNK] } };
    const { outputs, time } = await this.#engine.call("run", { device: "cpu", inputs });
    this.times.push(time);
    return outputs[0].data[0];
  }
}

/** The curve of the last seconds. */
class Curve {
  #canvas = byId("curve");
  #heard = []; // of each chunk its loudness and probability

  constructor() {
    new ResizeObserver(() => this.draw()).observe(this.#canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  clear() {
    this.#heard = [];
    this.draw();
  }

  add(chunk, probability) {
    const loudness = chunk.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    this.#heard.push({ loudness, probability });
    this.draw();
  }

  draw() {
    const canvas = this.#canvas;
    const ratio = devicePixelRatio;
    const [width, height] = [canvas.clientWidth * ratio, canvas.clientHeight * ratio];
    if (width === 0) return;
    [canvas.width, canvas.height] = [Math.round(width), Math.round(height)];
    const style = getComputedStyle(canvas);
    const context = canvas.getContext("2d");
    const shown = Math.round((SHOWN * RATE) / CHUNK);
    const heard = this.#heard.slice(-shown);
    const x = (index) => (index * width) / shown;
    context.fillStyle = scheme().unknown;
    heard.forEach(({ loudness }, index) => {
      const size = Math.min(1, loudness) * height;
      context.fillRect(x(index), (height - size) / 2, Math.max(1, width / shown - ratio), size);
    });
    context.strokeStyle = style.getPropertyValue("color");
    context.lineWidth = ratio;
    context.setLineDash([4 * ratio, 4 * ratio]);
    context.beginPath();
    context.moveTo(0, height * (1 - THRESHOLD));
    context.lineTo(width, height * (1 - THRESHOLD));
    context.stroke();
    context.setLineDash([]);
    context.strokeStyle = style.getPropertyValue("--accent");
    context.lineWidth = 2.5 * ratio;
    context.beginPath();
    heard.forEach(({ probability }, index) => {
      const y = (1 - probability) * (height - 4 * ratio) + 2 * ratio;
      index === 0 ? context.moveTo(x(index + 0.5), y) : context.lineTo(x(index + 0.5), y);
    });
    context.stroke();
  }
}

/** The parts in which somebody speaks, in seconds. */
class Speech {
  #parts = [];
  #time = 0;

  add(probability) {
    const end = this.#time + CHUNK / RATE;
    if (probability >= THRESHOLD) {
      const last = this.#parts.at(-1);
      if (last && this.#time - last.end < 0.2) last.end = end;
      else this.#parts.push({ begin: this.#time, end });
    }
    this.#time = end;
  }

  get text() {
    if (this.#parts.length === 0) return "Nobody spoke.";
    const parts = this.#parts.map(({ begin, end }) => `${begin.toFixed(1)} to ${end.toFixed(1)} s`);
    return `Speech: ${parts.join(", ")}.`;
  }
}

/** Starts the section; `url` is the model's. */
export function speechSection(url) {
  const detector = new Detector(url);
  const curve = new Curve();
  const [status, error, stop] = [byId("speech-status"), byId("speech-error"), byId("stop-speech")];
  let ending = null; // ends what is listened to

  /** Listens to what `listen(hear)` hands over, until it is done or stopped. */
  async function listening(listen) {
    clearError(error);
    ending?.();
    let isOver = false;
    const closers = [];
    const end = () => {
      isOver = true;
      while (closers.length > 0) closers.pop()();
    };
    ending = end;
    status.textContent = "Loading silero-vad …";
    stop.hidden = false;
    try {
      await detector.load(({ loaded, total }) => {
        const part = Math.round((100 * loaded) / (total ?? loaded));
        status.textContent = `Loading silero-vad: ${part} %`;
      });
      await detector.reset();
      curve.clear();
      const speech = new Speech();
      const hear = async (chunk) => {
        const probability = await detector.hear(chunk);
        if (isOver) return;
        speech.add(probability);
        curve.add(chunk, probability);
        byId("probability").value = probability;
        byId("probability-text").textContent = probability.toFixed(2);
      };
      if (!isOver)
        await listen({ hear, isOver: () => isOver, onEnd: (close) => closers.push(close) });
      const times = detector.times.sort((one, other) => one - other);
      const median =
        times.length > 0
          ? `A call of 32 ms took ${millisecondsText(times[times.length >> 1])}.`
          : "";
      if (ending === end) status.textContent = `${speech.text} ${median}`;
    } catch (failure) {
      status.textContent = "";
      showError(error, failure);
    } finally {
      end();
      if (ending === end) {
        ending = null;
        stop.hidden = true;
      }
    }
  }

  /** Hears samples as they would come in, and plays them. */
  const played = (samples) => async (listener) => {
    const audio = new AudioContext();
    listener.onEnd(() => audio.close());
    audio.resume(); // some browsers wait for it
    const buffer = audio.createBuffer(1, samples.length, RATE);
    buffer.copyToChannel(samples, 0);
    const source = new AudioBufferSourceNode(audio, { buffer });
    source.connect(audio.destination);
    source.start();
    status.textContent = "Playing …";
    const begin = performance.now();
    for (let place = 0; place + CHUNK <= samples.length && !listener.isOver(); place += CHUNK) {
      await listener.hear(samples.subarray(place, place + CHUNK));
      const early = ((place + CHUNK) / RATE) * 1000 - (performance.now() - begin);
      if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
    }
  };

  async function microphone(listener) {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error(
        "This browser gives no microphone to this page: it has to come from https or localhost.",
      );
    }
    const stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
    const audio = new AudioContext();
    const over = new Promise((resolve) => {
      listener.onEnd(() => {
        stream.getTracks().forEach((track) => track.stop());
        audio.close();
        resolve();
      });
    });
    if (listener.isOver()) return;
    audio.resume(); // some browsers wait for it
    await audio.audioWorklet.addModule(new URL("recorder.js", import.meta.url));
    const options = { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" };
    const processorOptions = { rate: RATE, size: CHUNK };
    const recorder = new AudioWorkletNode(audio, "recorder", { ...options, processorOptions });
    let last = Promise.resolve();
    const failed = new Promise((_, reject) => {
      recorder.port.onmessage = ({ data }) => {
        last = last.then(() => (listener.isOver() ? null : listener.hear(data)));
        last.catch(reject);
      };
    });
    new MediaStreamAudioSourceNode(audio, { mediaStream: stream }).connect(recorder);
    status.textContent = "Listening …";
    await Promise.race([over, failed]);
  }

  byId("listen").onclick = () => listening(microphone);
  byId("play-sample").onclick = () => listening(played(sample().samples));
  byId("stop-speech").onclick = () => ending?.();
  byId("sound-file").onchange = ({ target }) => {
    const [file] = target.files;
    target.value = "";
    if (!file) return;
    listening(async (listener) => {
      // A context of this rate decodes to this rate.
      const context = new OfflineAudioContext(1, 1, RATE);
      const decoded = await context.decodeAudioData(await file.arrayBuffer()).catch(() => {
        throw new Error(`${file.name}: this browser can't read it as sound`);
      });
      if (decoded.duration > LONGEST)
        throw new Error(`${file.name} lasts longer than ${LONGEST} s`);
      await played(mixed(decoded))(listener);
    });
  };
}

/** The mean of the channels. */
function mixed(buffer) {
  const samples = new Float32Array(buffer.length);
  for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
    buffer.getChannelData(channel).forEach((value, index) => {
      samples[index] += value / buffer.numberOfChannels;
    });
  }
  return samples;
}
