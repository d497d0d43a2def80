//! The XDP programs of `../programs`, loaded.

use anyhow::{Context as _, Result};
use aya::maps::{DevMap, PerCpuArray};
use aya::programs::{TestRun as _, TestRunAttrs, TestRunOptions, Xdp, XdpMode};
use aya::{Ebpf, EbpfLoader};
use nix::net::if_::if_nametoindex;

use crate::traffic::{Device, Site};

static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/cordon-bench-programs.o"));

/// Frames the kernel takes through the program at a time: its own default.
const BATCH: u32 = 64;

/// What a generator writes.
#[derive(Clone, Copy, Debug)]
pub struct Pattern {
    /// How many flows.
    pub flows: u32,
    /// Of whose devices, to what servers.
    pub site: Site,
    /// Of one device alone.
    pub alone: Option<Device>,
    /// In a VLAN.
    pub tagged: bool,
    /// To a gateway that routes.
    pub routed: bool,
    /// The other way: from servers to devices.
    pub answers: bool,
    /// ICMP echo requests instead of UDP.
    pub icmp: bool,
}

fn load(settings: &[(&'static str, u32)]) -> Result<Ebpf> {
    let mut loader = EbpfLoader::new();
    for (name, value) in settings {
        loader.override_global(name, value, true);
    }
    loader.load(OBJECT).context("cannot load the XDP programs")
}

fn program<'a>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut Xdp> {
    let program: &mut Xdp = ebpf
        .program_mut(name)
        .with_context(|| format!("there is no program {name}"))?
        .try_into()?;
    program
        .load()
        .with_context(|| format!("program {name} is refused"))?;
    Ok(program)
}

fn send_to(ebpf: &mut Ebpf, interface: &str) -> Result<()> {
    let index = index(interface)?;
    let map = ebpf.map_mut("OUT").context("there is no map OUT")?;
    DevMap::try_from(map)?.set(0, index, None, 0)?;
    Ok(())
}

fn index(interface: &str) -> Result<u32> {
    if_nametoindex(interface).with_context(|| format!("there is no {interface}"))
}

fn attach(ebpf: &mut Ebpf, name: &'static str, interface: &str) -> Result<()> {
    program(ebpf, name)?
        .attach_to_if_index(index(interface)?, XdpMode::Driver)
        .with_context(|| format!("cannot put {name} on {interface} in driver mode"))?;
    Ok(())
}

/// Sends frames out of an interface.
pub struct Generator {
    ebpf: Ebpf,
    tagged: bool,
}

impl Generator {
    /// One for an interface of the calling thread's namespace.
    ///
    /// # Errors
    /// If the kernel refuses the program.
    pub fn new(pattern: Pattern, interface: &str) -> Result<Generator> {
        let (first, devices) = match pattern.alone {
            Some(device) => (device, 1),
            None => (Device(0), pattern.site.devices()),
        };
        let mut ebpf = load(&[
            ("FLOWS", pattern.flows),
            ("DEVICES", devices.min(pattern.flows)),
            ("FIRST_DEVICE", first.0),
            ("KIND_MASK", pattern.site.kinds() - 1),
            ("SERVICES", pattern.site.services()),
            ("TAGGED", pattern.tagged.into()),
            ("ROUTED", pattern.routed.into()),
            ("ANSWERS", pattern.answers.into()),
            ("ICMP", pattern.icmp.into()),
        ])?;
        send_to(&mut ebpf, interface)?;
        program(&mut ebpf, "generate")?;
        let tagged = pattern.tagged;
        Ok(Generator { ebpf, tagged })
    }

    /// Sends so many frames, and returns when they are through.
    ///
    /// # Errors
    /// If the kernel does not take them.
    pub fn send(&self, frames: u32) -> Result<()> {
        let frame = [0; 64];
        let program = self.ebpf.program("generate").context("it was loaded")?;
        let program: &Xdp = program.try_into()?;
        program
            .test_run(TestRunOptions {
                data_in: Some(if self.tagged { &frame } else { &frame[..60] }),
                repeat: frames,
                attrs: TestRunAttrs::new().xdp_live_frames(BATCH),
                ..TestRunOptions::new()
            })
            .context("cannot send live frames (Linux 5.18 or later can)")?;
        Ok(())
    }

    /// Frames sent so far.
    ///
    /// # Errors
    /// If the map cannot be read.
    pub fn sent(&self) -> Result<u64> {
        let map = self.ebpf.map("NEXT").context("there is no map NEXT")?;
        let map: PerCpuArray<_, [u64; 5]> = map.try_into()?;
        Ok(map.get(&0, 0)?.iter().map(|[.., written]| written).sum())
    }
}

/// Sends on whatever comes in.
pub struct Redirector {
    _ebpf: Ebpf,
}

impl Redirector {
    /// From one interface to another of the calling thread's namespace.
    ///
    /// # Errors
    /// If the kernel refuses the program.
    pub fn new(from: &str, to: &str) -> Result<Redirector> {
        let mut ebpf = load(&[])?;
        send_to(&mut ebpf, to)?;
        attach(&mut ebpf, "redirect", from)?;
        Ok(Redirector { _ebpf: ebpf })
    }
}

/// Counts what arrives, and swallows it or sends it back.
pub struct Sink {
    ebpf: Ebpf,
}

/// What a sink has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// Frames of the benchmark.
    pub ours: u64,
    /// Others.
    pub others: u64,
}

impl Sink {
    /// One on an interface of the calling thread's namespace.
    ///
    /// # Errors
    /// If the kernel refuses the program.
    pub fn new(interface: &str) -> Result<Sink> {
        Sink::of("count", interface)
    }

    /// One that answers every frame.
    ///
    /// # Errors
    /// If the kernel refuses the program.
    pub fn answering(interface: &str) -> Result<Sink> {
        Sink::of("answer", interface)
    }

    fn of(program: &'static str, interface: &str) -> Result<Sink> {
        let mut ebpf = load(&[])?;
        send_to(&mut ebpf, interface)?;
        attach(&mut ebpf, program, interface)?;
        Ok(Sink { ebpf })
    }

    /// What it has seen so far.
    ///
    /// # Errors
    /// If the map cannot be read.
    pub fn arrived(&self) -> Result<Arrived> {
        let map = self
            .ebpf
            .map("COUNTED")
            .context("there is no map COUNTED")?;
        let map: PerCpuArray<_, u64> = map.try_into()?;
        let sum = |key: u32| -> Result<u64> { Ok(map.get(&key, 0)?.iter().sum()) };
        Ok(Arrived {
            ours: sum(0)?,
            others: sum(1)?,
        })
    }
}
