import { printable } from '../src/base/text.ts';
import type { CauseText, HostState, IncidentDetail, SourceState } from '../src/views/web/protocol.ts';

/** Everything that arrives is made printable here, once: names from packets and processes hold what they like. */
const inert = (_: string, value: unknown): unknown => (typeof value === 'string' ? printable(value) : value);

const read = <T>(text: string): T => JSON.parse(text, inert) as T;

async function get<T>(path: string): Promise<T> {
  const response = await fetch(path, { credentials: 'same-origin' });
  const text = await response.text();
  if (!response.ok) throw new Error(text.trim() === '' ? `${response.status}` : printable(text.trim()));
  return read<T>(text);
}

export const incidentOf = (source: string, id: string): Promise<IncidentDetail> => get(`/api/incident?source=${encodeURIComponent(source)}&id=${encodeURIComponent(id)}`);
export const hostOf = (source: string, netns?: number): Promise<HostState> => get(`/api/host?source=${encodeURIComponent(source)}${netns === undefined ? '' : `&netns=${netns}`}`);
export const causesOf = (): Promise<readonly CauseText[]> => get('/api/causes');

type Told = { readonly share: number } | { readonly id: string } | { readonly error: string };

/** Gives a recording to the server; the id under which it can be looked at. Giving up tells the server to stop. */
export async function giveRecording(file: File, progress: (share: number) => void, cancel: AbortSignal): Promise<string> {
  const response = await fetch(`/api/recordings?name=${encodeURIComponent(file.name)}`, { method: 'POST', body: file, signal: cancel, credentials: 'same-origin', headers: { 'content-type': 'application/octet-stream' } });
  if (!response.ok || response.body === null) throw new Error(printable((await response.text()).trim()));
  let rest = '';
  for (const reader = response.body.pipeThrough(new TextDecoderStream()).getReader(); ; ) {
    const { value, done } = await reader.read();
    if (done) throw new Error('whydrop ended before the recording was judged');
    const lines = (rest + value).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const told = read<Told>(line);
      if ('id' in told) return told.id;
      if ('error' in told) throw new Error(told.error);
      progress(told.share);
    }
  }
}

/** States of a source as they come. A recording does not change: its first state is its last. */
export function follow(source: string, take: (state: SourceState) => void, lost: (is: boolean) => void): () => void {
  const events = new EventSource(`/api/events?source=${encodeURIComponent(source)}`);
  events.addEventListener('state', (event) => {
    lost(false);
    const state = read<SourceState>((event as MessageEvent<string>).data);
    take(state);
    if (state.id !== 'live' && state.id !== 'none') events.close();
  });
  events.addEventListener('error', () => lost(true));
  return () => events.close();
}
