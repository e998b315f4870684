/** What `/api/jobs/ID` tells live. */
interface WireRecord {
  readonly status: string;
  readonly progress: number;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** The records of a stream of server-sent events, up to its event `done`. @throws {Error} If it ends without one. */
export async function* recordEvents(response: Response): AsyncGenerator<WireRecord, void> {
  let text = "";
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const frame = text.slice(0, end);
      text = text.slice(end + 2);
      const type = /^event: (.*)$/m.exec(frame)?.[1];
      if (type === "done") return;
      if (type === "record") yield JSON.parse(/^data: (.*)$/m.exec(frame)![1]!);
    }
  }
  throw new Error("the stream ended without done");
}
