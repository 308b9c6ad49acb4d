import type { Command, Option } from 'commander';
import { UsageError } from './exit.ts';

/** What a command offers, from its own definition: completions and the man page can not drift from it. */
interface Offer {
  readonly name: string;
  readonly description: string;
  readonly options: readonly Option[];
}

const offers = (program: Command): readonly Offer[] => program.commands.map((c) => ({ name: c.name(), description: c.description(), options: c.options }));
const flags = (option: Option): string[] => [option.short, option.long].filter((f) => f !== undefined);
const quoted = (text: string): string => text.replaceAll("'", `'\\''`);

/** `whydrop completion bash|zsh|fish`: to be put where the shell looks for it. */
export function completion(program: Command, shell: string): string {
  switch (shell) {
    case 'bash':
      return bash(offers(program));
    case 'zsh':
      return zsh(offers(program));
    case 'fish':
      return fish(offers(program));
    default:
      throw new UsageError(`no completions for ${shell}; there are bash, zsh and fish`);
  }
}

function bash(all: readonly Offer[]): string {
  const cases = all.map((o) => `    ${o.name}) words="${o.options.flatMap(flags).join(' ')}" ;;`);
  return `# bash completion of whydrop: whydrop completion bash > /etc/bash_completion.d/whydrop
_whydrop() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} words
  case $previous in
    --netns) COMPREPLY=($(compgen -W "$(ip netns list 2>/dev/null | cut -d' ' -f1)" -- "$current")); return ;;
    -o|--output|--record|replay|report|export) COMPREPLY=($(compgen -f -- "$current")); return ;;
  esac
  case \${COMP_WORDS[1]} in
${cases.join('\n')}
    *) words="${all.map((o) => o.name).join(' ')} --help --version" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _whydrop whydrop
`;
}

function zsh(all: readonly Offer[]): string {
  const commands = all.map((o) => `    '${o.name}:${quoted(o.description.replaceAll(':', '\\:'))}'`);
  const cases = all.map((o) => `    ${o.name}) _arguments ${o.options.flatMap((p) => flags(p).map((f) => `'${f}[${quoted(p.description.replace(/[[\]]/g, ''))}]${p.required || p.optional ? ':value:_files' : ''}'`)).join(' ')} '*:file:_files' ;;`);
  return `#compdef whydrop
# zsh completion of whydrop: whydrop completion zsh > "\${fpath[1]}/_whydrop"
_whydrop() {
  local -a commands=(
${commands.join('\n')}
  )
  if (( CURRENT == 2 )); then _describe command commands; return; fi
  case $words[2] in
${cases.join('\n')}
  esac
}
# from fpath this file is the function; sourced, it only says which
if [[ \${funcstack[1]} == _whydrop ]]; then _whydrop "$@"; else compdef _whydrop whydrop; fi
`;
}

function fish(all: readonly Offer[]): string {
  const lines = all.flatMap((o) => [
    `complete -c whydrop -n __fish_use_subcommand -a ${o.name} -d '${quoted(o.description)}'`,
    ...o.options.map((p) => `complete -c whydrop -n '__fish_seen_subcommand_from ${o.name}'${p.long === undefined ? '' : ` -l ${p.long.slice(2)}`}${p.short === undefined ? '' : ` -s ${p.short.slice(1)}`}${p.required || p.optional ? ' -r' : ''} -d '${quoted(p.description)}'`),
  ]);
  return `# fish completion of whydrop: whydrop completion fish > ~/.config/fish/completions/whydrop.fish\n${lines.join('\n')}\n`;
}

const roff = (text: string): string => text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replace(/^([.'])/gm, '\\&$1');

/** `whydrop completion man`: whydrop(8), from the same definitions. */
export function manPage(program: Command, version: string): string {
  const commands = program.commands.map((c) => {
    const options = c.options.map((o) => `.TP\n.B ${roff(o.flags)}\n${roff(o.description)}`);
    return `.SS ${roff(`whydrop ${c.name()} ${c.usage()}`)}\n${roff(c.description())}\n${options.join('\n')}`;
  });
  return `.TH WHYDROP 8 "" "whydrop ${version}" "System administration"
.SH NAME
whydrop \\- why did this packet not arrive, who did it, and what do I change?
.SH SYNOPSIS
.B whydrop
.I command
.RI [ options ]
.SH DESCRIPTION
Watches a live Linux host for lost packets and failed sends and names, for each, the cause, the one object to change and a command that stops the loss.
It only reads: no rule, sysctl or module is touched, and remedies are printed, never run.
.SH COMMANDS
${commands.join('\n')}
.SH EXIT STATUS
.TP
0
done
.TP
1
\\-\\-fail\\-on\\-incident and one was found
.TP
2
usage
.TP
3
the environment does not allow it (with what to do)
.TP
4
a bug of whydrop
.SH SEE ALSO
.BR nft (8),
.BR iptables (8),
.BR conntrack (8),
.BR ip (8),
.BR ss (8)
`;
}
