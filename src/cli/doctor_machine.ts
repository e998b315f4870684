/**
 * What `doctor` asks of the machine beside WebGPU, in a form that tests can make up.
 *
 * @module
 */
import { type MachineMemory, machineMemory } from "./machine_memory.ts";

/** A Vulkan driver's description, an "installable client driver" file. */
export interface VulkanDriver {
  readonly file: string;
  /** The driver's library as the file names it: a path, or a name that the linker looks up; null if unreadable. */
  readonly library: string | null;
  /** False where the library is not there: neither at its path, nor among those that the linker knows by name. */
  readonly present: boolean;
}

/** The machine that doctor looks at. */
export interface Machine {
  readonly runtime: string;
  /** `linux`, `darwin`, `windows`. */
  readonly os: string;
  readonly platform: string;
  readonly memory: MachineMemory;
  /** WebGPU's entry point; undefined where the runtime has none. */
  readonly entry: GPU | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly vulkan: { readonly loader: string | null; readonly drivers: readonly VulkanDriver[] };
  /** Device files of GPUs that the kernel knows, driver or not; null where /dev may not be looked at. */
  readonly deviceFiles: readonly string[] | null;
  /** Version of NVIDIA's libraries; null without them. */
  readonly nvidiaVersion: string | null;
}

/** GPUs of NVIDIA, of AMD for computing, of Windows lent to Linux, and any GPU with a driver of the kernel. */
const DEVICE_FILES = [
  "/dev/nvidiactl",
  "/dev/nvidia0",
  "/dev/kfd",
  "/dev/dxg",
  ...[0, 1, 2, 3, 4, 5, 6, 7].map((i) => `/dev/dri/renderD${128 + i}`),
];
const NVIDIA_LIBRARY = /^libGLX_nvidia\.so\.(\d+\.[\d.]+)$/;

function list(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  } catch {
    return [];
  }
}

function textOf(path: string): string | null {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return null;
  }
}

function exists(path: string): boolean {
  try {
    return Boolean(Deno.statSync(path));
  } catch {
    return false;
  }
}

/** Where Vulkan's loader looks for drivers on Linux: named files alone where the environment names some. */
function driverFiles(env: Readonly<Record<string, string>>): string[] {
  const named = env.VK_DRIVER_FILES || env.VK_ICD_FILENAMES;
  if (named) return named.split(":").filter(Boolean);
  const folders = [
    "/etc",
    ...(env.XDG_DATA_DIRS || "/usr/local/share:/usr/share").split(":").filter(Boolean),
    "/usr/local/etc",
    "/run/opengl-driver/share",
    ...(env.HOME ? [`${env.HOME}/.local/share`] : []),
  ].map((folder) => `${folder.replace(/\/$/, "")}/vulkan/icd.d`);
  return folders.flatMap((folder) =>
    list(folder).filter((name) => name.endsWith(".json")).map((name) => `${folder}/${name}`)
  );
}

/** Reads a driver's description. */
export function readDriver(
  file: string,
  text: string | null,
  isThere: (path: string) => boolean,
  isKnown: (name: string) => boolean,
): VulkanDriver {
  let library: string | null = null;
  try {
    const named: unknown = JSON.parse(text ?? "").ICD.library_path;
    if (typeof named === "string") library = named;
  } catch {
    // A description that does not read is told as such.
  }
  const folder = file.replace(/\/[^/]*$/, "");
  if (library === null) return { file, library, present: false };
  if (!library.includes("/")) return { file, library, present: isKnown(library) };
  return { file, library, present: isThere(library.startsWith("/") ? library : `${folder}/${library}`) };
}

/** Folders of shared libraries. */
function libraryFolders(): string[] {
  const triple = `${Deno.build.arch}-linux-gnu`;
  return [`/usr/lib/${triple}`, `/lib/${triple}`, "/usr/lib64", "/usr/lib", "/usr/local/lib"];
}

/** Whether the linker finds a library of that name: in its list, which holds names as plain text, or in a folder. */
function isKnownLibrary(name: string): boolean {
  if (textOf("/etc/ld.so.cache")?.includes(name)) return true;
  const named = (Deno.env.get("LD_LIBRARY_PATH") ?? "").split(":").filter(Boolean);
  return [...named, ...libraryFolders()].some((folder) => exists(`${folder}/${name}`));
}

function findLoader(): string | null {
  return libraryFolders().map((folder) => `${folder}/libvulkan.so.1`).find(exists) ?? null;
}

function findNvidiaVersion(): string | null {
  for (const name of libraryFolders().flatMap(list)) {
    const version = NVIDIA_LIBRARY.exec(name)?.[1];
    if (version) return version;
  }
  return null;
}

/** Deno shows /dev to a process with every permission only. */
function findDeviceFiles(): string[] | null {
  try {
    return DEVICE_FILES.filter((file) => {
      try {
        return Boolean(Deno.statSync(file));
      } catch (error) {
        if (error instanceof Deno.errors.NotCapable) throw error;
        return false;
      }
    });
  } catch {
    return null;
  }
}

/** The machine of this process. */
export function thisMachine(): Machine {
  const { os, arch } = Deno.build;
  const env = Deno.env.toObject();
  const linux = os === "linux";
  const drivers = linux
    ? driverFiles(env).map((file) => readDriver(file, textOf(file), exists, isKnownLibrary))
    : [];
  return {
    runtime: `Deno ${Deno.version.deno} (V8 ${Deno.version.v8})`,
    os,
    platform: `${os} ${arch}, ${Deno.osRelease()}, ${navigator.hardwareConcurrency} processors`,
    memory: machineMemory(),
    entry: globalThis.navigator?.gpu,
    env,
    vulkan: { loader: linux ? findLoader() : null, drivers },
    deviceFiles: linux ? findDeviceFiles() : [],
    nvidiaVersion: linux ? findNvidiaVersion() : null,
  };
}
