/**
 * What is wrong with a machine, each with what to install or set.
 *
 * @module
 */
import type { AdapterFacts, Problem } from "./doctor_examine.ts";
import type { Machine } from "./doctor_machine.ts";

const CPU_DRIVER = "to compute on the CPU: apt-get install mesa-vulkan-drivers";

const NVIDIA_LIBRARY = "libGLX_nvidia.so.0";
const NVIDIA_CURE =
  `where there is an NVIDIA GPU, install its driver with the Vulkan part (nvidia_icd.json, ` +
  `${NVIDIA_LIBRARY}); a container needs NVIDIA's runtime (docker run --gpus all) and ` +
  "NVIDIA_DRIVER_CAPABILITIES=graphics,compute,utility";

/**
 * Problems in the order in which to mend them.
 *
 * @param failure What opening or measuring threw.
 * @param isChosen Whether the adapter that is used was asked for.
 */
export function findProblems(
  machine: Machine,
  adapters: readonly AdapterFacts[],
  failure: Error | null,
  isChosen = false,
): Problem[] {
  if (!machine.entry) {
    return [{
      what: "this runtime has no WebGPU (navigator.gpu is missing)",
      cure: "use Deno 2.9 or later; ./lowrank installs it",
    }];
  }
  const problems = machine.os === "linux" ? vulkanProblems(machine, adapters) : [];
  if (adapters.length === 0 && problems.length === 0) {
    problems.push({ what: "WebGPU found no adapter", cure: "install the GPU's driver" });
  }
  const used = adapters.find((adapter) => adapter.used) ?? (isChosen ? undefined : adapters[0]);
  const hardware = adapters.find(({ software }) => !software);
  if (used?.software && hardware && !isChosen) {
    problems.push({
      what: `"${used.name}" computes on the CPU and is taken before "${hardware.name}"`,
      cure: "name the GPU's driver file in VK_DRIVER_FILES",
    });
  }
  if (used?.software && problems.length === 0 && !isChosen) {
    problems.push({
      what: `"${used.name}" computes on the CPU, and no sign of a GPU is found`,
      cure: "if this machine has one, install its driver: NVIDIA's, or mesa-vulkan-drivers for AMD and Intel",
    });
  }
  if (failure) problems.push({ what: failure.message, cure: "update the driver, or use another adapter" });
  return problems;
}

function vulkanProblems(
  { vulkan, env, deviceFiles: known }: Machine,
  adapters: readonly AdapterFacts[],
) {
  const problems: Problem[] = [];
  const hardware = adapters.some(({ software }) => !software);
  const named = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].find((name) => env[name]);
  // A list of drivers may be longer than what a machine has: one by name alone is missed where no GPU is found.
  const missing = vulkan.drivers.filter(({ library, present }) =>
    !present && (!hardware || named || library === null || library.includes("/"))
  );
  for (const { file, library } of missing) {
    problems.push({
      what: library
        ? `${file} names ${library}, which is not there`
        : `${file} cannot be read as a driver's description`,
      cure: library === NVIDIA_LIBRARY
        ? NVIDIA_CURE
        : named
        ? `correct or unset ${named}`
        : "install that driver again, or remove the file",
    });
  }
  if (!vulkan.loader && adapters.length === 0) {
    problems.push({
      what: "Vulkan's loader (libvulkan.so.1) is missing",
      cure: "apt-get install libvulkan1",
    });
  }
  if (hardware) return problems;
  const deviceFiles = known ?? [];
  const hasNvidia = deviceFiles.some((file) => file.startsWith("/dev/nvidia"));
  const renderers = deviceFiles.filter((file) => file.startsWith("/dev/dri/renderD") || file === "/dev/kfd");
  if (hasNvidia) {
    problems.push({
      what: "the kernel knows an NVIDIA GPU, and Vulkan does not",
      cure: NVIDIA_CURE,
    });
  } else if (renderers.length > 0) {
    problems.push({
      what: `the kernel knows a GPU (${renderers.join(", ")}), and Vulkan does not`,
      cure:
        "apt-get install mesa-vulkan-drivers, and add this user to the group render; in a container pass --device /dev/dri",
    });
  } else if (deviceFiles.includes("/dev/dxg")) {
    problems.push({
      what: "Windows lends this Linux a GPU (/dev/dxg), and Vulkan does not see it",
      cure: "install a Mesa with the dzn driver (Vulkan on Direct3D 12), or run Deno on Windows itself",
    });
  } else if (adapters.length === 0) {
    problems.push({
      what: vulkan.drivers.length === 0 ? "no Vulkan driver is installed" : "no Vulkan driver finds a device",
      cure: `install the GPU's driver, or ${CPU_DRIVER}`,
    });
  }
  return problems;
}
