import assert from 'node:assert/strict';

/** What a POSIX shell makes of a command line (XCU 2.2, 2.3): words, and operators as `op:;`. Nothing but quotes, words and operators may be in it. */
export function shellWords(line: string): readonly string[] {
  const out: string[] = [];
  let word: string | undefined;
  const end = (): void => {
    if (word !== undefined) out.push(word);
    word = undefined;
  };
  for (let i = 0; i < line.length; i++) {
    const c = line[i]!;
    if (c === "'") {
      const close = line.indexOf("'", i + 1);
      assert.ok(close > 0, `a quote without its end: ${line}`);
      word = (word ?? '') + line.slice(i + 1, close);
      i = close;
    } else if (c === '\\') word = (word ?? '') + (line[++i] ?? '');
    else if (c === ' ') end();
    else if (/[;&|<>()\n]/.test(c)) {
      end();
      out.push(`op:${c}`);
    } else if (/["$`*?[\]#~!]/.test(c) && !(c === '!' && /^ |^$/.test(line.slice(i + 1, i + 2))) && !(c === '#' || c === '~' ? word !== undefined : false)) out.push(`op:${c}`), end();
    else word = (word ?? '') + c;
  }
  end();
  // a command line within one is read again
  return out.flatMap((w, i) => (out[i - 1] === '-c' && out[i - 2] === 'sh' ? ['sh-begin', ...innerWords(w), 'sh-end'] : [w]));
}

/** Of `sh -c`: as above, but a pipe in `$( )` is ours. */
const innerWords = (line: string): readonly string[] => shellWords(line);
