//! Transport payloads of generated frames, and the arguments with which hping3 sends the same.

/// A payload; its number is the one in `../programs/src/transport.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Payload {
    /// UDP datagrams.
    Udp = 0,
    /// TCP SYNs.
    Syn = 1,
    /// ICMP echo requests.
    Icmp = 2,
    /// UDP datagrams in eight fragments each.
    Fragments = 3,
    /// TCP SYNs, each from another source address.
    RandomSources = 4,
}

impl Payload {
    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Payload::Syn => "syn",
            Payload::Udp => "udp",
            Payload::Icmp => "icmp",
            Payload::Fragments => "fragments",
            Payload::RandomSources => "random-sources",
        }
    }

    /// hping3's arguments for the frames that the kernel generates. The policy allows these connections and datagrams,
    /// and no echo requests.
    pub fn hping3_arguments(self) -> &'static [&'static str] {
        match self {
            Payload::Syn => &["-y", "-S", "-p", "443"],
            Payload::Udp => &["-y", "--udp", "-p", "24107", "-d", "18"],
            Payload::Icmp => &["-y", "--icmp", "-d", "18"],
            Payload::Fragments => &["--udp", "-p", "24107", "-d", "184", "--frag", "--mtu", "24"],
            Payload::RandomSources => &["-y", "-S", "-p", "443", "--rand-source"],
        }
    }
}
