/**
 * A page as one HTML file that asks for nothing from outside: style and script are in it, and its policy forbids
 * everything else. Light or dark, as the reader's system is.
 *
 * @module
 */
import { type Content, type Markup, markup, trusted } from "./markup.ts";
import style from "./style.css" with { type: "text" };

const POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/** What a page is made of. */
export interface Page {
  readonly title: string;
  /** Below the title. */
  readonly introduction: Content;
  readonly cards: Content;
  /** Own script, nothing from outside; default none. */
  readonly script?: string;
}

/** Writes the page. */
export function htmlPage({ title, introduction, cards, script }: Page): string {
  const page = markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<style>${trusted(style)}</style>
</head>
<body>
<header>
<h1>${title}</h1>
<p>${introduction}</p>
</header>
<main>
${cards}
</main>
${script === undefined ? null : markup`<script>${trusted(script)}</script>\n`}</body>
</html>
`;
  return page.text;
}

/** A part of the page with its heading. */
export function card(title: string, content: Content): Markup {
  return markup`<section class="card"><h2>${title}</h2>${content}</section>\n`;
}

/** Terms with what is to be said about each. */
export function facts(list: readonly (readonly [term: string, text: Content])[]): Markup {
  return markup`<dl>${list.map(([term, text]) => markup`<div><dt>${term}</dt><dd>${text}</dd></div>`)}</dl>`;
}
