// Releases of a model: where its aliases point, how a canary does, what waits for approval, and all that happened.
import { Ask, Loaded, Pager, Tag, Target, at, call, count, figure, get, html, hue, ms, percent, useLoad, useState } from "./core.js";
import { Rules, Timeline } from "./history.js";

export default function Release({ model, query, account, reload }) {
  const history = useLoad((signal) => get(at`/models/${model.name}/history`, { limit: 20, next: query.next }, signal), [model.name, model.revision, query.next], { every: 15000 });
  const done = () => { reload(); history.reload(); };
  // what everybody calls comes first
  const aliases = Object.entries(model.aliases).sort(([a], [b]) => (b === "production") - (a === "production"));
  return html`
    ${model.requests.length > 0 && html`<section><h2>Waiting for approval</h2>${model.requests.map((one) => html`<${Request} model=${model} request=${one} done=${done} />`)}</section>`}
    <section><h2>Aliases</h2>${aliases.length ? html`<div class="two">${aliases.map(([alias, target]) => html`<${Alias} key=${alias} model=${model} alias=${alias} target=${target} account=${account} done=${done} />`)}</div>` : html`<p class="empty">No alias points anywhere yet.</p>`}
      <p class="row spaced"><${Move} model=${model} alias="" done=${done} /></p></section>
    <section><h2>History</h2><${Loaded} of=${history}>${(data) => html`<${Timeline} records=${data.records} /><${Pager} next=${data.next} first=${query.next} />`}<//></section>`;
}

function Alias({ model, alias, target, done }) {
  const policy = model.policies[alias];
  const split = Object.keys(target.split ?? {}).length > 1;
  return html`<div class="card stack" data-alias=${alias}><div class="row between"><h3>${alias}</h3><span>${policy?.two_person ? html`<${Tag}>two persons<//>` : policy?.protected && html`<${Tag}>protected<//>`}</span></div>
    <p class="big"><${Target} of=${target} /></p>
    ${split && html`<${Shares} split=${target.split} /><${Canary} model=${model} alias=${alias} target=${target} />`}
    ${policy?.release && html`<details class="table"><summary>How canaries of it are watched</summary><${Rules} of=${policy.release} /></details>`}
    <div class="row"><${Move} model=${model} alias=${alias} target=${target} policy=${policy} done=${done} />
      ${split && !policy?.two_person && Object.keys(target.split).map((version) => html`<${Ask} label=${`All to v${version}`} title=${`Give ${alias} to version ${version} alone?`} done=${done} act=${({ reason }) => call("PUT", at`/models/${model.name}/aliases/${alias}`, { body: { version: Number(version), reason: reason || null, expect_revision: model.revision } })} />`)}
      ${target.previous !== null && !policy?.two_person && html`<${Ask} kind="danger" label="Roll back" title=${`Roll ${alias} back?`} done=${done} act=${({ reason }) => call("POST", at`/models/${model.name}/aliases/${alias}/rollback`, { body: { reason: reason || null } })}><p>It points to <b>${target.previous_split ? Object.entries(target.previous_split).map(([v, w]) => `v${v}: ${w}`).join(", ") : `v${target.previous}`}</b> then, within seconds. Calls that are under way are answered as they began.</p><//>`}
    </div></div>`;
}

/** The shares of a split as one bar; the names and figures stand above it. */
function Shares({ split }) {
  const whole = Object.values(split).reduce((sum, weight) => sum + weight, 0) || 1;
  let x = 0;
  return html`<svg class="shares" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">${Object.entries(split).map(([version, weight]) => { const part = (weight / whole) * 100; const bar = html`<rect class=${`v${hue(version)}`} x=${x} width=${Math.max(0, part - 0.4)} height="4" fill="currentColor" />`; x += part; return bar; })}</svg>`;
}

