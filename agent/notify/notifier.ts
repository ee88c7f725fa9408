/** Notifies the service manager of the agent's state: sd_notify(3). Without a service manager it does nothing. */
import { KernelError } from '../../kernel/errors.ts';
import { sendDatagram } from '../../kernel/unix-datagram.ts';
import { reasonOf } from '../../problem/reason.ts';
import { AgentError } from '../errors.ts';

export interface Notifier {
  /** READY=1: pods can be made; `status` is one line for people. */
  ready(status: string): void;
  status(text: string): void;
  stopping(): void;
  /**
   * Shows at half the watchdog's interval that the event loop runs, until the signal fires: before `ready` with
   * EXTEND_TIMEOUT_USEC, which keeps the start timeout away, then with WATCHDOG=1. A hung agent shows neither and is
   * restarted. Nothing where the service manager asks for no watchdog.
   */
  watch(signal: AbortSignal): void;
}

/**
 * Reads `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`, and takes them out of `env`: a child that said
 * READY would be taken for the agent. A failed send is reported to `onFailure` and stops nothing. If the socket is
 * gone, that is reported once, and nothing more is sent.
 *
 * @throws AgentError `notify` where NOTIFY_SOCKET is of a kind that is not known
 */
export function takeNotifier(options: {
  readonly env: Record<string, string | undefined>;
  readonly onFailure: (error: AgentError) => void;
  readonly send?: typeof sendDatagram;
}): Notifier {
  const { env, onFailure, send = sendDatagram } = options;
  const { NOTIFY_SOCKET: name, WATCHDOG_USEC: interval, WATCHDOG_PID: pid } = env;
  delete env.NOTIFY_SOCKET;
  delete env.WATCHDOG_USEC;
  delete env.WATCHDOG_PID;
  if (name && !/^[/@]./.test(name)) {
    throw new AgentError('notify', `unsupported NOTIFY_SOCKET=${name}: supported are a path and @NAME`);
  }
  let isReady = false;
  let listening = name !== undefined && name !== '';
  const notify = (...assignments: string[]): void => {
    if (!name || !listening) return;
    try {
      send(name, Buffer.from(assignments.map(oneLine).join('\n')));
    } catch (error) {
      listening = !(error instanceof KernelError && gone.has(error.code));
      const names = assignments.map((text) => text.split('=', 1)[0]).join(', ');
      onFailure(
        new AgentError('notify', `failed to send ${names} to the service manager: ${reasonOf(error)}`, {
          cause: error,
        }),
      );
    }
  };
  const isForUs = pid === undefined || Number(pid) === process.pid;
  return {
    ready: (status) => {
      isReady = true;
      notify('READY=1', `STATUS=${status}`);
    },
    status: (text) => notify(`STATUS=${text}`),
    stopping: () => notify('STOPPING=1'),
    watch: (signal) => {
      const intervalMs = Number(interval) / 1000;
      if (!name || !isForUs || !(intervalMs > 0) || signal.aborted) return;
      const show = (): void => notify(isReady ? 'WATCHDOG=1' : `EXTEND_TIMEOUT_USEC=${Number(interval)}`);
      show();
      const timer = setInterval(show, Math.min(Math.max(1, intervalMs / 2), LONGEST_INTERVAL_MS));
      signal.addEventListener('abort', () => clearInterval(timer), { once: true });
    },
  };
}

/** Node.js makes an interval of more than 24.8 days one of 1 ms. */
const LONGEST_INTERVAL_MS = 3_600_000;

/** The errors of a send to a socket that is removed or that no process has open. */
const gone: ReadonlySet<string> = new Set(['ENOENT', 'ECONNREFUSED']);

const oneLine = (text: string): string => text.replace(/\s*\n\s*/g, ' ');
