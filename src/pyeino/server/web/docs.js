// The API page: /openapi.json as a reference that a person can read.

import { ROOT, h } from "./dom.js";
import { codeBlock, renderMarkdown } from "./markdown.js";
import {
  bounds,
  content,
  curl,
  frameNames,
  operations,
  refName,
  resolve,
  sample,
  typeParts,
} from "./openapi.js";

const main = document.getElementById("content");
const index = document.getElementById("index");
const server = ROOT.href.replace(/\/$/, "");

function prose(text) {
  return text ? h("div", { class: "prose" }, renderMarkdown(text, { breaks: false })) : null;
}

function schemaLink(name) {
  return h("a", { href: `#schema-${name}` }, name);
}

function typeElement(schema) {
  const parts = typeParts(schema).map((part) => (part.ref ? schemaLink(part.ref) : part));
  return h("span", { class: "type" }, parts);
}

function verbBadge(verb) {
  return h("span", { class: `verb verb-${verb}` }, verb.toUpperCase());
}

/** One row of a list of members: its name, its type, what holds for it. */
function memberRow(name, schema, { required, where = "", description = "" }) {
  const words = bounds(schema);
  return h(
    "li",
    {},
    h(
      "p",
      { class: "member" },
      h("code", {}, name),
      typeElement(schema),
      where && h("span", { class: "tag" }, where),
      required && h("span", { class: "tag required" }, "required"),
    ),
    words.length > 0 && h("p", { class: "bounds" }, words.join(" · ")),
    prose(description || schema?.description),
  );
}

function members(openapi, schema) {
  const target = resolve(openapi, schema);
  const choices = target.anyOf ?? target.oneOf;
  if (choices && !target.properties) {
    return h("p", {}, "One of: ", typeElement(target));
  }
  const entries = Object.entries(target.properties ?? {});
  if (!entries.length) return h("p", {}, typeElement(target));
  const required = new Set(target.required ?? []);
  return h(
    "ul",
    { class: "members" },
    entries.map(([name, member]) => memberRow(name, member, { required: required.has(name) })),
  );
}

function json(value) {
  return codeBlock(typeof value === "string" ? value : JSON.stringify(value, null, 2), "json");
}

// -- one operation ----------------------------------------------------------------------------

function parametersPart({ parameters }) {
  if (!parameters.length) return null;
  const rows = parameters.map((one) =>
    memberRow(one.name, one.schema ?? {}, {
      required: one.required,
      where: one.in,
      description: one.description,
    }),
  );
  return h("section", {}, h("h4", {}, "Parameters"), h("ul", { class: "members" }, rows));
}

function requestPart(openapi, { requestBody }) {
  const body = requestBody && content(openapi, requestBody);
  if (!body) return null;
  const name = refName(body.schema);
  return h(
    "section",
    {},
    h("h4", {}, "Request body ", h("span", { class: "quiet" }, body.type)),
    prose(resolve(openapi, requestBody).description),
    name && h("p", { class: "of" }, schemaLink(name)),
    body.schema && members(openapi, body.schema),
  );
}

function responseRow(openapi, status, response) {
  const target = resolve(openapi, response);
  const body = content(openapi, response);
  const kind = `status status-${String(status)[0]}`;
  const head = [
    h("span", { class: kind }, status),
    h("span", { class: "response-text" }, target.description ?? ""),
    body && h("span", { class: "quiet" }, body.types.join(", ")),
  ];
  const plain = body?.schema?.type === "string" && body.example === undefined;
  if (!body?.schema || plain) return h("li", { class: "response" }, h("p", {}, head));
  const example = body.example ?? sample(openapi, body.schema, { answer: true });
  if (Number.isInteger(example?.status)) example.status = Number(status);
  const events = body.type === "text/event-stream";
  const name = refName(body.schema);
  return h(
    "li",
    { class: "response" },
    h(
      "details",
      {},
      h("summary", {}, head),
      h(
        "div",
        { class: "response-body" },
        name && h("p", { class: "of" }, events ? "Each event's data: " : "", schemaLink(name)),
        json(example),
      ),
    ),
  );
}

function responsesPart(openapi, { responses = {} }) {
  const rows = Object.entries(responses).map(([status, response]) =>
    responseRow(openapi, status, response),
  );
  return h("section", {}, h("h4", {}, "Answers"), h("ul", { class: "responses" }, rows));
}

