//! Counts and errors of flows.

use std::fmt;
use std::net::SocketAddr;

use crate::probe::Probe;

/// The results of a set of flows.
#[derive(Clone, Debug)]
pub struct Report {
    /// The flows, by index.
    pub flows: Vec<Flow>,
    /// Datagrams that a full receive buffer dropped. They count as lost, but the lab lost them, not the gateway.
    pub overflowed: u64,
}

/// The result of one flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The client's address and port; none if its socket was never bound.
    pub local: Option<SocketAddr>,
    /// Messages sent by the client.
    pub sent: u64,
    /// Messages that arrived at the server.
    pub arrived: u64,
    /// Messages that came back to the client.
    pub echoed: u64,
    /// Repeated messages, at either end.
    pub duplicated: u64,
    /// Send time of the latest message that arrived, in nanoseconds since the epoch.
    pub newest: Option<u64>,
    /// TCP segments that either end retransmitted; known when the flow has ended.
    pub retransmitted: u64,
    /// Why the flow ended early, or why a message could not be sent.
    pub error: Option<String>,
}

impl Report {
    /// Messages sent.
    pub fn sent(&self) -> u64 {
        self.sum(|flow| flow.sent)
    }

    /// Messages that arrived.
    pub fn arrived(&self) -> u64 {
        self.sum(|flow| flow.arrived)
    }

    /// Messages that came back.
    pub fn echoed(&self) -> u64 {
        self.sum(|flow| flow.echoed)
    }

    /// Messages that did not arrive.
    pub fn lost(&self) -> u64 {
        self.sum(|flow| flow.sent - flow.arrived)
    }

    /// Messages that did not come back.
    pub fn unanswered(&self) -> u64 {
        self.sum(|flow| flow.sent - flow.echoed)
    }

    /// Repeated messages.
    pub fn duplicated(&self) -> u64 {
        self.sum(|flow| flow.duplicated)
    }

    /// Retransmitted TCP segments.
    pub fn retransmitted(&self) -> u64 {
        self.sum(|flow| flow.retransmitted)
    }

    /// Send time of the latest message that arrived, in nanoseconds since the epoch.
    pub fn newest(&self) -> Option<u64> {
        self.flows.iter().filter_map(|flow| flow.newest).max()
    }

    /// Flows with an error.
    pub fn failed(&self) -> impl Iterator<Item = &Flow> {
        self.flows.iter().filter(|flow| flow.error.is_some())
    }

    fn sum(&self, of: impl Fn(&Flow) -> u64) -> u64 {
        self.flows.iter().map(of).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} flows: {} sent, {} arrived, {} echoed, {} duplicated, {} retransmitted, {} overflowed, {} failed",
            self.flows.len(),
            self.sent(),
            self.arrived(),
            self.echoed(),
            self.duplicated(),
            self.retransmitted(),
            self.overflowed,
            self.failed().count()
        )
    }
}

/// Counts of a running flow.
#[derive(Default)]
pub struct Tally {
    pub local: Option<SocketAddr>,
    pub sent: u64,
    pub retransmitted: u64,
    pub error: Option<String>,
    arrived: Numbers,
    echoed: Numbers,
    newest: Option<u64>,
}

impl Tally {
    /// Records a message that arrived at the server.
    pub fn arrived(&mut self, probe: Probe) {
        self.arrived.add(probe.number);
        self.newest = self.newest.max(Some(probe.sent));
    }

    /// Records a message that came back to the client.
    pub fn echoed(&mut self, probe: Probe) {
        self.echoed.add(probe.number);
    }

    pub fn report(&self) -> Flow {
        Flow {
            local: self.local,
            sent: self.sent,
            arrived: self.arrived.distinct,
            echoed: self.echoed.distinct,
            duplicated: self.arrived.repeated + self.echoed.repeated,
            newest: self.newest,
            retransmitted: self.retransmitted,
            error: self.error.clone(),
        }
    }
}

/// Sequence numbers from 0, each of which should be added once.
#[derive(Default)]
struct Numbers {
    bits: Vec<u64>,
    distinct: u64,
    repeated: u64,
}

impl Numbers {
    fn add(&mut self, number: u64) {
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        if self.bits[word] & bit == 0 {
            self.bits[word] |= bit;
            self.distinct += 1;
        } else {
            self.repeated += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_and_duplicated_messages_are_counted() {
        let mut tally = Tally {
            sent: 200,
            ..Tally::default()
        };
        let probe = |number| Probe {
            flow: 0,
            number,
            sent: 1000 + number,
        };
        for number in (0..200).filter(|number| number % 10 != 3) {
            tally.arrived(probe(number));
        }
        for number in [150, 151, 150] {
            tally.echoed(probe(number));
        }
        tally.arrived(probe(7));
        let flow = tally.report();
        assert_eq!((flow.arrived, flow.echoed, flow.duplicated), (180, 2, 2));
        assert_eq!(flow.newest, Some(1199));
        let report = Report {
            flows: vec![flow.clone(), flow],
            overflowed: 0,
        };
        assert_eq!((report.lost(), report.unanswered()), (40, 396));
    }
}
