/** A stand-in for systemd: what it was told, and agents that start or do not. */
import type { Host } from './host.ts';

/**
 * `systemctl restart` "starts" the version that `current` is, unless its VERSION is in `failing`; everything that
 * systemctl was told is in /run/systemd/told.
 */
export async function standInForSystemd(host: Host, failing: readonly string[] = []): Promise<void> {
  await host.run('mkdir -p /run/systemd/system');
  await host.standIn(
    'systemctl',
    `echo "$*" >>/run/systemd/told
case " $* " in
  # deb-systemd-helper enables units by it.
  *" preset "*) exec "$real" --root=/ "$@" ;;
  *" restart "*) cp /opt/weft/current/VERSION /run/systemd/running ;;
  *" show "*InvocationID*)
    version=$(cat /run/systemd/running 2>/dev/null)
    invocation=$(grep -c restart /run/systemd/told)
    case "$*" in *--value*) echo $invocation && exit ;; esac
    case " ${failing.join(' ')} " in
      *" $version "*) printf "InvocationID=$invocation\\nSubState=auto-restart\\nNRestarts=1\\n" ;;
      *) printf "InvocationID=$invocation\\nSubState=running\\nNRestarts=0\\n" ;;
    esac ;;
esac`,
  );
  await host.standIn('journalctl', 'echo "weftd: the agent\'s last words"');
  await host.standIn('timedatectl', 'echo yes');
}
