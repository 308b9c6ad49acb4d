/**
 * A sequence diagram as data: who spoke to whom, in order of time, and what was lost. Views draw it as SVG or text.
 * It is made from what was seen (a conntrack race: the author of the flush, the sender, the receiver, the table).
 */
export interface Diagram {
  readonly title: string;
  /** Left to right; two to five, more do not fit a terminal. */
  readonly actors: readonly Actor[];
  /** Top to bottom. */
  readonly messages: readonly Message[];
}

export interface Actor {
  readonly id: string;
  /** `openvpn (pid 4242)`, `conntrack table`. */
  readonly label: string;
}

export interface Message {
  readonly from: string;
  /** The same as `from`: something that it did by itself. */
  readonly to: string;
  readonly text: string;
  /** ISO 8601. */
  readonly time?: string;
  /** `lost`: the packet that did not arrive; `cause`: the act that made it so. */
  readonly kind: 'normal' | 'lost' | 'cause';
}

/** Where an actor stands; messages that name nobody known are left out by the views. */
export function actorIndex(diagram: Diagram, id: string): number {
  return diagram.actors.findIndex((a) => a.id === id);
}
