/**
 * A TCP proxy in front of a server that cuts connections when it is told to, or passes nothing on, as networks do.
 *
 * @module
 */

export class CuttingProxy implements AsyncDisposable {
  readonly port: number;
  readonly #listener: Deno.TcpListener;
  readonly #open = new Set<Deno.TcpConn>();
  #target: number | null = null;
  #cuts: number[] = [];
  #hold: { left: number; readonly begun: () => void; readonly over: PromiseWithResolvers<void> } | null =
    null;
  /** Connections that were cut. */
  cut = 0;
  /** Bytes that were passed on, in both directions. */
  passed = 0;

  constructor() {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.port = (this.#listener.addr as Deno.NetAddr).port;
    void this.#accept();
  }

  /** Where connections go; until it is known they wait for nothing and are closed. */
  set target(port: number) {
    this.#target = port;
  }

  /** Cuts a connection once so many more bytes have passed over all of them; one cut for each number, in turn. */
  cutAfter(...bytes: readonly number[]): void {
    this.#cuts = [...bytes];
  }

  /** Passes nothing on once so many more bytes have passed, until it is let go. @returns Resolves when it begins. */
  holdAfter(bytes: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#hold = { left: bytes, begun: resolve, over: Promise.withResolvers() };
    return promise;
  }

  /** Passes on again. */
  letGo(): void {
    this.#hold?.over.resolve();
    this.#hold = null;
  }

  /** Closes every connection; what it holds is lost, as with a machine that went down. New ones pass on again. */
  drop(): void {
    for (const connection of this.#open) close(connection);
    this.letGo();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    this.drop();
    await Promise.resolve();
  }

  async #accept(): Promise<void> {
    try {
      for await (const client of this.#listener) {
        if (this.#target === null) close(client);
        else void this.#join(client, this.#target);
      }
    } catch {
      // closed
    }
  }

  async #join(client: Deno.TcpConn, port: number): Promise<void> {
    let server: Deno.TcpConn;
    try {
      server = await Deno.connect({ hostname: "127.0.0.1", port });
    } catch {
      close(client);
      return;
    }
    const both = [client, server];
    for (const end of both) this.#open.add(end);
    await Promise.all([this.#pump(client, server, both), this.#pump(server, client, both)]);
    for (const end of both) this.#open.delete(end);
  }

  async #pump(from: Deno.TcpConn, to: Deno.TcpConn, both: readonly Deno.TcpConn[]): Promise<void> {
    const buffer = new Uint8Array(64 << 10);
    try {
      for (;;) {
        const count = await from.read(buffer);
        if (count === null) break;
        if (this.#isCut(count)) {
          this.cut++;
          break;
        }
        if (this.#hold && (this.#hold.left -= count) <= 0) {
          this.#hold.begun();
          await this.#hold.over.promise;
        }
        this.passed += count;
        for (let done = 0; done < count;) done += await to.write(buffer.subarray(done, count));
      }
    } catch {
      // the other pump closed it
    }
    for (const end of both) close(end);
  }

  #isCut(bytes: number): boolean {
    if (this.#cuts.length === 0) return false;
    this.#cuts[0]! -= bytes;
    if (this.#cuts[0]! > 0) return false;
    this.#cuts.shift();
    return true;
  }
}

function close(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    // closed already
  }
}
