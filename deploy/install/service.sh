# shellcheck shell=bash
# systemd's part. The socket stays through a restart of the agent: calls wait in it.

ready_within=60

# Starts what `current` is, and waits until it is ready or has failed. A node whose store is away is neither.
activate() {
  [ "$service" = yes ] || return 0
  systemctl daemon-reload
  systemctl enable --quiet weft-cni.socket weftd.service
  systemctl start weft-cni.socket
  systemctl restart --no-block weftd.service
  local left=$((ready_within * 5)) state
  while [ $left -gt 0 ]; do
    state=$(systemctl show --property=ActiveState,SubState,NRestarts weftd.service | sort | tr '\n' ' ')
    case $state in
      *"NRestarts=0 SubState=running"*) return 0 ;;
      *"NRestarts=0 "*) ;;
      *)
        journalctl --unit weftd.service --lines 10 --no-pager --output cat >&2 || true
        return 1
        ;;
    esac
    sleep 0.2
    left=$((left - 1))
  done
  warn "weftd is not ready yet: $(systemctl show --property=StatusText --value weftd.service); it goes on trying: journalctl -u weftd"
}

stop_service() {
  [ -d /run/systemd/system ] || return 0
  systemctl disable --quiet --now weft-cni.socket weftd.service 2>/dev/null || true
}
