# shellcheck shell=bash
# From the first node to the others: package, certificates and the key for verifying. Each node's bundle is encrypted and
# authenticated with the cluster's secret, so the server of it need not ask who is there. A node that comes too early
# waits; one that is made anew finds it still there.

handover_port=8474

handover_folder=/var/lib/weft-handover

make_bundles() {
  local node folder=$handover_folder
  install -d -m 755 "$folder"
  for node in $(names); do
    rm -rf "$state/bundle.new"
    install -d -m 700 "$state/bundle.new"
    cp "$state/pki/ca.crt" "$state/pki/verify" "$state/pki/verify.pub" "$package" "$state/bundle.new/"
    cp "$state/pki/$node.crt" "$state/bundle.new/client.crt"
    cp "$state/pki/$node.key" "$state/bundle.new/client.key"
    if [ "$node" = "$first" ]; then
      rm -rf "$state/bundle"
      mv "$state/bundle.new" "$state/bundle"
    else
      tar -C "$state/bundle.new" -cf - . | seal >"$folder/.$node"
      mv "$folder/.$node" "$folder/$node"
    fi
  done
}

# By the package's own Node.js: from when it is installed, while its agent is still starting.
serve_bundles() {
  local folder=$handover_folder
  install -m 644 "$here/serve-files.mjs" "$folder/.serve-files.mjs"
  cat >/etc/systemd/system/weft-handover.service <<EOF
[Unit]
Description=what the other nodes of this weft cluster fetch from the first
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
ExecStart=/opt/weft/current/bin/node $folder/.serve-files.mjs $store $handover_port $folder
DynamicUser=yes
Restart=always
RestartSec=2

[Install]
WantedBy=multi-user.target
EOF
  systemctl enable --quiet --no-reload weft-handover.service
  systemctl daemon-reload
  systemctl restart --no-block weft-handover.service
}

take_over() {
  local sealed=$state/sealed waited=0 unknown=0
  until curl -fsS --connect-timeout 5 --max-time 300 -o "$sealed" "http://$store:$handover_port/$name" 2>"$state/curl.log"; do
    # The first node serves, and has nothing for this name: it was provisioned before this node was added. It may be at it.
    if grep -q ' 404$' "$state/curl.log"; then
      unknown=$((unknown + 5))
      [ $unknown -lt 300 ] || die "$first has no certificates for $name: provision it again with this node in its list (vagrant provision $first), then this node"
    else
      unknown=0
    fi
    [ $((waited % 60)) != 0 ] || say "waiting for $first ($(tail -n 1 "$state/curl.log"))"
    [ $waited -lt 3600 ] || die "$first ($store) hands nothing over: see to it first (vagrant up $first), then provision this node again"
    sleep 5
    waited=$((waited + 5))
  done
  rm -rf "$state/bundle.new"
  install -d -m 700 "$state/bundle.new"
  unseal "$sealed" | tar -C "$state/bundle.new" -xf -
  rm -rf "$state/bundle" "$sealed" "$state/curl.log"
  mv "$state/bundle.new" "$state/bundle"
}

# Encrypt, then authenticate: the code (64 hexadecimal digits and a newline) comes first.
seal() {
  local encrypted=$state/.encrypted
  openssl enc -aes-256-ctr -pbkdf2 -salt -pass "file:$secret" >"$encrypted"
  code "$encrypted"
  cat "$encrypted"
  rm "$encrypted"
}

unseal() {
  local encrypted=$1.body
  tail -c +66 "$1" >"$encrypted"
  [ "$(head -c 64 "$1")" = "$(code "$encrypted")" ] ||
    die "what $first hands over was not made with this cluster's secret: provision $first again, then this node"
  openssl enc -d -aes-256-ctr -pbkdf2 -pass "file:$secret" -in "$encrypted"
  rm "$encrypted"
}

# A keyed hash of a file, nested as HMAC is (RFC 2104), so that the secret is on no command line.
code() {
  { echo outer && cat "$secret" && { echo inner && cat "$secret" "$1"; } | sha256sum; } | sha256sum | cut -c 1-64
}
