//! Starting with a kernel or disk that is not as the daemon left it.

use std::fs;

use super::*;

#[test]
fn a_restart_does_not_change_the_kernel() {
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
fn after_a_reboot_ports_come_up_at_the_posture() {
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
    // No packet was judged with ports attached but no policy.
    for (generation, ports) in &tables.judged {
        assert!(ports.is_empty() || !generation.admissions.is_empty());
    }
}

#[test]
fn a_damaged_state_does_not_open_and_keeps_the_kernels_policy() {
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
        // The operator can still give orders and apply policies.
        quarantine(&gateway, "lockdown").expect("is given");
        apply(&gateway, policy_b()).expect("is applied");
        assert!(!warned(&gateway, "the state cannot be read"));
        assert_eq!(machine.kernel.posture(), LOCKDOWN);
    }
}

#[test]
fn a_damaged_state_and_an_unknown_kernel() {
    let machine = Machine::new();
    let gateway = machine.start();
    apply(&gateway, policy_a()).expect("is applied");
    drop(gateway);
    fs::write(machine.file("state.json"), "damaged").expect("writes");
    fs::remove_file(machine.file("kernel.json")).expect("is there");
    let before = machine.kernel.generation();
    for _ in 0..2 {
        let gateway = machine.start();
        assert!(
            machine.kernel.generation() == before,
            "the kernel is unchanged"
        );
        assert!(warned(&gateway, "cordon apply"));
        assert!(matches!(
            apply_for(&gateway, policy_b(), 60),
            Err(Refusal::Conflict { .. })
        ));
        quarantine(&gateway, "contain").expect("is given");
        assert_eq!(machine.kernel.posture(), CONTAIN);
    }
    let gateway = machine.start();
    apply(&gateway, policy_b()).expect("is applied");
    assert_eq!(machine.kernel.posture(), CONTAIN);
    assert_eq!(in_force(&gateway).as_deref(), Some("b"));
}

#[test]
fn a_damaged_state_after_a_reboot_comes_up_at_the_last_orders_posture() {
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
fn without_state_and_orders_the_site_is_severed_until_released() {
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
fn damaged_sources_leave_the_kernel_unchanged() {
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
fn a_state_of_another_version_is_refused() {
    let machine = Machine::new();
    fs::write(machine.file("state.json"), "{\"version\":2,\"zones\":{}}").expect("writes");
    let directory = Directory::open(machine.disk.path()).expect("opens");
    let disk = Disk::new(directory, Arc::default(), Arc::default());
    let clock = Arc::clone(&machine.clock);
    let started = Gateway::start(stand_in(&machine.kernel, disk, clock));
    let error = started.err().expect("is refused").to_string();
    assert!(error.contains("version 2"), "{error}");
}

#[test]
fn a_kernel_more_open_than_the_state_is_closed_at_the_start() {
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
