#!/usr/bin/env bash
# shellcheck source-path=SCRIPTDIR
# Installs weft on this node: whole or not at all, and again over itself without a packet of a running pod lost.
set -euo pipefail

usage() {
  cat <<'EOF'
usage: install.sh [--config FILE] [--no-service] [--force]
                              install, or upgrade to, the version that lies beside this script
       install.sh --check     say what would keep weft from running here; change nothing
       install.sh --rollback  back to the version before
       install.sh --uninstall [--force] [--purge]
                              leave the host as it was found; refused while pods run

  --config FILE  put it in place as /etc/weft/weft.yaml (otherwise one that is there is kept)
  --no-service   only the files: for a node whose services are started by something other than systemd
  --force        install beside a flannel that runs here; uninstall under running pods
  --purge        uninstall: also /etc/weft and this node's identity in /var/lib/weft
EOF
}

here=$(dirname "$(readlink -f "$0")")
# shellcheck source=install/say.sh
source "$here/install/say.sh"
# shellcheck source=install/host.sh
source "$here/install/host.sh"
# shellcheck source=install/package.sh
source "$here/install/package.sh"
# shellcheck source=install/place.sh
source "$here/install/place.sh"
# shellcheck source=install/service.sh
source "$here/install/service.sh"
# shellcheck source=install/teardown.sh
source "$here/install/teardown.sh"

# shellcheck disable=SC2034 # the parts read them
action=install config='' service=yes force=no purge=no
while [ $# -gt 0 ]; do
  case $1 in
    --check | --rollback | --uninstall | --activate | --deactivate) action=${1#--} ;;
    --config)
      [ $# -gt 1 ] || die "--config needs a file"
      config=$2
      shift
      ;;
    --no-service) service=no ;;
    --force) force=yes ;;
    --purge) purge=yes ;;
    --help | -h) usage && exit 0 ;;
    *) usage >&2 && die "unknown argument: $1" ;;
  esac
  shift
done

need_root
# One at a time. The lock is on a folder, so that it leaves no file.
exec 9</run
flock -n 9 || die "another install.sh is running: wait for it"

case $action in
  check)
    check_host
    check_package
    check_config
    check_rivals
    say "nothing keeps weft $(package_version) from running here"
    ;;
  install)
    refuse_debian_package
    check_host
    check_package
    check_config
    check_rivals
    install_package
    ;;
  rollback)
    refuse_debian_package
    rollback_package
    ;;
  uninstall)
    refuse_debian_package
    uninstall_package
    ;;
  # What the Debian package's scripts call: the files are dpkg's.
  activate)
    [ "$service" = yes ] || { ensure_loopback && exit 0; }
    check_host
    check_config
    check_rivals
    drop_archive_files
    ensure_loopback
    activate
    ;;
  deactivate)
    refuse_while_pods_run
    remove_docker_pods
    stop_service
    teardown_node
    ;;
esac
