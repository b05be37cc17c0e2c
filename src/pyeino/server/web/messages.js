// The messages of the conversation as elements: what was asked, what is answered, what failed.

import { canRetry, remedyFor } from "./client.js";
import { detailsOf } from "./details.js";
import { copyButton, h, icon } from "./dom.js";
import { MarkdownView } from "./markdown.js";

const LONG_MESSAGE = 1500;

/** What the user wrote, as it was written; a long one is folded. */
export function questionElement(text) {
  const body = h("div", { class: "bubble" }, text);
  const element = h(
    "article",
    { class: "message question" },
    h("h2", { class: "visually-hidden" }, "You"),
    body,
  );
  if (text.length > LONG_MESSAGE) {
    const size = `Show all ${text.length.toLocaleString("en")} characters`;
    const button = h("button", { type: "button", class: "ghost unfold" }, size);
    body.textContent = `${text.slice(0, LONG_MESSAGE)}…`;
    button.addEventListener("click", () => {
      body.textContent = text;
      button.remove();
    });
    element.append(button);
  }
  return element;
}

function summary({ token_usage: usage, process_time: seconds, metadata }) {
  const parts = [];
  const tokens = usage?.completion_tokens;
  if (tokens !== undefined) parts.push(`${tokens} ${tokens === 1 ? "token" : "tokens"}`);
  if (seconds !== undefined) parts.push(`${seconds.toFixed(seconds < 10 ? 1 : 0)} s`);
  if (tokens > 1 && seconds > 0.05) parts.push(`${Math.round(tokens / seconds)} tokens/s`);
  if (metadata?.model) parts.push(metadata.model);
  return parts;
}

/** An answer that grows: `append`, then one of `finish`, `stop` and `fail`. */
export class AnswerElement {
  text = "";
  #view;
  #body = h("div", { class: "prose" });
  #waiting = h("p", { class: "waiting" }, h("span", { class: "visually-hidden" }, "Answering…"));
  #foot = h("div", { class: "foot" });
  #details = h("div", { class: "details" });
  #frame = 0;
  #cost = 0;
  #painted = 0;
  #onPaint;

  constructor({ onPaint = () => {} } = {}) {
    this.#onPaint = onPaint;
    this.#waiting.append(h("i"), h("i"), h("i"));
    this.#view = new MarkdownView(this.#body);
    this.element = h(
      "article",
      { class: "message answer streaming", "aria-busy": "true" },
      h("h2", { class: "visually-hidden" }, "Answer"),
      this.#waiting,
      this.#body,
      this.#details,
      this.#foot,
    );
  }

  append(delta) {
    if (!delta) return;
    this.text += delta;
    this.#frame ||= requestAnimationFrame(() => this.#paint());
  }

  /** Paint at most every frame, and never spend more than a quarter of the time on it. */
  #paint() {
    const begun = performance.now();
    if (begun - this.#painted < this.#cost * 4) {
      this.#frame = requestAnimationFrame(() => this.#paint());
      return;
    }
    this.#frame = 0;
    this.#waiting.remove();
    this.#view.update(this.text);
    this.#painted = performance.now();
    this.#cost = this.#painted - begun;
    this.#onPaint();
  }

  #end() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#waiting.remove();
    this.#view.update(this.text, { open: false });
    this.element.classList.remove("streaming");
    this.element.removeAttribute("aria-busy");
  }

  #footLine(parts) {
    const copy = this.text ? [copyButton(() => this.text)] : [];
    this.#foot.replaceChildren(h("p", { class: "meta" }, parts.join(" · ")), ...copy);
  }

  /** The whole answer is there; returns the line shown under it. */
  finish(totals) {
    this.#end();
    if (!this.text) this.#body.append(h("p", { class: "quiet" }, "The model answered nothing."));
    this.#details.replaceChildren(...detailsOf(totals.metadata));
    const parts = summary(totals);
    if (totals.finish_reason === "length") parts.push("cut at the length limit");
    this.#footLine(parts);
    return parts.join(" · ");
  }

  stop(seconds) {
    this.#end();
    const after = seconds === undefined ? [] : [`${seconds.toFixed(1)} s`];
    this.#footLine(["Stopped", ...after]);
  }

  /** Nothing more is known of the answer than how it ended. */
  end(ending) {
    this.#end();
    this.#footLine([ending]);
  }

  /** Show `error` with its code and remedy; `onRetry` sends again, `onEdit` gives the text back. */
  fail(error, { onRetry, onEdit }) {
    this.#end();
    if (this.text) this.#footLine(["Incomplete"]);
    else this.#foot.remove();
    const card = h(
      "div",
      { class: "failure", role: "alert" },
      icon("warning"),
      h(
        "div",
        {},
        h("p", { class: "failure-message" }, error.message),
        error.details && error.details !== error.message && h("p", {}, error.details),
        h("p", {}, remedyFor(error)),
        h("p", { class: "failure-code" }, h("code", {}, error.code)),
      ),
    );
    const again = canRetry(error);
    const button = h("button", { type: "button", class: "button" });
    const label = h("span", {}, again ? "Retry" : "Edit the message");
    button.append(icon(again ? "retry" : "edit"), label);
    button.addEventListener("click", () => (again ? onRetry() : onEdit()));
    card.append(button);
    if (again) countDown(button, label, error.retryAfter);
    this.element.append(card);
  }
}

/** Keep `button` off for the seconds that the server asked to wait. */
function countDown(button, label, seconds) {
  const until = performance.now() + seconds * 1000;
  const tick = () => {
    const left = Math.ceil((until - performance.now()) / 1000);
    button.disabled = left > 0;
    label.textContent = left > 0 ? `Retry in ${left} s` : "Retry";
    if (left > 0) setTimeout(tick, 250);
  };
  tick();
}
