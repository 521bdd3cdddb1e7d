// Releases of a model: where its aliases point, how a canary does, what waits for approval, and all that happened.
import { Ask, Loaded, Pager, Table, Tag, Target, at, call, count, figure, get, html, hue, percent, plural, sentence, to, useEffect, useLoad, useState } from "./core.js";
import { METRICS, Rules, Timeline, clock } from "./history.js";

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
    ${split && html`<${Shares} split=${target.split} /><${Canary} model=${model} alias=${alias} target=${target} done=${done} />`}
    ${policy?.release && html`<details class="table"><summary>How canaries of it are watched</summary><${Rules} of=${policy.release} /></details>`}
    <div class="row"><${Move} model=${model} alias=${alias} target=${target} policy=${policy} done=${done} />
      ${split && !policy?.two_person && Object.keys(target.split).map((version) => html`<${Ask} label=${`All to v${version}`} of=${`of ${alias}`} title=${`Give ${alias} to version ${version} alone?`} done=${done} act=${({ reason }) => call("PUT", at`/models/${model.name}/aliases/${alias}`, { body: { version: Number(version), reason: reason || null, expect_revision: model.revision } })} />`)}
      ${target.previous !== null && !policy?.two_person && html`<${Ask} kind="danger" label="Roll back" of=${alias} keep="Leave it" title=${`Roll ${alias} back?`} done=${done} act=${({ reason }) => call("POST", at`/models/${model.name}/aliases/${alias}/rollback`, { body: { reason: reason || null } })}><p>It points to <b>${target.previous_split ? Object.entries(target.previous_split).map(([v, w]) => `v${v}: ${w}`).join(", ") : `v${target.previous}`}</b> then, within seconds. Calls that are under way are answered as they began.</p><//>`}
    </div></div>`;
}

/** The shares of a split as one bar; the names and figures stand above it. */
function Shares({ split }) {
  const whole = Object.values(split).reduce((sum, weight) => sum + weight, 0) || 1;
  let x = 0;
  return html`<svg class="shares" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">${Object.entries(split).map(([version, weight]) => { const part = (weight / whole) * 100; const bar = html`<rect class=${`v${hue(version)}`} x=${x} width=${Math.max(0, part - 0.4)} height="4" fill="currentColor" />`; x += part; return bar; })}</svg>`;
}

/** How a split does: what the watcher would decide now, and on what that rests. It is asked anew while it is shown. */
function Canary({ model, alias, target, done }) {
  const state = useLoad((signal) => get(at`/models/${model.name}/aliases/${alias}/release`, {}, signal), [model.name, alias, target.since], { every: 5000 });
  const revision = state.data?.revision ?? 0;
  useEffect(() => { if (revision > model.revision) done(); }, [revision]); // somebody, or the watcher, has moved it meanwhile
  return html`<${Loaded} of=${state}>${(data) => (data.stage ? html`<${Judged} of=${data} />` : html`<p class="quiet">Not watched: ${sentence(data.reason)} <a href=${to(at`/models/${model.name}/traffic`, { since: "1h" })}>Its traffic by version</a></p>
    ${!data.policy && html`<p><${Ask} label="Watch canaries" title=${`Watch the canaries of ${alias}?`} done=${done} act=${({ reason }) => call("PUT", at`/models/${model.name}/aliases/${alias}/policy`, { body: { release: {}, reason: reason || null } })}><p>A canary that fails more often than the version beside it is rolled back, within minutes and without a person. It is moved on by persons alone.</p><//></p>`}`)}<//>`;
}

const VERDICTS = { wait: ["waits", ""], "roll-back": ["rolls back", "bad"], "go-on": ["goes on", "good"] };
const odds = (log) => (log > 14 ? "over a million" : figure(Math.exp(log), 2));

