//! The steps of the scenario.

use super::frames::{
    CENTRAL, CT, GATEWAY, MONITOR, PACS, RECORDS, ROUTER, STATION, arp, carried, tcp, udp6,
};

const ACCESS: u16 = 0;
const CORE: u16 = 1;

pub const NORMAL: u8 = 0;
const CONTAIN: u8 = 2;
const SEVER: u8 = 5;

/// A frame and its expected outcome.
pub struct Step {
    pub what: &'static str,
    /// The posture from this step on.
    pub posture: u8,
    pub port: u16,
    pub frame: Vec<u8>,
    /// How its outcome begins, as text.
    pub expected: &'static str,
}

/// Frames of single-tagged VLANs, at several postures.
pub fn basic() -> Vec<Step> {
    let opening = tcp(CT, ROUTER.with_ip_of(PACS), (40_000, 104), "syn");
    let answer = tcp(ROUTER.with_ip_of(PACS), CT, (104, 40_000), "syn ack");
    let continuing = tcp(CT, ROUTER.with_ip_of(PACS), (40_000, 104), "ack");
    let reading = tcp(STATION, ROUTER.with_ip_of(RECORDS), (50_000, 443), "syn");
    let read_answer = tcp(
        ROUTER.with_ip_of(RECORDS),
        STATION,
        (443, 50_000),
        "syn ack",
    );
    let reading_continued = tcp(STATION, ROUTER.with_ip_of(RECORDS), (50_000, 443), "ack");
    let other_service = tcp(CT, ROUTER.with_ip_of(PACS), (40_001, 22), "syn");
    let unlisted = tcp(
        CT.with_mac_of(STATION),
        ROUTER.with_ip_of(PACS),
        (40_000, 104),
        "syn",
    );
    let spoofed = tcp(
        CT.with_ip_of(STATION),
        ROUTER.with_ip_of(PACS),
        (40_000, 104),
        "syn",
    );
    let step = |posture, what, port, frame: &[u8], expected| Step {
        what,
        posture,
        port,
        frame: frame.to_vec(),
        expected,
    };
    vec![
        step(
            NORMAL,
            "the CT sends an ARP request",
            ACCESS,
            &arp(CT, ROUTER),
            "flooded",
        ),
        step(
            NORMAL,
            "the CT opens a connection",
            ACCESS,
            &opening,
            "flooded",
        ),
        step(
            NORMAL,
            "the archive answers",
            CORE,
            &answer,
            "forwarded by eth1",
        ),
        step(
            NORMAL,
            "the CT continues",
            ACCESS,
            &continuing,
            "forwarded by eth2",
        ),
        step(
            NORMAL,
            "a workstation opens a connection",
            ACCESS,
            &reading,
            "flooded",
        ),
        step(
            NORMAL,
            "the records server answers",
            CORE,
            &read_answer,
            "forwarded by eth1",
        ),
        step(
            NORMAL,
            "the workstation continues",
            ACCESS,
            &reading_continued,
            "forwarded by eth2",
        ),
        step(
            NORMAL,
            "the CT tries a service without a rule",
            ACCESS,
            &other_service,
            "dropped, no-rule",
        ),
        step(
            NORMAL,
            "a device sends in the segment of another device",
            ACCESS,
            &unlisted,
            "dropped, unknown-device",
        ),
        step(
            NORMAL,
            "the CT uses the address of another device",
            ACCESS,
            &spoofed,
            "dropped, address-binding",
        ),
        step(
            NORMAL,
            "the CT's MAC address appears at the uplink",
            CORE,
            &opening,
            "dropped, device-on-uplink",
        ),
        step(
            NORMAL,
            "the CT tries IPv6",
            ACCESS,
            &udp6(CT, ROUTER),
            "dropped, address-binding",
        ),
        step(
            NORMAL,
            "a truncated frame",
            ACCESS,
            &opening[..30],
            "dropped, truncated",
        ),
        step(
            CONTAIN,
            "contain: the CT continues",
            ACCESS,
            &continuing,
            "forwarded by eth2",
        ),
        step(
            CONTAIN,
            "contain: the workstation's packet is dropped",
            ACCESS,
            &reading_continued,
            "dropped, posture",
        ),
        step(
            CONTAIN,
            "contain: its server's packet is dropped",
            CORE,
            &read_answer,
            "dropped, posture",
        ),
        step(
            SEVER,
            "sever: the CT's packet is dropped",
            ACCESS,
            &continuing,
            "dropped, posture",
        ),
        step(
            NORMAL,
            "released: the workstation continues",
            ACCESS,
            &reading_continued,
            "forwarded by eth2",
        ),
    ]
}

/// Two stitched VLANs, the proxy for their devices, and two tags at the core.
pub fn stitched() -> Vec<Step> {
    let step = |what, port, frame: Vec<u8>, expected| Step {
        what,
        posture: NORMAL,
        port,
        frame,
        expected,
    };
    let by_gateway = |host| GATEWAY.with_ip_of(host);
    let server = ROUTER.with_ip_of(RECORDS);
    let read_answer = tcp(server, CENTRAL.in_vlan(220), (443, 50_000), "syn ack");
    vec![
        step(
            "a monitor sends an ARP request for a central station in another VLAN",
            ACCESS,
            arp(MONITOR, CENTRAL.in_vlan(221)),
            "forwarded by eth1",
        ),
        step(
            "it sends an ARP request for the router",
            ACCESS,
            arp(MONITOR, ROUTER),
            "flooded",
        ),
        step(
            "it opens a connection to a station that is not learned yet",
            ACCESS,
            tcp(MONITOR, by_gateway(CENTRAL), (40_000, 2575), "syn"),
            "flooded",
        ),
        step(
            "the central station answers",
            ACCESS,
            tcp(CENTRAL, by_gateway(MONITOR), (2575, 40_000), "syn ack"),
            "forwarded by eth1",
        ),
        step(
            "the monitor continues",
            ACCESS,
            tcp(MONITOR, by_gateway(CENTRAL), (40_000, 2575), "ack"),
            "forwarded by eth1",
        ),
        step(
            "it tries a service without a rule",
            ACCESS,
            tcp(MONITOR, by_gateway(CENTRAL), (40_001, 22), "syn"),
            "dropped, no-rule",
        ),
        step(
            "the central station opens a connection by the carrier's VLAN",
            ACCESS,
            tcp(CENTRAL, server, (50_000, 443), "syn"),
            "flooded",
        ),
        step(
            "the server answers",
            CORE,
            carried(read_answer.clone(), 100),
            "forwarded by eth1",
        ),
        step(
            "the central station continues",
            ACCESS,
            tcp(CENTRAL, server, (50_000, 443), "ack"),
            "forwarded by eth2",
        ),
        step(
            "the server answers in another VLAN of the carrier",
            CORE,
            carried(read_answer, 101),
            "dropped, unknown-attachment",
        ),
    ]
}
