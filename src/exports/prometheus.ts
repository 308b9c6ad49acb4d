import { Counter, Gauge, Registry } from 'prom-client';

/** What a scrape gives: series with values, as they stand. Rendered anew each time, so that nothing has to be kept in step. */
export interface Metric {
  readonly name: string;
  readonly kind: 'counter' | 'gauge';
  readonly help: string;
  readonly labels: readonly string[];
  /** Label values in the order of {@link Metric.labels}. */
  readonly series: readonly { readonly labels: readonly string[]; readonly value: number }[];
}

export const PROMETHEUS_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;

/** The Prometheus text format, version 0.0.4. Series of the same labels are added up. */
export async function prometheusText(metrics: readonly Metric[]): Promise<string> {
  const registry = new Registry();
  for (const { name, kind, help, labels, series } of metrics) {
    const options = { name, help, labelNames: [...labels], registers: [registry] };
    const metric = kind === 'counter' ? new Counter(options) : new Gauge(options);
    for (const { labels: values, value } of series) metric.inc(Object.fromEntries(labels.map((label, i) => [label, values[i] ?? ''])), value);
  }
  return registry.metrics();
}
