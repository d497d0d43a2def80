//! The real daemon and the real command line in a lab.

use std::time::Duration;

use cordon_lab::{Error, Flows, Lab, Result};

const TIMEOUT: Duration = Duration::from_secs(20);

#[test]
fn flows_survive_a_crash_and_restart_of_the_daemon() -> Result<()> {
    let lab = Lab::manchester()?;
    let gateway = lab.gateway();
    assert!(gateway.kill().is_err(), "it is not running");
    gateway.start_with_policy()?;
    assert!(gateway.start().is_err(), "it is already running");
    let (ct, pacs) = (lab.host("ct-1")?, lab.host("pacs")?);
    let guest = lab.host("guest")?;

    let images = Flows::tcp(&ct, &pacs, 104).count(20).start()?;
    images.established(TIMEOUT)?;
    assert!(!guest.connects(pacs.at(104), Duration::from_secs(1))?);

    let before = gateway.pid()?;
    gateway.kill()?;
    assert!(gateway.pid().is_err());
    assert!(gateway.get("/v1/status").is_err(), "there is no answer");
    std::thread::sleep(Duration::from_millis(200));
    gateway.start()?;
    assert_ne!(gateway.pid()?, before);
    let report = images.stop()?;
    assert_eq!(report.lost(), 0, "{report}");
    assert_eq!(report.failed().count(), 0, "{report}");
    // Drops by the gateway are no losses of the lab.
    assert!(lab.losses()?.is_none(), "{:?}", lab.losses()?);

    let status = gateway.json(&["status"])?;
    assert_eq!(status["site"], "manchester-memorial", "{status}");
    assert!(gateway.metrics()?.contains("\ncordon_"), "has metrics");
    let refused = gateway.must(&["explain", "unknown", "pacs", "dicom"]);
    assert!(matches!(refused, Err(Error::Command { .. })), "{refused:?}");
    gateway.stop()
}

#[test]
fn the_error_of_a_failed_start_contains_the_daemons_output() -> Result<()> {
    let lab = Lab::manchester()?;
    lab.gateway().configure("sockett = 1\n")?;
    let output = match lab.gateway().start() {
        Err(Error::Ended { log, .. }) => log,
        other => panic!("{other:?}"),
    };
    assert!(output.contains("sockett"), "{output}");
    Ok(())
}
