//! The hospital comes up; nothing passes; a policy is applied.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use cordon_lab::{Host, Wire};

use crate::counting::status;
use crate::tell::{count, number, span};
use crate::wire::{entered, left};
use crate::{Story, dicom};

/// Plays it.
pub fn play(story: &mut Story, raised: Duration) -> Result<()> {
    let Story {
        tell,
        ledger,
        hospital,
        ..
    } = story;
    let lab = hospital.lab();
    tell.act("1. A gateway without a policy lets nothing pass")?;
    let devices: Vec<Host> = lab
        .hosts()
        .into_iter()
        .filter(|host| host.vlan().is_some())
        .collect();
    let vlans: BTreeSet<u16> = devices.iter().filter_map(Host::vlan).collect();
    tell.fact(
        "Manchester Memorial",
        format!(
            "{} devices in {} VLANs: imaging, monitors, infusion, workstations, guests; up in {}",
            devices.len(),
            vlans.len(),
            span(raised)
        ),
    )?;
    tell.fact(
        "behind its core router",
        "image archive, records, interface engine, clock; Rockville General; the internet",
    )?;
    let gateway = lab.gateway();
    gateway.start()?;
    let version = status(hospital)?.version;
    tell.fact(
        "the gateway between them",
        format!("cordond {version}, two trunk ports: eth1 to the devices, eth2 to the core"),
    )?;

    tell.gap()?;
    let taps = [lab.tap(Wire::Access)?, lab.tap(Wire::Core)?];
    let archive = hospital.host("pacs")?;
    let (answered, echoed) = everyone_calls(&devices, &archive)?;
    // Until those who got no answer have given up asking for addresses.
    std::thread::sleep(Duration::from_millis(400));
    let [access, core] = taps;
    let (access, core) = (access.stop()?, core.stop()?);
    let arrived = (entered(&access).len() + entered(&core).len()) as u64;
    let passed = (left(&access).len() + left(&core).len()) as u64;
    ledger.headline(
        tell,
        answered == 0 && !echoed && passed == 0 && arrived > 0,
        "no policy: nothing passes",
        format!(
            "{} devices called the archive, none got through; {} reached the gateway, {} left it",
            devices.len(),
            count(arrived, "frame"),
            number(passed)
        ),
    )?;

    tell.gap()?;
    tell.command("cordon apply control/policy/examples/manchester-memorial")?;
    let policy = lab.gateway().policy().display().to_string();
    let applied = hospital.must(&["apply", &policy])?;
    tell.quote(&applied.text)?;
    let native = ["eth1", "eth2"].iter().try_fold(true, |native, nic| {
        let link = gateway.node().exec(&["ip", "link", "show", nic])?;
        // `xdpgeneric` would be the kernel's slow path.
        Ok::<_, cordon_lab::Error>(native && link.stdout.contains("prog/xdp id"))
    })?;
    ledger.promise(
        tell,
        native,
        "the policy is in the kernel",
        "XDP programs in driver mode on both ports, says `ip link`",
    )?;
    let (echoed, took) = dicom::echo(&hospital.host("ct-1")?, &archive)?;
    ledger.promise(
        tell,
        echoed,
        "now the CT reaches the archive",
        format!("DICOM C-ECHO answered within {}", span(took)),
    )?;
    Ok(())
}

/// How many devices have a ping answered, and whether the CT has a DICOM echo answered.
fn everyone_calls(devices: &[Host], archive: &Host) -> Result<(usize, bool)> {
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
