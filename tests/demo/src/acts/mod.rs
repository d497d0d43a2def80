//! The acts of the story, in order.

pub mod arrival;
pub mod care;
pub mod intruders;
pub mod quarantine;
pub mod release;
mod traffic;

use std::io;

use anyhow::Result;

use crate::tell::Tell;
use crate::{Story, dicom, records};

/// What is going to happen.
pub fn opening(tell: &Tell) -> io::Result<()> {
    tell.title("Cordon: a hospital is attacked, and care goes on")?;
    tell.say(
        "Manchester Memorial is built on this machine out of network namespaces: scanners, monitors, pumps, \
         workstations, a real VLAN switch, and one Cordon gateway between them and the rest of the world. \
         Real programs talk. Every figure below is measured in this run, by listening on both sides of the gateway.",
    )
}

/// Leaves the hospital up, and says what to try.
pub fn keep(story: Story) -> Result<()> {
    let Story { tell, hospital, .. } = story;
    let gateway = hospital.lab().gateway();
    let cordon = gateway.cordon_command()?.get_program().to_owned();
    let folder = std::path::Path::new(&cordon)
        .parent()
        .map(|path| path.display().to_string());
    let socket = gateway.socket().display().to_string();
    let host = |name: &str| hospital.host(name);
    let within =
        |name: &str| Ok::<_, anyhow::Error>(format!("ip netns exec {}", host(name)?.namespace()));
    let study = hospital.files().join("study-1").display().to_string();
    let (archive, records_at) = (host("pacs")?.ip(), host("records")?.ip());
    let station = host("station-2")?.ip();
    let lines = [
        (
            "the command line, in any shell",
            format!(
                "export CORDON_SOCKET={socket} PATH={}:$PATH",
                folder.unwrap_or_default()
            ),
        ),
        (
            "what the gateway says of itself",
            "cordon status".to_owned(),
        ),
        (
            "drops as they happen (leave it running in another shell)",
            "cordon watch --drops".to_owned(),
        ),
        (
            "the CT sends a study to the archive",
            format!(
                "{} storescu -xe -R -v {archive} {} {study}/*.dcm",
                within("ct-1")?,
                dicom::PORT
            ),
        ),
        (
            "a workstation reads a chart",
            format!("{} {}", within("station-1")?, records::command(&hospital)?),
        ),
        (
            "an intruder scans from the guest VLAN",
            format!(
                "{} nmap -Pn -n -p 22,104,443,445 {station} {records_at} {archive}",
                within("guest")?
            ),
        ),
        (
            "cut the site off; then try the three above again",
            "cordon quarantine site --reason drill".to_owned(),
        ),
        (
            "why a workstation cannot read charts now",
            format!("cordon explain station-1 {records_at} https"),
        ),
        (
            "open it again",
            "cordon release site --reason 'the drill is over'".to_owned(),
        ),
        (
            "frames with their VLAN tags, between gateway and core",
            format!(
                "ip netns exec {} tcpdump -eni gw-core",
                hospital.lab().switch().namespace()
            ),
        ),
    ];
    let name = hospital.lab().name().to_owned();
    let remove = hospital.keep()?;
    tell.act("The hospital stays up")?;
    tell.say(&format!("It is called {name}. As root, try:"))?;
    for (what, command) in lines.into_iter().chain([("remove the hospital", remove)]) {
        tell.gap()?;
        tell.example(what, &command)?;
    }
    Ok(())
}
