//! The control word: the policy and the posture in force.

/// Number of postures: `normal watch contain isolate lockdown sever`, in this order.
pub const POSTURES: usize = 6;

/// Seconds from one [`Control::tick`] to the next. 65,536 ticks are three days, longer than any flow may be idle.
pub const AGE_SECONDS: u64 = 4;
/// The lowest posture at which the site is cut off from the wider network.
pub const CONTAIN: u8 = 2;
/// The posture at which only rules with `survives: lockdown` pass.
pub const LOCKDOWN: u8 = 4;
/// The highest posture, at which no frame passes.
pub const SEVER: u8 = 5;

/// The control word, read once per packet: a change is one 64-bit store.
///
/// From the top: 32 bits epoch, 16 bits tick, 8 bits posture, 8 bits slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control {
    /// Grows by one with every change of policy or posture. A flow judged under another epoch is judged
    /// again. 0: no policy yet.
    pub epoch: u32,
    /// Counts periods of [`AGE_SECONDS`] while the daemon runs, and wraps: the clock by which flows age. It is in this
    /// word because every packet reads the word; reading a clock would cost more than all counters of a packet.
    pub tick: u16,
    /// The posture in force, 0 (normal) to 5 (sever).
    pub posture: u8,
    /// Which of the two generations of the policy tables is in force: 0 or 1.
    pub slot: u8,
}

impl Control {
    /// As one word.
    #[inline(always)]
    pub const fn pack(self) -> u64 {
        (self.epoch as u64) << 32
            | (self.tick as u64) << 16
            | (self.posture as u64) << 8
            | self.slot as u64
    }

    /// From one word. A posture out of range reads as [`SEVER`], so that a damaged word fails closed.
    #[inline(always)]
    pub const fn unpack(word: u64) -> Control {
        let posture = (word >> 8) as u8;
        Control {
            epoch: (word >> 32) as u32,
            tick: (word >> 16) as u16,
            posture: if posture > SEVER { SEVER } else { posture },
            slot: word as u8 & 1,
        }
    }
}
