/** The image of the pause container: one static program, made here, so that no registry is needed. */
import { createHash } from 'node:crypto';
import { readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PodError } from '../errors.ts';

export interface PauseImage {
  /** Its tag is its content's. */
  readonly name: string;
  readonly repository: string;
  readonly tag: string;
  /** Its file system, as a tar archive. */
  readonly archive: Uint8Array;
  /** As in a Dockerfile. */
  readonly changes: readonly string[];
}

const program = '/pause';

/** @throws PodError `pause` where weft was built without it */
export function pauseImage(): PauseImage {
  const content = readProgram();
  const repository = 'weft/pause';
  const tag = createHash('sha256').update(content).digest('hex').slice(0, 12);
  return {
    name: `${repository}:${tag}`,
    repository,
    tag,
    archive: tarOf({ name: program.slice(1), mode: 0o755, content }),
    changes: [`ENTRYPOINT ["${program}"]`],
  };
}

/** In `lib/` beside the folder of the executable that runs: `dist/lib` and a package's are the same. */
function readProgram(): Uint8Array {
  const path = join(dirname(dirname(realpathSync(process.argv[1] ?? '.'))), 'lib/pause');
  try {
    return readFileSync(path);
  } catch (error) {
    throw new PodError(
      'pause',
      `${path} not found; build weft with a C compiler (apt-get install gcc libc6-dev), or select an ` +
        `image with weftctl pod apply --pause-image`,
      { cause: error },
    );
  }
}

const BLOCK = 512;

/** An archive of one file (POSIX.1-1988 ustar), owned by root, without a time. */
function tarOf(file: { name: string; mode: number; content: Uint8Array }): Uint8Array {
  const header = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, length: number) =>
    header.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1');
  header.write(file.name, 0, 'latin1');
  octal(file.mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(file.content.byteLength, 124, 12);
  octal(0, 136, 12);
  header.write('        0', 148, 'latin1');
  header.write('ustar\x0000', 257, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  const padding = Buffer.alloc((BLOCK - (file.content.byteLength % BLOCK)) % BLOCK);
  return Buffer.concat([header, file.content, padding, Buffer.alloc(2 * BLOCK)]);
}
