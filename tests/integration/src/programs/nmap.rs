//! Runs nmap scans and reads their results.

use std::collections::BTreeMap;
use std::net::IpAddr;

use cordon_lab::{Error, Node, Result, TCP, UDP};

use crate::steps::PATIENCE;

/// The kind of probe that a scan sends. It decides what the scan can find out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TCP SYN.
    Syn,
    /// Neither SYN nor ACK nor RST (NULL, FIN, Xmas): only a closed port answers.
    NoAck,
    /// FIN and ACK (Maimon): every port answers.
    FinAck,
    /// ACK: finds out whether a port is reachable, not whether it is open.
    Ack,
    /// The same, judged by the window of the answer.
    Window,
    /// UDP datagrams.
    Udp,
}

/// A scan.
#[derive(Clone, Copy, Debug)]
pub struct Scan {
    /// Arguments of `nmap`.
    pub line: &'static str,
    /// The kind of its probes.
    pub kind: Kind,
    /// The source port, if it is fixed.
    pub source: Option<u16>,
}

/// The state of every port of every host, as nmap names it.
pub type Found = BTreeMap<(IpAddr, u16), String>;

impl Kind {
    /// The IP protocol number.
    pub fn protocol(self) -> u8 {
        match self {
            Kind::Udp => UDP,
            _ => TCP,
        }
    }

    /// Whether its probes can only be the first packet of a flow.
    pub fn opens(self) -> bool {
        matches!(self, Kind::Syn)
    }

    /// The state that nmap reports of a port, given whether probes reach the host and whether it listens there.
    pub fn expected_state(self, reached: bool, listening: bool) -> &'static str {
        match (self, reached, listening) {
            (Kind::Syn, false, _) | (Kind::Ack | Kind::Window, false, _) => "filtered",
            (Kind::NoAck | Kind::FinAck | Kind::Udp, false, _) => "open|filtered",
            (Kind::Syn | Kind::Udp, true, true) => "open",
            (Kind::NoAck, true, true) => "open|filtered",
            (Kind::Syn | Kind::Udp | Kind::NoAck, true, false) => "closed",
            (Kind::FinAck | Kind::Window, true, _) => "closed",
            (Kind::Ack, true, _) => "unfiltered",
        }
    }
}

/// Scans ports of hosts.
///
/// # Errors
/// [`Error::Command`] with nmap's output if it fails.
pub fn scan(from: &Node, line: &str, ports: &[u16], hosts: &[IpAddr]) -> Result<Found> {
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    let hosts: Vec<String> = hosts.iter().map(IpAddr::to_string).collect();
    // No host discovery (-Pn). The timeouts allow for a busy machine.
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
            output: output.stdout + &output.stderr,
        });
    }
    Ok(parse(&output.stdout))
}

/// Parses nmap's XML. It panics if it cannot.
fn parse(xml: &str) -> Found {
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

/// The text between `before` and the next quotation mark.
fn between<'a>(text: &'a str, before: &str) -> &'a str {
    let rest = text.split_once(before).map_or("", |(_, rest)| rest);
    rest.split_once('"').map_or(rest, |(inner, _)| inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_report_is_parsed() {
        let xml = r#"<nmaprun><host starttime="1"><status state="up"/><address addr="10.25.0.11" addrtype="ipv4"/>
            <ports><port protocol="tcp" portid="22"><state state="filtered" reason="no-response"/></port>
            <port protocol="tcp" portid="80"><state state="open" reason="syn-ack"/></port></ports></host></nmaprun>"#;
        let ip: IpAddr = "10.25.0.11".parse().expect("an address");
        let found = parse(xml);
        assert_eq!(found.len(), 2);
        assert_eq!(found[&(ip, 22)], "filtered");
        assert_eq!(found[&(ip, 80)], "open");
    }
}
