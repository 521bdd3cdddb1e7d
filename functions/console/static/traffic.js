// What was counted of a model's calls: by version, and how it went on, with a table behind each chart.
import { Loaded, Spans, Table, at, bytes, count, get, html, hue, ms, percent, useLoad } from "./core.js";
import { Bars, Lines } from "./charts.js";

export const SPANS = { "1h": "Hour", "6h": "6 hours", "24h": "Day", "7d": "Week", "30d": "Month" };
const STEPS = { minute: 60e3, hour: 3600e3, day: 86400e3 };

/** Steps of one version as points, with what nobody called as a zero (calls) or a gap (durations). */
function points(data, version, value, absent) {
  const size = STEPS[data.step];
  const found = new Map();
  for (const one of data.series.filter((step) => step.version === version)) {
    const time = Date.parse(one.at);
    found.set(time, [...(found.get(time) ?? []), one]);
  }
  const times = [];
  for (let time = Date.parse(data.since); time < Date.parse(data.until) && times.length < 2000; time += size) times.push(time);
  return times.map((time) => [time, found.has(time) ? value(found.get(time)) : absent]);
}

const total = (rows, name) => rows.reduce((sum, one) => sum + one[name], 0);
// of several aliases in one step: the busiest one's, as quantiles do not add up
const busiest = (rows) => rows.reduce((a, b) => (b.requests > a.requests ? b : a));

async function all(path, query, signal) {
  const first = await get(path, { ...query, limit: 1000 }, signal);
  let page = first;
  for (let pages = 1; page.next && pages < 10; pages += 1) {
    page = await get(path, { ...query, limit: 1000, next: page.next }, signal);
    first.series.push(...page.series);
  }
  return { ...first, cut: Boolean(page.next) };
}

export default function Traffic({ model, query }) {
  const since = SPANS[query.since] ? query.since : "24h";
  const counts = useLoad((signal) => all(at`/models/${model.name}/stats`, { since }, signal), [model.name, since], { every: 30000 });
  return html`<${Spans} since=${since} spans=${SPANS} />
    <${Loaded} of=${counts}>${(data) => (data.sums.length ? html`<${Charts} data=${data} />` : html`<p class="empty">No calls were counted in this span. Counts come within a minute or two.</p>`)}<//>`;
}

function Charts({ data }) {
  const versions = [...new Set(data.sums.map((sum) => sum.version))].sort((a, b) => a - b);
  const lines = (value, absent) => versions.map((version) => ({ name: `v${version}`, color: hue(version), points: points(data, version, value, absent) }));
  const requests = total(data.sums, "requests");
  const cold = total(data.sums, "cold");
  const labels = Object.create(null); // names of classes are anybody's: one may be __proto__
  for (const sum of data.sums) for (const [label, n] of Object.entries(sum.labels)) labels[label] = (labels[label] ?? 0) + n;
  const top = Object.entries(labels).sort(([, a], [, b]) => b - a).slice(0, 10);
  const errors = Object.create(null);
  for (const sum of data.sums) for (const [kind, n] of Object.entries(sum.errors)) errors[kind] = (errors[kind] ?? 0) + n;
  return html`<dl class="figures">${[["Calls", count(requests)], ["Server errors", percent(total(data.sums, "server_errors") / requests, 2)], ["Callers' errors", percent(total(data.sums, "client_errors") / requests, 2)], ["Cold starts", count(cold)], ["Sent", bytes(total(data.sums, "bytes_out"))]].map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
    ${(data.left_out > 0 || data.dropped > 0 || data.cut) && html`<p class="note warn">Not all is here: ${data.left_out} stored objects cannot be read, ${count(data.dropped)} calls were not counted${data.cut ? ", and the span has more steps than are drawn: choose a shorter one" : ""}.</p>`}
    <div class="two spaced"><${Lines} title=${`Calls per ${data.step}`} series=${lines((rows) => total(rows, "requests"), 0)} show=${count} />
      <${Lines} title="Server errors" series=${lines((rows) => total(rows, "server_errors"), 0)} show=${count} />
      <${Lines} title="Median, milliseconds" series=${lines((rows) => busiest(rows).latency.p50, null)} />
      <${Lines} title="95th percentile, milliseconds" series=${lines((rows) => busiest(rows).latency.p95, null)} /></div>
    <section class="spaced"><h2>By version and alias</h2><${Table} label="By version and alias" rows=${data.sums} columns=${[
      ["Version", (sum) => html`<b class="version">v${sum.version}</b>`], ["Alias", (sum) => sum.alias ?? html`<span class="quiet">by number</span>`], ["Calls", (sum) => count(sum.requests), "number"], ["5xx", (sum) => count(sum.server_errors), "number"], ["4xx", (sum) => count(sum.client_errors), "number"],
      ["p50", (sum) => ms(sum.latency.total?.p50), "number"], ["p95", (sum) => ms(sum.latency.total?.p95), "number"], ["p99", (sum) => ms(sum.latency.total?.p99), "number"], ["Run p50", (sum) => ms(sum.latency.run?.p50), "number"], ["Cold", (sum) => count(sum.cold), "number"], ["Billed", (sum) => `${count(sum.billed_ms / 1000)} s`, "number"]]} /></section>
    <div class="two">${top.length > 0 && html`<section class="card"><h2>Predicted labels</h2><${Bars} label="Predicted labels" rows=${top} show=${count} /></section>`}
      ${Object.keys(errors).length > 0 && html`<section class="card"><h2>Errors by kind</h2><${Bars} label="Errors by kind" rows=${Object.entries(errors).map(([name, n]) => [name, n, 1])} show=${count} /></section>`}</div>`;
}
