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
  *" restart "*) cp /opt/weft/current/VERSION /run/systemd/running ;;
  *" show "*ActiveState*)
    version=$(cat /run/systemd/running)
    case " ${failing.join(' ')} " in
      *" $version "*) printf 'ActiveState=activating\\nSubState=auto-restart\\nNRestarts=1\\n' ;;
      *) printf 'ActiveState=active\\nSubState=running\\nNRestarts=0\\n' ;;
    esac ;;
esac`,
  );
  await host.standIn('journalctl', 'echo "weftd: the agent\'s last words"');
  await host.standIn('timedatectl', 'echo yes');
}
