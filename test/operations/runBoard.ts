import { main } from '../../worker/cli/main.ts';

/** `dreamgrid board` on any free port, as a process that can be told to end. */
process.exitCode = await main(['board', '--port', '0']);
