// The conversation of this tab: its session id and what was said, kept over a reload.

import { newId } from "./dom.js";

const KEY = "pyeino.conversation";
const LARGEST = 1_000_000; // characters kept; older turns go first

/**
 * A session of the server and the turns that this tab knows of it, each with a `question`, an
 * `answer` or both; an answer has `totals`, or `seconds` when it was stopped, or an `ending`.
 */
export class Conversation {
  id = newId();
  turns = [];

  constructor() {
    try {
      const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
      if (typeof kept?.id === "string" && Array.isArray(kept.turns)) {
        this.id = kept.id;
        this.turns = kept.turns;
      }
    } catch {
      // Storage is off or holds something else: the conversation lives as long as the page.
    }
  }

  add(turn) {
    this.turns.push(turn);
    this.#save();
  }

  /** Begin again under a new session id. */
  reset() {
    this.id = newId();
    this.turns = [];
    this.#save();
  }

  /** Go on with the session `id`, of which `turns` are known. */
  open(id, turns) {
    this.id = id;
    this.turns = turns;
    this.#save();
  }

  #save() {
    let text = JSON.stringify({ id: this.id, turns: this.turns });
    while (text.length > LARGEST && this.turns.length > 1) {
      this.turns.shift();
      text = JSON.stringify({ id: this.id, turns: this.turns });
    }
    try {
      sessionStorage.setItem(KEY, text);
    } catch {
      // Storage is off or full: nothing is kept over a reload.
    }
  }
}
