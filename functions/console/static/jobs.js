// Batch predictions and training jobs, with the curves of the one that the address names.
import { Ask, Facts, Head, Loaded, Pager, Table, Tag, When, at, call, count, figure, get, html, named, sentence, to, useLoad } from "./core.js";
import { Lines } from "./charts.js";

const KINDS = { done: "good", succeeded: "good", failed: "bad", incomplete: "warn", cancelled: "warn" };
const ENDED = ["done", "incomplete", "succeeded", "failed", "cancelled"];
const State = ({ of: job }) => html`<${Tag} kind=${KINDS[job.state] ?? ""}>${job.state}<//>`;

export default function Jobs({ parts: [kind, id], query }) {
  if (kind === "training" && id) return html`<${Training} id=${id} />`;
  return html`<${Head} title="Jobs" /><${List} query=${query} />`;
}

function List({ query }) {
  const batch = useLoad((signal) => get("/batch", { limit: 25, next: query.next }, signal), [query.next], { every: 10000 });
  const training = useLoad((signal) => get("/training-jobs", { limit: 25, next: query.trained }, signal), [query.trained], { every: 10000 });
  return html`<section><h2>Training</h2><${Loaded} of=${training}>${(data) => html`<${Table} label="Training jobs" rows=${data.jobs} empty=${html`No model was trained yet. <code>amaas train NAME</code> starts a job.`} columns=${[
      ["Job", (one) => html`<a href=${to(at`/jobs/training/${one.id}`)}>${one.id}</a>`], ["Model", (one) => html`<a href=${to(at`/models/${one.model}`)}>${one.model}</a>`], ["State", (one) => html`<${State} of=${one} />`], ["Data", (one) => one.data, "wide"],
      ["What came of it", (one) => (one.version ? `v${one.version}` : one.reason ? sentence(one.reason) : "")], ["By", (one) => one.by, "wide"], ["Changed", (one) => html`<${When} at=${one.updated_at} />`]]} />`}<//></section>
    <section><h2>Batch predictions</h2><${Loaded} of=${batch}>${(data) => html`<${Table} label="Batch jobs" rows=${data.jobs} empty=${html`No batch was predicted yet. <code>amaas batch NAME FILE</code> starts one.`} columns=${[
      ["Job", (one) => html`<span class="mono">${one.id}</span>`], ["Model", (one) => html`<a href=${to(at`/models/${one.model}`)}>${one.model}</a> v${one.version}`], ["State", (one) => html`<${State} of=${one} />`],
      ["Inputs", (one) => count(one.inputs), "number"], ["Done", (one) => count(one.done), "number"], ["Failed", (one) => count(one.failed), "number"], ["Created", (one) => html`<${When} at=${one.created_at} />`],
      ["", (one) => !ENDED.includes(one.state) && html`<${Ask} label="Cancel" title=${`Cancel job ${one.id}?`} reason=${false} done=${batch.reload} act=${() => call("DELETE", at`/batch/${one.id}`)} />`]]} /><${Pager} next=${data.next} first=${query.next} />`}<//></section>`;
}

function Training({ id }) {
  const job = useLoad((signal) => get(at`/training-jobs/${id}`, {}, signal), [id], { every: 4000 });
  return html`<${Loaded} of=${job}>${(data) => {
    const numbers = [...new Set(data.metrics.flatMap((row) => Object.keys(row).filter((name) => typeof row[name] === "number")))].filter((name) => name !== "epoch");
    const line = (name, i) => ({ name: name.replaceAll("_", " "), color: i, points: data.metrics.map((row, n) => [row.epoch ?? n + 1, row[name] ?? null]) });
    const groups = [["Accuracy", numbers.filter((name) => /accuracy|f1|auc/.test(name))], ["Loss", numbers.filter((name) => /loss/.test(name))]].filter(([, names]) => names.length);
    return html`<${Head} title=${`Training of ${data.model}`} kind=${data.id}><${State} of=${data} /><//>
      ${data.reason && html`<p class=${`note ${data.state === "failed" ? "bad" : "warn"}`}>${sentence(data.reason)}</p>`}
      <div class="two">${groups.map(([title, names]) => html`<${Lines} title=${title} series=${names.slice(0, 5).map(line)} x=${(at) => String(Math.round(at * 10) / 10)} axis="Epoch" />`)}</div>
      <section class="card spaced"><h2>Facts</h2><${Facts} of=${[["Data", data.data], ["By", data.by], ["Attempts", count(data.attempts)], ["Created", html`<${When} at=${data.created_at} exact />`], ["Version", data.version && html`<a href=${to(at`/models/${data.model}/version/${data.version}`)}>v${data.version}</a>`], ...Object.entries(data.arguments).map(([name, value]) => [named(name), typeof value === "object" ? JSON.stringify(value) : figure(value)])]} /></section>
      ${!ENDED.includes(data.state) && html`<${Ask} label="Cancel" kind="danger" title="Cancel this job?" reason=${false} done=${job.reload} act=${() => call("DELETE", at`/training-jobs/${data.id}`)} />`}`;
  }}<//>`;
}
