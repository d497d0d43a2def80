//! Port scans with nmap.

use std::time::Duration;

use anyhow::Result;
use cordon_lab::{Host, Process};

use crate::hospital::Hospital;

/// The ports that scans try.
pub const PORTS: &str = "22,104,443,445,3389";
/// Time limit of a scan.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Starts a scan of a few hosts and ports.
pub fn scan(from: &Host, targets: &[String]) -> Result<Process> {
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

/// The addresses of hosts.
pub fn addresses(hospital: &Hospital, names: &[&str]) -> Result<Vec<String>> {
    let addresses = names
        .iter()
        .map(|name| Ok(hospital.host(name)?.ip().to_string()));
    addresses.collect()
}

/// Number of ports by the state that scans reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub open: usize,
    pub closed: usize,
    pub filtered: usize,
}

impl Found {
    /// Waits for a scan, and adds its ports.
    pub fn add(&mut self, mut scan: Process) -> Result<()> {
        self.add_output(&scan.wait(TIMEOUT)?.stdout);
        Ok(())
    }

    /// Adds the ports of an output of `nmap -oG`.
    fn add_output(&mut self, output: &str) {
        for line in output.lines() {
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

    /// Ports that answered: a closed port shows that the host can be reached.
    pub fn answered(&self) -> usize {
        self.open + self.closed
    }

    /// All ports that were scanned.
    pub fn probed(&self) -> usize {
        self.answered() + self.filtered
    }
}

/// The same scan where no gateway is in the path: within a VLAN, and within the data centre.
pub fn control(hospital: &Hospital) -> Result<Found> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_nmap_is_counted() {
        let mut found = Found::default();
        found.add_output(
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
