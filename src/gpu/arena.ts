/**
 * The memory of a program's intermediates: planned by lifetimes before anything is allocated, shared by all
 * programs of a run (they never run at the same time).
 *
 * A slot is one buffer or texture that several intermediates use one after the other. Slots, not offsets into one
 * buffer, because WebGPU forbids binding the same buffer read-only and writable in one dispatch.
 *
 * @module
 */
import { GpuMemoryError } from "../errors.ts";
import type { Tensor } from "../tensor.ts";
import { type Gpu, maxBindingBytes } from "./device.ts";
import type { MatrixTexture } from "./kernel.ts";
import { BufferUsage, TextureUsage } from "./usage.ts";

/** An intermediate and the first and last operation that touch it. */
export interface Lifetime<T> {
  readonly item: T;
  first: number;
  last: number;
}

interface Slot<T> {
  bytes: number;
  width: number;
  height: number;
  place: GPUBuffer | GPUTexture | null;
  /** Intermediates of the program being planned that use this slot. */
  users: Lifetime<T>[];
}

/** Buffers that hold tensors, and textures that hold staged operands. */
export class Arena {
  readonly #gpu: Gpu;
  readonly #buffers: Slot<Tensor>[] = [];
  readonly #textures: Slot<MatrixTexture>[] = [];

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /** Bytes planned so far, allocated or not. */
  get bytes(): { buffers: number; textures: number } {
    const sum = (slots: readonly { bytes: number }[]) => slots.reduce((total, slot) => total + slot.bytes, 0);
    return { buffers: sum(this.#buffers), textures: sum(this.#textures) };
  }

  /**
   * Assigns each intermediate of one program to a slot, largest first, so that no two that live at the same time
   * share one. Slots of earlier programs are used again; what is missing is added to the plan.
   *
   * @throws {GpuMemoryError} If one of them is larger than a binding may be.
   */
  plan(tensors: readonly Lifetime<Tensor>[], textures: readonly Lifetime<MatrixTexture>[]): ArenaPlan {
    const limit = maxBindingBytes(this.#gpu);
    for (const { item } of tensors) {
      if (item.bytes > limit) {
        throw new GpuMemoryError(
          `Cannot place "${item.label}" as it needs ${item.bytes} bytes in one binding and "${this.#gpu.name}" ` +
            `allows ${limit}: lower batch_size or max_length`,
        );
      }
    }
    for (const slot of [...this.#buffers, ...this.#textures]) slot.users = [];
    const bufferSlots = assign(this.#buffers, tensors, ({ bytes }) => ({ bytes, width: bytes, height: 1 }));
    const textureSlots = assign(
      this.#textures,
      textures,
      ({ bytes, width, height }) => ({ bytes, width, height }),
    );
    return { bufferSlots, textureSlots };
  }

  /** Allocates what a plan still lacks and tells each intermediate its place. */
  allocate(plan: ArenaPlan): void {
    const device = this.#gpu.device;
    for (const [item, slot] of plan.bufferSlots) {
      slot.place ??= device.createBuffer({
        label: `arena slot (${item.label})`,
        size: slot.bytes,
        usage: BufferUsage.STORAGE | BufferUsage.COPY_SRC | BufferUsage.COPY_DST,
      });
      item.buffer = slot.place as GPUBuffer;
    }
    for (const [item, slot] of plan.textureSlots) {
      slot.place ??= device.createTexture({
        label: `arena slot (${item.label})`,
        size: [slot.width, slot.height],
        format: "rgba32float",
        usage: TextureUsage.TEXTURE_BINDING | TextureUsage.STORAGE_BINDING | TextureUsage.COPY_DST,
      });
      item.texture = slot.place as GPUTexture;
    }
  }

  /** Frees everything. Programs made on this arena must not run again. */
  destroy(): void {
    for (const slot of [...this.#buffers, ...this.#textures]) slot.place?.destroy();
    this.#buffers.length = this.#textures.length = 0;
  }
}

/** Which slot each intermediate of one program uses. */
export interface ArenaPlan {
  readonly bufferSlots: ReadonlyMap<Tensor, Slot<Tensor>>;
  readonly textureSlots: ReadonlyMap<MatrixTexture, Slot<MatrixTexture>>;
}

/** Greedy by size: the tightest slot that is large enough and free for the whole lifetime, else a new one. */
function assign<T>(
  slots: Slot<T>[],
  lifetimes: readonly Lifetime<T>[],
  sizeOf: (item: T) => { bytes: number; width: number; height: number },
): Map<T, Slot<T>> {
  const assigned = new Map<T, Slot<T>>();
  const bySize = [...lifetimes].sort((a, b) =>
    sizeOf(b.item).bytes - sizeOf(a.item).bytes || a.first - b.first
  );
  for (const lifetime of bySize) {
    const size = sizeOf(lifetime.item);
    let best: Slot<T> | null = null;
    for (const slot of slots) {
      if (slot.width < size.width || slot.height < size.height || (best && slot.bytes >= best.bytes)) {
        continue;
      }
      if (slot.users.every((user) => user.last < lifetime.first || lifetime.last < user.first)) best = slot;
    }
    if (!best) {
      best = { ...size, place: null, users: [] };
      slots.push(best);
    }
    best.users.push(lifetime);
    assigned.set(lifetime.item, best);
  }
  return assigned;
}
