// The chat page: one conversation at a time, one answer at a time.

import { USER_CHANGED, signOut, signedIn } from "./auth.js";
import { showBanner } from "./banner.js";
import { ChatError, streamChat } from "./client.js";
import { Conversation } from "./conversation.js";
import { h } from "./dom.js";
import { AnswerElement, questionElement } from "./messages.js";
import { SessionList, makeDrawer, readTurns } from "./sessions.js";

const SUGGESTIONS = [
  "Explain what a token is, in two sentences.",
  "Show a Python function that adds two numbers.",
  "Give me three tips for learning Python.",
];
const SHOW_SIZE_FROM = 4000;

const byId = (id) => document.getElementById(id);
const scroller = byId("scroller");
const transcript = byId("transcript");
const field = byId("message");
const sendButton = byId("send");
const stopButton = byId("stop");
const toEnd = byId("to-end");
const status = byId("status");

const conversation = new Conversation();
let running = null; // AbortController of the answer that is coming in
let following = false; // whether the reader is at the end, so that it may scroll along

// -- scrolling --------------------------------------------------------------------------------

function atEnd() {
  return scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 48;
}

function scrollToEnd() {
  scroller.scrollTop = scroller.scrollHeight;
}

function follow() {
  if (following) scrollToEnd();
  toEnd.hidden = following || atEnd() || !transcript.hasChildNodes();
}

scroller.addEventListener("scroll", () => {
  following = atEnd() && transcript.hasChildNodes();
  toEnd.hidden = atEnd() || !transcript.hasChildNodes();
});
toEnd.addEventListener("click", () => {
  following = true;
  scrollToEnd();
  field.focus();
});
const resized = new ResizeObserver(follow);
resized.observe(scroller);
resized.observe(byId("composer"));

// -- the message field ------------------------------------------------------------------------

function fieldChanged() {
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
  sendButton.disabled = !field.value.trim();
  const size = byId("size");
  size.hidden = field.value.length < SHOW_SIZE_FROM;
  size.textContent = `${field.value.length.toLocaleString("en")} characters`;
}

field.addEventListener("input", fieldChanged);
field.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  send();
});
byId("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") running?.abort();
});
stopButton.addEventListener("click", () => running?.abort());

function send() {
  const message = field.value.trim();
  if (!message || running) return;
  field.value = "";
  fieldChanged();
  ask(message);
}

// -- one question and its answer --------------------------------------------------------------

function setRunning(control) {
  running = control;
  sendButton.hidden = Boolean(control);
  stopButton.hidden = !control;
}

function ask(message, { again = false } = {}) {
  byId("welcome").hidden = true;
  if (!again) transcript.append(questionElement(message));
  const answer = new AnswerElement({ onPaint: follow });
  transcript.append(answer.element);
  following = true;
  scrollToEnd();
  receive(message, answer);
}

async function receive(message, answer) {
  const control = new AbortController();
  const begun = performance.now();
  setRunning(control);
  status.textContent = "Answering…";
  let outcome = null; // {totals} or {seconds}; a failed turn is not kept
  try {
    const request = {
      session_id: conversation.id,
      message,
      options: { history: "session" },
    };
    let totals = {};
    for await (const chunk of streamChat(request, { signal: control.signal })) {
      if (chunk.terminal === "cancelled") control.abort();
      if (!chunk.terminal) answer.append(chunk.delta);
      totals = { ...totals, ...chunk };
    }
    control.signal.throwIfAborted();
    status.textContent = `Answer complete: ${answer.finish(totals)}`;
    outcome = { totals };
  } catch (error) {
    if (control.signal.aborted) {
      const seconds = (performance.now() - begun) / 1000;
      answer.stop(seconds);
      outcome = { seconds };
      status.textContent = "Answer stopped";
    } else {
      failed(error, message, answer);
    }
  } finally {
    if (running === control) setRunning(null);
    follow();
  }
  if (outcome && answer.element.isConnected) {
    conversation.add({ question: message, answer: answer.text, ...outcome });
  }
  sessions.mark(conversation.id);
  sessions.refresh();
}

