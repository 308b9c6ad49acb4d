import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { isIP } from 'node:net';
import { EnvironmentError, UsageError } from './exit.ts';

/** Where a command that answers HTTP listens, as the command line gives it. */
export interface ListenOptions {
  /** `127.0.0.1`, `127.0.0.1:8474`, `[::1]:8474`; port 0 or none: a free one. */
  readonly listen: string;
  /** Certificate, a PEM file; its key may be in it. */
  readonly tls?: string;
  readonly tlsKey?: string;
  readonly insecure?: boolean;
}

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** The address to listen on; beyond loopback only with TLS, or when somebody says that it may be without. */
export function listenAddress(options: ListenOptions): { readonly address: string; readonly port: number } {
  const match = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+|[0-9a-f:]*::[0-9a-f:.]*|localhost))(?::(\d{1,5}))?$/i.exec(options.listen);
  const named = match?.[1] ?? match?.[2];
  const address = named === 'localhost' ? '127.0.0.1' : named;
  const port = Number(match?.[3] ?? 0);
  if (address === undefined || isIP(address) === 0 || port > 65_535) throw new UsageError(`--listen: not an address: ${options.listen} (write 127.0.0.1, 127.0.0.1:8474 or [::1]:8474)`);
  if (options.tls === undefined && options.tlsKey !== undefined) throw new UsageError('--tls-key is the key of a certificate: add --tls CERT');
  if (/^(0\.0\.0\.0|::)$/.test(address)) throw new UsageError(`--listen ${address}: name the one address that clients will use, or the Host header cannot be checked`);
  if (!isLoopback(address) && options.tls === undefined && options.insecure !== true) throw new UsageError(`--listen ${address} is more than this machine: add --tls CERT --tls-key KEY, or --insecure where the way is safe (ssh -L reaches 127.0.0.1 too)`);
  return { address, port };
}

export const isLoopback = (address: string): boolean => address === '::1' || address.startsWith('127.');

/** Certificate and key as PEM text; without a file of its own the key is looked for beside the certificate. */
export function tlsFiles({ tls, tlsKey }: Pick<ListenOptions, 'tls' | 'tlsKey'>): { readonly cert: string; readonly key: string } | undefined {
  if (tls === undefined) return undefined;
  const pem = (option: string, file: string): string => {
    try {
      return readFileSync(file, 'utf8');
    } catch (error) {
      throw new UsageError(`${option}: reading ${file}: ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
    }
  };
  const cert = pem('--tls', tls);
  const key = tlsKey === undefined ? cert : pem('--tls-key', tlsKey);
  if (!key.includes('PRIVATE KEY')) throw new UsageError(tlsKey === undefined ? `--tls: ${tls} holds no private key: add --tls-key KEY` : `--tls-key: ${tlsKey} holds no private key`);
  return { cert, key };
}

/** An HTTP server, or an HTTPS one with the certificate and key given as PEM text. Wrong PEM is a usage error. */
export function listener(tls: { readonly cert: string; readonly key: string } | undefined, handler: Handler): Server {
  const limits = { maxHeaderSize: 16 << 10, requestTimeout: 60_000, headersTimeout: 10_000 };
  if (tls === undefined) return createServer(limits, handler);
  try {
    return createSecureServer({ ...limits, ...tls }, handler) as unknown as Server;
  } catch (error) {
    throw new UsageError(`--tls: ${(error as Error).message}`);
  }
}

/** Resolves when the server listens; an address in use is an environment error. */
export function listening(server: Server, address: string, port: number): Promise<void> {
  return new Promise((done, fail) => {
    server.once('error', (error: NodeJS.ErrnoException) => fail(new EnvironmentError(`listening on ${address} port ${port}: ${error.code ?? error.message}`, error.code === 'EADDRINUSE' ? 'leave the port out of --listen: a free one is taken' : undefined)));
    server.listen(port, address, done);
  });
}
