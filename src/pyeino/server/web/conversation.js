// The conversation of this tab: its session id and what was said, kept over a reload.

import { newId } from "./dom.js";

const KEY = "pyeino.conversation";
const LARGEST = 1_000_000; // characters kept; older turns go first

/** A session of the server and the turns {question, answer, totals?, seconds?} that this tab saw of it. */
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
