import assert from "node:assert/strict";
import { doctor } from "../../src/cli/doctor.ts";
import { type AdapterFacts, type DoctorReport, examine } from "../../src/cli/doctor_examine.ts";
import { type Machine, readDriver } from "../../src/cli/doctor_machine.ts";
import { measureMatmul } from "../../src/cli/doctor_matmul.ts";
import { findProblems } from "../../src/cli/doctor_problems.ts";
import { runCommand } from "../../src/cli/run.ts";
import { chooseVariants } from "../../src/nn/variants.ts";
import { onGpu } from "../helpers/device.ts";
import { fakeIo, RecordingSink } from "./fake_io.ts";

interface FakeAdapter {
  readonly description: string;
  readonly isFallbackAdapter?: boolean;
}

/** An entry whose adapters can be asked everything but for a device. */
function entry(adapters: Partial<Record<GPUPowerPreference, FakeAdapter>>): GPU {
  return {
    requestAdapter: ({ powerPreference }: { powerPreference: GPUPowerPreference }) => {
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
    memory: { totalBytes: 8 << 30, availableBytes: 4 << 30 },
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
    await assert.rejects(doctor([], { stdout, env: {} }, () => machine(changes)), {
      name: "GpuUnavailableError",
      message: /no adapter to compute on: the problems above/,
    });
    assert.match(stdout.text, told);
  }
});

Deno.test("findProblems() says what to install for a GPU that the kernel knows and Vulkan does not", () => {
  assert.match(
    problemsOf({ deviceFiles: ["/dev/nvidiactl"] }, [CPU])[0]!,
    /^the kernel knows an NVIDIA GPU, and Vulkan does not: .*nvidia_icd\.json.*NVIDIA_DRIVER_CAPABILITIES=all$/,
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

Deno.test("doctor says so where it may not look for GPUs in /dev", async () => {
  const told = async (deviceFiles: readonly string[] | null) => {
    const stdout = new RecordingSink();
    await doctor([], { stdout, env: {} }, () => machine({ deviceFiles })).catch(() => {});
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

Deno.test("readDriver() resolves libraries by path, from the file's folder, or leaves names to the linker", () => {
  const read = (library: string, there: string[]) =>
    readDriver(
      "/v/icd.d/x.json",
      JSON.stringify({ ICD: { library_path: library } }),
      (path) => there.includes(path),
    );
  assert.equal(read("/a/b.so", ["/a/b.so"]).present, true);
  assert.equal(read("/a/b.so", []).present, false);
  assert.equal(read("../b.so", ["/v/icd.d/../b.so"]).present, true);
  assert.deepEqual(read("libGLX_nvidia.so.0", []), {
    file: "/v/icd.d/x.json",
    library: "libGLX_nvidia.so.0",
    present: true,
  });
  for (const text of [null, "{", "{}", '{"ICD":{"library_path":1}}']) {
    assert.deepEqual(readDriver("/x.json", text, () => true), {
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

Deno.test("doctor --help names its flags; an unknown flag is wrong usage", async () => {
  const help = fakeIo();
  assert.equal(await runCommand(["doctor", "--help"], help.io), 0);
  assert.match(help.stdout.text, /--json[^]*--require-gpu[^]*5 +no usable GPU/);
  const wrong = fakeIo();
  assert.equal(await runCommand(["doctor", "--jsno"], wrong.io), 2);
  assert.match(
    wrong.stderr.text,
    /--jsno is not a flag: did you mean "--json"\?\nhint: .*"lowrank doctor --help"/,
  );
});
