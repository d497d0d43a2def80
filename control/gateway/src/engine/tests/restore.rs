//! Coming back to a kernel, a disk, or both, that are not as they were left.

use std::fs;

use super::*;

#[test]
fn a_restart_touches_nothing() {
    let machine = Machine::new();
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    quarantine(&gateway, "contain").expect("is given");
    drop(gateway);
    let (control, installs) = {
        let tables = machine.kernel.tables();
        (tables.control, tables.installs)
    };
    let gateway = machine.start();
    let tables = machine.kernel.tables();
    assert_eq!((tables.control, tables.installs), (control, installs));
    drop(tables);
    assert_eq!(in_force(&gateway).as_deref(), Some("a"));
    assert_eq!(gateway.engine().last_order().expect("is").sequence, 1);
}

#[test]
fn after_a_reboot_ports_come_up_with_the_posture_there() {
    let mut machine = Machine::new();
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    quarantine(&gateway, "lockdown").expect("is given");
    drop(gateway);
    machine.reboot();
    let _gateway = machine.start();
    let tables = machine.kernel.tables();
    assert_eq!(tables.control.expect("is").posture, LOCKDOWN);
    assert_eq!(tables.ports.len(), 2);
    // Nothing was judged with ports there and no policy.
    for (generation, ports) in &tables.judged {
        assert!(ports.is_empty() || !generation.admissions.is_empty());
    }
}

#[test]
fn a_damaged_state_opens_nothing_and_loses_no_policy_that_the_kernel_has() {
    for damage in ["", "{", "{\"version\":1}", "\0\0\0\0"] {
        let machine = Machine::new();
        let gateway = machine.start();
        apply(&gateway, policy_a()).expect("is applied");
        quarantine(&gateway, "contain").expect("is given");
        drop(gateway);
        fs::write(machine.file("state.json"), damage).expect("writes");
        let installs = machine.kernel.tables().installs;
        let gateway = machine.start();
        assert_eq!(machine.kernel.posture(), CONTAIN);
        assert_eq!(machine.kernel.tables().installs, installs);
        assert!(warned(&gateway, "the state cannot be read"));
        assert!(warned(&gateway, "cordon apply"));
        let kept = fs::read_to_string(machine.file("state.json.damaged"));
        assert_eq!(kept.expect("is kept"), damage);
        // The operator is not shut out.
        quarantine(&gateway, "lockdown").expect("is given");
        apply(&gateway, policy_b()).expect("is applied");
        assert!(!warned(&gateway, "the state cannot be read"));
        assert_eq!(machine.kernel.posture(), LOCKDOWN);
    }
}

#[test]
fn a_damaged_state_and_a_kernel_that_nothing_is_known_of() {
    let machine = Machine::new();
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    drop(gateway);
    fs::write(machine.file("state.json"), "damaged").expect("writes");
    fs::remove_file(machine.file("kernel.json")).expect("is there");
    let before = machine.kernel.generation();
    for _ in 0..2 {
        let gateway = machine.start();
        assert!(machine.kernel.generation() == before, "care goes on");
        assert!(warned(&gateway, "cordon apply"));
        assert!(matches!(
            try_out(&gateway, policy_b(), 60),
            Err(Refusal::Conflict { .. })
        ));
        let _ = quarantine(&gateway, "contain");
        assert_eq!(machine.kernel.posture(), CONTAIN);
    }
    let gateway = machine.start();
    apply(&gateway, policy_b()).expect("is applied");
    assert_eq!(machine.kernel.posture(), CONTAIN);
    assert_eq!(in_force(&gateway).as_deref(), Some("b"));
}

#[test]
fn a_damaged_state_after_a_reboot_comes_up_as_ordered_last() {
    let mut machine = Machine::new();
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    quarantine(&gateway, "contain").expect("is given");
    drop(gateway);
    fs::remove_file(machine.file("state.json")).expect("is there");
    machine.reboot();
    let gateway = machine.start();
    assert_eq!(in_force(&gateway), None, "nothing is forwarded");
    assert!(warned(&gateway, "nothing is forwarded"));
    apply(&gateway, policy_a()).expect("is applied");
    assert_eq!(machine.kernel.posture(), CONTAIN);
}

#[test]
fn if_nobody_can_tell_what_was_ordered_nothing_opens_until_someone_says_so() {
    let mut machine = Machine::new();
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    quarantine(&gateway, "contain").expect("is given");
    drop(gateway);
    fs::write(machine.file("state.json"), "damaged").expect("writes");
    fs::write(machine.file("orders.jsonl"), "damaged\n").expect("writes");
    machine.reboot();
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    assert_eq!(machine.kernel.posture(), SEVER);
    release(&gateway).expect("is given");
    assert_eq!(machine.kernel.posture(), NORMAL);
}

#[test]
fn sources_that_are_damaged_leave_the_kernel_as_it_is() {
    let machine = Machine::new();
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    drop(gateway);
    let files = fs::read_dir(machine.file("policy")).expect("is there");
    for file in files {
        fs::write(file.expect("reads").path(), "{}").expect("writes");
    }
    let before = machine.kernel.generation();
    let gateway = machine.start();
    assert!(machine.kernel.generation() == before);
    assert!(warned(&gateway, "cannot be read back"));
    quarantine(&gateway, "contain").expect("is given");
    assert_eq!(machine.kernel.posture(), CONTAIN);
    apply(&gateway, policy_a()).expect("is applied");
    assert!(!warned(&gateway, "cannot be read back"));
}

#[test]
fn the_state_of_another_version_is_not_guessed_at() {
    let machine = Machine::new();
    fs::write(machine.file("state.json"), "{\"version\":2,\"zones\":{}}").expect("writes");
    let directory = Directory::open(machine.disk.path()).expect("opens");
    let disk = Disk::new(directory, Arc::default(), Arc::default());
    let started = Gateway::start(Parts {
        plane: Box::new(machine.kernel.clone()),
        opened: Opened::New,
        store: Box::new(disk),
        clock: machine.clock.clone(),
        pins: "/pins".to_owned(),
        flows: [1, 1],
        order_seconds: metrics::order_seconds(),
    });
    let error = started.err().expect("is refused").to_string();
    assert!(error.contains("version 2"), "{error}");
}

#[test]
fn a_kernel_more_open_than_the_state_is_closed_before_anything_else() {
    let machine = Machine::new();
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    quarantine(&gateway, "contain").expect("is given");
    drop(gateway);
    let mut kernel = machine.kernel.clone();
    crate::plane::Plane::set_posture(&mut kernel, NORMAL).expect("is set");
    let _gateway = machine.start();
    assert_eq!(machine.kernel.posture(), CONTAIN);
}

#[test]
fn two_daemons_do_not_share_a_state() {
    let machine = Machine::new();
    let _gateway = machine.start();
    let second = Directory::open(machine.disk.path());
    assert!(matches!(
        second,
        Err(crate::store::StoreError::InUse { .. })
    ));
}
