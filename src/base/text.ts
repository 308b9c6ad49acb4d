/**
 * What comes from packets, processes, files and logs is untrusted. These make it harmless for one place each.
 */

/** For terminals and plain lines: control, escape, bidi and other invisible characters become visible `\xNN` / `\uNNNN`. */
export function printable(text: string): string {
  // C0, DEL, C1, line/paragraph separators, bidi controls, zero width, BOM, lone surrogates
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, (c) => {
    const code = c.charCodeAt(0);
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

/** For HTML text and quoted attribute values. */
export function html(text: string): string {
  return printable(text).replace(/[&<>"'`]/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** One word of a POSIX shell line; quoted only where needed. */
export function shellQuote(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Cuts to `limit` characters, saying so. */
export function clip(text: string, limit: number): string {
  return text.length <= limit ? text : `${text.slice(0, limit - 1)}…`;
}

/** `1 packet`, `2 packets`. */
export function plural(n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** The same text in memory of its own: a piece that was cut out of a long text keeps all of that alive. */
export const ownText = (text: string): string => decoder.decode(encoder.encode(text));
