//! Ports: renumbering, missing interfaces, MTU.

use super::*;

#[test]
fn renumbered_ports_are_never_judged_by_the_wrong_policy() {
    let machine = Machine::new();
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    let first = machine.kernel.generation();
    let rules = "  - {name: c, from: ct, to: us, service: dicom}\n";
    let swapped = with_ports(
        "core0: {device: eth2, uplink: true}, access0: {device: eth1}",
        rules,
    );
    machine.kernel.tables().judged.clear();
    apply(&gateway, swapped).expect("is applied");
    let second = machine.kernel.generation();
    let tables = machine.kernel.tables();
    let name =
        |port: u16, ports: &std::collections::BTreeMap<u16, String>| ports.get(&port).cloned();
    for (generation, ports) in &tables.judged {
        if *generation == first {
            assert_eq!(name(0, ports).as_deref(), Some("eth1"));
        }
        if *generation == second {
            assert_ne!(name(0, ports).as_deref(), Some("eth1"));
            assert_ne!(name(1, ports).as_deref(), Some("eth2"));
        }
    }
    assert_eq!(name(0, &tables.ports).as_deref(), Some("eth2"));
    assert_eq!(name(1, &tables.ports).as_deref(), Some("eth1"));
}

#[test]
fn a_port_is_attached_when_its_interface_appears() {
    let machine = Machine::new();
    machine.kernel.tables().missing.push("eth2".to_owned());
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    assert!(warned(&gateway, "no such network interface"));
    let states: Vec<_> = gateway.engine().ports().iter().map(|now| now.up).collect();
    assert_eq!(states, [true, false]);
    machine.kernel.tables().missing.clear();
    gateway.tick();
    assert!(!warned(&gateway, "no such network interface"));
    assert!(gateway.engine().ports().iter().all(|now| now.up));
}

#[test]
fn a_port_with_a_smaller_mtu_is_warned_of_with_the_remedy() {
    let machine = Machine::new();
    let mtu_warnings = |gateway: &Gateway| -> Vec<String> {
        gateway.tick();
        let engine = gateway.engine();
        let of_mtu = |warning: &&String| warning.contains("mtu");
        engine.warnings().filter(of_mtu).cloned().collect()
    };
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    assert!(mtu_warnings(&gateway).is_empty());
    let set = |machine: &Machine, nic: &str, mtu| {
        machine.kernel.tables().mtus.insert(nic.to_owned(), mtu)
    };
    set(&machine, "eth1", 9000);
    assert_eq!(
        mtu_warnings(&gateway),
        [
            "port core0 loses packets of more than 1500 bytes (MTU 1500), and the rest of the network may send 9000: \
             ip link set eth2 mtu 9000"
        ]
    );
    set(&machine, "eth1", 1500);
    assert!(mtu_warnings(&gateway).is_empty());

    // A second tag at one of the ports.
    let mut two_tags = policy_a();
    two_tags.site = two_tags.site.replace("access0.210", "access0.100.210");
    apply(&gateway, two_tags).expect("is applied");
    let warnings = mtu_warnings(&gateway);
    assert!(
        warnings[0].contains(
            "port access0 loses packets of more than 1496 bytes (MTU 1500, less a second VLAN tag)"
        ) && warnings[0].ends_with("ip link set eth1 mtu 1504"),
        "{warnings:?}"
    );
    set(&machine, "eth1", 1504);
    assert!(mtu_warnings(&gateway).is_empty());
}
