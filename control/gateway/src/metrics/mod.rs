//! What Prometheus scrapes.

mod snapshot;
mod table;
#[cfg(test)]
mod tests;

use prometheus::process_collector::ProcessCollector;
use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder, Registry, TextEncoder};

pub use snapshot::Snapshot;

use snapshot::Values;
use table::{Definition, TABLE};

/// The exposition in the text format of Prometheus.
///
/// # Errors
/// If a metric is malformed.
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