function framesPart({ client, server: sent }) {
  const row = (title, names) =>
    h(
      "li",
      { class: "response" },
      h("p", {}, title, " ", names.flatMap((name, at) => [at ? ", " : "", schemaLink(name)])),
    );
  return h(
    "section",
    {},
    h("h4", {}, "WebSocket frames ", h("span", { class: "quiet" }, "JSON text")),
    h("ul", { class: "responses" }, row("Taken:", client), row("Sent:", sent)),
  );
}

function operationElement(openapi, entry) {
  const { id, path, verb, operation } = entry;
  const frames = frameNames(entry);
  return h(
    "article",
    { class: "operation", id },
    h(
      "header",
      {},
      h("h3", {}, verbBadge(verb), h("a", { href: `#${id}`, class: "path" }, path)),
      operation.summary && h("p", { class: "summary" }, operation.summary),
    ),
    prose(operation.description),
    frames ? framesPart(frames) : codeBlock(curl(openapi, entry, server), "curl"),
    parametersPart(operation),
    requestPart(openapi, operation),
    responsesPart(openapi, operation),
  );
}

function schemaElement(openapi, name, schema) {
  return h(
    "article",
    { class: "operation schema", id: `schema-${name}` },
    h("h3", {}, h("a", { href: `#schema-${name}`, class: "path" }, name)),
    prose(schema.description),
    members(openapi, schema),
  );
}

// -- the page ---------------------------------------------------------------------------------

function titleOf(tag) {
  return tag === "openai" ? "OpenAI-compatible" : tag[0].toUpperCase() + tag.slice(1);
}

function grouped(entries) {
  const groups = new Map();
  for (const entry of entries) {
    groups.set(entry.tag, [...(groups.get(entry.tag) ?? []), entry]);
  }
  return groups;
}

function indexOf(groups, schemas) {
  const filter = h("input", {
    type: "search",
    id: "filter",
    placeholder: "Filter…",
    "aria-label": "Filter the routes",
    autocomplete: "off",
  });
  const lists = [...groups].map(([tag, entries]) =>
    indexGroup(
      tag,
      entries.map(({ id, verb, path }) => ({ href: `#${id}`, parts: [verbBadge(verb), path] })),
    ),
  );
  const names = schemas.map((name) => ({ href: `#schema-${name}`, parts: [name] }));
  if (names.length) lists.push(indexGroup("Schemas", names));
  filter.addEventListener("input", () => {
    const wanted = filter.value.trim().toLowerCase();
    for (const item of index.querySelectorAll("li")) {
      item.hidden = !item.textContent.toLowerCase().includes(wanted);
    }
    for (const group of index.querySelectorAll("section")) {
      group.hidden = !group.querySelector("li:not([hidden])");
    }
  });
  return [filter, ...lists];
}

function indexGroup(title, links) {
  const items = links.map(({ href, parts }) => h("li", {}, h("a", { href }, parts)));
  return h("section", {}, h("h2", {}, titleOf(title)), h("ul", {}, items));
}

function markCurrent() {
  const observer = new IntersectionObserver(
    (entries) => {
      const entry = entries.find((one) => one.isIntersecting);
      if (!entry) return;
      for (const link of index.querySelectorAll("a")) {
        if (link.hash === `#${entry.target.id}`) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      }
    },
    { rootMargin: "-10% 0px -75% 0px" },
  );
  for (const article of main.querySelectorAll("article")) observer.observe(article);
}

function show(openapi) {
  const groups = grouped(operations(openapi));
  const schemas = Object.entries(openapi.components?.schemas ?? {});
  const { title = "API", version = "", description } = openapi.info ?? {};
  main.replaceChildren(
    h(
      "header",
      { class: "intro" },
      h("h1", {}, title, version && h("span", { class: "version" }, version)),
      prose(description),
    ),
    ...[...groups].map(([tag, entries]) =>
      h(
        "section",
        { class: "group" },
        h("h2", {}, titleOf(tag)),
        entries.map((entry) => operationElement(openapi, entry)),
      ),
    ),
    h(
      "section",
      { class: "group" },
      schemas.length > 0 && h("h2", {}, "Schemas"),
      schemas.map(([name, schema]) => schemaElement(openapi, name, schema)),
    ),
  );
  index.replaceChildren(...indexOf(groups, schemas.map(([name]) => name)));
  markCurrent();
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

async function start() {
  try {
    const response = await fetch(new URL("openapi.json", ROOT));
    if (!response.ok) throw new Error(`openapi.json answered ${response.status}`);
    show(await response.json());
  } catch (error) {
    const text = `The description of the API cannot be shown: ${error.message}. Reload to retry.`;
    main.replaceChildren(h("p", { role: "alert" }, text));
  }
  main.removeAttribute("aria-busy");
}

start();
