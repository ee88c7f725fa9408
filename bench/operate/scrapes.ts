/** Runs on a node: asks for `/metrics` repeatedly, and prints how long each request took, in milliseconds. */
import http from 'node:http';

const [count = '1'] = process.argv.slice(2);
const agent = new http.Agent({ keepAlive: true });

function scrape(): Promise<number> {
  const since = performance.now();
  return new Promise((resolve, reject) => {
    http
      .get({ host: '127.0.0.1', port: 9472, path: '/metrics', agent }, (response) => {
        response.resume();
        response.on('end', () => resolve(performance.now() - since));
      })
      .on('error', reject);
  });
}

const times: number[] = [];
for (let n = 0; n < Number(count); n++) times.push(await scrape());
agent.destroy();
process.stdout.write(JSON.stringify(times));
