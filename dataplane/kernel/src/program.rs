//! The program: taken over from pins, or loaded anew.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::{fs, io};

use aya::EbpfLoader;
use aya::programs::{ProgramError, SchedClassifier, Xdp};
use aya_obj::programs::XdpAttachType;
use cordon_verdict::abi::{Control, VERSION, lines};

use crate::error::Error;
use crate::flows::At;
use crate::maps::{FLOODS, Maps, NAMES, TraceMap, of, pinned, typed};
use crate::nic::Nic;
use crate::table::{FLOWS4, FLOWS6};
use crate::{barrier, bpffs, ports};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/cordon-xdp.o"));

const PROGRAM: &str = "cordon";
const PROGRAM_PIN: &str = "program";
const COPIES_PROGRAM: &str = "cordon_copies";
const COPIES_PIN: &str = "program_copies";
const META_ABI: u32 = 0;
const META_BUILD: u32 = 1;
const META_SEED: u32 = 2;

/// How to open the data plane.
#[derive(Clone, Debug)]
pub struct Options {
    /// A directory of its own on a bpf file system: what is pinned there outlives the process.
    pub pins: PathBuf,
    /// Have the program write down what became of each frame, for [`Dataplane::run`].
    pub trace: bool,
    /// Room for established IPv4 flows.
    pub flows4: u32,
    /// The same for IPv6.
    pub flows6: u32,
}

impl Options {
    /// The usual sizes, pinned in `pins`.
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
    /// Nothing was there.
    New,
    /// This very program was in force, and still is.
    TakenOver,
    /// Another build was in force and has been replaced, on every port, between two packets.
    Replaced,
}

/// The XDP program and its maps.
pub struct Dataplane {
    pub(crate) maps: Maps,
    pub(crate) program: Xdp,
    /// In the order of [`FLOODS`].
    pub(crate) flood: [Xdp; 2],
    pub(crate) copier: SchedClassifier,
    pub(crate) trace: Option<TraceMap>,
    pub(crate) pins: PathBuf,
    pub(crate) ports: BTreeMap<u16, Nic>,
    /// Whether any host had as many flows as it may at the last sweep.
    pub(crate) holds: bool,
    /// How often a station had moved when flows were last looked through for it.
    pub(crate) moves: u64,
    /// Where flows were that sweeps have forgotten, the lowest first, until [`Dataplane::tidy`].
    pub(crate) leaving: Vec<At>,
}

