#!/bin/sh
# Runs in the virtual machine, as root, at its first boot: installs the packages, puts a policy in force, upgrades under
# load, removes, purges. Prints `ok` or `FAILED` and what it checked, one line each.

check() {
    what=$1
    shift
    if "$@" >/tmp/out 2>&1; then
        echo "ok      $what"
    else
        echo "FAILED  $what: $*"
        cat /tmp/out
    fi
}

# Frames of one second that were answered, of 20.
answered() {
    ip netns exec device ping -q -c 20 -i 0.05 -W 1 192.0.2.1 | sed -n 's/.* \([0-9]*\) received.*/\1/p'
}

# A device behind an access switch, and a router behind the core.
for pair in device:eth1:02:00:00:00:00:0a:192.0.2.10 router:eth2:02:00:00:00:00:01:192.0.2.1; do
    name=${pair%%:*}
    rest=${pair#*:}
    port=${rest%%:*}
    rest=${rest#*:}
    ip netns add "$name"
    ip link add "$port" type veth peer name wire netns "$name"
    ip link set "$port" up
    # A veth pair takes redirected frames only if its other end has a queue for them.
    ip netns exec "$name" ethtool -K wire gro on
    ip -n "$name" link set wire address "${rest%:*}"
    ip -n "$name" address add "${rest##*:}/24" dev wire
    ip -n "$name" link set wire up
done

echo "== install on $(. /etc/os-release; echo "$PRETTY_NAME"), Linux $(uname -r)"
apt-get install --yes --quiet /root/cordon-gateway_*.deb /root/cordon-cli_*.deb >/tmp/install 2>&1
check "the next step is printed" grep -q "cordon apply /etc/cordon/policy" /tmp/install
check "the daemon runs" systemctl is-active cordond
systemctl is-active --quiet cordond || journalctl --no-pager --lines=30 --unit=cordond
check "it has no rights of root" sh -c "ps -o user= -C cordond | grep -qx cordon"
check "the configuration belongs to root and cordon" sh -c "stat -c %U:%G:%a /etc/cordon | grep -qx root:cordon:750"
check "nothing is forwarded" test "$(answered)" = 0
check "systemd-analyze: $(systemd-analyze security --no-pager cordond | tail -1 | sed 's/[^ -~]//g')" \
    systemd-analyze security --threshold=20 cordond

echo "== a first policy"
cat >/etc/cordon/policy/site.yaml <<'TEXT'
site: trial
ports:
  access0: {device: eth1}
  core0: {device: eth2, uplink: true}
segments:
  first: {attach: [access0, core0], subnets: [192.0.2.0/24], routers: [192.0.2.1]}
TEXT
printf 'name,mac,ips,segment\npump,02:00:00:00:00:0a,192.0.2.10,first\n' >/etc/cordon/policy/devices.csv
printf 'rules:\n  - {name: reach, from: pump, to: any, service: icmp}\n' >/etc/cordon/policy/policy.yaml
check "it is valid" cordon check /etc/cordon/policy
check "it is applied" cordon apply /etc/cordon/policy
answered >/dev/null
check "frames pass" test "$(answered)" = 20
check "metrics are served" curl --silent --show-error --fail --output /tmp/metrics http://127.0.0.1:9469/metrics
check "they know the policy" grep '^cordon_policy_generation 1' /tmp/metrics
grep -h '^cordon_policy_generation' /tmp/metrics
check "a quarantine is given" cordon quarantine site --posture sever --reason trial --yes
check "no frame passes" test "$(answered)" = 0
check "it is released" cordon release site --reason trial
check "frames pass again" test "$(answered)" = 20
echo "memory  $(ps -o rss= -C cordond) KiB resident"

echo "== upgrade under load"
ip netns exec device ping -q -i 0.02 -c 500 192.0.2.1 >/tmp/ping 2>&1 &
apt-get install --yes --quiet --reinstall /root/cordon-gateway_*.deb >/tmp/install 2>&1
systemctl restart cordond
wait
check "no frame is lost: $(grep received /tmp/ping)" grep -q " 0% packet loss" /tmp/ping
check "the daemon runs" systemctl is-active cordond
check "the policy is in force" sh -c "cordon status | grep -q trial"

echo "== remove and purge"
apt-get remove --yes --quiet cordon-gateway >/tmp/install 2>&1
check "it says what goes on" grep -q "stay in force" /tmp/install
check "frames pass without the daemon" test "$(answered)" = 20
apt-get purge --yes --quiet cordon-gateway >/tmp/install 2>&1
check "after the purge nothing passes" test "$(answered)" = 0
check "no program is left on the ports" sh -c "! ip -d link show | grep -q prog/xdp"
for path in /etc/cordon /var/lib/cordon /run/cordon /sys/fs/bpf/cordon; do
    check "$path is gone" test ! -e "$path"
done
check "the user is gone" sh -c "! getent passwd cordon"
