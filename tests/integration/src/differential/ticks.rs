//! Runs steps within one tick of the kernel's clock.

use std::thread::sleep;
use std::time::Duration;

use super::sides::Sides;

/// A tick has 2^30 ns.
const TICK_BITS: u32 = 30;

/// The clock of the XDP program, in ns.
fn nanoseconds() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC_COARSE)
        .expect("the clock can be read");
    now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64
}

/// The clock of the XDP program, in ticks.
pub(super) fn clock() -> u64 {
    nanoseconds() >> TICK_BITS
}

/// The clock, in a tick that does not end at once: a frame that is judged now is judged in this tick.
pub(super) fn settled_clock() -> u64 {
    const END: u64 = (1 << TICK_BITS) - 30_000_000;
    while nanoseconds() & ((1 << TICK_BITS) - 1) > END {
        sleep(Duration::from_millis(5));
    }
    clock()
}

/// Waits for the next tick of the kernel's clock, and advances the clock of the other sides.
pub fn next_tick(sides: &mut Sides) {
    let before = clock();
    while sides.has_kernel() && clock() == before {
        sleep(Duration::from_millis(5));
    }
    match sides.has_kernel() {
        true => _ = sides.follow_kernel(),
        false => sides.pass_time(1),
    }
}

/// Runs something within one tick, so that all sides count the same frames. It starts with a tick, and is repeated if
/// it took longer. Its argument is the number of the attempt. It panics if the attempt fails, or never ends within a
/// tick.
pub fn in_one_tick<T>(
    sides: &mut Sides,
    mut attempt: impl FnMut(&mut Sides, u8) -> Result<T, String>,
) -> T {
    for number in 0..20 {
        next_tick(sides);
        let start = clock();
        let result = attempt(sides, number);
        if !sides.has_kernel() || clock() == start {
            return result.unwrap_or_else(|wrong| panic!("{wrong}"));
        }
    }
    panic!("this machine is too slow to run it within a tick");
}
