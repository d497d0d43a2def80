//! Accounts for every frame: what entered the gateway has left it, in every copy, or was counted as dropped for a
//! reason.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use cordon_lab::{Cables, Gateway, Result};

use crate::exposition::Exposition;
use crate::recorder::Recorder;
use crate::steps::wait_until;

/// How long the wires are recorded after the gateway has judged the last frame: copies leave after the decision.
const QUIET: Duration = Duration::from_millis(300);
const PASSED: &str = "cordon_packets_total{verdict=\"passed\"}";
const DROPPED: &str = "cordon_packets_total{verdict=\"dropped\"}";
const BY_REASON: &str = "cordon_dropped_packets_total{reason=\"";

/// A gateway whose wires all end in the test, which records them.
pub struct Accounts {
    cables: Cables,
    recorders: BTreeMap<String, Recorder>,
}

/// What became of the frames that were sent together.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// How many frames entered the gateway.
    pub entered: usize,
    /// The frames that left, by the NIC that they left by.
    pub left: BTreeMap<String, Vec<Vec<u8>>>,
    /// How many frames the gateway counted as passed.
    pub passed: usize,
    /// How many it counted as dropped, by reason; reasons without drops are left out.
    pub dropped: BTreeMap<String, usize>,
}

impl Accounts {
    /// Raises a gateway with these NICs, and starts its daemon with a policy.
    ///
    /// # Errors
    /// Those of [`Cables::raise`]; if the policy is refused.
    pub fn open(policy: &Path, nics: &[&str]) -> Result<Accounts> {
        let cables = Cables::raise(policy, nics)?;
        cables.gateway().start_with_policy()?;
        let mut recorders = BTreeMap::new();
        for nic in nics {
            let file = cables.directory().join(format!("{nic}.pcap"));
            let recorder = Recorder::start(cables.far_ends(), nic, &file)?;
            recorders.insert((*nic).to_owned(), recorder);
        }
        Ok(Accounts { cables, recorders })
    }

    /// The gateway.
    pub fn gateway(&self) -> &Gateway {
        self.cables.gateway()
    }

    /// Sends frames to one NIC of the gateway, and returns what became of them.
    ///
    /// # Errors
    /// Those of [`Accounts::record`].
    pub fn send(&self, nic: &str, frames: &[Vec<u8>]) -> Result<Account> {
        self.record(|| self.transmit(nic, frames))
    }

    /// Sends frames to one NIC of the gateway. To be called from the closure of [`Accounts::record`]. Returns how many
    /// there were.
    ///
    /// # Errors
    /// If they cannot be sent.
    pub fn transmit(&self, nic: &str, frames: &[Vec<u8>]) -> Result<usize> {
        self.cables.far_ends().send_frames(nic, frames)?;
        Ok(frames.len())
    }

    /// Runs a closure that sends frames and returns how many, and returns what became of them. It panics unless the
    /// gateway has judged exactly that many frames.
    ///
    /// # Errors
    /// If the lab fails.
    pub fn record(&self, send: impl FnOnce() -> Result<usize>) -> Result<Account> {
        let counters =
            || -> Result<Exposition> { Ok(Exposition::read(&self.gateway().metrics()?)) };
        let before = counters()?;
        let recorded: BTreeMap<&str, usize> = self
            .recorders
            .iter()
            .map(|(nic, recorder)| (nic.as_str(), recorder.frames().len()))
            .collect();
        let entered = send()?;
        let since = |now: &Exposition, series: &str| {
            let value = |read: &Exposition| read.value(series).unwrap_or(0.0);
            (value(now) - value(&before)) as usize
        };
        let judged = |now: &Exposition| since(now, PASSED) + since(now, DROPPED);
        wait_until("the gateway has judged every frame", || {
            Ok(judged(&counters()?) >= entered)
        })?;
        std::thread::sleep(QUIET);
        let after = counters()?;
        let losses = self.cables.losses()?;
        assert!(losses.is_none(), "the cables lost frames: {losses:?}");
        assert_eq!(judged(&after), entered, "the gateway judged other frames");
        let reasons = after.series.keys().filter_map(|series| {
            let reason = series.strip_prefix(BY_REASON)?.strip_suffix("\"}")?;
            let drops = since(&after, series);
            (drops > 0).then(|| (reason.to_owned(), drops))
        });
        Ok(Account {
            entered,
            left: self
                .recorders
                .iter()
                .map(|(nic, recorder)| {
                    let frames = recorder.frames();
                    (nic.clone(), frames[recorded[nic.as_str()]..].to_vec())
                })
                .collect(),
            passed: since(&after, PASSED),
            dropped: reasons.collect(),
        })
    }
}

impl Account {
    /// The frames that left by a NIC.
    pub fn at(&self, nic: &str) -> &[Vec<u8>] {
        self.left.get(nic).map_or(&[], Vec::as_slice)
    }

    /// How many frames were dropped, for any reason.
    pub fn drops(&self) -> usize {
        self.dropped.values().sum()
    }

    /// Checks that every frame that entered either left as this many copies or is a counted drop with a reason. It
    /// panics if one did not.
    pub fn check(&self, copies: usize) {
        self.check_each(|passed| copies * passed);
    }

    /// The same, if not all frames have the same number of copies: `copies` is the number for so many passed frames.
    pub fn check_each(&self, copies: impl FnOnce(usize) -> usize) {
        let left: usize = self.left.values().map(Vec::len).sum();
        let drops = self.drops();
        assert_eq!(
            self.passed + drops,
            self.entered,
            "neither passed nor dropped for a reason: {self}"
        );
        assert_eq!(
            left,
            copies(self.entered - drops),
            "copies that left: {self}"
        );
    }
}

impl std::fmt::Display for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let left: BTreeMap<&String, usize> = self
            .left
            .iter()
            .map(|(nic, frames)| (nic, frames.len()))
            .collect();
        write!(
            f,
            "{} entered, {} passed, left by {left:?}, dropped {:?}",
            self.entered, self.passed, self.dropped
        )
    }
}