/** Both versions of a split since its last move, as counted: the same figures that the watcher judges by. */
function Canary({ model, alias, target }) {
  const counts = useLoad((signal) => get(at`/models/${model.name}/stats`, { since: "24h", limit: 1 }, signal), [model.name, alias, target.since], { every: 15000 });
  return html`<${Loaded} of=${counts}>${(data) => {
    const versions = Object.keys(target.split).map(Number);
    const sums = versions.map((version) => data.sums.find((sum) => sum.version === version && sum.alias === alias && sum.revision === target.since));
    return html`<div class="scroll" tabindex="0" role="region" aria-label=${`Calls of ${alias} since its last move`}><table><caption class="hidden">Calls since the last move</caption><thead><tr><th scope="col">Since its last move</th>${versions.map((version) => html`<th scope="col" class="number"><i class=${`swatch v${hue(version)}`} aria-hidden="true"></i>v${version}</th>`)}</tr></thead><tbody>
      ${[["Calls", (sum) => count(sum.requests)], ["Server errors", (sum) => `${count(sum.server_errors)} (${percent(sum.requests ? sum.server_errors / sum.requests : 0)})`], ["Median", (sum) => ms(sum.latency.total?.p50)], ["95th percentile", (sum) => ms(sum.latency.total?.p95)]].map(([name, of]) => html`<tr><th scope="row">${name}</th>${sums.map((sum) => html`<td class="number">${sum ? of(sum) : "–"}</td>`)}</tr>`)}
    </tbody></table></div>${sums.every((sum) => !sum) && html`<p class="quiet">No calls have been counted since. Counts come within a minute or two.</p>`}`;
  }}<//>`;
}

function Request({ model, request, done }) {
  const path = at`/models/${model.name}/requests/${request.request}`;
  const act = (what) => ({ reason }) => call("POST", `${path}/${what}`, { body: { reason: reason || null } });
  return html`<div class="note warn"><p><b>${request.alias}</b> → <${Target} of=${request.target} /> ${request.policy && "with another policy"}, by ${request.name ?? request.by}${request.reason ? `: ${request.reason}` : ""}</p>
    <span class="row"><${Ask} label="Approve" kind="primary" title=${`Approve request ${request.request}?`} act=${act("approve")} done=${done} /><${Ask} label="Reject" title=${`Reject request ${request.request}?`} act=${act("reject")} done=${done} /></span></div>`;
}

/** Move an alias: to one version, or a share of the calls to a second one. What needs two persons becomes a request. */
function Move({ model, alias, target, policy, done }) {
  const versions = model.versions.filter((one) => one.state === "active").map((one) => one.version);
  const [share, setShare] = useState(10);
  const [to, setTo] = useState(versions[0]);
  const [name, setName] = useState(alias);
  const stable = target?.version;
  const canary = stable !== undefined && Number(to) !== stable && share < 100;
  const act = ({ reason }) => {
    const where = canary ? { split: { [stable]: 100 - share, [to]: Number(share) } } : { version: Number(to) };
    const body = { ...where, reason: reason || null, expect_revision: model.revision };
    return policy?.two_person ? call("POST", at`/models/${model.name}/aliases/${name}/requests`, { body }) : call("PUT", at`/models/${model.name}/aliases/${name}`, { body });
  };
  return html`<${Ask} label=${alias ? (policy?.two_person ? "Request a move" : "Move") : "New alias"} title=${alias ? `Where is ${alias} to point?` : "A new alias"} act=${act} done=${done}>
    ${!alias && html`<label>Name<input required pattern="[a-z][a-z0-9\\-]*" maxlength="32" value=${name} onInput=${(event) => setName(event.target.value)} /></label>`}
    <label>Version<select value=${to} onChange=${(event) => setTo(event.target.value)}>${versions.map((one) => html`<option value=${one}>v${one}${one === stable ? " (now)" : ""}</option>`)}</select></label>
    ${stable !== undefined && Number(to) !== stable && html`<label>Share of the calls: ${figure(Number(share))} %<input type="range" min="1" max="100" value=${share} onInput=${(event) => setShare(Number(event.target.value))} /></label>
      <p class="quiet">${canary ? `Version ${stable} keeps the other ${100 - share} %.` : `Version ${stable} gets no calls any more.`} ${policy?.release ? "The canary is watched." : ""}</p>`}<//>`;
}
