// What every view stands on: calls of the API, the address, loading, and the parts that pages are made of.
import { html, useEffect, useRef, useState } from "./htm-preact.js";

export { html, useEffect, useRef, useState };

// ---- the API, with a token that only this variable has: closing or reloading the page forgets it

export const SELF = "/tokens/self"; // what a token may do: asked when somebody signs in with it
const ROOT = new URL("../../", import.meta.url); // of .../console/BUILD/core.js
let token = "";
let signedOut = () => {};

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export const apiAddress = () => ROOT.href.replace(/\/$/, "");
export const setToken = (value) => { token = value; };
export const onSignedOut = (listener) => { signedOut = listener; };

/** A path with its values quoted, so that none becomes another path: at`/models/${name}`. */
export const at = (texts, ...values) =>
  texts.reduce((path, text, i) => path + text + (i < values.length ? encodeURIComponent(values[i]) : ""), "");

/** Call the API; the answer's JSON. Throws ApiError. raw: for the Response itself. body: JSON, or a Blob as it is. */
export async function call(method, path, { query = {}, body, headers = {}, raw = false, signal } = {}) {
  const url = new URL(path.replace(/^\//, ""), ROOT);
  for (const [name, value] of Object.entries(query)) {
    if (value !== "" && value !== null && value !== undefined) url.searchParams.set(name, value);
  }
  const json = body !== undefined && !(body instanceof Blob);
  const request = { method, signal, cache: "no-store", credentials: "omit", headers: { Authorization: `Bearer ${token}`, ...headers } };
  if (json) request.headers["Content-Type"] = "application/json";
  if (body !== undefined) request.body = json ? JSON.stringify(body) : body;
  let answer;
  try {
    answer = await fetch(url, request);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "The API does not answer: is the network there? Try again.");
  }
  if (!answer.ok) {
    const text = await answer.text();
    let message = text || `The API answered with status ${answer.status}.`;
    try { const { error } = JSON.parse(text); message = error?.message ?? error ?? message; } catch { /* not of ours: the text as it is */ }
    if (answer.status === 401 && path !== SELF) signedOut("This token is no longer let in: sign in again.");
    throw new ApiError(answer.status, String(message));
  }
  return raw ? answer : answer.json();
}

export const get = (path, query, signal) => call("GET", path, { query, signal });

// ---- the address: #/path?query. Everything that a view shows is in it, but the token

export function address() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const parts = path.split("/").filter(Boolean).map((part) => {
    try { return decodeURIComponent(part); } catch { return part; }
  });
  return { parts, query: Object.fromEntries(new URLSearchParams(query)) };
}

export function to(path, query = {}) {
  const kept = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const text = new URLSearchParams(kept).toString();
  return `#${path}${text ? `?${text}` : ""}`;
}

/** Change the query of this page; a new entry in the history, unless it is one that grows while somebody types. */
export function setQuery(changes, { replace = false } = {}) {
  const { parts, query } = address();
  const target = to("/" + parts.map(encodeURIComponent).join("/"), { ...query, ...changes });
  if (replace) {
    history.replaceState(null, "", target);
    dispatchEvent(new HashChangeEvent("hashchange"));
  } else location.hash = target.slice(1);
}

export function useAddress() {
  const [state, setState] = useState(address);
  useEffect(() => {
    const read = () => setState(address());
    addEventListener("hashchange", read);
    return () => removeEventListener("hashchange", read);
  }, []);
  return state;
}

// ---- loading

/** What `ask` gives, anew when `keys` change or by reload(). every: milliseconds after which it is asked again. */
export function useLoad(ask, keys, { every = 0 } = {}) {
  const [state, setState] = useState({});
  const [turn, setTurn] = useState(0);
  const shown = useRef("");
  useEffect(() => {
    const abort = new AbortController();
    const key = JSON.stringify(keys);
    if (shown.current !== key) setState({ loading: true }); // never another page's data below this one's name
    shown.current = key;
    ask(abort.signal).then(
      (data) => !abort.signal.aborted && setState({ data }),
      (error) => !abort.signal.aborted && setState((old) => ({ ...old, loading: false, error })),
    );
    return () => abort.abort();
  }, [...keys, turn]);
  useEffect(() => {
    if (!every) return undefined;
    const timer = setInterval(() => document.hidden || setTurn((n) => n + 1), every);
    return () => clearInterval(timer);
  }, [every]);
  return { ...state, reload: () => setTurn((n) => n + 1) };
}

/** What has been loaded, or that it is loading, or why it could not be. */
export function Loaded({ of: state, children }) {
  if (state.data === undefined && state.error) return html`<${Problem} error=${state.error} again=${state.reload} />`;
  if (state.data === undefined) return html`<p class="quiet loading" role="status">Loading …</p>`;
  return html`${state.error && html`<${Problem} error=${state.error} again=${state.reload} />`}${children(state.data)}`;
}

