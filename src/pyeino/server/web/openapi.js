// Reading an OpenAPI 3.1 document: operations, types in words, example values, curl commands.

const VERBS = ["get", "post", "put", "patch", "delete", "head", "options"];
const DEEPEST = 5;

/** Values for members that have no example of their own, by name: sent, in a path, answered. */
const SENT = {
  user_id: "alice",
  session_id: "a-session",
  message: "Hello! Who are you?",
  content: "Hello! Who are you?",
  role: "user",
  model: "default",
};
const IN_PATHS = { model_id: "default", name: "style.css", session_id: "my-session" };
const ANSWERED = {
  content: "Hello! I am a language model.",
  delta: "Hello",
  role: "assistant",
  model: "default",
  id: "default",
  finish_reason: "stop",
};

/** The schema or object that `node` stands for; references within the document are followed. */
export function resolve(document_, node) {
  let target = node;
  for (let hops = 0; target?.$ref && hops < 20; hops += 1) {
    const path = target.$ref.split("/").slice(1);
    target = path.reduce(
      (at, part) => at?.[part.replaceAll("~1", "/").replaceAll("~0", "~")],
      document_,
    );
  }
  return target ?? {};
}

/** The last part of a reference: the name of the schema. */
export function refName(node) {
  return node?.$ref?.split("/").at(-1) ?? null;
}

/** Every operation as {id, path, verb, tag, operation}, in the order of the document. */
export function operations(document_) {
  const found = [];
  for (const [path, item] of Object.entries(document_.paths ?? {})) {
    for (const verb of VERBS) {
      const operation = item[verb];
      if (!operation) continue;
      const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])];
      found.push({
        id: `${verb}-${path.replace(/[^a-z0-9]+/gi, "-").replace(/^-|-$/g, "")}`,
        path,
        verb,
        tag: operation.tags?.[0] ?? "Routes",
        operation: { ...operation, parameters: parameters.map((one) => resolve(document_, one)) },
      });
    }
  }
  return found;
}

/** The type of `schema` in words, as parts: strings, and {ref} for named schemas. */
export function typeParts(schema, depth = 0) {
  if (schema === true || !schema || depth > DEEPEST) return ["any"];
  if (schema.$ref) return [{ ref: refName(schema) }];
  if (schema.const !== undefined) return [JSON.stringify(schema.const)];
  if (schema.enum) return joined(schema.enum.map((value) => [JSON.stringify(value)]));
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return joined(choices.map((choice) => typeParts(choice, depth + 1)));
  if (schema.allOf?.length) return typeParts(schema.allOf[0], depth + 1);
  if (Array.isArray(schema.type)) {
    return joined(schema.type.map((type) => typeParts({ ...schema, type }, depth + 1)));
  }
  if (schema.type === "array") return ["array of ", ...typeParts(schema.items, depth + 1)];
  if (schema.type === "object" && schema.additionalProperties && !schema.properties) {
    return ["object of ", ...typeParts(schema.additionalProperties, depth + 1)];
  }
  return [schema.format ? `${schema.type ?? "any"} (${schema.format})` : (schema.type ?? "any")];
}

function joined(lists) {
  return lists.flatMap((list, index) => (index ? [" | ", ...list] : list));
}

const BOUNDS = [
  ["minimum", "≥ "],
  ["exclusiveMinimum", "> "],
  ["maximum", "≤ "],
  ["exclusiveMaximum", "< "],
  ["pattern", "matches "],
];

function counted(least, most, things) {
  if (most === undefined) return least === 1 ? "not empty" : `at least ${least} ${things}`;
  const number = most.toLocaleString("en");
  return least ? `${least} to ${number} ${things}` : `at most ${number} ${things}`;
}

/** The bounds and default of `schema` in words, also those inside its `anyOf`. */
export function bounds(schema) {
  const words = [];
  for (const part of [schema, ...(schema?.anyOf ?? [])]) {
    for (const [key, before] of BOUNDS) {
      if (part?.[key] !== undefined) words.push(`${before}${part[key]}`);
    }
    const { minLength, maxLength, minItems, maxItems } = part ?? {};
    if (minLength || maxLength) words.push(counted(minLength, maxLength, "characters"));
    if (minItems || maxItems) words.push(counted(minItems, maxItems, "items"));
  }
  if (schema?.default !== undefined && schema.default !== null) {
    words.push(`default ${JSON.stringify(schema.default)}`);
  }
  return words;
}

