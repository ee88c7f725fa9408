# shellcheck shell=bash
# systemd's part. The socket stays through a restart of the agent: calls wait in it.

ready_within=60

# Starts what `current` is, and waits until it is ready or has failed. A node whose store is away is neither.
activate() {
  [ "$service" = yes ] || return 0
  # `enable` would read all units again, which is slow on a small machine: once is enough.
  [ "$first_units" = no ] || systemctl enable --quiet --no-reload weft-cni.socket weftd.service
  systemctl daemon-reload
  may_start weftd.service || return 0
  ! may_start weft-cni.socket || systemctl start weft-cni.socket
  local waited=0 step=2 before state
  # Beside the agent: it waits for the old one, which may keep the pods itself, and ends where there are none.
  if [ -e "$weft_root/current/systemd/weft-podd.service" ]; then
    [ "$first_units" = no ] || systemctl enable --quiet --no-reload weft-podd.service
    ! may_start weft-podd.service || systemctl restart --no-block weft-podd.service
    systemctl try-restart --no-block 'weft-podd@*.service'
  fi
  before=$(service_property InvocationID)
  # Restarts of long ago, after a crash, are not this version's.
  systemctl reset-failed weftd.service 2>/dev/null || true
  systemctl restart --no-block weftd.service
  while [ $waited -lt $((ready_within * 10)) ]; do
    state=$(systemctl show --property=InvocationID,NRestarts,SubState weftd.service | sort | tr '\n' ' ')
    case $state in
      # Still the one before.
      "InvocationID=$before "*) ;;
      *"NRestarts=0 SubState=running "*) return 0 ;;
      *"SubState=failed "*)
        journalctl --unit weftd.service --lines 10 --no-pager --output cat >&2 || true
        return 1
        ;;
      *"NRestarts=0 "*) ;;
      *)
        journalctl --unit weftd.service --lines 10 --no-pager --output cat >&2 || true
        return 1
        ;;
    esac
    # A slow machine has better things to do than to answer.
    [ $waited -lt 20 ] || step=10
    sleep $((step / 10)).$((step % 10))
    waited=$((waited + step))
  done
  warn "weftd is not ready yet: $(service_property StatusText); it goes on trying: journalctl -u weftd"
}

# `unit`: neither masked nor disabled, nor forbidden by the policy that Debian's packages obey (policy-rc.d). One that is
# disabled and runs all the same is restarted.
may_start() {
  local state policy=0
  state=$(systemctl is-enabled "$1" 2>/dev/null || true)
  case $state in
    masked*) ;;
    disabled) ! systemctl is-active --quiet "$1" || state='' ;;
    *) state='' ;;
  esac
  if [ -z "$state" ] && [ "$action" = activate ] && [ -x /usr/sbin/policy-rc.d ]; then
    /usr/sbin/policy-rc.d "${1%.*}" restart || policy=$?
    [ "$policy" != 101 ] || state='not to be started (policy-rc.d)'
  fi
  [ -n "$state" ] || return 0
  say "$1 is $state: it was not started"
  return 1
}

service_property() { systemctl show --property="$1" --value weftd.service; }

# Pods run on without it.
stop_pods_service() {
  [ -d /run/systemd/system ] || return 0
  local unit
  leave weft-podd.service
  # One for each other configuration that weftctl pod was used with.
  for unit in "$units"/multi-user.target.wants/weft-podd@*.service; do
    [ ! -L "$unit" ] || systemctl disable --quiet --now "${unit##*/}" 2>/dev/null || true
  done
}

stop_service() {
  [ -d /run/systemd/system ] || return 0
  stop_pods_service
  leave weft-cni.socket weftd.service
}

# Debian's helpers remember which units are enabled, for when the package comes back.
leave() {
  if [ "$action" = deactivate ]; then
    systemctl stop "$@" 2>/dev/null || true
  else
    systemctl disable --quiet --now "$@" 2>/dev/null || true
  fi
}
