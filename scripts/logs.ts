/** `npm run logs`: writes docs/logs.md from the code. */
import { writeFileSync } from 'node:fs';
import { logsPage } from '../log/page.ts';

writeFileSync('docs/logs.md', logsPage());
