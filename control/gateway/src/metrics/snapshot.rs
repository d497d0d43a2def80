//! Everything that the metrics export, read at one moment.

use cordon_kernel::{Error, TableBytes};
use cordon_verdict::abi::Counter;

use crate::engine::{Counts, Gateway};
use crate::observed::{Observed, Totals};

/// The values of a metric, each with its labels.
pub type Values<'a> = Vec<(Vec<(&'static str, &'a str)>, f64)>;

/// Everything that is exported, read at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub(super) counts: Counts,
    pub(super) rules: Vec<(String, Counter)>,
    pub(super) flows: [u64; 2],
    pub(super) flows_limit: u64,
    pub(super) flows_removed: u64,
    pub(super) observed: Vec<(String, Totals)>,
    pub(super) events_missed: u64,
    /// Seen, unseen.
    pub(super) devices: [u64; 2],
    pub(super) posture: u8,
    pub(super) orders: usize,
    pub(super) generation: u64,
    pub(super) policy: [usize; 3],
    pub(super) compile_seconds: f64,
    pub(super) install_seconds: f64,
    pub(super) table_bytes: TableBytes,
    pub(super) unconfirmed: bool,
    pub(super) ports: Vec<(String, String, bool)>,
    pub(super) warnings: usize,
}

impl Snapshot {
    /// Reads everything.
    ///
    /// # Errors
    /// If the data plane does not answer.
    pub fn read(gateway: &Gateway, observed: &Observed) -> Result<Snapshot, Error> {
        let mut engine = gateway.engine();
        let counts = engine.counts()?;
        let (swept, flows_removed) = engine.flow_counts();
        let stations = engine.stations();
        let current = engine.current();
        let ports = engine.ports();
        let policy = engine.policy_status();
        let mut snapshot = Snapshot {
            flows: [swept.established, swept.half_open],
            flows_limit: engine.flow_limit(),
            flows_removed,
            events_missed: gateway.events_missed(),
            posture: engine.posture() as u8,
            orders: engine.state().quarantines.len(),
            generation: policy.as_ref().map_or(0, |policy| policy.generation),
            unconfirmed: policy
                .as_ref()
                .is_some_and(|policy| policy.reverts.is_some()),
            install_seconds: engine.last_install().as_secs_f64(),
            table_bytes: engine.table_bytes()?,
            warnings: engine.warnings().count(),
            ..Snapshot::default()
        };
        drop(engine);
        snapshot.ports = ports
            .into_iter()
            .map(|now| (now.port.name, now.port.device, now.up))
            .collect();
        if let Some(active) = current {
            let devices = &active.policy.devices;
            let seen = devices
                .iter()
                .filter(|device| active.station(&stations, device).is_some())
                .count() as u64;
            snapshot.devices = [seen, devices.len() as u64 - seen];
            snapshot.policy = [devices.len(), active.policy.rules.len(), active.classes];
            snapshot.compile_seconds = active.compile_seconds;
            snapshot.observed = observed.totals(&active);
            let rules = counts.rules.iter().enumerate();
            snapshot.rules = rules
                .filter_map(|(number, counter)| {
                    Some((active.rule(number as u32)?.to_owned(), *counter))
                })
                .collect();
        }
        snapshot.counts = counts;
        Ok(snapshot)
    }

    pub(super) fn table_bytes(&self) -> Values<'_> {
        let TableBytes {
            policy,
            flows,
            other,
        } = self.table_bytes;
        let all = [
            ("policy", policy),
            ("flows", Some(flows)),
            ("other", Some(other)),
        ];
        let known = all.into_iter().filter_map(|(table, bytes)| {
            let bytes = bytes?;
            Some((vec![("table", table)], bytes as f64))
        });
        known.collect()
    }

    pub(super) fn by_verdict(&self, part: fn(&Counter) -> u64) -> Values<'_> {
        let drops = self.counts.drops.iter();
        let dropped: u64 = drops.map(|(_, counter)| part(counter)).sum();
        vec![
            (
                vec![("verdict", "passed")],
                part(&self.counts.passed) as f64,
            ),
            (vec![("verdict", "dropped")], dropped as f64),
        ]
    }

    pub(super) fn dropped(&self) -> Values<'_> {
        let drops = self.counts.drops.iter();
        drops
            .map(|(reason, counter)| (vec![("reason", reason.name())], counter.packets as f64))
            .collect()
    }

    pub(super) fn by_rule(&self, part: fn(&Counter) -> u64) -> Values<'_> {
        let rules = self.rules.iter();
        rules
            .map(|(name, counter)| (vec![("rule", name.as_str())], part(counter) as f64))
            .collect()
    }

    pub(super) fn by_segment(&self, part: fn(&Totals) -> u64) -> Values<'_> {
        let observed = self.observed.iter();
        observed
            .map(|(segment, sum)| (vec![("segment", segment.as_str())], part(sum) as f64))
            .collect()
    }

    pub(super) fn ports_up(&self) -> Values<'_> {
        let ports = self.ports.iter();
        ports
            .map(|(port, device, up)| {
                let labels = vec![("port", port.as_str()), ("device", device.as_str())];
                (labels, f64::from(*up))
            })
            .collect()
    }
}
