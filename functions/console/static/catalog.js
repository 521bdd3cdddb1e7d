// All models that the token may read: searched, and a page at a time. Both are in the address.
import { Head, Loaded, Pager, Table, Tag, Target, When, at, count, get, html, plural, setQuery, tell, to, useEffect, useLoad, useRef } from "./core.js";

export default function Catalog({ query }) {
  const { search = "", task = "", tag = "", next = "" } = query;
  const models = useLoad((signal) => get("/models", { search, task, tag, next, limit: 25 }, signal), [search, task, tag, next]);
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const type = (event) => {
    const value = event.target.value;
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setQuery({ search: value, next: null }, { replace: true }), 200);
  };
  const shown = models.data?.models.length;
  useEffect(() => { if (shown !== undefined) tell(`${plural(shown, "model")}${models.data.next ? ", more on the next page" : ""}`); }, [models.data]);
  const chosen = [["task", task], ["tag", tag]].filter(([, value]) => value);
  return html`<${Head} title="Models">
    <form class="search" role="search" onSubmit=${(event) => event.preventDefault()}>
      <label class="hidden" for="search">Search models</label>
      <input id="search" type="search" value=${search} onInput=${type} placeholder="Name, task or tag" autocomplete="off" spellcheck=${false} />
    </form><//>
    ${chosen.length > 0 && html`<p class="chosen">Only ${chosen.map(([name, value]) => html`<button type="button" aria-label=${`all again, not only ${name} ${value}`} onClick=${() => setQuery({ [name]: null, next: null })}>${name} ${value} <span aria-hidden="true">×</span></button>`)}</p>`}
    <${Loaded} of=${models}>${(data) => html`
      <${Table} label="Models" rows=${data.models} empty=${search ? `No model has “${search}” in its name, task or tags.` : html`No models yet. <code>amaas push NAME FILE</code> brings the first one.`} columns=${[
        ["Model", (one) => html`<a href=${to(at`/models/${one.name}`)}><b>${one.name}</b></a>`],
        ["Task", (one) => html`<button type="button" class="plain" onClick=${() => setQuery({ task: one.task, next: null })}>${one.task}</button>`],
        ["Production", (one) => (one.aliases.production ? html`<${Target} of=${one.aliases.production} />` : html`<span class="quiet">none</span>`)],
        ["Other aliases", (one) => Object.entries(one.aliases).filter(([name]) => name !== "production").map(([name, target]) => html`<span class="alias">${name} <${Target} of=${target} /></span>`), "wide"],
        ["Versions", (one) => count(one.versions), "number"],
        ["Tags", (one) => one.tags.map((name) => html`<button type="button" class="tag" onClick=${() => setQuery({ tag: name, next: null })}>${name}</button>`), "wide"],
        ["Changed", (one) => html`<${When} at=${one.updated_at} />`],
      ]} /><${Pager} next=${data.next} first=${next} />`}<//>`;
}
