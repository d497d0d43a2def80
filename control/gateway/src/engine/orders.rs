//! Orders: quarantine and release.

use std::time::{Duration, Instant};

use cordon_kernel::Error;
use cordon_policy::Posture;
use cordon_protocol::{NewOrder, Order, OrderKind};

use super::Engine;
use crate::clock::Countdown;
use crate::refusal::Refusal;
use crate::state::Quarantine;

/// The longest that an order can be given for: a year.
const LONGEST: u64 = 366 * 86400;

/// Who gives an order, as the socket saw them: a number, because asking a directory for the name could hang at the
/// very moment that the network is in trouble.
#[derive(Clone, Copy, Debug)]
pub struct Caller(pub u32);

impl Engine {
    /// Gives an order. On return it is in force: no packet is judged by the posture before.
    ///
    /// # Errors
    /// [`Refusal`]. A quarantine that cannot be made durable is in force all the same, and says so in its warning.
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
            reason: new.reason.trim().to_owned(),
            ticket: new.ticket,
            by: match new.by {
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
                hint: "to open again, give a release: `cordon release site --reason ...`",
            });
        }
        if posture < before {
            return Err(Refusal::Conflict {
                message: format!("the site is at {before}, which is stricter than {posture}"),
                hint: "of several orders the strictest counts; to open, release first: `cordon release site --reason ...`"
                    .to_owned(),
            });
        }
        // Closed first, written down then: a slow disk holds nothing up, and whoever kills us in between leaves
        // more closed than was acknowledged.
        let kept = self.state.clone();
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
                let what = "every new packet is judged by the order, but whether the last one before has left \
                            cannot be told";
                return Err(Refusal::Dataplane { what, source });
            }
            Err(source) => {
                self.state = kept;
                let what = "the order is NOT in force";
                return Err(Refusal::Dataplane { what, source });
            }
        }
        self.took(&mut order, received);
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
                 It is tried again until it can",
                error.hint()
            ));
        }
        self.list_orders();
        self.rules_stand_still_from_here(before);
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
                hint: "to go from one posture to a lower one, release and give a quarantine to it",
            });
        }
        if before == Posture::Normal {
            return Err(Refusal::Conflict {
                message: "there is nothing to release: the site is at normal".to_owned(),
                hint: "`cordon orders` lists what was ordered".to_owned(),
            });
        }
        // Written down first, opened then.
        let kept = self.state.clone();
        self.state.sequence = order.sequence;
        self.state.quarantines.clear();
        self.state.unlisted.push(order.clone());
        if let Err(source) = self.save() {
            self.state = kept;
            // Part of it may be on the disk: what counts must be written again.
            self.dirty = true;
            let what = "nothing was released, because it could not be made durable";
            return Err(Refusal::NotDurable { what, source });
        }
        let _ = self.look_at_rules(before as u8);
        self.change_posture()
            .map_err(|source| Refusal::Dataplane {
                what: "the release is written down, but the kernel did not open; it is tried again until it does",
                source,
            })?;
        self.took(&mut order, received);
        if let Some(unlisted) = self.state.unlisted.last_mut() {
            *unlisted = order.clone();
        }
        self.list_orders();
        self.warn("posture", None);
        self.rules_stand_still_from_here(Posture::Normal);
        tracing::warn!(
            sequence = order.sequence,
            by = order.by,
            reason = order.reason,
            "released"
        );
        Ok(order)
    }

    fn took(&mut self, order: &mut Order, received: Instant) {
        let took = received.elapsed();
        order.in_force_milliseconds = Some(took.as_secs_f64() * 1000.0);
        self.order_seconds.observe(took.as_secs_f64());
    }

    /// Ends the orders whose time is over. That they end was made durable when they were given, so that nothing needs
    /// to be written down before.
    pub(super) fn end_orders(&mut self) -> Result<(), Error> {
        let before = self.plane.control()?.posture;
        let clock = &*self.clock;
        let (over, left): (Vec<_>, Vec<_>) = std::mem::take(&mut self.state.quarantines)
            .into_iter()
            .partition(|quarantine| quarantine.is_over(clock));
        self.state.quarantines = left;
        if over.is_empty() {
            return Ok(());
        }
        for Quarantine { order: ended, .. } in over {
            let posture = self.posture();
            self.state.sequence += 1;
            let order = Order {
                sequence: self.state.sequence,
                kind: OrderKind::Release,
                posture: posture.to_string(),
                before: ended.posture,
                reason: format!("order {} was given an end", ended.sequence),
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
        let _ = self.look_at_rules(before);
        let opened = self.change_posture();
        // If it cannot be written, a restart finds the same orders over again.
        let _ = self.save();
        self.list_orders();
        opened
    }

    /// Adds to the list what it may lack. Until it is there, it is in the state.
    pub(super) fn list_orders(&mut self) {
        let mut trouble = None;
        while let Some(order) = self.state.unlisted.first() {
            if let Err(error) = self.store.add_order(order) {
                trouble = Some(format!(
                    "order {} is not in the list of orders yet: {error}; {}",
                    order.sequence,
                    error.hint()
                ));
                break;
            }
            self.state.unlisted.remove(0);
        }
        self.warn("orders", trouble);
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

    /// The posture has just been changed, and that it is in force is about to be acknowledged.
    fn rules_stand_still_from_here(&mut self, before: Posture) {
        if let Err(error) = self.look_at_rules(before as u8) {
            tracing::warn!("the rule counters were not read: {error}");
        }
    }
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
            "say why, for whoever reads the list of orders later: `--reason \"ransomware at Rockville\"`",
        );
    }
    let texts = [Some(&new.reason), new.ticket.as_ref(), new.by.as_ref()];
    for text in texts.into_iter().flatten() {
        if text.len() > 1000 || text.chars().any(char::is_control) {
            return bad(
                "reason, ticket and name are one line of at most 1000 bytes each",
                "put the long story into the ticket's system",
            );
        }
    }
    match (new.kind, new.seconds) {
        (OrderKind::Release, Some(_)) => bad(
            "a release has no end",
            "to close again later, give a quarantine then",
        ),
        (_, Some(0)) => bad(
            "an order for no time at all",
            "leave the time out, or give one",
        ),
        (_, Some(seconds)) if seconds > LONGEST => bad(
            "an order ends within a year, or by a release",
            "leave the time out: the order then stands until it is released",
        ),
        _ => Ok(()),
    }
}
