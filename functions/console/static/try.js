// A model tried: one input, one or two versions, their answers side by side with times and what they rest on.
import { Loaded, Problem, at, call, count, figure, get, html, hue, percent, setQuery, tell, useEffect, useLoad, useRef, useState } from "./core.js";
import { Bars } from "./charts.js";
import { Chat } from "./chat.js";
import { Explanation } from "./explain.js";
import { INPUTS, kindOf } from "./inputs.js";

const PHASES = { resolve: "resolve", load: "load", pre: "prepare", run: "run", post: "finish" };

export default function Try({ model, query }) {
  const choices = [...Object.keys(model.aliases).map((alias) => [alias, alias]), ...model.versions.filter((one) => one.state === "active").map((one) => [String(one.version), `v${one.version}`])];
  const first = query.version || choices[0]?.[0] || "";
  const second = query.beside || "";
  const manifest = useLoad((signal) => get(at`/models/${model.name}/versions/${first}`, {}, signal), [model.name, first]);
  const select = (label, key, value, none) => html`<label class="inline">${label} <select value=${value} onChange=${(event) => setQuery({ [key]: event.target.value }, { replace: true })}>${none && html`<option value="">none</option>`}${choices.map(([reference, name]) => html`<option value=${reference}>${name}</option>`)}</select></label>`;
  if (!choices.length) return html`<p class="empty">There is no version in use to try.</p>`;
  return html`<p class="row spaced-below">${select("Version", "version", first)} ${select("beside", "beside", second, true)}</p>
    <${Loaded} of=${manifest}>${(data) => html`<${data.task === "text-generation" ? Chat : Bench} key=${model.name} model=${model} manifest=${data} references=${[first, second].filter(Boolean)} />`}<//>`;
}

function Bench({ model, manifest, references }) {
  const kind = kindOf(manifest);
  const [input, setInput] = useState(null);
  const [runs, setRuns] = useState({});
  const turn = useRef(0);
  const Input = INPUTS[kind];
  const run = async (value) => {
    const mine = (turn.current += 1);
    setRuns(Object.fromEntries(references.map((one) => [one, { busy: true }])));
    await Promise.all(references.map(async (reference) => {
      const result = await predict(model.name, reference, value).catch((error) => ({ error }));
      if (mine === turn.current) setRuns((old) => ({ ...old, [reference]: result }));
      return [reference, result];
    })).then((all) => mine === turn.current && tell(all.map(([reference, { error, result }]) => `${/^\d/.test(reference) ? "v" : ""}${reference}: ${error ? error.message : brief(result)}`).join("; ")));
  };
  const give = (value) => { setInput(value); if (value) run(value); };
  useEffect(() => { if (input) run(input); }, [references.join()]);
  return html`<div class="bench"><section class="card"><h2>Input</h2><${Input} manifest=${manifest} give=${give} /></section>
    <div class="answers">${references.map((reference) => html`<section class="card" key=${reference} data-answer=${reference}>
      <h2><i class=${`swatch v${hue(runs[reference]?.version ?? (/^\d/.test(reference) ? reference : 1))}`} aria-hidden="true"></i>${/^\d/.test(reference) ? `v${reference}` : reference}${runs[reference]?.version && !/^\d/.test(reference) ? html` <span class="quiet">v${runs[reference].version}</span>` : ""}</h2>
      <${Answer} run=${runs[reference]} color=${hue(runs[reference]?.version ?? 1)} name=${model.name} reference=${reference} input=${input} kind=${kind} /></section>`)}
    </div></div>`;
}

async function predict(name, reference, input) {
  const started = performance.now();
  const answer = await call("POST", at`/models/${name}/versions/${reference}/predict`, { body: input.body, headers: input.type ? { "Content-Type": input.type } : {}, raw: true });
  const result = await answer.json();
  const timing = Object.fromEntries([...(answer.headers.get("Server-Timing") ?? "").matchAll(/(\w+);dur=([\d.]+)/g)].map(([, phase, duration]) => [phase, Number(duration)]));
  return { result, timing, whole: performance.now() - started, version: answer.headers.get("x-amaas-version") };
}

function Answer({ run, color, name, reference, input, kind }) {
  const [explained, setExplained] = useState({});
  useEffect(() => setExplained({}), [input, reference, run]);
  if (!run) return html`<p class="quiet">The answer comes here.</p>`;
  if (run.busy) return html`<p class="quiet">Asking …</p>`;
  if (run.error) return html`<${Problem} error=${run.error} />`;
  const explain = async () => {
    if (explained.busy) return;
    setExplained({ busy: true });
    try {
      // of the version that has answered: an alias with a split may lead to another one now
      setExplained({ data: await call("POST", at`/models/${name}/versions/${run.version ?? reference}/explain`, { body: input.body, headers: input.type ? { "Content-Type": input.type } : {} }) });
    } catch (error) { setExplained({ error }); }
  };
  return html`<${Result} of=${run.result} color=${color} /><${Timing} of=${run} />
    ${explained.data ? html`<${Explanation} of=${explained.data} input=${input} />` : html`<p class="spaced"><button type="button" onClick=${explain} aria-disabled=${explained.busy ? "true" : undefined}>${explained.busy ? "Working it out …" : "Why?"}</button></p>`}
    ${explained.error && html`<${Problem} error=${explained.error} />`}`;
}

const labels = (predictions, color) => html`<p class="big">${predictions[0]?.label ?? "–"} <span class="quiet">${predictions[0] && percent(predictions[0].score)}</span></p><${Bars} label="Labels" most=${1} rows=${predictions.slice(0, 6).map((one) => [one.label, one.score, color])} show=${(value) => percent(value)} />`;

/** The answer in a word. */
const brief = ({ predictions, value, objects, entities }) => predictions?.[0] ? `${predictions[0].label}, ${percent(predictions[0].score)}` : value !== undefined ? figure(value, 5) : objects ? `${objects.length} objects` : entities ? `${entities.length} entities` : "answered";

/** The answer in the task's own terms. */
function Result({ of: result, color }) {
  if (result.predictions) return labels(result.predictions, color);
  if (result.segments) return html`${result.segments.map((one) => html`<h3>${figure(one.start)} to ${figure(one.end)} s</h3>${labels(one.predictions, color)}`)}`;
  if (result.value !== undefined) return html`<p class="big">${figure(result.value, 5)}</p>`;
  if (result.entities) return html`<ul>${result.entities.map((one) => html`<li><b>${one.text}</b> ${one.entity} ${percent(one.score)}</li>`)}</ul>`;
  if (result.objects) return html`<ul>${result.objects.map((one) => html`<li><b>${one.label}</b> ${percent(one.score)}</li>`)}</ul>`;
  return html`<pre class="json" tabindex="0">${JSON.stringify(result, null, 1).slice(0, 4000)}</pre>`;
}

/** Where the time went: what the function says of itself, and what the way there and back took. */
function Timing({ of: run }) {
  const phases = Object.entries(run.timing);
  const inside = phases.reduce((sum, [, duration]) => sum + duration, 0);
  return html`<dl class="timing"><div><dt>Answer</dt><dd>${count(run.whole)} ms</dd></div>${phases.filter(([, duration]) => duration >= 0.0005).map(([phase, duration]) => html`<div><dt>${PHASES[phase] ?? phase}</dt><dd>${figure(duration)} ms</dd></div>`)}${phases.length > 0 && html`<div><dt>on the way</dt><dd>${count(Math.max(0, run.whole - inside))} ms</dd></div>`}</dl>`;
}
