import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { lookOf, SEVERITY } from '../src/report/index.ts';
import type { Severity } from '../src/model/incident.ts';
import { areaClass } from '../src/views/html/style.ts';
import type { Markup } from '../src/views/html/markup.ts';

export const areaOf = (cause: string): string => areaClass(lookOf(cause));

export const Badge = ({ severity }: { readonly severity: Severity }): JSX.Element => <span class="badge">{SEVERITY[severity].word}</span>;
export const Area = ({ cause }: { readonly cause: string }): JSX.Element => <span class="area">{lookOf(cause).word}</span>;

/** A drawing of the written report. Only the report's own template makes markup, and it escapes every value. */
export function Drawing({ markup }: { readonly markup: Markup }): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const parsed = new DOMParser().parseFromString(markup.markup, 'text/html');
    box.current?.replaceChildren(...parsed.body.childNodes);
  }, [markup.markup]);
  return <div ref={box} />;
}

/** Says what was done to those who do not see it. */
let speaker: HTMLElement | undefined;
export function say(words: string): void {
  if (speaker === undefined) {
    speaker = document.createElement('div');
    speaker.setAttribute('role', 'status');
    speaker.className = 'unseen';
    document.body.append(speaker);
  }
  speaker.textContent = words;
}

export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // no clipboard on a page without TLS beyond localhost: the old way
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'unseen';
    document.body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    return done;
  }
}

export function Command({ text, label }: { readonly text: string; readonly label: string }): JSX.Element {
  const [copied, setCopied] = useState<'no' | 'yes' | 'failed'>('no');
  const copy = async (): Promise<void> => {
    const done = await copyText(text);
    setCopied(done ? 'yes' : 'failed');
    say(done ? 'copied' : 'the browser did not allow copying');
    setTimeout(() => setCopied('no'), 2_000);
  };
  return (
    <div class="command">
      <pre class="cmd">{text}</pre>
      <button type="button" class="copy" onClick={() => void copy()} aria-label={`${label}: ${text}`}>{copied === 'yes' ? 'Copied' : copied === 'failed' ? 'Not allowed' : 'Copy'}</button>
    </div>
  );
}

export const Section = ({ title, children, id }: { readonly title: string; readonly children: ComponentChildren; readonly id?: string }): JSX.Element => <section {...(id === undefined ? {} : { id })}><h2>{title}</h2>{children}</section>;