impl Dataplane {
    /// Takes over what is pinned, or loads the program anew. Nothing is forwarded before [`Dataplane::install`].
    ///
    /// # Errors
    /// [`Error::Abi`] if what is pinned speaks another ABI: it stays in force. Else why it could not be loaded.
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
                (Opened::Replaced, load(options, &sizes)?)
            }
            None => {
                clear(pins).map_err(at)?;
                sizes = Sizes::new(options);
                (Opened::New, load(options, &sizes)?)
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
            // Whoever was here before may have left some behind.
            holds: true,
            moves: 0,
            leaving: Vec::new(),
        };
        if opened == Opened::Replaced {
            ports::replace_programs(&mut dataplane)?;
        }
        if opened != Opened::New {
            let Maps {
                flows4,
                flows6,
                used,
                ..
            } = &mut dataplane.maps;
            flows4.recover(used)?;
            flows6.recover(used)?;
        }
        if opened != Opened::TakenOver {
            dataplane
                .maps
                .meta
                .set(META_ABI, u64::from(VERSION), 0)
                .map_err(of("META"))?;
            dataplane
                .maps
                .meta
                .set(META_SEED, sizes.seed, 0)
                .map_err(of("META"))?;
            dataplane
                .maps
                .meta
                .set(META_BUILD, build, 0)
                .map_err(of("META"))?;
        }
        Ok((dataplane, opened))
    }

    /// The policy and posture in force.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn control(&self) -> Result<Control, Error> {
        Ok(Control::unpack(
            self.maps.control.get(&0, 0).map_err(of("CONTROL"))?,
        ))
    }

    /// Puts a posture (0 normal to 5 sever) into force. On return no packet is judged by another.
    ///
    /// # Errors
    /// [`Error::Map`]; [`Error::Barrier`], with the posture already in force for every new packet.
    pub fn set_posture(&mut self, posture: u8) -> Result<Control, Error> {
        let control = self.control()?;
        // Without a policy there is nothing that a posture could open or close.
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

    /// Instructions that the kernel's verifier looked at before it took the packet path, or what makes copies, whichever was
    /// more: it gives up at a million.
    ///
    /// # Errors
    /// [`Error::Program`].
    pub fn verified_instructions(&self) -> Result<u32, Error> {
        let wrong = |source| Error::Program {
            name: PROGRAM,
            source,
        };
        let infos = [
            self.program.info().map_err(wrong)?,
            self.copier.info().map_err(wrong)?,
        ];
        let counts = infos.map(|info| info.verified_instruction_count().unwrap_or(0));
        Ok(counts.into_iter().max().unwrap_or(0))
    }

    /// Moves the clock of flows on by one: to be called every `abi::AGE_SECONDS`.
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

/// 0 means that there is no policy, so it is passed over.
pub(crate) fn next_epoch(epoch: u32) -> u32 {
    epoch.wrapping_add(1).max(1)
}

/// Tells one build of the program from another.
fn build_number(trace: bool) -> u64 {
    let mut hasher = DefaultHasher::new();
    (OBJECT, trace).hash(&mut hasher);
    hasher.finish().max(1)
}

/// The build that is pinned and complete; `None` if there is none.
fn pinned_build(pins: &Path) -> Result<Option<u64>, Error> {
    if !pins.join("META").exists() {
        return Ok(None);
    }
    let maps = aya::maps::MapData::from_pin(pins.join("META")).map_err(of("META"))?;
    let meta: aya::maps::Array<_, u64> = aya::maps::Map::from_map_data(maps)
        .and_then(TryInto::try_into)
        .map_err(of("META"))?;
    let abi = meta.get(&META_ABI, 0).map_err(of("META"))?;
    let build = meta.get(&META_BUILD, 0).map_err(of("META"))?;
    if build == 0 {
        // Whoever pinned this was stopped before the program was in force.
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

/// Removes leftovers of a start that did not finish.
fn clear(pins: &Path) -> io::Result<()> {
    for entry in fs::read_dir(pins)? {
        fs::remove_file(entry?.path())?;
    }
    Ok(())
}

/// What the flow tables are made with. A program that replaces another has to find flows where that one put them.
struct Sizes {
    seed: u64,
    flows: [u32; 2],
    lines: [u32; 2],
}

impl Sizes {
    fn new(options: &Options) -> Sizes {
        let flows = [options.flows4, options.flows6];
        Sizes {
            // As for the standard library's hash maps: random, and not to be told from outside.
            seed: RandomState::new().hash_one(&options.pins),
            flows,
            lines: flows.map(lines),
        }
    }

    fn pinned(pins: &Path) -> Result<Sizes, Error> {
        let meta: aya::maps::Array<_, u64> = typed(pins, "META")?;
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

/// Loads the programs, with pinned maps where there are some, and pins all.
fn load(options: &Options, sizes: &Sizes) -> Result<Option<TraceMap>, Error> {
    let pins = &options.pins;
    let trace = u8::from(options.trace);
    let masks = sizes.lines.map(|lines| lines - 1);
    let mut loader = EbpfLoader::new();
    loader
        .override_global("TRACE", &trace, true)
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
        let wrong = |source| Error::Program { name, source };
        let program = ebpf
            .program_mut(name)
            .ok_or(wrong(ProgramError::NotLoaded))?;
        let pin = pins.join(pin);
        // A program that is replaced gives its name to the new one. The links hold it until they are told.
        let at = |source| Error::Pins {
            path: pin.clone(),
            source,
        };
        if pin.exists() {
            fs::remove_file(&pin).map_err(at)?;
        }
        let pinned = if name == COPIES_PROGRAM {
            let program: &mut SchedClassifier = program.try_into().map_err(wrong)?;
            program.load().map_err(wrong)?;
            program.pin(&pin)
        } else {
            let program: &mut Xdp = program.try_into().map_err(wrong)?;
            program.load().map_err(wrong)?;
            program.pin(&pin)
        };
        pinned.map_err(|error| at(io::Error::other(error)))?;
    }
    let Some(map) = ebpf.take_map("TRACE_OUT").filter(|_| options.trace) else {
        return Ok(None);
    };
    Ok(Some(map.try_into().map_err(of("TRACE_OUT"))?))
}

fn from_pin(pins: &Path, name: &'static str, kind: XdpAttachType) -> Result<Xdp, Error> {
    Xdp::from_pin(pins.join(name), kind).map_err(|source| Error::Program { name, source })
}
