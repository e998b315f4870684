import assert from "node:assert/strict";
import { LowrankServer, ServerError } from "../../web/lowrank_server.ts";

/** A server that answers each request by the body given, and then does as the test says. */
async function withAnswer(
  answer: (request: Request) => Response | Promise<Response>,
  use: (api: string) => Promise<void>,
): Promise<void> {
  await using http = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, answer);
  await use(`http://127.0.0.1:${http.addr.port}/`);
}

/** A body that begins so and goes on in silence. */
function unending(text: string): ReadableStream<Uint8Array> {
  return new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode(text)) });
}

const EVENT = (id: number) =>
  `id: ${id}\nevent: message\ndata: {"type":"message","message":"m${id}","data":null}\n\n`;

Deno.test("events come with their numbers until the job is over, and each is asked for after the last one", () => {
  const asked: (string | null)[] = [];
  return withAnswer((request) => {
    asked.push(request.headers.get("last-event-id"));
    return new Response(`${EVENT(1)}: alive\n\n${EVENT(2)}event: done\ndata: {}\n\n${EVENT(3)}`);
  }, async (api) => {
    const server = new LowrankServer({ api, token: "" });
    const events = await Array.fromAsync(server.events("ftjob-1", 7, new AbortController().signal));
    assert.deepEqual(events.map(({ seq, message }) => [seq, message]), [[1, "m1"], [2, "m2"]]);
    assert.deepEqual(asked, ["7"]);
  });
});

Deno.test("a stream that falls silent is given up, with what has come before", () =>
  withAnswer(() => new Response(unending(EVENT(1))), async (api) => {
    const server = new LowrankServer({ api, token: "" }, 100), seen: number[] = [];
    await assert.rejects(async () => {
      for await (const { seq } of server.events("ftjob-1", 0, new AbortController().signal)) seen.push(seq);
    }, (error: ServerError) => error instanceof ServerError && /fallen silent/.test(error.message));
    assert.deepEqual(seen, [1]);
  }));

Deno.test("a refusal says whether a token is missing or unknown, or what the server says", () => {
  let status = 401;
  return withAnswer(
    () => Response.json({ error: { message: "The slots are full." } }, { status }),
    async (api) => {
      const words = async (token: string) =>
        await new LowrankServer({ api, token }).jobs().then(() => "", ({ message }) => message);
      assert.match(await words(""), /wants a token/);
      assert.match(await words("x"), /does not know this token/);
      status = 429;
      assert.equal(await words("x"), "The server refuses: The slots are full.");
    },
  );
});

Deno.test("an answer comes in pieces, and its end tells the tokens that no piece stood for", () => {
  const chunk = (data: object) => `data: ${JSON.stringify(data)}\n\n`;
  const body = [
    chunk({ choices: [{ delta: { role: "assistant", content: "" } }] }),
    chunk({ choices: [{ delta: { content: "L-A" } }] }),
    chunk({ choices: [{ delta: {}, finish_reason: "length" }] }),
    chunk({ choices: [], usage: { completion_tokens: 3 } }),
    "data: [DONE]\n\n",
  ].join("");
  return withAnswer(async (request) => {
    const { stream, messages } = await request.json();
    assert.deepEqual([stream, messages.length], [true, 1]);
    return new Response(body);
  }, async (api) => {
    const request = {
      model: "m",
      messages: [{ role: "user", content: "?" }],
      temperature: 0,
      seed: 1,
      max_tokens: 3,
    };
    const pieces = await Array.fromAsync(
      new LowrankServer({ api, token: "" }).answer(request as never, new AbortController().signal),
    );
    assert.deepEqual(pieces, [
      { text: "L-A", tokens: 1, end: null },
      { text: "", tokens: 2, end: "length" },
    ]);
  });
});
