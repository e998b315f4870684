import assert from "node:assert/strict";

const VOID = new Set(["meta", "br"]);

/** Fails unless every tag is closed in its turn, every attribute quoted, and no ampersand stands alone. */
export function assertWellFormed(page: string): void {
  assert.ok(page.startsWith("<!doctype html>\n"));
  // what style and script hold is no markup; nothing in them may end them
  const markup = page.slice("<!doctype html>".length)
    .replace(/<style>[^]*?<\/style>/, "<style></style>").replace(
      /<script>[^]*?<\/script>/,
      "<script></script>",
    );
  const open: string[] = [];
  let text = "";
  for (const [whole, closing, name, attributes, selfClosing, between] of markup.matchAll(TOKEN)) {
    if (between !== undefined) text += between;
    else if (closing) assert.equal(open.pop(), name, `${whole} closes another tag`);
    else {
      assert.match(attributes!, /^(\s+[\w-]+="[^"<]*")*\s*$/, `the attributes of ${whole} are not quoted`);
      text += attributes;
      if (!selfClosing && !VOID.has(name!)) open.push(name!);
    }
  }
  assert.deepEqual(open, []);
  assert.equal(markup.replace(TOKEN, ""), "", "something is neither a tag nor text");
  assert.doesNotMatch(text, /&(?!(amp|lt|gt|quot|#39);)/);
}

const TOKEN = /<(\/?)([a-z][a-z0-9]*)((?:\s+[\w-]+="[^"]*")*\s*)(\/?)>|([^<>]+)/g;

/** Fails if a browser would fetch anything: no address, no attribute or rule that takes one, and a policy against it. */
export function assertSelfContained(page: string): void {
  assert.doesNotMatch(
    page,
    /https?:|\/\/[a-z]|\bsrc=|\bhref=|url\(|@import|@font-face|\bimport\(|fetch\(|<link|<img/i,
  );
  assert.match(page, /http-equiv="Content-Security-Policy" content="default-src &#39;none&#39;;/);
}
