import type { Json, JsonObject } from './nft-expression.ts';

/**
 * A rule of `nft -j` as nft's own language writes it, so that it can be read, and added again (nft(8)). What has no
 * rendering here is shown as its JSON.
 */
export function ruleText(expr: readonly Json[], comment?: string): string {
  const words = expr.map(statementText).filter((w) => w !== '');
  if (comment !== undefined && comment !== '') words.push(`comment "${comment.replaceAll('"', "'")}"`);
  return words.join(' ');
}

const object = (json: Json | undefined): JsonObject => (typeof json === 'object' && json !== null && !Array.isArray(json) ? (json as JsonObject) : {});
const text = (json: Json | undefined): string => (json === undefined || json === null ? '' : typeof json === 'object' ? JSON.stringify(json) : String(json));

export function expressionText(json: Json | undefined): string {
  if (json === undefined || json === null) return '';
  if (typeof json === 'boolean') return json ? 'exists' : 'missing';
  if (typeof json === 'number') return String(json);
  if (typeof json === 'string') return /^[A-Za-z0-9_.:@/-]+$/.test(json) ? json : `"${json}"`;
  if (Array.isArray(json)) return (json as readonly Json[]).map(expressionText).join(',');
  const [name = '', value] = Object.entries(json)[0] ?? [];
  const v = object(value);
  const list = Array.isArray(value) ? (value as readonly Json[]) : [];
  switch (name) {
    case 'match': return comparison(v);
    case 'concat': return list.map(expressionText).join(' . ');
    case 'set': return `{ ${(Array.isArray(value) ? list : [value ?? null]).map(elementText).join(', ')} }`;
    case 'range': return list.map(expressionText).join('-');
    case 'prefix': return `${text(v['addr'])}/${text(v['len'])}`;
    case 'elem': return elementText(json);
    case '&': return `${expressionText(list[0])} & ${flagsText(list[1])}`;
    case '|': case '^': case '<<': case '>>': return list.map(expressionText).join(` ${name} `);
    case 'meta': {
      const key = typeof value === 'string' ? value : text(v['key']);
      return /^(iif|oif|iifname|oifname|skuid|skgid|iifgroup|oifgroup|mark)$/.test(key) ? key : `meta ${key}`;
    }
    case 'payload': return v['base'] === undefined ? `${text(v['protocol'])} ${text(v['field'])}` : `@${text(v['base'])},${text(v['offset'])},${text(v['len'])}`;
    case 'ct': return `ct ${v['dir'] === undefined ? '' : `${text(v['dir'])} `}${text(v['key'])}`;
    case 'fib': return `fib ${(Array.isArray(v['flags']) ? (v['flags'] as readonly Json[]) : [v['flags'] ?? null]).map(text).join(' . ')} ${text(v['result'])}`;
    case 'rt': return `rt ${v['family'] === undefined ? '' : `${text(v['family'])} `}${text(v['key'])}`;
    case 'socket': return v['key'] === 'cgroupv2' ? `socket cgroupv2 level ${text(v['level'])}` : `socket ${text(v['key'])}`;
    case 'numgen': return `numgen ${v['mode'] === 'random' ? 'random' : 'inc'} mod ${text(v['mod'])}${v['offset'] ? ` offset ${text(v['offset'])}` : ''}`;
    case 'jhash': return `jhash ${expressionText(v['expr'])} mod ${text(v['mod'])}`;
    case 'exthdr': return `exthdr ${text(v['name'])}${v['field'] === undefined ? '' : ` ${text(v['field'])}`}`;
    case 'tcp option': return `tcp option ${text(v['name'])}${v['field'] === undefined ? '' : ` ${text(v['field'])}`}`;
    case 'ip option': return `ip option ${text(v['name'])}${v['field'] === undefined ? '' : ` ${text(v['field'])}`}`;
    case 'map': return `${expressionText(v['key'])} map ${expressionText(v['data'])}`;
    case 'osf': return `osf ${text(v['key'])}`;
    default: return JSON.stringify(json);
  }
}

function flagsText(json: Json | undefined): string {
  return Array.isArray(json) ? `(${(json as readonly Json[]).map(expressionText).join(' | ')})` : expressionText(json);
}

function comparison(v: JsonObject): string {
  const left = expressionText(v['left']);
  const names = /^(meta )?(iif|oif|iifname|oifname|ibrname|obrname|ibriport|obriport)$/.test(left);
  const right = names && typeof v['right'] === 'string' ? `"${v['right']}"` : v['op'] === '!' ? `${flagsText(v['right'])} == 0` : expressionText(v['right']);
  if (v['op'] === '!') return `${left} & ${right}`;
  return v['op'] === '==' || v['op'] === 'in' ? (left.includes(' & ') ? `${left} == ${right}` : `${left} ${right}`) : `${left} ${text(v['op'])} ${right}`;
}

