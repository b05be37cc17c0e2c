// Markdown to DOM nodes, for text that a model writes and nobody has checked.
//
// The input is hostile by assumption. Nodes are made with createElement and text nodes only, HTML
// in the text stays text, nesting is bounded, and time is linear in the input. The dialect is what
// models write: CommonMark's blocks without indented code and setext headings, tables, task lists,
// and a line break wherever the text has one.

import { copyButton, h } from "./dom.js";
import { parseBlocks, toLines } from "./markdown-blocks.js";
import { renderInline } from "./markdown-inline.js";

/** All of `text` as one fragment; with `breaks: false` a single line end is only a space. */
export function renderMarkdown(text, { breaks = true } = {}) {
  const fragment = document.createDocumentFragment();
  const how = { open: false, breaks };
  for (const block of parseBlocks(toLines(text))) fragment.append(renderBlock(block, how));
  return fragment;
}

/**
 * Shows a text that grows. `update(text)` takes the whole text so far; blocks that can no longer
 * change keep their nodes, so an update costs what the last two blocks cost. (Two, since "2" after
 * a list is a paragraph until it becomes the "2. next" that belongs to the list.) With
 * `open: false` the text is complete.
 */
export class MarkdownView {
  #element;
  #settled = 0; // characters of the blocks that cannot change any more
  #tail = []; // {kind, info, source, growing, node} of those that can

  constructor(element) {
    this.#element = element;
  }

  update(text, { open = true } = {}) {
    const lines = toLines(text.replaceAll("\r\n", "\n").slice(this.#settled));
    const blocks = parseBlocks(lines);
    const shown = blocks.map((block, index) => {
      const source = lines.slice(block.first, block.end).join("\n");
      const growing = open && index === blocks.length - 1;
      const { kind, info } = block;
      const node = this.#node(block, this.#tail[index], { source, growing });
      return { kind, info, source, growing, node };
    });
    for (const gone of this.#tail.slice(shown.length)) gone.node.remove();
    this.#tail = shown.slice(-2);
    const first = blocks.at(-2)?.first ?? 0;
    for (let line = 0; line < first; line += 1) this.#settled += lines[line].length + 1;
  }

  #node(block, old, { source, growing }) {
    const alike = old && old.kind === block.kind;
    if (alike && old.source === source && old.growing === growing) return old.node;
    if (alike && block.kind === "fence" && old.info === block.info) {
      // Code that only got longer keeps its node, so that its scroll position stays.
      old.node.querySelector("code").textContent = block.code;
      return old.node;
    }
    const node = renderBlock(block, { open: growing, breaks: true });
    if (old) old.node.replaceWith(node);
    else this.#element.append(node);
    return node;
  }
}

/** The node of one block; `how` is {open, breaks} as for renderInline. */
function renderBlock(block, how) {
  switch (block.kind) {
    case "fence":
      return codeBlock(block.code, block.info.split(/\s/, 1)[0]);
    case "heading":
      return h(`h${Math.min(6, block.level + 2)}`, {}, renderInline(block.text, how));
    case "rule":
      return h("hr");
    case "quote":
      return h("blockquote", {}, renderAll(block.blocks, how));
    case "list":
      return listOf(block, how);
    case "table":
      return tableOf(block);
    default:
      return h("p", {}, renderInline(block.text, how));
  }
}

function renderAll(blocks, how) {
  return blocks.map((block, index) => renderBlock(block, upTo(how, index, blocks)));
}

/** Only the last of the `things` is still open. */
function upTo(how, index, things) {
  return { ...how, open: how.open && index === things.length - 1 };
}

/** A code block with its language and a copy button. */
export function codeBlock(code, language = "") {
  const content = h("code", {}, code);
  const label = language.slice(0, 30);
  return h(
    "div",
    { class: "code" },
    h(
      "div",
      { class: "code-head" },
      h("span", { class: "language" }, label || "text"),
      copyButton(() => content.textContent, "Copy"),
    ),
    h("pre", { tabindex: 0, role: "region", "aria-label": `Code${label && `, ${label}`}` }, content),
  );
}

function listOf({ ordered, start, items, loose }, how) {
  const children = items.map((item, index) => {
    const inItem = upTo(how, index, items);
    const task = item.done === null ? null : item.done ? "☑ " : "☐ ";
    const content = item.blocks.map((block, place) => {
      const inBlock = upTo(inItem, place, item.blocks);
      const bare = block.kind === "paragraph" && !loose;
      return bare ? renderInline(block.text, inBlock) : renderBlock(block, inBlock);
    });
    return h("li", { class: task && "task" }, task, content.flat());
  });
  const attributes = ordered && start !== 1 ? { start } : {};
  return h(ordered ? "ol" : "ul", attributes, children);
}

function tableOf({ align, header, rows }) {
  const cell = (tag, text, column) =>
    h(tag, { class: `align-${align[column]}` }, renderInline(text));
  const head = header.map((text, column) => {
    const th = cell("th", text, column);
    th.setAttribute("scope", "col");
    return th;
  });
  const body = rows.map((row) =>
    h(
      "tr",
      {},
      row.map((text, column) => cell("td", text, column)),
    ),
  );
  return h(
    "div",
    { class: "table", tabindex: 0, role: "region", "aria-label": "Table" },
    h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, body)),
  );
}
