// Builds every kernel that standard input lists with Dawn, the WebGPU of Chrome, and fails on whatever Tint or the driver
// says of it, warnings included. The argument is the folder that holds node_modules/webgpu.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const { create, globals } = await import(pathToFileURL(resolve(process.argv[2], 'node_modules/webgpu/index.js')));
Object.assign(globalThis, globals);

// The one extension that some kernels use.
const SUBGROUPS = 'subgroups';

const gpu = create(['backend=vulkan']);
const adapter = await gpu.requestAdapter();
if (!adapter) throw new Error('Dawn finds no Vulkan adapter');
const subgroups = adapter.features.has(SUBGROUPS);
const limits = {};
for (const name of ['maxComputeInvocationsPerWorkgroup', 'maxComputeWorkgroupSizeX', 'maxComputeWorkgroupStorageSize']) {
    limits[name] = adapter.limits[name];
}
const device = await adapter.requestDevice({ requiredFeatures: subgroups ? [SUBGROUPS] : [], requiredLimits: limits });

async function complaint({ name, wgsl, constants }) {
    device.pushErrorScope('validation');
    const module = device.createShaderModule({ code: wgsl });
    const { messages } = await module.getCompilationInfo();
    const said = messages.map((m) => `${m.type}, line ${m.lineNum}: ${m.message}`);
    try {
        await device.createComputePipelineAsync({ layout: 'auto', compute: { module, entryPoint: name, constants } });
    } catch (error) {
        said.push(String(error.message));
    }
    const error = await device.popErrorScope();
    if (error && said.length === 0) said.push(error.message);
    return said.join('\n');
}

const kernels = JSON.parse(readFileSync(0, 'utf8'));
// The planner doesn't choose what an adapter has no workgroup memory for, so this one needn't build it.
const TOO_LARGE = /^The total use of workgroup storage \(\d+ bytes\) is larger than the maximum allowed/;
let built = 0;
let large = 0;
let bad = 0;
for (const kernel of kernels) {
    if (!subgroups && kernel.wgsl.startsWith('enable subgroups')) continue;
    const said = await complaint(kernel);
    if (TOO_LARGE.test(said)) {
        large += 1;
        continue;
    }
    built += 1;
    if (said) {
        bad += 1;
        console.error(`${kernel.name} (${kernel.setting}) ${JSON.stringify(kernel.constants)}\n${said}`);
    }
}
console.error(`Dawn on ${adapter.info.description}: ${built} of ${kernels.length} kernels built, ${bad} complained of`);
if (large > 0) console.error(`NOT RUN: ${large} need more workgroup memory than this adapter has`);
if (built + large !== kernels.length) console.error('NOT RUN: the others use subgroups, which this driver lacks');
device.destroy();
process.exit(bad === 0 ? 0 : 1);
