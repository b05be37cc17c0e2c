// Signing in, where the server asks for it: a key once, then tokens that are renewed by themselves.

import { ROOT, h } from "./dom.js";

const STORE = "pyeino.tokens"; // sessionStorage: gone with the tab; the key itself is never kept
const LOCAL = "local";

/** The event on the document that says that somebody has signed in or out. */
export const USER_CHANGED = "pyeino-user";

let asking = null; // the dialog that is open, as a promise of whether somebody signed in
let renewing = null; // the refresh under way: a refresh token is good once

function stored() {
  try {
    return JSON.parse(sessionStorage.getItem(STORE) ?? "null");
  } catch {
    return null; // no storage, or not ours: ask again
  }
}

let memory = stored();

function keep(tokens) {
  try {
    if (tokens) sessionStorage.setItem(STORE, JSON.stringify(tokens));
    else sessionStorage.removeItem(STORE);
  } catch {
    // A browser that keeps nothing asks again after a reload.
  }
  memory = tokens;
  document.dispatchEvent(new Event(USER_CHANGED));
}

/** The user that requests are made for: the one that signed in, or the one of a server without. */
export function currentUser() {
  return memory?.user_id ?? LOCAL;
}

/** True once somebody has signed in here. */
export function signedIn() {
  return Boolean(memory);
}

const post = (path, headers, body) =>
  fetch(new URL(`api/v1/auth/${path}`, ROOT), {
    method: "POST",
    headers: { accept: "application/json", "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
    cache: "no-store",
  });

async function signIn(key) {
  const response = await post("token", { authorization: `Bearer ${key}` }, {});
  if (!response.ok) {
    const body = await response.json().catch(() => null);
    throw new Error(body?.error?.message ?? `The server answered with status ${response.status}`);
  }
  const { access_token, refresh_token } = await response.json();
  const me = await fetch(new URL("api/v1/auth/me", ROOT), {
    headers: { accept: "application/json", authorization: `Bearer ${access_token}` },
    cache: "no-store",
  });
  const { user_id } = await me.json();
  keep({ access_token, refresh_token, user_id });
}

async function renew() {
  const before = memory;
  const response = await post("refresh", {}, { refresh_token: before.refresh_token });
  if (response.ok) {
    const { access_token, refresh_token } = await response.json();
    keep({ ...before, access_token, refresh_token });
    return true;
  }
  if (response.status === 401) keep(null);
  return false;
}

/** Sign out: the tokens end on the server, too. */
export async function signOut() {
  const token = memory?.access_token;
  keep(null);
  if (token) await post("revoke", {}, { token }).catch(() => null);
}

function askForKey() {
  return new Promise((resolve) => {
    const field = h("input", {
      id: "api-key",
      type: "password",
      name: "api-key",
      autocomplete: "off",
      spellcheck: "false",
      required: true,
    });
    const trouble = h("p", { class: "sign-in-trouble", role: "alert" });
    const submit = h("button", { type: "submit", class: "button" }, "Sign in");
    const cancel = h("button", { type: "button", class: "ghost" }, "Not now");
    const form = h(
      "form",
      { method: "dialog" },
      h("h2", { id: "sign-in-title" }, "Sign in"),
      h("p", {}, "This server asks for an API key. It is exchanged for tokens and not kept."),
      h("label", { for: "api-key" }, "API key"),
      field,
      trouble,
      h("p", { class: "sign-in-actions" }, cancel, submit),
    );
    const dialog = h("dialog", { class: "sign-in", "aria-labelledby": "sign-in-title" }, form);
    const end = (done) => {
      dialog.remove();
      resolve(done);
    };
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      submit.disabled = true;
      trouble.textContent = "";
      try {
        await signIn(field.value.trim());
        end(true);
      } catch (error) {
        trouble.textContent =
          error instanceof TypeError ? "The server cannot be reached" : error.message;
        submit.disabled = false;
        field.focus();
      }
    });
    cancel.addEventListener("click", () => end(false));
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      end(false);
    });
    document.body.append(dialog);
    dialog.showModal();
    field.focus();
  });
}

/** Ask for a key unless that is being done already; whether somebody signed in. */
function requireKey() {
  asking ??= askForKey().finally(() => (asking = null));
  return asking;
}

/** Get new tokens: by the refresh token where there is one, else by asking; whether it worked. */
async function authorizeAgain(used) {
  if (memory && memory.access_token !== used) return true; // somebody else has done it meanwhile
  if (memory) {
    renewing ??= renew().finally(() => (renewing = null));
    if (await renewing) return true;
  }
  return requireKey();
}

/**
 * fetch with the tokens of who signed in. `init` makes the options, anew for each try, so that
 * what depends on the user follows a sign-in. A 401 is answered by new tokens and one more try.
 */
export async function authorizedFetch(url, init) {
  for (let tries = 0; ; tries += 1) {
    const used = memory?.access_token;
    const { headers, ...options } = init();
    const authorization = used ? { authorization: `Bearer ${used}` } : {};
    const response = await fetch(url, { ...options, headers: { ...headers, ...authorization } });
    if (response.status !== 401 || tries === 2) return response;
    if (!(await authorizeAgain(used))) return response;
  }
}