function elementText(json: Json): string {
  if (Array.isArray(json) && json.length === 2) return `${expressionText(json[0])} : ${statementText(json[1] as Json) || expressionText(json[1])}`;
  const inner = object(object(json)['elem']);
  if (inner['val'] === undefined) return expressionText(json);
  return `${expressionText(inner['val'])}${inner['timeout'] === undefined ? '' : ` timeout ${text(inner['timeout'])}s`}${inner['comment'] === undefined ? '' : ` comment "${text(inner['comment'])}"`}`;
}

function limitText(v: JsonObject): string {
  const unit = v['rate_unit'] === undefined || v['rate_unit'] === 'packets' ? '' : ` ${text(v['rate_unit'])}`;
  const burst = v['burst'] === undefined || v['burst'] === 0 ? '' : ` burst ${text(v['burst'])} ${v['burst_unit'] === undefined || v['burst_unit'] === 'packets' ? 'packets' : text(v['burst_unit'])}`;
  return `limit rate ${v['inv'] === true ? 'over ' : ''}${text(v['rate'])}${unit}/${text(v['per'] ?? 'second')}${burst}`;
}

function natText(name: string, v: JsonObject): string {
  const address = v['addr'] === undefined ? '' : expressionText(v['addr']);
  const port = v['port'] === undefined ? '' : `:${expressionText(v['port'])}`;
  const flags = Array.isArray(v['flags']) ? (v['flags'] as readonly Json[]).map(text).join(',') : text(v['flags']);
  return [name, typeof v['family'] === 'string' ? v['family'] : '', address !== '' || port !== '' ? `to ${address.includes(':') && port !== '' ? `[${address}]` : address}${port}` : '', flags].filter((w) => w !== '').join(' ');
}

/** One statement of a rule; '' for what nft does not print. */
export function statementText(json: Json): string {
  if (json === null || typeof json !== 'object' || Array.isArray(json)) return '';
  const [name = '', value] = Object.entries(json as JsonObject)[0] ?? [];
  const v = object(value);
  switch (name) {
    case 'match': return comparison(v);
    case 'accept': case 'drop': case 'return': case 'continue': case 'notrack': return name;
    case 'jump': case 'goto': return `${name} ${text(v['target'])}`;
    case 'counter': return typeof value === 'string' ? `counter name "${value}"` : 'counter';
    case 'vmap': return `${expressionText(v['key'])} vmap ${expressionText(v['data'])}`;
    case 'limit': return typeof value === 'string' ? `limit name "${value}"` : limitText(v);
    case 'quota': return typeof value === 'string' ? `quota name "${value}"` : `quota ${v['inv'] === true ? 'over ' : ''}${text(v['val'])} ${text(v['val_unit'] ?? 'bytes')}`;
    case 'ct count': return `ct count ${v['inv'] === true ? 'over ' : ''}${text(v['val'])}`;
    case 'log': return `log${v['prefix'] === undefined ? '' : ` prefix "${text(v['prefix'])}"`}${v['group'] === undefined ? '' : ` group ${text(v['group'])}`}${v['level'] === undefined ? '' : ` level ${text(v['level'])}`}`;
    case 'reject': return v['type'] === undefined ? 'reject' : v['type'] === 'tcp reset' ? 'reject with tcp reset' : `reject with ${text(v['type'])} type ${text(v['expr'])}`;
    case 'queue': return `queue${v['flags'] === undefined ? '' : ` flags ${Array.isArray(v['flags']) ? (v['flags'] as readonly Json[]).map(text).join(',') : text(v['flags'])}`}${v['num'] === undefined ? '' : ` to ${expressionText(v['num'])}`}`;
    case 'mangle': return `${expressionText(v['key'])} set ${expressionText(v['value'])}`;
    case 'dnat': case 'snat': case 'masquerade': case 'redirect': return natText(name, v);
    case 'tproxy': return natText('tproxy', v);
    case 'set': return `${text(v['op'])} ${text(v['set'])} { ${expressionText(v['elem'])}${Array.isArray(v['stmt']) ? ` ${(v['stmt'] as readonly Json[]).map(statementText).join(' ')}` : ''} }`;
    case 'map': return `${text(v['op'])} ${text(v['map'])} { ${expressionText(v['elem'])} : ${expressionText(v['data'])} }`;
    case 'dup': return `dup to ${expressionText(v['addr'])}${v['dev'] === undefined ? '' : ` device ${expressionText(v['dev'])}`}`;
    case 'fwd': return `fwd to ${expressionText(v['dev'])}`;
    case 'synproxy': return `synproxy${v['mss'] === undefined ? '' : ` mss ${text(v['mss'])}`}${v['wscale'] === undefined ? '' : ` wscale ${text(v['wscale'])}`}`;
    case 'flow': return `flow add ${text(v['flowtable'])}`;
    case 'last': return 'last';
    case 'xt': return `xt ${text(v['type'])} ${text(v['name'])}`;
    default: return JSON.stringify(json);
  }
}
