//! Service classes: protocols and ports that no rule in force tells apart are one.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use cordon_policy::{Date, Policy, Service};
use cordon_verdict::abi::{SERVICE_OTHER, SERVICES, service_index};

const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;
const ICMP: u8 = 1;

/// What a rule's services come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Covered {
    /// Every service class.
    All,
    /// These, ascending.
    Classes(Vec<u16>),
}

#[derive(Debug)]
pub(crate) struct Services {
    /// Where intervals of the service table begin; the first is 0.
    starts: Vec<u32>,
    /// By interval.
    class: Vec<u32>,
    count: usize,
    /// By the services of rules in force.
    covered: HashMap<Vec<Service>, Covered>,
}

impl Services {
    pub fn new(policy: &Policy, today: Date) -> Services {
        let lists: BTreeSet<&[Service]> = policy
            .rules
            .iter()
            .filter(|rule| rule.in_force(today))
            .map(|rule| rule.services.as_slice())
            .collect();
        let specific = || lists.iter().filter(|list| !list.contains(&Service::Any));
        let mut cuts = BTreeSet::from([0]);
        for range in specific().copied().flatten().map(range) {
            cuts.insert(range.start);
            cuts.insert(range.end);
        }
        cuts.remove(&(SERVICES as u32));
        let starts: Vec<u32> = cuts.into_iter().collect();
        let mut services = Services {
            class: vec![u32::from(SERVICE_OTHER); starts.len()],
            starts,
            count: 1,
            covered: HashMap::new(),
        };
        services.split(specific().copied());
        services.number();
        for list in lists {
            let covered = match list.contains(&Service::Any) {
                true => Covered::All,
                false => {
                    let classes: BTreeSet<u16> = services
                        .intervals(list)
                        .into_iter()
                        .map(|at| services.class[at] as u16)
                        .collect();
                    Covered::Classes(classes.into_iter().collect())
                }
            };
            services.covered.insert(list.to_vec(), covered);
        }
        services
    }

    /// Every list of services moves what it holds of each class into a class of its own.
    fn split<'a>(&mut self, lists: impl Iterator<Item = &'a [Service]>) {
        let mut next = u32::from(SERVICE_OTHER) + 1;
        for list in lists {
            let mut moved: HashMap<u32, u32> = HashMap::new();
            for at in self.intervals(list) {
                let class = moved.entry(self.class[at]).or_insert_with(|| {
                    next += 1;
                    next - 1
                });
                self.class[at] = *class;
            }
        }
    }

    /// Closes the gaps that classes left which were moved whole.
    fn number(&mut self) {
        let mut numbers = HashMap::from([(u32::from(SERVICE_OTHER), u32::from(SERVICE_OTHER))]);
        for class in &mut self.class {
            let next = numbers.len() as u32;
            *class = *numbers.entry(*class).or_insert(next);
        }
        self.count = numbers.len();
    }

    /// The intervals that a list holds, each once. Ranges begin and end where intervals do.
    fn intervals(&self, list: &[Service]) -> BTreeSet<usize> {
        list.iter()
            .flat_map(|service| self.overlapping(range(service)))
            .collect()
    }

    fn overlapping(&self, range: Range<u32>) -> Range<usize> {
        let first = self.starts.partition_point(|start| *start <= range.start) - 1;
        let behind = self.starts.partition_point(|start| *start < range.end);
        first..behind
    }

    /// How many classes there are, with that of what no rule names.
    pub fn count(&self) -> usize {
        self.count
    }

    /// What the services of a rule in force come to.
    pub fn covered(&self, services: &[Service]) -> &Covered {
        &self.covered[services]
    }

    /// The classes that some services touch, whoever names them, each with the first index it is touched at.
    pub fn touched(&self, services: &[Service]) -> Vec<(u16, u32)> {
        let mut seen = BTreeSet::new();
        let mut touched = Vec::new();
        for range in services.iter().map(range) {
            for at in self.overlapping(range.clone()) {
                let class = self.class[at] as u16;
                if seen.insert(class) {
                    touched.push((class, self.starts[at].max(range.start)));
                }
            }
        }
        touched
    }

    /// The service table.
    pub fn table(&self) -> Vec<u16> {
        let mut table = vec![SERVICE_OTHER; SERVICES];
        let ends = self.starts.iter().skip(1).copied().chain([SERVICES as u32]);
        for ((start, end), class) in self.starts.iter().zip(ends).zip(&self.class) {
            table[*start as usize..end as usize].fill(*class as u16);
        }
        table
    }
}

/// Where a service is in the service table.
fn range(service: &Service) -> Range<u32> {
    match *service {
        Service::Any => 0..SERVICES as u32,
        Service::Tcp(first, last) => service_index(TCP, first)..service_index(TCP, last) + 1,
        Service::Udp(first, last) => service_index(UDP, first)..service_index(UDP, last) + 1,
        Service::Sctp(first, last) => service_index(SCTP, first)..service_index(SCTP, last) + 1,
        Service::IcmpEcho => service_index(ICMP, 0)..service_index(ICMP, 0) + 1,
    }
}

/// The service at an index of the service table.
pub(crate) fn at(index: u32) -> Service {
    let port = index as u16;
    match index >> 16 {
        0 => Service::Tcp(port, port),
        1 => Service::Udp(port, port),
        2 => Service::Sctp(port, port),
        _ => Service::IcmpEcho,
    }
}
