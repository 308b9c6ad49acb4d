import { plural } from '../base/text.ts';
import type { Cause } from '../model/cause.ts';
import type { Found } from '../model/finding.ts';
import type { Incident } from '../model/incident.ts';
import type { Symptom } from '../model/symptom.ts';
import type { View } from './store.ts';

/** The outcome of one symptom before all causes. */
export interface Verdict {
  readonly cause: Cause;
  readonly found: Found;
  readonly ruledOut: Incident['ruledOut'];
  readonly cannotTell: Incident['cannotTell'];
  /** Some cause still waits for an answer: judge again later. */
  readonly provisional: boolean;
}

/** Confident enough to speak before every other cause has its answers. */
const SURE = 0.9;

/**
 * Puts the symptom before every cause and takes the most confident. A cause that waits for an answer has no say yet;
 * while one waits, only a finding that is sure is given out. `undefined`: wait. With `last` nothing is waited for: what is
 * still unanswered can not be told.
 */
export function judge(symptom: Symptom, causes: readonly Cause[], view: View, last = false): Verdict | undefined {
  const found: { cause: Cause; found: Found }[] = [];
  const ruledOut: { cause: string; because: string }[] = [];
  const cannotTell: { cause: string; because: string; wouldTell: string }[] = [];
  let waiting = false;
  const gaps = gapsOf(symptom, view);
  for (const cause of causes) {
    view.begin();
    const finding = cause.judge(symptom, view);
    if (view.pending) {
      waiting = true;
      // what it finds without the answer, it would find where the answer cannot be had
      if (last && finding.outcome === 'found') found.push({ cause, found: finding });
      else if (last) cannotTell.push({ cause: cause.id, because: 'the host did not answer in time', wouldTell: `its ${[...view.touched].join(', ')} listings` });
      continue;
    }
    switch (finding.outcome) {
      case 'found':
        found.push({ cause, found: finding });
        break;
      case 'ruled-out':
        // what was missed may be just what would have told
        if (gaps.conntrack !== undefined && BY_EVENTS.test(cause.id)) cannotTell.push({ cause: cause.id, because: `${finding.because}, but ${gaps.conntrack}`, wouldTell: 'the same loss again while whydrop keeps up' });
        else ruledOut.push({ cause: cause.id, because: finding.because });
        break;
      case 'cannot-tell':
        cannotTell.push({ cause: cause.id, because: finding.because, wouldTell: finding.wouldTell });
        break;
      case 'not-applicable':
        break;
    }
  }
  found.sort((a, b) => b.found.confidence - a.found.confidence);
  const best = found[0];
  if (best === undefined) return undefined;
  if (waiting && !last && best.found.confidence < SURE) return undefined;
  for (const gap of best.cause.id.startsWith('conntrack.') ? [gaps.conntrack, gaps.exec] : []) {
    if (gap !== undefined) cannotTell.push({ cause: best.cause.id, because: `whether more made it happen than is told here: ${gap}`, wouldTell: 'the same loss again while whydrop keeps up' });
  }
  for (const other of found.slice(1)) {
    if (other.cause.id === 'unknown' || other.cause.id === best.cause.id) continue;
    ruledOut.push({ cause: other.cause.id, because: `less likely (${other.found.confidence.toFixed(2)}): ${firstSentence(other.found.explanation)}` });
  }
  return { cause: best.cause, found: best.found, ruledOut, cannotTell, provisional: waiting };
}

/** Causes that are ruled out by what the conntrack events tell. */
const BY_EVENTS = /^conntrack\.(?:insert-race|dying-entry)$/;
/** As far before a symptom as what made it can lie, ns. */
const BEFORE = 10_000_000_000n;

/** What whydrop itself missed around a symptom, of that which verdicts are made from, in words. Counts and samples of drops are told by the summary. */
function gapsOf(symptom: Symptom, view: View): { readonly conntrack?: string; readonly exec?: string } {
  let conntrack = 0, exec = 0;
  for (const m of view.missed()) {
    if (m.time < symptom.first - BEFORE) continue;
    if (m.source === 'conntrack-events') conntrack += m.count;
    else if (m.source === 'bpf-exec') exec += m.count;
  }
  return {
    ...(conntrack === 0 ? undefined : { conntrack: `${plural(conntrack, 'conntrack event')} of these seconds ${conntrack === 1 ? 'was' : 'were'} missed` }),
    ...(exec === 0 ? undefined : { exec: `${plural(exec, 'program')} that started in these seconds ${exec === 1 ? 'was' : 'were'} missed` }),
  };
}

const firstSentence = (text: string): string => text.match(/^.*?[.!?](?=\s|$)/s)?.[0] ?? text;
