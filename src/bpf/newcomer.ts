/**
 * A quiet flow beside a noisy one. Both may share a counter (place, reason, namespace, interface, ethertype), and then the
 * noisy one spends the counter's budget alone. So a packet that would not be described is looked at once more: its flow
 * (addresses, ports, protocol) is hashed and looked for in a small table per CPU. A flow that is not in it, and
 * none is for longer than about a second, is described, within a budget of its own: a scan of thousands spends no more.
 */
import { FP, HELPER, R0, R1, R2, R3, R7, R8, R9, type Assembler, type Size } from './assembler.ts';
import { field, follow, type Access, type Clock, type Offsets } from './blocks.ts';
import { COUNT_KEY, COUNT_VALUE } from './layout.ts';

/** Flows that are told apart on one CPU; u32 each, the one value of the per-CPU array `flows`. A clash costs a sample, no more. */
export const FLOWS = 1024;
/** Such descriptions of one counter on one CPU: so many at once, and one every so often. */
export const NEWCOMER_BURST = 16;
export const NEWCOMER_NS = 10_000_000;
const EPOCH_NS = 1_000_000_000;

const ETH_P_IPV6 = 0x86dd, ICMP = 1, ICMPV6 = 58, UNSET = 0xffff;
const GOLDEN = 0x9e3779b1 | 0; // 2^32 / golden ratio: multiplying by it spreads what differs into the high bits

/** Stack slots: the key of the table, now, and 40 bytes of the packet: the addresses in them are aligned to 8. */
const ZERO = -16, NOW = -24, BYTES = -164;

/**
 * Falls through for a flow that was not described within about a second, leaves to `known` otherwise. R7 is the skb, R9 the
 * counter's value, R0 now by `clock`; the counter's key is on the stack at `key`. R8 and the slots below -8 are spent.
 */
export function newcomer(a: Assembler, offsets: Offsets, access: Access, clock: Clock, key: number, known: string): void {
  const v6 = a.fresh('newcomer.v6'), ahead = a.fresh('newcomer.ahead'), headless = a.fresh('newcomer.headless'), headed = a.fresh('newcomer.headed'), ports = a.fresh('newcomer.ports');
  /** R8 = R8 × golden ratio + the word. */
  const mix = (size: Size, slot: number): void => {
    a.load(size, R1, FP, slot);
    a.alu('mul', R8, GOLDEN);
    a.aluReg('add', R8, R1);
  };
  a.store(8, FP, NOW, R0);
  a.load(8, R1, R9, COUNT_VALUE.newcomer);
  a.movReg(R2, R0);
  a.alu('add', R2, clock.span(NEWCOMER_NS) * (NEWCOMER_BURST - 1));
  a.jumpIfReg('gt', R1, R2, known);

  // what the flow is: the counter, about the second (so that every flow comes up again)
  a.movReg(R8, R0);
  a.alu('rsh', R8, Math.round(Math.log2(clock.span(EPOCH_NS))));
  mix(8, key + COUNT_KEY.location);
  mix(8, key + COUNT_KEY.reason); // and the namespace
  // addresses, ports and protocol of the packet; the socket of one that has no header yet
  field(a, access, 2, R1, R7, offsets.need('sk_buff', 'network_header'));
  a.jumpIf('eq', R1, UNSET, headless);
  a.jumpIf('ne', R1, 0, headed);
  a.label(headless);
  follow(a, R1, R7, offsets.need('sk_buff', 'sk')); // as a number: pointers are not added up
  a.mov(R2, 0);
  a.jump(ports);
  a.label(headed);
  a.store(8, FP, BYTES + 4, R1);
  field(a, access, 8, R3, R7, offsets.need('sk_buff', 'head'));
  a.load(8, R1, FP, BYTES + 4);
  a.aluReg('add', R3, R1);
  a.load(4, R1, FP, key + COUNT_KEY.protocol);
  a.jumpIf('eq', R1, ETH_P_IPV6, v6);
  // struct iphdr from `ttl` on: ttl, protocol, checksum, addresses; then ports. ARP: its addresses lie in the same place
  a.alu('add', R3, 8);
  read(16);
  mix(8, BYTES + 4);
  a.load(1, R2, FP, BYTES + 1);
  a.load(4, R1, FP, BYTES + 12);
  a.jumpIf('ne', R2, ICMP, ports);
  a.alu('and', R1, 0xffff); // type and code; the checksum behind them is another one each time
  a.jump(ports);
  a.label(v6);
  // struct ipv6hdr from `payload_len` on: length, next header, hop limit, addresses; then ports
  a.alu('add', R3, 4);
  read(40);
  for (let at = 4; at < 36; at += 8) mix(8, BYTES + at);
  a.load(1, R2, FP, BYTES + 2);
  a.load(4, R1, FP, BYTES + 36);
  a.jumpIf('ne', R2, ICMPV6, ports);
  a.alu('and', R1, 0xffff);
  a.label(ports);
  a.alu('lsh', R2, 32);
  a.aluReg('or', R1, R2);
  a.alu('mul', R8, GOLDEN);
  a.aluReg('add', R8, R1);
  a.alu('mul', R8, GOLDEN);
  a.storeImm(4, FP, ZERO, 0);
  a.mapFd(R1, 'flows');
  a.movReg(R2, FP);
  a.alu('add', R2, ZERO);
  a.call(HELPER.mapLookup);
  a.jumpIf('eq', R0, 0, known);
  a.movReg(R1, R8);
  a.alu('rsh', R1, 64 - 10); // log2 of FLOWS
  a.alu('and', R1, FLOWS - 1);
  a.alu('lsh', R1, 2);
  a.aluReg('add', R0, R1);
  a.alu('rsh', R8, 16);
  a.alu('lsh', R8, 32);
  a.alu('rsh', R8, 32);
  a.load(4, R1, R0, 0);
  a.jumpIfReg('eq', R1, R8, known);
  a.store(4, R0, 0, R8);
  // a description moves the time on, from now at the earliest
  a.load(8, R1, R9, COUNT_VALUE.newcomer);
  a.load(8, R2, FP, NOW);
  a.jumpIfReg('ge', R1, R2, ahead);
  a.movReg(R1, R2);
  a.label(ahead);
  a.alu('add', R1, clock.span(NEWCOMER_NS));
  a.store(8, R9, COUNT_VALUE.newcomer, R1);

  function read(size: number): void {
    a.movReg(R1, FP);
    a.alu('add', R1, BYTES);
    a.mov(R2, size);
    a.call(HELPER.probeReadKernel);
  }
}
