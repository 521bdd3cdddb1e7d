// Records of a model's history as sentences, and the evidence that the watcher left in some of them.
import { Facts, Table, Tag, Target, When, count, figure, html, percent } from "./core.js";

export const METRICS = { server_errors: "server errors", slow: "slow calls", shadow_differs: "other answers than the shadow", out_of_range: "inputs out of range", wrong_label: "wrong labels" };

export const clock = (at) => at.slice(0, 16).replace("T", " ");
const target = (value) => (value === null ? html`<${Tag} kind="warn">deleted<//>` : html`<${Target} of=${typeof value === "number" ? { version: value } : value} />`);
const moved = (aliases) => Object.entries(aliases ?? {}).map(([alias, value]) => html`<span class="alias"><span>${alias} →</span> ${target(value)}</span>`);

/** What a record says, as a sentence: [class of its dot, text]. Kinds of later releases are shown by their name. */
export function said(record) {
  const { kind, evidence } = record;
  if (evidence?.verdict === "worse") return ["back", html`Rolled back by the watcher: version ${evidence.canary} is worse. ${moved(record.aliases)}`];
  if (evidence) return ["move", html`The watcher goes on with version ${evidence.canary}. ${moved(record.aliases)}`];
  if (record.version) return ["", html`Version ${record.version.version} registered${record.aliases ? html`, ${moved(record.aliases)}` : ""}`];
  if (record.proposal) return ["", record.wanted_policy ? html`Requested another policy of ${record.proposal.alias}` : html`Requested ${moved({ [record.proposal.alias]: record.proposal.target })}`];
  if (record.request !== undefined) return [record.aliases ? "move" : "", html`${kind === "reject" ? "Rejected" : "Approved"} request ${record.request} ${moved(record.aliases)}`];
  if (kind === "rollback") return ["back", html`Rolled back ${moved(record.aliases)}`];
  if (record.aliases) return ["move", html`Moved ${moved(record.aliases)}`];
  if (record.policies) return ["", html`Policy of ${Object.keys(record.policies).join(", ")} set`];
  if (record.retired !== undefined) return ["", html`Version ${record.retired} retired`];
  if (record.restored !== undefined) return ["", html`Version ${record.restored} in use again`];
  if (record.card !== undefined || record.tags) return ["", "Card or tags changed"];
  return ["", kind];
}

/** Why the watcher moved an alias: how many calls of each version were bad, and how much that says. */
export function Evidence({ of: evidence }) {
  const name = (metric) => METRICS[metric] ?? metric;
  const odds = Math.exp(Math.min(evidence.log_e_worse, 600));
  return html`<div class="evidence stack"><p>If version ${evidence.canary} were not worse than version ${evidence.stable}, counts like these would have a chance of
    ${evidence.log_e_worse > 0 ? html` at most <b>1 in ${odds < 1e6 ? count(odds) : figure(odds)}</b>` : " no less than any others"}. A rollback needs 1 in ${count(1 / evidence.policy.alpha)}.</p>
    <${Table} label="Evidence" rows=${Object.entries(evidence.metrics)} columns=${[
      ["Bad calls", ([metric]) => name(metric)],
      [`v${evidence.canary} (canary)`, ([, one]) => `${count(one.canary_bad)} of ${count(one.canary)}`, "number"],
      ["Share", ([, one]) => percent(one.canary_bad / one.canary), "number"],
      [`v${evidence.stable} (stable)`, ([, one]) => `${count(one.stable_bad)} of ${count(one.stable)}`, "number"],
      ["Share", ([, one]) => percent(one.stable_bad / one.stable), "number"],
      ["At most worse by", ([, one]) => (one.loss_bound === null ? "not known yet" : percent(one.loss_bound)), "number"]]} />
    <p class="quiet">Counted from ${clock(evidence.first)} to ${clock(evidence.last)} UTC, since revision ${evidence.since}.</p></div>`;
}

export const Timeline = ({ records, model }) => html`<ol class="timeline">${records.map((record) => {
  const [kind, text] = said(record);
  return html`<li class=${kind} key=${record.revision}><p class="what">${model ?? ""} ${text}</p>
    ${record.reason && html`<p class="reason">${record.reason}</p>`}
    <p class="who"><${When} at=${record.at} exact /> UTC · ${record.name ?? record.by} · revision ${record.revision}</p>
    ${record.evidence && html`<details class="table"><summary>Evidence of this verdict</summary><${Evidence} of=${record.evidence} /></details>`}</li>`;
})}</ol>`;

export const Rules = ({ of: release }) => html`<${Facts} of=${[
  ["Steps", release.steps.map((one) => `${one} %`).join(" → ")],
  ["Each at least", `${count(release.bake_minutes)} min, ${count(release.least_requests)} calls`],
  ["Watched", release.metrics.map((metric) => METRICS[metric] ?? metric).join(", ")],
  ["Tolerated loss", percent(release.tolerated_loss)],
  ["Wrong rollbacks", `at most ${percent(release.alpha)}`],
  ["By itself", [release.abort && "rolls back", release.promote && "goes on"].filter(Boolean).join(", ") || "nothing"]]} />`;
