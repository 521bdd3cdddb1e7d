// What of an input speaks for the answer: a heat map on the image, marked words, bars of columns and stretches.
import { Table, html, percent, figure, useEffect, useRef } from "./core.js";
import { Bars } from "./charts.js";

export function Explanation({ of: explanation, input }) {
  const parts = explanation.attributions;
  const generated = explanation.answer !== undefined; // then the score is a log-probability, and no share
  const shown = Array.isArray(parts[0]) ? html`<${Heat} of=${explanation} picture=${input.picture} />`
    : parts[0]?.text !== undefined ? html`<${Words} parts=${parts} show=${generated ? figure : percent} />` : html`<${Parts} parts=${parts} />`;
  return html`<div class="spaced stack"><h3>Why “${generated ? explanation.answer : explanation.label}”</h3>${shown}<p class="quiet">By ${explanation.method}. ${Array.isArray(parts[0]) ? "Warm: speaks for it; cool: against." : parts[0]?.text !== undefined ? "Underlined: speaks against it; bold: speaks most." : "Negative: speaks against it."}</p></div>`;
}

function Heat({ of: { attributions, image, seen }, picture }) {
  const canvas = useRef(null);
  const [rows, columns] = [attributions.length, attributions[0].length];
  useEffect(() => {
    const context = canvas.current.getContext("2d");
    const most = Math.max(...attributions.flat().map(Math.abs), 1e-9);
    const small = new OffscreenCanvas(columns, rows);
    const pixels = small.getContext("2d").createImageData(columns, rows);
    attributions.flat().forEach((value, i) => pixels.data.set(value > 0 ? [224, 92, 20, 215 * (value / most)] : [30, 110, 200, 215 * (-value / most)], i * 4));
    small.getContext("2d").putImageData(pixels, 0, 0);
    context.clearRect(0, 0, 224, 224);
    const [height, width] = image ?? [1, 1];
    const [left, top, right, bottom] = seen ?? [0, 0, width, height];
    context.drawImage(small, (left / width) * 224, (top / height) * 224, ((right - left) / width) * 224, ((bottom - top) / height) * 224);
  }, [attributions]);
  const strongest = attributions.flat().reduce((best, value, i, all) => (value > all[best] ? i : best), 0);
  const where = `row ${Math.floor(strongest / columns) + 1} of ${rows}, column ${(strongest % columns) + 1} of ${columns}`;
  return html`<div class="picture"><img src=${picture} alt="" /><canvas ref=${canvas} width="224" height="224" role="img" aria-label=${`heat map of the image; the patch that speaks most for the label is in ${where}`}></canvas></div>`;
}

function Words({ parts, show }) {
  const most = Math.max(...parts.map((part) => Math.abs(part.attribution)), 1e-9);
  return html`<p class="words">${parts.map((part) => html`<span class=${`${part.attribution >= 0 ? "plus" : "minus"} ${Math.abs(part.attribution) > most / 2 ? "strong" : ""}`} >${part.text}</span> `)}</p>
    <details class="table"><summary>Table: words</summary><${Table} label="Words and what they add to the score" rows=${parts} columns=${[["Word", (part) => part.text], ["Adds", (part) => `${part.attribution >= 0 ? "+" : "−"}${show(Math.abs(part.attribution))}`, "number"]]} /></details>`;
}

const Parts = ({ parts }) => html`<${Bars} label="Attributions" rows=${[...parts].sort((a, b) => Math.abs(b.attribution) - Math.abs(a.attribution)).slice(0, 10).map((part) => [part.column ?? `${figure(part.start)} to ${figure(part.end)} s`, part.attribution, part.attribution >= 0 ? 0 : 1])} show=${(value) => `${value >= 0 ? "+" : "−"}${percent(Math.abs(value))}`} />`;