function failed(error, message, answer) {
  if (!(error instanceof ChatError)) console.error(error);
  status.textContent = "";
  const known =
    error instanceof ChatError ? error : new ChatError("PAGE_ERROR", "This page has failed");
  answer.fail(known, {
    onRetry: () => {
      if (running) return;
      answer.element.remove();
      ask(message, { again: true });
    },
    onEdit: () => {
      field.value = message;
      fieldChanged();
      field.focus();
    },
  });
}

// -- the conversation -------------------------------------------------------------------------

const sessions = new SessionList({
  list: byId("session-list"),
  note: byId("sessions-note"),
  more: byId("sessions-more"),
  onOpen: openSession,
  onGone: (id) => id === conversation.id && newChat(),
});
const closeDrawer = makeDrawer({
  panel: byId("sessions"),
  button: byId("menu"),
  shade: byId("shade"),
});
let opening = 0;

function newChat() {
  opening += 1;
  running?.abort();
  conversation.reset();
  sessions.mark(conversation.id);
  show([]);
  status.textContent = "New chat";
  closeDrawer();
  field.focus();
}

async function openSession(id) {
  const ask = (opening += 1);
  running?.abort();
  closeDrawer();
  try {
    const { turns, cursor } = await readTurns(id);
    if (ask !== opening) return; // another one was chosen meanwhile
    conversation.open(id, turns);
    sessions.mark(id);
    show(turns);
    if (cursor) transcript.prepend(earlierButton(id, cursor));
    status.textContent = "Conversation opened";
    field.focus();
  } catch (error) {
    if (ask !== opening) return;
    if (!(error instanceof ChatError)) throw error;
    status.textContent = error.message;
    sessions.fail(error);
  }
}

function earlierButton(id, cursor) {
  const button = h("button", { type: "button", class: "ghost earlier" }, "Show earlier messages");
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const page = await readTurns(id, cursor);
      if (!button.isConnected) return;
      const height = scroller.scrollHeight;
      button.replaceWith(
        ...(page.cursor ? [earlierButton(id, page.cursor)] : []),
        ...page.turns.flatMap(elementsOf),
      );
      scroller.scrollTop += scroller.scrollHeight - height;
    } catch (error) {
      button.disabled = false;
      status.textContent = error.message;
    }
  });
  return button;
}

function elementsOf({ question, answer: text, totals, seconds, ending }) {
  const elements = question === undefined ? [] : [questionElement(question)];
  if (text === undefined) return elements;
  const answer = new AnswerElement();
  answer.append(text);
  if (totals) answer.finish(totals);
  else if (ending) answer.end(ending);
  else answer.stop(seconds);
  return [...elements, answer.element];
}

/** Show `turns` and nothing else. */
function show(turns) {
  transcript.replaceChildren(...turns.flatMap(elementsOf));
  byId("welcome").hidden = turns.length > 0;
  following = turns.length > 0;
  follow();
}

function showUser() {
  byId("sign-out").hidden = !signedIn();
}

document.addEventListener(USER_CHANGED, showUser);
byId("sign-out").addEventListener("click", async () => {
  running?.abort();
  await signOut();
  conversation.reset(); // what was said is not for whoever comes next
  location.reload();
});
showUser();
byId("new-chat").addEventListener("click", newChat);
byId("suggestions").append(
  ...SUGGESTIONS.map((text) => {
    const button = h("button", { type: "button", class: "suggestion" }, text);
    button.addEventListener("click", () => !running && ask(text));
    return h("li", {}, button);
  }),
);
show(conversation.turns);
sessions.mark(conversation.id);
sessions.refresh();
fieldChanged();
showBanner(byId("banner"), byId("model")).then(follow);
