// The banner that says which model answers, and how to set a real one.

import { authorizedFetch } from "./auth.js";
import { ROOT, copyButton, h, icon } from "./dom.js";

const REAL_MODEL = [
  "export PYEINO_LLM__PROVIDER=openai",
  "export PYEINO_LLM__API_KEY=…",
  "export PYEINO_LLM__MODEL=…",
];

async function models() {
  const response = await authorizedFetch(new URL("v1/models", ROOT), () => ({
    headers: { accept: "application/json" },
  }));
  if (!response.ok) throw new Error(`/v1/models answered ${response.status}`);
  return (await response.json()).data ?? [];
}

/** The model behind "default": the first that has a name of its own. */
function answering(list) {
  const first = list.find((model) => model.id !== "default") ?? list[0];
  return first && { id: first.id, provider: first.owned_by, ...first.pyeino };
}

function sentence(model) {
  if (model.local && /135\s?m/i.test(model.id)) {
    return "a 135 M-parameter model for trying pyeino only: expect nonsense.";
  }
  if (model.description) return model.description;
  if (model.local) return "a model on this machine's own processor.";
  if (model.provider === "chain") return "a chain of this server's own.";
  return model.provider ? `a model of ${model.provider}.` : "as set in the settings.";
}

function setUp() {
  const commands = `${REAL_MODEL.join("\n")}\nmake run`;
  return h(
    "details",
    { class: "set-up" },
    h("summary", {}, "Set a real model", icon("chevron")),
    h(
      "div",
      { class: "set-up-body" },
      h("p", {}, "Stop the server, set these three, then start it again:"),
      h(
        "div",
        { class: "code" },
        h(
          "div",
          { class: "code-head" },
          h("span", { class: "language" }, "shell"),
          copyButton(() => commands),
        ),
        h(
          "pre",
          { tabindex: 0, role: "region", "aria-label": "Commands" },
          h("code", {}, commands),
        ),
      ),
      h(
        "p",
        {},
        "For any other OpenAI-compatible endpoint also set ",
        h("code", {}, "PYEINO_LLM__BASE_URL"),
        ".",
      ),
    ),
  );
}

/**
 * Fill `element` (and `name`, the short form in the top bar) from /v1/models; without an answer
 * it says that the server does not tell.
 */
export async function showBanner(element, name) {
  let model = null;
  try {
    model = answering(await models());
  } catch (error) {
    console.warn("No list of models:", error.message);
  }
  name.textContent = model?.id ?? "";
  const text = model
    ? h("p", {}, h("strong", {}, model.id), " answers: ", sentence(model))
    : h("p", {}, "The server does not say which model answers.");
  const toy = Boolean(model?.local);
  element.replaceChildren(
    h("div", { class: "banner-line" }, icon(toy ? "chip" : "chat"), text),
    ...(toy ? [setUp()] : []),
  );
  element.classList.toggle("toy", toy);
  element.hidden = false;
}
