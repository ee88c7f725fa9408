# shellcheck shell=bash
# What weft needs of a host. Everything here looks; nothing changes anything.

oldest_kernel=5.4

need_root() { [ "$(id -u)" = 0 ] || die "this needs root: run it with sudo"; }

check_host() {
  [ "$(uname -s)" = Linux ] || die "weft runs on Linux only: this is $(uname -s)"
  check_kernel
  check_systemd
  check_programs
  check_modules
  check_clock
}

check_kernel() {
  local running oldest
  running=$(uname -r)
  oldest=$(printf '%s\n' "$oldest_kernel" "${running%%[-+]*}" | sort -V | head -n 1)
  [ "$oldest" = "$oldest_kernel" ] ||
    die "the kernel $running is too old: weft needs $oldest_kernel or newer; upgrade it and reboot"
}

check_systemd() {
  [ "$service" = yes ] || return 0
  [ -d /run/systemd/system ] ||
    die "systemd does not run here: install with --no-service, and start /opt/weft/current/bin/weftd by what does"
}

# Program and Debian's package of it: the agent runs nft; ip and unshare are for looking.
check_programs() {
  local pair
  for pair in nft=nftables ip=iproute2 unshare=util-linux; do
    command -v "${pair%%=*}" >/dev/null ||
      die "the program ${pair%%=*} is missing: apt-get install ${pair#*=}"
  done
}

# The kernel is asked for the thing itself, in a network namespace that is gone when the command ends: a module may be
# built in, loaded on demand, or blacklisted.
check_modules() {
  local what command
  while IFS='|' read -r what command; do
    # shellcheck disable=SC2086
    unshare -n $command >/dev/null 2>&1 ||
      die "the kernel $(uname -r) has no $what (modprobe ${what}; on Ubuntu: apt-get install linux-modules-extra-$(uname -r)); if it was upgraded since the last boot, reboot"
  done <<'EOF'
bridge|ip link add weft-check type bridge
veth|ip link add weft-check type veth peer name weft-checked
vxlan|ip link add weft-check type vxlan id 1 dstport 8472 local 127.0.0.1
nf_tables|nft add table inet weft-check
EOF
}

# Certificates and leases go by it. No exact check is possible without a second clock.
check_clock() {
  [ "$(date +%Y)" -ge 2025 ] ||
    die "the clock says $(date -I): certificates will not be valid; set it (timedatectl set-ntp true)"
  [ "$(timedatectl show --property=NTPSynchronized --value 2>/dev/null)" != no ] ||
    warn "the clock is not synchronized: if it is wrong, the certificates of etcd are refused (timedatectl set-ntp true)"
}

# Others that want to be this node's pod network.
check_rivals() {
  local rival port
  warn_of_conflists
  [ "$force" = no ] || return 0
  rival=$(find_flannel)
  [ -z "$rival" ] ||
    die "flannel runs on this node ($rival): the two would fight over its pods. Nodes with weft and nodes with flannel are one network, but each node runs one of them: drain this one, stop flannel, delete its device (ip link delete flannel.1), remove its file from /etc/cni/net.d, then run this again (--force to install all the same)"
  port=$(effective_config | sed -n 's/^  port: //p')
  port=${port:-8472}
  rival=$(ip -d -o link show type vxlan | awk -v port="$port" -F': ' '$2 !~ /^weft/ && $0 ~ "dstport " port "( |$)" { print "device " $2; exit }')
  # The kernel listens for weft's own device, too: nobody else can have the port then.
  [ -n "$rival" ] || ip -d -o link show type vxlan | grep -qE ": weft.* dstport $port( |\$)" || rival=$(udp_listener "$port")
  [ -z "$rival" ] ||
    die "UDP port $port is taken by $rival: stop that, or give weft another port on every node (backend: { port: ... } in weft.yaml; --force to install all the same)"
}

find_flannel() {
  local pid
  ip -o link show 2>/dev/null | awk -F': ' '$2 ~ /^flannel/ { print "device " $2; exit }'
  for pid in /proc/[0-9]*; do
    if [ "$(cat "$pid/comm" 2>/dev/null)" = flanneld ]; then
      echo "process ${pid#/proc/}"
      return
    fi
  done
}

udp_listener() {
  command -v ss >/dev/null || return 0
  ss -Hulnp "sport = :$1" 2>/dev/null | awk '{ print $NF; exit }'
}

# Runtimes take the first file by name.
warn_of_conflists() {
  local file
  for file in /etc/cni/net.d/*.conf /etc/cni/net.d/*.conflist /etc/cni/net.d/*.json; do
    [ -e "$file" ] || continue
    [[ "${file##*/}" < 10-weft.conflist ]] || continue
    warn "$file comes before 10-weft.conflist, so runtimes will use it and not weft: remove or rename it"
  done
}
