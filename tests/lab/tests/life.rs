//! Labs come up, stand side by side, and leave nothing behind.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use cordon_lab::{Error, Lab, Plan, Result};

/// What there is of a lab.
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
    // One that only waits to be reaped is not.
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

/// Another process with a lab, killed in time.
struct Other(Child);

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn manchester_comes_up_and_goes() -> Result<()> {
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

    // Behind the router everything is reachable, whatever the gateway does.
    let rockville = lab.host("rockville")?;
    assert!(rockville.reaches(&lab.host("pacs")?)?);
    assert!(rockville.reaches(&lab.host("internet")?)?);
    assert!(lab.host("dns")?.reaches(&lab.host("ntp")?)?);
    // And nothing is across it.
    assert!(!lab.host("ct-1")?.reaches(&lab.host("pacs")?)?);

    let sleeper = lab.host("ct-1")?.spawn(&["sleep", "600"])?;
    let pid = sleeper.pid();
    sleeper.leave();
    assert!(is_alive(pid));
    drop(lab);
    assert_eq!(traces(&name), [""; 0]);
    assert!(!is_alive(pid), "what ran in it has ended");
    Ok(())
}

#[test]
fn a_panic_leaves_nothing() {
    let name = Mutex::new(String::new());
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let lab = Lab::raise(common::small()).expect("comes up");
        lab.name()
            .clone_into(&mut name.lock().expect("is not poisoned"));
        let sleeper = lab.host("ct-1").and_then(|ct| ct.spawn(&["sleep", "600"]));
        sleeper.expect("starts").leave();
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
fn a_killed_process_leaves_what_the_next_lab_sweeps() -> Result<()> {
    const ROLE: &str = "CORDON_LAB_TEST_TELLS_ITS_NAME_TO";
    if let Some(file) = std::env::var_os(ROLE) {
        let lab = Lab::raise(common::small())?;
        std::fs::write(file, lab.name()).expect("writes");
        std::thread::sleep(Duration::from_secs(600));
        return Ok(());
    }
    let this = std::env::current_exe().expect("has a path");
    let file = std::env::temp_dir().join(format!("cordon-lab-{}", std::process::id()));
    let child = Command::new(this)
        .args([
            "--exact",
            "a_killed_process_leaves_what_the_next_lab_sweeps",
        ])
        .env(ROLE, &file)
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
    // It is somebody's: nobody sweeps it.
    cordon_lab::sweep()?;
    assert!(!traces(&name).is_empty());

    drop(other);
    std::fs::remove_file(&file).expect("removes");
    assert!(!traces(&name).is_empty(), "nobody could clean up");
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

    // By name it goes as well.
    let kept = Lab::raise(common::small())?.keep()?;
    cordon_lab::remove(&kept.name)?;
    assert_eq!(traces(&kept.name), [""; 0]);
    Ok(())
}

#[test]
fn two_labs_do_not_see_each_other() -> Result<()> {
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
fn a_plan_that_makes_no_lab_is_refused() {
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
fn what_is_not_there_is_said_with_what_is() -> Result<()> {
    let lab = Lab::raise(common::small())?;
    let error = lab.host("ct-9").map(|host| host.name().to_owned());
    let said = error.expect_err("is not there").to_string();
    assert_eq!(
        said,
        "there is no host named ct-9; there is: ct-1, ct-2, monitor-1, pacs"
    );
    Ok(())
}
