// A model: its tabs, and the first of them, which says what it is.
import { Digest, Facts, Head, Loaded, Pager, Table, Tag, Target, When, at, bytes, count, figure, get, html, named, percent, sentence, setQuery, to, useEffect, useLoad, useRef, useState } from "./core.js";
import { Scatter } from "./charts.js";
import { Markdown } from "./markdown.js";

// path behind the model's name: a line here, and a module
const TABS = {
  "": ["Overview", null],
  release: ["Release", () => import("./release.js")],
  try: ["Try it", () => import("./try.js")],
  traffic: ["Traffic", () => import("./traffic.js")],
  drift: ["Drift and accuracy", () => import("./drift.js")],
  cost: ["Cost", () => import("./costs.js")],
  uploads: ["Uploads", () => import("./uploads.js")],
};

export default function Model({ parts: [name, tab = "", ...rest], query, account }) {
  const model = useLoad((signal) => get(at`/models/${name}`, {}, signal), [name]);
  const [loaded, setLoaded] = useState({});
  const tabs = useRef(null);
  // on a narrow screen the tabs scroll: the one that is shown is in sight
  useEffect(() => { const here = tabs.current.querySelector("[aria-current]"); if (here) tabs.current.scrollLeft = here.offsetLeft - 40; }, [tab]);
  const load = TABS[tab]?.[1];
  useEffect(() => {
    let present = true;
    load?.().then((module) => present && setLoaded({ tab, Shown: module.OfModel ?? module.default }));
    return () => { present = false; };
  }, [tab]);
  const shown = (data) => {
    if (tab === "version") return html`<${Version} model=${data} number=${rest[0]} />`;
    if (!load) return html`<${Overview} model=${data} query=${query} />`;
    return loaded.tab === tab ? html`<${loaded.Shown} model=${data} query=${query} account=${account} reload=${model.reload} />` : html`<p class="quiet loading" role="status">Loading …</p>`;
  };
  return html`<${Head} title=${name} page=${tab === "version" ? `v${rest[0]}` : TABS[tab]?.[0]} kind=${model.data?.task ?? "model"}>
      ${model.data && html`<div class="row">${model.data.tags.map((one) => html`<a class="tag" href=${to("/models", { tag: one })}>${one}</a>`)}</div>`}<//>
    <nav class="tabs" ref=${tabs} onfocusin=${(event) => event.target.scrollIntoView({ block: "nearest", inline: "nearest" })} aria-label=${`Model ${name}`}>${Object.entries(TABS).map(([path, [label]]) => html`
      <a href=${to(at`/models/${name}` + (path && `/${path}`))} aria-current=${tab === path || (tab === "version" && !path) ? "page" : undefined}>${label}</a>`)}</nav>
    ${model.error?.status === 404 ? html`<${Missing} name=${name} query=${query} />` : html`<${Loaded} of=${model}>${shown}<//>`}`;
}

/** No version of it was registered yet: why, its uploads say. */
function Missing({ name, query }) {
  const [view, setView] = useState({});
  useEffect(() => { import("./uploads.js").then((module) => setView({ Uploads: module.default })); }, []);
  return html`<p class="empty spaced-below">There is no model ${name}, or this token may not read it. <a href=${to("/models")}>To the models</a></p>
    ${view.Uploads && html`<${view.Uploads} model=${{ name }} query=${query} />`}`;
}

