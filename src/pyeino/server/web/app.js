// The chat page: one conversation, one answer at a time.

import { showBanner } from "./banner.js";
import { ChatError, streamChat } from "./client.js";
import { h, newId } from "./dom.js";
import { AnswerElement, questionElement } from "./messages.js";
import { Conversation } from "./conversation.js";

const USER = "local";
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
      user_id: USER,
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

function newChat() {
  running?.abort();
  conversation.reset();
  transcript.replaceChildren();
  byId("welcome").hidden = false;
  status.textContent = "New chat";
  following = false;
  toEnd.hidden = true;
  field.focus();
}

function restore() {
  for (const { question, answer: text, totals, seconds } of conversation.turns) {
    const answer = new AnswerElement();
    transcript.append(questionElement(question), answer.element);
    answer.append(text);
    if (totals) answer.finish(totals);
    else answer.stop(seconds);
  }
  byId("welcome").hidden = conversation.turns.length > 0;
  following = conversation.turns.length > 0;
  follow();
}

byId("new-chat").addEventListener("click", newChat);
byId("suggestions").append(
  ...SUGGESTIONS.map((text) => {
    const button = h("button", { type: "button", class: "suggestion" }, text);
    button.addEventListener("click", () => !running && ask(text));
    return h("li", {}, button);
  }),
);
restore();
fieldChanged();
showBanner(byId("banner"), byId("model")).then(follow);
