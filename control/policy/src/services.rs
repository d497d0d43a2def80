//! Services: the built-in catalogue, and `services` of `policy.yaml`.

use std::time::Duration;

use crate::fields::{self, Fields};
use crate::model::{NamedService, Service};
use crate::problem::{Code, Problems};
use crate::protocols;
use crate::yaml::Node;

use Service::{Any, IcmpEcho, Sctp, Tcp, Udp};

const fn tcp(port: u16) -> Service {
    Tcp(port, port)
}

const fn udp(port: u16) -> Service {
    Udp(port, port)
}

/// Limit of `idle`. The data plane can tell the age of a flow for three days.
const IDLE_MOST: Duration = Duration::from_secs(48 * 3600);

/// Services that are common in hospitals, with the default ports of the manufacturers' manuals. A policy replaces an entry
/// by defining a service of that name.
pub const CATALOGUE: &[(&str, &[Service])] = &[
    ("any", &[Any]),
    ("icmp", &[IcmpEcho]),
    // Imaging and records.
    ("dicom", &[tcp(104), tcp(11112)]),
    ("dicom-tls", &[tcp(2762)]),
    ("hl7", &[tcp(2575)]),
    ("hl7-tls", &[tcp(12575)]),
    ("http", &[tcp(80)]),
    ("https", &[tcp(443)]),
    ("fhir", &[tcp(443)]),
    ("dicomweb", &[tcp(443)]),
    ("atna", &[tcp(6514)]),
    // Monitoring and infusion.
    ("intellivue", &[udp(24105)]),
    ("intellivue-announce", &[udp(24005)]),
    ("carescape-time", &[udp(2000)]),
    ("carescape-discovery", &[udp(7000)]),
    ("ws-discovery", &[udp(3702)]),
    ("alaris", &[tcp(3613)]),
    // Nurse call and voice.
    ("sip", &[tcp(5060), udp(5060)]),
    ("sip-tls", &[tcp(5061)]),
    ("nurse-call-rauland", &[tcp(9454)]),
    // Building systems and discovery.
    ("bacnet", &[udp(47808)]),
    ("mdns", &[udp(5353)]),
    // Infrastructure.
    ("dns", &[udp(53), tcp(53)]),
    ("dhcp-server", &[udp(67)]),
    ("dhcp-client", &[udp(68)]),
    ("ntp", &[udp(123)]),
    ("ptp", &[udp(319), udp(320)]),
    ("syslog", &[udp(514)]),
    ("syslog-tls", &[tcp(6514)]),
    ("snmp", &[udp(161)]),
    ("snmp-trap", &[udp(162)]),
    ("ssh", &[tcp(22)]),
    ("rdp", &[tcp(3389), udp(3389)]),
    ("smb", &[tcp(445)]),
    ("ldap", &[tcp(389), udp(389)]),
    ("ldaps", &[tcp(636)]),
    ("kerberos", &[tcp(88), udp(88), tcp(464), udp(464)]),
    ("global-catalog", &[tcp(3268), tcp(3269)]),
    (
        "active-directory",
        &[
            tcp(53),
            udp(53),
            tcp(88),
            udp(88),
            tcp(135),
            tcp(389),
            udp(389),
            tcp(445),
            tcp(464),
            udp(464),
            tcp(636),
            tcp(3268),
            tcp(3269),
            Tcp(49152, 65535),
        ],
    ),
    ("ipp", &[tcp(631)]),
    ("jetdirect", &[tcp(9100)]),
];

/// Parses a service without a name: `any`, `icmp`, `tcp/104`, `udp/5000-5010`, `sctp/2905`, `tcp/any`.
pub(crate) fn inline(word: &str) -> Option<Service> {
    match word {
        "any" => return Some(Any),
        "icmp" => return Some(IcmpEcho),
        _ => {}
    }
    let (protocol, ports) = word.split_once('/')?;
    let (first, last) = range(ports)?;
    let number = protocols::number(protocol)?;
    let mut known = WITH_PORTS.into_iter();
    let (_, make) = known.find(|(protocol, _)| *protocol == number)?;
    Some(make(first, last))
}

