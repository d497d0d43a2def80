//! Scans, and what they find.

use std::collections::BTreeMap;
use std::net::IpAddr;

use cordon_lab::{Error, Node, Result, TCP, UDP};

use crate::steps::PATIENCE;

/// What a scan sends, and so what it can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Asks for connections.
    Syn,
    /// Neither asks for one nor belongs to one: only who does not listen answers.
    Silent,
    /// The same, but as if it belonged to one: everybody answers.
    Stray,
    /// As if it belonged to one: tells who is reached, not who listens.
    Ack,
    /// The same, told from the window of the answer.
    Window,
    /// Datagrams.
    Udp,
}

/// A way to scan.
#[derive(Clone, Copy, Debug)]
pub struct Scan {
    /// Arguments of `nmap`.
    pub line: &'static str,
    /// What it sends.
    pub kind: Kind,
    /// The port it comes from, if it is always the same.
    pub source: Option<u16>,
}

/// The state of every port of every host, in nmap's words.
pub type Found = BTreeMap<(IpAddr, u16), String>;

impl Kind {
    /// IP's number of its protocol.
    pub fn protocol(self) -> u8 {
        match self {
            Kind::Udp => UDP,
            _ => TCP,
        }
    }

    /// Whether it begins a flow in a way that nothing that belongs to one does.
    pub fn opens(self) -> bool {
        matches!(self, Kind::Syn)
    }

    /// What it can tell of a port that it reaches or not, where somebody listens or not.
    pub fn tells(self, reached: bool, listening: bool) -> &'static str {
        match (self, reached, listening) {
            (Kind::Syn, false, _) | (Kind::Ack | Kind::Window, false, _) => "filtered",
            (Kind::Silent | Kind::Stray | Kind::Udp, false, _) => "open|filtered",
            (Kind::Syn | Kind::Udp, true, true) => "open",
            (Kind::Silent, true, true) => "open|filtered",
            (Kind::Syn | Kind::Udp | Kind::Silent, true, false) => "closed",
            (Kind::Stray | Kind::Window, true, _) => "closed",
            (Kind::Ack, true, _) => "unfiltered",
        }
    }
}

/// Runs a scan of some ports of some hosts.
///
/// # Errors
/// [`Error::Command`] with what nmap says if it gives up.
pub fn scan(from: &Node, line: &str, ports: &[u16], hosts: &[IpAddr]) -> Result<Found> {
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    let hosts: Vec<String> = hosts.iter().map(IpAddr::to_string).collect();
    // No questions beforehand whether anybody is there. Patient with a busy machine, but not for ever.
    let how = "-n -Pn --initial-rtt-timeout 500ms --max-rtt-timeout 1s --max-retries 2 --min-hostgroup 16 -oX -";
    let mut words = vec!["nmap"];
    words.extend(how.split(' ').chain(line.split(' ')));
    let ports = ports.join(",");
    words.extend(["-p", &ports]);
    words.extend(hosts.iter().map(String::as_str));
    let output = from.exec_within(&words, PATIENCE)?;
    if !output.success() || output.stdout.contains("exit=\"error\"") {
        return Err(Error::Command {
            command: words.join(" "),
            said: output.stdout + &output.stderr,
        });
    }
    Ok(read(&output.stdout))
}

/// Reads nmap's XML. It panics if it is another.
fn read(xml: &str) -> Found {
    let mut found = Found::new();
    for host in xml.split("<host ").skip(1) {
        let ip = between(host, "<address addr=\"")
            .parse()
            .expect("an address");
        for port in host.split("<port ").skip(1) {
            let number = between(port, "portid=\"").parse().expect("a port");
            let state = between(port, "<state state=\"").to_owned();
            found.insert((ip, number), state);
        }
    }
    found
}

/// What stands between this and a quotation mark.
fn between<'a>(text: &'a str, before: &str) -> &'a str {
    let rest = text.split_once(before).map_or("", |(_, rest)| rest);
    rest.split_once('"').map_or(rest, |(inner, _)| inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read() {
        let xml = r#"<nmaprun><host starttime="1"><status state="up"/><address addr="10.25.0.11" addrtype="ipv4"/>
            <ports><port protocol="tcp" portid="22"><state state="filtered" reason="no-response"/></port>
            <port protocol="tcp" portid="80"><state state="open" reason="syn-ack"/></port></ports></host></nmaprun>"#;
        let ip: IpAddr = "10.25.0.11".parse().expect("an address");
        let found = read(xml);
        assert_eq!(found.len(), 2);
        assert_eq!(found[&(ip, 22)], "filtered");
        assert_eq!(found[&(ip, 80)], "open");
    }
}
