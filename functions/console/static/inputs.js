// Ways to give a model its input: an image that is dropped, chosen or drawn; a text; a row; a sound; JSON.
// give: gets {body, type}, type for bytes; picture: an address of the image, to show the explanation on.
import { Problem, html, useEffect, useRef, useState } from "./core.js";

/** What a model takes, of its task and how its inputs are prepared. */
export function kindOf(manifest) {
  const { task = "tensor", preprocess } = manifest;
  if (preprocess?.kind === "table" || /tabular|regression/.test(task)) return preprocess?.columns ? "row" : "json";
  if (/image|object|segment/.test(task)) return "image";
  if (/audio|sound|speech/.test(task)) return "sound";
  if (/text|token|embedding/.test(task)) return "text";
  return "json";
}

function File({ accept, label, give, children }) {
  const [over, setOver] = useState(false);
  const take = (file) => file && give({ body: file, type: file.type || "application/octet-stream" });
  return html`<div class=${`drop ${over ? "over" : ""}`} onDragOver=${(event) => { event.preventDefault(); setOver(true); }} onDragLeave=${() => setOver(false)} onDrop=${(event) => { event.preventDefault(); setOver(false); take(event.dataTransfer.files[0]); }}>
    <label>${label}<input type="file" accept=${accept} onChange=${(event) => take(event.target.files[0])} /></label>${children}</div>`;
}

function Image({ manifest, give }) {
  const [drawing, setDrawing] = useState(false);
  const [shown, setShown] = useState("");
  useEffect(() => () => shown && URL.revokeObjectURL(shown), [shown]);
  const take = (input) => { const picture = URL.createObjectURL(input.body); setShown(picture); give({ ...input, picture }); };
  return html`<div class="stack"><p class="row" role="group" aria-label="How to give the image"><button type="button" aria-pressed=${String(!drawing)} onClick=${() => setDrawing(false)}>File</button><button type="button" aria-pressed=${String(drawing)} onClick=${() => setDrawing(true)}>Draw</button></p>
    ${drawing ? html`<${Draw} size=${manifest.preprocess?.size} give=${take} />` : html`<${File} accept="image/*" label="Drop an image here, or choose one" give=${take}>${shown && html`<img src=${shown} alt="the input" />`}<//>`}</div>`;
}

/** A canvas to draw on by pointer; by keyboard, the arrows move a pen that the space bar puts down and lifts. */
function Draw({ give }) {
  const canvas = useRef(null);
  const pen = useRef({ x: 140, y: 140, down: false });
  const [status, setStatus] = useState("Pen up");
  const clear = () => { const context = canvas.current.getContext("2d"); context.fillStyle = "#000"; context.fillRect(0, 0, 280, 280); };
  useEffect(clear, []);
  const wipe = () => { clear(); pen.current = { x: 140, y: 140, down: false }; setStatus("Cleared, pen up in the middle"); };
  const line = (x, y) => {
    const context = canvas.current.getContext("2d");
    Object.assign(context, { strokeStyle: "#fff", lineWidth: 18, lineCap: "round", lineJoin: "round" });
    context.beginPath();
    context.moveTo(pen.current.x, pen.current.y);
    context.lineTo(x, y);
    context.stroke();
  };
  const send = () => canvas.current.toBlob((body) => give({ body, type: "image/png" }), "image/png");
  const place = (event) => { const box = canvas.current.getBoundingClientRect(); return [((event.clientX - box.left) / box.width) * 280, ((event.clientY - box.top) / box.height) * 280]; };
  const press = (event) => { const [x, y] = place(event); pen.current = { x, y, down: true }; line(x, y); canvas.current.setPointerCapture(event.pointerId); };
  const move = (event) => { if (!pen.current.down || !event.buttons) return; const [x, y] = place(event); line(x, y); Object.assign(pen.current, { x, y }); };
  const release = () => { if (pen.current.down) { pen.current.down = false; send(); } };
  const type = (event) => {
    const far = event.shiftKey ? 40 : 10;
    const step = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, -far], ArrowDown: [0, far] }[event.key];
    if (event.key === " ") { pen.current.down = !pen.current.down; setStatus(pen.current.down ? "Pen down" : "Pen up"); if (pen.current.down) line(pen.current.x, pen.current.y); else send(); } else if (!step) return;
    event.preventDefault();
    if (!step) return;
    const [x, y] = [Math.min(280, Math.max(0, pen.current.x + step[0])), Math.min(280, Math.max(0, pen.current.y + step[1]))];
    if (pen.current.down) line(x, y);
    Object.assign(pen.current, { x, y });
    setStatus(`${pen.current.down ? "Pen down" : "Pen up"} at ${x}, ${y}`);
  };
  return html`<canvas class="draw" ref=${canvas} width="280" height="280" tabindex="0" role="application" aria-label="Drawing: arrows move the pen, with shift further; space puts it down and lifts it" aria-describedby="pen" onPointerDown=${press} onPointerMove=${move} onPointerUp=${release} onBlur=${release} onKeyDown=${type}></canvas>
    <p class="row between"><span id="pen" class="quiet" role="status">${status}</span><button type="button" onClick=${wipe}>Clear</button></p>`;
}

