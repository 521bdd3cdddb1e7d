// Charts, drawn as SVG in the page's own colors: each line has a dash and a name of its own, and a table behind it.
import { Table, bytes, count, figure, html, hue, percent, useEffect, useRef, useState } from "./core.js";

export const DASHES = ["none", "6 3", "2 3", "9 3 2 3", "1 4", "12 4"];

function useWidth() {
  const place = useRef(null);
  const [width, setWidth] = useState(640);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.max(260, Math.round(entry.contentRect.width))));
    observer.observe(place.current);
    return () => observer.disconnect();
  }, []);
  return [place, width];
}

/** Round values from 0 (or `low`) to at least `high`, about `wanted` of them. least: between two of them. */
export function ticks(low, high, wanted = 4, least = 0) {
  const raw = Math.max(high - low, 1e-12) / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = Math.max(least, [1, 2, 2.5, 5, 10].find((one) => one * power >= raw * 0.999) * power);
  const first = Math.floor(low / step) * step;
  return Array.from({ length: Math.ceil((high - first) / step - 1e-9) + 1 }, (_, i) => first + i * step);
}

const clock = (at, span) => new Date(at).toISOString().slice(...(span > 3 * 86400e3 ? [5, 10] : [11, 16]));

/**
 * Lines over time. series: {name, color, points: [[milliseconds, value or null]]}. show: a value as text.
 * Axis from 0. What is null is a gap: nothing was measured, which is not zero.
 */
export function Lines({ title, series, show = figure, x = clock, axis = "Time (UTC)" }) {
  const [place, width] = useWidth();
  const height = 190;
  const all = series.flatMap((one) => one.points);
  const values = all.map(([, value]) => value).filter((value) => value !== null && value !== undefined);
  if (!values.length) return html`<figure class="chart" ref=${place}><figcaption><h2>${title}</h2></figcaption><p class="empty">Nothing was measured in this span.</p></figure>`;
  const marks = ticks(Math.min(0, ...values), Math.max(...values, 1e-9), 4, show === count ? 1 : 0);
  const [low, high] = [marks[0], marks[marks.length - 1]];
  const [first, last] = [Math.min(...all.map(([at]) => at)), Math.max(...all.map(([at]) => at))];
  const left = 14 + 6.6 * Math.max(...marks.map((one) => show(one).length));
  const px = (at) => left + ((at - first) / (last - first || 1)) * (width - left - 12);
  const py = (value) => height - 24 - ((value - low) / (high - low)) * (height - 38);
  const path = (points) => points.map(([at, value], i) => (value === null ? "" : `${i && points[i - 1][1] !== null ? "L" : "M"}${px(at).toFixed(1)} ${py(value).toFixed(1)}`)).join("");
  const shown = Math.max(2, Math.min(6, Math.floor(width / 130)));
  const even = Array.from({ length: shown }, (_, i) => first + ((last - first) * i) / (shown - 1));
  const times = x === clock ? even : [...new Set(even.map(Math.round))]; // epochs are whole
  const byTime = [...new Set(all.map(([at]) => at))].sort((a, b) => b - a);
  return html`<figure class="chart" ref=${place}><figcaption><h2>${title}</h2></figcaption>
    <ul class="legend">${series.map((one, i) => html`<li class=${`v${(one.color ?? i) % 6}`}><svg viewBox="0 0 26 8" aria-hidden="true"><line x1="0" x2="26" y1="4" y2="4" stroke-dasharray=${DASHES[(one.color ?? i) % 6]} /></svg>${one.name}</li>`)}</ul>
    <svg viewBox=${`0 0 ${width} ${height}`} height=${height} role="img" aria-label=${`${title}: ${series.map((one) => one.name).join(", ")}. The table below has the values.`}>
      ${marks.map((one) => html`<g><line class="grid" x1=${left} x2=${width - 12} y1=${py(one)} y2=${py(one)} /><text x=${left - 7} y=${py(one) + 4} text-anchor="end">${show(one)}</text></g>`)}
      ${first !== last && times.map((at, i) => html`<text x=${px(at)} y=${height - 6} text-anchor=${i === 0 ? "start" : i === times.length - 1 ? "end" : "middle"}>${x(at, last - first)}</text>`)}
      ${series.map((one, i) => html`<g class=${`v${(one.color ?? i) % 6}`}><path class="line" d=${path(one.points)} stroke-dasharray=${DASHES[(one.color ?? i) % 6]} />
        ${one.points.length < 40 && one.points.filter(([, value]) => value !== null).map(([at, value]) => html`<circle class="dot" cx=${px(at)} cy=${py(value)} r="2.4"><title>${`${one.name}, ${x(at, last - first)}: ${show(value)}`}</title></circle>`)}</g>`)}
    </svg>
    <details class="table"><summary>Table: ${title}</summary><${Table} label=${title} rows=${byTime} columns=${[[axis, (at) => (x === clock ? new Date(at).toISOString().slice(0, 16).replace("T", " ") : x(at))],
      ...series.map((one) => [one.name, (at) => { const found = one.points.find(([time]) => time === at); return !found || found[1] === null ? "–" : show(found[1]); }, "number"])]} /></details></figure>`;
}

