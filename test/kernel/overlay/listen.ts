/** Notifications of the kernel, as a part of the reconciler hears them. */
import assert from 'node:assert/strict';
import type { Trigger } from '../../../agent/reconcile/trigger.ts';
import { linkOf } from '../../../kernel/link.ts';
import type { NetlinkMessage } from '../../../kernel/netlink/message.ts';
import { NetlinkMonitor } from '../../../kernel/netlink/monitor.ts';
import { RTNLGRP } from '../../../kernel/netlink/open.ts';
import { RTM_NEWLINK } from '../../../kernel/netlink/rtnl.ts';
import { within } from '../../../kernel/netns.ts';
import type { Ground } from './ground.ts';

export interface Listening {
  /** Why passes were asked for since the last call. */
  told(): Promise<string[]>;
  stop(): Promise<void>;
}

/** Hands notifications to the overlay as the agent does. */
/** Listens in the namespace until it is stopped; `observe` is the part's. */
export function listen(ground: Ground, observe: (message: NetlinkMessage) => Trigger | undefined): Listening {
  const stop = new AbortController();
  const told: string[] = [];
  let heard = () => {};
  const monitor = within(ground.netns, () => NetlinkMonitor.open(Object.values(RTNLGRP)));
  const running = monitor.run(
    {
      onMessage: (message) => {
        const trigger = observe(message);
        if (trigger) told.push(trigger.reason);
        if (message.type === RTM_NEWLINK && linkOf(message).name === 'bell') heard();
      },
      onOverrun: () => assert.fail('overrun'),
    },
    stop.signal,
  );
  return {
    // Everything up to here has been notified once the bell has been heard.
    told: async () => {
      const rung = new Promise<void>((resolve) => {
        heard = resolve;
      });
      ground.ip('link', 'add', 'bell', 'type', 'ifb');
      await rung;
      ground.ip('link', 'del', 'bell');
      return [...new Set(told.splice(0))];
    },
    stop: () => {
      stop.abort();
      return running;
    },
  };
}