function Text({ give }) {
  const submit = (event) => { event.preventDefault(); const text = new FormData(event.target).get("text"); give({ body: { input: text }, text }); };
  return html`<form class="form" onSubmit=${submit}><label>Text<textarea name="text" required></textarea></label><p><button class="primary">Predict</button></p></form>`;
}

/** What a number is on average, for the cell to begin with. */
function usual({ mean, missing }) {
  const value = mean ?? missing;
  return typeof value === "number" ? Number(value.toPrecision(4)) : "";
}

/** JSON as it is written: what JavaScript makes of a number of 64 bits has lost digits. */
const asJson = (text) => ({ body: new Blob([text]), type: "application/json" });

/** What was typed or chosen, as JSON. Choices are JSON already. */
function cell(text, type, categories) {
  if (text === "") return "null";
  if (type !== "number") return categories?.length ? text : JSON.stringify(text);
  return /^-?\d+$/.test(text) ? text.replace(/^(-?)0+(?=\d)/, "$1") : JSON.stringify(Number(text));
}

function Row({ manifest, give }) {
  const columns = manifest.preprocess.columns.map((column) => ({ type: "number", ...column })); // a manifest leaves out what is usual
  const submit = (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const cells = columns.map(({ name, type, categories }) => `${JSON.stringify(name)}: ${cell(form.get(name), type, categories)}`);
    give(asJson(`{"input": {${cells.join(", ")}}}`));
  };
  return html`<form class="form" onSubmit=${submit}><div class="cells">${columns.map((column) => html`<label>${column.name}${column.type === "number"
    ? html`<input name=${column.name} type="number" step="any" value=${usual(column)} />`
    : column.categories?.length ? html`<select name=${column.name}>${column.categories.map((value) => html`<option value=${JSON.stringify(value)}>${String(value)}</option>`)}</select>` : html`<input name=${column.name} />`}</label>`)}</div><p class="quiet">Each number begins with its mean. An empty cell counts as missing.</p><p><button class="primary">Predict</button></p></form>`;
}

function Sound({ give }) {
  const [state, setState] = useState({});
  const [shown, setShown] = useState("");
  const take = (input) => { setShown(URL.createObjectURL(input.body)); give(input); };
  const record = async () => {
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
      const recorder = new MediaRecorder(stream);
      const parts = [];
      recorder.ondataavailable = (event) => parts.push(event.data);
      recorder.onstop = async () => { stream.getTracks().forEach((track) => track.stop()); setState({}); take({ body: await wave(new Blob(parts)), type: "audio/wav" }); };
      recorder.start();
      setState({ recorder });
    } catch { setState({ error: new Error("The browser gives no microphone to this page: allow it, or choose a file") }); }
  };
  return html`<div class="stack"><${File} accept="audio/*" label="Drop a sound here, or choose one" give=${take} />
    <button type="button" aria-pressed=${String(Boolean(state.recorder))} onClick=${() => (state.recorder ? state.recorder.stop() : record())}>${state.recorder ? "Stop and predict" : "Record"}</button>
    ${shown && html`<audio controls src=${shown}></audio>`}${state.error && html`<${Problem} error=${state.error} />`}</div>`;
}

/** What the browser recorded, as 16-bit WAV with one channel: what every decoder reads. */
async function wave(recorded) {
  const context = new AudioContext();
  const sound = await context.decodeAudioData(await recorded.arrayBuffer());
  context.close();
  const samples = sound.getChannelData(0);
  const view = new DataView(new ArrayBuffer(44 + samples.length * 2));
  const text = (offset, word) => [...word].forEach((letter, i) => view.setUint8(offset + i, letter.charCodeAt(0)));
  text(0, "RIFF"); view.setUint32(4, 36 + samples.length * 2, true); text(8, "WAVEfmt ");
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true); view.setUint32(24, sound.sampleRate, true);
  view.setUint32(28, sound.sampleRate * 2, true); view.setUint16(32, 2, true); view.setUint16(34, 16, true);
  text(36, "data"); view.setUint32(40, samples.length * 2, true);
  samples.forEach((sample, i) => view.setInt16(44 + i * 2, Math.max(-1, Math.min(1, sample)) * 32767, true));
  return new Blob([view], { type: "audio/wav" });
}

function Json({ manifest, give }) {
  const [error, setError] = useState(null);
  const zeros = (shape) => shape.reduceRight((inner, n) => Array(n < 1 ? 1 : n).fill(inner), 0);
  const few = (manifest.inputs ?? []).every(({ shape }) => shape.reduce((all, n) => all * Math.max(n, 1), 1) <= 1000);
  const example = few ? JSON.stringify({ inputs: Object.fromEntries((manifest.inputs ?? []).map(({ name, shape }) => [name, zeros(shape)])) }) : '{"inputs": {}}';
  const submit = (event) => {
    event.preventDefault();
    const text = new FormData(event.target).get("json");
    try { JSON.parse(text); setError(null); give(asJson(text)); } catch (problem) { setError(new Error(`This is no JSON: ${problem.message}`)); }
  };
  return html`<form class="form" onSubmit=${submit}><label>Request<textarea name="json" class="mono" spellcheck=${false} required>${example}</textarea></label>${error && html`<${Problem} error=${error} />`}<p><button class="primary">Predict</button></p></form>`;
}

export const INPUTS = { image: Image, text: Text, row: Row, sound: Sound, json: Json };
