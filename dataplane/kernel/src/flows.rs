//! The flow table as user space sees it: reading it, and sweeping out what is idle.

use std::os::fd::AsFd;

use aya::maps::IterableMap as _;
use aya::programs::{TestRun, TestRunOptions};
use cordon_verdict::Ip;
use cordon_verdict::abi::{Flow, FlowKey4, FlowKey6, RETIRE_KEY, Station};

use crate::barrier;
use crate::batch;
use crate::error::Error;
use crate::program::Dataplane;
use crate::raw::{Raw, bytes, record};

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
    /// What is kept of it.
    pub flow: Flow,
}

impl FlowEntry {
    /// Whether both ends have been heard.
    pub fn answered(&self) -> bool {
        self.flow.way.iter().all(|way| way.from != 0)
    }

    /// Whether it is a TCP connection that was closed or reset.
    pub fn closed(&self) -> bool {
        let both = Flow::FIN | Flow::FIN << 1;
        self.flow.state & Flow::RST != 0 || self.flow.state & both == both
    }
}

/// After how many ticks without a packet a flow is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idle {
    /// TCP, both ends heard: HL7 sessions are silent for hours.
    pub tcp: u32,
    /// UDP and ICMP, both ends heard.
    pub datagram: u32,
    /// Only one end heard.
    pub unanswered: u32,
    /// TCP, closed or reset.
    pub closed: u32,
}

impl Default for Idle {
    /// A day and a half; five minutes; one minute; ten seconds.
    fn default() -> Idle {
        Idle {
            tcp: 120_000,
            datagram: 280,
            unanswered: 60,
            closed: 10,
        }
    }
}

impl Idle {
    fn is_over(&self, entry: &FlowEntry, now: u32) -> bool {
        let limit = match entry.protocol {
            6 if entry.closed() => self.closed,
            _ if !entry.answered() => self.unanswered,
            6 => self.tcp,
            _ => self.datagram,
        };
        now.saturating_sub(entry.flow.seen) > limit
    }
}

/// What a sweep found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Flows both ends of which were heard, still there.
    pub open: u64,
    /// Flows only one end of which was heard, still there.
    pub half_open: u64,
    /// Flows forgotten.
    pub forgotten: u64,
}

impl Dataplane {
    /// Calls `each` with every flow.
    ///
    /// # Errors
    /// [`Error::Batch`].
    pub fn flows(&self, mut each: impl FnMut(FlowEntry)) -> Result<(), Error> {
        let wrong = |name| move |source| Error::Batch { name, source };
        let flow = size_of::<Flow>();
        batch::lookup_all(
            self.maps.flows4.map().fd().as_fd(),
            size_of::<FlowKey4>(),
            flow,
            |key, value| {
                if let (Some(key), Some(flow)) = (record(key), record(value)) {
                    each(entry4(&key, flow));
                }
            },
        )
        .map_err(wrong("FLOWS4"))?;
        batch::lookup_all(
            self.maps.flows6.map().fd().as_fd(),
            size_of::<FlowKey6>(),
            flow,
            |key, value| {
                if let (Some(key), Some(flow)) = (record(key), record(value)) {
                    each(entry6(&key, flow));
                }
            },
        )
        .map_err(wrong("FLOWS6"))
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

    /// Forgets flows that are idle at `now`, in ticks.
    ///
    /// # Errors
    /// [`Error::Batch`], [`Error::Barrier`].
    pub fn sweep(&mut self, now: u32, idle: &Idle) -> Result<Swept, Error> {
        let mut swept = Swept::default();
        let mut over = Vec::new();
        self.flows(|entry| {
            if idle.is_over(&entry, now) {
                over.push(entry);
            } else if entry.answered() {
                swept.open += 1;
            } else {
                swept.half_open += 1;
            }
        })?;
        if over.is_empty() {
            return Ok(swept);
        }
        // In two steps: an element of a kernel hash table is given to another flow as soon as it is deleted, while
        // a packet may still be reading it. So first take away its ruling, which makes every packet judge
        // for itself; then wait until all have; then delete.
        over.retain(|entry| self.retire(entry));
        barrier::wait()?;
        for entry in &over {
            if self.still_retired(entry) && self.delete(entry) {
                swept.forgotten += 1;
            }
        }
        Ok(swept)
    }

    fn retire(&mut self, entry: &FlowEntry) -> bool {
        let mut frame = match entry.keys() {
            Keys::V4(key) => [bytes(&[4u64]), bytes(&[key])].concat(),
            Keys::V6(key) => [bytes(&[6u64]), bytes(&[key])].concat(),
        };
        debug_assert!(frame.len() > RETIRE_KEY);
        // No shorter than the kernel takes.
        frame.resize(64, 0);
        let options = TestRunOptions {
            data_in: Some(&frame),
            ..TestRunOptions::new()
        };
        self.retire.test_run(options).is_ok()
    }

    /// A packet in between has brought it back to life.
    fn still_retired(&self, entry: &FlowEntry) -> bool {
        let flow = match entry.keys() {
            Keys::V4(key) => self.maps.flows4.get(&Raw(key), 0),
            Keys::V6(key) => self.maps.flows6.get(&Raw(key), 0),
        };
        matches!(flow, Ok(Raw(flow)) if flow.judged == 0)
    }

    fn delete(&mut self, entry: &FlowEntry) -> bool {
        match entry.keys() {
            Keys::V4(key) => self.maps.flows4.remove(&Raw(key)).is_ok(),
            Keys::V6(key) => self.maps.flows6.remove(&Raw(key)).is_ok(),
        }
    }
}

enum Keys {
    V4(FlowKey4),
    V6(FlowKey6),
}

impl FlowEntry {
    fn keys(&self) -> Keys {
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
            Keys::V4(FlowKey4 {
                address,
                port,
                segment,
                protocol,
                asker,
            })
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

fn entry4(key: &FlowKey4, flow: Flow) -> FlowEntry {
    let FlowKey4 {
        address,
        port,
        segment,
        protocol,
        asker,
    } = *key;
    FlowEntry {
        address: address.map(Ip::v4),
        port,
        segment,
        protocol,
        asker,
        flow,
    }
}

fn entry6(key: &FlowKey6, flow: Flow) -> FlowEntry {
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
        flow,
    }
}
