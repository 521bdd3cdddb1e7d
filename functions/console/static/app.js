// The frame around all views: who is signed in, where one can go, and the view that the address names.
import { Problem, SELF, apiAddress, get, html, keepFocus, onSignedOut, setToken, to, useAddress, useEffect, useState } from "./core.js";
import { render } from "./htm-preact.js";

// path below #/, and the module that shows it, loaded when it is first wanted. A view is its default export
const PAGES = {
  models: ["Models", () => import("./catalog.js")],
  jobs: ["Jobs", () => import("./jobs.js")],
  costs: ["Cost", () => import("./costs.js")],
  audit: ["Audit", () => import("./audit.js")],
  tokens: ["Tokens", () => import("./tokens.js")],
};
const MODEL = () => import("./model.js");

function View({ where, account }) {
  const [page = "models", ...rest] = where.parts;
  const load = page === "models" && rest.length ? MODEL : PAGES[page]?.[1];
  const [view, setView] = useState({});
  useEffect(() => {
    let present = true;
    if (!load) { setView({ load }); return undefined; }
    load().then((module) => present && setView({ load, Shown: module.default }), (error) => present && setView({ load, error }));
    return () => { present = false; };
  }, [load]);
  if (!load) return html`<h1>There is no such page</h1><p class="spaced"><a href=${to("/models")}>To the models</a></p>`;
  if (view.load !== load) return html`<p class="quiet loading" role="status">Loading …</p>`;
  if (view.error) return html`<${Problem} error=${new Error("This part of the console could not be loaded. It may have been updated: load the page anew, and sign in again")} />`;
  return html`<${view.Shown} parts=${rest} query=${where.query} account=${account} />`;
}

function SignIn({ enter, message }) {
  const [state, setState] = useState({});
  const submit = async (event) => {
    event.preventDefault();
    const given = new FormData(event.target).get("token").trim();
    if (state.busy) return;
    setState({ busy: true });
    setToken(given);
    try { enter(await get(SELF)); } catch (error) {
      setToken("");
      document.getElementById("token").select();
      setState({ error: error.status === 401 ? new Error("No valid token. It begins with amaas_, and is shown once when it is created") : error });
    }
  };
  // what is focused of itself is so once in a document, and one may be led back to here
  useEffect(() => { document.title = "Sign in · Amaas"; document.getElementById("token").focus(); }, []);
  return html`<main class="signin" id="main"><div class="mark" aria-hidden="true"></div>
    <h1>Amaas</h1><p class="quiet">${apiAddress()}</p>
    <form onSubmit=${submit}>
      ${message && html`<p class="note" role="status">${message}</p>`}
      <label for="token">Token</label>
      <input id="token" name="token" type="password" required autocomplete="off" spellcheck=${false} autofocus aria-invalid=${state.error ? "true" : undefined} aria-describedby="problem kept" />
      <button class="primary" aria-disabled=${state.busy ? "true" : undefined}>${state.busy ? "Signing in …" : "Sign in"}</button>
      <div id="problem">${state.error && html`<${Problem} error=${state.error} />`}</div>
      <p id="kept" class="quiet">It stays in this page's memory and is forgotten when you close or reload it. An administrator makes one: <code>amaas token create</code></p>
      <p class="quiet"><a href=${`${apiAddress()}/docs`}>The API's page</a> needs none</p>
    </form></main>`;
}

function Console() {
  const [account, setAccount] = useState(null);
  const [message, setMessage] = useState("");
  const where = useAddress();
  useEffect(() => onSignedOut((text) => { setToken(""); setMessage(text); setAccount(null); }), []);
  if (!account) return html`<${SignIn} enter=${setAccount} message=${message} />`;
  const leave = () => { setToken(""); setMessage("You have signed out."); setAccount(null); };
  const here = where.parts[0] ?? "models";
  const skip = (event) => { event.preventDefault(); (document.querySelector("#main h1") ?? document.getElementById("main")).focus(); };
  return html`<a class="skip" href="#main" onClick=${skip}>To the content</a>
    <header class="bar">
      <a class="brand" href=${to("/models")}><span class="mark" aria-hidden="true"></span>Amaas</a>
      <nav aria-label="Console">${Object.entries(PAGES).map(([path, [name]]) => html`<a href=${to(`/${path}`)} aria-current=${here === path ? "page" : undefined}>${name}</a>`)}</nav>
      <details class="account" onfocusout=${(event) => { if (!event.currentTarget.contains(event.relatedTarget)) event.currentTarget.open = false; }} onKeyDown=${(event) => { if (event.key === "Escape") { event.currentTarget.open = false; event.currentTarget.querySelector("summary").focus(); } }}><summary><span>${account.name}</span></summary><div>
        <p><b>${account.name}</b>${account.person && account.person !== account.id && html`<br /><span class="quiet">of ${account.person}</span>`}</p>
        <p class="quiet">Token ${account.id}</p>
        <ul>${account.scopes.map((scope) => html`<li><code>${scope}</code></li>`)}</ul>
        <button type="button" onClick=${leave}>Sign out</button></div></details>
    </header>
    <p class="hidden" role="status" id="said"></p>
    <main id="main" tabindex="-1"><${View} where=${where} account=${account} /></main>`;
}

const place = document.getElementById("console");
place.textContent = "";
keepFocus(place);
render(html`<${Console} />`, place);
