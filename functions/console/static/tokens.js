// Tokens: who may call, with which scopes. Making, rotating and revoking them is for administrators.
import { Ask, Head, Loaded, Pager, Table, Tag, When, at, call, get, html, useLoad, useState } from "./core.js";

export default function Tokens({ query, account }) {
  const tokens = useLoad((signal) => get("/tokens", { limit: 30, next: query.next }, signal), [query.next]);
  const [secret, setSecret] = useState(null);
  const state = (one) => (one.revoked ? html`<${Tag} kind="bad">revoked<//>` : one.problem ? html`<${Tag} kind="bad">${one.problem}<//>` : one.expires_at && one.expires_at < Date.now() / 1000 ? html`<${Tag} kind="warn">expired<//>` : html`<${Tag} kind="good">valid<//>`);
  const create = async ({ name, scopes, days }) => setSecret(await call("POST", "/tokens", { body: { name, scopes: scopes.split(/[\s,]+/).filter(Boolean), ...(days ? { expires_in_days: Number(days) } : {}) } }));
  return html`<${Head} title="Tokens"><${Ask} label="New token" kind="primary" title="A new token" reason=${false} act=${create} done=${tokens.reload}>
      <label>Name<input name="name" required maxlength="100" autocomplete="off" /></label>
      <label>Scopes <span class="quiet">such as read, infer:fashion-*, write:mine</span><input name="scopes" required autocomplete="off" spellcheck=${false} /></label>
      <label>Days until it expires <span class="quiet">empty: as the deployment says</span><input name="days" type="number" min="1" max="3650" /></label><//><//>
    ${secret && html`<div class="note" role="status"><p><b>${secret.name}</b>: <code>${secret.token}</code></p><p class="quiet">It is shown this once.</p><button type="button" onClick=${() => setSecret(null)}>I have kept it</button></div>`}
    <${Loaded} of=${tokens}>${(data) => html`<${Table} label="Tokens" rows=${data.tokens} columns=${[
      ["Name", (one) => html`<b>${one.name}</b>${one.id === account.id ? html` <${Tag}>yours<//>` : ""}`], ["State", state], ["Scopes", (one) => one.scopes.map((scope) => html`<${Tag}>${scope}<//>`)],
      ["Person", (one) => (one.person && one.person !== one.id ? one.person : "") || html`<span class="quiet">–</span>`, "wide"], ["Last used", (one) => one.last_used ?? html`<span class="quiet">never</span>`, "wide"], ["Expires", (one) => (one.expires_at ? html`<${When} at=${one.expires_at} />` : "never"), "wide"],
      ["", (one) => !one.revoked && html`<${Ask} label="Revoke" of=${one.name} keep="Keep it" final kind="danger" title=${one.id === account.id ? `Revoke your own token, ${one.name}?` : `Revoke ${one.name}?`} done=${tokens.reload} act=${({ reason }) => call("DELETE", at`/tokens/${one.id}`, { body: { reason: reason || null } })}><p>${one.id === account.id ? "You are signed out at once, and" : "Whoever has it is refused within seconds."} ${one.id === account.id ? "whoever else has it is refused within seconds." : ""} This cannot be undone.</p><//>`]]} /><${Pager} next=${data.next} first=${query.next} />`}<//>`;
}
