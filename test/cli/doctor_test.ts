import assert from "node:assert/strict";
import { registerTile } from "../../kernels/matmul/kernel.ts";
import { doctor } from "../../src/cli/doctor.ts";
import {
  type AdapterFacts,
  type DoctorReport,
  type EngineFacts,
  examine,
} from "../../src/cli/doctor_examine.ts";
import { type Machine, readDriver } from "../../src/cli/doctor_machine.ts";
import { measureMatmul } from "../../src/tuning/matmul_rate.ts";
import { findProblems } from "../../src/cli/doctor_problems.ts";
import { formatDoctor } from "../../src/cli/doctor_text.ts";
import { RETUNE_WORK, tunedProducts } from "../../src/cli/doctor_tuning.ts";
import { runCommand } from "../../src/cli/run.ts";
import { CANDIDATES } from "../../src/nn/tile_candidates.ts";
import { adapterKind, chooseVariants, TILE_CLASSES, tileFits } from "../../src/nn/variants.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { TuningCache, type TuningEntry } from "../../src/tuning/cache.ts";
import { flopsOf } from "../../src/tuning/work.ts";
import { onGpu } from "../helpers/device.ts";
import { fakeIo, RecordingSink } from "./fake_io.ts";

interface FakeAdapter {
  readonly description: string;
  readonly isFallbackAdapter?: boolean;
}

/** An entry whose adapters can be asked everything but for a device. */
function entry(adapters: Partial<Record<GPUPowerPreference | "fallback", FakeAdapter>>): GPU {
  return {
    requestAdapter: (
      { powerPreference = "fallback" }: { powerPreference?: GPUPowerPreference | "fallback" },
    ) => {
      const info = adapters[powerPreference];
      return Promise.resolve(
        info
          ? {
            info: { vendor: "made-up", architecture: "", device: "", ...info },
            limits: {
              maxBufferSize: 1 << 30,
              maxStorageBufferBindingSize: 1 << 29,
              maxTextureDimension2D: 16384,
            },
            features: new Set(["timestamp-query", "shader-f16"]),
            requestDevice: () => Promise.reject(new Error("the driver gives no device")),
          }
          : null,
      );
    },
  } as unknown as GPU;
}

const DRIVER = { file: "/etc/vulkan/icd.d/x.json", library: "libx.so", present: true };

function machine(changes: Partial<Machine> = {}): Machine {
  return {
    runtime: "Deno 2.9.6 (V8 15)",
    os: "linux",
    platform: "linux x86_64",
    memory: { totalBytes: 8 * 2 ** 30, availableBytes: 4 * 2 ** 30, limitBytes: null },
    entry: entry({}),
    env: { SECRET: "hush" },
    vulkan: { loader: "/usr/lib/libvulkan.so.1", drivers: [DRIVER] },
    deviceFiles: [],
    nvidiaVersion: null,
    ...changes,
  };
}

const adapter = (name: string, software: boolean, used = true): AdapterFacts => {
  return {
    name,
    software,
    used,
    vendor: "",
    architecture: "",
    powerPreferences: [],
    limits: [],
    features: [],
  };
};
const CPU = adapter("llvmpipe", true);

const problemsOf = (changes: Partial<Machine>, adapters: AdapterFacts[] = [], failure: Error | null = null) =>
  findProblems(machine(changes), adapters, failure).map(({ what, cure }) => `${what}: ${cure}`);

Deno.test("examine() lists an adapter once for all preferences that give it, and marks the one that is used", async () => {
  const gpu = { description: "NVIDIA H100" }, cpu = { description: "llvmpipe", isFallbackAdapter: true };
  const two = await examine(machine({ entry: entry({ "high-performance": gpu, "low-power": cpu }) }), "1");
  assert.deepEqual(
    two.adapters.map((
      { name, software, used, powerPreferences },
    ) => [name, software, used, powerPreferences]),
    [["NVIDIA H100", false, true, ["high-performance"]], ["llvmpipe", true, false, ["low-power"]]],
  );
  const one = await examine(machine({ entry: entry({ "high-performance": gpu, "low-power": gpu }) }), "1");
  assert.deepEqual(one.adapters.map(({ used, powerPreferences }) => [used, powerPreferences]), [
    [true, ["high-performance", "low-power"]],
  ]);
  assert.deepEqual(one.adapters[0]!.limits[0], {
    name: "maxBufferSize",
    value: 1 << 30,
    webgpuDefault: 256 << 20,
    reason: "an activation or a weight shard is one buffer",
  });
});