/** Shares or sums as bars. rows: [name, value, color]. */
export function Bars({ label, rows, show = figure, most = Math.max(...rows.map(([, value]) => Math.abs(value)), 1e-12) }) {
  return html`<ul class="bars" aria-label=${label}>${rows.map(([name, value, color = 0]) => html`<li class="item"><span>${name}</span>
    <svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" class=${`v${color}`}><rect class="track" width="100" height="6" /><rect class="fill" width=${(100 * Math.abs(value)) / most} height="6" /></svg><span class="value">${show(value)}</span></li>`)}</ul>`;
}

/** Versions by size and accuracy, each as large as its latency. Without figures of accuracy, size alone is in the table. */
export function Scatter({ points }) {
  const [place, width] = useWidth();
  const drawn = points.filter((one) => one.accuracy !== null);
  const height = 220;
  const table = html`<${Table} label="Size, latency and accuracy" rows=${points} columns=${[["Version", (one) => html`<b class="version">v${one.version}</b>`], ["Size", (one) => bytes(one.size), "number"], ["Run, median", (one) => (one.latency === null ? "not measured" : `${figure(one.latency)} ms`), "number"], ["Accuracy", (one) => percent(one.accuracy ?? NaN, 2), "number"]]} />`;
  if (drawn.length < 2) return html`<div ref=${place}>${table}</div>`;
  const xs = ticks(0, Math.max(...drawn.map((one) => one.size)));
  const accuracies = drawn.map((one) => one.accuracy);
  const pad = Math.max(0.002, (Math.max(...accuracies) - Math.min(...accuracies)) * 0.25);
  const ys = ticks(Math.max(0, Math.min(...accuracies) - pad), Math.min(1, Math.max(...accuracies) + pad), 3);
  const [low, high] = [ys[0], ys[ys.length - 1]];
  const px = (size) => 56 + (size / xs[xs.length - 1]) * (width - 90);
  const py = (value) => height - 30 - ((value - low) / (high - low)) * (height - 50);
  const slowest = Math.max(...drawn.map((one) => one.latency ?? 0));
  return html`<figure class="chart card" ref=${place}><svg viewBox=${`0 0 ${width} ${height}`} height=${height} role="img" aria-label="Versions by size and accuracy; the table below has the values">
      ${ys.map((one) => html`<g><line class="grid" x1="56" x2=${width - 20} y1=${py(one)} y2=${py(one)} /><text x="48" y=${py(one) + 4} text-anchor="end">${percent(one)}</text></g>`)}
      ${xs.map((one) => html`<text x=${px(one)} y=${height - 10} text-anchor="middle">${bytes(one)}</text>`)}
      ${drawn.map((one) => html`<g class=${`v${hue(one.version)}`}><circle class="dot" cx=${px(one.size)} cy=${py(one.accuracy)} r=${one.latency && slowest ? 4 + 8 * (one.latency / slowest) : 5} fill-opacity=".75" /><text class="name" x=${px(one.size) + 14} y=${py(one.accuracy) + 4}>v${one.version}</text></g>`)}
    </svg><figcaption class="quiet">Accuracy over size; the larger the circle, the longer a run takes.</figcaption><details class="table"><summary>Table: size, latency, accuracy</summary>${table}</details></figure>`;
}

/** Values with their intervals, all on one axis of shares. rows: {name, color, value, low, high, mark}. mark: what a bar across says. */
export function Intervals({ title, rows, mark }) {
  const [place, width] = useWidth();
  const values = rows.flatMap((one) => [one.low, one.high, one.mark]).filter((value) => value !== null && value !== undefined);
  const pad = Math.max(0.01, (Math.max(...values) - Math.min(...values)) * 0.15);
  const marks = ticks(Math.max(0, Math.min(...values) - pad), Math.min(1, Math.max(...values) + pad), width < 420 ? 3 : 5).filter((one) => one <= 1.0001);
  const [low, high] = [marks[0], marks[marks.length - 1]];
  const px = (value) => 44 + ((value - low) / (high - low || 1)) * (width - 74);
  const height = 34 * rows.length + 34;
  return html`<figure class="chart card" ref=${place}><figcaption><h3>${title}</h3></figcaption><svg viewBox=${`0 0 ${width} ${height}`} height=${height} role="img" aria-label=${`${title}, with 95 % intervals. The table below has the values.`}>
      ${marks.map((one) => html`<g><line class="grid" x1=${px(one)} x2=${px(one)} y1="6" y2=${height - 24} /><text x=${px(one)} y=${height - 8} text-anchor="middle">${percent(one, high - low < 0.1 ? 1 : 0)}</text></g>`)}
      ${rows.map((one, i) => { const y = 24 + 34 * i; return html`<g class=${`v${one.color}`}><text class="name" x="0" y=${y + 4}>${one.name}</text><line class="line" x1=${px(one.low)} x2=${px(one.high)} y1=${y} y2=${y} /><circle class="dot" cx=${px(one.value)} cy=${y} r="4.5" />
        ${one.mark !== null && html`<line class="across" x1=${px(one.mark)} x2=${px(one.mark)} y1=${y - 10} y2=${y + 10} />`}</g>`; })}
    </svg><p class="quiet">Dot and line: the estimate with its 95 % interval. Bar across: ${mark}.</p></figure>`;
}
