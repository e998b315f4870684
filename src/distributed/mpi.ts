/**
 * Ranks that Open MPI started and connects, over shared memory on one host and TCP between hosts.
 *
 * Its handles are addresses of the library's global variables. Other MPI libraries have numbers instead, and are not
 * called. Calls wait without giving way to Deno's event loop, so they belong into a worker.
 *
 * @module
 */
import type { Communicator } from "./communicator.ts";

/** Of Open MPI 4 and 5. */
const LIBRARY = "libmpi.so.40";

/** All threads of the process may call, one at a time; which one it is does not matter to Open MPI then. */
const MPI_THREAD_SERIALIZED = 2;

const HANDLE = { type: "pointer" } as const;
const GATHER = ["buffer", "i32", "pointer", "buffer", "i32", "pointer", "pointer"] as const;

const SYMBOLS = {
  ompi_mpi_comm_world: HANDLE,
  ompi_mpi_float: HANDLE,
  ompi_mpi_double: HANDLE,
  ompi_mpi_int: HANDLE,
  ompi_mpi_byte: HANDLE,
  ompi_mpi_op_sum: HANDLE,
  MPI_Init_thread: { parameters: ["pointer", "pointer", "i32", "buffer"], result: "i32" },
  MPI_Comm_rank: { parameters: ["pointer", "buffer"], result: "i32" },
  MPI_Comm_size: { parameters: ["pointer", "buffer"], result: "i32" },
  MPI_Allreduce: {
    parameters: ["pointer", "buffer", "i32", "pointer", "pointer", "pointer"],
    result: "i32",
  },
  MPI_Allgather: { parameters: GATHER, result: "i32" },
  MPI_Barrier: { parameters: ["pointer"], result: "i32" },
  MPI_Finalize: { parameters: [], result: "i32" },
} as const;

/** The ranks of `mpirun`. A failed call ends the process, and with it the run: that is Open MPI's default. */
export class MpiCommunicator implements Communicator {
  readonly rank: number;
  readonly size: number;
  readonly #mpi: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];
  /** Tells MPI to put the result where the values are. */
  readonly #inPlace = Deno.UnsafePointer.create(1n);

  /** Joins the others; waits until all have come. Once a process. @throws {Error} If Open MPI is not installed. */
  static open(): MpiCommunicator {
    return new MpiCommunicator(openLibrary());
  }

  private constructor({ symbols }: Deno.DynamicLibrary<typeof SYMBOLS>) {
    this.#mpi = symbols;
    const provided = new Int32Array(1), found = new Int32Array(1);
    symbols.MPI_Init_thread(null, null, MPI_THREAD_SERIALIZED, provided);
    symbols.MPI_Comm_rank(symbols.ompi_mpi_comm_world, found);
    this.rank = found[0]!;
    symbols.MPI_Comm_size(symbols.ompi_mpi_comm_world, found);
    this.size = found[0]!;
  }

  sum(values: Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer>): Promise<void> {
    const { ompi_mpi_comm_world: world, ompi_mpi_float, ompi_mpi_double, ompi_mpi_op_sum } = this.#mpi;
    const type = values instanceof Float32Array ? ompi_mpi_float : ompi_mpi_double;
    this.#mpi.MPI_Allreduce(this.#inPlace, values, values.length, type, ompi_mpi_op_sum, world);
    return Promise.resolve();
  }

  gather(text: string): Promise<string[]> {
    const { ompi_mpi_comm_world: world, ompi_mpi_int, ompi_mpi_byte } = this.#mpi;
    const own = new TextEncoder().encode(text), lengths = new Int32Array(this.size);
    this.#mpi.MPI_Allgather(Int32Array.of(own.length), 1, ompi_mpi_int, lengths, 1, ompi_mpi_int, world);
    const room = Math.max(1, ...lengths);
    const given = new Uint8Array(room), all = new Uint8Array(room * this.size);
    given.set(own);
    this.#mpi.MPI_Allgather(given, room, ompi_mpi_byte, all, room, ompi_mpi_byte, world);
    return Promise.resolve(
      Array.from(
        lengths,
        (length, rank) => new TextDecoder().decode(all.subarray(rank * room, rank * room + length)),
      ),
    );
  }

  /** Waits until every rank is here; tells waiting from the work of a call that is measured. */
  barrier(): void {
    this.#mpi.MPI_Barrier(this.#mpi.ompi_mpi_comm_world);
  }

  close(): Promise<void> {
    this.#mpi.MPI_Finalize();
    return Promise.resolve();
  }
}

function openLibrary(): Deno.DynamicLibrary<typeof SYMBOLS> {
  try {
    return Deno.dlopen(LIBRARY, SYMBOLS);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    const message = `Cannot join the other ranks as ${LIBRARY} of Open MPI does not load: ` +
      `install it (Debian's package libopenmpi3). ${(error as Error).message}`;
    throw new Error(message, { cause: error });
  }
}