Deno.test("examine() lists the fallback too, and looks at the adapter that is asked for", async () => {
  const given = {
    "high-performance": { description: "NVIDIA H100" },
    "fallback": { description: "llvmpipe" },
  };
  const look = async (gpu: string) => {
    const request = { folder: null, work: null, gpu };
    const { adapters, problems } = await examine(machine({ entry: entry(given) }), "1", request);
    return { used: adapters.map(({ name, used }) => [name, used]), told: problems.map(({ what }) => what) };
  };
  const both = await look("h100"), cpu = await look("LLVM");
  assert.deepEqual(both.used, [["NVIDIA H100", true], ["llvmpipe", false]]);
  assert.deepEqual(cpu.used, [["NVIDIA H100", false], ["llvmpipe", true]]);
  assert.deepEqual(
    cpu.told,
    ["the driver gives no device"],
    "who asks for the CPU is not told to install a GPU",
  );
  assert.match(
    (await look("Radeon")).told.join(),
    /^No adapter has "Radeon" in its name: WebGPU gives "NVIDIA H100", /,
  );
});

Deno.test("examine() tells nothing of the environment, and what opening the adapter threw", async () => {
  const report = await examine(
    machine({ entry: entry({ "high-performance": { description: "GPU" } }) }),
    "1",
  );
  assert.doesNotMatch(JSON.stringify(report), /SECRET|hush/);
  assert.equal(report.engine, null);
  assert.deepEqual(report.problems.map(({ what }) => what), ["the driver gives no device"]);
});

Deno.test("doctor prints its report before it fails where there is no adapter or no WebGPU", async () => {
  for (
    const [changes, told] of [
      [
        { vulkan: { loader: null, drivers: [] } },
        /problem: no Vulkan driver is installed: .*mesa-vulkan-drivers\n$/,
      ],
      [
        { entry: undefined },
        /webgpu +none\n[^]*problem: this runtime has no WebGPU .*: use Deno 2\.9 or later/,
      ],
    ] as const
  ) {
    const stdout = new RecordingSink();
    await assert.rejects(doctor([], { stdout, env: {} }, { machine: () => machine(changes) }), {
      name: "GpuUnavailableError",
      message: /no adapter to compute on: the problems above/,
    });
    assert.match(stdout.text, told);
  }
});

Deno.test("findProblems() says what to install for a GPU that the kernel knows and Vulkan does not", () => {
  assert.match(
    problemsOf({ deviceFiles: ["/dev/nvidiactl"] }, [CPU])[0]!,
    /^the kernel knows an NVIDIA GPU, and Vulkan does not: .*nvidia_icd\.json.*NVIDIA_DRIVER_CAPABILITIES=graphics,compute,utility$/,
  );
  assert.match(problemsOf({ deviceFiles: ["/dev/nvidia0"] })[0]!, /NVIDIA GPU/);
  assert.match(
    problemsOf({ deviceFiles: ["/dev/dri/renderD128"] }, [CPU])[0]!,
    /^the kernel knows a GPU \(\/dev\/dri\/renderD128\).*mesa-vulkan-drivers.*group render/,
  );
  assert.match(problemsOf({ deviceFiles: ["/dev/dxg"] }, [CPU])[0]!, /\/dev\/dxg.*dzn driver/);
  const working = [adapter("AMD", false)];
  assert.deepEqual(problemsOf({ deviceFiles: ["/dev/dri/renderD128", "/dev/nvidia0"] }, working), []);
});

Deno.test("findProblems() misses a driver that is listed by name only where no GPU is found", () => {
  const nvidia = {
    file: "/usr/share/vulkan/icd.d/nvidia_icd.json",
    library: "libGLX_nvidia.so.0",
    present: false,
  };
  const vulkan = { loader: "/usr/lib/libvulkan.so.1", drivers: [DRIVER, nvidia] };
  assert.match(
    problemsOf({ vulkan }, [CPU])[0]!,
    /nvidia_icd\.json names libGLX_nvidia\.so\.0, which is not there: .*--gpus all.*graphics,compute,utility$/,
  );
  assert.deepEqual(problemsOf({ vulkan }, [adapter("AMD", false)]), []);
  const env = { VK_DRIVER_FILES: nvidia.file };
  assert.match(problemsOf({ vulkan, env }, [adapter("AMD", false)])[0]!, /libGLX_nvidia/);
});

