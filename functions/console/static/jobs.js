// Batch predictions and training jobs: all of them, and the one that the address names, with its failures or its curves.
import { Ask, Facts, Head, Loaded, Pager, Table, Tag, When, at, call, count, figure, get, html, named, plural, sentence, to, useLoad } from "./core.js";
import { Lines } from "./charts.js";

const KINDS = { done: "good", succeeded: "good", failed: "bad", incomplete: "warn", cancelled: "warn" };
const ENDED = ["done", "incomplete", "succeeded", "failed", "cancelled"];
const State = ({ of: job }) => html`<${Tag} kind=${KINDS[job.state] ?? ""}>${job.state}<//>`;

export default function Jobs({ parts: [kind, id], query }) {
  if (kind === "training" && id) return html`<${Training} id=${id} />`;
  if (kind === "batch" && id) return html`<${Batch} id=${id} query=${query} />`;
  return html`<${Head} title="Jobs" /><${List} query=${query} />`;
}

function List({ query }) {
  const batch = useLoad((signal) => get("/batch", { limit: 25, next: query.next }, signal), [query.next], { every: 10000 });
  const training = useLoad((signal) => get("/training-jobs", { limit: 25, next: query.trained }, signal), [query.trained], { every: 10000 });
  return html`<section><h2>Training</h2><${Loaded} of=${training}>${(data) => html`<${Table} label="Training jobs" rows=${data.jobs} empty=${html`No model was trained yet. <code>amaas train NAME</code> starts a job.`} columns=${[
      ["Job", (one) => html`<a href=${to(at`/jobs/training/${one.id}`)}>${one.id}</a>`], ["Model", (one) => html`<a href=${to(at`/models/${one.model}`)}>${one.model}</a>`], ["State", (one) => html`<${State} of=${one} />`], ["Data", (one) => one.data, "wide"],
      ["What came of it", (one) => (one.version ? `v${one.version}` : one.reason ? sentence(one.reason) : "")], ["By", (one) => one.by, "wide"], ["Changed", (one) => html`<${When} at=${one.updated_at} />`]]} />`}<//></section>
    <section><h2>Batch predictions</h2><${Loaded} of=${batch}>${(data) => html`<${Table} label="Batch jobs" rows=${data.jobs} empty=${html`No batch was predicted yet. <code>amaas batch NAME FILE</code> starts one.`} columns=${[
      ["Job", (one) => html`<a href=${to(at`/jobs/batch/${one.id}`)}>${one.id}</a>`], ["Model", (one) => html`<a href=${to(at`/models/${one.model}`)}>${one.model}</a> v${one.version}`], ["State", (one) => html`<${State} of=${one} />`],
      ["Inputs", (one) => count(one.inputs), "number"], ["Done", (one) => count(one.done), "number"], ["Failed", (one) => count(one.failed), "number"], ["Created", (one) => html`<${When} at=${one.created_at} />`],
      ["", (one) => html`<${Cancel} job=${one} path=${at`/batch/${one.id}`} done=${batch.reload} />`]]} /><${Pager} next=${data.next} first=${query.next} />`}<//></section>`;
}

/** A job's page, with a head and a way on while there is no job to show. */
const Whole = ({ of: job, title, id, children }) => html`${job.data === undefined && html`<${Head} title=${title} kind=${id}><a href=${to("/jobs")}>All jobs</a><//>`}<${Loaded} of=${job}>${children}<//>`;

const Cancel = ({ job, path, done }) => !ENDED.includes(job.state) && html`<${Ask} label="Cancel job" of=${job.id} keep="Keep running" final kind="danger" title=${`Cancel job ${job.id}?`} reason=${false} done=${done} act=${() => call("DELETE", path)} />`;

