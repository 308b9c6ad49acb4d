/** How a ring buffer's pages and event headers are laid out on the machine that wrote them. */
export interface PageLayout {
  /** Offsets within the page; the time stamp is a u64. */
  readonly timestamp: number;
  readonly commit: number;
  /** 8 on 64-bit machines, 4 on 32-bit ones: `local_t`. */
  readonly commitSize: number;
  readonly data: number;
  /** Room for events; page (sub-buffer) size is `data + dataSize`. */
  readonly dataSize: number;
  readonly littleEndian: boolean;
  /** Special values of `type_len`. */
  readonly padding: number;
  readonly timeExtend: number;
  readonly timeStamp: number;
  /** Up to here `type_len` is the payload's length in words. */
  readonly dataMax: number;
}

/** 64-bit little-endian with pages of 4 KiB, event headers as they are since 4.17. */
export const DEFAULT_PAGE_LAYOUT: PageLayout = {
  timestamp: 0, commit: 8, commitSize: 8, data: 16, dataSize: 4080, littleEndian: true, padding: 29, timeExtend: 30, timeStamp: 31, dataMax: 28,
};

export interface PageLayoutResult {
  readonly layout: PageLayout;
  /** `incomplete`: a field was not told, the default stands for it. */
  readonly status: 'ok' | 'incomplete';
}

/**
 * tracefs `events/header_page` (and, when given, `events/header_event`), as text
 * (kernel/trace/ring_buffer.c: ring_buffer_print_page_header, ring_buffer_print_entry_header).
 */
export function parseHeaderPage(headerPage: string, headerEvent = '', littleEndian = true): PageLayoutResult {
  const fields = new Map<string, { readonly offset: number; readonly size: number }>();
  for (const m of headerPage.matchAll(/field:\s*[^;\n]*?([A-Za-z_]\w*)\s*;\s*offset:\s*(\d{1,9});\s*size:\s*(\d{1,9});/g)) {
    fields.set(m[1]!, { offset: Number(m[2]), size: Number(m[3]) });
  }
  const timestamp = fields.get('timestamp'), commit = fields.get('commit'), data = fields.get('data');
  const type = (name: string): number | undefined => {
    const m = new RegExp(`^\\s*${name}\\s*:\\s*type == (\\d{1,2})`, 'm').exec(headerEvent);
    return m === null ? undefined : Number(m[1]);
  };
  const max = /data max type_len\s*==\s*(\d{1,2})/.exec(headerEvent);
  const d = DEFAULT_PAGE_LAYOUT;
  const isSane = data !== undefined && commit !== undefined && timestamp?.size === 8 && timestamp.offset + 8 <= data.offset && (commit.size === 4 || commit.size === 8)
    && data.size > 0 && data.size <= 1 << 24 && data.offset >= commit.offset + commit.size && data.offset <= 4096;
  return {
    layout: {
      ...d, littleEndian,
      ...(isSane ? { timestamp: timestamp.offset, commit: commit.offset, commitSize: commit.size, data: data.offset, dataSize: data.size } : {}),
      padding: type('padding') ?? d.padding, timeExtend: type('time_extend') ?? d.timeExtend, timeStamp: type('time_stamp') ?? d.timeStamp,
      dataMax: max === null ? d.dataMax : Number(max[1]),
    },
    status: isSane ? 'ok' : 'incomplete',
  };
}
