# shellcheck shell=bash
# What people are told, and what is undone when it comes to the worst.

say() { printf 'weft: %s\n' "$*"; }
warn() { printf 'weft: warning: %s\n' "$*" >&2; }
die() {
  printf 'weft: %s\n' "$*" >&2
  exit 1
}

# Commands run at exit, last first, until `forget_undo`.
undo_steps=()
undo_on_exit() { undo_steps=("$1" ${undo_steps[@]+"${undo_steps[@]}"}); }
forget_undo() { undo_steps=(); }
run_undo() {
  local status=$? step
  set +e
  for step in ${undo_steps[@]+"${undo_steps[@]}"}; do "$step"; done
  exit "$status"
}
trap run_undo EXIT
# What fails without a word of its own must not fail without any.
set -E
trap 'printf "weft: install.sh failed in %s, line %s: %s\n" "${BASH_SOURCE[0]##*/}" "$LINENO" "$BASH_COMMAND" >&2' ERR
trap 'exit 130' INT
trap 'exit 143' TERM HUP
