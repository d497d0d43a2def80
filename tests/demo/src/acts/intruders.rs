//! Act 3: intruders in the guest VLAN, on an infusion pump, and at a wall socket.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use cordon_lab::{CapturedFrame, Device, Host, Mac, Process, Wire};
use cordon_protocol::Event;

use super::scan::{Found, PORTS, addresses, control, scan};
use crate::Story;
use crate::counters::Drops;
use crate::drop_watch::DropWatch;
use crate::hospital::Hospital;
use crate::narrator::{count, number};
use crate::wire::{entered, left};

/// Time limit to list a file share. A share that can be reached takes milliseconds.
const SHARE: Duration = Duration::from_secs(2);
/// The drop reasons that intruders cause.
const REASONS: [&str; 3] = ["no-rule", "address-binding", "unknown-device"];

/// Plays the act.
pub fn play(story: &mut Story) -> Result<()> {
    let Story {
        narrator,
        checks,
        hospital,
        ..
    } = story;
    let lab = hospital.lab();
    let host = |name: &str| hospital.host(name);
    narrator.act("3. Intruders")?;
    narrator.say(
        "A laptop in the guest VLAN, malware on infusion pump 1, and a second laptop at the wall socket of the CT room \
         scan for open ports and try to open file shares, as ransomware does.",
    )?;
    let (guest, pump) = (host("guest")?, host("pump-1")?);
    let laptop = lab.plug_in(Device {
        name: "laptop".to_owned(),
        mac: Mac([0x02, 0x00, 0x5e, 0x21, 0x00, 0x66]),
        vlan: 210,
        addresses: vec!["10.21.0.66/24".parse().context("an address")?],
    })?;
    let guest_targets = addresses(
        hospital,
        &["ct-1", "monitor-1", "station-2", "pacs", "records"],
    )?;
    let pump_targets = addresses(
        hospital,
        &["ct-1", "station-2", "pacs", "records", "rockville"],
    )?;
    let laptop_targets = addresses(hospital, &["pacs", "records"])?;
    let ct_address = host("ct-1")?.ip().to_string();
    let [station, share, archive] = ["station-2", "records", "pacs"].map(host);
    let (station, share, archive) = (station?.ip(), share?.ip(), archive?.ip().to_string());

    let watches = DropWatch::both(hospital, || {
        guest.connects(host("station-2")?.at(445), Duration::from_millis(50))?;
        Ok(())
    })?;
    // The retransmissions of the provoked drops must end before counting starts.
    std::thread::sleep(Duration::from_millis(300));
    let (already_printed, before) = (watches[1].lines().len(), Drops::now(hospital)?);
    let intruder = {
        let macs = [guest.mac(), pump.mac(), laptop.mac()];
        move |frame: &CapturedFrame| macs.contains(&frame.source)
    };
    let access = lab.tap_only(Wire::Access, intruder)?;
    let core = lab.tap_only(Wire::Core, intruder)?;

    narrator.gap()?;
    let nmap = format!("nmap -Pn -n -p {PORTS}");
    narrator.command_on("guest", &format!("{nmap} {}", guest_targets.join(" ")))?;
    narrator.command_on("guest", &format!("smbclient -N -L //{station}"))?;
    narrator.command_on(
        "guest",
        &format!("hping3 -S -p 104 -a {ct_address} {archive}      # with the CT's address"),
    )?;
    narrator.command_on("pump-1", &format!("{nmap} {}", pump_targets.join(" ")))?;
    narrator.command_on("pump-1", &format!("smbclient -N -L //{share}"))?;
    narrator.command_on("laptop", &format!("{nmap} {}", laptop_targets.join(" ")))?;
    narrator.progress("scanning")?;
    let scans = [
        scan(&guest, &guest_targets)?,
        scan(&pump, &pump_targets)?,
        scan(&laptop, &laptop_targets)?,
    ];
    let shares = [open_share(&guest, station)?, open_share(&pump, share)?];
    let spoof = [
        "hping3", "-S", "-q", "-c", "3", "-i", "u100000", "-p", "104",
    ];
    let spoof = [&spoof[..], &["-a", &ct_address, &archive]].concat();
    guest.exec(&spoof)?;
    let mut found = Found::default();
    for scan in scans {
        found.add(scan)?;
    }
    let mut opened = 0;
    for mut share in shares {
        // A client that is still trying has opened nothing. It is killed at the end of the act.
        let ended = share.wait(SHARE);
        opened += usize::from(ended.is_ok_and(|output| output.success()));
    }
    std::thread::sleep(Duration::from_millis(300));
    let (access, core) = (access.stop()?, core.stop()?);
    let dropped = Drops::now(hospital)?.since(&before);
    let events = watches[1].events()?.split_off(already_printed);
    let [table, _] = watches;
    let lines = table.lines();
    drop(table);

    narrator.gap()?;
    checks.key_check(
        narrator,
        found.answered() == 0 && found.filtered > 0 && opened == 0,
        "intruders find no open port",
        format!(
            "{} of {} scanned ports answered; {opened} of 2 file shares could be opened",
            found.answered(),
            found.probed()
        ),
    )?;
    let control = control(hospital)?;
    checks.check(
        narrator,
        control.open >= 5,
        "the same scan without a gateway",
        format!(
            "finds {} open ports within a VLAN and in the data centre",
            control.open
        ),
    )?;
    // For the laptop, ARP requests count as well.
    let attack = |frame: &&CapturedFrame| frame.ips.is_some() || frame.source == laptop.mac();
    let attacks = entered(&access).iter().filter(attack).count() as u64;
    let leaked = left(&core).iter().filter(attack).count();
    let counted: u64 = REASONS.iter().map(|reason| dropped.of(reason)).sum();
    checks.check(
        narrator,
        leaked == 0 && attacks > 0 && counted == attacks,
        "no packet of theirs passes",
        format!(
            "{} reached the gateway, {leaked} left it; its counters show {} drops",
            count(attacks, "packet"),
            number(counted)
        ),
    )?;
    let named = named(&events, hospital)?;
    let guest_name = format!("guest {}", guest.ip());
    let expected = [
        (guest_name.as_str(), "no-rule"),
        (guest_name.as_str(), "address-binding"),
        ("pump-1", "no-rule"),
        ("laptop", "unknown-device"),
    ];
    let missing = expected
        .iter()
        .filter(|(sender, reason)| !named.contains_key(&((*sender).to_owned(), *reason)));
    let missing: Vec<String> = missing
        .map(|(sender, reason)| format!("{sender}: {reason}"))
        .collect();
    let by_reason = REASONS.map(|reason| format!("{} {reason}", number(dropped.of(reason))));
    checks.key_check(
        narrator,
        missing.is_empty(),
        "the gateway reports sender and reason",
        match missing.is_empty() {
            true => format!("drops by reason: {}", by_reason.join(", ")),
            false => format!("not reported: {}", missing.join(", ")),
        },
    )?;
    for ((sender, reason), targets) in &named {
        let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
        narrator.fact(sender, format!("{reason}: to {}", targets.join(", ")))?;
    }
    narrator.gap()?;
    narrator.command("cordon watch --drops")?;
    narrator.output(&examples(&lines).join("\n"))?;
    Ok(())
}

