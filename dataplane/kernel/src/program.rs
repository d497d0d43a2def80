//! The compiled program: its build number, loading and pinning.

use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::path::Path;
use std::{fs, io};

use aya::EbpfLoader;
use aya::maps::{Array, MapData};
use aya::programs::{ProgramError, SchedClassifier, Xdp};
use aya_obj::programs::XdpAttachType;
use cordon_verdict::abi::{VERSION, lines};

use crate::error::Error;
use crate::flow_table::{FLOWS4, FLOWS6};
use crate::maps::{FLOODS, NAMES, TraceMap};
use crate::pins::{of, pinned, typed};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/cordon-xdp.o"));

/// The name of the XDP program, and of its pin.
pub const PROGRAM: &str = "cordon";
pub const PROGRAM_PIN: &str = "program";
/// The name of the tc program that makes copies one by one, and of its pin.
pub const COPIES_PROGRAM: &str = "cordon_copies";
pub const COPIES_PIN: &str = "program_copies";

/// Indices of the map `META`.
const META_ABI: u32 = 0;
const META_BUILD: u32 = 1;
const META_SEED: u32 = 2;

/// A hash that identifies a build of the program.
pub fn build_number(trace: bool) -> u64 {
    let mut hasher = DefaultHasher::new();
    (OBJECT, trace).hash(&mut hasher);
    hasher.finish().max(1)
}

/// The number of the pinned build; `None` if no complete build is pinned.
///
/// # Errors
/// [`Error::Abi`], [`Error::Map`].
pub fn pinned_build(pins: &Path) -> Result<Option<u64>, Error> {
    if !pins.join("META").exists() {
        return Ok(None);
    }
    let meta: Array<MapData, u64> = typed(pins, "META")?;
    let abi = meta.get(&META_ABI, 0).map_err(of("META"))?;
    let build = meta.get(&META_BUILD, 0).map_err(of("META"))?;
    if build == 0 {
        // The process that pinned it was stopped before the program was in force.
        return Ok(None);
    }
    if abi != u64::from(VERSION) {
        return Err(Error::Abi {
            found: abi,
            ours: u64::from(VERSION),
            path: pins.to_owned(),
        });
    }
    Ok(Some(build))
}

/// Removes the pins of a start that did not complete.
pub fn clear(pins: &Path) -> io::Result<()> {
    for entry in fs::read_dir(pins)? {
        fs::remove_file(entry?.path())?;
    }
    Ok(())
}

/// The hash seed and the sizes of the flow tables. A program that replaces another has to use the same ones, or it would
/// not find the flows.
pub struct Sizes {
    pub seed: u64,
    flows: [u32; 2],
    lines: [u32; 2],
}

impl Sizes {
    /// For new tables that hold so many IPv4 and IPv6 flows.
    pub fn new(flows: [u32; 2]) -> Sizes {
        Sizes {
            // Random, so that no sender can predict which flows collide.
            seed: RandomState::new().hash_one(flows),
            flows,
            lines: flows.map(lines),
        }
    }

    /// Those of the pinned tables.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn pinned(pins: &Path) -> Result<Sizes, Error> {
        let meta: Array<MapData, u64> = typed(pins, "META")?;
        let entries = |name| {
            let info = pinned(pins, name)?.info().map_err(of(name))?;
            Ok::<u32, Error>(info.max_entries())
        };
        Ok(Sizes {
            seed: meta.get(&META_SEED, 0).map_err(of("META"))?,
            flows: [entries(FLOWS4.entries)?, entries(FLOWS6.entries)?],
            lines: [entries(FLOWS4.index)?, entries(FLOWS6.index)?],
        })
    }
}

/// Loads the programs with the maps that are pinned already, creates the others, and pins everything. Returns the trace
/// map if the program is to `trace`.
///
/// # Errors
/// [`Error::Load`], [`Error::Program`], [`Error::Pins`], [`Error::Map`].
pub fn load(pins: &Path, sizes: &Sizes, trace: bool) -> Result<Option<TraceMap>, Error> {
    let trace_flag = u8::from(trace);
    let masks = sizes.lines.map(|lines| lines - 1);
    let mut loader = EbpfLoader::new();
    loader
        .override_global("TRACE", &trace_flag, true)
        .override_global("FLOW_SEED", &sizes.seed, true)
        .override_global("FLOW_MASK4", &masks[0], true)
        .override_global("FLOW_MASK6", &masks[1], true);
    for (names, at) in [(FLOWS4, 0), (FLOWS6, 1)] {
        loader
            .map_max_entries(names.index, sizes.lines[at])
            .map_max_entries(names.entries, sizes.flows[at])
            .map_max_entries(names.spare, sizes.flows[at]);
    }
    for name in NAMES {
        loader.map_pin_path(name, pins.join(name));
    }
    let mut ebpf = loader.load(OBJECT)?;
    for (name, pin) in [
        (PROGRAM, PROGRAM_PIN),
        (FLOODS[0].program, FLOODS[0].pin),
        (FLOODS[1].program, FLOODS[1].pin),
        (COPIES_PROGRAM, COPIES_PIN),
    ] {
        let failed = |source| Error::Program { name, source };
        let program = ebpf
            .program_mut(name)
            .ok_or(failed(ProgramError::NotLoaded))?;
        let pin = pins.join(pin);
        // The new program takes over the pin of the old one. The links keep the old program alive until they are updated.
        let at = |source| Error::Pins {
            path: pin.clone(),
            source,
        };
        if pin.exists() {
            fs::remove_file(&pin).map_err(at)?;
        }
        let pinned = if name == COPIES_PROGRAM {
            let program: &mut SchedClassifier = program.try_into().map_err(failed)?;
            program.load().map_err(failed)?;
            program.pin(&pin)
        } else {
            let program: &mut Xdp = program.try_into().map_err(failed)?;
            program.load().map_err(failed)?;
            program.pin(&pin)
        };
        pinned.map_err(|error| at(io::Error::other(error)))?;
    }
    let Some(map) = ebpf.take_map("TRACE_OUT").filter(|_| trace) else {
        return Ok(None);
    };
    Ok(Some(map.try_into().map_err(of("TRACE_OUT"))?))
}

/// Opens a pinned XDP program.
///
/// # Errors
/// [`Error::Program`].
pub fn from_pin(pins: &Path, name: &'static str, kind: XdpAttachType) -> Result<Xdp, Error> {
    Xdp::from_pin(pins.join(name), kind).map_err(|source| Error::Program { name, source })
}

/// Writes down which build is in force. From now on [`pinned_build`] finds it.
///
/// # Errors
/// [`Error::Map`].
pub fn record_build(
    meta: &mut Array<MapData, u64>,
    sizes: &Sizes,
    build: u64,
) -> Result<(), Error> {
    // The build number last: until it is there, the start counts as incomplete.
    for (index, value) in [
        (META_ABI, u64::from(VERSION)),
        (META_SEED, sizes.seed),
        (META_BUILD, build),
    ] {
        meta.set(index, value, 0).map_err(of("META"))?;
    }
    Ok(())
}
