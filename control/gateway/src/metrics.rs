//! What Prometheus scrapes: every metric with its help text in one table, filled from one snapshot.

use cordon_kernel::{Error, TableBytes};
use cordon_verdict::abi::Counter;
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder, HistogramOpts, Registry, TextEncoder};

use crate::engine::{Counts, Gateway};
use crate::observed::{Observed, Sum};
use crate::views;

/// A metric: its name, its type, its help text, and where its values come from.
struct Definition {
    name: &'static str,
    kind: MetricType,
    help: &'static str,
    values: for<'a> fn(&'a Snapshot) -> Values<'a>,
}

/// Each value with its labels.
type Values<'a> = Vec<(Vec<(&'static str, &'a str)>, f64)>;

const COUNTER: MetricType = MetricType::COUNTER;
const GAUGE: MetricType = MetricType::GAUGE;

macro_rules! table {
    ($($name:literal $kind:ident $help:literal => $values:expr;)+) => {
        &[$(Definition { name: $name, kind: $kind, help: $help, values: $values },)+]
    };
}

/// Every metric but those that `prometheus` keeps itself: the histogram of orders, and those of the process.
const TABLE: &[Definition] = table! {
    "cordon_packets_total" COUNTER
        "Packets judged, by verdict: passed or dropped. Goes on across changes of policy."
        => |all| all.by_verdict(|counter| counter.packets);
    "cordon_bytes_total" COUNTER
        "Bytes of packets judged, from the destination MAC address on, by verdict: passed or dropped."
        => |all| all.by_verdict(|counter| counter.bytes);
    "cordon_dropped_packets_total" COUNTER
        "Packets dropped, by reason. The first check that fails names the reason."
        => Snapshot::dropped;
    "cordon_rule_packets_total" COUNTER
        "Packets that a rule decided on: one that allows let them pass, one that denies dropped them. Goes on across changes of policy by the name of the rule."
        => |all| all.by_rule(|counter| counter.packets);
    "cordon_rule_bytes_total" COUNTER
        "Bytes of packets that a rule decided on."
        => |all| all.by_rule(|counter| counter.bytes);
    "cordon_packets_forbidden_after_acknowledgement_total" COUNTER
        "Packets that a rule let pass, after an order was acknowledged whose posture shuts that rule entirely. Must stay 0."
        => |all| one(all.counts.forbidden as f64);
    "cordon_flows" GAUGE
        "Flows in the flow table, by state: open (both ends heard) or half-open, as the last sweep found them."
        => |all| by_state(["open", "half-open"], all.flows);
    "cordon_flows_limit" GAUGE
        "Flows that the flow table has room for."
        => |all| one(all.flows_limit as f64);
    "cordon_flows_forgotten_total" COUNTER
        "Flows forgotten because they were idle or closed, or an unlisted host's where little room was left, since the daemon started."
        => |all| one(all.forgotten as f64);
    "cordon_observed_flows_total" COUNTER
        "Flows in an observed segment that enforcement would have dropped, by segment, since the daemon started."
        => |all| all.by_segment(|sum| sum.flows);
    "cordon_observed_bytes_total" COUNTER
        "Bytes of such flows, both ways, every frame rounded up to 16 bytes."
        => |all| all.by_segment(|sum| sum.bytes);
    "cordon_devices" GAUGE
        "Devices that the policy lists, by state: seen since the data plane was loaded, or unseen."
        => |all| by_state(["seen", "unseen"], all.devices);
    "cordon_posture" GAUGE
        "Posture in force, by scope: 0 normal, 1 watch, 2 contain, 3 isolate, 4 lockdown, 5 sever."
        => |all| vec![(vec![("scope", "site")], f64::from(all.posture))];
    "cordon_orders_active" GAUGE
        "Quarantines in force."
        => |all| one(all.orders as f64);
    "cordon_policy_generation" GAUGE
        "Number of the change of policy that is in force; 0 for no policy."
        => |all| one(all.generation as f64);
    "cordon_policy_devices" GAUGE
        "Devices in the policy in force."
        => |all| one(all.policy[0] as f64);
    "cordon_policy_rules" GAUGE
        "Rules in the policy in force, without those that are built in."
        => |all| one(all.policy[1] as f64);
    "cordon_policy_classes" GAUGE
        "Classes that the policy in force was compiled to."
        => |all| one(all.policy[2] as f64);
    "cordon_policy_compile_seconds" GAUGE
        "Seconds that it took to validate and compile the policy in force."
        => |all| one(all.compile_seconds);
    "cordon_policy_install_seconds" GAUGE
        "Seconds that it took to put the policy in force into the kernel."
        => |all| one(all.install_seconds);
    "cordon_table_bytes" GAUGE
        "Bytes of kernel memory that tables take, by what they are for: policy (both slots), flows, or other. What the daemon takes is process_resident_memory_bytes."
        => Snapshot::table_bytes;
    "cordon_policy_on_trial" GAUGE
        "1 while the policy in force goes back to the one before unless it is confirmed."
        => |all| one(f64::from(all.on_trial));
    "cordon_port_up" GAUGE
        "1 if a port is in service and its network interface has a signal."
        => Snapshot::ports_up;
    "cordon_events_lost_total" COUNTER
        "Events that could not be told of: over the sampling limit, the ring full, or the listener too slow."
        => |all| one((all.counts.events_lost + all.missed) as f64);
    "cordon_warnings" GAUGE
        "Things that an operator should look at; cordon status says which."
        => |all| one(all.warnings as f64);
    "cordon_build_info" GAUGE
        "1; the version of the daemon is the label."
        => |_| vec![(vec![("version", env!("CARGO_PKG_VERSION"))], 1.0)];
};

