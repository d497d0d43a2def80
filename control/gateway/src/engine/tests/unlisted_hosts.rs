//! The warning about unlisted hosts that fill the flow table.

use cordon_verdict::abi::fdb_key;

use super::*;

#[test]
fn the_sweep_asks_the_policy_in_force_which_hosts_are_listed_and_excess_is_warned_of() {
    let machine = Machine::new();
    let gateway = machine.start();
    // Whether the sweep removes a flow of a host, by MAC address.
    let gives = |mac: u64| {
        let current = gateway.engine().current();
        let segment = current.map_or(1, |active| active.policy.segments[0].number);
        machine.kernel.tables().openers = vec![fdb_key(segment, mac)];
        gateway.tick();
        let (swept, _) = gateway.engine().flow_counts();
        swept.excess == 1
    };
    let warned = || {
        let engine = gateway.engine();
        engine
            .warnings()
            .any(|text| text.contains("unlisted hosts"))
    };
    let (ct, more, unlisted) = (0x0200_0000_0001, 0x0200_0000_0100, 0x0200_0000_0200);
    assert!(
        !gives(unlisted),
        "without a policy no host counts as unlisted"
    );
    apply(&gateway, policy_a()).expect("is applied");
    assert!(!gives(ct));
    assert!(!warned());
    assert!(gives(more));
    assert!(warned());
    apply(&gateway, with_more(policy_a(), 1)).expect("is applied");
    assert!(!gives(more), "is listed now");
    assert!(gives(unlisted));
    assert!(!gives(ct));
    assert!(warned(), "the warning stays for a while");
    machine.kernel.tables().pending_reclaims = 3;
    gateway.tick();
    assert_eq!(
        machine.kernel.tables().pending_reclaims,
        0,
        "all entries are freed"
    );
}
