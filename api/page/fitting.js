// A body for predict and explain that fits the model which the form names: by its task, and what it takes.
"use strict";
const fitting = (() => {
  const SENTENCE = "The quick brown fox jumps over the lazy dog.";
  const LABELS = ["animals", "weather"];
  const MOST = 1000; // numbers of a tensor that one would still edit
  const RATE = 8000;

  /** A tone of a quarter of a second as WAV, in Base64. */
  function tone() {
    const samples = Array.from({ length: RATE / 4 }, (_, at) => (at % 16 < 8 ? "\xa0" : "\x60")).join("");
    const number = (value, bytes) => Array.from({ length: bytes }, (_, at) => String.fromCharCode((value >> (8 * at)) & 255)).join("");
    const format = number(1, 2) + number(1, 2) + number(RATE, 4) + number(RATE, 4) + number(1, 2) + number(8, 2);
    return btoa(`RIFF${number(36 + samples.length, 4)}WAVEfmt ${number(16, 4)}${format}data${number(samples.length, 4)}${samples}`);
  }

  /** A gray picture as PNG, in Base64. */
  function picture() {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 8;
    const context = canvas.getContext("2d");
    context.fillStyle = "#888";
    context.fillRect(0, 0, 8, 8);
    return canvas.toDataURL("image/png").split(",")[1];
  }

  const element = (datatype) => ({ BYTES: SENTENCE, BOOL: false })[datatype] ?? 0;

  function nested(value, [size, ...inner]) {
    return size === undefined ? value : Array.from({ length: Math.max(size, 1) }, () => nested(value, inner));
  }

  /** The model's inputs by name; undefined where these are too many numbers to be shown. */
  function tensors(inputs) {
    if (inputs.some(({ shape }) => shape.reduce((all, size) => all * Math.max(size, 1), 1) > MOST)) return undefined;
    return { inputs: Object.fromEntries(inputs.map(({ name, datatype, shape }) => [name, nested(element(datatype), shape)])) };
  }

  function cell({ type = "number", categories = [], missing, mean = 0 }) {
    if (type !== "number") return categories[0] ?? missing ?? "text";
    return Number((typeof missing === "number" ? missing : mean).toPrecision(4));
  }

  /** A row by its columns; where the token may not read these, a list as long as the model's input. */
  function row(inputs, columns) {
    if (columns) return Object.fromEntries(columns.map((one) => [one.name, cell(one)]));
    return nested(0, [inputs.length > 1 ? inputs.length : inputs[0].shape[1] ?? 1]);
  }

  /** What the model takes: as its package says, where the token may read that, else by its task and inputs. */
  function kindOf(task, inputs, manifest) {
    if (manifest?.preprocess) return manifest.preprocess.kind;
    if (/^tabular/.test(task)) return manifest ? "tensor" : "table"; // without columns, it is served so
    if (/audio|speech/.test(task)) return "audio";
    if (/^(image|object)/.test(task) || (task !== "tensor" && inputs.some(({ shape }) => shape.length === 4))) return "image";
    return task;
  }

  function body({ inputs, parameters: { task } }, manifest) {
    const kind = kindOf(task, inputs, manifest);
    if (kind === "tensor") return tensors(inputs);
    const made = { image: picture, audio: tone, speech: tone, table: () => row(inputs, manifest?.preprocess.columns) };
    const labels = manifest?.labels?.length ? manifest.labels : LABELS;
    return { input: made[kind]?.() ?? SENTENCE, ...(task === "zero-shot-classification" ? { parameters: { labels } } : {}) };
  }

  /** {task, text}: text of a body as JSON, undefined where there are too many numbers. read: path → what is answered. It
   * throws what read throws of the model; the manifest takes the scope read, which a token for calls need not have. */
  async function sample(read, model, version) {
    const path = `/models/${encodeURIComponent(model)}`;
    const described = await read(`/v2${path}${version ? `/versions/${encodeURIComponent(version)}` : ""}`);
    const { task, version: number } = described.parameters;
    const manifest = await read(`${path}/versions/${number}`).catch(() => undefined);
    const content = body(described, manifest);
    return { task, text: content && JSON.stringify(content, null, 2) };
  }

  const reader = (address, token) => async (path) => {
    const answer = await fetch(address + path, { headers: { Authorization: `Bearer ${token}` }, cache: "no-store", credentials: "omit" });
    if (answer.ok) return answer.json();
    throw new Error((await answer.json().catch(() => ({}))).error ?? answer.statusText);
  };

  /** Offers an example whenever the fields name another model, or the page another service or token. base: says which
   * service. status: an element, says what comes of it. then: is called after each offer. */
  function follow(parameters, base, offer, status, then) {
    const token = document.getElementById("token");
    const [model, version] = ["model", "version"].map((name) => parameters.find((one) => one.parameter.name === name)?.field);
    let asked = 0;
    const ask = async () => {
      const mine = ++asked;
      status.textContent = "With a token, and the model's name, an example of what the model takes is here.";
      if (!token.value.trim() || !model.value || (version && !version.value)) return;
      let words;
      try {
        const { task, text } = await sample(reader(base(), token.value.trim()), model.value, version?.value);
        if (mine !== asked) return;
        if (text) offer(`for ${model.value}`, text);
        words = text ? `${model.value} has the task ${task}: there is an example for it.` : `${model.value} has the task ${task}, and takes more numbers than are shown here.`;
      } catch (error) {
        words = `What ${model.value} takes is not known: ${error.message}`;
      }
      if (mine !== asked) return;
      status.textContent = words;
      then();
    };
    for (const field of [model, version, token, document.getElementById("address")]) field?.addEventListener("change", ask);
    ask();
  }

  return { of: (operation) => /^(predict|explain)/.test(operation.id), follow };
})();
