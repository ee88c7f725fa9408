/**
 * The host's settings that weft changes, with the values that it found: `weftctl node cleanup` puts them back.
 * They are kept in stateDir, for the agent that changed one may be gone long before.
 */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { replaceFile } from '../../disk/replace-file.ts';
import { readBootId } from '../../kernel/boot.ts';
import { isErrno } from '../../kernel/errno.ts';
import { ensureSysctl, readSysctl } from '../../kernel/sysctl.ts';
import { type Log, silentLog } from '../../log/log.ts';

/** Sets a setting where it differs; returns the value that stood there, undefined where nothing was changed. */
export type SetSysctl = (key: string, value: string) => string | undefined;

interface Notes {
  /** Settings do not outlive a boot, so neither do notes of them. */
  readonly boot: string;
  readonly found: Readonly<Record<string, string>>;
}

export const ledgerPath = (stateDir: string): string => join(stateDir, 'sysctl.json');

export class SysctlLedger {
  readonly #path: string;
  readonly #boot = readBootId();
  readonly #log: Pick<Log, 'warn'>;
  #unsaved: Record<string, string> = {};

  constructor(stateDir: string, log: Pick<Log, 'warn'> = silentLog) {
    this.#path = ledgerPath(stateDir);
    this.#log = log;
  }

  /** Sets it, and notes what was found before it is changed for the first time. */
  readonly set: SetSysctl = (key, value) => {
    const before = readSysctl(key);
    if (before === undefined || before === value) return undefined;
    this.#note(key, before);
    return ensureSysctl(key, value);
  };

  /** A disk that is full or read-only does not stop healing: what was found is noted with the next change. */
  #note(key: string, before: string): void {
    if (!Object.hasOwn(this.#unsaved, key)) this.#unsaved[key] = before;
    try {
      const { found } = this.#read();
      const notes: Notes = { boot: this.#boot, found: { ...this.#unsaved, ...found } };
      if (Object.keys(this.#unsaved).some((name) => !Object.hasOwn(found, name))) {
        replaceFile({ path: this.#path, content: `${JSON.stringify(notes)}\n` });
      }
      this.#unsaved = {};
    } catch (error) {
      this.#log.warn('sysctl.saveFailed', { setting: key, before, err: error });
    }
  }

  /**
   * Puts back every setting that still has its interface; returns what was changed or kept, as text. `neededBy`: what
   * relies on a setting by now, so that it stays.
   */
  restore(neededBy: (key: string) => string | undefined = () => undefined): string[] {
    const done: string[] = [];
    for (const [key, value] of Object.entries(this.#read().found)) {
      const now = readSysctl(key);
      const user = now === undefined || now === value ? undefined : neededBy(key);
      if (user !== undefined) {
        done.push(`${key} stays ${now}: needed by ${user}; it was ${value} (sysctl -w puts it back)`);
        continue;
      }
      const before = ensureSysctl(key, value);
      if (before !== undefined) done.push(`${key}: ${before} -> ${value}`);
    }
    rmSync(this.#path, { force: true });
    return done;
  }

  /** What cannot be read says nothing: a file of another boot, or one that somebody else wrote. */
  #read(): Notes {
    const nothing: Notes = { boot: this.#boot, found: {} };
    try {
      const notes = JSON.parse(readFileSync(this.#path, 'utf8')) as Partial<Notes>;
      return notes.boot === this.#boot && typeof notes.found === 'object'
        ? { ...nothing, ...notes }
        : nothing;
    } catch (error) {
      const absent = isErrno(error, 'ENOENT');
      if (absent || error instanceof SyntaxError) return nothing;
      throw error;
    }
  }
}