function Judged({ of: { stage, policy, verdict, reason, obstacle, evidence } }) {
  const [word, kind] = VERDICTS[verdict] ?? [verdict, ""];
  const [v, beside] = [`v${stage.canary}`, `v${stage.stable}`];
  const calls = (bad, all) => html`${count(bad)} of ${count(all)} <span class="quiet wide">${all ? percent(bad / all) : ""}</span>`;
  return html`<p class="verdict" aria-live="polite"><${Tag} kind=${kind}>${word}<//> ${sentence(reason)}</p>
    ${obstacle && html`<p class="note warn">It is not moved all the same: ${obstacle}.</p>`}
    <ol class="steps" aria-label="Steps of the release">${[...new Set([...policy.steps, stage.weight])].sort((a, b) => a - b).map((step) => html`<li class=${step < stage.weight ? "past" : ""} aria-current=${step === stage.weight ? "step" : undefined}>${figure(step)} %</li>`)}</ol>
    <${Meters} rows=${progress(stage, policy, evidence)} />
    <${Table} label=${`Evidence on ${v}`} rows=${Object.entries(evidence.metrics)} empty="No minute with calls is over yet." columns=${[
      ["Bad calls", ([name]) => METRICS[name] ?? name.replaceAll("_", " ")],
      [html`<i class=${`swatch v${hue(stage.canary)}`} aria-hidden="true"></i>${v}`, ([, one]) => calls(one.canary_bad, one.canary), "number"],
      [html`<i class=${`swatch v${hue(stage.stable)}`} aria-hidden="true"></i>${beside}`, ([, one]) => calls(one.stable_bad, one.stable), "number"],
      ["At most worse by", ([, one]) => (one.loss_bound === null ? html`<span class="quiet">not known yet</span>` : percent(one.loss_bound)), "number"]]} />
    ${evidence.left_out + evidence.dropped > 0 && html`<p class="note warn">Not all was counted: ${plural(evidence.left_out, "stored object")} cannot be read, ${plural(evidence.dropped, "call")} not remembered.</p>`}
    <details class="table"><summary>How to read this</summary><p class="quiet">Evidence of ${odds(evidence.needed)} means: if ${v} were as good as ${beside}, counts like these would come in one release of ${odds(evidence.needed)} at most. ${policy.abort ? "Then it is rolled back without a person." : "Then a person has to roll it back."}
      ${policy.promote ? ` Once all else is full, it gets ${stage.next_step} % without a person.` : ` Once all else is full, a person may give it ${stage.next_step} %.`} Counted ${evidence.first ? `from ${clock(evidence.first)} to ${clock(evidence.last)} UTC` : "from its first calls on"}, since revision ${stage.since}.</p></details>`;
}

/** How far it is on the way back, and on the way on: name, from 0 to 1, text, class. */
function progress(stage, policy, evidence) {
  const needed = evidence.needed;
  const least = Math.min(...Object.values(evidence.metrics).map((one) => one.log_e_no_loss));
  return [
    ["Evidence that it is worse", evidence.log_e_worse / needed, `${odds(evidence.log_e_worse)} of ${odds(needed)}`, "bad"],
    [`Evidence of no loss above ${percent(policy.tolerated_loss, 0)}`, Number.isFinite(least) ? least / needed : 0, `${Number.isFinite(least) ? odds(least) : 0} of ${odds(needed)}`, "good"],
    ["Minutes", stage.minutes / policy.bake_minutes, `${count(stage.minutes)} of ${count(policy.bake_minutes)}`, ""],
    ["Calls", evidence.calls / policy.least_requests, `${count(evidence.calls)} of ${count(policy.least_requests)}`, ""],
  ];
}

const Meters = ({ rows }) => html`<ul class="bars meters">${rows.map(([name, share, text, kind]) => html`<li><span>${name}</span><svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" class=${kind}><rect class="track" width="100" height="6" /><rect class="fill" width=${100 * Math.min(1, Math.max(0, share))} height="6" /></svg><span class="value">${text}</span></li>`)}</ul>`;

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
  const [chosen, setChosen] = useState(versions[0]);
  const [name, setName] = useState(alias);
  const stable = target?.version;
  const canary = stable !== undefined && Number(chosen) !== stable && share < 100;
  const act = ({ reason }) => {
    const where = canary ? { split: { [stable]: 100 - share, [chosen]: Number(share) } } : { version: Number(chosen) };
    const body = { ...where, reason: reason || null, expect_revision: model.revision };
    return policy?.two_person ? call("POST", at`/models/${model.name}/aliases/${name}/requests`, { body }) : call("PUT", at`/models/${model.name}/aliases/${name}`, { body });
  };
  const opened = () => { setShare(10); setChosen(versions[0]); setName(alias); };
  return html`<${Ask} label=${alias ? (policy?.two_person ? "Request a move" : "Move") : "New alias"} of=${alias && `of ${alias}`} opened=${opened} title=${alias ? `Where is ${alias} to point?` : "A new alias"} act=${act} done=${done}>
    ${!alias && html`<label>Name <span class="quiet">small letters, digits and -</span><input required pattern="[a-z][a-z0-9\\-]*" maxlength="32" value=${name} onInput=${(event) => setName(event.target.value)} /></label>`}
    <label>Version<select value=${chosen} onChange=${(event) => setChosen(event.target.value)}>${versions.map((one) => html`<option value=${one}>v${one}${one === stable ? " (now)" : ""}</option>`)}</select></label>
    ${stable !== undefined && Number(chosen) !== stable && html`<label>Share of the calls, in percent<input type="range" min="1" max="100" value=${share} aria-valuetext=${`${share} %`} onInput=${(event) => setShare(Number(event.target.value))} /><input type="number" min="1" max="100" required aria-label="Share in percent, as a number" value=${share} onInput=${(event) => setShare(Math.min(100, Math.max(1, Number(event.target.value) || 1)))} /></label>
      <p class="quiet">${canary ? `Version ${stable} keeps the other ${100 - share} %.` : `Version ${stable} gets no calls any more.`} ${canary && policy?.release ? "The canary is watched." : ""}</p>`}<//>`;
}
