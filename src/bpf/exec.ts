/** The exec probe: who started what. A program that lives five milliseconds still has a name and arguments. */
import type { Btf } from '../formats/btf.ts';
import { assembler, FP, HELPER, R0, R1, R2, R3, R6, R7, R8, R9, type Program } from './assembler.ts';
import { copy, finished, follow, offsetsOf, reserve, submit, taskNetns, who } from './blocks.ts';
import { ARGV_BYTES, EXEC, FILENAME_BYTES, kindWord, RECORD_KIND } from './layout.ts';

/** Slot of the map `lost`. */
export const EXEC_LOST = 4;
const END = -16;

export function execProgram(btf: Btf): Program | { readonly missing: string } {
  const args = btf.tracepoint('sched_process_exec')?.args ?? [];
  const binprm = args.findIndex((t) => t.pointer && t.name === 'linux_binprm');
  const task = args.findIndex((t) => t.pointer && t.name === 'task_struct');
  if (binprm < 0 || task < 0) return { missing: 'tracepoint sched_process_exec' };
  const offsets = offsetsOf(btf);
  const mm = offsets('task_struct', 'mm'), start = offsets('mm_struct', 'arg_start'), end = offsets('mm_struct', 'arg_end'), parent = offsets('task_struct', 'real_parent'), filename = offsets('linux_binprm', 'filename');
  if (mm === undefined || start === undefined || end === undefined || parent === undefined || filename === undefined) return { missing: 'task_struct.mm' };
  const a = assembler();
  a.movReg(R6, R1);
  a.load(8, R7, R6, task * 8);
  reserve(a, 'calls-ring', EXEC.size, EXEC_LOST, 'leave');
  a.storeImm(4, R8, EXEC.kind, kindWord(RECORD_KIND.exec));
  who(a, EXEC);
  follow(a, R9, R7, parent);
  copy(a, EXEC.parent, R9, offsets.need('task_struct', 'tgid'), 4);
  // R9 may not hold the record and the namespace's pointer at once: the inode goes through R1
  taskNetns(a, offsets, R1);
  a.store(4, R8, EXEC.netns, R1);
  a.load(8, R9, R6, binprm * 8);
  follow(a, R9, R9, filename);
  a.movReg(R1, R8);
  a.alu('add', R1, EXEC.filename);
  a.mov(R2, FILENAME_BYTES);
  a.movReg(R3, R9);
  a.call(HELPER.probeReadKernelStr);
  // arguments: the new program's memory is already this task's
  follow(a, R9, R7, mm);
  follow(a, R1, R9, end);
  a.store(8, FP, END, R1);
  follow(a, R9, R9, start);
  a.load(8, R1, FP, END);
  a.aluReg('sub', R1, R9);
  a.jumpIf('le', R1, ARGV_BYTES - 1, 'argv.fits');
  a.mov(R1, ARGV_BYTES - 1);
  a.label('argv.fits');
  a.store(4, R8, EXEC.argvLength, R1);
  a.movReg(R2, R1);
  a.alu('and', R2, ARGV_BYTES - 1);
  a.movReg(R1, R8);
  a.alu('add', R1, EXEC.argv);
  a.movReg(R3, R9);
  a.call(HELPER.probeReadUser);
  submit(a, true); // nobody waits for programs to start
  a.label('leave');
  a.mov(R0, 0);
  a.exit();
  return finished(a, offsets);
}
