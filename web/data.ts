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
export const hostOf = (source: string): Promise<HostState> => get(`/api/host?source=${encodeURIComponent(source)}`);
export const causesOf = (): Promise<readonly CauseText[]> => get('/api/causes');

/** Gives a recording to the server; the id under which it can be looked at. */
export async function giveRecording(file: File): Promise<string> {
  const response = await fetch(`/api/recordings?name=${encodeURIComponent(file.name)}`, { method: 'POST', body: file, credentials: 'same-origin', headers: { 'content-type': 'application/octet-stream' } });
  const text = await response.text();
  if (!response.ok) throw new Error(printable(text.trim()));
  return read<{ id: string }>(text).id;
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
