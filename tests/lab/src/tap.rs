//! Taps record every frame on an interface, and report an error if they missed one.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::captured_frame::CapturedFrame;
use crate::error::{Error, Result};
use crate::ring::{self, Ring};

type Wanted = Box<dyn Fn(&CapturedFrame) -> bool + Send>;

/// Interval at which the ring is read. It has room for frames of a much longer time.
const PERIOD: Duration = Duration::from_millis(2);

/// Records frames until it is stopped or dropped.
///
/// [`Tap::frames`] and [`Tap::stop`] return all frames that were received before the call. A tap on an interface with
/// an XDP program records only frames that the program passes to the stack: tap its peer instead.
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
    frames: Vec<CapturedFrame>,
}

impl Tap {
    /// Frames that fit into the ring while this process does not read it.
    pub const ROOM: usize = ring::SLOTS;

    /// Starts on an interface of the calling thread's network namespace.
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
        let of_reader = Arc::clone(&shared);
        let reader = std::thread::Builder::new()
            .name(format!("tap {interface}"))
            .spawn(move || {
                while !of_reader.stop.load(Ordering::Relaxed) {
                    of_reader.lock().drain();
                    std::thread::sleep(PERIOD);
                }
            })?;
        Ok(Tap {
            interface: interface.to_owned(),
            shared,
            reader: Some(reader),
        })
    }

    /// The frames so far, in order of arrival.
    ///
    /// # Errors
    /// [`Error::TapLost`] if frames were missed.
    pub fn frames(&self) -> Result<Vec<CapturedFrame>> {
        Ok(self.up_to_date()?.frames.clone())
    }

    /// The number of frames so far for which `such` is true.
    ///
    /// # Errors
    /// [`Error::TapLost`] if the number is not exact.
    pub fn count(&self, such: impl Fn(&CapturedFrame) -> bool) -> Result<usize> {
        let recording = self.up_to_date()?;
        Ok(recording.frames.iter().filter(|seen| such(seen)).count())
    }

    /// Stops the tap and returns the frames.
    ///
    /// # Errors
    /// [`Error::TapLost`] if frames were missed.
    pub fn stop(self) -> Result<Vec<CapturedFrame>> {
        Ok(std::mem::take(&mut self.up_to_date()?.frames))
    }

    fn up_to_date(&self) -> Result<MutexGuard<'_, Recording>> {
        let mut recording = self.shared.lock();
        recording.drain();
        let lost = recording
            .ring
            .lost()
            .map_err(Error::io(format!("reading the tap on {}", self.interface)))?;
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
        // A filter that panicked has changed no recorded frame.
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
            if let Some(seen) = CapturedFrame::read(&captured)
                && wanted(&seen)
            {
                frames.push(seen);
            }
        }) {}
    }
}
