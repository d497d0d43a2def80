//! The event ring.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use aya::maps::{MapData, RingBuf};
use cordon_verdict::abi::Event;

use crate::program::Dataplane;
use crate::raw::record;

/// The reading end of the event ring. There is one.
pub struct Events(RingBuf<MapData>);

impl Dataplane {
    /// The reading end, once.
    pub fn take_events(&mut self) -> Option<Events> {
        self.maps.events.take().map(Events)
    }
}

impl Events {
    /// The next event, if there is one.
    pub fn next_event(&mut self) -> Option<Event> {
        let item = self.0.next()?;
        record(&item)
    }
}

/// Readable when there are events: to wait with `poll`.
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
