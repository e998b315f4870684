/**
 * Firestore's emulator in this process, and documents watched as they change.
 *
 * @module
 */
import { Firestore, type Timestamp } from "@google-cloud/firestore";
import { FirestoreServer } from "@firestore-emulator/server";
import { ServerCredentials } from "@grpc/grpc-js";

/** A job's document. */
export interface JobDocument {
  readonly status: string;
  readonly progress: number;
  readonly error: string | null;
  readonly created_at: Timestamp;
  readonly started_at: Timestamp | null;
  readonly completed_at: Timestamp | null;
}

/** An emulator that runs. */
export interface RunningFirestore {
  /** What FIRESTORE_EMULATOR_HOST is set to. */
  readonly host: string;
  /** Keeps every state of a document of project `test` from now on. */
  watch(collection: string, id: string): Promise<{ until(status: string): Promise<JobDocument[]> }>;
  stop(): Promise<void>;
}

/** The emulator alone. */
export interface FirestoreEmulator {
  /** What FIRESTORE_EMULATOR_HOST is set to. */
  readonly host: string;
  stop(): void;
}

/** Starts it on this machine alone; its own start() listens on every interface. */
export async function startFirestoreEmulator(): Promise<FirestoreEmulator> {
  const emulator = new FirestoreServer();
  const { server } = emulator as unknown as {
    server: {
      bindAsync(
        address: string,
        credentials: ServerCredentials,
        done: (error: Error | null, port: number) => void,
      ): void;
    };
  };
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(
      "127.0.0.1:0",
      ServerCredentials.createInsecure(),
      (error, port) => error ? reject(error) : resolve(port),
    )
  );
  return { host: `127.0.0.1:${port}`, stop: () => emulator.stop() };
}

/** Starts it with a client that watches. */
export async function startFirestore(): Promise<RunningFirestore> {
  const emulator = await startFirestoreEmulator(), { host } = emulator;
  const database = new Firestore({ projectId: "test", host, ssl: false });
  const stops: (() => void)[] = [];
  return {
    host,
    watch(collection, id) {
      const seen: JobDocument[] = [], waiting: (() => void)[] = [];
      const { promise: isWatching, resolve } = Promise.withResolvers<void>();
      stops.push(
        database.collection(collection).doc(id).onSnapshot((snapshot) => {
          resolve();
          if (snapshot.exists) seen.push(snapshot.data() as JobDocument);
          for (const look of waiting) look();
        }),
      );
      const until = (status: string) =>
        new Promise<JobDocument[]>((done) => {
          const look = () => seen.at(-1)?.status === status && done(seen);
          waiting.push(look);
          look();
        });
      return isWatching.then(() => ({ until }));
    },
    async stop() {
      for (const stop of stops) stop();
      await database.terminate();
      emulator.stop();
    },
  };
}
