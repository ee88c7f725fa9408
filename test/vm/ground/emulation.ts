/** What a processor that is emulated in software is asked for, and not. */

/** QEMU 7.2 emulates cmpxchg16b so that Linux 6.12 faults; the rest costs more to emulate than it gives. */
export const cpu = 'max,-cx16,-la57,-avx,-avx2,-pku,-smap,-smep,-umip';
export const kernelArguments =
  'console=ttyS0 net.ifnames=0 quiet panic=-1 mitigations=off apparmor=0 audit=0 8250.nr_uarts=1 systemd.show_status=0';