export const Problem = ({ error, again }) => html`<div class="note bad" role="alert">
  <p>${sentence(error.message)}</p>
  ${again && html`<button type="button" onClick=${again}>Try again</button>`}
</div>`;

// ---- words and figures

export const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?…]$/.test(text) ? "" : ".");
/** A member of a manifest, or an option, as a name for readers. */
export const named = (member) => member.charAt(0).toUpperCase() + member.slice(1).replaceAll(/[_-]/g, " ");
const GROUPED = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
export const count = (n) => (n === null || n === undefined ? "–" : GROUPED.format(n));
export const plural = (n, word) => `${count(n)} ${word}${n === 1 ? "" : "s"}`;

export function figure(value, digits = 3) {
  if (typeof value !== "number") return value === null || value === undefined ? "–" : String(value);
  if (Number.isInteger(value)) return count(value);
  return Math.abs(value) >= 1000 ? count(value) : String(Number(value.toPrecision(digits)));
}

export const percent = (part, digits = 1) => (Number.isFinite(part) ? `${(part * 100).toFixed(digits)} %` : "–");
export const ms = (value) => (value === null || value === undefined ? "–" : `${figure(value)} ms`);

export function bytes(n) {
  if (n === null || n === undefined) return "–";
  const power = Math.min(4, Math.floor(Math.log(Math.max(n, 1)) / Math.log(1000)));
  return `${figure(n / 1000 ** power)} ${["B", "kB", "MB", "GB", "TB"][power]}`;
}

export function ago(date, now = Date.now()) {
  const seconds = (now - date) / 1000;
  const spans = [[86400 * 365, "year"], [86400 * 30, "month"], [86400, "day"], [3600, "hour"], [60, "minute"]];
  const [size, word] = spans.find(([span]) => Math.abs(seconds) >= span) ?? [1, "second"];
  const n = Math.floor(Math.abs(seconds) / size);
  if (word === "second") return "just now";
  return seconds < 0 ? `in ${plural(n, word)}` : `${plural(n, word)} ago`;
}

/** A time (ISO, or seconds since the epoch): how long ago, with the time itself in UTC. */
export function When({ at: value, exact = false }) {
  if (value === null || value === undefined) return html`<span class="quiet">–</span>`;
  const date = new Date(typeof value === "number" ? value * 1000 : value);
  const text = date.toISOString().slice(0, 16).replace("T", " ");
  return html`<time datetime=${date.toISOString()} title=${`${text} UTC`}>${exact ? text : ago(date)}</time>`;
}

// ---- parts of pages

let shownPath = ""; // of the page whose heading got the focus last

/** A page's head: its name gets the focus when the page changes, so that a reader hears where it is. page: of several with one title. */
export function Head({ title, kind, page, children }) {
  const heading = useRef(null);
  const path = address().parts.join("/");
  useEffect(() => {
    document.title = [page, title, "Amaas"].filter(Boolean).join(" · ");
    const active = document.activeElement;
    const changed = shownPath !== path || active === document.body; // which it is if the link that led here is gone
    shownPath = path;
    if (changed && !active?.closest("#main input, #main select, #main textarea, dialog")) heading.current?.focus({ preventScroll: true });
  }, [title, page, path]);
  return html`<header class="head"><div>
    ${kind && html`<p class="kind">${kind}</p>`}<h1 tabindex="-1" ref=${heading}>${title}</h1></div>
    ${children}</header>`;
}

/** One table. columns: [name, cell of a row, class]. Wide ones scroll by themselves, by keyboard too. */
export function Table({ label, columns, rows, empty = "Nothing yet.", row = {} }) {
  if (!rows.length) return html`<p class="empty">${empty}</p>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${label}><table>
    <caption class="hidden">${label}</caption>
    <thead><tr>${columns.map(([name, , kind]) => (name ? html`<th scope="col" class=${kind}>${name}</th>` : html`<td class=${kind}></td>`))}</tr></thead>
    <tbody>${rows.map((one) => html`<tr ...${typeof row === "function" ? row(one) : row}>
      ${columns.map(([, cell, kind], i) => (i ? html`<td class=${kind}>${cell(one)}</td>` : html`<th scope="row" class=${kind}>${cell(one)}</th>`))}
    </tr>`)}</tbody></table></div>`;
}

