# shellcheck shell=bash
say() { printf '%s: %s\n' "${name:-provision}" "$*"; }
die() {
  say "$*" >&2
  exit 1
}

# `node`: its address among --nodes.
address_of() {
  local pair
  for pair in ${nodes//,/ }; do
    if [ "${pair%%=*}" = "$1" ]; then
      echo "${pair#*=}"
      return
    fi
  done
  die "$1 is not among --nodes $nodes"
}

names() {
  local pair
  for pair in ${nodes//,/ }; do echo "${pair%%=*}"; done
}

# What fails without a word of its own must not fail without any.
set -E
trap 'say "failed in ${BASH_SOURCE[0]##*/}, line $LINENO: $BASH_COMMAND" >&2' ERR
