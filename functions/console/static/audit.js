// Who did what: the newest records of the models that changed last, together.
import { Head, Loaded, at, get, html, setQuery, to, useLoad } from "./core.js";
import { Timeline } from "./history.js";

const MODELS = 20;

async function newest(search, signal) {
  const { models } = await get("/models", { search, limit: 200 }, signal);
  const changed = models.sort((a, b) => b.updated_at.localeCompare(a.updated_at)).slice(0, MODELS);
  const histories = await Promise.all(changed.map(async ({ name }) => (await get(at`/models/${name}/history`, { limit: 15 }, signal)).records.map((record) => ({ ...record, model: name }))));
  return histories.flat().sort((a, b) => b.at.localeCompare(a.at));
}

export default function Audit({ query }) {
  const { search = "", who = "" } = query;
  const records = useLoad((signal) => newest(search, signal), [search]);
  const submit = (event) => { event.preventDefault(); setQuery(Object.fromEntries(new FormData(event.target))); };
  return html`<${Head} title="Audit"><form class="row" onSubmit=${submit}><label class="inline">Model <input name="search" value=${search} /></label><label class="inline">Who <input name="who" value=${who} /></label><button>Filter</button></form><//>
    <${Loaded} of=${records}>${(data) => {
      const shown = data.filter((record) => !who || `${record.name ?? ""} ${record.by}`.toLowerCase().includes(who.toLowerCase())).slice(0, 100);
      return shown.length ? html`<p class="quiet spaced-below">The newest records of the ${MODELS} models that changed last. Each record is signed; <code>amaas history MODEL --verify</code> checks them all.</p>
        ${shown.map((record) => html`<${Timeline} key=${record.model + record.revision} records=${[record]} model=${html`<a href=${to(at`/models/${record.model}/release`)}>${record.model}</a>`} />`)}` : html`<p class="empty">Nothing happened that fits.</p>`;
    }}<//>`;
}
