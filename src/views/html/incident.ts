import { printable } from '../../base/text.ts';
import type { Remedy } from '../../model/incident.ts';
import { counted, grouped, type Report } from '../../report/index.ts';
import { letters, m, NOTHING, type Markup } from './markup.ts';
import { sequenceFigure } from './sequence.ts';
import { areaClass } from './style.ts';

const FLOWS = 200;
/** More flows than these are folded. */
const FEW = 10;

/** One incident: verdict, culprit, what to do, why, and the proof. `open`: long parts are shown at once. `more`: there is a list to go back to. */
export function incidentArticle(report: Report, rank: number, open: boolean, more = true): Markup {
  return m`<article class="sev-${report.severity} ${areaClass(report.area)}" id="i-${anchor(report.id)}">
<p class="kind"><span class="badge">${report.severityLook.word}</span> <span class="area">${report.area.word}</span>${more ? m`<a class="up" href="#losses">all incidents</a>` : NOTHING}</p>
<h3>${more ? `${rank}. ` : ''}${report.title}</h3>
<p class="loss">${report.loss}.</p>
<p class="meta">${report.when} · ${report.sure} · <code>${report.causeId}</code></p>
<div class="culprit"><b>Culprit: ${report.culprit.kind}</b>${report.culprit.text}</div>
${todo(report)}
<h4>Why</h4><p>${report.explanation}</p>
${evidence(report)}
${report.diagram === undefined ? NOTHING : m`<h4>${report.diagram.title}</h4>${sequenceFigure(report.diagram)}`}
${list('Ruled out', report.ruledOut.map((r) => m`<li><code>${r.cause}</code> ${r.because}</li>`))}
${list('Cannot tell', report.cannotTell.map((c) => m`<li><code>${c.cause}</code> ${c.because}${c.wouldTell === '' ? NOTHING : m`<br><span class="soft">would tell: ${c.wouldTell}</span>`}</li>`))}
${flows(report)}
<h4>Where</h4><dl class="facts">${report.where.map((w) => m`<dt>${w.label}</dt><dd class="mono">${w.value}</dd>`)}</dl>
${report.stack.length === 0 ? NOTHING : m`<details${open ? m` open` : NOTHING}><summary>Stack of the drop (${counted(report.stack.length, 'frame')}), innermost first</summary><pre class="stack">${report.stack.map((f, i) => m`${i === 0 ? '' : m`
`}${f}`)}</pre></details>`}
${report.culprit.fields.length === 0 ? NOTHING : m`<details${open ? m` open` : NOTHING}><summary>The culprit in fields</summary><dl class="facts">${report.culprit.fields.map((f) => m`<dt>${f.label}</dt><dd class="mono">${f.value}</dd>`)}</dl></details>`}
</article>`;
}

/** For ids and links: nothing but letters and digits. */
export function anchor(id: string): string {
  return id.replace(/[^A-Za-z0-9]/g, (c) => `-${c.codePointAt(0)!.toString(16)}`);
}

function todo(report: Report): Markup {
  if (report.todo.length === 0) return m`<h4>What to do</h4><p>${report.severity === 'info' ? 'Nothing; this is normal.' : 'whydrop knows no remedy for this.'}</p>`;
  return m`<h4>What to do</h4>${report.todo.map(remedy)}`;
}

function remedy(remedy: Remedy, i: number): Markup {
  const escaped = [remedy.command, remedy.undo].some((c) => c !== undefined && printable(c) !== c);
  return m`<div class="remedy"><p class="${i === 0 ? 'first' : 'other'}">${i === 0 ? '' : 'Or: '}${remedy.text} <span class="risk">(${remedy.risk} risk)</span></p>${remedy.command === undefined ? NOTHING : m`<pre class="cmd" tabindex="0">${letters(remedy.command)}</pre>`}${remedy.undo === undefined ? NOTHING : m`<p class="undo">To undo it:</p><pre class="cmd" tabindex="0">${letters(remedy.undo)}</pre>`}${escaped ? m`<p class="undo">A name in it holds control characters, shown escaped: the command does not work as it is.</p>` : NOTHING}</div>`;
}

function evidence(report: Report): Markup {
  return list('Evidence', report.because.flatMap((group) => group.lines.map((line, i) => m`<li>${i === 0 ? m`<span class="src">${group.source}</span><br>` : NOTHING}${line.time === undefined ? NOTHING : m`<span class="time">${line.time}</span>`}${line.text}</li>`)));
}

function list(title: string, items: readonly Markup[]): Markup {
  return items.length === 0 ? NOTHING : m`<h4>${title}</h4><ul class="plain">${items}</ul>`;
}

function flows(report: Report): Markup {
  if (report.flows.length === 0) return NOTHING;
  const rows = report.flows.slice(0, FLOWS).map((f) => m`<tr><td class="by">${f.who === '' ? 'not known' : f.who}</td><td class="protocol">${f.protocol}</td><td class="mono" data-label="from">${f.source}</td><td class="mono" data-label="to">${f.destination}</td><td class="mono failed">${f.failed}</td><td class="n">${grouped(f.count)}</td></tr>`);
  const table = (part: readonly Markup[]): Markup => m`<table class="flows"><thead><tr><th scope="col">who</th><th scope="col">protocol</th><th scope="col">from</th><th scope="col">to</th><th scope="col">failed</th><th scope="col" class="n">count</th></tr></thead><tbody>${part}</tbody></table>`;
  // to fold away one or two is not worth a click
  const few = rows.length > FEW + 2 ? FEW : rows.length;
  const folded = few === rows.length ? NOTHING : m`<details class="flat"><summary>${counted(rows.length - few, 'more flow')}</summary>${table(rows.slice(few))}</details>`;
  const rest = report.flows.length > FLOWS ? m`<p class="soft">${grouped(report.flows.length - FLOWS)} more flows are not listed.</p>` : NOTHING;
  return m`<h4>Flows</h4>${table(rows.slice(0, few))}${folded}${rest}`;
}
