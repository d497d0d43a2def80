//! Labs can be raised beside each other, and are removed completely.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use cordon_lab::{Error, Lab, Plan, Result};

/// Namespaces, directories and mounts of a lab.
fn traces(lab: &str) -> Vec<String> {
    let mut traces = Vec::new();
    for directory in ["/run/netns", "/run/cordon-lab"] {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        traces.extend(names.filter(|name| *name == lab || name.starts_with(&format!("{lab}-"))));
    }
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("reads");
    traces.extend(
        mounts
            .lines()
            .filter(|line| line.contains(&format!("{lab}/")))
            .map(str::to_owned),
    );
    traces
}

fn is_alive(pid: u32) -> bool {
    // A zombie has ended.
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

/// Another process with a lab. Killed on drop.
struct Other(Child);

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn manchester_is_raised_and_removed() -> Result<()> {
    let start = Instant::now();
    let lab = Lab::manchester()?;
    let took = start.elapsed();
    assert!(took < Duration::from_secs(10), "took {took:?}");
    let name = lab.name().to_owned();
    let hosts = lab.hosts().len();
    assert_eq!(hosts, 18);
    assert_eq!(
        traces(&name)
            .iter()
            .filter(|trace| trace.starts_with(&format!("{name}-")))
            .count(),
        hosts + 3,
        "a namespace for each, the switch, the router and the gateway"
    );

    // Remote hosts reach each other through the router alone.
    let rockville = lab.host("rockville")?;
    assert!(rockville.reaches(&lab.host("pacs")?)?);
    assert!(rockville.reaches(&lab.host("internet")?)?);
    assert!(lab.host("dns")?.reaches(&lab.host("ntp")?)?);
    // The gateway is not started: no device reaches a remote host.
    assert!(!lab.host("ct-1")?.reaches(&lab.host("pacs")?)?);

    let sleeper = lab.host("ct-1")?.spawn(&["sleep", "600"])?;
    let pid = sleeper.pid();
    sleeper.detach();
    assert!(is_alive(pid));
    drop(lab);
    assert_eq!(traces(&name), [""; 0]);
    assert!(!is_alive(pid), "its processes have ended");
    Ok(())
}

#[test]
fn a_panic_removes_the_lab() {
    let name = Mutex::new(String::new());
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let lab = Lab::raise(common::small()).expect("comes up");
        lab.name()
            .clone_into(&mut name.lock().expect("is not poisoned"));
        let sleeper = lab.host("ct-1").and_then(|ct| ct.spawn(&["sleep", "600"]));
        sleeper.expect("starts").detach();
        assert!(!traces(lab.name()).is_empty());
        std::panic::resume_unwind(Box::new("on purpose"));
    }));
    assert!(outcome.is_err());
    let name = name.into_inner().expect("is not poisoned");
    assert!(!name.is_empty());
    assert_eq!(traces(&name), [""; 0]);
}

/// Runs this test again in a process that is killed while its lab is up.
#[test]
fn the_next_lab_removes_that_of_a_killed_process() -> Result<()> {
    const NAME_FILE: &str = "CORDON_LAB_TEST_NAME_FILE";
    if let Some(file) = std::env::var_os(NAME_FILE) {
        let lab = Lab::raise(common::small())?;
        std::fs::write(file, lab.name()).expect("writes");
        std::thread::sleep(Duration::from_secs(600));
        return Ok(());
    }
    let this = std::env::current_exe().expect("has a path");
    let file = std::env::temp_dir().join(format!("cordon-lab-{}", std::process::id()));
    let child = Command::new(this)
        .args(["--exact", "the_next_lab_removes_that_of_a_killed_process"])
        .env(NAME_FILE, &file)
        .stdout(Stdio::null())
        .spawn()
        .expect("starts");
    let other = Other(child);
    let start = Instant::now();
    let name = loop {
        let name = std::fs::read_to_string(&file).unwrap_or_default();
        if !name.is_empty() {
            break name;
        }
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "the other lab is not up"
        );
        std::thread::sleep(Duration::from_millis(10));
    };
    // Its process still runs: it is not removed.
    cordon_lab::sweep()?;
    assert!(!traces(&name).is_empty());

    drop(other);
    std::fs::remove_file(&file).expect("removes");
    assert!(
        !traces(&name).is_empty(),
        "the killed process removed nothing"
    );
    let next = Lab::raise(common::small())?;
    assert_eq!(traces(&name), [""; 0]);
    assert!(!traces(next.name()).is_empty());
    Ok(())
}

#[test]
fn a_kept_lab_stays_until_it_is_removed() -> Result<()> {
    let lab = Lab::raise(common::small())?;
    let (router, pacs) = (lab.router().clone(), lab.host("pacs")?);
    let kept = lab.keep()?;
    cordon_lab::sweep()?;
    assert!(cordon_lab::kept().contains(&kept.name));
    assert_eq!(router.ping(pacs.ip(), 3)?, 3);

    let (down, _) = kept.commands.last().expect("says how to remove it");
    assert!(Path::new(down.trim_start_matches("sh ")).exists(), "{down}");
    let status = Command::new("sh").arg("-c").arg(down).status();
    assert!(status.expect("runs").success());
    assert_eq!(traces(&kept.name), [""; 0]);

    // It can also be removed by name.
    let kept = Lab::raise(common::small())?.keep()?;
    cordon_lab::remove(&kept.name)?;
    assert_eq!(traces(&kept.name), [""; 0]);
    Ok(())
}

#[test]
fn two_labs_are_isolated_from_each_other() -> Result<()> {
    let (one, other) = std::thread::scope(|scope| {
        let other = scope.spawn(|| Lab::raise(common::small()));
        let one = Lab::raise(common::small());
        (one, other.join().expect("does not panic"))
    });
    let (one, other) = (one?, other?);
    assert_ne!(one.name(), other.name());
    for lab in [&one, &other] {
        assert!(lab.host("ct-1")?.reaches(&lab.host("ct-2")?)?);
    }
    let tap = other.host("ct-2")?.tap()?;
    assert!(one.host("ct-1")?.reaches(&one.host("ct-2")?)?);
    assert_eq!(tap.stop()?.len(), 0);
    drop(one);
    assert!(other.host("ct-1")?.reaches(&other.host("ct-2")?)?);
    Ok(())
}

#[test]
fn an_invalid_plan_is_refused() {
    let raise = |change: fn(&mut Plan)| {
        let mut plan = common::small();
        change(&mut plan);
        Lab::raise(plan).map(|lab| lab.name().to_owned())
    };
    let taken = raise(|plan| plan.devices[1].name = "ct-1".to_owned());
    assert!(matches!(taken, Err(Error::Name { .. })), "{taken:?}");
    let long = raise(|plan| plan.devices[1].name = "a-name-that-is-too-long".to_owned());
    assert!(matches!(long, Err(Error::Name { .. })), "{long:?}");
    let nowhere = raise(|plan| plan.devices[1].vlan = 999);
    assert!(matches!(nowhere, Err(Error::Plan(_))), "{nowhere:?}");
}

#[test]
fn the_error_for_an_unknown_host_lists_the_known_ones() -> Result<()> {
    let lab = Lab::raise(common::small())?;
    let error = lab.host("ct-9").map(|host| host.name().to_owned());
    let message = error.expect_err("is not there").to_string();
    assert_eq!(
        message,
        "there is no host named ct-9; known: ct-1, ct-2, monitor-1, pacs"
    );
    Ok(())
}
