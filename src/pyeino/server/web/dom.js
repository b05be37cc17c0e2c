// Small helpers over the DOM. Text goes in as text nodes only: nothing here parses HTML.

const SVG = "http://www.w3.org/2000/svg";

/** The server's root, also when the application is mounted below a prefix. */
export const ROOT = new URL("../", import.meta.url);

/**
 * A new element. `attributes` are set as attributes, `on` adds listeners, `class` is the class
 * list; children are nodes, strings or arrays of them, and null or false among them is left out.
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) {
        element.addEventListener(event, listener);
      }
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  for (const child of children.flat()) {
    if (child !== null && child !== false) element.append(child);
  }
  return element;
}

/** A decorative icon from icons.svg, in the colour of the text around it. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", new URL(`static/icons.svg#${name}`, ROOT).href);
  svg.append(use);
  return svg;
}

/** Put `text` on the clipboard; false when the browser does not let us. */
export async function copyText(text) {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Refused (no focus, no permission): the older way below may still work.
    }
  }
  const area = h("textarea", { class: "visually-hidden", "aria-hidden": "true", tabindex: -1 });
  area.value = text;
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  return copied;
}

/** A button that copies `read()` and says so for two seconds. */
export function copyButton(read, label = "Copy") {
  const text = h("span", {}, label);
  const button = h("button", { type: "button", class: "ghost copy" }, icon("copy"), text);
  let timer = 0;
  button.addEventListener("click", async () => {
    const copied = await copyText(read());
    text.textContent = copied ? "Copied" : "Copy failed";
    button.classList.toggle("done", copied);
    clearTimeout(timer);
    timer = setTimeout(() => {
      text.textContent = label;
      button.classList.remove("done");
    }, 2000);
  });
  return button;
}

/** A random UUID, also on plain-http addresses where `crypto.randomUUID` does not exist. */
export function newId() {
  if (typeof crypto.randomUUID === "function") return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
