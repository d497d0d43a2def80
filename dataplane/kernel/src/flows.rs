//! The flow tables as user space sees them.

use std::os::fd::{AsFd, BorrowedFd};

use aya::maps::IterableMap as _;
use cordon_verdict::Ip;
use cordon_verdict::abi::{Flow, FlowKey4, FlowKey6, Station};

use crate::batch;
use crate::error::Error;
use crate::program::Dataplane;
use crate::raw::{Record, record};
use crate::table::Place;

/// A flow, of either family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowEntry {
    /// Addresses of the two ends.
    pub address: [Ip; 2],
    /// Ports of the two ends; ICMP: the identifier.
    pub port: [u16; 2],
    /// The segment.
    pub segment: u16,
    /// IP protocol.
    pub protocol: u8,
    /// For ICMP echo, 1 if the second end asks.
    pub asker: u8,
    /// Whether only one end has been heard, or, of TCP, the handshake is not over.
    pub half_open: bool,
    /// What is kept of it.
    pub flow: Flow,
}

impl FlowEntry {
    /// Whether both ends have been heard.
    pub fn answered(&self) -> bool {
        !self.half_open
    }

    /// Whether it is a question to a group: there is nobody at the other end.
    pub(crate) fn asks_group(&self) -> bool {
        self.half_open && self.address.iter().any(|ip| ip.is_unspecified())
    }

    /// For how many ticks of [`Control::tick`](cordon_verdict::abi::Control::tick) it has been idle at `now`.
    pub fn idle(&self, now: u16) -> u16 {
        now.wrapping_sub(self.flow.seen)
    }

    /// Whether it is a TCP connection that was closed or reset.
    pub fn closed(&self) -> bool {
        let both = Flow::FIN | Flow::FIN << 1;
        self.flow.state & Flow::RST != 0 || self.flow.state & both == both
    }

    /// Whether it is a TCP connection that one end, and only one, has said to be done with.
    pub fn half_closed(&self) -> bool {
        let both = Flow::FIN | Flow::FIN << 1;
        !self.closed() && self.flow.state & both != 0
    }

    /// The port that it was opened to.
    pub fn server_port(&self) -> u16 {
        // The first end speaks in direction 0.
        self.port[usize::from(self.flow.initiator & 1 ^ 1)]
    }

    /// The epoch that it was judged under; 0 if it is to be judged again.
    pub fn epoch(&self) -> u32 {
        (self.flow.judged >> 32) as u32
    }

    /// Bytes seen in a direction of the flow, 0 or 1, rounded up frame by frame; starts again behind 64 GiB.
    pub fn bytes(&self, direction: usize) -> u64 {
        let volume = self.flow.volume.get(direction).copied().unwrap_or(0);
        u64::from(volume) * Flow::VOLUME as u64
    }
}

impl Dataplane {
    /// Calls `each` with every flow.
    ///
    /// # Errors
    /// [`Error::Batch`].
    pub fn flows(&self, mut each: impl FnMut(FlowEntry)) -> Result<(), Error> {
        self.entries(|entry| {
            if !entry.asks_group() {
                each(entry);
            }
        })
    }

    /// The same, with questions to groups, which are kept beside flows but are none.
    pub(crate) fn entries(&self, mut each: impl FnMut(FlowEntry)) -> Result<(), Error> {
        self.established(|_, entry| each(entry));
        self.half_open(each)
    }

    /// Calls `each` with every established flow, and where it is.
    pub(crate) fn established(&self, mut each: impl FnMut(At, FlowEntry)) {
        self.maps.flows4.each(|place, words, flow| {
            each(
                At::V4(place),
                entry4(&FlowKey4::from_words(words), flow, false),
            );
        });
        self.maps.flows6.each(|place, words, flow| {
            each(
                At::V6(place),
                entry6(&FlowKey6::from_words(words), flow, false),
            );
        });
    }

    /// Calls `each` with every half-open flow, and every question to a group.
    pub(crate) fn half_open(&self, mut each: impl FnMut(FlowEntry)) -> Result<(), Error> {
        let maps = &self.maps;
        read(maps.half4.map().fd().as_fd(), "HALF4", |key, flow| {
            each(entry4(&key, flow, true));
        })?;
        read(maps.half6.map().fd().as_fd(), "HALF6", |key, flow| {
            each(entry6(&key, flow, true));
        })
    }

    /// Calls `each` with every station: its `abi::member` key, and where it is.
    ///
    /// # Errors
    /// [`Error::Batch`].
    pub fn stations(&self, mut each: impl FnMut(u64, Station)) -> Result<(), Error> {
        let map = self.maps.stations.map().fd().as_fd();
        batch::lookup_all(map, size_of::<u64>(), size_of::<Station>(), |key, value| {
            if let (Some(key), Some(station)) = (record(key), record(value)) {
                each(key, station);
            }
        })
        .map_err(|source| Error::Batch {
            name: "STATIONS",
            source,
        })
    }
}

fn read<K: Record>(
    map: BorrowedFd<'_>,
    name: &'static str,
    mut each: impl FnMut(K, Flow),
) -> Result<(), Error> {
    batch::lookup_all(map, size_of::<K>(), size_of::<Flow>(), |key, value| {
        if let (Some(key), Some(flow)) = (record(key), record(value)) {
            each(key, flow);
        }
    })
    .map_err(|source| Error::Batch { name, source })
}

/// Where an established flow is.
#[derive(Clone, Copy)]
pub(crate) enum At {
    V4(Place),
    V6(Place),
}

/// A flow's key.
pub(crate) enum Keys {
    V4(FlowKey4),
    V6(FlowKey6),
}

impl FlowEntry {
    pub(crate) fn keys(&self) -> Keys {
        let FlowEntry {
            address,
            port,
            segment,
            protocol,
            asker,
            ..
        } = *self;
        if address[0].is_v4() {
            let address = address.map(Ip::low32);
            Keys::V4(FlowKey4::new(address, port, segment, protocol, asker))
        } else {
            Keys::V6(FlowKey6 {
                address,
                port,
                segment,
                protocol,
                asker,
            })
        }
    }
}

fn entry4(key: &FlowKey4, flow: Flow, half_open: bool) -> FlowEntry {
    FlowEntry {
        address: key.address.map(Ip::v4),
        port: key.port(),
        segment: key.segment(),
        protocol: key.protocol(),
        asker: key.asker(),
        half_open,
        flow,
    }
}

fn entry6(key: &FlowKey6, flow: Flow, half_open: bool) -> FlowEntry {
    let FlowKey6 {
        address,
        port,
        segment,
        protocol,
        asker,
    } = *key;
    FlowEntry {
        address,
        port,
        segment,
        protocol,
        asker,
        half_open,
        flow,
    }
}
