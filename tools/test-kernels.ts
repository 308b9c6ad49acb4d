/** npm run test:kernels: whydrop on Debian's kernels 6.1 and 6.12 under QEMU (docs/kernels.md). */
process.argv.splice(2, process.argv.length, 'kernels');
await import('./test.ts');
export {};
