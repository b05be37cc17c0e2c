// An incremental parser for server-sent events (WHATWG HTML, section 9.2.6).

/**
 * Turns pieces of text, cut anywhere, into events {id, event, data} and comments. Time is linear
 * in the input however finely it is cut, since only new text is searched for line ends.
 */
export class EventStreamParser {
  #line = [];
  #data = [];
  #event = "";
  #id = null;
  #afterReturn = false;
  #begun = false;

  /** The events that `text` completes, in order. Comments (heartbeats) yield nothing. */
  push(text) {
    const events = [];
    if (!this.#begun && text) {
      this.#begun = true;
      if (text.startsWith("\uFEFF")) text = text.slice(1);
    }
    let start = 0;
    for (let at = 0; at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      if (code !== 10 && code !== 13) {
        this.#afterReturn = false;
        continue;
      }
      if (code === 10 && this.#afterReturn) {
        this.#afterReturn = false;
        start = at + 1;
        continue;
      }
      this.#afterReturn = code === 13;
      this.#line.push(text.slice(start, at));
      start = at + 1;
      const event = this.#finishLine();
      if (event) events.push(event);
    }
    if (start < text.length) this.#line.push(text.slice(start));
    return events;
  }

  #finishLine() {
    const line = this.#line.join("");
    this.#line = [];
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    if (colon === 0) return null;
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value.startsWith(" ")) value = value.slice(1);
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#event = value;
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    return null;
  }

  #dispatch() {
    const event = this.#event || "message";
    const lines = this.#data;
    this.#event = "";
    this.#data = [];
    return lines.length ? { id: this.#id, event, data: lines.join("\n") } : null;
  }
}
