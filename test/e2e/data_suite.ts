/**
 * The page's data: bad lines, rows, lengths, files of every way in. Run by `data_test.ts`, in a process of its own.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Page } from "playwright-core";
import defaults from "../../web/defaults.json" with { type: "json" };
import { buildSite, inChromium, shown, WEBGPU_FLAGS, withTab } from "./browser.ts";
import { completed } from "./whole_way.ts";

const built = await buildSite({
  ...defaults,
  ...{ max_steps: 2, batch_size: 2, eval_data_path: null, train_test_split: 0, num_generation_samples: 0 },
  ...{ exact_match: false, eval_steps: 0 },
});

globalThis.addEventListener("unload", () => Deno.removeSync(built, { recursive: true }));

const row = (word: string) =>
  `{"prompt": "Signal ${word}.", "completion": "${[...word.toUpperCase()].join("-")}"}`;
const WORDS = Array.from({ length: 20 }, (_, i) => "lamp".repeat(1 + i % 5).slice(0, 4 + i % 13));
/** 20 good rows with 7 bad ones between them: lines 3, 6, 9 and so on. */
const MIXED = WORDS.flatMap((word, i) =>
  i % 2 === 1 && i < 14 ? [row(word), `{"prompt": "Signal ${i}" "x"}`] : [row(word)]
);

const text = (page: Page, selector: string) => page.locator(selector).innerText();

async function choose(
  page: Page,
  lines: readonly string[],
  name = "rows.jsonl",
  input = "data-file",
): Promise<void> {
  const buffer = Buffer.from(lines.join("\n"));
  await page.locator(`#${input}`).setInputFiles({ name, mimeType: "application/jsonl", buffer });
}

/** Waits until the data is read, and the summary says something. */
const says = async (page: Page, words: string) =>
  await page.locator("#data-summary").getByText(words).first().waitFor({ timeout: 60_000 });

/** The file as it were dropped from a desktop. */
async function drop(page: Page, files: Readonly<Record<string, string>>): Promise<void> {
  await page.evaluate((files) => {
    const dataTransfer = new DataTransfer();
    for (const [name, content] of Object.entries(files)) dataTransfer.items.add(new File([content], name));
    for (const type of ["dragover", "drop"]) {
      document.querySelector("footer")!.dispatchEvent(
        new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }),
      );
    }
  }, files);
}

inChromium(
  "bad lines are shown with the place that is wrong, and skipped where that is wanted",
  () =>
    withTab(built, WEBGPU_FLAGS, async (page) => {
      await shown(page, "fit");
      await choose(page, MIXED);
      await shown(page, "bad-lines");
      assert.match(
        await text(page, "#bad-lines [role=alert]"),
        /^7 lines cannot be used\. .*, or skip them\.$/,
      );
      assert.equal(await page.locator("#bad-lines li").count(), 5);
      await page.locator("#all-bad-lines").click();
      assert.equal(await page.locator("#bad-lines li").count(), 7);
      const first = page.locator("#bad-lines li").first();
      assert.match(await first.innerText(), /^line 3: is not JSON/);
      await first.locator("summary").press("Enter");
      assert.equal(await first.locator("pre").innerText(), MIXED[2]);
      assert.equal(await first.locator("mark").innerText(), '"');
      assert.equal(await page.locator("#start").isDisabled(), true);
      await page.locator("#skip-bad-lines").check();
      await page.locator("#bad-lines [role=status]").getByText("7 lines cannot be used and are skipped.")
        .waitFor();
      await page.locator("#job").getByText("20 rows, 0 held out, 7 lines skipped").waitFor({
        timeout: 60_000,
      });
      assert.match(await text(page, ".state"), /Ready/);
      await page.locator("#start").click();
      await completed(page);
      const record = await page.evaluate(async () => {
        let folder = await navigator.storage.getDirectory();
        const named = await Array.fromAsync((await folder.getDirectoryHandle("runs")).keys());
        for (const name of ["runs", named[0]!]) folder = await folder.getDirectoryHandle(name);
        return JSON.parse(await (await (await folder.getFileHandle("run.json")).getFile()).text());
      });
      const [data] = record.data;
      assert.deepEqual([data.rows, data.kept, data.skipped], [20, 20, 7]);
      assert.deepEqual(data.skipped_lines.map(({ line }: { line: number }) => line), [
        3,
        6,
        9,
        12,
        15,
        18,
        21,
      ]);
    }),
);

inChromium(
  "any row is shown with its special tokens and where it is cut, and the lengths with the cut line",
  () =>
    withTab(built, WEBGPU_FLAGS, async (page) => {
      await shown(page, "fit");
      await choose(page, WORDS.map(row));
      await says(page, "20 rows");
      const preview = page.locator("#row-preview pre");
      await page.getByRole("button", { name: "Row before" }).click();
      assert.equal(await page.locator("#row-number").inputValue(), "20");
      await preview.getByText(`Signal ${WORDS[19]}.`).waitFor();
      assert.equal(await preview.locator("mark .special").innerText(), "<|end|>");
      await page.getByRole("button", { name: "Next row" }).click();
      await preview.getByText(`Signal ${WORDS[0]}.`).waitFor();
      assert.match(
        await text(page, "#lengths figcaption"),
        /^The longest of 20 rows has \d+ tokens: none is cut\.$/,
      );
      await page.locator("#option-max_length").fill("36");
      await page.keyboard.press("Tab");
      await page.locator("#lengths .cut-line").getByText("max length 36").waitFor({ timeout: 60_000 });
      assert.match(
        await text(page, "#lengths figcaption"),
        /^\d+ rows \(\d+\.0 %\) of 20 will be cut at 36 tokens/,
      );
      await page.locator("#row-number").fill("8");
      await page.keyboard.press("Enter");
      await page.locator("#row-preview .cut-here").waitFor();
      await page.locator("#row-number").fill("999");
      await page.keyboard.press("Enter");
      assert.equal(await page.locator("#row-number").inputValue(), "8");
    }),
);

inChromium(
  "data is dropped anywhere or pasted, a model's file is taken as the model, and rows come from a file of their own",
  () =>
    withTab(built, WEBGPU_FLAGS, async (page) => {
      await shown(page, "fit");
      await drop(page, { "dropped.jsonl": row("bell") });
      await says(page, "dropped.jsonl");
      await page.evaluate((pasted) => {
        const clipboardData = new DataTransfer();
        clipboardData.setData("text", pasted);
        document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
      }, `${row("tide")}\n${row("wave")}`);
      await says(page, "pasted.jsonl");
      await says(page, "2 rows to train on, 0 to evaluate on");
      await choose(page, [row("tide"), row("bow"), row("stern")], "pasted.jsonl", "evaluation-file");
      await says(page, "2 rows to train on, 3 to evaluate on (pasted.jsonl)");
      await page.getByText("1 of 3 evaluation rows is also trained on").waitFor();
      await page.locator("#job").getByText("pasted.jsonl: 2 rows, 3 held out").waitFor({ timeout: 60_000 });
      await page.locator("#hold-out").click();
      await says(page, "2 rows to train on, 0 to evaluate on");
      await drop(page, { "not-a-model.gguf": "GGUF?" });
      await shown(page, "model-problem");
      assert.match(await page.locator("#model").inputValue(), /not-a-model\.gguf$/);
    }),
);
