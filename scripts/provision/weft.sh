# shellcheck shell=bash
# weft itself, with this cluster's configuration, from this node's bundle.
install_weft() {
  local folder=$state/unpacked bundle=$state/bundle
  install -d -m 755 /etc/weft
  install -d -m 700 /etc/weft/etcd
  install -m 600 "$bundle/ca.crt" "$bundle/client.crt" "$bundle/client.key" /etc/weft/etcd/
  cat >"$state/weft.yaml" <<EOF
network: 10.244.0.0/16
backend: { type: vxlan }
store:
  type: etcd
  endpoints: [https://$store:2379]
  caFile: /etc/weft/etcd/ca.crt
  certFile: /etc/weft/etcd/client.crt
  keyFile: /etc/weft/etcd/client.key
# The first interface of a virtual machine is its provider's: the others are not reached by it.
underlay: $underlay
EOF
  rm -rf "$folder"
  install -d "$folder"
  tar -xzf "$bundle"/weft-*-linux-*.tar.gz -C "$folder" --strip-components=1
  "$folder/install.sh" --config "$state/weft.yaml"
  rm -rf "$folder"
}

# The agent puts the CNI configuration in place when pods can be made.
await_ready() {
  local left=600
  until [ -e /etc/cni/net.d/10-weft.conflist ] && systemctl is-active --quiet weftd; do
    left=$((left - 1))
    [ $left -gt 0 ] || die "weftd is not ready: $(systemctl show --property=StatusText --value weftd.service); journalctl -u weftd"
    sleep 1
  done
}
