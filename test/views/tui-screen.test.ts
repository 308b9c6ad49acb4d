import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { columns } from '../../src/views/cli/text.ts';
import { copySequence } from '../../src/views/tui/clipboard.ts';
import { screen } from '../../src/views/tui/screen.ts';
import { sparkline, total } from '../../src/views/tui/sparkline.ts';
import { press, START, visible, type Key, type Ui } from '../../src/views/tui/ui.ts';
import { EVIL, hostile, INCIDENTS, insertRace, rcvbufFull, ruleDrop, STATE } from '../fixtures-incidents.ts';

const LOOK = { colour: false, unicode: true } as const;
const SIZE = { columns: 100, rows: 30 } as const;
const keys = (text: string): Key[] => text.split(' ').map((k) => (/^(up|down|page-up|page-down|home|end|enter|escape|left|backspace|interrupt)$/.test(k) ? { name: k as 'up' } : { name: 'text', text: k }));
const type = (ui: Ui, text: string): Ui => keys(text).reduce((u, key) => press(u, key, STATE, screen(STATE, u, SIZE, LOOK).extent).ui, ui);
const drawn = (ui: Ui, size = SIZE as { columns: number; rows: number }): string => screen(STATE, ui, size, LOOK).lines.join('\n');

test('every screen fits, at every size, in colour and without, in UTF-8 and in ASCII', () => {
  const uis: readonly Ui[] = [START, type(START, 'enter'), type(START, 'down down enter'), type(START, '?'), type(START, '/ x y'), { ...START, filter: 'nothing like it' }, { ...START, message: EVIL }, { ...START, filter: EVIL }, { ...type(START, 'enter'), scroll: 9999 }];
  for (const size of [{ columns: 80, rows: 24 }, { columns: 40, rows: 10 }, { columns: 250, rows: 70 }, { columns: 133, rows: 37 }, { columns: 12, rows: 3 }, { columns: 1, rows: 1 }]) {
    for (const ui of uis) {
      for (const look of [LOOK, { colour: true, unicode: false }]) {
        const { lines } = screen(STATE, ui, size, look);
        assert.ok(lines.length <= size.rows, `${lines.length} rows of ${size.rows}`);
        if (size.columns >= 40) assert.equal(lines.length, size.rows);
        for (const line of lines) {
          // eslint-disable-next-line no-control-regex
          const bare = line.replace(/\u001b\[[0-9;]*m/g, '');
          assert.ok(columns(bare) <= size.columns, `${columns(bare)} of ${size.columns}: ${bare}`);
          // eslint-disable-next-line no-control-regex
          assert.doesNotMatch(bare, /[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/);
          // eslint-disable-next-line no-control-regex
          if (!look.unicode) assert.match(bare, /^[\x20-\x7e]*$/);
        }
      }
    }
  }
});

test('the list has count, age, what, victim and culprit of each incident; what is not seen and the cost stand above', () => {
  const text = drawn(START, { columns: 160, rows: 40 });
  for (const part of ['1.2k    3 s A firewall rule dropped it', 'openvpn[4242] → 10.77.0.1:1194', 'rule: iptables', 'not seen: exec-bpf', 'bpf-ring missed 3,120', '710 ns each in the kernel', 'incidents (14), by harm', 'socket.rcvbuf-full']) assert.ok(text.includes(part), part);
});

test('the cursor stays on its incident when ranks change', () => {
  const ui = type(START, 'down');
  assert.equal(ui.selected, INCIDENTS[1]?.id);
  const turned = { ...STATE, incidents: INCIDENTS.toReversed() };
  assert.ok(screen(turned, ui, SIZE, LOOK).lines.some((l) => l.startsWith('>') && l.includes('A firewall rule')));
});

test('keys: open, scroll, next, back', () => {
  const open = type(START, 'down enter');
  assert.ok(drawn(open).includes('Culprit (rule): iptables'));
  const end = type(open, 'end');
  assert.ok(drawn(end).includes('Flows') && end.scroll > 0);
  assert.equal(type(end, 'down down').scroll, end.scroll, 'not beyond the end');
  assert.equal(type(open, 'n').selected, INCIDENTS[2]?.id);
  assert.equal(type(open, 'N N').message, 'this is the first one');
  assert.equal(type(open, 'escape').view, 'list');
  assert.equal(type(open, 'q').view, 'list');
  assert.equal(type(START, 'up up').selected, INCIDENTS[0]?.id);
  assert.equal(type(START, 'end').selected, INCIDENTS.at(-1)?.id);
});

test('sequence diagrams are drawn in their incident', () => {
  assert.ok(drawn({ ...START, view: 'detail', selected: insertRace.id, scroll: 9999 }).includes('✗ confirm A: tuple taken'));
});

test('filter: words that all must be there; Escape takes back, Enter keeps', () => {
  const typed = type(START, '/ e p e r m');
  assert.equal(typed.filter, 'eperm');
  assert.ok(visible(STATE, typed).every((i) => JSON.stringify(i).includes('EPERM')) && visible(STATE, typed).length > 1);
  assert.equal(type(typed, 'escape').filter, '');
  const kept = type(typed, 'backspace enter');
  assert.deepEqual([kept.filter, kept.editing], ['eper', undefined]);
  assert.equal(type(START, '/ q q').filter, 'qq', 'letters are text here, not commands');
  assert.deepEqual(visible(STATE, { ...START, filter: 'OPENVPN rule-drop' }), [ruleDrop]);
  assert.ok(drawn({ ...START, filter: 'zzz' }).includes('Nothing matches "zzz". Esc shows all 14.'));
});

test('sorting', () => {
  const order = (sort: Ui['sort']) => visible(STATE, { ...START, sort }).map((i) => i.id);
  assert.deepEqual(order('harm'), INCIDENTS.map((i) => i.id));
  assert.equal(order('count')[1], ruleDrop.id);
  assert.deepEqual(order('cause').length, INCIDENTS.length);
  assert.deepEqual(['s', 's s', 's s s', 's s s s'].map((k) => type(START, k).sort), ['count', 'newest', 'cause', 'harm']);
});

test('pause holds what is shown while time goes on', () => {
  const paused = type(START, 'p');
  const later = { ...STATE, now: STATE.now + 7000, incidents: [rcvbufFull] };
  const text = screen(later, paused, SIZE, LOOK).lines.join('\n');
  assert.ok(text.includes('PAUSED, 7 s behind') && text.includes('A firewall rule dropped it'));
  assert.equal(press(paused, { name: 'text', text: 'p' }, later, { lines: 1, page: 1 }).ui.held, undefined);
});

test('copy gives the command, undo its undo, a number the remedy of that number', () => {
  const open = { ...START, view: 'detail', selected: ruleDrop.id } as const;
  const effect = (key: string) => press(open, { name: 'text', text: key }, STATE, { lines: 1, page: 1 }).effect;
  assert.deepEqual(effect('y'), { do: 'copy', text: ruleDrop.remedies[0]?.command });
  assert.deepEqual(effect('u'), { do: 'copy', text: ruleDrop.remedies[0]?.undo });
  assert.deepEqual(effect('2'), { do: 'copy', text: ruleDrop.remedies[1]?.command });
  assert.equal(effect('3'), undefined);
  const none = press({ ...open, selected: 'anolist' }, { name: 'text', text: 'y' }, STATE, { lines: 1, page: 1 });
  assert.equal(none.ui.message, 'there is no command that would fix this');
});

test('what is copied can be pasted without running by itself', () => {
  const payload = (sequence: string): string => Buffer.from(/\]52;c;([A-Za-z0-9+/=]*)/.exec(sequence)?.[1] ?? '', 'base64').toString();
  assert.equal(payload(copySequence('ip netns exec blue true', false)), 'ip netns exec blue true');
  const evil = payload(copySequence(hostile.remedies[0]!.command!, false));
  // eslint-disable-next-line no-control-regex
  assert.doesNotMatch(evil, /[\u0000-\u001f]/);
  assert.match(copySequence('x', true), /\u001bPtmux;\u001b\u001b\]52;c;eA==\u0007\u001b\\$/);
});

