//! Orders: quarantine and release.

use std::time::{Duration, Instant};

use cordon_kernel::Error;
use cordon_policy::Posture;
use cordon_protocol::{NewOrder, Order, OrderKind, escape};
use prometheus::{Histogram, HistogramOpts};

use super::gateway::Engine;
use crate::clock::Countdown;
use crate::refusal::Refusal;
use crate::state::Quarantine;

/// The longest duration of an order: one year.
const MAX_ORDER_SECONDS: u64 = 366 * 86400;

/// The user ID of a caller, as seen by the socket. Not a name: looking that up in a directory could hang while the
/// network is in trouble.
#[derive(Clone, Copy, Debug)]
pub struct Caller(pub u32);

impl Engine {
    /// Carries out an order. On return it is in force: no packet is judged by the posture before.
    ///
    /// # Errors
    /// [`Refusal`]. A quarantine that cannot be made durable is in force nevertheless, and has a warning.
    pub fn give(
        &mut self,
        new: NewOrder,
        caller: Caller,
        received: Instant,
    ) -> Result<Order, Refusal> {
        check(&new)?;
        let posture: Posture = new.posture.parse().map_err(|message| Refusal::BadRequest {
            message,
            hint: "a posture says how far the site is closed; `contain` cuts it off from the wider network",
        })?;
        let before = self.posture();
        let end = new
            .seconds
            .map(|seconds| Countdown::start(&*self.clock, Duration::from_secs(seconds)));
        let order = Order {
            sequence: self.state.sequence + 1,
            kind: new.kind,
            scope: new.scope,
            posture: posture.to_string(),
            before: before.to_string(),
            // Escaped, not refused: text that is pasted in a hurry often has characters without width.
            reason: escape(new.reason.trim()),
            ticket: new.ticket.as_deref().map(escape),
            by: match new.by.as_deref().map(escape) {
                Some(name) => format!("{name} (uid {})", caller.0),
                None => format!("uid {}", caller.0),
            },
            time: self.now(),
            until: end.as_ref().map(|end| end.until(&*self.clock)),
            in_force_milliseconds: None,
            warning: None,
        };
        match new.kind {
            OrderKind::Quarantine => self.quarantine(order, posture, end, received),
            OrderKind::Release => self.release(order, posture, received),
        }
    }

    fn quarantine(
        &mut self,
        mut order: Order,
        posture: Posture,
        end: Option<Countdown>,
        received: Instant,
    ) -> Result<Order, Refusal> {
        let before = self.posture();
        if posture == Posture::Normal {
            return Err(Refusal::BadRequest {
                message: "a quarantine to `normal` closes nothing".to_owned(),
                hint: "to open again, release: `cordon release site --reason ...`",
            });
        }
        if posture < before {
            return Err(Refusal::Conflict {
                message: format!("the site is at {before}, which is stricter than {posture}"),
                hint: "of several orders the strictest counts; to open, release first: `cordon release site --reason ...`"
                    .to_owned(),
            });
        }
        // Into the kernel first, stored then: a slow disk delays nothing, and if the daemon is killed in between, more
        // is closed than was acknowledged.
        let saved = self.state.clone();
        self.state.sequence = order.sequence;
        let quarantine = |order: &Order| Quarantine {
            order: order.clone(),
            end: end.clone(),
        };
        self.state.quarantine(quarantine(&order), &*self.clock);
        match self.change_posture() {
            Ok(()) => {}
            Err(source @ Error::Barrier(_)) => {
                self.state.unlisted.push(order);
                let _ = self.save();
                self.list_orders();
                let what = "every new packet is judged by the order, but whether all packets judged before have left \
                            is unknown";
                return Err(Refusal::Dataplane { what, source });
            }
            Err(source) => {
                self.state = saved;
                let what = "the order is NOT in force";
                return Err(Refusal::Dataplane { what, source });
            }
        }
        self.record_latency(&mut order, received);
        if let Some(given) = self
            .state
            .quarantines
            .iter_mut()
            .find(|given| given.order.sequence == order.sequence)
        {
            given.order = order.clone();
        }
        self.state.unlisted.push(order.clone());
        if let Err(error) = self.save() {
            order.warning = Some(format!(
                "it is in force, but a reboot would undo it, because it could not be made durable: {error}; {}. \
                 Storing it is retried",
                error.hint()
            ));
        }
        self.list_orders();
        self.baseline_rule_counters(before);
        tracing::warn!(
            sequence = order.sequence,
            %posture,
            by = order.by,
            reason = order.reason,
            "quarantine in force"
        );
        Ok(order)
    }

