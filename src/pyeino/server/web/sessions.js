// The list of this user's conversations: open, rename, delete; a drawer where there is no room.

import { callApi } from "./client.js";
import { h, icon } from "./dom.js";

const PAGE = 40;
const MESSAGES = 60;

const address = (id, rest = "") => `sessions/${encodeURIComponent(id)}${rest}`;

/** The last turns of a session, oldest first, and the `cursor` of those before them, if any. */
export async function readTurns(id, cursor = null) {
  const from = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
  const query = `?order=desc&limit=${MESSAGES}${from}`;
  const page = await callApi(address(id, "/messages") + query);
  return { turns: page.items.reverse().map(turnOf), cursor: page.cursor ?? null };
}

function turnOf(row) {
  if (row.role !== "assistant") return { question: row.content };
  const turn = { answer: row.content };
  if (row.status === "completed") turn.totals = { ...row };
  else if (row.status === "failed") turn.ending = `Failed · ${row.error_code ?? "unknown"}`;
  else if (row.status === "pending") turn.ending = "Still being answered";
  return turn;
}

/** The list and its drawer. `onOpen(id)` opens a conversation, `onGone(id)` is told of one deleted. */
export class SessionList {
  #list;
  #note;
  #more;
  #onOpen;
  #onGone;
  #current = "";
  #cursor = null;
  #asked = 0;

  constructor({ list, note, more, onOpen, onGone }) {
    this.#list = list;
    this.#note = note;
    this.#more = more;
    this.#onOpen = onOpen;
    this.#onGone = onGone;
    more.addEventListener("click", () => this.#load(this.#cursor));
  }

  /** Mark the conversation `id` as the one that is shown. */
  mark(id) {
    this.#current = id;
    for (const item of this.#list.children) this.#markItem(item);
  }

  /** Read the newest conversations again. */
  refresh() {
    return this.#load(null);
  }

  async #load(cursor) {
    const ask = (this.#asked += 1);
    const from = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
    let page;
    try {
      page = await callApi(`sessions?limit=${PAGE}${from}`);
    } catch (error) {
      if (ask === this.#asked) this.fail(error);
      return;
    }
    if (ask !== this.#asked) return; // a newer question is on its way
    const items = page.items.map((session) => this.#item(session));
    if (cursor) this.#list.append(...items);
    else this.#list.replaceChildren(...items);
    this.#cursor = page.cursor ?? null;
    this.#more.hidden = !this.#cursor;
    this.#empty();
  }

  /** Say that something could not be done, and offer to read the list again. */
  fail(error) {
    const retry = h("button", { type: "button", class: "ghost" }, icon("retry"), "Retry");
    retry.addEventListener("click", () => this.refresh());
    this.#note.replaceChildren(`${error.message}. `, retry);
    this.#more.hidden = true;
  }

  #empty() {
    this.#note.textContent = this.#list.children.length ? "" : "What you ask will be kept here.";
  }

  #item({ session_id: id, title, created_at: made }) {
    const name = title || "Untitled";
    const when = new Date(made);
    const open = h("button", { type: "button", class: "session-open" }, name);
    if (!Number.isNaN(when.getTime())) open.title = `${name}\n${when.toLocaleString("en")}`;
    open.addEventListener("click", () => this.#onOpen(id));
    const edit = h(
      "button",
      { type: "button", class: "session-act", title: "Rename", "aria-label": `Rename ${name}` },
      icon("edit"),
    );
    const remove = h(
      "button",
      { type: "button", class: "session-act", title: "Delete", "aria-label": `Delete ${name}` },
      icon("trash"),
    );
    const item = h("li", { class: "session" }, open, edit, remove);
    item.dataset.id = id;
    const session = { session_id: id, title, created_at: made };
    edit.addEventListener("click", () => this.#rename(item, session));
    remove.addEventListener("click", () => this.#confirm(item, session));
    this.#markItem(item);
    return item;
  }

  #markItem(item) {
    const current = item.dataset.id === this.#current;
    item.classList.toggle("current", current);
    const open = item.querySelector(".session-open");
    if (current) open?.setAttribute("aria-current", "true");
    else open?.removeAttribute("aria-current");
  }

  #restore(item, session, { focus = true } = {}) {
    const fresh = this.#item(session);
    item.replaceWith(fresh);
    if (focus) fresh.querySelector(".session-open").focus();
  }

  #rename(item, session) {
    const field = h("input", { class: "session-name", "aria-label": "Name", maxlength: 100 });
    field.value = session.title ?? "";
    let over = false;
    const save = async (focus) => {
      if (over) return;
      over = true;
      const title = field.value.trim();
      if (!title || title === session.title) return this.#restore(item, session, { focus });
      try {
        const changed = await callApi(address(session.session_id), {
          method: "PATCH",
          body: { title },
        });
        this.#restore(item, changed, { focus });
      } catch (error) {
        this.#restore(item, session, { focus });
        this.fail(error);
      }
    };
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.isComposing) save(true);
      if (event.key !== "Escape") return;
      event.stopPropagation();
      over = true;
      this.#restore(item, session);
    });
    field.addEventListener("blur", () => save(false));
    item.replaceChildren(field);
    field.focus();
    field.select();
  }

  #confirm(item, session) {
    const yes = h("button", { type: "button", class: "session-yes" }, "Delete");
    const no = h("button", { type: "button", class: "ghost" }, "Keep");
    item.replaceChildren(h("span", { class: "session-sure" }, "Delete for good?"), yes, no);
    no.addEventListener("click", () => this.#restore(item, session));
    item.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !item.contains(no)) return;
      event.stopPropagation();
      this.#restore(item, session);
    });
    yes.addEventListener("click", async () => {
      yes.disabled = true;
      try {
        await callApi(address(session.session_id), { method: "DELETE" });
      } catch (error) {
        if (error.code !== "SESSION_NOT_FOUND") {
          this.#restore(item, session);
          this.fail(error);
          return;
        }
      }
      const next = item.nextElementSibling ?? item.previousElementSibling;
      item.remove();
      next?.querySelector(".session-open")?.focus();
      this.#empty();
      this.#onGone(session.session_id);
    });
    no.focus();
  }
}

/** Show `panel` as a drawer over the page where it has no place beside it; returns its closer. */
export function makeDrawer({ panel, button, shade }) {
  const narrow = window.matchMedia("(max-width: 56rem)");
  const set = (open) => {
    panel.classList.toggle("open", open);
    panel.inert = narrow.matches && !open;
    shade.hidden = !(open && narrow.matches);
    button.setAttribute("aria-expanded", String(open));
  };
  const close = () => {
    if (!panel.classList.contains("open")) return;
    set(false);
    button.focus();
  };
  button.addEventListener("click", () => {
    if (panel.classList.contains("open")) return close();
    set(true);
    panel.querySelector(".session-open")?.focus();
  });
  shade.addEventListener("click", close);
  panel.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !panel.classList.contains("open")) return;
    event.stopPropagation(); // else it would also stop the answer
    close();
  });
  narrow.addEventListener("change", () => set(false));
  set(false);
  return close;
}
