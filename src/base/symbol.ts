/**
 * A kernel function's name as it stands in the source: without the compiler's suffixes (`.cold`, `.part.0`,
 * `.constprop.0`, `.isra.0`, `.llvm.123`, `.lto_priv.0`), offset and module: `nf_hook_slow+0x7d` → `nf_hook_slow`.
 */
export function plainName(name: string): string {
  const dot = name.search(/[.+ \t[]/);
  return dot > 0 ? name.slice(0, dot) : name;
}

/** `nf_hook_slow+0x7d`, `__nf_conntrack_confirm+0x2d0 [nf_conntrack]`, or the bare address. */
export function placeText(place: { readonly address: bigint; readonly name?: string; readonly offset?: number; readonly module?: string }): string {
  if (place.name === undefined) return `0x${place.address.toString(16)}`;
  // text that others collected often has names alone
  return `${place.name}${place.offset === undefined ? '' : `+0x${place.offset.toString(16)}`}${place.module === undefined ? '' : ` [${place.module}]`}`;
}
