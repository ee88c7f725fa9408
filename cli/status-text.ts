/** A node's status as text for a terminal of 80 columns. */
import type { NodeStatus, PeerStatus } from '../agent/status/node-status.ts';
import { printable } from '../problem/printable.ts';
import type { Paint, Style } from './colour.ts';
import { table } from './table.ts';

const heading = ['PEER', 'SUBNET', 'ADDRESS', 'PATH', 'STATE', 'RTT'];

/** Above so many peers, those that are ok are counted and not listed. */
const LISTED_PEERS = 50;

export interface StatusTextOptions {
  /** List every peer, however many there are. */
  readonly all: boolean;
  /** Of the terminal; undefined: lines of any length. */
  readonly width?: number | undefined;
  readonly paint?: Paint;
}

const styles: Readonly<Record<string, Style>> = {
  ok: 'green',
  yes: 'green',
  no: 'red',
  unknown: 'yellow',
  unreachable: 'red',
  incomplete: 'red',
};

const plain: Paint = (_style, text) => text;

export function statusText(status: NodeStatus, options: StatusTextOptions): string {
  const { paint = plain } = options;
  const styled = (cell: string): string => {
    const style = styles[cell.trim()];
    return style === undefined ? cell : paint(style, cell);
  };
  return [
    table(nodeRows(status), { paint: styled }),
    ...problemLines(status, paint),
    ...peerLines(status.peers, options, styled),
    ...(status.peersComplete
      ? []
      : ['The list of peers is not complete: the store has not told all of them yet.\n']),
  ].join('');
}

function nodeRows(status: NodeStatus): string[][] {
  const { node, agent, lease, store, underlay, backend, pods, otherVersions } = status;
  return [
    ['Node:', node],
    [
      'Agent:',
      agent.running ? `running, weft ${agent.version ?? 'unknown'}` : `not running: ${agent.reason ?? ''}`,
    ],
    ...(otherVersions.length ? [['', `peers run weft ${otherVersions.join(', ')}`]] : []),
    ['Ready:', status.ready ? 'yes' : 'no'],
    ['Subnet:', lease.subnets.join(', ')],
    ['Lease:', leaseText(lease)],
    ['Store:', store],
    [
      'Underlay:',
      underlay ? `${underlay.interface} ${underlay.addresses.join(', ')}, MTU ${underlay.mtuBytes}` : 'none',
    ],
    ['Backend:', [backend.type, ...backend.devices].join(', ')],
    ...(backend.podMtuBytes === undefined ? [] : [['Pod MTU:', String(backend.podMtuBytes)]]),
    ['Pods:', podsText(pods)],
  ];
}

/** The agent's states in words that need no glossary. */
const leaseStates: Readonly<Record<string, string>> = {
  away: 'held, store unreachable',
  left: 'released',
  saved: 'saved, not confirmed while weftd does not run',
};

function leaseText({ state, secondsLeft, renewedSecondsAgo, reason }: NodeStatus['lease']): string {
  return [
    leaseStates[state] ?? state,
    ...(renewedSecondsAgo === undefined ? [] : [`renewed ${duration(renewedSecondsAgo)} ago`]),
    ...(secondsLeft === undefined ? [] : [`${duration(secondsLeft)} left`]),
    ...(reason === undefined ? [] : [reason]),
  ].join(', ');
}

const podsText = ({ running, addressesFree }: NodeStatus['pods']): string =>
  addressesFree === undefined ? `${running}` : `${running}, ${addressesFree} addresses free`;

const problemLines = ({ problems }: NodeStatus, paint: Paint): string[] =>
  problems.length
    ? [
        '\nProblems:\n',
        ...problems.map(
          ({ severity, code, text }) =>
            `  ${paint(severity === 'error' ? 'red' : 'yellow', severity)} ${code}: ${text}\n`,
        ),
      ]
    : [];

function peerLines(
  peers: readonly PeerStatus[],
  { all, width }: StatusTextOptions,
  styled: (cell: string) => string,
): string[] {
  if (peers.length === 0) return ['\nNo peers.\n'];
  const listed = all || peers.length <= LISTED_PEERS ? peers : peers.filter(({ state }) => state !== 'ok');
  const rest = peers.length - listed.length;
  const rows = listed.map((peer) => [
    printable(peer.name),
    peer.subnet,
    peer.address,
    peer.path,
    peer.state,
    peer.rttMs === undefined ? '-' : `${peer.rttMs.toFixed(1)} ms`,
  ]);
  return [
    '\n',
    ...(listed.length ? [table([heading, ...rows], { width, paint: styled })] : []),
    ...listed.flatMap(({ name, reason, pathMtuBytes }) => [
      ...(reason === undefined ? [] : [`  ${printable(name)}: ${reason}\n`]),
      ...(pathMtuBytes === undefined
        ? []
        : [`  ${printable(name)}: packets of at most ${pathMtuBytes} bytes pass\n`]),
    ]),
    ...(rest ? [`${rest} more peers are ok (--all lists them)\n`] : []),
  ];
}

/** `4 s`, `12 min`, `23 h 59 min`, `3 d 4 h`. */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  const hours = Math.floor(minutes / 60);
  if (whole < 60) return `${whole} s`;
  if (minutes < 60) return `${minutes} min`;
  if (hours < 24) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
