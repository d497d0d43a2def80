//! Act 1: without a policy the gateway drops everything; then a policy is applied.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use cordon_lab::{Host, Wire};

use crate::counters::status;
use crate::narrator::{count, number, span};
use crate::wire::{entered, left};
use crate::{Story, dicom};

/// Plays the act.
pub fn play(story: &mut Story, raised: Duration) -> Result<()> {
    let Story {
        narrator,
        checks,
        hospital,
        ..
    } = story;
    let lab = hospital.lab();
    narrator.act("1. Without a policy the gateway drops every frame")?;
    let devices: Vec<Host> = lab
        .hosts()
        .into_iter()
        .filter(|host| host.vlan().is_some())
        .collect();
    let vlans: BTreeSet<u16> = devices.iter().filter_map(Host::vlan).collect();
    narrator.fact(
        "Manchester Memorial",
        format!(
            "{} devices in {} VLANs: imaging, monitors, infusion, workstations, guests; started in {}",
            devices.len(),
            vlans.len(),
            span(raised)
        ),
    )?;
    narrator.fact(
        "connected by the core router",
        "image archive, records, interface engine, time server; Rockville General; the internet",
    )?;
    let gateway = lab.gateway();
    gateway.start()?;
    let version = status(hospital)?.version;
    narrator.fact(
        "the gateway between them",
        format!("cordond {version} with two trunk ports: eth1 to the devices, eth2 to the core"),
    )?;

    narrator.gap()?;
    let taps = [lab.tap(Wire::Access)?, lab.tap(Wire::Core)?];
    let archive = hospital.host("pacs")?;
    let (answered, echoed) = call_archive(&devices, &archive)?;
    // Hosts without an answer still retry address resolution for a moment.
    std::thread::sleep(Duration::from_millis(400));
    let [access, core] = taps;
    let (access, core) = (access.stop()?, core.stop()?);
    let arrived = (entered(&access).len() + entered(&core).len()) as u64;
    let passed = (left(&access).len() + left(&core).len()) as u64;
    checks.key_check(
        narrator,
        answered == 0 && !echoed && passed == 0 && arrived > 0,
        "no policy: no frame passes",
        format!(
            "{} devices tried to reach the archive, none did; {} entered the gateway, {} left it",
            devices.len(),
            count(arrived, "frame"),
            number(passed)
        ),
    )?;

    narrator.gap()?;
    narrator.command("cordon apply control/policy/examples/manchester-memorial")?;
    let policy = lab.gateway().policy().display().to_string();
    let applied = hospital.must(&["apply", &policy])?;
    narrator.output(&applied.text)?;
    let native = ["eth1", "eth2"].iter().try_fold(true, |native, nic| {
        let link = gateway.node().exec(&["ip", "link", "show", nic])?;
        // `xdpgeneric` would be the slow generic mode.
        Ok::<_, cordon_lab::Error>(native && link.stdout.contains("prog/xdp id"))
    })?;
    checks.check(
        narrator,
        native,
        "the policy is in the kernel",
        "`ip link` shows XDP programs in driver mode on both ports",
    )?;
    let (echoed, took) = dicom::echo(&hospital.host("ct-1")?, &archive)?;
    checks.check(
        narrator,
        echoed,
        "now the CT reaches the archive",
        format!("DICOM C-ECHO answered within {}", span(took)),
    )?;
    Ok(())
}

/// Number of devices whose ping is answered, and whether the CT's DICOM echo is answered.
fn call_archive(devices: &[Host], archive: &Host) -> Result<(usize, bool)> {
    std::thread::scope(|scope| {
        let pings: Vec<_> = devices
            .iter()
            .map(|device| scope.spawn(|| device.ping(archive.ip(), 1)))
            .collect();
        let ct = devices.iter().find(|device| device.name() == "ct-1");
        let echo = ct.map(|ct| scope.spawn(|| dicom::echo(ct, archive)));
        let mut answered = 0;
        for ping in pings {
            answered += usize::from(ping.join().expect("does not panic")? > 0);
        }
        let echoed = match echo {
            Some(echo) => echo.join().expect("does not panic")?.0,
            None => false,
        };
        Ok((answered, echoed))
    })
}