function Overview({ model, query }) {
  const versions = useLoad((signal) => get(at`/models/${model.name}/versions`, { limit: 20, next: query.next }, signal), [model.name, model.revision, query.next]);
  const aliasesOf = (version) => Object.entries(model.aliases).filter(([, target]) => target.version === version || target.split?.[version]).map(([alias]) => alias);
  return html`<div class="columns"><div>
      <section><h2>Versions</h2><${Loaded} of=${versions}>${(data) => html`
        <${Table} label="Versions" rows=${data.versions} columns=${[
          ["Version", (one) => html`<a href=${to(at`/models/${model.name}/version/${one.version}`)}><b class="version">v${one.version}</b></a>`],
          ["Aliases", (one) => aliasesOf(one.version).map((alias) => html`<${Tag} kind=${alias === "production" ? "good" : ""}>${alias}<//>`)],
          ["State", (one) => (one.state === "active" ? "active" : html`<${Tag} kind="warn">${one.state}<//>`), "wide"],
          ["Size", (one) => bytes(one.size), "number"],
          ["By", (one) => one.by, "wide"],
          ["Created", (one) => html`<${When} at=${one.created_at} />`],
        ]} /><${Pager} next=${data.next} first=${query.next} />
        <${Tradeoff} name=${model.name} versions=${data.versions} />
        <${Compare} name=${model.name} versions=${data.versions} query=${query} />`}<//></section>
    <section><h2>Card</h2>${model.card ? html`<div class="card"><${Markdown} text=${model.card} /></div>` : html`<p class="empty">No card. <code>amaas card NAME FILE</code> writes one.</p>`}</section>
    </div><aside class="stack">
      <section class="card"><h2>Aliases</h2><${Facts} of=${Object.entries(model.aliases).map(([alias, target]) => [alias, html`<${Target} of=${target} />`])} />
        <p><a href=${to(at`/models/${model.name}/release`)}>Releases and history</a></p></section>
      <section class="card"><h2>Facts</h2><${Facts} of=${[["Task", model.task], ["License", model.licence], ["Changed", html`<${When} at=${model.updated_at} />`], ["Revision", count(model.revision)], ...metrics(model.metrics)]} /></section>
    </aside></div>`;
}

/** Metrics that are one number, as names and texts. */
export const metrics = (of) => Object.entries(of ?? {}).filter(([, value]) => typeof value === "number").map(([name, value]) => [named(name), measure(name, value)]);
export const measure = (name, value) => (/accuracy|recall|precision|f1|auc/.test(name) && value <= 1 ? percent(value, 2) : figure(value, 4));

/** Size, latency and accuracy of versions: what one pays for the other. Accuracy from the manifest, latency as counted. */
function Tradeoff({ name, versions }) {
  const shown = versions.slice(0, 8);
  const points = useLoad(async (signal) => {
    const [counts, ...manifests] = await Promise.all([
      get(at`/models/${name}/stats`, { since: "30d", limit: 1 }, signal).catch(() => ({ sums: [] })),
      ...shown.map((one) => get(at`/models/${name}/versions/${one.version}`, {}, signal)),
    ]);
    return manifests.map((manifest) => {
      const measured = counts.sums.filter((sum) => sum.version === manifest.version && sum.latency.run?.p50 !== null);
      const [accuracy] = Object.entries(manifest.metrics ?? {}).filter(([key, value]) => /accuracy/.test(key) && typeof value === "number").sort(([key]) => (key.startsWith("test") ? -1 : 1));
      const most = measured.sort((a, b) => b.requests - a.requests)[0];
      return { version: manifest.version, size: manifest.size, accuracy: accuracy?.[1] ?? null, latency: most?.latency.run.p50 ?? null };
    });
  }, [name, shown.map((one) => one.version).join()]);
  return html`<section class="spaced"><h2>Size, latency, accuracy</h2><${Loaded} of=${points}>${(data) => html`
    <${Scatter} points=${data} />`}<//></section>`;
}

const LONG = 120; // characters of a value that are shown at once

function Compare({ name, versions, query }) {
  const [from, until] = [query.from, query.to];
  const chosen = from && until;
  const rows = useLoad((signal) => (chosen ? get(at`/models/${name}/diff`, { from, to: until }, signal) : Promise.resolve(null)), [name, from, until]);
  if (versions.length < 2) return null;
  const choose = (label, key, value) => html`<label class="inline">${label} <select aria-label=${`${label} version`} value=${value ?? ""} onChange=${(event) => setQuery({ [key]: event.target.value })}><option value="">choose</option>${versions.map((one) => html`<option value=${one.version}>v${one.version}</option>`)}</select></label>`;
  const text = (value) => {
    if (value === null || value === undefined) return html`<span class="quiet">none</span>`;
    const whole = typeof value === "object" ? JSON.stringify(value) : String(value);
    return whole.length <= LONG ? html`<code>${whole}</code>` : html`<details><summary><code>${whole.slice(0, LONG)} …</code></summary><code>${whole.slice(LONG)}</code></details>`;
  };
  return html`<section><h2>What differs between two versions</h2><p class="row">${choose("from", "from", from)} ${choose("to", "to", until)}</p>
    ${chosen && html`<${Loaded} of=${rows}>${(data) => data && html`<${Table} label="Differences" rows=${[...data.metrics, ...data.manifest, ...data.graph]} empty="Nothing differs." columns=${[
      ["Member", (one) => html`<code>${one.path}</code>`], [`v${from}`, (one) => text(one.from)], [`v${until}`, (one) => text(one.to)], ["Change", (one) => (one.change === undefined ? "" : figure(one.change)), "number"]]} />`}<//>`}</section>`;
}

