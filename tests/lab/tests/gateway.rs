//! The real daemon and the real command line in a lab.

use std::time::Duration;

use cordon_lab::{Error, Flows, Lab, Result};

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn the_daemon_is_started_killed_and_comes_back() -> Result<()> {
    let lab = Lab::manchester()?;
    let gateway = lab.gateway();
    assert!(gateway.kill().is_err(), "it does not run");
    gateway.start_with_policy()?;
    assert!(gateway.start().is_err(), "it runs already");
    let (ct, pacs) = (lab.host("ct-1")?, lab.host("pacs")?);
    let guest = lab.host("guest")?;

    let images = Flows::tcp(&ct, &pacs, 104).count(20).start()?;
    images.established(PATIENCE)?;
    assert!(!guest.connects(pacs.at(104), Duration::from_secs(1))?);

    let before = gateway.pid()?;
    gateway.kill()?;
    assert!(gateway.pid().is_err());
    assert!(gateway.get("/v1/status").is_err(), "nobody answers");
    std::thread::sleep(Duration::from_millis(200));
    gateway.start()?;
    assert_ne!(gateway.pid()?, before);
    let report = images.stop()?;
    assert_eq!(report.lost(), 0, "{report}");
    assert_eq!(report.troubled().count(), 0, "{report}");
    // What the gateway drops for a reason is no loss of the lab's.
    assert!(lab.losses()?.is_none(), "{:?}", lab.losses()?);

    let status = gateway.json(&["status"])?;
    assert_eq!(status["site"], "manchester-memorial", "{status}");
    assert!(gateway.metrics()?.contains("\ncordon_"), "has metrics");
    let refused = gateway.must(&["explain", "nobody", "pacs", "dicom"]);
    assert!(matches!(refused, Err(Error::Command { .. })), "{refused:?}");
    gateway.stop()
}

#[test]
fn a_daemon_that_does_not_start_is_quoted() -> Result<()> {
    let lab = Lab::manchester()?;
    lab.gateway().configure("sockett = 1\n")?;
    let said = match lab.gateway().start() {
        Err(Error::Ended { log, .. }) => log,
        other => panic!("{other:?}"),
    };
    assert!(said.contains("sockett"), "{said}");
    Ok(())
}
