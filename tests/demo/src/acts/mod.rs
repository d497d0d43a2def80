//! The acts of the demo, in order.

pub mod care;
pub mod intruders;
pub mod quarantine;
pub mod release;
mod scan;
pub mod startup;
mod traffic;

use std::io;

use anyhow::Result;

use crate::narrator::Narrator;
use crate::{Story, dicom, records};

/// Prints the introduction.
pub fn opening(narrator: &Narrator) -> io::Result<()> {
    narrator.title("Cordon: clinical traffic continues while a hospital is attacked")?;
    narrator.say(
        "Manchester Memorial runs on this machine in network namespaces: scanners, monitors, pumps, workstations, a \
         real VLAN switch, and one Cordon gateway between them and the wider network. The programs are real. Every \
         figure below is measured in this run, from frames recorded on both sides of the gateway.",
    )
}

/// Keeps the hospital, and prints commands to try.
pub fn keep(story: Story) -> Result<()> {
    let Story {
        narrator, hospital, ..
    } = story;
    let gateway = hospital.lab().gateway();
    let cordon = gateway.cordon_command()?.get_program().to_owned();
    let directory = std::path::Path::new(&cordon)
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
            "set up the command line in a shell",
            format!(
                "export CORDON_SOCKET={socket} PATH={}:$PATH",
                directory.unwrap_or_default()
            ),
        ),
        ("show the gateway's status", "cordon status".to_owned()),
        (
            "show drops as they happen (leave it running in another shell)",
            "cordon watch --drops".to_owned(),
        ),
        (
            "send a study from the CT to the archive",
            format!(
                "{} storescu -xe -R -v {archive} {} {study}/*.dcm",
                within("ct-1")?,
                dicom::PORT
            ),
        ),
        (
            "read a chart at a workstation",
            format!("{} {}", within("station-1")?, records::command(&hospital)?),
        ),
        (
            "scan from the guest VLAN",
            format!(
                "{} nmap -Pn -n -p 22,104,443,445 {station} {records_at} {archive}",
                within("guest")?
            ),
        ),
        (
            "cut the site off; then try the three commands above again",
            "cordon quarantine site --reason drill".to_owned(),
        ),
        (
            "explain why a workstation cannot read charts now",
            format!("cordon explain station-1 {records_at} https"),
        ),
        (
            "release the site",
            "cordon release site --reason 'the drill is over'".to_owned(),
        ),
        (
            "show frames with their VLAN tags, between gateway and core",
            format!(
                "ip netns exec {} tcpdump -eni gw-core",
                hospital.lab().switch().namespace()
            ),
        ),
    ];
    let name = hospital.lab().name().to_owned();
    let remove = hospital.keep()?;
    narrator.act("The hospital is kept")?;
    narrator.say(&format!("Its name is {name}. Commands to try, as root:"))?;
    for (what, command) in lines.into_iter().chain([("remove the hospital", remove)]) {
        narrator.gap()?;
        narrator.example(what, &command)?;
    }
    Ok(())
}