fn one<'a>(value: f64) -> Values<'a> {
    vec![(Vec::new(), value)]
}

fn by_state<'a>(names: [&'static str; 2], values: [u64; 2]) -> Values<'a> {
    let pairs = names.into_iter().zip(values);
    pairs
        .map(|(name, value)| (vec![("state", name)], value as f64))
        .collect()
}

/// The histogram of orders.
pub fn order_seconds() -> prometheus::Histogram {
    let buckets = vec![
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
    ];
    let options = HistogramOpts::new(
        "cordon_order_seconds",
        "Seconds from receiving an order until no packet was judged by the posture before.",
    )
    .buckets(buckets);
    prometheus::Histogram::with_opts(options).expect("the name and the buckets are valid")
}

/// Everything that is exported, read at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    counts: Counts,
    rules: Vec<(String, Counter)>,
    flows: [u64; 2],
    flows_limit: u64,
    forgotten: u64,
    observed: Vec<(String, Sum)>,
    missed: u64,
    /// Seen, unseen.
    devices: [u64; 2],
    posture: u8,
    orders: usize,
    generation: u64,
    policy: [usize; 3],
    compile_seconds: f64,
    install_seconds: f64,
    table_bytes: TableBytes,
    on_trial: bool,
    ports: Vec<(String, String, bool)>,
    warnings: usize,
}

impl Snapshot {
    /// Reads everything.
    ///
    /// # Errors
    /// If the data plane does not answer.
    pub fn read(gateway: &Gateway, observed: &Observed) -> Result<Snapshot, Error> {
        let mut engine = gateway.engine();
        let counts = engine.counts()?;
        let (swept, forgotten) = engine.flow_counts();
        let stations = engine.stations();
        let current = engine.current();
        let ports = engine.ports();
        let policy = engine.policy_status();
        let mut snapshot = Snapshot {
            flows: [swept.open, swept.half_open],
            flows_limit: engine.flow_limit(),
            forgotten,
            missed: gateway.missed_so_far(),
            posture: engine.posture() as u8,
            orders: engine.state().quarantines.len(),
            generation: policy.as_ref().map_or(0, |policy| policy.generation),
            on_trial: policy
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
        if let Some(named) = current {
            let devices = &named.policy.devices;
            let seen = devices
                .iter()
                .filter(|device| views::station(&named.policy, &stations, device).is_some())
                .count() as u64;
            snapshot.devices = [seen, devices.len() as u64 - seen];
            snapshot.policy = [devices.len(), named.policy.rules.len(), named.classes];
            snapshot.compile_seconds = named.compile_seconds;
            snapshot.observed = observed.sums(&named);
            let rules = counts.rules.iter().enumerate();
            snapshot.rules = rules
                .filter_map(|(number, counter)| {
                    Some((named.rule(number as u32)?.to_owned(), *counter))
                })
                .collect();
        }
        snapshot.counts = counts;
        Ok(snapshot)
    }

    fn table_bytes(&self) -> Values<'_> {
        let TableBytes {
            policy,
            flows,
            other,
        } = self.table_bytes;
        let all = [("policy", policy), ("flows", flows), ("other", other)];
        let values = all.into_iter();
        values
            .map(|(table, bytes)| (vec![("table", table)], bytes as f64))
            .collect()
    }

