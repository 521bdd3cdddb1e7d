// Uploads of a model, and why those that were not accepted were not.
import { Loaded, Pager, Table, Tag, When, at, bytes, get, html, sentence, to, useLoad } from "./core.js";

const KINDS = { registered: "good", rejected: "bad", failed: "bad", expired: "warn" };

export default function Uploads({ model, query }) {
  const uploads = useLoad((signal) => get(at`/models/${model.name}/uploads`, { limit: 30, next: query.next }, signal), [model.name, query.next], { every: 10000 });
  return html`<section><h2>Uploads</h2><${Loaded} of=${uploads}>${(data) => html`<${Table} label="Uploads" rows=${data.uploads} empty="Nothing was uploaded yet." columns=${[
    ["State", (one) => html`<${Tag} kind=${KINDS[one.state] ?? ""}>${one.state}<//>`],
    ["What came of it", (one) => (one.version ? html`<a href=${to(at`/models/${model.name}/version/${one.version}`)}>v${one.version}</a>` : one.reason ? html`${one.code && html`<code>${one.code}</code> `}${sentence(one.reason)}` : html`<span class="quiet">–</span>`)],
    ["Files", (one) => (one.files ?? []).map((file) => html`<div><code>${file.name}</code> ${file.size !== undefined && html`<span class="quiet">${bytes(file.size)}</span>`}</div>`), "wide"],
    ["By", (one) => one.by, "wide"], ["Changed", (one) => html`<${When} at=${one.updated_at} />`]]} /><${Pager} next=${data.next} first=${query.next} />`}<//></section>`;
}
