/** `weftctl doctor`: what is wrong on this host, and the command that mends it. */
import type { Command } from 'commander';
import type { Examined } from '../agent/doctor/doctor.ts';
import type { Fix, Severity } from '../agent/doctor/finding.ts';
import { painterFor } from './colour.ts';
import { UNHEALTHY } from './exit-status.ts';
import { type OutputOptions, outputOption, print } from './output.ts';
import { UsageError } from './usage-error.ts';

interface DoctorOptions extends OutputOptions {
  readonly config?: string;
  readonly all: boolean;
  readonly fix: boolean;
  readonly yes: boolean;
}

export function describeDoctor(doctor: Command): void {
  doctor
    .description('Check this host, before and after installation, and say what mends it.')
    .option('--config <file>', 'weft.yaml (WEFT_CONFIG, /etc/weft/weft.yaml)')
    .addOption(outputOption())
    .option('--all', 'also explain what is not known', false)
    .option('--fix', 'show what doctor would remove of pods that are gone', false)
    .option('--yes', 'with --fix: do it', false)
    .addHelpText(
      'after',
      `
Works with weftd, without it, and before it has run. Nothing is changed, unless --fix --yes is
given; then addresses, records and interfaces of pods that are gone are removed, nothing else.
The store is asked with one write, which is removed again.

Exit status:
  0  nothing failed; there may be warnings
  1  wrong usage, weft.yaml cannot be read, or --fix --yes could not remove something
  2  something failed: the output says what, and what mends it

Examples:
  weftctl doctor
  weftctl doctor --fix
  weftctl doctor -o json | jq '.findings[] | select(.severity != "ok")'`,
    )
    .action(run);
}

async function run(options: DoctorOptions): Promise<void> {
  const { configSource, loadConfig } = await import('../agent/config/load.ts');
  const { withDoctorHost } = await import('../agent/doctor/host.ts');
  const { examine } = await import('../agent/doctor/doctor.ts');
  const { doctorReport, doctorText } = await import('./doctor-text.ts');
  if (options.yes && !options.fix) throw new UsageError('--yes is for --fix: weftctl doctor --fix --yes');
  const { config, path } = loadConfig(configSource({ flag: options.config, env: process.env }));
  await withDoctorHost({ config, file: path ?? 'the defaults' }, async (host) => {
    const examined = await examine(host);
    const fixes = examined.flatMap(({ findings }) => findings.flatMap(({ fix }) => fix ?? []));
    await print(options.output, doctorReport(examined), () =>
      doctorText(examined, { all: options.all, paint: painterFor(process.stdout) }),
    );
    if (has(examined, 'failed')) process.exitCode = UNHEALTHY;
    if (options.fix) await fixAll(fixes, options);
  });
}

const has = (examined: readonly Examined[], severity: Severity): boolean =>
  examined.some(({ findings }) => findings.some((each) => each.severity === severity));

/** What is shown goes to stderr where stdout is for a program. */
async function fixAll(fixes: readonly Fix[], { yes, output }: DoctorOptions): Promise<void> {
  const { reasonOf } = await import('../problem/reason.ts');
  const { printable } = await import('../problem/printable.ts');
  const say = (line: string): boolean =>
    (output === 'text' ? process.stdout : process.stderr).write(`${line}\n`);
  if (fixes.length === 0) {
    say('\nNothing to fix.');
    return;
  }
  say(yes ? '\nFixing:' : '\nWould fix (add --yes to do it):');
  for (const fix of fixes) {
    const text = printable(fix.text);
    try {
      if (yes) await fix.apply();
      say(`  ${text}`);
    } catch (error) {
      say(`  failed to ${text}: ${printable(reasonOf(error), 400)}`);
      process.exitCode = 1;
    }
  }
}