    fn by_verdict(&self, part: fn(&Counter) -> u64) -> Values<'_> {
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

    fn dropped(&self) -> Values<'_> {
        let drops = self.counts.drops.iter();
        drops
            .map(|(reason, counter)| (vec![("reason", reason.name())], counter.packets as f64))
            .collect()
    }

    fn by_rule(&self, part: fn(&Counter) -> u64) -> Values<'_> {
        let rules = self.rules.iter();
        rules
            .map(|(name, counter)| (vec![("rule", name.as_str())], part(counter) as f64))
            .collect()
    }

    fn by_segment(&self, part: fn(&Sum) -> u64) -> Values<'_> {
        let observed = self.observed.iter();
        observed
            .map(|(segment, sum)| (vec![("segment", segment.as_str())], part(sum) as f64))
            .collect()
    }

    fn ports_up(&self) -> Values<'_> {
        let ports = self.ports.iter();
        ports
            .map(|(port, device, up)| {
                let labels = vec![("port", port.as_str()), ("device", device.as_str())];
                (labels, f64::from(*up))
            })
            .collect()
    }
}

/// As Prometheus reads it.
///
/// # Errors
/// If a metric is not well formed.
pub fn render(
    snapshot: &Snapshot,
    order_seconds: &prometheus::Histogram,
) -> prometheus::Result<String> {
    let registry = Registry::new();
    registry.register(Box::new(order_seconds.clone()))?;
    registry.register(Box::new(ProcessCollector::for_self()))?;
    let mut families = registry.gather();
    families.extend(
        TABLE
            .iter()
            .map(|definition| family(definition, (definition.values)(snapshot)))
            .filter(|family| !family.get_metric().is_empty()),
    );
    let mut text = Vec::new();
    TextEncoder::new().encode(&families, &mut text)?;
    String::from_utf8(text).map_err(|error| prometheus::Error::Msg(error.to_string()))
}

