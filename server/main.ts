/**
 * The commands `lowrank serve` and `lowrank token`: names the concrete parts of the server.
 *
 * @module
 */
import { denoIo } from "../src/cli/deno_io.ts";
import { exitCodeOf, InterruptedError } from "../src/cli/exit_codes.ts";
import { logSetting, startLogging } from "../src/cli/log_output.ts";
import { colorChoice, wantsColor } from "../src/cli/paint.ts";
import { describeError } from "../src/cli/report_error.ts";
import { ConfigError } from "../src/errors.ts";
import { redacted } from "../src/redact.ts";
import { serve } from "./cli/serve.ts";
import { token } from "./cli/token.ts";

const ROOT = new URL("../", import.meta.url).pathname;

async function main([verb, ...args]: readonly string[]): Promise<number> {
  const io = denoIo();
  try {
    const setting = logSetting(args, io.env);
    if (setting) await startLogging({ ...setting, write: (lines) => io.stderr.write(redacted(lines)) });
    if (verb === "serve") await serve(args, io, ROOT);
    else if (verb === "token") await token(args, io);
    else throw new ConfigError([{ path: `"${verb ?? ""}"`, message: "is neither serve nor token" }]);
    return 0;
  } catch (error) {
    if (error instanceof InterruptedError) return 0; // told to stop, and did
    const color = wantsColor(colorChoice(args), io.env, io.stderr);
    io.stderr.write(
      describeError(error, { debug: io.env.LOWRANK_DEBUG === "1", color, verb: verb ?? "serve" }),
    );
    return exitCodeOf(error);
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
