// The block structure of Markdown: paragraphs, headings, lists, quotes, code, tables, rules.
//
// `parseBlocks(lines)` gives plain records {kind, first, end, …} where `first` and `end` are line
// numbers. Each line is looked at a fixed number of times a level, and levels are bounded.

const DEEPEST = 10;

const FENCE = /^[ \t]*(`{3,}|~{3,})([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+(.*))?$/;
const RULE = /^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$/;
const QUOTE = /^ {0,3}> ?/;
const MARKER = /^([ \t]*)([-*+]|\d{1,9}[.)])(?:([ \t]+)(.*))?$/;
const TASK = /^\[([ xX])\] /;

/** The lines of `text`, whichever way they end. */
export function toLines(text) {
  return text.replaceAll("\r\n", "\n").split("\n");
}

const isBlank = (line) => line.trim() === "";

function indentOf(line) {
  let columns = 0;
  for (const char of line) {
    if (char === " ") columns += 1;
    else if (char === "\t") columns += 4;
    else break;
  }
  return columns;
}

function dedent(line, columns) {
  let at = 0;
  let gone = 0;
  while (gone < columns && (line[at] === " " || line[at] === "\t")) {
    gone += line[at] === "\t" ? 4 : 1;
    at += 1;
  }
  return " ".repeat(Math.max(0, gone - columns)) + line.slice(at);
}

/** The blocks of `lines`, in order; `depth` is how many lists and quotes are around them. */
export function parseBlocks(lines, depth = 0) {
  const blocks = [];
  let at = 0;
  while (at < lines.length) {
    if (isBlank(lines[at])) {
      at += 1;
      continue;
    }
    const block =
      fence(lines, at) ??
      heading(lines, at) ??
      rule(lines, at) ??
      (depth < DEEPEST ? (quote(lines, at, depth) ?? list(lines, at, depth)) : null) ??
      table(lines, at) ??
      paragraph(lines, at, depth);
    block.first = at;
    blocks.push(block);
    at = block.end;
  }
  return blocks;
}

function fence(lines, at) {
  const opening = FENCE.exec(lines[at]);
  if (!opening) return null;
  const [, ticks, info] = opening;
  const indent = indentOf(lines[at]);
  const code = [];
  let end = at + 1;
  for (; end < lines.length; end += 1) {
    const closing = lines[end].trim();
    if (closing.length >= ticks.length && closing === ticks[0].repeat(closing.length)) {
      return { kind: "fence", info: info.trim(), code: code.join("\n"), end: end + 1 };
    }
    code.push(dedent(lines[end], indent));
  }
  return { kind: "fence", info: info.trim(), code: code.join("\n"), end };
}

function heading(lines, at) {
  const match = HEADING.exec(lines[at]);
  if (!match) return null;
  let text = (match[2] ?? "").trim();
  let end = text.length;
  while (text[end - 1] === "#") end -= 1;
  if (end === 0 || text[end - 1] === " ") text = text.slice(0, end).trim();
  return { kind: "heading", level: match[1].length, text, end: at + 1 };
}

function rule(lines, at) {
  return RULE.test(lines[at]) ? { kind: "rule", end: at + 1 } : null;
}

function quote(lines, at, depth) {
  if (!QUOTE.test(lines[at])) return null;
  const inner = [];
  let end = at;
  while (end < lines.length && QUOTE.test(lines[end])) {
    inner.push(lines[end].replace(QUOTE, ""));
    end += 1;
  }
  return { kind: "quote", blocks: parseBlocks(inner, depth + 1), end };
}

// -- lists ----------------------------------------------------------------------------------------

function marker(line) {
  const match = MARKER.exec(line);
  if (!match || RULE.test(line)) return null;
  const [, space, sign, gap = " ", text = ""] = match;
  const indent = indentOf(space);
  const ordered = sign.length > 1;
  return {
    indent,
    ordered,
    number: ordered ? Number.parseInt(sign, 10) : 0,
    content: indent + sign.length + Math.min(indentOf(gap), 4),
    text,
  };
}

function list(lines, at, depth) {
  const first = marker(lines[at]);
  if (!first) return null;
  const items = [];
  let loose = false;
  let end = at;
  while (end < lines.length) {
    const head = marker(lines[end]);
    if (!head || head.ordered !== first.ordered || head.indent >= first.indent + 2) break;
    const item = listItem(lines, end, head);
    loose ||= item.spaced || (item.trailing && marker(lines[item.end] ?? "") !== null);
    const task = TASK.exec(item.body[0]);
    if (task) item.body[0] = item.body[0].slice(4);
    const done = task ? task[1] !== " " : null;
    items.push({ done, blocks: parseBlocks(item.body, depth + 1) });
    end = item.end;
  }
  return { kind: "list", ordered: first.ordered, start: first.number, items, loose, end };
}

function listItem(lines, at, head) {
  const body = [head.text];
  let base = 0; // columns that the lines below the first are indented by
  let blanks = 0;
  let spaced = false;
  let end = at + 1;
  for (; end < lines.length; end += 1) {
    const line = lines[end];
    if (isBlank(line)) {
      blanks += 1;
      body.push("");
      continue;
    }
    const indent = indentOf(line);
    if (indent >= head.indent + 2) {
      base ||= Math.min(head.content, indent);
      spaced ||= blanks > 0 && !MARKER.test(line);
      body.push(dedent(line, base));
    } else if (blanks > 0 || marker(line) || startsBlock(lines, end, 0)) {
      break;
    } else {
      body.push(line.trimStart());
    }
    blanks = 0;
  }
  body.length -= blanks;
  return { body, spaced, trailing: blanks > 0, end };
}

// -- tables and paragraphs ------------------------------------------------------------------------

function cells(line) {
  const found = [];
  let cell = "";
  const row = line.trim();
  for (let at = row[0] === "|" ? 1 : 0; at < row.length; at += 1) {
    if (row[at] === "\\" && row[at + 1] === "|") {
      cell += "|";
      at += 1;
    } else if (row[at] === "|") {
      found.push(cell.trim());
      cell = "";
    } else {
      cell += row[at];
    }
  }
  if (cell.trim()) found.push(cell.trim());
  return found;
}

function alignments(line) {
  if (!/^[ \t|:-]+$/.test(line) || !line.includes("|")) return null;
  const columns = cells(line);
  if (!columns.length || !columns.every((column) => /^:?-+:?$/.test(column))) return null;
  return columns.map((column) => {
    if (column.endsWith(":")) return column.startsWith(":") ? "center" : "end";
    return "start";
  });
}

function table(lines, at) {
  if (!lines[at].includes("|") || at + 1 >= lines.length) return null;
  const align = alignments(lines[at + 1]);
  const header = align && cells(lines[at]);
  if (!header || header.length !== align.length) return null;
  const rows = [];
  let end = at + 2;
  while (end < lines.length && lines[end].includes("|")) {
    rows.push(cells(lines[end]).slice(0, header.length));
    end += 1;
  }
  return { kind: "table", align, header, rows, end };
}

function startsBlock(lines, at, depth) {
  const line = lines[at];
  if (FENCE.test(line) || HEADING.test(line) || RULE.test(line)) return true;
  if (depth < DEEPEST) {
    if (QUOTE.test(line)) return true;
    const item = marker(line);
    if (item?.text && (!item.ordered || item.number === 1)) return true;
  }
  return line.includes("|") && alignments(lines[at + 1] ?? "") !== null;
}

function paragraph(lines, at, depth) {
  let end = at + 1;
  while (end < lines.length && !isBlank(lines[end]) && !startsBlock(lines, end, depth)) end += 1;
  const text = lines.slice(at, end).map((line) => line.trimStart());
  return { kind: "paragraph", text: text.join("\n").trimEnd(), end };
}
