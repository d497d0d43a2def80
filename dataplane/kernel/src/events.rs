//! The event ring.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use aya::maps::{MapData, RingBuf};
use cordon_verdict::abi::Event;

use crate::dataplane::Dataplane;
use crate::raw::record;

/// The consumer of the event ring. There is one.
pub struct Events(RingBuf<MapData>);

impl Dataplane {
    /// The consumer of the event ring; `None` after the first call.
    pub fn take_events(&mut self) -> Option<Events> {
        self.maps.events.take().map(Events)
    }
}

impl Events {
    /// The next event; `None` if the ring is empty.
    pub fn next_event(&mut self) -> Option<Event> {
        let item = self.0.next()?;
        record(&item)
    }
}

/// Becomes readable when there are events, for `poll`.
impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// As above.
impl AsRawFd for Events {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
