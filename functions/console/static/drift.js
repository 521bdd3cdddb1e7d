// Do a model's calls differ from what its versions were made of, and how often are their answers right?
import { Loaded, Spans, Table, Tag, at, count, get, html, hue, percent, plural, sentence, useLoad, useState } from "./core.js";
import { SPANS } from "./traffic.js";
import { Intervals } from "./charts.js";

const SEVERITIES = { none: "good", moderate: "warn", major: "bad" };
const RANKS = ["none", "moderate", "major"];
const ACCURACIES = { estimated: "good", doubtful: "warn", waiting: "" };
const FIRST = 6; // columns that are drawn until more are asked for
const fixed = (value) => (value === null ? "–" : value.toFixed(3));
const few = html`<span class="quiet" title="fewer than 11 items, which could tell of single ones">too few</span>`;

export default function Drift({ model, query }) {
  const since = SPANS[query.since] ? query.since : "24h";
  const ask = (what) => (signal) => get(at`/models/${model.name}/${what}`, { since }, signal);
  const accuracy = useLoad(ask("accuracy"), [model.name, since], { every: 60000 });
  const drift = useLoad(ask("drift"), [model.name, since], { every: 60000 });
  return html`<${Spans} since=${since} spans=${SPANS} />
    <section><h2>Accuracy</h2><${Loaded} of=${accuracy}>${(data) => html`<${Incomplete} of=${data} /><${Accuracies} versions=${data.versions} /><${Measured} weeks=${data.measured} />`}<//></section>
    <section><h2>Drift</h2><${Loaded} of=${drift}>${(data) => html`<${Incomplete} of=${data} />${data.versions.length ? data.versions.map((one) => html`<${Version} key=${one.version} of=${one} />`) : html`<p class="empty">No calls were counted in this span.</p>`}`}<//></section>`;
}

const Incomplete = ({ of: data }) => data.left_out + data.dropped > 0 && html`<p class="note warn">Not all was counted: ${plural(data.left_out, "stored object")} cannot be read, ${plural(data.dropped, "call")} not remembered.</p>`;
const Name = ({ of: version }) => html`<i class=${`swatch v${hue(version)}`} aria-hidden="true"></i><b class="version">v${version}</b>`;

function Accuracies({ versions }) {
  if (!versions.length) return html`<p class="empty">No calls were counted in this span.</p>`;
  const told = versions.filter((one) => one.estimate !== null);
  const range = (one) => (one.low === null || one.low === undefined ? "–" : `${percent(one.low)} to ${percent(one.high)}`);
  const rows = told.map((one) => ({ name: `v${one.version}`, color: hue(one.version), value: one.estimate, low: one.low, high: one.high, mark: one.trained }));
  return html`<div class="two"><div class="stack">${versions.map((one) => html`<div class="card stack" data-accuracy=${one.version}>
      <p class="row between"><span><${Name} of=${one.version} /></span><${Tag} kind=${ACCURACIES[one.state] ?? ""}>${one.state}<//></p>
      ${one.estimate !== null && html`<p><span class="big">${percent(one.estimate)}</span> <span class="quiet">estimated, ${range(one)}; on the test split ${percent(one.trained)}</span></p>`}
      <p>${sentence(one.reason)}</p></div>`)}</div>
    ${rows.length > 0 && html`<${Intervals} title="Estimated accuracy" rows=${rows} mark="on the test split" />`}</div>
    <details class="table"><summary>Table: accuracy</summary><${Table} label="Accuracy" rows=${versions} columns=${[
      ["Version", (one) => html`<b class="version">v${one.version}</b>`], ["State", (one) => one.state], ["Calls", (one) => count(one.requests), "number"], ["With a score", (one) => count(one.items), "number"],
      ["Estimate", (one) => percent(one.estimate ?? NaN), "number"], ["95 % interval", range, "number"], ["Test split", (one) => percent(one.trained ?? NaN), "number"]]} /></details>`;
}