    fn release(
        &mut self,
        mut order: Order,
        posture: Posture,
        received: Instant,
    ) -> Result<Order, Refusal> {
        let before = self.posture();
        if posture != Posture::Normal {
            return Err(Refusal::BadRequest {
                message: format!("a release goes to `normal`, not to `{posture}`"),
                hint: "to change to a lower posture, release, then give a quarantine to it",
            });
        }
        if before == Posture::Normal {
            return Err(Refusal::Conflict {
                message: "there is nothing to release: the site is at normal".to_owned(),
                hint: "`cordon orders` lists the orders".to_owned(),
            });
        }
        // Stored first, into the kernel then.
        let saved = self.state.clone();
        self.state.sequence = order.sequence;
        self.state.quarantines.clear();
        self.state.unlisted.push(order.clone());
        if let Err(source) = self.save() {
            self.state = saved;
            // Part of it may be on disk: the current state must be stored again.
            self.dirty = true;
            let what = "nothing was released, because it could not be made durable";
            return Err(Refusal::NotDurable { what, source });
        }
        let _ = self.sample_rule_counters(before as u8);
        self.change_posture().map_err(|source| Refusal::Dataplane {
            what: "the release is stored, but the kernel did not open; this is retried",
            source,
        })?;
        self.record_latency(&mut order, received);
        if let Some(unlisted) = self.state.unlisted.last_mut() {
            *unlisted = order.clone();
        }
        self.list_orders();
        self.warn("posture", None);
        self.baseline_rule_counters(Posture::Normal);
        tracing::warn!(
            sequence = order.sequence,
            by = order.by,
            reason = order.reason,
            "released"
        );
        Ok(order)
    }

    fn record_latency(&mut self, order: &mut Order, received: Instant) {
        let latency = received.elapsed();
        order.in_force_milliseconds = Some(latency.as_secs_f64() * 1000.0);
        self.order_seconds.observe(latency.as_secs_f64());
    }

    /// Ends the expired orders. Their expiry was made durable when they were given, so it needs no storing first.
    pub(super) fn end_orders(&mut self) -> Result<(), Error> {
        let before = self.plane.control()?.posture;
        let clock = &*self.clock;
        let (expired, active): (Vec<_>, Vec<_>) = std::mem::take(&mut self.state.quarantines)
            .into_iter()
            .partition(|quarantine| quarantine.is_expired(clock));
        self.state.quarantines = active;
        if expired.is_empty() {
            return Ok(());
        }
        for Quarantine { order: ended, .. } in expired {
            let posture = self.posture();
            self.state.sequence += 1;
            let order = Order {
                sequence: self.state.sequence,
                kind: OrderKind::Release,
                posture: posture.to_string(),
                before: ended.posture,
                reason: format!("order {} has expired", ended.sequence),
                by: "cordond".to_owned(),
                time: self.now(),
                until: None,
                in_force_milliseconds: None,
                warning: None,
                ..ended
            };
            tracing::warn!(sequence = order.sequence, %posture, "{}", order.reason);
            self.state.unlisted.push(order);
        }
        let _ = self.sample_rule_counters(before);
        let opened = self.change_posture();
        // If this fails, a restart ends the same orders again.
        let _ = self.save();
        self.list_orders();
        opened
    }

    /// Appends orders that the list may lack. Until then they are in the state.
    pub(super) fn list_orders(&mut self) {
        let mut failure = None;
        while let Some(order) = self.state.unlisted.first() {
            if let Err(error) = self.store.add_order(order) {
                failure = Some(format!(
                    "order {} is not in the list of orders yet: {error}; {}",
                    order.sequence,
                    error.hint()
                ));
                break;
            }
            self.state.unlisted.remove(0);
        }
        self.warn("orders", failure);
    }

    /// The orders, oldest first.
    ///
    /// # Errors
    /// [`Refusal::Store`].
    pub fn orders(&self) -> Result<Vec<Order>, Refusal> {
        let mut orders = self.store.orders().map_err(Refusal::Store)?;
        orders.extend(self.state.unlisted.iter().cloned());
        Ok(orders)
    }

    /// Takes the baseline of the rule counters, just before a change of posture is acknowledged.
    fn baseline_rule_counters(&mut self, before: Posture) {
        if let Err(error) = self.sample_rule_counters(before as u8) {
            tracing::warn!("the rule counters were not read: {error}");
        }
    }
}

/// The histogram of order latency.
pub fn order_seconds() -> Histogram {
    let buckets = vec![
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
    ];
    let options = HistogramOpts::new(
        "cordon_order_seconds",
        "Seconds from receiving an order until no packet was judged by the posture before.",
    )
    .buckets(buckets);
    Histogram::with_opts(options).expect("the name and the buckets are valid")
}

fn check(new: &NewOrder) -> Result<(), Refusal> {
    let bad = |message: &str, hint| {
        Err(Refusal::BadRequest {
            message: message.to_owned(),
            hint,
        })
    };
    if new.reason.trim().is_empty() {
        return bad(
            "an order needs a reason",
            "state it for later readers of the list of orders: `--reason \"ransomware at Rockville\"`",
        );
    }
    let texts = [Some(&new.reason), new.ticket.as_ref(), new.by.as_ref()];
    for text in texts.into_iter().flatten() {
        if text.len() > 1000 || text.chars().any(char::is_control) {
            return bad(
                "reason, ticket and name are one line of at most 1000 bytes each",
                "put details into the ticket",
            );
        }
    }
    match (new.kind, new.seconds) {
        (OrderKind::Release, Some(_)) => bad(
            "a release has no duration",
            "to close again later, give a quarantine at that time",
        ),
        (_, Some(0)) => bad(
            "the duration of an order must not be zero",
            "omit the duration, or give a longer one",
        ),
        (_, Some(seconds)) if seconds > MAX_ORDER_SECONDS => bad(
            "the duration of an order is one year at most",
            "omit the duration: the order then stays in force until released",
        ),
        _ => Ok(()),
    }
}
