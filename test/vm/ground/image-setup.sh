#!/bin/bash
# Runs in the root file system that debootstrap made: what a Vagrant box has beyond Debian, and as little beyond that as
# a boot can do with, because software emulation is slow (most of a minute for what Debian does on its own).
set -euo pipefail

# The provider's NAT; the private network is configured when the machine is up, as Vagrant does.
printf 'source /etc/network/interfaces.d/*\nauto lo eth0\niface lo inet loopback\niface eth0 inet dhcp\n' >/etc/network/interfaces

# One host key, no PAM (it would start logind), and a word on the console when it can be logged in to.
install -d -m 700 /root/.ssh
install -m 600 /tmp/key.pub /root/.ssh/authorized_keys
rm /tmp/key.pub
rm -f /etc/ssh/ssh_host_*
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
printf 'HostKey /etc/ssh/ssh_host_ed25519_key\nUsePAM no\nUseDNS no\n' >/etc/ssh/sshd_config.d/test.conf
install -d /etc/systemd/system/ssh.service.d
printf '[Service]\nExecStartPost=/bin/sh -c "echo ssh is there >/dev/console"\n' >/etc/systemd/system/ssh.service.d/console.conf

# What the provisioning starts, it starts; what a box would do in the background, it does not.
systemctl disable --quiet etcd docker.socket docker.service containerd.service apt-daily.timer apt-daily-upgrade.timer \
  fstrim.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service systemd-pstore.service getty@tty1.service
systemctl mask --quiet ifupdown-wait-online.service ifupdown-pre.service serial-getty@ttyS0.service systemd-logind.service \
  ldconfig.service systemd-update-done.service systemd-journal-catalog-update.service systemd-sysusers.service \
  systemd-udev-load-credentials.service systemd-random-seed.service systemd-remount-fs.service systemd-user-sessions.service \
  systemd-journal-flush.service kmod-static-nodes.service modprobe@.service e2scrub_reap.service apparmor.service \
  sys-kernel-config.mount sys-kernel-tracing.mount sys-kernel-debug.mount sys-fs-fuse-connections.mount \
  dev-hugepages.mount dev-mqueue.mount proc-sys-fs-binfmt_misc.automount
# Its devices are there without udev; the network's are what weft shares with it.
install -d /etc/systemd/system/systemd-udev-trigger.service.d
printf '[Service]\nExecStart=\nExecStart=udevadm trigger --action=add --subsystem-match=net\n' \
  >/etc/systemd/system/systemd-udev-trigger.service.d/network.conf

# Each is a process at every boot and every daemon-reload, and none finds anything here.
install -d /etc/systemd/system-generators
for generator in /usr/lib/systemd/system-generators/*; do
  ln -s /dev/null "/etc/systemd/system-generators/${generator##*/}"
done

: >/etc/machine-id
rm -f /var/lib/dbus/machine-id
apt-get clean
rm -rf /var/lib/apt/lists/* /usr/share/doc/* /usr/share/locale/* /usr/share/man/*

# An initial file system that loads what the root is on, and nothing else.
release=$(basename /lib/modules/*)
tree=$(mktemp -d)
mkdir -p "$tree"/{bin,dev,modules,root}
cp /bin/busybox "$tree/bin/"
count=10
for module in virtio_pci virtio_blk virtio_net ext4; do
  while read -r _ path _; do
    [ ! -e "$tree/modules/.${path##*/}" ] || continue
    touch "$tree/modules/.${path##*/}"
    case $path in
      *.xz) xz -dc "$path" >"$tree/modules/$count.ko" ;;
      *) cp "$path" "$tree/modules/$count.ko" ;;
    esac
    count=$((count + 1))
  done < <(modprobe --show-depends --set-version "$release" "$module" | grep ^insmod)
done
rm -f "$tree"/modules/.[!.]*
cat >"$tree/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
for module in /modules/*; do /bin/busybox insmod "$module"; done
until /bin/busybox mount -t ext4 /dev/vda /root; do /bin/busybox usleep 50000; done
/bin/busybox mount -o move /dev /root/dev
exec /bin/busybox switch_root /root /lib/systemd/systemd
INIT
chmod 755 "$tree/init"
rm -f /boot/initrd*
(cd "$tree" && find . | cpio --quiet -o -H newc) >"/boot/initrd.img-$release"
rm -rf "$tree"
