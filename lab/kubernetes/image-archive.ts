/**
 * An image of one layer as an archive that `ctr images import`, `podman load` and `docker load` all take: an OCI layout
 * (image-spec v1.1, image-layout.md) that has Docker's manifest.json beside it. The same folder gives the same bytes.
 */
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mustRun } from '../command.ts';

/** As the OCI names processors, by Node.js' names. */
export const ociArchitectures: Readonly<Record<string, string>> = {
  x64: 'amd64',
  arm64: 'arm64',
  riscv64: 'riscv64',
};

/** Every file's time. */
const epoch = '1970-01-01T00:00:00Z';

export interface ImageRequest {
  /** What is in the image: all of it, owned by root. */
  readonly root: string;
  /** Path of the archive. */
  readonly output: string;
  /** With a tag: `localhost/weft/pause:1`. */
  readonly name: string;
  /** As Node.js names it. */
  readonly arch: string;
  /** `Entrypoint`, `Cmd`, `Env`, `Labels`, ...: image-spec config.md, `config`. */
  readonly config: Readonly<Record<string, unknown>>;
  /** How it was made, for people. */
  readonly made: string;
}

export async function writeImageArchive(request: ImageRequest): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'weft-image-'));
  try {
    mkdirSync(join(folder, 'blobs/sha256'), { recursive: true });
    const layer = await layerBlob(folder, request.root);
    const architecture = ociArchitectures[request.arch] ?? request.arch;
    const config = jsonBlob(folder, {
      created: epoch,
      architecture,
      os: 'linux',
      config: request.config,
      rootfs: { type: 'layers', diff_ids: [layer.digest] },
      history: [{ created: epoch, created_by: request.made }],
    });
    const manifest = jsonBlob(folder, {
      schemaVersion: 2,
      mediaType: `${oci}.manifest.v1+json`,
      config: { mediaType: `${oci}.config.v1+json`, ...config },
      layers: [{ mediaType: `${oci}.layer.v1.tar`, ...layer }],
    });
    const tag = request.name.slice(request.name.lastIndexOf(':') + 1);
    const entry = {
      mediaType: `${oci}.manifest.v1+json`,
      ...manifest,
      platform: { architecture, os: 'linux' },
      annotations: { 'io.containerd.image.name': request.name, 'org.opencontainers.image.ref.name': tag },
    };
    const file = (name: string, value: unknown): void =>
      writeFileSync(join(folder, name), JSON.stringify(value));
    file('oci-layout', { imageLayoutVersion: '1.0.0' });
    file('index.json', { schemaVersion: 2, mediaType: `${oci}.index.v1+json`, manifests: [entry] });
    file('manifest.json', [
      { Config: blobPath(config.digest), RepoTags: [request.name], Layers: [blobPath(layer.digest)] },
    ]);
    await tar({ output: request.output, from: folder });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const oci = 'application/vnd.oci.image';

interface Blob {
  /** `sha256:` and 64 hexadecimal digits. */
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
}

const blobPath = (digest: string): string => `blobs/${digest.replace(':', '/')}`;

async function layerBlob(folder: string, root: string): Promise<Blob> {
  const path = join(folder, 'layer.tar');
  await tar({ output: path, from: root });
  const digest = sha256(readFileSync(path));
  cpSync(path, join(folder, blobPath(digest)));
  rmSync(path);
  return { digest, size: statSync(join(folder, blobPath(digest))).size };
}

function jsonBlob(folder: string, value: unknown): Blob {
  const text = JSON.stringify(value);
  const digest = sha256(text);
  writeFileSync(join(folder, blobPath(digest)), text);
  return { digest, size: Buffer.byteLength(text) };
}

const tar = async ({ output, from }: { output: string; from: string }): Promise<string> =>
  await mustRun([
    ...['tar', '--create', '--file', output, '--directory', from, '--sort=name', '--format=ustar'],
    ...['--owner=0', '--group=0', '--numeric-owner', '--mode=u+rwX,go+rX,go-w', `--mtime=${epoch}`, '.'],
  ]);

const sha256 = (data: string | Buffer): string => `sha256:${createHash('sha256').update(data).digest('hex')}`;
