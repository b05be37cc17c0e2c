// Inline Markdown to DOM nodes: code, emphasis, links, breaks. One pass, linear time.
//
// Every construct either consumes what it looked at or gives up at a fixed bound, so no input
// makes the parser look at the same text again and again. Text only ever becomes a text node.

import { h } from "./dom.js";

const LONGEST_URL = 2048;
const DEEPEST = 32;
const PUNCTUATION = /[!-/:-@[-`{-~]/;
const WORD = /[\p{L}\p{N}]/u;
const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'", nbsp: "\u00a0" };
const EMPHASIS = {
  "*1": ["em"],
  "*2": ["strong"],
  "*3": ["strong", "em"],
  _1: ["em"],
  _2: ["strong"],
  _3: ["strong", "em"],
  "~2": ["del"],
};

/** `text` as an absolute http, https or mailto address, else null. */
export function safeUrl(text) {
  if (!/^(?:https?:\/\/|mailto:)/i.test(text)) return null;
  try {
    const url = new URL(text);
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

function link(url, children) {
  return h("a", { href: url, rel: "noopener noreferrer", target: "_blank" }, children);
}

/** `nodes` with neighbouring strings made one: a text node each would cost too much. */
function joined(nodes) {
  const result = [];
  let strings = [];
  for (const node of [...nodes, null]) {
    if (typeof node === "string") {
      strings.push(node);
      continue;
    }
    if (strings.length) result.push(strings.join(""));
    strings = [];
    if (node !== null) result.push(node);
  }
  return result;
}

/**
 * The nodes and strings of `source`. With `open` the text is still growing: emphasis, code and links that
 * have begun at its end are shown as if they were already closed. With `breaks` each line end is
 * a line break, as in a chat; without it only one after two spaces or a backslash.
 */
export function renderInline(source, { open = false, breaks = true } = {}) {
  return new Inline(source, { open, breaks }).run();
}

class Inline {
  constructor(source, { open, breaks }) {
    this.source = source;
    this.open = open;
    this.breaks = breaks;
    this.at = 0;
    this.text = "";
    this.nodes = [];
    this.delimiters = []; // {kind, index in nodes}: emphasis that may open
    this.waiting = new Map(); // kind → how many of them in delimiters
    this.brackets = []; // {index in nodes, depth of delimiters, image}
    this.ticks = null; // run length → its places, in order
    this.parenthesis = -2; // next ")" at or after `at`, -1 for none
  }

  run() {
    const { source } = this;
    while (this.at < source.length) {
      if (!this.step(source[this.at])) {
        this.text += source[this.at];
        this.at += 1;
      }
    }
    this.flush();
    if (this.open) this.closeAll();
    return joined(this.nodes);
  }

  step(char) {
    switch (char) {
      case "\\":
        return this.escape();
      case "`":
        return this.code();
      case "*":
      case "_":
      case "~":
        return this.emphasis(char);
      case "[":
        return this.openBracket();
      case "]":
        return this.closeBracket();
      case "<":
        return this.angle();
      case "&":
        return this.entity();
      case "\n":
        return this.lineBreak();
      case "h":
        return this.bareUrl();
      default:
        return false;
    }
  }

  flush() {
    if (this.text) this.nodes.push(this.text);
    this.text = "";
  }

  push(node) {
    this.flush();
    this.nodes.push(node);
  }

  escape() {
    const next = this.source[this.at + 1] ?? "";
    if (next === "\n") {
      this.push(h("br"));
    } else if (PUNCTUATION.test(next)) {
      this.text += next;
    } else {
      return false;
    }
    this.at += 2;
    return true;
  }

  lineBreak() {
    const soft = !this.breaks && !this.text.endsWith("  ");
    this.text = this.text.trimEnd();
    if (soft) this.text += " ";
    else this.push(h("br"));
    this.at += 1;
    while (this.source[this.at] === " ") this.at += 1;
    return true;
  }

  entity() {
    const end = this.source.slice(this.at + 1, this.at + 7).indexOf(";");
    const found = end > 0 ? ENTITIES[this.source.slice(this.at + 1, this.at + 1 + end)] : undefined;
    if (found === undefined) return false;
    this.text += found;
    this.at += end + 2;
    return true;
  }

  // -- code ---------------------------------------------------------------------------------

  code() {
    const { source } = this;
    let end = this.at;
    while (source[end] === "`") end += 1;
    const length = end - this.at;
    const close = this.closingTicks(length, end);
    if (close < 0 && !(this.open && length === 1 && !/\s/.test(source[end] ?? " "))) {
      this.text += source.slice(this.at, end);
      this.at = end;
      return true;
    }
    let inner = source.slice(end, close < 0 ? source.length : close).replaceAll("\n", " ");
    const padded = inner.startsWith(" ") && inner.endsWith(" ");
    if (padded && inner.trim() !== "") inner = inner.slice(1, -1);
    this.push(h("code", {}, inner));
    this.at = close < 0 ? source.length : close + length;
    return true;
  }

  closingTicks(length, from) {
    if (!this.ticks) {
      this.ticks = new Map();
      for (const match of this.source.matchAll(/`+/g)) {
        const places = this.ticks.get(match[0].length) ?? { list: [], next: 0 };
        places.list.push(match.index);
        this.ticks.set(match[0].length, places);
      }
    }
    const places = this.ticks.get(length);
    if (!places) return -1;
    while (places.next < places.list.length && places.list[places.next] < from) places.next += 1;
    return places.list[places.next] ?? -1;
  }

  // -- emphasis -----------------------------------------------------------------------------

  emphasis(char) {
    const { source } = this;
    let end = this.at;
    while (source[end] === char) end += 1;
    const run = source.slice(this.at, end);
    const before = source[this.at - 1] ?? " ";
    const after = source[end] ?? " ";
    const kind = char + run.length;
    this.at = end;
    if (!EMPHASIS[kind]) {
      this.text += run;
      return true;
    }
    const inWord = char === "_";
    const closes = !/\s/.test(before) && !(inWord && WORD.test(after));
    const opens = !/\s/.test(after) && !(inWord && WORD.test(before));
    if (closes && this.waiting.get(kind)) this.closeEmphasis(kind);
    else if (opens && this.delimiters.length < DEEPEST) this.openEmphasis(kind, run);
    else this.text += run;
    return true;
  }

  openEmphasis(kind, run) {
    this.push(run);
    this.delimiters.push({ kind, index: this.nodes.length - 1 });
    this.waiting.set(kind, (this.waiting.get(kind) ?? 0) + 1);
  }

  dropDelimiter() {
    const delimiter = this.delimiters.pop();
    this.waiting.set(delimiter.kind, this.waiting.get(delimiter.kind) - 1);
    return delimiter;
  }

  closeEmphasis(kind) {
    this.flush();
    let delimiter = this.dropDelimiter();
    while (delimiter.kind !== kind) delimiter = this.dropDelimiter();
    this.dropBrackets(delimiter.index);
    const inner = joined(this.nodes.splice(delimiter.index).slice(1));
    this.nodes.push(EMPHASIS[kind].reduceRight((nodes, tag) => [h(tag, {}, nodes)], inner)[0]);
  }

  closeAll() {
    while (this.delimiters.length) {
      const { kind, index } = this.delimiters.at(-1);
      if (kind.endsWith("1") || index === this.nodes.length - 1) this.dropDelimiter();
      else this.closeEmphasis(kind);
    }
  }

  // -- links --------------------------------------------------------------------------------

  openBracket() {
    const image = this.text.endsWith("!");
    if (image) this.text = this.text.slice(0, -1);
    this.push(image ? "![" : "[");
    this.brackets.push({ index: this.nodes.length - 1, depth: this.delimiters.length });
    this.at += 1;
    return true;
  }

  dropBrackets(index) {
    while (this.brackets.length && this.brackets.at(-1).index > index) this.brackets.pop();
  }

  closeBracket() {
    const bracket = this.brackets.pop();
    if (!bracket || this.source[this.at + 1] !== "(") return false;
    const target = this.destination(this.at + 2);
    if (!target) return false;
    if (target.url !== null) this.wrapLink(bracket, target.url);
    else this.text += this.source.slice(this.at, target.end);
    this.at = target.end;
    return true;
  }

  wrapLink(bracket, url) {
    this.flush();
    while (this.delimiters.length > bracket.depth) this.dropDelimiter();
    const inner = joined(this.nodes.splice(bracket.index).slice(1));
    this.nodes.push(link(url, inner.length ? inner : url));
    this.brackets = [];
  }

  /** {url, end} of a destination that begins at `from`; url is null when it is not allowed. */
  destination(from) {
    const { source } = this;
    if (this.parenthesis !== -1 && this.parenthesis < from) {
      this.parenthesis = source.indexOf(")", from);
    }
    if (this.parenthesis === -1) return this.unfinished(from);
    let depth = 0;
    const limit = Math.min(source.length, from + LONGEST_URL);
    if (this.parenthesis > limit) return null;
    for (let at = from; at < limit; at += 1) {
      const char = source[at];
      if (char === "\n" || depth > 3) return null;
      if (char === "(") depth += 1;
      else if (char === ")" && depth > 0) depth -= 1;
      else if (char === ")") return { url: this.url(source.slice(from, at)), end: at + 1 };
    }
    return null;
  }

  url(text) {
    const bare = text.trim().replace(/\s(?:"[^"]*"|'[^']*')$/, "").trim();
    return safeUrl(bare.startsWith("<") && bare.endsWith(">") ? bare.slice(1, -1) : bare);
  }

  unfinished(from) {
    const rest = this.source.length - from;
    if (!this.open || rest > LONGEST_URL || /\s/.test(this.source.slice(from))) return null;
    const url = safeUrl(this.source.slice(from));
    return url === null ? null : { url, end: this.source.length };
  }

  angle() {
    const part = this.source.slice(this.at, this.at + 300);
    const lineBreak = /^<br ?\/?>/i.exec(part);
    if (lineBreak) {
      this.push(h("br"));
      this.at += lineBreak[0].length;
      return true;
    }
    const auto = /^<((?:https?:\/\/|mailto:)[^\s<>]+)>/i.exec(part);
    const url = auto && safeUrl(auto[1]);
    if (!url) return false;
    this.push(link(url, auto[1]));
    this.at += auto[0].length;
    return true;
  }

  bareUrl() {
    const { source } = this;
    const begins = source.startsWith("http://", this.at) || source.startsWith("https://", this.at);
    if (!begins || WORD.test(source[this.at - 1] ?? " ") || this.brackets.length) return false;
    let end = this.at;
    while (end < source.length && end - this.at < LONGEST_URL && !/[\s<>"`*|]/.test(source[end])) {
      end += 1;
    }
    while (/[.,;:!?'")\]}]/.test(source[end - 1])) end -= 1;
    const shown = source.slice(this.at, end);
    const url = shown.length > 8 ? safeUrl(shown) : null;
    if (url === null) this.text += shown;
    else this.push(link(url, shown));
    this.at = end;
    return true;
  }
}
