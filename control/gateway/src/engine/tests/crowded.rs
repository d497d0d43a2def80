//! Where the flow table is nearly full.

use cordon_verdict::abi::fdb_key;

use super::*;

#[test]
fn who_is_listed_is_asked_of_the_policy_in_force_and_a_crowd_is_told_of() {
    let machine = Machine::new();
    let gateway = machine.start();
    // Whether the sweep takes a flow from a host, by its MAC address.
    let gives = |mac: u64| {
        let current = gateway.engine().current();
        let segment = current.map_or(1, |named| named.policy.segments[0].number);
        machine.kernel.tables().openers = vec![fdb_key(segment, mac)];
        gateway.tick();
        let (swept, _) = gateway.engine().flow_counts();
        swept.surplus == 1
    };
    let warned = || {
        let engine = gateway.engine();
        engine
            .warnings()
            .any(|text| text.contains("unlisted hosts"))
    };
    let (ct, more, stranger) = (0x0200_0000_0001, 0x0200_0000_0100, 0x0200_0000_0200);
    assert!(!gives(stranger), "without a policy nobody is known");
    apply(&gateway, policy_a()).expect("is applied");
    assert!(!gives(ct));
    assert!(!warned());
    assert!(gives(more));
    assert!(warned());
    apply(&gateway, with_more(policy_a(), 1)).expect("is applied");
    assert!(!gives(more), "is listed now");
    assert!(gives(stranger));
    assert!(!gives(ct));
    assert!(warned(), "it was a moment ago");
    machine.kernel.tables().leaving = 3;
    gateway.tick();
    assert_eq!(machine.kernel.tables().leaving, 0, "all is tidied up");
}
