//! What came of flows.

use std::fmt;
use std::net::SocketAddr;

use crate::probe::Probe;

/// What came of some flows.
#[derive(Clone, Debug)]
pub struct Report {
    /// Each flow, by its number.
    pub flows: Vec<Flow>,
    /// Datagrams that arrived but found the receiver's buffer full. They count as lost, and it was the lab that lost
    /// them.
    pub overflowed: u64,
}

/// What came of one flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The client's address and port; none if it never had one.
    pub local: Option<SocketAddr>,
    /// Messages sent by the client.
    pub sent: u64,
    /// Of these, how many arrived at the server.
    pub arrived: u64,
    /// Of these, how many came back to the client.
    pub echoed: u64,
    /// Messages that came once more than they should have, at either end.
    pub duplicated: u64,
    /// When the newest of the messages that arrived was sent: nanoseconds since the epoch.
    pub newest: Option<u64>,
    /// TCP segments sent again by either end; known when the flow has ended.
    pub retransmitted: u64,
    /// Why it ended early, or what the system said when a message could not be sent.
    pub trouble: Option<String>,
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

    /// Messages that came too often.
    pub fn duplicated(&self) -> u64 {
        self.sum(|flow| flow.duplicated)
    }

    /// TCP segments sent again.
    pub fn retransmitted(&self) -> u64 {
        self.sum(|flow| flow.retransmitted)
    }

    /// When the newest of the messages that arrived was sent: nanoseconds since the epoch.
    pub fn newest(&self) -> Option<u64> {
        self.flows.iter().filter_map(|flow| flow.newest).max()
    }

    /// Flows that ended early.
    pub fn troubled(&self) -> impl Iterator<Item = &Flow> {
        self.flows.iter().filter(|flow| flow.trouble.is_some())
    }

    fn sum(&self, of: impl Fn(&Flow) -> u64) -> u64 {
        self.flows.iter().map(of).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} flows: {} sent, {} arrived, {} echoed, {} duplicated, {} retransmitted, {} overflowed, {} in trouble",
            self.flows.len(),
            self.sent(),
            self.arrived(),
            self.echoed(),
            self.duplicated(),
            self.retransmitted(),
            self.overflowed,
            self.troubled().count()
        )
    }
}

/// What is counted while a flow runs.
#[derive(Default)]
pub struct Tally {
    pub local: Option<SocketAddr>,
    pub sent: u64,
    pub retransmitted: u64,
    pub trouble: Option<String>,
    arrived: Numbers,
    echoed: Numbers,
    newest: Option<u64>,
}

impl Tally {
    /// A message came to the server.
    pub fn arrived(&mut self, probe: Probe) {
        self.arrived.add(probe.number);
        self.newest = self.newest.max(Some(probe.sent));
    }

    /// A message came back to the client.
    pub fn echoed(&mut self, probe: Probe) {
        self.echoed.add(probe.number);
    }

    pub fn report(&self) -> Flow {
        Flow {
            local: self.local,
            sent: self.sent,
            arrived: self.arrived.different,
            echoed: self.echoed.different,
            duplicated: self.arrived.again + self.echoed.again,
            newest: self.newest,
            retransmitted: self.retransmitted,
            trouble: self.trouble.clone(),
        }
    }
}

/// Numbers from 0 on, each of which should come once.
#[derive(Default)]
struct Numbers {
    bits: Vec<u64>,
    different: u64,
    again: u64,
}

impl Numbers {
    fn add(&mut self, number: u64) {
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        if self.bits[word] & bit == 0 {
            self.bits[word] |= bit;
            self.different += 1;
        } else {
            self.again += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_and_what_comes_twice_is_counted() {
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
