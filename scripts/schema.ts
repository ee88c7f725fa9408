/** `npm run schema`: writes docs/config.schema.json from the code. */
import { writeFileSync } from 'node:fs';
import { jsonSchemaText } from '../agent/config/json-schema.ts';

writeFileSync('docs/config.schema.json', jsonSchemaText());
