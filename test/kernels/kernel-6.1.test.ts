import { testOnKernel } from './on-kernel.ts';

await testOnKernel('6.1');
