import type { CulpritKind, Severity } from '../model/incident.ts';

/**
 * The one vocabulary of all views: what an area of causes is called and which colour it has, on the terminal, in the
 * browser and in the report. docs/visual-language.md shows it. Colour never stands alone: the word is always there.
 */
export interface AreaLook {
  /** Plain word for people. */
  readonly word: string;
  /** Name of a terminal colour (node:util styleText). */
  readonly ansi: 'red' | 'magenta' | 'yellow' | 'cyan' | 'blue' | 'green' | 'redBright' | 'gray' | 'cyanBright' | 'magentaBright';
  /** On a light page; contrast with white at least 4.5 (WCAG 2.2 AA). */
  readonly light: string;
  /** On a dark page; contrast with #12161c at least 4.5. */
  readonly dark: string;
}

const FIREWALL: AreaLook = { word: 'firewall', ansi: 'red', light: '#b3261e', dark: '#ff8a80' };
const CONNTRACK: AreaLook = { word: 'connection tracking', ansi: 'magenta', light: '#8a2aa0', dark: '#e3a2f3' };
const ROUTING: AreaLook = { word: 'routing', ansi: 'yellow', light: '#8a5a00', dark: '#f2c14e' };
const PACKET: AreaLook = { word: 'packet refused', ansi: 'magentaBright', light: '#a3316f', dark: '#ff9ccb' };
const LINK: AreaLook = { word: 'link and neighbours', ansi: 'cyan', light: '#00677a', dark: '#5fd3e6' };
const QUEUE: AreaLook = { word: 'queues', ansi: 'blue', light: '#1a56b0', dark: '#8ab8ff' };
const BPF: AreaLook = { word: 'BPF program', ansi: 'cyanBright', light: '#4b5bbf', dark: '#b3bcff' };
const SECURITY: AreaLook = { word: 'permission', ansi: 'redBright', light: '#a33d00', dark: '#ffab7a' };
const SOCKET: AreaLook = { word: 'socket', ansi: 'green', light: '#2e6b2e', dark: '#8fd18f' };
const UNKNOWN: AreaLook = { word: 'not known', ansi: 'gray', light: '#5a6069', dark: '#b0b7c0' };

const AREAS: Readonly<Record<string, AreaLook>> = {
  netfilter: FIREWALL,
  conntrack: CONNTRACK,
  route: ROUTING,
  ip: PACKET,
  ipv6: PACKET,
  udp: PACKET,
  proto: PACKET,
  neigh: LINK,
  link: LINK,
  bridge: LINK,
  tunnel: LINK,
  tun: QUEUE,
  qdisc: QUEUE,
  tc: QUEUE,
  cpu: QUEUE,
  xdp: BPF,
  bpf: BPF,
  security: SECURITY,
  xfrm: SECURITY,
  errno: SOCKET,
  socket: SOCKET,
  tcp: SOCKET,
  unknown: UNKNOWN,
};

/** `netfilter.rule-drop` → `netfilter`. */
export function areaOf(causeId: string): string {
  const dot = causeId.indexOf('.');
  return dot < 0 ? causeId : causeId.slice(0, dot);
}

export function lookOf(causeId: string): AreaLook {
  const area = areaOf(causeId);
  return Object.hasOwn(AREAS, area) ? (AREAS[area] ?? UNKNOWN) : UNKNOWN;
}

/** Every look once, for legends. */
export const LOOKS: readonly AreaLook[] = [...new Set(Object.values(AREAS))];

export interface SeverityLook {
  readonly word: string;
  readonly mark: string;
  readonly ascii: string;
  readonly ansi: 'red' | 'yellow' | 'gray';
  readonly light: string;
  readonly dark: string;
}

export const SEVERITY: Readonly<Record<Severity, SeverityLook>> = {
  critical: { word: 'CRITICAL', mark: '●', ascii: '*', ansi: 'red', light: '#b3261e', dark: '#ff8a80' },
  warning: { word: 'WARNING', mark: '▲', ascii: '!', ansi: 'yellow', light: '#8a5a00', dark: '#f2c14e' },
  info: { word: 'normal', mark: '○', ascii: '-', ansi: 'gray', light: '#5a6069', dark: '#b0b7c0' },
};

const CULPRITS: Readonly<Record<CulpritKind, string>> = {
  process: 'process',
  rule: 'rule',
  policy: 'chain policy',
  sysctl: 'sysctl',
  route: 'route',
  neighbour: 'neighbour',
  qdisc: 'qdisc',
  filter: 'filter',
  interface: 'interface',
  socket: 'socket',
  'bpf-program': 'BPF program',
  peer: 'peer',
  capability: 'capability',
  'bridge-port': 'bridge port',
  'xfrm-policy': 'IPsec policy',
  tunnel: 'tunnel',
  cpu: 'CPU',
  unknown: 'not known',
};

export function culpritWord(kind: string): string {
  return Object.hasOwn(CULPRITS, kind) ? CULPRITS[kind as CulpritKind] : kind;
}

/** How sure, in a word; the limits are those of the contract (0.95: every link of the chain was seen). */
export function confidenceWord(confidence: number): 'certain' | 'likely' | 'possible' {
  if (confidence >= 0.95) return 'certain';
  return confidence >= 0.7 ? 'likely' : 'possible';
}
