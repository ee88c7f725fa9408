/** Whether a program runs without the system's loader and libraries. */
import { readFileSync } from 'node:fs';

const PT_INTERP = 3;

/** True for a 64-bit ELF file that names no interpreter (elf(5): Elf64_Ehdr, Elf64_Phdr). */
export function isStaticElf(path: string): boolean {
  const bytes = readFileSync(path);
  if (bytes.toString('latin1', 0, 4) !== '\x7fELF' || bytes[4] !== 2) return false;
  const offset = Number(bytes.readBigUInt64LE(32));
  const size = bytes.readUInt16LE(54);
  const count = bytes.readUInt16LE(56);
  const types = Array.from({ length: count }, (_, index) => bytes.readUInt32LE(offset + index * size));
  return !types.includes(PT_INTERP);
}
