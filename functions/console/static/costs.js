// What calls cost: of each model, and of one model by version, for 1,000 answers, and from when an instance is cheaper.
import { Facts, Head, Loaded, Pager, Spans, Table, at, bytes, count, figure, get, html, to, useLoad } from "./core.js";

const PARTS = { compute: "Computing", starts: "Cold starts", calls: "Call fees", gateway: "Gateway", transfer: "Transfer", storage: "Storage" };
const SPANS = { "24h": "Day", "7d": "Week", "30d": "Month" };
const money = (amount, currency = "") => (amount === null || amount === undefined || !Number(amount) ? html`<span class="quiet">–</span>` : `${figure(Number(amount), 3)} ${currency}`);

const columns = (currency) => [["Calls", (one) => count(one.requests), "number"], ["Billed each", (one) => (!one.mean_ms ? "–" : `${figure(one.mean_ms)} ms`), "number"], [`1,000 answers, ${currency}`, (one) => money(one.per_1000_answers), "number"],
  ...Object.entries(PARTS).map(([part, name]) => [name, (one) => money(one.parts[part]), "number wide"]), [`Together, ${currency}`, (one) => html`<b>${money(one.total)}</b>`, "number"]];
const Basis = ({ of: data }) => html`<p class="quiet spaced">List prices of ${data.prices.region}, ${data.prices.date}, at ${count(data.memory_mb)} MB. Not included: ${data.not_included.join(", ") || "nothing"}.</p>`;

export default function Costs({ query }) {
  const since = SPANS[query.since] ? query.since : "30d";
  const costs = useLoad((signal) => get("/costs", { since, limit: 50, next: query.next }, signal), [since, query.next]);
  return html`<${Head} title="Cost"><${Spans} since=${since} spans=${SPANS} /><//><${Loaded} of=${costs}>${(data) => html`
    <${Table} label="Cost by model" rows=${data.models} empty="No calls were counted in this span." columns=${[["Model", (one) => html`<a href=${to(at`/models/${one.model}/cost`, { since })}><b>${one.model}</b></a>`], ...columns(data.prices.currency)]} /><${Pager} next=${data.next} first=${query.next} /><${Basis} of=${data} />`}<//>`;
}

export function OfModel({ model, query }) {
  const since = SPANS[query.since] ? query.since : "30d";
  const cost = useLoad((signal) => get(at`/models/${model.name}/cost`, { since }, signal), [model.name, since]);
  return html`<${Spans} since=${since} spans=${SPANS} /><${Loaded} of=${cost}>${(data) => html`
    <section class="spaced"><h2>By version</h2><${Table} label="Cost by version" rows=${data.versions} empty="No calls were counted in this span." columns=${[["Version", (one) => html`<b class="version">v${one.version}</b>`], ...columns(data.prices.currency), ["Stored", (one) => bytes(one.stored_bytes), "number wide"]]} /></section>
    ${data.break_even && html`<section class="card"><h2>From when an instance is cheaper</h2><${Facts} of=${[["Instance", `${data.break_even.instance.name}, ${money(data.break_even.instance.hour, data.prices.currency)} an hour`], ["From", data.break_even.calls === null ? "never" : `${count(data.break_even.calls)} calls a month, without the gateway`], ["Behind it", data.break_even.calls_behind_gateway === null ? "never" : `${count(data.break_even.calls_behind_gateway)} calls a month`], ["Assumed", data.break_even.assumed]]} /></section>`}
    <${Basis} of=${data} />`}<//>`;
}
