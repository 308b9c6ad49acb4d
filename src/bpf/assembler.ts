/**
 * eBPF instructions as bytes (Documentation/bpf/standardization/instruction-set.rst): u8 opcode, u4 dst, u4 src,
 * s16 offset, s32 immediate, little endian. Labels are resolved at the end. Map and BTF ids are put in when a program is
 * loaded: `mapFd` leaves a place for them.
 */
import { assert } from '../base/assert.ts';

export const R0 = 0, R1 = 1, R2 = 2, R3 = 3, R4 = 4, R5 = 5, R6 = 6, R7 = 7, R8 = 8, R9 = 9, FP = 10;

/** Helper functions by number (include/uapi/linux/bpf.h, ___BPF_FUNC_MAPPER). */
export const HELPER = {
  mapLookup: 1, mapUpdate: 2, mapDelete: 3, ktimeGetNs: 5, getSmpProcessorId: 8, getCurrentPidTgid: 14, getCurrentUidGid: 15, getCurrentComm: 16,
  getCurrentTask: 35, getStack: 67, getCurrentCgroupId: 80, jiffies64: 118, probeReadUser: 112, probeReadKernel: 113, probeReadUserStr: 114, probeReadKernelStr: 115,
  ringbufOutput: 130, ringbufReserve: 131, ringbufSubmit: 132, ringbufDiscard: 133, getCurrentTaskBtf: 158,
} as const;

export type Size = 1 | 2 | 4 | 8;
const SIZE_BITS: Readonly<Record<Size, number>> = { 4: 0x00, 2: 0x08, 1: 0x10, 8: 0x18 };
const JUMP = { eq: 0x10, gt: 0x20, ge: 0x30, set: 0x40, ne: 0x50, sgt: 0x60, sge: 0x70, lt: 0xa0, le: 0xb0, slt: 0xc0, sle: 0xd0 } as const;
const ALU = { add: 0x00, sub: 0x10, mul: 0x20, or: 0x40, and: 0x50, lsh: 0x60, rsh: 0x70, neg: 0x80, xor: 0xa0, mov: 0xb0, arsh: 0xc0 } as const;

/** A program before its maps exist. */
export interface Program {
  readonly instructions: Uint8Array;
  /** Instruction index → name of the map whose descriptor goes there. */
  readonly maps: readonly (readonly [index: number, map: string])[];
}

export interface Assembler {
  alu(op: keyof typeof ALU, dst: number, value: number): void;
  aluReg(op: keyof typeof ALU, dst: number, src: number): void;
  mov(dst: number, value: number): void;
  movReg(dst: number, src: number): void;
  load(size: Size, dst: number, src: number, offset: number): void;
  store(size: Size, dst: number, offset: number, src: number): void;
  storeImm(size: Size, dst: number, offset: number, value: number): void;
  /** Big-endian to host order, `bits` wide. */
  toHost(dst: number, bits: 16 | 32): void;
  jump(label: string): void;
  jumpIf(op: keyof typeof JUMP, dst: number, value: number, label: string): void;
  jumpIfReg(op: keyof typeof JUMP, dst: number, src: number, label: string): void;
  mapFd(dst: number, map: string): void;
  /** A 64-bit constant. */
  constant(dst: number, value: bigint): void;
  call(helper: number): void;
  label(name: string): void;
  /** A label that no other block has. */
  fresh(prefix: string): string;
  exit(): void;
  finish(): Program;
}

export function assembler(): Assembler {
  const code: number[] = []; // 8 bytes an instruction, flattened
  const labels = new Map<string, number>();
  const jumps: { at: number; label: string }[] = [];
  const maps: [number, string][] = [];
  let serial = 0;

  const put = (opcode: number, dst: number, src: number, offset: number, immediate: number): void => {
    code.push(opcode, (src << 4) | dst, offset & 0xff, (offset >> 8) & 0xff, immediate & 0xff, (immediate >> 8) & 0xff, (immediate >> 16) & 0xff, (immediate >>> 24) & 0xff);
  };
  const here = (): number => code.length / 8;
  const jumpTo = (opcode: number, dst: number, src: number, value: number, label: string): void => {
    jumps.push({ at: here(), label });
    put(opcode, dst, src, 0, value);
  };
  const wide = (dst: number, src: number, low: number, high: number): void => {
    put(0x18, dst, src, 0, low);
    put(0, 0, 0, 0, high);
  };

  return {
    alu: (op, dst, value) => put(0x07 | ALU[op], dst, 0, 0, value),
    aluReg: (op, dst, src) => put(0x0f | ALU[op], dst, src, 0, 0),
    mov: (dst, value) => put(0xb7, dst, 0, 0, value),
    movReg: (dst, src) => put(0xbf, dst, src, 0, 0),
    load: (size, dst, src, offset) => put(0x61 | SIZE_BITS[size], dst, src, offset, 0),
    store: (size, dst, offset, src) => put(0x63 | SIZE_BITS[size], dst, src, offset, 0),
    storeImm: (size, dst, offset, value) => put(0x62 | SIZE_BITS[size], dst, 0, offset, value),
    toHost: (dst, bits) => put(0xdc, dst, 0, 0, bits),
    jump: (label) => jumpTo(0x05, 0, 0, 0, label),
    jumpIf: (op, dst, value, label) => jumpTo(0x05 | JUMP[op], dst, 0, value, label),
    jumpIfReg: (op, dst, src, label) => jumpTo(0x0d | JUMP[op], dst, src, 0, label),
    mapFd: (dst, map) => {
      maps.push([here(), map]);
      wide(dst, 1 /* BPF_PSEUDO_MAP_FD */, 0, 0);
    },
    constant: (dst, value) => wide(dst, 0, Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n))),
    call: (helper) => put(0x85, 0, 0, 0, helper),
    label: (name) => {
      assert(!labels.has(name), `label ${name} is there twice`);
      labels.set(name, here());
    },
    fresh: (prefix) => `${prefix}.${++serial}`,
    exit: () => put(0x95, 0, 0, 0, 0),
    finish: () => {
      const instructions = Uint8Array.from(code);
      const view = new DataView(instructions.buffer);
      for (const { at, label } of jumps) {
        const target = labels.get(label);
        assert(target !== undefined, `no label ${label}`);
        const distance = target - at - 1;
        assert(distance >= -32768 && distance <= 32767, `label ${label} is too far`);
        view.setInt16(at * 8 + 2, distance, true);
      }
      return { instructions, maps };
    },
  };
}
