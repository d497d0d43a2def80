//! Records whole frames by tcpdump, which restores the VLAN tag that the kernel removes before a socket sees the frame.

use std::fs;
use std::path::{Path, PathBuf};

use cordon_lab::{Node, Process, Result};

use crate::steps::wait_until;

/// Records the frames that an interface receives, until it is dropped.
pub struct Recorder {
    file: PathBuf,
    _tcpdump: Process,
}

impl Recorder {
    /// Starts to record into a file, which does not exist yet.
    ///
    /// # Errors
    /// If tcpdump cannot be started.
    pub fn start(node: &Node, interface: &str, file: &Path) -> Result<Recorder> {
        // Immediate mode, because tests do not wait until a capture buffer is flushed. The buffer has a slot of the
        // snapshot length for each frame: it has to be short, or there are few slots, and frames are lost.
        let name = file.display().to_string();
        let line = "tcpdump --immediate-mode -B 16384 -s 2048 -U -Z root -Q in -i";
        let line: Vec<&str> = line.split(' ').chain([interface, "-w", &name]).collect();
        let recorder = Recorder {
            file: file.to_owned(),
            _tcpdump: node.spawn(&line)?,
        };
        // tcpdump writes the file header once it records.
        wait_until("tcpdump records", || {
            Ok(fs::metadata(file).is_ok_and(|file| file.len() >= 24))
        })?;
        Ok(recorder)
    }

    /// The frames so far, with all their tags. It panics if the recording cannot be read.
    pub fn frames(&self) -> Vec<Vec<u8>> {
        let bytes = fs::read(&self.file).expect("the recording can be read");
        let (magic, mut rest) = (&bytes[..4], &bytes[24..]);
        assert_eq!(
            magic,
            0xa1b2_c3d4_u32.to_ne_bytes(),
            "the recording has this machine's byte order and microseconds"
        );
        let mut frames = Vec::new();
        // An incomplete record is read the next time.
        while let Some((header, data)) = rest.split_at_checked(16) {
            let length = u32::from_ne_bytes([header[8], header[9], header[10], header[11]]);
            let Some((frame, next)) = data.split_at_checked(length as usize) else {
                break;
            };
            frames.push(frame.to_vec());
            rest = next;
        }
        frames
    }
}