function Version({ model, number }) {
  const version = useLoad((signal) => get(at`/models/${model.name}/versions/${number}`, {}, signal), [model.name, number]);
  const signed = useLoad((signal) => get(at`/models/${model.name}/versions/${number}/signature`, {}, signal), [model.name, number]);
  return html`<p><a href=${to(at`/models/${model.name}`)}>All versions</a></p><${Loaded} of=${version}>${(one) => html`
    <div class="row between spaced spaced-below"><h2 class="big">Version ${one.version}</h2><a class="button" href=${to(at`/models/${model.name}/try`, { version: one.version })}>Try this version</a></div>
    <div class="two">
      <section class="card"><h2>Facts</h2><${Facts} of=${[["State", one.state], ["Created", html`<${When} at=${one.created_at} exact />`], ["By", one.by], ["Size", bytes(one.size)], ["License", one.licence], ["Upload", html`<code>${one.upload}</code>`], ["Data", typeof one.dataset === "string" ? one.dataset : one.dataset?.name]]} /></section>
      <section class="card"><h2>Metrics</h2>${metrics(one.metrics).length ? html`<${Facts} of=${metrics(one.metrics)} />` : html`<p class="quiet">None were measured.</p>`}</section>
      <section class="card"><h2>Lineage</h2>${one.lineage ? html`<${Facts} of=${[["Step", one.lineage.step], ["Parent", one.lineage.parent && html`<code>${one.lineage.parent}</code>`], ...Object.entries(one.lineage.details ?? {}).filter(([, value]) => typeof value !== "object").map(([key, value]) => [key === "step" ? "Kind" : named(key), figure(value, 4)])]} />` : html`<p class="quiet">It was uploaded as it is.</p>`}</section>
      <section class="card"><h2>Signature</h2>${signed.error ? html`<p class="quiet">${sentence(signed.error.message)}</p>` : html`<${Loaded} of=${signed}>${(data) => html`<p><${Tag} kind="good">signed<//> OpenSSF Model Signing, over ${count(Object.keys(data.files).length)} files.</p><p class="quiet"><code>amaas verify ${model.name}@${number}</code> checks it on your machine.</p>`}<//>`}</section>
    </div>
    <section><h2>Files</h2><${Table} label="Files" rows=${Object.entries(one.files)} columns=${[["File", ([name]) => html`<code>${name}</code>`], ["SHA-256", ([, digest]) => html`<${Digest} value=${digest} />`]]} /></section>
    <section><h2>Inputs and outputs</h2><${Table} label="Inputs and outputs" rows=${[...(one.inputs ?? []).map((tensor) => ["input", tensor]), ...(one.outputs ?? []).map((tensor) => ["output", tensor])]} columns=${[
      ["Tensor", ([, tensor]) => html`<code>${tensor.name}</code>`], ["Of", ([kind]) => kind], ["Type", ([, tensor]) => tensor.datatype], ["Shape", ([, tensor]) => html`<code>${tensor.shape.map((n) => (n < 0 ? "any" : n)).join(" × ")}</code>`]]} /></section>
    ${one.labels?.length > 0 && html`<section><h2>Labels</h2><p>${one.labels.slice(0, 60).map((label) => html`<${Tag}>${label}<//>`)} ${one.labels.length > 60 && `and ${count(one.labels.length - 60)} more`}</p></section>`}`}<//>`;
}
