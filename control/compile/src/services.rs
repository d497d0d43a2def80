//! Service classes: protocols and ports that no rule in force distinguishes share one.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use cordon_policy::{Date, Policy, Service, protocols};
use cordon_verdict::abi::{SERVICE_OTHER, SERVICES, service_index};

/// The service classes that a rule's services cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Covered {
    /// Every service class.
    All,
    /// These classes, ascending.
    Classes(Vec<u16>),
}

#[derive(Debug)]
pub(crate) struct Services {
    /// The starts of the intervals of the service table, ascending; the first is 0.
    starts: Vec<u32>,
    /// The class of each interval.
    class: Vec<u32>,
    count: usize,
    /// By list of services of a rule in force.
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

    /// Splits classes: each list of services moves the intervals that it covers out of their class into a new one.
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

    /// Renumbers the classes without gaps: a class is empty after all its intervals were moved.
    fn number(&mut self) {
        let mut numbers = HashMap::from([(u32::from(SERVICE_OTHER), u32::from(SERVICE_OTHER))]);
        for class in &mut self.class {
            let next = numbers.len() as u32;
            *class = *numbers.entry(*class).or_insert(next);
        }
        self.count = numbers.len();
    }

    /// The intervals that a list covers. Its ranges start and end at starts of intervals.
    fn intervals(&self, list: &[Service]) -> BTreeSet<usize> {
        list.iter()
            .flat_map(|service| self.overlapping(range(service)))
            .collect()
    }

    fn overlapping(&self, range: Range<u32>) -> Range<usize> {
        let first = self.starts.partition_point(|start| *start <= range.start) - 1;
        let end = self.starts.partition_point(|start| *start < range.end);
        first..end
    }

    /// The number of classes, including [`SERVICE_OTHER`] for services that no rule names.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The classes that the services of a rule in force cover.
    pub fn covered(&self, services: &[Service]) -> &Covered {
        &self.covered[services]
    }

    /// The classes that any services overlap, each with the first index of the overlap in the service table.
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

/// The range of a service in the service table.
fn range(service: &Service) -> Range<u32> {
    let between =
        |protocol, first, last| service_index(protocol, first)..service_index(protocol, last) + 1;
    match (service, service.ports()) {
        (_, Some((protocol, first, last))) => between(protocol, first, last),
        (Service::IcmpEcho, None) => between(protocols::ICMP, 0, 0),
        (_, None) => 0..SERVICES as u32,
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
