// A language model tried: a message, and the answers of one or two versions as they are written.
import { ApiError, Problem, call, count, figure, html, hue, plural, tell, useEffect, useRef, useState } from "./core.js";

const title = (reference) => (/^\d/.test(reference) ? `v${reference}` : reference);

export function Chat({ model, manifest, references }) {
  const [runs, setRuns] = useState({});
  const abort = useRef(null);
  useEffect(() => () => abort.current?.abort(), []); // who leaves the page ends the answer
  const busy = references.some((one) => runs[one]?.busy);
  const chats = Boolean(manifest.preprocess?.template); // without one, a model knows texts and no messages
  const usual = manifest.postprocess ?? {};
  const submit = async (event) => {
    event.preventDefault();
    if (busy) return; // the button stays enabled: one that is not loses the focus
    const form = new FormData(event.target);
    abort.current = new AbortController();
    const { signal } = abort.current;
    const asked = chats ? { messages: [{ role: "user", content: form.get("message") }] } : { prompt: form.get("message") };
    for (const name of ["max_tokens", "temperature"]) if (form.get(name) !== "") asked[name] = Number(form.get(name));
    setRuns(Object.fromEntries(references.map((one) => [one, { busy: true, text: "" }])));
    const all = await Promise.all(references.map(async (reference) => {
      const show = (run) => signal === abort.current.signal && setRuns((old) => ({ ...old, [reference]: run }));
      return [reference, await write(chats ? "chat/completions" : "completions", { ...asked, model: `${model.name}@${reference}` }, signal, show)];
    }));
    tell(all.map(([reference, run]) => `${title(reference)}: ${run.error ? run.error.message : run.stopped ? "stopped" : ended(run)}`).join("; "));
  };
  const send = (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); event.target.form.requestSubmit(); } };
  return html`<div class="bench"><section class="card"><h2>Input</h2><form class="form" onSubmit=${submit}>
      <label>${chats ? "Message" : "Text to go on with"}<textarea name="message" required aria-describedby="sends" onKeyDown=${send}></textarea></label>
      <div class="cells"><label>Most tokens<input name="max_tokens" type="number" min="1" max=${usual.max_tokens ?? 1024} placeholder=${usual.max_tokens ?? 1024} /></label>
        <label>Temperature<input name="temperature" type="number" min="0" max="2" step="any" placeholder=${usual.temperature ?? 1} /></label></div>
      <p class="row"><button class="primary" aria-disabled=${busy ? "true" : undefined}>Send</button> <button type="button" aria-disabled=${busy ? undefined : "true"} onClick=${() => busy && abort.current.abort()}>Stop</button> <span id="sends" class="quiet">Ctrl+Enter sends, too.</span></p></form></section>
    <div class="answers">${references.map((reference) => html`<${Written} key=${reference} reference=${reference} run=${runs[reference]} />`)}</div></div>`;
}

/** An answer, read aloud when it is whole: piece by piece, nobody could follow it. */
function Written({ reference, run = {} }) {
  return html`<section class="card" data-answer=${reference}>
    <h2><i class=${`swatch v${hue(run.version ?? (/^\d/.test(reference) ? reference : 1))}`} aria-hidden="true"></i>${title(reference)}${run.version && !/^\d/.test(reference) ? html` <span class="quiet">v${run.version}</span>` : ""}</h2>
    <p class="written" aria-live="polite" aria-busy=${String(Boolean(run.busy))}>${run.text}</p>
    ${!run.text && !run.error && html`<p class="quiet">${run.busy ? "Reading the message …" : run.whole ? "The answer is empty." : "The answer comes here."}</p>`}
    ${run.error && html`<${Problem} error=${run.error} />`}
    ${run.whole !== undefined && html`<dl class="timing">${facts(run).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`}</section>`;
}

const ended = ({ usage, whole, reason }) => `${plural(usage?.completion_tokens, "token")} in ${count(whole)} ms${reason === "length" ? ", cut at a limit" : ""}`;

function facts({ first, whole, usage, stopped, reason, error }) {
  const rate = usage && first !== undefined && usage.completion_tokens > 1 && ((usage.completion_tokens - 1) / Math.max(whole - first, 1)) * 1000;
  return [["First token", first !== undefined && `${count(first)} ms`], ["Answer", `${count(whole)} ms`],
    ["Prompt", usage && plural(usage.prompt_tokens, "token")], ["Written", usage && plural(usage.completion_tokens, "token")],
    ["Speed", rate && `${figure(rate)} tokens/s`],
    ["End", stopped ? "stopped" : error ? "broken off" : reason === "length" ? "cut, at the most tokens, the model's context or a call's time" : reason && "by itself"]].filter(([, value]) => value);
}

/** Ask for an answer, and show it as it comes. Gives what is shown at last: text, times, usage; error, or stopped. */
async function write(path, body, signal, show) {
  const started = performance.now();
  let run = { busy: true, text: "" };
  const add = (changes) => { run = { ...run, ...changes }; show(run); };
  try {
    const answer = await call("POST", `/v1/${path}`, { body: { ...body, stream: true, stream_options: { include_usage: true } }, headers: { Accept: "text/event-stream" }, raw: true, signal });
    add({ version: answer.headers.get("x-amaas-version") });
    for await (const { choices: [choice], usage } of events(answer.body)) {
      const text = choice?.delta?.content ?? choice?.text ?? "";
      if (text) add({ text: run.text + text, first: run.first ?? performance.now() - started });
      if (choice?.finish_reason || usage) add({ reason: choice?.finish_reason ?? run.reason, usage: usage ?? run.usage });
    }
  } catch (error) {
    const broken = error instanceof ApiError ? error : new ApiError(0, "The answer broke off: try again");
    add(signal.aborted ? { stopped: true } : { error: broken });
  }
  add({ busy: false, whole: performance.now() - started });
  return run;
}

/** The JSON of server-sent events. Throws ApiError for one that is an error, and where they end too early. */
async function* events(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new ApiError(0, "The answer broke off before its end: try again");
    const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith("data:")) continue;
      const data = line.slice(5).trim();
      if (data === "[DONE]") return;
      const content = JSON.parse(data);
      if (content.error) throw new ApiError(0, String(content.error.message ?? content.error));
      yield content;
    }
  }
}
