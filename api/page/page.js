// Search, and forms that call operations. The token is in its field only: in no address, no storage, no command.
"use strict";
(() => {
  const OPERATIONS = new Map(JSON.parse(document.getElementById("operations").textContent).map((one) => [one.id, one]));
  const SET_BY_BROWSERS = ["accept-encoding", "content-encoding"];
  const $ = (id) => document.getElementById(id);
  const number = (value) => value.toLocaleString("en");

  function make(tag, { text, ...attributes } = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value === true) element.setAttribute(name, "");
      else if (value !== false && value !== undefined) element.setAttribute(name, value);
    }
    if (text !== undefined) element.textContent = text;
    element.append(...children);
    return element;
  }

  // ---- search and anchors

  const articles = [...document.querySelectorAll("article")].map((element) => {
    const words = element.querySelectorAll("h3, .anchor, .summary, .summary ~ p:not(.errors)");
    return { element, text: [...words].map((one) => one.textContent).join(" ").toLowerCase() };
  });
  const entries = new Map([...document.querySelectorAll("nav [data-of]")].map((one) => [one.dataset.of, one]));

  function find() {
    const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const { element, text } of articles) {
      element.hidden = !words.every((word) => text.includes(word));
      const entry = entries.get(element.id);
      if (!entry) continue;
      entry.hidden = element.hidden;
      found += element.hidden ? 0 : 1;
    }
    for (const section of document.querySelectorAll("section.tag")) section.hidden = !section.querySelector("article:not([hidden])");
    for (const group of document.querySelectorAll("nav details")) {
      group.hidden = !group.querySelector("li:not([hidden])");
      if (words.length) group.open = true;
    }
    $("found").textContent = words.length ? `${found} of ${entries.size} operations` : "";
  }

  function follow() {
    const target = $(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    if (target.closest("[hidden]")) { $("search").value = ""; find(); }
    for (const one of document.querySelectorAll("nav [aria-current]")) one.removeAttribute("aria-current");
    entries.get(target.id)?.querySelector("a").setAttribute("aria-current", "true");
    target.scrollIntoView();
    (target.querySelector("h3") ?? target).focus({ preventScroll: true });
  }

  // ---- forms

  let count = 0;
  /** A label with its field, which have one id. */
  function labeled(text, field, about) {
    field.id = `field-${++count}`;
    return make("p", {}, make("label", { for: field.id, text: text + (about ? ` (${about})` : "") }), field);
  }

  function choice(values, first) {
    return make("select", {}, ...(first === undefined ? [] : [make("option", { value: "", text: first })]), ...values.map((value) => make("option", { value, text: value })));
  }

  function parameterField(parameter) {
    const field = parameter.choices.length
      ? choice(parameter.choices, parameter.default ? `as if ${parameter.default}` : "–")
      : make("input", { type: "text", required: parameter.required, placeholder: parameter.default, autocomplete: "off", spellcheck: "false" });
    return { parameter, field, shown: labeled(parameter.name, field, { path: "in the path", query: "", header: "header" }[parameter.in]) };
  }

  /** Fields of one media type. read: what they have, as {type, body, curl}: curl: arguments, null of no body. offer: takes
   * an example, and puts it where nothing was typed. */
  function bodyFields(body, required) {
    if (body.fields) return formFields(body);
    if (body.file) {
      const field = make("input", { type: "file", required });
      const read = () => {
        const file = field.files[0];
        return file ? { type: file.type || body.media, body: file, curl: ["--data-binary", `@${file.name}`] } : null;
      };
      return { read, shown: [labeled("File", field, "sent with its own type")] };
    }
    const field = make("textarea", { required, spellcheck: "false" });
    field.value = required && body.examples.length ? body.examples[0].text : "";
    const known = [...body.examples];
    const examples = choice(known.map((one) => one.name), "–");
    examples.addEventListener("change", () => { field.value = known[examples.selectedIndex - 1]?.text ?? field.value; });
    const offer = (name, text) => {
      const untouched = !field.value || known.some((one) => one.text === field.value);
      if (known.length > body.examples.length) { known.pop(); examples.lastChild.remove(); }
      known.push({ name, text });
      examples.append(make("option", { value: name, text: name }));
      if (untouched) { field.value = text; examples.value = name; }
    };
    const read = () => (field.value ? { type: body.media, body: field.value, curl: ["--data-raw", field.value] } : null);
    return { read, offer, shown: [...(body.examples.length ? [labeled("Example", examples)] : []), labeled("Body", field, body.media)] };
  }

  function formFields(body) {
    const fields = body.fields.map(({ name, file, required }) => {
      const field = file ? make("input", { type: "file", multiple: true, required }) : make("input", { type: "text", required, autocomplete: "off" });
      return { name, file, field, shown: labeled(name, field, file ? "file" : undefined) };
    });
    const more = make("textarea", { spellcheck: "false", placeholder: "alcohol=13.2" });
    const read = () => {
      const form = new FormData();
      const curl = [];
      const text = (name, value) => { form.append(name, value); curl.push("--form-string", `${name}=${value}`); };
      for (const { name, file, field } of fields) {
        for (const one of file ? field.files : []) { form.append(name, one); curl.push("-F", `${name}=@${one.name}${one.type ? `;type=${one.type}` : ""}`); }
        if (!file && field.value) text(name, field.value);
      }
      for (const line of more.value.split("\n")) {
        const end = line.indexOf("=");
        if (end > 0) text(line.slice(0, end).trim(), line.slice(end + 1));
      }
      return curl.length ? { type: null, body: form, curl } : null; // the browser writes the boundary
    };
    return { read, shown: [...fields.map((one) => one.shown), ...(body.more ? [labeled("Other fields", more, "name=value, one a line")] : [])] };
  }

  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

  const base = () => $("address").value.trim().replace(/\/+$/, "");

  /** The call that the fields say: what fetch takes, and the command that does the same. */
  function callOf(operation, parameters, sent) {
    const query = new URLSearchParams();
    const headers = new Headers();
    let path = operation.path;
    for (const { parameter, field } of parameters) {
      if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, field.value ? encodeURIComponent(field.value) : `{${parameter.name}}`);
      else if (field.value && parameter.in === "query") query.set(parameter.name, field.value);
      else if (field.value) headers.set(parameter.name, field.value);
    }
    if (sent?.type) headers.set("Content-Type", sent.type);
    const url = `${base()}${path}${query.size ? `?${query}` : ""}`;
    const command = ["curl", "-X", operation.method, quoted(url), "-H", '"Authorization: Bearer $TOKEN"'];
    for (const [name, value] of headers) command.push("-H", quoted(`${name}: ${value}`));
    for (const one of sent?.curl ?? []) command.push(one.startsWith("-") && sent.curl.indexOf(one) % 2 === 0 ? one : quoted(one));
    return { url, headers, body: sent?.body, command: command.join(" ") };
  }

  function openForm(operation) {
    const parameters = operation.parameters.filter((one) => !SET_BY_BROWSERS.includes(one.name.toLowerCase())).map(parameterField);
    const bodies = operation.bodies.map((body) => ({ body, ...bodyFields(body, operation.required) }));
    const media = choice(operation.bodies.map((one) => one.media));
    const places = bodies.map((one) => make("fieldset", { class: "wide" }, make("legend", { text: "Body" }), ...one.shown));
    const present = () => bodies[media.selectedIndex];
    const command = make("pre", { tabindex: "0", "aria-label": `The command of ${operation.id}` });
    const copied = make("span", { role: "status" });
    const send = make("button", { class: "primary", text: `Send ${operation.method}` });
    const stop = make("button", { type: "button", text: "Stop", disabled: true });
    const answer = make("div", { class: "answer" });
    const current = () => callOf(operation, parameters, present()?.read());
    const refresh = () => {
      places.forEach((one, at) => { one.hidden = one.disabled = at !== media.selectedIndex; });
      command.textContent = current().command;
      copied.textContent = "";
    };
    const copy = () => navigator.clipboard.writeText(command.textContent).then(
      () => { copied.textContent = "Copied; put your token into TOKEN first."; },
      () => { getSelection().selectAllChildren(command); copied.textContent = "Selected: copy it by the keyboard."; },
    );
    const submit = async (event) => {
      event.preventDefault();
      const ended = new AbortController();
      stop.onclick = () => ended.abort();
      send.disabled = !(stop.disabled = false);
      await call(operation, current(), answer, ended.signal);
      send.disabled = !(stop.disabled = true);
    };
    const fitted = make("p", { class: "quiet", role: "status" });
    if (fitting.of(operation)) fitting.follow(parameters, base, bodies[0].offer, fitted, refresh);
    const form = make("form", { class: "form", "aria-label": `Try ${operation.id}`, oninput: refresh, onchange: refresh, onsubmit: submit },
      ...(parameters.length ? [make("fieldset", {}, make("legend", { text: "Parameters" }), ...parameters.map((one) => one.shown))] : []),
      ...(bodies.length > 1 ? [labeled("Content type of the body", media)] : []), fitted, ...places,
      make("div", { class: "row" }, send, stop, make("a", { href: "#token", text: "Address and token" })),
      make("details", {}, make("summary", { text: "As a curl command" }), command, make("div", { class: "row" }, make("button", { type: "button", text: "Copy the command", onclick: copy }), copied)), answer);
    $("address").addEventListener("input", refresh);
    refresh();
    return form;
  }

  // ---- calls and answers

  async function call(operation, { url, headers, body }, place, signal) {
    const said = make("p", { role: "status", text: "Waiting …" });
    place.replaceChildren(said);
    const token = $("token").value.trim();
    const began = performance.now();
    try {
      if (!/^https?:\/\//.test(url)) throw new Error("There is no address to call: write the service's own into “Address of the service”, with http:// or https://.");
      if (token) headers.set("Authorization", `Bearer ${token}`);
      const answer = await reached(fetch(url, { method: operation.method, headers, body, signal, cache: "no-store", credentials: "omit" }), url);
      const kind = answer.headers.get("content-type") ?? "";
      said.textContent = `${answer.status} ${answer.statusText} · reading …`;
      const id = answer.headers.get("x-request-id") ?? answer.headers.get("x-amzn-requestid"); // of a success, the gateway's own
      if (id) place.append(make("p", {}, "Request id ", make("code", { text: id })));
      place.append(make("details", {}, make("summary", { text: "Headers" }), make("pre", { tabindex: "0", text: [...answer.headers].map((one) => one.join(": ")).join("\n") })));
      const size = await show(answer, kind, place);
      said.textContent = `${answer.status} ${answer.statusText} · ${number(Math.round(performance.now() - began))} ms · ${kind || "no content type"} · ${number(size)} bytes`;
      if (answer.status === 401 && !token) place.append(make("p", { class: "error", text: "No token was sent: write one into “Token” at the top of this page." }));
    } catch (error) {
      said.textContent = signal.aborted ? "Stopped." : "No answer.";
      if (!signal.aborted) place.append(make("p", { class: "error", role: "alert", text: error.message }));
    }
  }

  /** The answer, or an error in words: browsers tell a page nothing of why there is none. */
  async function reached(answer, url) {
    let policy = false;
    const refused = () => { policy = true; };
    document.addEventListener("securitypolicyviolation", refused);
    try {
      return await answer;
    } catch (error) {
      if (error.name === "AbortError") throw error;
      const other = new URL(url).origin !== location.origin;
      await new Promise((done) => setTimeout(done)); // the event comes behind the error
      if (policy) throw new Error(`This page may call only the service that it came from, ${location.origin}: open the page of the other one, or save this page and open the file.`);
      throw new Error(`No answer from ${new URL(url).origin}. Is the address right, is the network there, and does this browser trust its certificate?${other ? ` This page is of another origin (${location.origin}): the service lets it call where its parameter CorsOrigins names that, or is *.` : ""}`);
    } finally {
      document.removeEventListener("securitypolicyviolation", refused);
    }
  }

  /** The body where one can see it; its bytes. */
  async function show(answer, kind, place) {
    if (kind.startsWith("text/event-stream")) return stream(answer, place);
    const blob = await answer.blob();
    if (!blob.size) return 0;
    if (/^image\//.test(kind)) {
      place.append(make("img", { src: URL.createObjectURL(blob), alt: "The answer, a picture" }));
    } else if (/json|^text\//.test(kind)) {
      const text = await blob.text();
      const message = answer.ok ? "" : words(text);
      if (message) place.append(make("p", { class: "error", text: message }));
      place.append(make("pre", { tabindex: "0", "aria-label": "The answer's body", text: /json/.test(kind) ? indented(text) : text }));
    } else place.append(make("a", { href: URL.createObjectURL(blob), download: "answer", text: "Save the answer" }));
    return blob.size;
  }

  async function stream(answer, place) {
    const shown = make("pre", { tabindex: "0", "aria-label": "The answer's body, as it comes" });
    place.append(shown);
    const reader = answer.body.getReader();
    const decoder = new TextDecoder();
    let size = 0;
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      size += part.value.length;
      shown.append(decoder.decode(part.value, { stream: true }));
    }
    return size;
  }

  function words(text) {
    try { const { error } = JSON.parse(text); return String(error?.message ?? error ?? ""); } catch { return ""; }
  }

  /** JSON with lines and margins, of its own text: numbers keep all their digits, which JSON.parse would round. */
  function indented(text) {
    try { JSON.parse(text); } catch { return text; }
    let depth = 0;
    const line = () => `\n${"  ".repeat(depth)}`;
    return text.replace(/"(?:[^"\\]|\\.)*"|\[[^[\]{}"]*\]|\{\s*\}|[{}[\],:]|\s+/g, (part) => {
      if (/^\s+$/.test(part)) return "";
      if (part === "{" || part === "[") { depth += 1; return part + line(); }
      if (part === "}" || part === "]") { depth -= 1; return line() + part; }
      if (part === ",") return part + line();
      if (part === ":") return ": ";
      return part.startsWith("[") ? part.replace(/\s+/g, "").replaceAll(",", ", ") : part;
    });
  }

  // ---- the page

  for (const button of document.querySelectorAll("button.try")) {
    let form;
    button.addEventListener("click", () => {
      if (!form) { form = openForm(OPERATIONS.get(button.dataset.operation)); button.after(form); } else form.hidden = !form.hidden;
      button.setAttribute("aria-expanded", String(!form.hidden));
    });
    button.hidden = false;
  }
  if (location.protocol.startsWith("http")) $("address").value = location.href.replace(/[?#].*$/, "").replace(/\/docs\/?$/, "");
  $("calling").addEventListener("submit", (event) => event.preventDefault());
  $("calling").hidden = document.querySelector(".search").hidden = false;
  $("search").addEventListener("input", find);
  addEventListener("hashchange", follow);
  follow();
})();
