//! The state directory: what it keeps, and what it makes of damage.

use std::fs;

use cordon_protocol::{Order, OrderKind, Scope, Sources};

use super::directory::{KERNEL, ORDERS, STATE, policy_file};
use super::hash::json;
use super::*;
use crate::state::{KernelRecord, SlotRecord, State};

fn store() -> (tempfile::TempDir, Directory) {
    let root = tempfile::tempdir().expect("makes a directory");
    let store = Directory::open(root.path()).expect("opens");
    (root, store)
}

fn order(sequence: u64) -> Order {
    Order {
        sequence,
        kind: OrderKind::Quarantine,
        scope: Scope::Site,
        posture: "contain".to_owned(),
        before: "normal".to_owned(),
        reason: "a test".to_owned(),
        ticket: None,
        by: "tester".to_owned(),
        time: "2026-05-28T20:26:40.000Z".to_owned(),
        until: None,
        in_force_milliseconds: Some(1.5),
        warning: None,
    }
}

#[test]
fn stored_policies_states_and_orders_are_read_back() {
    let (root, store) = store();
    assert_eq!(store.state().expect("reads"), None);
    let sources = Sources {
        site: "site: x".to_owned(),
        ..Sources::default()
    };
    let hash = store.add_sources(&sources).expect("writes");
    assert_eq!(store.sources(&hash).expect("reads"), sources);
    let state = State {
        generation: 3,
        ..State::default()
    };
    store.set_state(&state).expect("writes");
    store.add_order(&order(1)).expect("writes");
    store.add_order(&order(2)).expect("writes");
    drop(store);
    let store = Directory::open(root.path()).expect("opens");
    assert_eq!(store.state().expect("reads"), Some(state));
    assert_eq!(store.orders().expect("reads"), [order(1), order(2)]);
}

#[test]
fn a_prepared_state_is_not_current_until_committed() {
    let (_root, store) = store();
    let first = State::default();
    store.set_state(&first).expect("writes");
    let second = State {
        generation: 1,
        ..State::default()
    };
    store.prepare_state(&second).expect("writes");
    assert_eq!(store.state().expect("reads"), Some(first));
    store.commit_state().expect("moves");
    assert_eq!(store.state().expect("reads"), Some(second));
}

#[test]
fn damaged_files_are_reported_by_name() {
    let (root, store) = store();
    let hash = store.add_sources(&Sources::default()).expect("writes");
    let other = json(&Sources {
        site: "other".to_owned(),
        ..Sources::default()
    });
    fs::write(root.path().join(policy_file(&hash)), other).expect("writes");
    let error = store.sources(&hash).expect_err("is detected");
    assert!(matches!(error, StoreError::Damaged { .. }));
    let good = json(&State::default());
    for length in 0..good.len() {
        fs::write(root.path().join(STATE), &good[..length]).expect("writes");
        let error = store.state().expect_err("is detected");
        assert!(
            error.to_string().contains("state.json is damaged"),
            "{error}"
        );
        assert!(!error.hint().is_empty());
    }
    fs::write(root.path().join(ORDERS), "{}\n").expect("writes");
    let error = store.orders().expect_err("is detected");
    assert!(error.to_string().contains("line 1"), "{error}");
}

#[test]
fn a_partially_written_order_does_not_damage_the_next_one() {
    let whole = [json(&order(1)), b"\n".to_vec()].concat();
    let half = json(&order(2));
    for length in 0..half.len() {
        let root = tempfile::tempdir().expect("makes a directory");
        let text = [&whole[..], &half[..length]].concat();
        fs::write(root.path().join(ORDERS), text).expect("writes");
        let store = Directory::open(root.path()).expect("opens");
        store.add_order(&order(2)).expect("writes");
        assert_eq!(store.orders().expect("reads"), [order(1), order(2)]);
    }
}

#[test]
fn an_unreadable_state_is_kept_under_another_name() {
    let (root, store) = store();
    store.set_state_aside().expect("no error without a file");
    for content in ["one", "two"] {
        fs::write(root.path().join(STATE), content).expect("writes");
        store.set_state_aside().expect("keeps");
        store.set_state(&State::default()).expect("writes");
        let kept = fs::read_to_string(root.path().join("state.json.damaged"));
        assert_eq!(kept.expect("is there"), content);
        assert_eq!(store.state().expect("reads"), Some(State::default()));
    }
}

#[test]
fn sources_of_policies_that_are_not_listed_are_removed() {
    let (_root, store) = store();
    let named = |site: &str| Sources {
        site: site.to_owned(),
        ..Sources::default()
    };
    let [a, b, c] = ["a", "b", "c"].map(|site| store.add_sources(&named(site)).expect("writes"));
    store.keep_only(&[&a, &c]);
    assert!(store.sources(&a).is_ok() && store.sources(&c).is_ok());
    assert!(store.sources(&b).is_err());
}

#[test]
fn an_outdated_kernel_record_is_removed() {
    let (root, store) = store();
    assert_eq!(store.kernel(), KernelRecord::default());
    let kernel = KernelRecord {
        slots: [None, Some(SlotRecord::default())],
        ..KernelRecord::default()
    };
    store.set_kernel(&kernel);
    assert_eq!(store.kernel(), kernel);
    // If it cannot be replaced, the old record is removed.
    fs::create_dir(root.path().join("kernel.new")).expect("makes a directory");
    store.set_kernel(&KernelRecord::default());
    assert_eq!(store.kernel(), KernelRecord::default());
    assert!(!root.path().join(KERNEL).exists());
}

#[test]
fn only_root_may_read_the_state_directory() {
    use std::os::unix::fs::MetadataExt;
    let root = tempfile::tempdir().expect("makes a directory");
    let state = root.path().join("state");
    let _store = Directory::open(&state).expect("opens");
    let mode = fs::metadata(&state).expect("is there").mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_state_with_the_field_names_of_earlier_versions_is_read() {
    let (root, store) = store();
    let timer = r#"{"boot":"a","over_at":{"secs":160,"nanos":0},"left":{"secs":60,"nanos":0}}"#;
    let text = format!(
        r#"{{"version":1,"generation":2,"policy":{{"hash":"b","applied":"2026-05-28T20:26:40.000Z","trial":{{
        "back_to":"a","end":{timer}}}}},"lost":false,"sequence":0,"quarantines":[],"unlisted":[]}}"#
    );
    fs::write(root.path().join(STATE), text).expect("writes");
    let state = store.state().expect("reads").expect("is there");
    let policy = state.policy.clone().expect("is there");
    let pending = policy.commit_confirm.expect("is pending");
    assert_eq!(pending.rollback_to.as_deref(), Some("a"));
    // Written again, it has the current names.
    store.set_state(&state).expect("writes");
    let text = fs::read_to_string(root.path().join(STATE)).expect("reads");
    assert!(
        text.contains("commit_confirm") && !text.contains("trial"),
        "{text}"
    );
    assert_eq!(store.state().expect("reads"), Some(state));
}
