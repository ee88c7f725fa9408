/** `serve-files.mjs ADDRESS PORT FOLDER`: the folder's files, by name, to whoever asks. They are encrypted. */
import { createReadStream } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';

const [address, port, folder] = process.argv.slice(2);

createServer((request, response) => {
  const name = /^\/([a-z0-9][a-z0-9-]*)$/.exec(request.url ?? '')?.[1];
  if (request.method !== 'GET' || !name) return response.writeHead(404).end();
  const file = createReadStream(join(folder, name));
  file.once('open', () => {
    response.writeHead(200, { 'content-type': 'application/octet-stream' });
    file.pipe(response);
  });
  file.once('error', () => (response.headersSent ? response.destroy() : response.writeHead(404).end()));
}).listen(Number(port), address);
