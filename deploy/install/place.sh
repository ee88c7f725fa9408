# shellcheck shell=bash
# Files. All of a version is in a folder of its own; what makes it *the* version is one link, changed by rename.

weft_root=/opt/weft
units=/etc/systemd/system
unit_names=(weftd.service weft-cni.socket weft-podd.service weft-podd@.service)
# Which folders were made here, so that they can be unmade: one path a line.
made_folders=$weft_root/.made
# Units that are new are enabled; of others it is the operator's decision.
first_units=no
# The configuration that --config has replaced, until the agent runs with the new one.
config_before=/etc/weft/.weft.before

install_package() {
  local before='' folder
  before=$(current_folder)
  drop_leftovers
  undo_on_exit drop_leftovers
  previous_before=$(readlink "$weft_root/previous" || true)
  [ -d /var/lib/weft ] || undo_on_exit drop_state
  [ -n "$before" ] || undo_on_exit undo_first_install
  ensure_folder "$weft_root"
  folder=$(find_folder)
  [ -n "$folder" ] || { folder=$(free_folder) && stage_package "$folder"; }
  ensure_config
  ensure_plugin_links
  switch_to "$folder"
  if ! activate; then
    [ -z "$before" ] || go_back "$before"
    die "weftd $(package_version) did not start (its last words are above); the node is as it was${before:+, with ${before##*/}}"
  fi
  forget_undo
  drop_leftovers
  drop_old_versions
  say "weft $(package_version) is installed in $folder"
}

current_folder() { readlink -e "$weft_root/current" || true; }

# The folder that has exactly this package, if there is one.
find_folder() {
  local folder
  for folder in "$weft_root"/[!.]*/; do
    folder=${folder%/}
    if [ ! -L "$folder" ] && cmp -s "$folder/SHA256SUMS" "$here/SHA256SUMS" && is_whole "$folder"; then
      echo "$folder"
      return
    fi
  done
}

# The version's name; where something else has it (another build of the version, or one that was damaged), more of it.
free_folder() {
  local name
  for name in "$(package_version)" "$(package_version)-$(package_id)" "$(package_version)-$(package_id)-$$"; do
    [ -e "$weft_root/$name" ] || { echo "$weft_root/$name" && return; }
  done
}

stage_package() {
  local need free
  need=$(du -sk "$here" | cut -f 1)
  free=$(df -Pk "$weft_root" | awk 'NR == 2 { print $4 }')
  [ "$free" -gt $((need + 8192)) ] ||
    die "$weft_root has $((free / 1024)) MB free and $((need / 1024 + 8)) MB are needed: make room; nothing was changed"
  staging=$weft_root/.staging.$$
  mkdir "$staging"
  cp -r --preserve=mode,timestamps "$here/." "$staging/" ||
    die "the package cannot be copied to $weft_root: make room or see to the disk; the node is as it was"
  chown -R root:root "$staging"
  is_whole "$staging" || die "what was written to $weft_root is not what was read: see to the disk; the node is as it was"
  sync -f "$staging"
  mv -T "$staging" "$1"
}

drop_state() { rm -rf /var/lib/weft; }

# What an installation that was interrupted has left.
drop_leftovers() { rm -rf "$weft_root"/.staging.* "$weft_root"/.link.* "$units"/.weft.* /etc/weft/.weft.*; }

ensure_folder() {
  local folder=$1 missing=()
  while [ ! -d "$folder" ]; do
    missing=("$folder" "${missing[@]+"${missing[@]}"}")
    folder=$(dirname "$folder")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  mkdir -p "$1"
  [ ! -d "$weft_root" ] || printf '%s\n' "${missing[@]}" >>"$made_folders"
}

# `source target`: whole, by rename, and only if it differs.
ensure_file() {
  local temporary
  cmp -s "$1" "$2" && return
  temporary=$(dirname "$2")/.weft.${2##*/}.$$
  cp "$1" "$temporary"
  chmod 644 "$temporary"
  sync "$temporary"
  mv -T "$temporary" "$2"
}

# `target link`
ensure_link() {
  [ "$(readlink "$2" || true)" != "$1" ] || return 0
  ln -s "$1" "$weft_root/.link.$$"
  mv -T "$weft_root/.link.$$" "$2"
}

ensure_config() {
  ensure_folder /etc/weft
  if [ -n "$config" ]; then
    [ ! -e /etc/weft/weft.yaml ] || cp -p /etc/weft/weft.yaml "$config_before"
    ensure_file "$config" /etc/weft/weft.yaml
  elif [ ! -e /etc/weft/weft.yaml ]; then
    ensure_file "$here/weft.yaml" /etc/weft/weft.yaml
  fi
}

# Where runtimes look: /opt/cni/bin by CNI's custom, elsewhere by their distribution's or their own configuration.
plugin_folders() {
  {
    echo /opt/cni/bin
    [ ! -d /usr/lib/cni ] || echo /usr/lib/cni
    sed -nE 's/^[[:space:]]*bin_dirs?[[:space:]]*=[[:space:]]*(.*)/\1/p' /etc/containerd/config.toml 2>/dev/null | grep -oE '/[^"'\'' ,]+' || true
  } | sort -u
}

