//! Taps: every frame on an interface, recorded, with certainty that none was missed.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::ring::{self, Ring};
use crate::seen::Seen;

type Wanted = Box<dyn Fn(&Seen) -> bool + Send>;

/// How often the ring is emptied; it has room for much longer.
const PERIOD: Duration = Duration::from_millis(2);

/// Records frames until it is stopped or dropped.
///
/// What was received before a call of [`Tap::frames`] or [`Tap::stop`] is in what they answer. An interface that has
/// an XDP program shows only what the program lets up the stack: tap its peer.
pub struct Tap {
    interface: String,
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
}

struct Shared {
    recording: Mutex<Recording>,
    stop: AtomicBool,
}

struct Recording {
    ring: Ring,
    wanted: Wanted,
    frames: Vec<Seen>,
}

impl Tap {
    /// Frames that there is room for while this process is kept from looking at them.
    pub const ROOM: usize = ring::SLOTS;

    /// Begins, on an interface of the calling thread's network namespace.
    pub(crate) fn start(interface: &str, wanted: Wanted) -> io::Result<Tap> {
        let recording = Recording {
            ring: Ring::open(interface)?,
            wanted,
            frames: Vec::new(),
        };
        let shared = Arc::new(Shared {
            recording: Mutex::new(recording),
            stop: AtomicBool::new(false),
        });
        let theirs = Arc::clone(&shared);
        let reader = std::thread::Builder::new()
            .name(format!("tap {interface}"))
            .spawn(move || {
                while !theirs.stop.load(Ordering::Relaxed) {
                    theirs.lock().drain();
                    std::thread::sleep(PERIOD);
                }
            })?;
        Ok(Tap {
            interface: interface.to_owned(),
            shared,
            reader: Some(reader),
        })
    }

    /// The frames so far, in the order of their coming.
    ///
    /// # Errors
    /// [`Error::TapLost`] if that is not all there were.
    pub fn frames(&self) -> Result<Vec<Seen>> {
        Ok(self.up_to_date()?.frames.clone())
    }

    /// How many frames so far are such.
    ///
    /// # Errors
    /// [`Error::TapLost`] if the number is not exact.
    pub fn count(&self, such: impl Fn(&Seen) -> bool) -> Result<usize> {
        let recording = self.up_to_date()?;
        Ok(recording.frames.iter().filter(|seen| such(seen)).count())
    }

    /// Ends it, and answers the frames.
    ///
    /// # Errors
    /// [`Error::TapLost`] if that is not all there were.
    pub fn stop(self) -> Result<Vec<Seen>> {
        Ok(std::mem::take(&mut self.up_to_date()?.frames))
    }

    fn up_to_date(&self) -> Result<MutexGuard<'_, Recording>> {
        let mut recording = self.shared.lock();
        recording.drain();
        let lost = recording
            .ring
            .lost()
            .map_err(Error::io(format!("asking the tap on {}", self.interface)))?;
        match lost {
            0 => Ok(recording),
            frames => Err(Error::TapLost {
                interface: self.interface.clone(),
                frames,
            }),
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Recording> {
        // A filter that panicked leaves what was recorded as it was.
        self.recording
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recording {
    fn drain(&mut self) {
        let Recording {
            ring,
            wanted,
            frames,
        } = self;
        while ring.next(|captured| {
            if let Some(seen) = Seen::read(&captured)
                && wanted(&seen)
            {
                frames.push(seen);
            }
        }) {}
    }
}
