import { printable } from '../../base/text.ts';

/**
 * The sequence that puts text on the clipboard of the terminal in front of the user, over ssh too (OSC 52, xterm
 * control sequences). tmux takes it when set-clipboard is on; wrapped as a passthrough it also reaches the terminal
 * around a tmux that allows that. What would do something when pasted (line ends, controls) is escaped first.
 */
export function copySequence(text: string, inTmux: boolean): string {
  const osc = `\u001b]52;c;${Buffer.from(printable(text), 'utf8').toString('base64')}\u0007`;
  return inTmux ? `${osc}\u001bPtmux;${osc.replaceAll('\u001b', '\u001b\u001b')}\u001b\\` : osc;
}
