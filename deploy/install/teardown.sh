# shellcheck shell=bash
# Off this node again.

refuse_while_pods_run() {
  local pods
  [ "$force" = no ] || return 0
  pods=$({ find /var/lib/weft/pods/wanted -name '*.json' 2>/dev/null || true; } | wc -l)
  [ "$pods" = 0 ] || die "$pods pods on Docker run on this node: weftctl pod rm removes them (--force does it)"
  pods=$(ip -o link show type veth | grep -c 'alias weft:' || true)
  [ "$pods" = 0 ] || die "$pods pods run on this node: drain it first (--force takes their network away)"
}

# With the agent and its tools gone, nothing would remove them.
remove_docker_pods() {
  local weftctl=$weft_root/current/bin/weftctl
  [ -x "$weftctl" ] && [ -d /var/lib/weft/pods/wanted ] || return 0
  "$weftctl" pod rm --all --grace-period 10 2>/dev/null ||
    warn "pods on Docker are left: docker ps --filter label=weft.pod shows them"
}

uninstall_package() {
  [ -e "$weft_root/current" ] || [ -e "$units/weftd.service" ] || die "weft is not installed on this node"
  refuse_while_pods_run
  remove_docker_pods
  stop_service
  teardown_node
  remove_files
  say "weft is off this node"
}

# The subnet given back and the kernel as it was.
teardown_node() {
  local weftctl=$weft_root/current/bin/weftctl
  rm -f /etc/cni/net.d/10-weft.conflist /var/lib/weft/10-weft.conflist
  drop_loopback
  [ -x "$weftctl" ] || return 0
  "$weftctl" node leave || warn "the subnet was not given back; once the store answers: weftctl node forget $(uname -n)"
  if [ "$force" = yes ]; then "$weftctl" node cleanup --force; else "$weftctl" node cleanup; fi
}

remove_files() {
  local folder unit
  while read -r folder; do
    [ "$(readlink "$folder/weft")" != "$weft_root/current/cni/weft" ] || rm -f "$folder/weft"
  done < <(plugin_folders)
  drop_loopback
  [ "$(readlink /usr/local/bin/weftctl)" != "$weft_root/current/bin/weftctl" ] || rm -f /usr/local/bin/weftctl
  drop_document_links
  for unit in "${unit_names[@]}"; do rm -f "$units/$unit"; done
  [ ! -d /run/systemd/system ] || systemctl daemon-reload
  rm -rf /run/weft
  if [ "$purge" = yes ]; then
    rm -rf /var/lib/weft /etc/weft
  elif cmp -s "$here/weft.yaml" /etc/weft/weft.yaml; then
    rm -f /etc/weft/weft.yaml
  fi
  local made=''
  [ ! -f "$made_folders" ] || made=$(sort -r -u "$made_folders")
  rm -rf "$weft_root"
  while read -r folder; do
    [ -z "$folder" ] || rmdir --ignore-fail-on-non-empty "$folder" 2>/dev/null || true
  done <<<"$made"
  [ "$purge" = yes ] || [ ! -e /etc/weft/weft.yaml ] || say "kept: /etc/weft (--purge removes it)"
  [ "$purge" = yes ] || [ ! -e /var/lib/weft ] || say "kept: /var/lib/weft, which says who this node is (--purge removes it)"
}

undo_first_install() {
  stop_service
  remove_files
}
