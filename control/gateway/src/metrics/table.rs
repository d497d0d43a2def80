//! Every metric with its help text.

use prometheus::proto::MetricType;

use super::snapshot::{Snapshot, Values};

/// A metric: its name, its type, its help text, and the source of its values.
pub struct Definition {
    pub name: &'static str,
    pub kind: MetricType,
    pub help: &'static str,
    pub values: for<'a> fn(&'a Snapshot) -> Values<'a>,
}

const COUNTER: MetricType = MetricType::COUNTER;
const GAUGE: MetricType = MetricType::GAUGE;

macro_rules! table {
    ($($name:literal $kind:ident $help:literal => $values:expr;)+) => {
        &[$(Definition { name: $name, kind: $kind, help: $help, values: $values },)+]
    };
}

/// Every metric except those that `prometheus` keeps itself: the order histogram and the process metrics.
pub const TABLE: &[Definition] = table! {
    "cordon_packets_total" COUNTER
        "Packets judged, by verdict: passed or dropped. Continues across changes of policy."
        => |all| all.by_verdict(|counter| counter.packets);
    "cordon_bytes_total" COUNTER
        "Bytes of packets judged, from the destination MAC address on, by verdict: passed or dropped."
        => |all| all.by_verdict(|counter| counter.bytes);
    "cordon_dropped_packets_total" COUNTER
        "Packets dropped, by reason: that of the first check that failed."
        => Snapshot::dropped;
    "cordon_rule_packets_total" COUNTER
        "Packets that a rule decided on: passed by a rule that allows, dropped by a rule that denies. Continues across changes of policy, by rule name."
        => |all| all.by_rule(|counter| counter.packets);
    "cordon_rule_bytes_total" COUNTER
        "Bytes of packets that a rule decided on."
        => |all| all.by_rule(|counter| counter.bytes);
    "cordon_packets_forbidden_after_acknowledgement_total" COUNTER
        "Packets that a rule let pass although the posture of an acknowledged order shuts that rule entirely. Must stay 0."
        => |all| one(all.counts.forbidden as f64);
    "cordon_flows" GAUGE
        "Flows in the flow table at the last sweep, by state: established or half-open."
        => |all| by_state(["established", "half-open"], all.flows);
    "cordon_flows_limit" GAUGE
        "Capacity of the flow table, in flows."
        => |all| one(all.flows_limit as f64);
    "cordon_flows_removed_total" COUNTER
        "Flows removed since the daemon started: idle, closed, or of unlisted hosts while the table was nearly full."
        => |all| one(all.flows_removed as f64);
    "cordon_observed_flows_total" COUNTER
        "Flows in an observed segment that enforcement would have dropped, by segment, since the daemon started."
        => |all| all.by_segment(|sum| sum.flows);
    "cordon_observed_bytes_total" COUNTER
        "Bytes of such flows, both ways, every frame rounded up to 16 bytes."
        => |all| all.by_segment(|sum| sum.bytes);
    "cordon_devices" GAUGE
        "Devices of the policy, by state: seen since the data plane was loaded, or unseen."
        => |all| by_state(["seen", "unseen"], all.devices);
    "cordon_posture" GAUGE
        "Posture in force, by scope: 0 normal, 1 watch, 2 contain, 3 isolate, 4 lockdown, 5 sever."
        => |all| vec![(vec![("scope", "site")], f64::from(all.posture))];
    "cordon_orders_active" GAUGE
        "Quarantines in force."
        => |all| one(all.orders as f64);
    "cordon_policy_generation" GAUGE
        "Sequence number of the policy in force; 0 without a policy."
        => |all| one(all.generation as f64);
    "cordon_policy_devices" GAUGE
        "Devices in the policy in force."
        => |all| one(all.policy[0] as f64);
    "cordon_policy_rules" GAUGE
        "Rules in the policy in force, without built-in rules."
        => |all| one(all.policy[1] as f64);
    "cordon_policy_classes" GAUGE
        "Classes that the policy in force was compiled to."
        => |all| one(all.policy[2] as f64);
    "cordon_policy_compile_seconds" GAUGE
        "Seconds that validation and compilation of the policy in force took."
        => |all| one(all.compile_seconds);
    "cordon_policy_install_seconds" GAUGE
        "Seconds that the installation of the policy in force into the kernel took."
        => |all| one(all.install_seconds);
    "cordon_table_bytes" GAUGE
        "Bytes of kernel memory that tables take, by purpose: policy (both slots; only with CAP_SYS_ADMIN, which the unit does not give), flows, or other. For the daemon's own memory see process_resident_memory_bytes."
        => Snapshot::table_bytes;
    "cordon_policy_unconfirmed" GAUGE
        "1 while the policy in force will be rolled back unless it is confirmed."
        => |all| one(f64::from(all.unconfirmed));
    "cordon_port_up" GAUGE
        "1 if a port is in service and its network interface has a carrier."
        => Snapshot::ports_up;
    "cordon_events_lost_total" COUNTER
        "Events lost: over the sampling limit, ring full, or subscriber too slow."
        => |all| one((all.counts.events_lost + all.events_missed) as f64);
    "cordon_warnings" GAUGE
        "Warnings to the operator; cordon status lists them."
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
