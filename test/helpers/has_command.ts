/** Whether this machine has a program that answers to `--version`. */
export async function hasCommand(name: string): Promise<boolean> {
  try {
    const asked = new Deno.Command(name, { args: ["--version"], stdout: "null", stderr: "null" });
    return (await asked.output()).success;
  } catch {
    return false; // it is not there, which output() throws at once, before there is a promise
  }
}
