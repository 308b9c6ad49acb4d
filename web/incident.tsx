import type { JSX } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { reportOf, type Report } from '../src/report/index.ts';
import { flameSection } from '../src/views/html/flame.ts';
import { sequenceFigure } from '../src/views/html/sequence.ts';
import { areaClass } from '../src/views/html/style.ts';
import type { IncidentDetail } from '../src/views/web/protocol.ts';
import { incidentOf } from './data.ts';
import { Flows } from './flows.tsx';
import { Command, Drawing } from './parts.tsx';

/** One incident, whole. It is asked for again when its count has grown. */
export function Incident({ source, id, count, now }: { readonly source: string; readonly id: string; readonly count: number; readonly now: number }): JSX.Element {
  const [detail, setDetail] = useState<IncidentDetail | string>();
  useEffect(() => {
    let gone = false;
    incidentOf(source, id).then((d) => !gone && setDetail(d), (error: unknown) => !gone && setDetail((before) => (typeof before === 'object' ? before : String((error as Error).message))));
    return () => void (gone = true);
  }, [source, id, count]);
  const report = useMemo(() => (typeof detail === 'object' ? reportOf(detail.incident, now, detail.diagram) : undefined), [detail]);
  if (typeof detail === 'string') return <p class="none">This incident is not known any more ({detail}). <a href="#/">All incidents</a></p>;
  if (report === undefined || detail === undefined) return <p class="soft">…</p>;
  return <Whole report={report} detail={detail} />;
}

function Whole({ report, detail }: { readonly report: Report; readonly detail: IncidentDetail }): JSX.Element {
  return (
    <article class={`sev-${report.severity} ${areaClass(report.area)}`}>
      <p><span class="badge">{report.severityLook.word}</span> <span class="area">{report.area.word}</span></p>
      <h1>{report.title}</h1>
      <p class="loss">{report.loss}</p>
      <p class="meta">{report.when} · {report.sure} · <a href={`#/explain/${report.causeId}`}><code>{report.causeId}</code></a></p>
      <div class="culprit"><b>Culprit: {report.culprit.kind}</b>{report.culprit.text}</div>
      <Todo report={report} />
      <h2>Why</h2>
      <p>{report.explanation}</p>
      {report.because.length > 0 && (
        <>
          <h2>Evidence</h2>
          <dl class="evidence">{report.because.map((g) => <div key={g.source}><dt class="src">{g.source}</dt>{g.lines.map((l, i) => <dd key={i}>{l.time !== undefined && <EvidenceTime text={l.time} at={detail.incident.evidence.find((e) => e.source === g.source && e.text === l.text)?.time} />}{l.text}</dd>)}</div>)}</dl>
        </>
      )}
      {detail.diagram !== undefined && <><h2>{detail.diagram.title}</h2><Drawing markup={sequenceFigure(detail.diagram)} /></>}
      {report.ruledOut.length > 0 && <><h2>Ruled out</h2><ul class="plain">{report.ruledOut.map((r, i) => <li key={i}><a href={`#/explain/${r.cause}`}><code>{r.cause}</code></a> {r.because}</li>)}</ul></>}
      {report.cannotTell.length > 0 && <><h2>Cannot tell</h2><ul class="plain">{report.cannotTell.map((c, i) => <li key={i}><code>{c.cause}</code> {c.because}{c.wouldTell !== '' && <><br /><span class="soft">would tell: {c.wouldTell}</span></>}</li>)}</ul></>}
      <h2>Where</h2>
      <dl class="facts">{report.where.map((w) => <><dt>{w.label}</dt><dd class="mono">{w.value}</dd></>)}</dl>
      {detail.stacks.length > 0 && <Drawing markup={flameSection(detail.stacks)} />}
      {report.flows.length > 0 && <Flows flows={report.flows} />}
      {report.culprit.fields.length > 0 && <details><summary>The culprit in fields</summary><dl class="facts">{report.culprit.fields.map((f) => <><dt>{f.label}</dt><dd class="mono">{f.value}</dd></>)}</dl></details>}
    </article>
  );
}

/** Leads to this moment on the time line. */
function EvidenceTime({ text, at }: { readonly text: string; readonly at: string | undefined }): JSX.Element {
  return at === undefined || Number.isNaN(Date.parse(at)) ? <span class="time">{text}</span> : <a class="time" href={`#/at/${encodeURIComponent(at)}`} title="Show this moment on the time line">{text}</a>;
}

function Todo({ report }: { readonly report: Report }): JSX.Element {
  if (report.todo.length === 0) return <><h2>What to do</h2><p>{report.severity === 'info' ? 'Nothing; this is normal.' : 'whydrop knows no remedy for this.'}</p></>;
  return (
    <>
      <h2>What to do</h2>
      {report.todo.map((r, i) => (
        <div key={i} class="remedy">
          <p class={i === 0 ? 'first' : 'other'}>{i === 0 ? '' : 'Or: '}{r.text} <span class="risk">({r.risk} risk)</span></p>
          {r.command !== undefined && <Command text={r.command} label={i === 0 ? 'Copy the command' : 'Copy this command'} />}
          {r.undo !== undefined && <><p class="undo">To undo it:</p><Command text={r.undo} label="Copy the undo" /></>}
        </div>
      ))}
    </>
  );
}
