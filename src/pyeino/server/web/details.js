// What stands under an answer: the passages it was made from, and the tools that were called.

import { h, icon } from "./dom.js";

/** The elements for `metadata.citations` and `metadata.tool_calls`; none where there are none. */
export function detailsOf(metadata) {
  const found = [];
  const citations = listOf(metadata?.citations);
  if (citations.length) {
    found.push(
      h(
        "section",
        { class: "citations", "aria-label": "Sources" },
        h("h3", {}, icon("book"), citations.length === 1 ? "Source" : "Sources"),
        h("ol", {}, citations.map((one) => h("li", {}, citation(one)))),
      ),
    );
  }
  const calls = listOf(metadata?.tool_calls);
  if (calls.length) {
    found.push(
      h(
        "section",
        { class: "tool-calls", "aria-label": "Tools" },
        h("h3", {}, icon("tool"), calls.length === 1 ? "Tool" : "Tools"),
        h("ul", {}, calls.map((one) => h("li", {}, toolCall(one)))),
      ),
    );
  }
  return found;
}

function listOf(value) {
  return Array.isArray(value) ? value.filter((one) => one && typeof one === "object") : [];
}

function citation({ id, title, source, score, text }) {
  const name = String(title || source || id || "Untitled");
  const known = typeof score === "number" ? score.toFixed(2) : "";
  return fold(
    [
      h("span", { class: "fold-name" }, name),
      known && h("span", { class: "score", title: "Relevance, 0 to 1" }, known),
    ],
    [text && h("blockquote", {}, String(text)), source && h("p", { class: "source" }, link(source))],
  );
}

/** A link for addresses of the web only: the text of any other source is just text. */
function link(source) {
  const text = String(source);
  try {
    const { protocol } = new URL(text);
    if (protocol === "https:" || protocol === "http:") {
      return h("a", { href: text, target: "_blank", rel: "noopener noreferrer" }, text);
    }
  } catch {
    // A path, or a name.
  }
  return text;
}

function toolCall({ name, arguments: given, result, error }) {
  const outcome = error ?? result;
  return fold(
    [
      h("code", { class: "fold-name" }, String(name ?? "tool")),
      outcome !== undefined && h("span", { class: "outcome" }, brief(outcome)),
    ],
    [
      h("h4", {}, "Arguments"),
      h("pre", { tabindex: 0 }, h("code", {}, pretty(given ?? {}))),
      outcome !== undefined && h("h4", {}, error === undefined ? "Result" : "Error"),
      outcome !== undefined && h("pre", { tabindex: 0 }, h("code", {}, pretty(outcome))),
    ],
  );
}

function fold(summary, body) {
  return h(
    "details",
    { class: "fold" },
    h("summary", {}, icon("chevron"), summary),
    h("div", { class: "fold-body" }, body),
  );
}

function brief(value) {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}

function pretty(value) {
  if (typeof value !== "string") return JSON.stringify(value, null, 2) ?? "";
  try {
    const parsed = JSON.parse(value);
    return typeof parsed === "object" ? JSON.stringify(parsed, null, 2) : value;
  } catch {
    return value;
  }
}