fn range(text: &str) -> Option<(u16, u16)> {
    if text == "any" {
        return Some((0, u16::MAX));
    }
    let plain = |part: &str| {
        let digits =
            !part.is_empty() && part.len() <= 5 && part.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| part.parse::<u16>().ok()).flatten()
    };
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (plain(first)?, plain(last)?),
        None => (plain(text)?, plain(text)?),
    };
    (first <= last).then_some((first, last))
}

/// The services of a policy: the catalogue, with the additions and replacements of `services` in `policy.yaml`.
pub(crate) fn read(node: Option<&Node>, problems: &mut Problems) -> Vec<NamedService> {
    let mut services: Vec<NamedService> = CATALOGUE
        .iter()
        .map(|(name, entries)| NamedService {
            name: (*name).to_owned(),
            entries: entries.to_vec(),
            idle: None,
        })
        .collect();
    for (key, node) in fields::entries(node, "`services`", problems) {
        let Some(name) = fields::name(&key.text, key.position, "a service", problems) else {
            continue;
        };
        if name == "any" || name == "icmp" {
            problems
                .add(
                    key.position,
                    Code::Conflict,
                    format!("`{name}` is a built-in service"),
                )
                .hint("give this service another name");
            continue;
        }
        let Some(service) = one(node, name, problems) else {
            continue;
        };
        match services.iter_mut().find(|known| known.name == service.name) {
            Some(known) => *known = service,
            None => services.push(service),
        }
    }
    services
}

/// A protocol with ports: its number, and the service of a range of ports.
type Protocol = (u8, fn(u16, u16) -> Service);

/// The protocols that services can name with ports.
const WITH_PORTS: [Protocol; 3] = [
    (protocols::TCP, Tcp),
    (protocols::UDP, Udp),
    (protocols::SCTP, Sctp),
];

fn one(node: &Node, name: String, problems: &mut Problems) -> Option<NamedService> {
    let mut fields = Fields::of(node, format!("service `{name}`"), problems)?;
    let mut entries = Vec::new();
    let mut good = true;
    for (protocol, make) in WITH_PORTS {
        let name = protocols::name(protocol).unwrap_or_default();
        for port in fields.optional(name).map(fields::list).unwrap_or_default() {
            match fields::text(port, "a port", problems).map(|text| (text, range(text))) {
                Some((_, Some((first, last)))) => entries.push(make(first, last)),
                Some((text, None)) => {
                    good = false;
                    problems
                        .add(
                            port.position,
                            Code::BadValue,
                            format!("`{text}` is not a port"),
                        )
                        .hint("write a port (0 to 65535), a range (`5000-5010`) or `any`");
                }
                None => good = false,
            }
        }
    }
    if let Some(icmp) = fields.optional("icmp")
        && fields::boolean(icmp, "`icmp`", problems) == Some(true)
    {
        entries.push(IcmpEcho);
    }
    let idle = fields
        .optional("idle")
        .and_then(|node| fields::duration(node, "idle time", "idle: 24h", IDLE_MOST, problems));
    fields.finish(problems);
    if entries.is_empty() && good {
        problems
            .add(
                node.position,
                Code::MissingField,
                format!("service `{name}` has no protocol or port"),
            )
            .hint("write `{tcp: [104, 11112]}`, `{udp: 123}` or `{icmp: true}`");
    }
    Some(NamedService {
        name,
        entries,
        idle,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_without_a_name_are_parsed_or_refused() {
        for (word, expected) in [
            ("any", Some(Any)),
            ("icmp", Some(IcmpEcho)),
            ("tcp/104", Some(tcp(104))),
            ("udp/5000-5010", Some(Udp(5000, 5010))),
            ("tcp/any", Some(Tcp(0, 65535))),
            ("tcp/65536", None),
            ("tcp/10-5", None),
            ("tcp/", None),
            ("tcp/+1", None),
            ("sctp/1", Some(Sctp(1, 1))),
            ("dccp/1", None),
            ("tcp", None),
        ] {
            assert_eq!(inline(word), expected, "{word}");
        }
    }

    #[test]
    fn the_catalogue_has_no_duplicate_names() {
        let mut names: Vec<_> = CATALOGUE.iter().map(|(name, _)| name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), CATALOGUE.len());
    }
}
