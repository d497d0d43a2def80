//! Opening the data plane: taking over the pinned program, replacing it, or loading it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use aya::programs::SchedClassifier;
use aya_obj::programs::XdpAttachType;

use crate::dataplane::Dataplane;
use crate::error::Error;
use crate::maps::{FLOODS, Maps};
use crate::program::{
    COPIES_PIN, COPIES_PROGRAM, PROGRAM_PIN, Sizes, build_number, clear, from_pin, load,
    pinned_build, record_build,
};
use crate::{bpffs, ports};

/// How to open the data plane.
#[derive(Clone, Debug)]
pub struct Options {
    /// A directory on a bpf file system that nothing else uses. Programs and maps that are pinned there outlive the process.
    pub pins: PathBuf,
    /// Whether the program records the outcome of each frame, for [`Dataplane::run`].
    pub trace: bool,
    /// The number of established IPv4 flows that the table can hold.
    pub flows4: u32,
    /// The same for IPv6.
    pub flows6: u32,
}

impl Options {
    /// The default sizes, pinned in `pins`.
    pub fn new(pins: impl Into<PathBuf>) -> Options {
        Options {
            pins: pins.into(),
            trace: false,
            flows4: 262_144,
            flows6: 65536,
        }
    }
}

/// How the data plane was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// No program was pinned.
    New,
    /// This build was pinned and stays in force.
    TakenOver,
    /// Another build was pinned and has been replaced on every port, between two packets.
    Replaced,
}

impl Dataplane {
    /// Takes over the pinned program, replaces it, or loads it. No frame is forwarded before [`Dataplane::install`].
    ///
    /// # Errors
    /// [`Error::Abi`] if the pinned program has another ABI: it stays in force. Else why the program could not be loaded.
    pub fn open(options: &Options) -> Result<(Dataplane, Opened), Error> {
        let pins = &options.pins;
        let at = |source| Error::Pins {
            path: pins.clone(),
            source,
        };
        bpffs::prepare(pins).map_err(at)?;
        let build = build_number(options.trace);
        let sizes;
        let (opened, trace) = match pinned_build(pins)? {
            Some(found) if found == build && !options.trace => {
                sizes = Sizes::pinned(pins)?;
                (Opened::TakenOver, None)
            }
            Some(_) => {
                sizes = Sizes::pinned(pins)?;
                (Opened::Replaced, load(pins, &sizes, options.trace)?)
            }
            None => {
                clear(pins).map_err(at)?;
                sizes = Sizes::new([options.flows4, options.flows6]);
                (Opened::New, load(pins, &sizes, options.trace)?)
            }
        };
        let mut dataplane = Dataplane {
            maps: Maps::open(pins)?,
            program: from_pin(pins, PROGRAM_PIN, XdpAttachType::Interface)?,
            flood: [
                from_pin(pins, FLOODS[0].pin, XdpAttachType::DevMap)?,
                from_pin(pins, FLOODS[1].pin, XdpAttachType::DevMap)?,
            ],
            copier: SchedClassifier::from_pin(pins.join(COPIES_PIN)).map_err(|source| {
                Error::Program {
                    name: COPIES_PROGRAM,
                    source,
                }
            })?,
            trace,
            pins: pins.clone(),
            ports: BTreeMap::new(),
            // A previous process may have throttled hosts.
            throttled: true,
            moves: 0,
            removed: Vec::new(),
        };
        if opened == Opened::Replaced {
            ports::replace_programs(&mut dataplane)?;
        }
        let maps = &mut dataplane.maps;
        if opened != Opened::New {
            maps.flows4.recover(&maps.used)?;
            maps.flows6.recover(&maps.used)?;
        }
        if opened != Opened::TakenOver {
            record_build(&mut maps.meta, &sizes, build)?;
        }
        Ok((dataplane, opened))
    }
}