/** Of answers whose label was given later, how many were right: a row for each version and week. */
function Measured({ weeks }) {
  if (!weeks.length) return html`<p class="quiet spaced">No labels were given to answers of this span, which would say how often they were right.</p>`;
  const mixed = (one) => one.confusions.map((pair) => `${pair.predicted} for ${pair.label} ${count(pair.items)}`).join(", ") || "–";
  return html`<h3 class="spaced">Measured, by labels that were given</h3><${Table} label="Accuracy measured by labels" rows=${weeks} columns=${[
    ["Version", (one) => html`<b class="version">v${one.version}</b>`], ["Week of", (one) => one.week], ["Right", (one) => html`<b>${percent(one.accuracy)}</b>`, "number"], ["95 % interval", (one) => `${percent(one.low)} to ${percent(one.high)}`, "number"],
    ["Labels", (one) => `${count(one.items)} of ${count(one.answered)} answers`, "number wide"], ["Answered for what it was", mixed, "wide"], ["Doubt", (one) => one.doubt ?? "–", "wide"]]} />`;
}

function Version({ of: version }) {
  const [all, setAll] = useState(false);
  const columns = [...version.columns].sort((a, b) => RANKS.indexOf(b.severity) - RANKS.indexOf(a.severity) || (b.effect ?? -1) - (a.effect ?? -1));
  const drawn = columns.filter((one) => one.bins.length);
  const [word, kind] = version.state === "drift" ? [`${version.severity} drift`, SEVERITIES[version.severity]] : version.state === "quiet" ? ["no drift", "good"] : [version.state, ""];
  return html`<section data-drift=${version.version}><p class="row"><${Name} of=${version.version} /> <${Tag} kind=${kind}>${word}<//> <span class="quiet">${plural(version.requests, "call")}${version.baseline ? `, beside the ${version.baseline === "reference" ? "package's reference" : version.baseline}` : ""}</span></p>
    <p class="spaced-below">${sentence(version.reason)}</p>
    ${columns.length > 0 && html`<${Table} label=${`Columns of v${version.version}`} rows=${columns} columns=${[
      ["Column", (one) => html`<b>${one.name}</b>`], ["Severity", (one) => (one.psi === null ? html`<span class="quiet">too few items</span>` : html`<${Tag} kind=${SEVERITIES[one.severity]}>${one.severity}<//>`)],
      ["Effect", (one) => fixed(one.effect), "number"], ["PSI", (one) => fixed(one.psi), "number"], ["By chance below", (one) => fixed(one.threshold), "number"], ["KS distance", (one) => fixed(one.distance), "number wide"], ["Items", (one) => count(one.items), "number wide"], ["Of", (one) => one.of, "wide"]]} />`}
    ${drawn.length > 0 && html`<div class="many spaced">${drawn.slice(0, all ? drawn.length : FIRST).map((one) => html`<${Histogram} key=${one.name} of=${one} version=${version.version} />`)}</div>`}
    ${drawn.length > FIRST && html`<p class="spaced"><button type="button" onClick=${() => setAll(!all)}>${all ? "Show fewer" : `Show all ${drawn.length} columns`}</button></p>`}</section>`;
}

/** Shares of the reference beside those of the calls, bin by bin: a table with a bar in each row. */
function Histogram({ of: column, version }) {
  const most = Math.max(...column.bins.flatMap((one) => [one.reference, one.share ?? 0]), 1e-9);
  const bar = (one) => html`<svg class=${`pair v${hue(version)}`} viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true"><rect class="track" width=${(100 * one.reference) / most} height="5" /><rect class="fill" y="6" width=${(100 * (one.share ?? 0)) / most} height="6" /></svg>`;
  return html`<figure class="card"><figcaption class="row between"><h3>${column.name}</h3><${Tag} kind=${SEVERITIES[column.severity]}>${column.severity}<//></figcaption>
    <${Table} label=${`${column.name} of v${version}: reference and calls`} rows=${column.bins} columns=${[["Bin", (one) => one.bin], [html`<span class="hidden">Bars</span>`, bar, "fill"], ["Reference", (one) => percent(one.reference), "number quiet"], ["Calls", (one) => (one.share === null ? few : percent(one.share)), "number"]]} /></figure>`;
}