export const Facts = ({ of: pairs }) => html`<dl class="facts">${pairs
  .filter(([, value]) => value !== undefined && value !== null && value !== "")
  .map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;

export const Tag = ({ kind = "", children }) => html`<span class=${`tag ${kind}`}>${children}</span>`;

/** A digest, short; the whole one in its title, and copied by a click. */
export function Digest({ value }) {
  const [copied, setCopied] = useState(false);
  const copy = () => navigator.clipboard?.writeText(value).then(() => { setCopied(true); setTimeout(() => setCopied(false), 1500); }, () => {});
  return html`<button type="button" class="digest" title=${value} aria-label=${copied ? "copied" : `copy digest ${value.slice(0, 12)}`} onClick=${copy}>${copied ? "copied" : value.slice(0, 12)}</button>`;
}

/** The color of a version, the same on every page. */
export const hue = (version) => (Number(version) - 1) % 6;

/** Where an alias points: one version, or a bar of the shares of several, with a shadow. */
export function Target({ of: target }) {
  const split = Object.entries(target.split ?? { [target.version]: 1 });
  const whole = split.reduce((sum, [, weight]) => sum + weight, 0) || 1;
  const shadow = target.shadow && html` <${Tag} kind="shadow">shadow v${target.shadow}<//>`;
  if (split.length === 1) return html`<b class="version">v${split[0][0]}</b>${shadow}`;
  return html`<span class="split">${split.map(([version, weight]) => html`<span><i class=${`swatch v${hue(version)}`} aria-hidden="true"></i><b class="version">v${version}</b> ${figure((weight / whole) * 100)} %</span>`)}</span>${shadow}`;
}

/**
 * What is done to a model, asked once more in a dialog, with a reason. act: gets it; throws ApiError. of: what it is
 * done to, where several buttons have one label. keep: the way out. final: it cannot be undone. opened: called when the
 * dialog opens.
 */
export function Ask({ label, title, children, act, done, kind = "", of = "", keep = "Cancel", final = false, opened, reason = true }) {
  const dialog = useRef(null);
  const [state, setState] = useState({});
  const close = () => dialog.current.close();
  const submit = async (event) => {
    event.preventDefault();
    if (state.busy) return; // the button stays enabled: one that is not loses the focus
    const form = new FormData(event.target);
    setState({ busy: true });
    try {
      await act(Object.fromEntries(form));
      setState({});
      close();
      tell(`${title.replace("?", "")}: done.`);
      done?.();
    } catch (error) { setState({ error }); }
  };
  const open = () => { setState({}); dialog.current.querySelector("form").reset(); opened?.(); dialog.current.showModal(); };
  // what cannot be undone is not done by Enter in the first field
  const type = (event) => { if (final && event.key === "Enter" && event.target.tagName === "INPUT") event.preventDefault(); };
  return html`<button type="button" class=${kind} aria-label=${of && `${label} ${of}`} onClick=${open}>${label}</button>
  <dialog ref=${dialog} aria-label=${title}><form onSubmit=${submit} onKeyDown=${type}><h2>${title}</h2>${children}
    ${reason && html`<label>Reason <span class="quiet">kept in the history</span><input name="reason" maxlength="2000" autocomplete="off" /></label>`}
    ${state.error && html`<${Problem} error=${state.error} />`}
    <p class="actions"><button type="button" autofocus=${final} onClick=${close}>${keep}</button><button class=${`primary ${kind}`} aria-disabled=${state.busy ? "true" : undefined}>${label}</button></p>
  </form></dialog>`;
}

// ---- for who does not see the page change

/** Have a screen reader say it. The element is there from the beginning: what is inserted with its text is not read. */
export function tell(text) {
  const place = document.getElementById("said");
  if (place) place.textContent = text;
}

/** What has the focus may go with its part of the page: then the heading of what is left around it gets the focus. */
export function keepFocus(root) {
  let around = []; // what had the focus last, and all that it was in, from the inside
  root.addEventListener("focusin", (event) => {
    around = [];
    for (let one = event.target; one && one !== root; one = one.parentElement) around.push(one);
  });
  new MutationObserver(() => {
    if (!around.length || document.activeElement !== document.body || (around[0].isConnected && !around[0].disabled)) return;
    const left = around.find((one) => one.isConnected && one.matches("section, main, dialog[open]") && one.querySelector("h1, h2, h3"));
    const heading = (left ?? root).querySelector("h1, h2, h3");
    if (!heading) return; // nothing is shown yet
    heading.tabIndex = -1;
    heading.focus({ preventScroll: true });
  }).observe(root, { childList: true, subtree: true, attributes: true, attributeFilter: ["disabled"] });
}

/** How far back: the address has it as `since`. spans: names by value. */
export const Spans = ({ since, spans }) => html`<p class="row spans" role="group" aria-label="Span">${Object.entries(spans).map(([value, name]) => html`<button type="button" aria-pressed=${String(value === since)} onClick=${() => setQuery({ since: value })}>${name}</button>`)}</p>`;

/** A page of a list at a time. next: the cursor of the page behind, which the address gets as `next`. */
export const Pager = ({ next, first }) => (next || first) && html`<nav class="pager" aria-label="Pages">
  ${first && html`<button type="button" onClick=${() => setQuery({ next: null })}>First page</button>`}
  ${next && html`<button type="button" onClick=${() => setQuery({ next })}>Next page</button>`}</nav>`;
