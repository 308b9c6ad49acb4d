import { createHash } from 'node:crypto';
import type { Incident, Severity } from '../../model/incident.ts';
import { byteSize, counted, grouped, lookOf, lossCount, netnsText, nothingWords, reportOf, sentence, SEVERITY, span, victimShort, type Report, type ReportInput, type StackCount } from '../../report/index.ts';
import { flameSection } from './flame.ts';
import { anchor, incidentArticle } from './incident.ts';
import { letters, m, NOTHING, type Markup } from './markup.ts';
import { areaClass, STYLE } from './style.ts';
import { timelineSection } from './timeline.ts';

/** Incidents that are told whole; the list names the others. */
const WHOLE = 100;
/** Of these the long parts are open at once. */
const OPEN = 3;

/** One self-contained file: no script, no request, for a screen of any width and for paper. */
export function renderReport(input: ReportInput): string {
  const now = Date.parse(input.to);
  const reports = input.incidents.map((incident) => ({ incident, report: reportOf(incident, now, input.diagrams?.get(incident.id)) }));
  const matter = reports.filter(({ incident }) => incident.severity !== 'info');
  const normal = reports.filter(({ incident }) => incident.severity === 'info');
  const hash = createHash('sha256').update(STYLE, 'utf8').digest('base64');
  const page = m`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<title>${headline(matter.map((r) => r.report), input)} (${input.host.hostname}, whydrop)</title>
<style>${{ markup: STYLE }}</style>
</head>
<body class="sheet">
${header(input, matter.map((r) => r.report))}
<main>
${contents(input, matter.length)}
${matter.length > 1 ? ranked(matter, 'What was lost, most harm first') : NOTHING}
${timelineSection(input)}
${matter.length === 0 ? NOTHING : m`<section id="why"><h2>Why, and what to do</h2><p class="soft"><span class="screen">A click on a command selects it whole. </span>whydrop has run none of these commands.</p>${matter.slice(0, WHOLE).map(({ report }, i) => incidentArticle(report, i + 1, i < OPEN, matter.length > 1))}${matter.length > WHOLE ? m`<p class="soft">${grouped(matter.length - WHOLE)} more are only listed above.</p>` : NOTHING}</section>`}
${flameSection(stacksOf(input))}
${normal.length === 0 ? NOTHING : m`${ranked(normal, 'Seen, and normal')}`}
${unseen(input)}
</main>
<footer>${cost(input)}<p>Made by whydrop ${input.host.whydrop}. Bytes are in powers of 1000, times are UTC.</p></footer>
</body>
</html>
`;
  return page.markup;
}

/** The verdict of the whole report in one line. */
function headline(matter: readonly Report[], input: ReportInput): string {
  const worst = matter[0];
  if (worst === undefined) return nothingWords(input.incidents, input.losses);
  return matter.length === 1 ? worst.title : `${worst.title}, and ${counted(matter.length - 1, 'other incident')}`;
}

function header(input: ReportInput, matter: readonly Report[]): Markup {
  const { host } = input;
  const worst = matter[0];
  const first = worst?.todo[0];
  const ran = Date.parse(input.to) - Date.parse(input.from);
  const facts: readonly (readonly [string, string])[] = [
    ['host', `${host.hostname}, Linux ${host.kernel}${host.machine === undefined ? '' : `, ${host.machine}`}${host.cpus === undefined ? '' : `, ${counted(host.cpus, 'CPU')}`}`],
    ['watched', `${input.from.slice(0, 19).replace('T', ' ')} to ${input.to.slice(11, 19)} UTC (${span(ran)})`],
    [input.netns.length === 1 ? 'namespace' : 'namespaces', input.netns.length === 0 ? 'all' : input.netns.slice(0, 20).map(netnsText).join(', ') + (input.netns.length > 20 ? ` and ${input.netns.length - 20} more` : '')],
    ...(input.command === undefined ? [] : [['command', input.command] as const]),
  ];
  const verdict =
    worst === undefined
      ? m`<p class="none">In ${span(ran)} no packet and no call was lost that matters.${blindness(input) ? ' Mind what was not seen, below.' : ''}</p>`
      : m`<p class="loss">${worst.loss}.</p><dl class="answers"><dt>Culprit</dt><dd>${worst.culprit.kind === 'not known' ? m`not known` : m`<b>${worst.culprit.text}</b>${told(worst) ? NOTHING : m` <span class="soft">(${worst.culprit.kind})</span>`}`}</dd>${first === undefined ? NOTHING : m`<dt>What to do</dt><dd>${first.text.replace(/\.$/, '')} <span class="risk">(${first.risk} risk)</span>${first.command === undefined ? NOTHING : m`<pre class="cmd" tabindex="0">${letters(first.command)}</pre>`}</dd>`}<dt>How sure</dt><dd>${worst.sure}</dd></dl>`;
  return m`<header class="sev-${worst?.severity ?? 'none'}"><p class="brand"><b>whydrop</b> report${worst === undefined ? NOTHING : m` <span class="badge">${worst.severityLook.word}</span>`}</p><h1>${headline(matter, input)}</h1>${verdict}<dl class="facts">${facts.map(([k, v]) => m`<dt>${k}</dt><dd>${v}</dd>`)}</dl></header>`;
}

