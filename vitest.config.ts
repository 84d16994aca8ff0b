import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Real Redis, real ONNX Runtime, a real browser, often on two cores: deadlines are wide, never sleeps.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    pool: 'forks',
    maxWorkers: 2,
    expect: { poll: { timeout: 15_000 } },
    // How the tests of docs/reliability.md's table ended is written there by what saw it.
    reporters: ['default', ...(process.env['UPDATE_DOCS'] ? ['./test/faults/results.ts'] : [])],
  },
});