test('q and Ctrl-C ask to end, also while a filter is typed', () => {
  assert.deepEqual(press(START, { name: 'text', text: 'q' }, STATE, { lines: 1, page: 1 }).effect, { do: 'quit' });
  assert.deepEqual(press(type(START, '/ a'), { name: 'interrupt' }, STATE, { lines: 1, page: 1 }).effect, { do: 'quit' });
});

test('sparklines: a burst of one second is never averaged away', () => {
  const values = Array.from({ length: 300 }, (_, i) => (i === 150 ? 100 : 0));
  assert.ok(sparkline(values, 20, true).includes('█'));
  assert.equal(sparkline([], 5, true), '     ');
  assert.equal(sparkline([0, 1, 4, 100], 4, false), ' _.#');
  assert.deepEqual(total([{ perSecond: [1, 2, 3] }, { perSecond: [10] }]), [1, 2, 13]);
});

test('no keys in any order, with states that change in between, bring the screen out of shape', () => {
  const key = fc.oneof(
    fc.constantFrom<Key>({ name: 'up' }, { name: 'down' }, { name: 'page-up' }, { name: 'page-down' }, { name: 'home' }, { name: 'end' }, { name: 'enter' }, { name: 'escape' }, { name: 'left' }, { name: 'backspace' }, { name: 'interrupt' }),
    fc.constantFrom('q', 'j', 'k', 'g', 'G', '?', '/', 'p', 's', 'e', 'n', 'N', 'y', 'u', '1', '9', ' ', 'é', '\u001b', '日').map((text): Key => ({ name: 'text', text })),
  );
  const step = fc.record({ key, incidents: fc.subarray([...INCIDENTS]), columns: fc.integer({ min: 1, max: 200 }), rows: fc.integer({ min: 1, max: 60 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
      let ui = START;
      for (const { key: pressed, incidents, columns: width, rows } of steps) {
        const state = { ...STATE, incidents };
        const size = { columns: width, rows };
        ui = press(ui, pressed, state, screen(state, ui, size, LOOK).extent).ui;
        const { lines } = screen(state, ui, size, LOOK);
        assert.ok(lines.length <= rows && lines.every((l) => columns(l) <= width));
        if (width >= 40 && rows >= 10) assert.equal(lines.length, rows);
      }
    }),
    { numRuns: 300 },
  );
});
