//! Intruders: in the guest VLAN, on an infusion pump, and at a wall socket.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use cordon_lab::{Device, Host, Mac, Process, Seen, Wire};
use cordon_protocol::Event;

use crate::Story;
use crate::counting::Drops;
use crate::hospital::Hospital;
use crate::tell::{count, number};
use crate::watching::Watching;
use crate::wire::{entered, left};

const PORTS: &str = "22,104,443,445,3389";
/// How long a scan may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a file share may take to open; one that can be reached takes milliseconds.
const SHARE: Duration = Duration::from_secs(2);
/// Reasons for which an intruder is stopped.
const REASONS: [&str; 3] = ["no-rule", "address-binding", "unknown-device"];

/// Plays it.
pub fn play(story: &mut Story) -> Result<()> {
    let Story {
        tell,
        ledger,
        hospital,
        ..
    } = story;
    let lab = hospital.lab();
    let host = |name: &str| hospital.host(name);
    tell.act("3. Intruders")?;
    tell.say(
        "A laptop in the guest VLAN, a malicious program on infusion pump 1, and a second laptop at the wall socket of \
         the CT room scan for open ports and try file shares, the way that ransomware spreads.",
    )?;
    let (guest, pump) = (host("guest")?, host("pump-1")?);
    let laptop = lab.plug_in(Device {
        name: "laptop".to_owned(),
        mac: Mac([0x02, 0x00, 0x5e, 0x21, 0x00, 0x66]),
        vlan: 210,
        addresses: vec!["10.21.0.66/24".parse().context("an address")?],
    })?;
    let seen_by_guest = addresses(
        hospital,
        &["ct-1", "monitor-1", "station-2", "pacs", "records"],
    )?;
    let seen_by_pump = addresses(
        hospital,
        &["ct-1", "station-2", "pacs", "records", "rockville"],
    )?;
    let seen_by_laptop = addresses(hospital, &["pacs", "records"])?;
    let stolen = host("ct-1")?.ip().to_string();
    let [station, share, archive] = ["station-2", "records", "pacs"].map(host);
    let (station, share, archive) = (station?.ip(), share?.ip(), archive?.ip().to_string());

    let watching = Watching::both(hospital, || {
        guest.connects(host("station-2")?.at(445), Duration::from_millis(50))?;
        Ok(())
    })?;
    // Whatever the first attempts still send has to be over before counting begins.
    std::thread::sleep(Duration::from_millis(300));
    let (heard, before) = (watching[1].lines().len(), Drops::now(hospital)?);
    let intruder = {
        let macs = [guest.mac(), pump.mac(), laptop.mac()];
        move |seen: &Seen| macs.contains(&seen.source)
    };
    let access = lab.tap_only(Wire::Access, intruder)?;
    let core = lab.tap_only(Wire::Core, intruder)?;

    tell.gap()?;
    let nmap = format!("nmap -Pn -n -p {PORTS}");
    tell.typed("guest", &format!("{nmap} {}", seen_by_guest.join(" ")))?;
    tell.typed("guest", &format!("smbclient -N -L //{station}"))?;
    tell.typed(
        "guest",
        &format!("hping3 -S -p 104 -a {stolen} {archive}      # with the CT's address"),
    )?;
    tell.typed("pump-1", &format!("{nmap} {}", seen_by_pump.join(" ")))?;
    tell.typed("pump-1", &format!("smbclient -N -L //{share}"))?;
    tell.typed("laptop", &format!("{nmap} {}", seen_by_laptop.join(" ")))?;
    tell.doing("scanning")?;
    let scans = [
        scan(&guest, &seen_by_guest)?,
        scan(&pump, &seen_by_pump)?,
        scan(&laptop, &seen_by_laptop)?,
    ];
    let shares = [open_share(&guest, station)?, open_share(&pump, share)?];
    let spoof = [
        "hping3", "-S", "-q", "-c", "3", "-i", "u100000", "-p", "104",
    ];
    let spoof = [&spoof[..], &["-a", &stolen, &archive]].concat();
    guest.exec(&spoof)?;
    let mut found = Found::default();
    for scan in scans {
        found.add(scan)?;
    }
    let mut opened = 0;
    for mut share in shares {
        // One that still tries has opened nothing: it ends with this act.
        let ended = share.wait(SHARE);
        opened += usize::from(ended.is_ok_and(|output| output.success()));
    }
    std::thread::sleep(Duration::from_millis(300));
    let (access, core) = (access.stop()?, core.stop()?);
    let dropped = Drops::now(hospital)?.since(&before);
    let events = watching[1].events()?.split_off(heard);
    let [people, _] = watching;
    let told = people.lines();
    drop(people);

    tell.gap()?;
    ledger.headline(
        tell,
        found.answered() == 0 && found.filtered > 0 && opened == 0,
        "intruders find nothing",
        format!(
            "{} of {} ports that nmap tried answered; {opened} of 2 file shares opened",
            found.answered(),
            found.probed()
        ),
    )?;
    let control = control(hospital)?;
    ledger.promise(
        tell,
        control.open >= 5,
        "though there is something to find",
        format!(
            "where no gateway is in the way, the same scan finds {} open ports",
            control.open
        ),
    )?;
    // Of the laptop, not even requests for an address may pass.
    let attack = |seen: &&Seen| seen.ips.is_some() || seen.source == laptop.mac();
    let attacks = entered(&access).iter().filter(attack).count() as u64;
    let leaked = left(&core).iter().filter(attack).count();
    let counted: u64 = REASONS.iter().map(|reason| dropped.of(reason)).sum();
    ledger.promise(
        tell,
        leaked == 0 && attacks > 0 && counted == attacks,
        "none of their packets gets through",
        format!(
            "{} reached the gateway, {leaked} left it; it says that it dropped {}",
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
        .filter(|(who, reason)| !named.contains_key(&((*who).to_owned(), *reason)));
    let missing: Vec<String> = missing.map(|(who, why)| format!("{who}: {why}")).collect();
    let by_reason = REASONS.map(|reason| format!("{} {reason}", number(dropped.of(reason))));
    ledger.headline(
        tell,
        missing.is_empty(),
        "the gateway names who, and why",
        match missing.is_empty() {
            true => format!("drops by reason: {}", by_reason.join(", ")),
            false => format!("it did not name {}", missing.join(", ")),
        },
    )?;
    for ((who, reason), targets) in &named {
        let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
        tell.fact(who, format!("{reason}: to {}", targets.join(", ")))?;
    }
    tell.gap()?;
    tell.command("cordon watch --drops")?;
    tell.quote(&examples(&told).join("\n"))?;
    Ok(())
}

/// A bounded scan: a few hosts, a few ports.
fn scan(from: &Host, targets: &[String]) -> Result<Process> {
    let mut line = vec!["nmap", "-Pn", "-n", "-T4", "--max-retries", "1"];
    line.extend([
        "--initial-rtt-timeout",
        "200ms",
        "--max-rtt-timeout",
        "400ms",
    ]);
    line.extend(["--host-timeout", "15s", "-oG", "-", "-p", PORTS]);
    line.extend(targets.iter().map(String::as_str));
    Ok(from.spawn(&line)?)
}

fn open_share(from: &Host, at: IpAddr) -> Result<Process> {
    Ok(from.spawn(&["smbclient", "-N", "-L", &format!("//{at}")])?)
}

fn addresses(hospital: &Hospital, names: &[&str]) -> Result<Vec<String>> {
    let addresses = names
        .iter()
        .map(|name| Ok(hospital.host(name)?.ip().to_string()));
    addresses.collect()
}

/// What scans found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Found {
    open: usize,
    closed: usize,
    filtered: usize,
}

impl Found {
    fn add(&mut self, mut scan: Process) -> Result<()> {
        self.read(&scan.wait(PATIENCE)?.stdout);
        Ok(())
    }

    /// Reads what `nmap -oG` writes.
    fn read(&mut self, said: &str) {
        for line in said.lines() {
            let Some((_, ports)) = line.split_once("Ports: ") else {
                continue;
            };
            for port in ports.split(", ") {
                match port.split('/').nth(1) {
                    Some("open") => self.open += 1,
                    Some("closed") => self.closed += 1,
                    Some(_) => self.filtered += 1,
                    None => {}
                }
            }
        }
    }

    /// Closed is an answer too: somebody is there.
    fn answered(&self) -> usize {
        self.open + self.closed
    }

    fn probed(&self) -> usize {
        self.answered() + self.filtered
    }
}

/// The same scan with no gateway in the way: a neighbour in the VLAN, and one in the data centre.
fn control(hospital: &Hospital) -> Result<Found> {
    let mut found = Found::default();
    let neighbour = scan(
        &hospital.host("station-1")?,
        &addresses(hospital, &["station-2"])?,
    )?;
    let within = addresses(hospital, &["pacs", "records"])?;
    let within = scan(&hospital.host("interfaces")?, &within)?;
    found.add(neighbour)?;
    found.add(within)?;
    Ok(found)
}

type Named = BTreeMap<(String, &'static str), BTreeSet<String>>;

/// By who was stopped and why: on the way to whom.
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
        let who = match &event.device {
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
            None => "everyone (ARP)".to_owned(),
        };
        named.entry((who, *reason)).or_default().insert(to);
    }
    Ok(named)
}

/// One line for each kind of drop, as people see them.
fn examples(told: &[String]) -> Vec<String> {
    let of = |words: &[&str]| {
        let mut lines = told.iter();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nmap_writes_is_counted() {
        let mut found = Found::default();
        found.read(
            "# Nmap 7.93 scan\n\
             Host: 10.200.6.10 ()\tStatus: Up\n\
             Host: 10.200.6.10 ()\tPorts: 22/closed/tcp//ssh///, 443/open/tcp//https///, 445/filtered/tcp//microsoft-ds///\n\
             # Nmap done\n",
        );
        let expected = Found {
            open: 1,
            closed: 1,
            filtered: 1,
        };
        assert_eq!(found, expected);
        assert_eq!((found.answered(), found.probed()), (2, 3));
    }
}
