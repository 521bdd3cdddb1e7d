// A model's card: the Markdown that people write in cards, as elements. Text is never HTML here, whatever it has in it.
import { html } from "./htm-preact.js";

const INLINE = /(`[^`]+`)|(\*\*[^*]+\*\*)|(\*[^*\s][^*]*\*)|\[([^\]]+)\]\(([^)\s]+)\)|(https?:\/\/[^\s<>()]+[^\s<>().,;:!?])/g;

function inline(text) {
  const parts = [];
  let end = 0;
  for (const found of text.matchAll(INLINE)) {
    parts.push(text.slice(end, found.index));
    const [whole, code, bold, italic, name, target, plain] = found;
    if (code) parts.push(html`<code>${code.slice(1, -1)}</code>`);
    else if (bold) parts.push(html`<strong>${bold.slice(2, -2)}</strong>`);
    else if (italic) parts.push(html`<em>${italic.slice(1, -1)}</em>`);
    else parts.push(link(plain ?? target, name ?? plain, whole));
    end = found.index + whole.length;
  }
  return [...parts, text.slice(end)];
}

// an address of the web, or what was written: never a script
const link = (target, name, whole) => (/^https?:\/\//.test(target) ? html`<a href=${target} rel="noreferrer noopener" target="_blank">${name}</a>` : whole);

const HEADING = /^(#{1,6})\s+(.*)/;

function block(lines) {
  const text = lines.join("\n");
  if (text.startsWith("```")) return html`<pre tabindex="0"><code>${lines.slice(1).filter((line) => !line.startsWith("```")).join("\n")}</code></pre>`;
  const heading = HEADING.exec(lines[0]);
  if (heading) return html`<h3>${inline(heading[2])}</h3>`;
  if (lines.every((line) => /^\s*\|.*\|\s*$/.test(line)) && lines.length > 1) return table(lines);
  if (/^\s*[-*+]\s/.test(lines[0])) return html`<ul>${items(lines, /^\s*[-*+]\s+/)}</ul>`;
  if (/^\s*\d+[.)]\s/.test(lines[0])) return html`<ol>${items(lines, /^\s*\d+[.)]\s+/)}</ol>`;
  return html`<p>${inline(lines.join(" "))}</p>`;
}

function items(lines, mark) {
  const texts = [];
  for (const line of lines) {
    if (mark.test(line)) texts.push(line.replace(mark, ""));
    else texts[texts.length - 1] += ` ${line.trim()}`;
  }
  return texts.map((text) => html`<li>${inline(text)}</li>`);
}

function table(lines) {
  const rows = lines.filter((line) => !/^\s*\|[\s:|-]+\|\s*$/.test(line)).map((line) => line.trim().slice(1, -1).split("|").map((cell) => cell.trim()));
  if (rows.length === 0) return null;
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${`Table: ${rows[0].join(", ")}, ${rows[1]?.[0] ?? ""}`}><table><thead><tr>${rows[0].map((cell) => html`<th scope="col">${inline(cell)}</th>`)}</tr></thead>
    <tbody>${rows.slice(1).map((row) => html`<tr>${row.map((cell) => html`<td>${inline(cell)}</td>`)}</tr>`)}</tbody></table></div>`;
}

export function Markdown({ text }) {
  const blocks = [];
  let lines = [];
  let fenced = false;
  for (const line of text.split(/\r?\n/)) {
    if (!fenced && HEADING.test(line)) { if (lines.length) blocks.push(lines); blocks.push([line]); lines = []; continue; }
    if (line.startsWith("```")) fenced = !fenced;
    if (line.trim() === "" && !fenced) { if (lines.length) blocks.push(lines); lines = []; } else lines.push(line);
  }
  if (lines.length) blocks.push(lines);
  return html`<div class="prose">${blocks.map(block)}</div>`;
}