/// Starts to list the file shares of a server.
fn open_share(from: &Host, at: IpAddr) -> Result<Process> {
    Ok(from.spawn(&["smbclient", "-N", "-L", &format!("//{at}")])?)
}

type Named = BTreeMap<(String, &'static str), BTreeSet<String>>;

/// The destinations of dropped packets, by sender and reason.
fn named(events: &[Event], hospital: &Hospital) -> Result<Named> {
    let guest = hospital.host("guest")?;
    let laptop = hospital.host("laptop")?.mac().to_string();
    let hosts = hospital.lab().hosts().into_iter();
    let known = hosts.map(|host| (host.ip().to_string(), host.name().to_owned()));
    let known: BTreeMap<String, String> = known.collect();
    let mut named = Named::new();
    for event in events {
        let Some(reason) = REASONS
            .iter()
            .find(|reason| event.reason.as_deref() == Some(reason))
        else {
            continue;
        };
        let sender = match &event.device {
            Some(device) => device.clone(),
            None if event.source_mac == laptop => "laptop".to_owned(),
            None if event.source_mac == guest.mac().to_string() => format!("guest {}", guest.ip()),
            None => event.source_mac.clone(),
        };
        let to = match &event.to {
            Some(end) => match known.get(&end.ip) {
                Some(name) => name.clone(),
                None => end.ip.clone(),
            },
            None => "all hosts (ARP)".to_owned(),
        };
        named.entry((sender, *reason)).or_default().insert(to);
    }
    Ok(named)
}

/// One printed line for each kind of drop.
fn examples(printed: &[String]) -> Vec<String> {
    let of = |words: &[&str]| {
        let mut lines = printed.iter();
        lines
            .find(|line| words.iter().all(|word| line.contains(word)))
            .cloned()
    };
    let kinds: [&[&str]; 4] = [
        &["10.29.0.66", "no-rule"],
        &["pump-1", "no-rule"],
        &["address-binding"],
        &["unknown-device"],
    ];
    kinds.into_iter().filter_map(of).collect()
}
