//! The packet path in user space: the stages over a frame and tables that the caller owns.

use crate::abi::Control;
use crate::account::dropped;
use crate::authorise::Denied;
use crate::fast_path::{FastPath, fast_path};
use crate::frame::Frame;
use crate::path::{Next, Stages, walk};
use crate::reason::Reason;
use crate::stage;
use crate::step::{Egress, Passed, Pending, Step};
use crate::tables::Tables;

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Where it leaves, or the reason why it is dropped.
    pub verdict: Result<Egress, Reason>,
    /// The rule that decided; 0 for none.
    pub rule: u32,
    /// The policy and posture it was judged under.
    pub control: Control,
}

/// Judges a frame that came in on `port`.
pub fn judge<F: Frame, T: Tables>(frame: &mut F, tables: &mut T, port: u16) -> Outcome {
    let control = tables.control();
    let mut judging = Judging {
        frame,
        tables,
        control,
        port,
        pending: None,
        // Each stage replaces it.
        step: Err(Reason::NoPolicy.into()),
    };
    walk(&mut judging);
    let (verdict, rule) = match judging.step {
        Ok(Step::Forwarded(passed)) => (Ok(passed.egress), passed.rule),
        // `walk` leaves no other step: the differential tests would see a difference to the kernel, which aborts here.
        Ok(_) => (Err(Reason::IpHeader), 0),
        Err(denied) => (Err(denied.reason), denied.rule),
    };
    Outcome {
        verdict,
        rule,
        control,
    }
}

/// The path is done: user space has no XDP action to answer.
const DONE: Next = Next(0);

/// A frame on its way through the stages.
struct Judging<'a, F, T> {
    frame: &'a mut F,
    tables: &'a mut T,
    control: Control,
    port: u16,
    /// The packet that is judged, once it is parsed.
    pending: Option<Pending>,
    /// What the last stage came to.
    step: Result<Step, Denied>,
}

impl<F, T> Judging<'_, F, T> {
    /// Keeps what a stage came to, and answers the stage that takes it from there.
    fn leave(&mut self, step: Result<Step, Denied>) -> Next {
        let next = match step {
            Ok(Step::Forwarded(_)) => DONE,
            Ok(Step::Judge(pending)) => {
                self.pending = Some(pending);
                return Next::JUDGE;
            }
            Ok(Step::Extended(_)) => Next::EXTENDED,
            Ok(Step::UpperLayer(_)) => Next::UPPER_LAYER,
            Ok(Step::Rewrite(_)) => Next::REWRITE,
            Err(_) => Next::DROP,
        };
        self.step = step;
        next
    }

    /// Goes on to the next stage of a packet that is judged, or drops it.
    fn after(&mut self, done: Result<(), Denied>) -> Next {
        match done {
            Ok(()) => Next::CONTINUE,
            Err(denied) => self.leave(Err(denied)),
        }
    }

    fn passed(&mut self, passed: Passed) -> Next {
        self.leave(Ok(Step::Forwarded(passed)))
    }
}

impl<F: Frame, T: Tables> Stages for Judging<'_, F, T> {
    fn fast_path(&mut self) -> Next {
        match fast_path(self.frame, self.tables, self.control, self.port) {
            FastPath::Forwarded(passed) => self.passed(passed),
            FastPath::FlowMiss => Next::FLOW_MISS,
            FastPath::Undecided => Next::UNDECIDED,
        }
    }

    fn begin(&mut self, after: Next) -> Next {
        let miss = after == Next::FLOW_MISS;
        let step = stage::begin(self.frame, self.tables, self.control, self.port, miss);
        self.leave(step)
    }

    fn extended(&mut self) -> Next {
        let Ok(Step::Extended(extended)) = &self.step else {
            return DONE;
        };
        let step = stage::extended(self.frame, self.tables, extended);
        self.leave(step)
    }

    fn upper_layer(&mut self) -> Next {
        let Ok(Step::UpperLayer(upper)) = &self.step else {
            return DONE;
        };
        let step = stage::upper_layer(self.frame, self.tables, upper);
        self.leave(step)
    }

    fn identify(&mut self) -> Next {
        let Some(pending) = &mut self.pending else {
            return DONE;
        };
        match stage::identify(self.tables, pending) {
            Ok(next) => next,
            Err(denied) => self.after(Err(denied)),
        }
    }

    fn neighbour(&mut self) -> Next {
        let Some(pending) = &mut self.pending else {
            return DONE;
        };
        let done = stage::neighbour(self.frame, self.tables, pending);
        self.after(done)
    }

    fn authorise(&mut self) -> Next {
        let Some(pending) = &mut self.pending else {
            return DONE;
        };
        let done = stage::authorise(self.tables, pending);
        self.after(done)
    }

    fn forward(&mut self) -> Next {
        let Some(pending) = &mut self.pending else {
            return DONE;
        };
        let done = stage::forward(self.tables, pending);
        self.after(done)
    }

    fn account(&mut self) -> Next {
        let Some(pending) = &mut self.pending else {
            return DONE;
        };
        let step = stage::account(self.frame, self.tables, pending);
        let establish = if pending.establishes {
            Next::ESTABLISH
        } else {
            0
        };
        Next(self.leave(step).0 | establish)
    }

    fn establish(&mut self, next: Next) -> Next {
        if let Some(pending) = &self.pending {
            stage::establish(self.tables, pending);
        }
        Next(next.0 & !Next::ESTABLISH)
    }

    fn rewrite(&mut self) -> Next {
        let Ok(Step::Rewrite(rewriting)) = &self.step else {
            return DONE;
        };
        match stage::rewrite(self.frame, self.tables, rewriting) {
            Ok(passed) => self.passed(passed),
            Err(denied) => self.leave(Err(denied)),
        }
    }

    fn drop(&mut self) -> Next {
        if let Err(denied) = self.step {
            dropped(self.frame, self.tables, self.control, self.port, denied);
        }
        DONE
    }

    fn copy(&mut self) -> Next {
        // The caller makes the copies: see `Egress::Flood`.
        DONE
    }
}