Deno.test("doctor says so where it may not look for GPUs in /dev", async () => {
  const told = async (deviceFiles: readonly string[] | null) => {
    const stdout = new RecordingSink();
    await doctor([], { stdout, env: {} }, { machine: () => machine({ deviceFiles }) }).catch(() => {});
    return /^devices +(.*)$/m.exec(stdout.text)?.[1];
  };
  assert.equal(await told(null), "not looked for, as Deno shows /dev with --allow-all only");
  assert.equal(await told(["/dev/kfd", "/dev/dri/renderD128"]), "/dev/kfd, /dev/dri/renderD128");
  assert.equal(await told([]), undefined);
});

Deno.test("findProblems() names a missing loader, a missing library and the variable that names the file", () => {
  const none = { vulkan: { loader: null, drivers: [DRIVER] } };
  assert.match(problemsOf(none)[0]!, /libvulkan\.so\.1\) is missing: apt-get install libvulkan1$/);
  const broken = {
    vulkan: { loader: "/l", drivers: [{ file: "/a.json", library: "/b.so", present: false }] },
  };
  assert.equal(
    problemsOf({ ...broken, env: { VK_ICD_FILENAMES: "/a.json" } })[0],
    "/a.json names /b.so, which is not there: correct or unset VK_ICD_FILENAMES",
  );
  assert.match(problemsOf(broken)[0]!, /install that driver again/);
});