/** The culprit's own words begin with what it is. */
const told = ({ culprit }: Report): boolean => culprit.text.toLowerCase().startsWith(culprit.kind.toLowerCase());

/** Where the parts are, for reports that are longer than a screen. */
function contents(input: ReportInput, matter: number): Markup {
  if (matter === 0) return NOTHING;
  const parts: readonly (readonly [boolean, string, string])[] = [
    [matter > 1, 'losses', 'What was lost'],
    [(input.timeline?.series.length ?? 0) + (input.counters?.length ?? 0) > 0, 'when', 'When'],
    [true, 'why', 'Why, and what to do'],
    [stacksOf(input).some((s) => s.frames.length > 0 && s.count > 0), 'where', 'Where in the kernel'],
    [true, 'unseen', 'What was not seen'],
  ];
  return m`<nav aria-label="Parts of this report">${parts.filter(([there]) => there).map(([, id, words]) => m`<a href="#${id}">${words}</a>`)}</nav>`;
}

const stacksOf = (input: ReportInput): readonly StackCount[] => input.stacks ?? ownStacks(input.incidents);

function blindness(input: ReportInput): boolean {
  return input.losses.length > 0 || input.probes.some((p) => p.state === 'unavailable');
}

function ranked(list: readonly { readonly incident: Incident; readonly report: Report }[], title: string): Markup {
  if (list.length === 0) return NOTHING;
  const items = list.map(({ incident, report }, i) => {
    const link = incident.severity !== 'info' && i < WHOLE ? m`<a href="#i-${anchor(incident.id)}">${sentence(incident.cause.title)}</a>` : m`${sentence(incident.cause.title)}`;
    return m`<li class="sev-${incident.severity} ${areaClass(lookOf(incident.cause.id))}"><span><span class="badge">${SEVERITY[incident.severity].word}</span></span><span class="n">${lossCount(incident)}</span><span class="what">${link}<span class="who">${victimShort(incident)} · ${told(report) ? '' : `${report.culprit.kind}: `}${report.culprit.text}</span></span></li>`;
  });
  return m`<section${list[0]?.incident.severity === 'info' ? NOTHING : m` id="losses"`}><h2>${title}</h2>${tally(list.map((l) => l.incident))}<ol class="ranked">${items}</ol></section>`;
}

function tally(incidents: readonly Incident[]): Markup {
  const by = (severity: Severity): number => incidents.filter((i) => i.severity === severity).length;
  const parts = (['critical', 'warning'] as const).filter((s) => by(s) > 0).map((s) => (s === 'warning' ? counted(by(s), 'warning') : `${grouped(by(s))} critical`));
  return parts.length === 0 ? NOTHING : m`<p class="soft">${parts.join(', ')}</p>`;
}

/** A verdict is worth what the watching was: what could not be armed and what was missed stands in every report. */
function unseen(input: ReportInput): Markup {
  const blind = input.probes.filter((p) => p.state === 'unavailable');
  const armed = input.probes.filter((p) => p.state === 'armed').map((p) => p.id);
  const items = [
    ...blind.map((p) => m`<li><span class="src">${p.id}</span> could not be armed: ${p.why ?? 'no reason given'}${p.without === undefined ? NOTHING : m`<br>without it: ${p.without}`}${p.fix === undefined ? NOTHING : m`<br><span class="soft">to get it: ${p.fix}</span>`}</li>`),
    ...input.losses.map((l) => m`<li><span class="src">${l.source}</span> ${l.text}${l.count > 0 ? ` (${grouped(l.count)})` : ''}</li>`),
  ];
  const all = armed.length === 0 ? NOTHING : m`<p class="soft">Armed: ${armed.join(', ')}.</p>`;
  return m`<section id="unseen"><h2>What was not seen</h2>${items.length === 0 ? m`<p>Nothing that whydrop knows of: every probe was armed and none lost a record.</p>` : m`<ul class="plain">${items}</ul>`}${all}</section>`;
}

function cost(input: ReportInput): Markup {
  if (input.cost === undefined) return NOTHING;
  const { cpuSeconds, peakRss, eventsSeen, perEventNs } = input.cost;
  return m`<p>Watching took ${cpuSeconds.toFixed(2)} s of CPU and ${byteSize(peakRss)} of memory; ${grouped(eventsSeen)} events were seen${perEventNs === undefined ? '' : `, ${Math.round(perEventNs)} ns each in the kernel`}.</p>`;
}

/** The stacks that the incidents carry, with their counts. */
function ownStacks(incidents: readonly Incident[]): StackCount[] {
  return incidents.flatMap((i) => (i.where.stack === undefined || i.where.stack.length === 0 ? [] : [{ cause: i.cause.id, frames: i.where.stack, count: i.count }]));
}
