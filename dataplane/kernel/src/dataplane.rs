//! The handle to the program and its maps, and the control word.

use std::collections::BTreeMap;
use std::path::PathBuf;

use aya::programs::{SchedClassifier, Xdp};
use cordon_verdict::abi::Control;

use crate::barrier;
use crate::error::Error;
use crate::flow_table::FlowSlot;
use crate::maps::{Maps, TraceMap};
use crate::nic::Nic;
use crate::pins::of;
use crate::program::PROGRAM;

/// The XDP program and its maps.
pub struct Dataplane {
    pub(crate) maps: Maps,
    pub(crate) program: Xdp,
    /// In the order of [`FLOODS`](crate::maps::FLOODS).
    pub(crate) flood: [Xdp; 2],
    pub(crate) copier: SchedClassifier,
    pub(crate) trace: Option<TraceMap>,
    pub(crate) pins: PathBuf,
    pub(crate) ports: BTreeMap<u16, Nic>,
    /// Whether the last sweep throttled any host.
    pub(crate) throttled: bool,
    /// The number of station moves when flows were last checked for them.
    pub(crate) moves: u64,
    /// The slots of removed flows whose entries [`Dataplane::reclaim`] has not freed yet, the lowest first.
    pub(crate) removed: Vec<FlowSlot>,
}

impl Dataplane {
    /// The control word in force.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn control(&self) -> Result<Control, Error> {
        Ok(Control::unpack(
            self.maps.control.get(&0, 0).map_err(of("CONTROL"))?,
        ))
    }

    /// Puts a posture (0 normal to 5 sever) into force. On return no packet is judged under the previous one.
    ///
    /// # Errors
    /// [`Error::Map`]; [`Error::Barrier`], with the posture already in force for every new packet.
    pub fn set_posture(&mut self, posture: u8) -> Result<Control, Error> {
        let control = self.control()?;
        // Epoch 0 means that there is no policy yet; a posture alone must not end that.
        let epoch = match control.epoch {
            0 => 0,
            epoch => next_epoch(epoch),
        };
        self.set_control(Control {
            posture,
            epoch,
            ..control
        })
    }

    /// The number of instructions that the kernel's verifier processed for the XDP program or the tc program, whichever
    /// is more. The verifier gives up at a million.
    ///
    /// # Errors
    /// [`Error::Program`].
    pub fn verified_instructions(&self) -> Result<u32, Error> {
        let failed = |source| Error::Program {
            name: PROGRAM,
            source,
        };
        let infos = [
            self.program.info().map_err(failed)?,
            self.copier.info().map_err(failed)?,
        ];
        let counts = infos.map(|info| info.verified_instruction_count().unwrap_or(0));
        Ok(counts.into_iter().max().unwrap_or(0))
    }

    /// Advances the clock of flow ages by one age tick. Call it every `abi::AGE_SECONDS`.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn age(&mut self) -> Result<(), Error> {
        let control = self.control()?;
        let tick = control.tick.wrapping_add(1);
        self.maps
            .control
            .set(0, Control { tick, ..control }.pack(), 0)
            .map_err(of("CONTROL"))
    }

    pub(crate) fn set_control(&mut self, control: Control) -> Result<Control, Error> {
        self.maps
            .control
            .set(0, control.pack(), 0)
            .map_err(of("CONTROL"))?;
        barrier::wait()?;
        Ok(control)
    }
}

/// The epoch after `epoch`. It skips 0, which means that there is no policy.
pub(crate) fn next_epoch(epoch: u32) -> u32 {
    epoch.wrapping_add(1).max(1)
}