Deno.test("findProblems() says so where the CPU computes, alone or before a GPU, and where the driver fails", () => {
  assert.match(problemsOf({}, [CPU])[0]!, /^"llvmpipe" computes on the CPU, and no sign of a GPU is found: /);
  assert.match(
    problemsOf({}, [CPU, adapter("Intel Arc", false, false)])[0]!,
    /^"llvmpipe" computes on the CPU and is taken before "Intel Arc": .*VK_DRIVER_FILES$/,
  );
  assert.match(
    problemsOf({}, [adapter("AMD", false)], new Error("it is off"))[0]!,
    /^it is off: update the driver/,
  );
  assert.match(problemsOf({ os: "windows" })[0]!, /^WebGPU found no adapter: install the GPU's driver$/);
});

Deno.test("readDriver() resolves libraries by path, from the file's folder, or by what the linker knows", () => {
  const read = (library: string, there: string[]) =>
    readDriver(
      "/v/icd.d/x.json",
      JSON.stringify({ ICD: { library_path: library } }),
      (path) => there.includes(path),
      (name) => there.includes(name),
    );
  assert.equal(read("/a/b.so", ["/a/b.so"]).present, true);
  assert.equal(read("/a/b.so", []).present, false);
  assert.equal(read("../b.so", ["/v/icd.d/../b.so"]).present, true);
  assert.equal(read("libGLX_nvidia.so.0", ["libGLX_nvidia.so.0"]).present, true);
  assert.deepEqual(read("libGLX_nvidia.so.0", []), {
    file: "/v/icd.d/x.json",
    library: "libGLX_nvidia.so.0",
    present: false,
  });
  for (const text of [null, "{", "{}", '{"ICD":{"library_path":1}}']) {
    assert.deepEqual(readDriver("/x.json", text, () => true, () => true), {
      file: "/x.json",
      library: null,
      present: false,
    });
  }
});

onGpu("doctor measures the adapter at hand and prints it for people and as JSON", async ({ gpu }) => {
  const fake = fakeIo();
  assert.equal(await runCommand(["doctor", "--json"], fake.io), 0, fake.stderr.text);
  const report: DoctorReport = JSON.parse(fake.stdout.text);
  assert.equal(report.engine!.adapter, gpu.name);
  assert.equal(report.adapters.find(({ used }) => used)!.software, gpu.software);
  const { gigaflops, worstError } = report.engine!.matmul;
  assert.ok(gigaflops.least > 0 && gigaflops.least <= gigaflops.median && gigaflops.median <= gigaflops.most);
  assert.ok(worstError > 0 && worstError <= 1, `${worstError}`);
  const text = fakeIo();
  assert.equal(await runCommand(["doctor"], text.io), 0);
  assert.match(text.stdout.text, /^matmul +512 x 512 x 512 f32: [\d.]+ GFLOP\/s \(median of 5 batches, /m);
  assert.match(text.stdout.text, /^limits +maxBufferSize .* \(WebGPU's default 256\.0 MiB\): an activation/m);
  assert.equal(text.stdout.text.includes("!! SOFTWARE ADAPTER"), gpu.software);
});

onGpu("doctor --require-gpu fails with 5 on a software adapter, after the report", async ({ gpu }) => {
  const fake = fakeIo();
  const code = await runCommand(["doctor", "--require-gpu"], fake.io);
  assert.equal(code, gpu.software ? 5 : 0);
  assert.match(fake.stdout.text, /^adapter /m);
  if (gpu.software) {
    assert.match(fake.stderr.text, /^error: A hardware GPU is required and ".*" computes on the CPU/);
  }
});

onGpu("measureMatmul() refuses an adapter that computes wrong numbers", async ({ gpu }) => {
  const wrong = new Proxy(gpu, {
    get(of, name) {
      const value = Reflect.get(of, name, of);
      if (name === "read") {
        return async (...args: Parameters<typeof gpu.read>) => {
          const bytes = await gpu.read(...args);
          new Float32Array(bytes)[0]! += 0.01;
          return bytes;
        };
      }
      return typeof value === "function" ? value.bind(of) : value;
    },
  });
  await assert.rejects(measureMatmul(wrong, chooseVariants(gpu), 64), {
    name: "RangeError",
    message:
      /its product of two 64 x 64 matrices is off by [\d.e+]+ times what rounding explains: update the driver/,
  });
});

const ENTRY: TuningEntry = {
  adapter: "a GPU",
  op: "forward",
  sizes: [{ rows: 256, cols: 1536, inner: 576, count: 2 }, { rows: 256, cols: 64, inner: 576, count: 1 }],
  operands: "texture",
  tile: registerTile(16, 8, 8),
  measuredAt: "2026-11-23T00:00:00.000Z",
  seconds: 0.1,
  compileSeconds: 1,
};

/** A cache that holds these. */
async function cacheOf(entries: readonly TuningEntry[]): Promise<MemoryFolder> {
  const folder = new MemoryFolder("cache"), cache = await TuningCache.open(folder);
  entries.forEach((entry, i) => cache.set(`${i}`, entry));
  await cache.save();
  return folder;
}

Deno.test("tunedProducts() tells an adapter's tiles by kind and sizes, fastest and latest first", async () => {
  const folder = await cacheOf([
    ENTRY,
    { ...ENTRY, tile: registerTile(32, 12, 8), seconds: 0.08, compileSeconds: 3 },
    { ...ENTRY, op: "narrow", sizes: ENTRY.sizes.slice(1), measuredAt: "2026-11-24T00:00:00.000Z" },
    { ...ENTRY, adapter: "another GPU", seconds: 0.001 },
  ]);
  const flops = 2 * 256 * 576 * (2 * 1536 + 64);
  assert.deepEqual(await tunedProducts("a GPU", folder), [
    {
      op: "narrow",
      formula: "x·Aᵀ",
      sizes: "256x64x576",
      operands: "texture",
      tiles: [{ name: "16x8", gigaflops: 2 * 256 * 64 * 576 / 0.1 / 1e9, compileSeconds: 1 }],
      measuredAt: "2026-11-24T00:00:00.000Z",
    },
    {
      op: "forward",
      formula: "x·wᵀ",
      sizes: "256x1536x576 and 1 more",
      operands: "texture",
      tiles: [
        { name: "32x12", gigaflops: flops / 0.08 / 1e9, compileSeconds: 3 },
        { name: "16x8", gigaflops: flops / 0.1 / 1e9, compileSeconds: 1 },
      ],
      measuredAt: "2026-11-23T00:00:00.000Z",
    },
  ]);
  assert.deepEqual(await tunedProducts("a GPU", null), []);
});

Deno.test("formatDoctor() tells the standing variant, what is measured, and what else can run", async () => {
  const engine: EngineFacts = {
    adapter: "a GPU",
    standing: "software",
    variants: "8x4 tiles",
    others: ["hardware", "shared64"],
    tuned: [],
    matmul: { size: 512, gigaflops: { median: 2, least: 1, most: 3 }, worstError: 0.1 },
    timestamps: true,
  };
  const report = await examine(machine(), "1");
  const rowsOf = async (entries: readonly TuningEntry[]) => {
    const tuned = await tunedProducts("a GPU", await cacheOf(entries));
    const text = formatDoctor({ ...report, engine: { ...engine, tuned } }, (_, words) => words);
    return text.slice(text.indexOf("variants "), text.indexOf("matmul ")).trimEnd().split("\n");
  };
  const standing = ["variants   software: 8x4 tiles", "           others for --variant: hardware, shared64"];
  assert.deepEqual(await rowsOf([]), [
    ...standing,
    "tuned      nothing is measured yet: a run of some length does that, or doctor --retune",
  ]);
  assert.deepEqual(await rowsOf([ENTRY, { ...ENTRY, tile: registerTile(32, 12, 8), seconds: 0.08 }]), [
    ...standing,
    "tuned      x·wᵀ 256x1536x576 and 1 more, from texture: 32x12 at 11.6 GFLOP/s (16x8 9.2), 2026-11-23",
  ]);
  const many = Array.from({ length: 10 }, (_, i) => [{ ...ENTRY.sizes[0]!, count: i + 1 }]);
  assert.equal(
    (await rowsOf(many.map((sizes) => ({ ...ENTRY, sizes })))).at(-1),
    "           and 2 more (--json lists all)",
  );
});

onGpu("doctor --retune measures every candidate tile and keeps what it found", async ({ gpu }) => {
  const work = {
    ...RETUNE_WORK,
    forward: [],
    backwardInput: [],
    narrow: [{ rows: 32, cols: 8, inner: 24, count: 1 }],
  };
  const small = { ...work, backwardFactor: [{ rows: 8, cols: 24, inner: 32, count: 1 }] };
  const cache = await cacheOf([]), { io, stdout } = fakeIo();
  await doctor(["--retune", "--json"], io, { cache, work: small });
  const { engine }: DoctorReport = JSON.parse(stdout.text);
  assert.equal(engine!.standing, adapterKind(gpu));
  assert.ok(engine!.others.includes("register64") && !engine!.others.includes(engine!.standing));
  const fitting = (op: "narrow" | "backwardFactor") =>
    CANDIDATES[adapterKind(gpu)][op].filter(({ tile }) => tileFits(gpu, TILE_CLASSES[op], tile) === null)
      .length;
  const found = Object.fromEntries(engine!.tuned.map(({ op, tiles }) => [op, tiles.length]));
  assert.deepEqual(found, { narrow: fitting("narrow"), backwardFactor: fitting("backwardFactor") });
  const { entries } = await TuningCache.open(cache);
  assert.ok(entries.length > 1 && entries.every(({ adapter }) => adapter === gpu.name));
});

Deno.test("what doctor --retune measures is a micro-batch of 256 tokens of a model 576 wide", () => {
  const layers = 30 * (2 * 576 * 576 + 2 * 192 * 576 + 3 * 1536 * 576), head = 49152 * 576;
  const flops = RETUNE_WORK.forward.reduce((sum, size) => sum + flopsOf(size), 0);
  assert.equal(flops, 2 * 256 * (layers + head));
});

Deno.test("doctor --help names its flags; an unknown flag is wrong usage", async () => {
  const help = fakeIo();
  assert.equal(await runCommand(["doctor", "--help"], help.io), 0);
  assert.match(help.stdout.text, /--json[^]*--require-gpu[^]*--retune[^]*5 +no usable GPU/);
  const wrong = fakeIo();
  assert.equal(await runCommand(["doctor", "--jsno"], wrong.io), 2);
  assert.match(
    wrong.stderr.text,
    /--jsno is not a flag: did you mean "--json"\?\nhint: .*"lowrank doctor --help"/,
  );
});