fn family(definition: &Definition, values: Values<'_>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(definition.name.to_owned());
    family.set_help(definition.help.to_owned());
    family.set_field_type(definition.kind);
    let metrics = values.into_iter().map(|(labels, value)| {
        let labels = labels.into_iter().map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name(name.to_owned());
            pair.set_value(value.to_owned());
            pair
        });
        let mut metric = Metric::from_label(labels.collect());
        match definition.kind {
            MetricType::COUNTER => {
                let mut counter = prometheus::proto::Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
            }
            _ => {
                let mut gauge = prometheus::proto::Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            }
        }
        metric
    });
    family.set_metric(metrics.collect());
    family
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use cordon_verdict::Reason;

    use super::*;

    /// Every value another than zero, and than every other's.
    fn full() -> Snapshot {
        let counter = |packets| Counter {
            packets,
            bytes: packets * 100,
        };
        Snapshot {
            counts: Counts {
                passed: counter(101),
                drops: Reason::ALL
                    .iter()
                    .map(|reason| (*reason, counter(1)))
                    .collect(),
                rules: Vec::new(),
                forbidden: 102,
                events_lost: 1,
            },
            rules: vec![
                ("a".to_owned(), counter(103)),
                ("b \"c\"".to_owned(), counter(104)),
            ],
            flows: [105, 106],
            flows_limit: 107,
            forgotten: 108,
            observed: vec![(
                "guest".to_owned(),
                Sum {
                    flows: 119,
                    bytes: 120,
                },
            )],
            missed: 109,
            devices: [111, 112],
            posture: 2,
            orders: 113,
            generation: 114,
            policy: [115, 116, 117],
            compile_seconds: 0.5,
            install_seconds: 0.25,
            table_bytes: TableBytes {
                policy: 121,
                flows: 122,
                other: 123,
            },
            on_trial: true,
            ports: vec![("access0".to_owned(), "eth1".to_owned(), true)],
            warnings: 118,
        }
    }

    fn rendered() -> String {
        let seconds = order_seconds();
        seconds.observe(0.01);
        render(&full(), &seconds).expect("is well formed")
    }

    #[test]
    fn every_metric_is_exported_with_its_help_and_is_moved_by_something() {
        let text = rendered();
        let nothing = render(&Snapshot::default(), &order_seconds()).expect("is well formed");
        for Definition { name, help, .. } in TABLE {
            assert!(text.contains(&format!("# HELP {name} {help}\n")), "{name}");
            let lines: Vec<&str> = text
                .lines()
                .filter(|line| {
                    line.starts_with(&format!("{name}{{")) || line.starts_with(&format!("{name} "))
                })
                .collect();
            assert!(!lines.is_empty(), "{name}");
            for line in lines {
                let moved = !nothing.lines().any(|other| other == line);
                assert!(moved || *name == "cordon_build_info", "{line}");
                assert!(!line.ends_with(" 0"), "{line}");
            }
        }
        assert!(text.contains("cordon_order_seconds_bucket{le=\"0.01\"} 1\n"));
        assert!(text.contains("# HELP process_resident_memory_bytes"));
    }

    #[test]
    fn the_values_are_where_they_belong() {
        let text = rendered();
        for line in [
            "cordon_packets_total{verdict=\"passed\"} 101",
            "cordon_bytes_total{verdict=\"passed\"} 10100",
            "cordon_packets_forbidden_after_acknowledgement_total 102",
            "cordon_rule_packets_total{rule=\"a\"} 103",
            "cordon_rule_bytes_total{rule=\"b \\\"c\\\"\"} 10400",
            "cordon_flows{state=\"open\"} 105",
            "cordon_flows{state=\"half-open\"} 106",
            "cordon_observed_flows_total{segment=\"guest\"} 119",
            "cordon_observed_bytes_total{segment=\"guest\"} 120",
            "cordon_devices{state=\"unseen\"} 112",
            "cordon_posture{scope=\"site\"} 2",
            "cordon_table_bytes{table=\"policy\"} 121",
            "cordon_table_bytes{table=\"flows\"} 122",
            "cordon_table_bytes{table=\"other\"} 123",
            "cordon_events_lost_total 110",
            "cordon_port_up{device=\"eth1\",port=\"access0\"} 1",
        ] {
            let found = text.lines().any(|found| found == line);
            let other = line.replace(
                "device=\"eth1\",port=\"access0\"",
                "port=\"access0\",device=\"eth1\"",
            );
            assert!(
                found || text.lines().any(|found| found == other),
                "{line}\n{text}"
            );
        }
        let dropped = format!(
            "cordon_packets_total{{verdict=\"dropped\"}} {}",
            Reason::ALL.len()
        );
        assert!(text.lines().any(|line| line == dropped));
    }

    #[test]
    fn promtool_finds_nothing_to_complain_of() {
        let mut promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("promtool is installed (Debian's package prometheus)");
        let mut input = promtool.stdin.take().expect("is piped");
        input.write_all(rendered().as_bytes()).expect("reads");
        drop(input);
        let output = promtool.wait_with_output().expect("ends");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(output.status.success() && said.is_empty(), "{said}");
    }
}