/**
 * A value that fits `schema`: its own example, else one made of its members, of the required ones
 * for a request and of all for an `answer`.
 */
export function sample(document_, schema, { name = "", answer = false, depth = 0 } = {}) {
  const target = resolve(document_, schema);
  if (target.example !== undefined) return target.example;
  if (target.examples?.length) return target.examples[0];
  if (target.const !== undefined) return target.const;
  if (target.default !== undefined && target.default !== null) return target.default;
  if (target.enum) return target.enum[0];
  const choices = target.anyOf ?? target.oneOf ?? target.allOf;
  const deeper = { answer, depth: depth + 1 };
  if (choices) {
    const choice = choices.find((one) => one.type !== "null") ?? choices[0];
    return sample(document_, choice, { ...deeper, name });
  }
  const type = Array.isArray(target.type) ? target.type.find((t) => t !== "null") : target.type;
  switch (type) {
    case "object":
      return depth > DEEPEST ? {} : sampleObject(document_, target, deeper);
    case "array":
      return depth > DEEPEST || !target.items ? [] : [sample(document_, target.items, deeper)];
    case "integer":
      return target.minimum ?? 1;
    case "number":
      return target.minimum ?? 1.5;
    case "boolean":
      return false;
    case "null":
      return null;
    default:
      return (answer ? ANSWERED : SENT)[name] ?? (name || "text");
  }
}

function sampleObject(document_, schema, options) {
  const required = new Set(schema.required ?? []);
  const value = {};
  for (const [name, member] of Object.entries(schema.properties ?? {})) {
    if (!options.answer && !required.has(name) && name !== "content") continue;
    value[name] = sample(document_, member, { ...options, name });
  }
  return value;
}

/** The body of a request or response as {type, schema, example}, JSON first; null without one. */
export function content(document_, holder) {
  const all = resolve(document_, holder).content ?? {};
  const type = "application/json" in all ? "application/json" : Object.keys(all)[0];
  if (!type) return null;
  const { schema, example, examples } = all[type];
  const named = Object.values(examples ?? {})[0];
  const given = example ?? (named && resolve(document_, named).value);
  return { type, types: Object.keys(all), schema: schema ?? null, example: given };
}

const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** The curl command that makes this call against `server`. */
export function curl(document_, { path, verb, operation }, server) {
  const query = operation.parameters.filter((one) => one.in === "query" && one.required);
  const value = ({ name, schema = {}, example }) =>
    String(example ?? IN_PATHS[name] ?? sample(document_, schema, { name }));
  let url = server + path;
  for (const parameter of operation.parameters.filter((one) => one.in === "path")) {
    url = url.replace(`{${parameter.name}}`, encodeURIComponent(value(parameter)));
  }
  if (query.length) {
    const pairs = query.map((one) => `${one.name}=${encodeURIComponent(value(one))}`);
    url += `?${pairs.join("&")}`;
  }
  const streams = Object.values(operation.responses ?? {}).some(
    (response) => "text/event-stream" in (resolve(document_, response).content ?? {}),
  );
  const body = operation.requestBody && content(document_, operation.requestBody);
  const flags = `curl -s${streams ? "N" : ""}`;
  const method = verb === "get" || (verb === "post" && body) ? "" : ` -X ${verb.toUpperCase()}`;
  const parts = [`${flags}${method} ${/[?&{}]/.test(url) ? quoted(url) : url}`];
  if (body) {
    const data = body.example ?? sample(document_, body.schema);
    parts.push(`-H ${quoted(`content-type: ${body.type}`)}`, `-d ${quoted(JSON.stringify(data))}`);
  }
  return parts.join(" \\\n  ");
}

/** The names of the frames that a WebSocket takes and sends: {client, server}; null for no socket. */
export function frameNames({ operation }) {
  const frames = operation["x-websocket-frames"];
  if (!frames) return null;
  const names = (schema) => (schema.anyOf ?? [schema]).map(refName).filter(Boolean);
  return { client: names(frames.client), server: names(frames.server) };
}