ensure_plugin_links() {
  local folder link
  ensure_folder /etc/cni/net.d
  while read -r folder; do
    link=$folder/weft
    if [ -e "$link" ] && [ ! -L "$link" ]; then
      die "$link is a file that this script did not put there: remove it, and run this again"
    fi
    ensure_folder "$folder"
    ensure_link "$weft_root/current/cni/weft" "$link"
  done < <(plugin_folders)
  ensure_loopback
  ensure_folder /usr/local/bin
  if [ -L /usr/local/bin/weftctl ] || [ ! -e /usr/local/bin/weftctl ]; then
    ensure_link "$weft_root/current/bin/weftctl" /usr/local/bin/weftctl
  fi
  ensure_document_links
}

# Manual pages and completions, as `path below the package:link`.
document_links=(
  man/weftctl.8:/usr/local/share/man/man8/weftctl.8
  man/weftd.8:/usr/local/share/man/man8/weftd.8
  man/weft-podd.8:/usr/local/share/man/man8/weft-podd.8
  man/weft.yaml.5:/usr/local/share/man/man5/weft.yaml.5
  completion/weftctl.bash:/usr/local/share/bash-completion/completions/weftctl
  completion/weftctl.zsh:/usr/local/share/zsh/site-functions/_weftctl
  completion/weftctl.fish:/usr/local/share/fish/vendor_completions.d/weftctl.fish
)

ensure_document_links() {
  local pair link
  for pair in "${document_links[@]}"; do
    link=${pair#*:}
    [ -L "$link" ] || [ ! -e "$link" ] || continue
    ensure_folder "$(dirname "$link")"
    ensure_link "$weft_root/current/${pair%%:*}" "$link"
  done
}

drop_document_links() {
  local pair link
  for pair in "${document_links[@]}"; do
    link=${pair#*:}
    [ "$(readlink "$link" || true)" != "$weft_root/current/${pair%%:*}" ] || rm -f "$link"
  done
}

# containerd executes a plugin of this name for every sandbox. One of another package's stays, and may replace this.
ensure_loopback() {
  local folder
  while read -r folder; do
    [ -e "$folder/loopback" ] || [ ! -d "$folder" ] || ensure_link "$weft_root/current/cni/loopback" "$folder/loopback"
  done < <(plugin_folders)
}

drop_loopback() {
  local folder
  while read -r folder; do
    [ "$(readlink "$folder/loopback" || true)" != "$weft_root/current/cni/loopback" ] || rm -f "$folder/loopback"
  done < <(plugin_folders)
}

# A Debian package over an installation by install.sh: what dpkg does not own would be left for ever.
drop_archive_files() {
  local folder
  [ "$(readlink /usr/local/bin/weftctl || true)" != "$weft_root/current/bin/weftctl" ] || rm -f /usr/local/bin/weftctl
  drop_document_links
  rm -f "$weft_root/previous" "$made_folders"
  for folder in "$weft_root"/[!.]*/; do
    folder=${folder%/}
    [ -L "$folder" ] || [ "$folder" = "$(current_folder)" ] || dpkg-query -S "$folder/VERSION" >/dev/null 2>&1 ||
      rm -rf "$folder"
  done
}

# From here on, `folder` is what runs and what a call finds.
switch_to() {
  local before
  before=$(current_folder)
  if [ -n "$before" ] && [ "$before" != "$1" ]; then ensure_link "${before##*/}" "$weft_root/previous"; fi
  ensure_units "$1"
  ensure_link "${1##*/}" "$weft_root/current"
  sync -f "$weft_root"
}

ensure_units() {
  local unit
  [ "$service" = yes ] || return 0
  [ -e "$units/weftd.service" ] || [ -L "$units/weftd.service" ] || first_units=yes
  for unit in "${unit_names[@]}"; do
    if [ "$(readlink "$units/$unit" || true)" = /dev/null ]; then
      warn "$unit is masked and stays so: systemctl unmask $unit"
    elif [ -e "$1/systemd/$unit" ]; then
      ensure_file "$1/systemd/$unit" "$units/$unit"
    elif [ -e "$units/$unit" ]; then
      # A version before this unit: its agent does the work.
      stop_pods_service
      rm -f "$units/$unit"
    fi
  done
}

# An upgrade that does not start, taken back.
go_back() {
  warn "going back to ${1##*/}"
  [ ! -e "$config_before" ] || mv -T "$config_before" /etc/weft/weft.yaml
  ensure_units "$1"
  ensure_link "${1##*/}" "$weft_root/current"
  if [ -n "$previous_before" ]; then
    ensure_link "$previous_before" "$weft_root/previous"
  else
    rm -f "$weft_root/previous"
  fi
  activate || warn "${1##*/} does not start either: journalctl -u weftd"
}

rollback_package() {
  local folder
  folder=$(readlink -e "$weft_root/previous") ||
    die "there is no version before this one in $weft_root: install one with its install.sh"
  is_whole "$folder" || die "$folder is damaged: install that version again with its install.sh"
  [ -e "$units/weftd.service" ] || service=no
  switch_to "$folder"
  activate || die "weftd of ${folder##*/} did not start (its last words are above); install.sh --rollback goes forward again"
  say "weft $(cat "$folder/VERSION") runs; install.sh --rollback again goes back to the newer one"
}

# This version and the one before are kept.
drop_old_versions() {
  local folder
  for folder in "$weft_root"/[!.]*/; do
    folder=${folder%/}
    [ -L "$folder" ] || [ "$folder" = "$(current_folder)" ] || [ "$folder" = "$(readlink -e "$weft_root/previous")" ] ||
      rm -rf "$folder"
  done
}
