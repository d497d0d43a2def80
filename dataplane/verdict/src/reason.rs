//! Drop reasons: one list for counters, events, API and command line.

/// Declares [`Reason`] and the functions that must cover all of it.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $number:literal, $name:literal;)+) => {
        /// Why a frame was dropped. Numbers are part of the ABI: never reused, never renumbered.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Reason { $($(#[doc = $doc])+ $variant = $number,)+ }

        impl Reason {
            /// Every reason, in order of number.
            pub const ALL: &'static [Reason] = &[$(Reason::$variant,)+];

            /// The name used in metrics, events, API and command line.
            pub const fn name(self) -> &'static str {
                match self { $(Reason::$variant => $name,)+ }
            }

            /// One sentence of help text.
            pub const fn help(self) -> &'static str {
                match self { $(Reason::$variant => concat!($($doc),+),)+ }
            }

            /// The reason with this number, if there is one.
            pub const fn from_number(number: u8) -> Option<Reason> {
                match number { $($number => Some(Reason::$variant),)+ _ => None }
            }
        }
    };
}

reasons! {
    /// No policy is in force yet, so no frame is forwarded.
    NoPolicy = 1, "no-policy";
    /// The frame came in on an interface that is not a port of this gateway.
    UnknownPort = 2, "unknown-port";
    /// The frame is too short for its headers.
    Truncated = 3, "truncated";
    /// The source MAC address is a group address, all zeroes, or the gateway's own.
    SourceMac = 4, "source-mac";
    /// A link-control frame (STP, LACP, LLDP, EAPOL, PTP) of a protocol that the port does not let pass.
    LinkControl = 5, "link-control";
    /// More than two VLAN tags, a service tag alone or after another tag, or VLAN 0 in one of two tags.
    VlanStack = 6, "vlan-stack";
    /// The port does not carry this VLAN: no segment is attached there.
    UnknownAttachment = 7, "unknown-attachment";
    /// An EtherType other than IPv4, IPv6 and ARP that the segment does not list.
    EtherType = 8, "ether-type";
    /// The IP header contradicts itself or the frame.
    IpHeader = 9, "ip-header";
    /// IPv4 options other than router alert and padding.
    IpOptions = 10, "ip-options";
    /// A fragment without its first, out of order, overlapping, or too late.
    Fragment = 11, "fragment";
    /// Too many IPv6 extension headers, or one other than hop-by-hop options, destination options and fragment.
    Ipv6Extension = 12, "ipv6-extension";
    /// An IP protocol other than TCP, UDP, SCTP, ICMP and IGMP.
    IpProtocol = 13, "ip-protocol";
    /// The TCP, UDP, SCTP or ICMP header contradicts itself or the packet.
    TransportHeader = 14, "transport-header";
    /// An ICMP or ICMPv6 message that is not allowed: a redirect, or one that is neither echo, error nor discovery.
    IcmpType = 15, "icmp-type";
    /// An address that cannot be a source or a destination on the wire.
    Martian = 16, "martian";
    /// The source MAC address is not that of a listed device of this segment.
    UnknownDevice = 17, "unknown-device";
    /// The sender uses an IP address that is not bound to it, or the destination's IP and MAC address do not belong
    /// together.
    AddressBinding = 18, "address-binding";
    /// A device's own MAC or IP address arrived from the uplink.
    DeviceOnUplink = 19, "device-on-uplink";
    /// A group MAC address with a single host's IP address, or the reverse.
    GroupMismatch = 20, "group-mismatch";
    /// A malformed ARP packet, or one whose sender is not the frame's source.
    Arp = 21, "arp";
    /// A malformed neighbour discovery packet, or one that claims another host's address.
    NeighbourDiscovery = 22, "neighbour-discovery";
    /// A router advertisement from a port that faces devices.
    RaGuard = 23, "ra-guard";
    /// A host on a device-facing port uses the MAC address of a station behind the uplink.
    StationMove = 24, "station-move";
    /// An echo reply without an echo request.
    Unsolicited = 25, "unsolicited";
    /// No rule allows it.
    NoRule = 26, "no-rule";
    /// A rule denies it.
    Rule = 27, "rule";
    /// A rule would allow it, but not at the posture in force.
    Posture = 28, "posture";
    /// User space only: the table of half-open flows has no room. The kernel evicts.
    FlowTableFull = 29, "flow-table-full";
    /// The destination is at the attachment where the frame came in.
    SameAttachment = 30, "same-attachment";
    /// The frame could not be given the VLAN tag of its egress.
    Retag = 31, "retag";
    /// An ICMP error about a packet that did not pass here, or from another attachment than the one where that packet
    /// left.
    IcmpError = 32, "icmp-error";
    /// A malformed IGMP or MLD message, or a query from a port that faces devices.
    Membership = 33, "membership";
    /// A TCP reset without a known flow, or with a sequence number outside the window: forged, or very late.
    TcpSequence = 34, "tcp-sequence";
    /// The host opens flows faster than it may, or has as many as it may.
    FlowLimit = 35, "flow-limit";
    /// A DHCP server's answer from a device that is not a DHCP server.
    DhcpGuard = 36, "dhcp-guard";
    /// The device is at another port or VLAN than the one it is bound to.
    PortBinding = 37, "port-binding";
    /// More broadcast and multicast frames than the port or the host may send.
    Storm = 38, "storm";
    /// Too many new unlisted hosts at the port at once: a MAC flood.
    StationLimit = 39, "station-limit";
    /// Too many copies of broadcast and multicast in a segment with many attachments, caused by one port or host.
    FloodLimit = 40, "flood-limit";
}