function Batch({ id, query }) {
  const job = useLoad((signal) => get(at`/batch/${id}`, {}, signal), [id], { every: 4000 });
  const failed = job.data?.failed; // new ones are read when their number has changed
  const failures = useLoad((signal) => (failed ? get(at`/batch/${id}/failures`, { limit: 25, next: query.next }, signal) : Promise.resolve({ failures: [] })), [id, query.next, failed]);
  return html`<${Whole} of=${job} title="Batch" id=${id}>${(data) => {
    const goesOn = !ENDED.includes(data.state) && data.state !== "waiting";
    return html`<${Head} title=${`Batch for ${data.model}`} kind=${data.id}><${State} of=${data} /><//>
      ${data.error && html`<p class=${`note ${data.state === "failed" ? "bad" : "warn"}`}>${sentence(data.error)}</p>`}
      ${data.inputs !== null && html`<p class="progress"><progress max=${data.inputs || 1} value=${data.done} aria-label="Inputs done"></progress> ${count(data.done)} of ${plural(data.inputs, "input")}${data.failed ? `, ${count(data.failed)} of them with an error of their own` : ""}</p>`}
      <section class="card spaced"><h2>Facts</h2><${Facts} of=${[["Version", html`<a href=${to(at`/models/${data.model}/version/${data.version}`)}>v${data.version}</a>`], ["Chunks", data.chunks.all !== null && `${count(data.chunks.done)} of ${count(data.chunks.all)}`], ["Created", html`<${When} at=${data.created_at} exact />`], ["Answers", data.chunks.done > 0 && html`<code>amaas batch outputs ${data.id}</code>`]]} /></section>
      ${failed > 0 && html`<section><h2>Inputs with an error</h2><${Loaded} of=${failures}>${(page) => html`<${Table} label="Inputs with an error" rows=${page.failures} columns=${[
        ["Input", (one) => html`<span class="mono">${one.input}</span>`], ["Status", (one) => one.status, "number"], ["Why", (one) => sentence(one.error)]]} /><${Pager} next=${page.next} first=${query.next} />`}<//></section>`}
      ${goesOn && html`<${Cancel} job=${data} path=${at`/batch/${data.id}`} done=${job.reload} />`}`;
  }}<//>`;
}

function Training({ id }) {
  const job = useLoad((signal) => get(at`/training-jobs/${id}`, {}, signal), [id], { every: 4000 });
  return html`<${Whole} of=${job} title="Training" id=${id}>${(data) => {
    const numbers = [...new Set(data.metrics.flatMap((row) => Object.keys(row).filter((name) => typeof row[name] === "number")))].filter((name) => name !== "epoch");
    const line = (name, i) => ({ name: name.replaceAll("_", " "), color: i, points: data.metrics.map((row, n) => [row.epoch ?? n + 1, row[name] ?? null]) });
    const groups = [["Accuracy", numbers.filter((name) => /accuracy|f1|auc/.test(name))], ["Loss", numbers.filter((name) => /loss/.test(name))]].filter(([, names]) => names.length);
    return html`<${Head} title=${`Training of ${data.model}`} kind=${data.id}><${State} of=${data} /><//>
      ${data.reason && html`<p class=${`note ${data.state === "failed" ? "bad" : "warn"}`}>${sentence(data.reason)}</p>`}
      <div class="two">${groups.map(([title, names]) => html`<${Lines} title=${title} series=${names.slice(0, 5).map(line)} x=${(at) => String(Math.round(at * 10) / 10)} axis="Epoch" />`)}</div>
      <section class="card spaced"><h2>Facts</h2><${Facts} of=${[["Data", data.data], ["By", data.by], ["Attempts", count(data.attempts)], ["Created", html`<${When} at=${data.created_at} exact />`], ["Version", data.version && html`<a href=${to(at`/models/${data.model}/version/${data.version}`)}>v${data.version}</a>`], ...Object.entries(data.arguments).map(([name, value]) => [named(name), typeof value === "object" ? JSON.stringify(value) : figure(value)])]} /></section>
      <${Cancel} job=${data} path=${at`/training-jobs/${data.id}`} done=${job.reload} />`;
  }}<//>`;
}
