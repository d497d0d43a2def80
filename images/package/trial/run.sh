#!/bin/sh
# Tries the packages in a fresh Debian with systemd, booted in QEMU: install, policy, upgrade, remove, purge.
#
#   cargo xtask package && sh images/package/trial/run.sh [bookworm|trixie]
#
# Needs root, mmdebstrap, qemu-system-x86 and e2fsprogs. Takes some minutes. Ends with 1 if a line
# says FAILED.
set -eu

release=${1:-bookworm}
here=$(cd "$(dirname "$0")" && pwd)
packages=${CORDON_PACKAGES:-$here/../../../target/package/first}
work=$(mktemp -d)
machine=
trap 'test -z "$machine" || kill "$machine"; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

echo "making a tree of $release"
mmdebstrap --quiet --variant=apt \
    --include=systemd-sysv,dbus,iproute2,iputils-ping,ethtool,curl,procps,adduser,libgcc-s1,linux-image-amd64,initramfs-tools,zstd \
    "$release" "$work/tree"
cp "$packages"/*.deb "$here/guest.sh" "$work/tree/root/"
cat >"$work/tree/etc/systemd/system/trial.service" <<'TEXT'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
Environment=DEBIAN_FRONTEND=noninteractive HOME=/root
ExecStart=/bin/sh /root/guest.sh
ExecStopPost=/bin/systemctl poweroff --force
StandardOutput=file:/dev/ttyS1
StandardError=file:/dev/ttyS1
TimeoutStartSec=900
TEXT
# Started by a timer: the packages' own units have to be free to start before it ends.
cat >"$work/tree/etc/systemd/system/trial.timer" <<'TEXT'
[Timer]
OnActiveSec=1
[Install]
WantedBy=timers.target
TEXT
mkdir -p "$work/tree/etc/systemd/system/timers.target.wants"
ln -s /etc/systemd/system/trial.timer "$work/tree/etc/systemd/system/timers.target.wants/trial.timer"

cp "$work"/tree/boot/vmlinuz-* "$work/vmlinuz"
cp "$work"/tree/boot/initrd.img-* "$work/initrd"
truncate -s 2G "$work/disk"
mkfs.ext4 -q -F -d "$work/tree" "$work/disk"
rm -rf "$work/tree"

# Not KVM unless it is asked for: where the host is a virtual machine itself, /dev/kvm may be there and hang.
accelerator=${CORDON_ACCELERATOR:-tcg}
echo "booting, with $accelerator"
timeout 1500 qemu-system-x86_64 -machine q35 -accel "$accelerator" -cpu max -m 1024 -smp 2 -display none -no-reboot \
    -serial "file:$work/console" -serial "file:$work/result" \
    -kernel "$work/vmlinuz" -initrd "$work/initrd" -drive "file=$work/disk,format=raw,if=virtio" -nic none \
    -append "root=/dev/vda rw console=ttyS0 quiet systemd.show_status=false" </dev/null &
machine=$!
wait "$machine" || true
machine=
tr -d '\r' <"$work/result"
grep -aq "ok      the user is gone" "$work/result" || { echo "it did not finish:"; tail -30 "$work/console"; exit 1; }
! grep -aq FAILED "$work/result"
