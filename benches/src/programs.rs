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
    /// What is in them.
    pub what: What,
}

/// What is in frames, by the number that `../programs/src/transport.rs` knows it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// Datagrams.
    Udp = 0,
    /// TCP connections asked for.
    Syn = 1,
    /// ICMP echo requests.
    Icmp = 2,
    /// Datagrams in eight pieces each.
    Fragments = 3,
    /// As `Syn`, each from another address.
    RandomSources = 4,
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
            ("WHAT", pattern.what as u32),
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

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;
    use std::process::Command;

    use etherparse::{NetSlice, SlicedPacket, TransportSlice};
    use nix::sys::socket::{
        AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, setsockopt, socket,
        sockopt,
    };
    use nix::sys::time::{TimeVal, TimeValLike as _};

    use super::*;
    use crate::namespace::{Namespace, ip};

    /// The first frames that are written, without sending them.
    fn written(what: What, frames: usize) -> Vec<Vec<u8>> {
        let mut ebpf = load(&[
            ("FLOWS", 1 << 24),
            ("DEVICES", 1),
            ("FIRST_DEVICE", 7),
            ("KIND_MASK", 7),
            ("SERVICES", 1),
            ("WHAT", what as u32),
        ])
        .expect("the object is in order");
        let program = program(&mut ebpf, "generate").expect("it needs root");
        let write = || {
            let mut frame = vec![0; 60];
            program
                .test_run(TestRunOptions {
                    data_in: Some(&[0; 60]),
                    data_out: Some(&mut frame),
                    ..TestRunOptions::new()
                })
                .expect("it runs");
            frame
        };
        (0..frames).map(|_| write()).collect()
    }

    #[test]
    fn what_is_written_is_what_it_is_called() {
        use What::{Fragments, Icmp, RandomSources, Syn, Udp};
        for what in [Udp, Syn, Icmp, Fragments, RandomSources] {
            let frames = written(what, 16);
            for (number, frame) in frames.iter().enumerate() {
                let packet = SlicedPacket::from_ethernet(frame).expect("a whole packet");
                let Some(NetSlice::Ipv4(ip)) = &packet.net else {
                    panic!("{what:?}: {packet:?}");
                };
                let header = ip.header().to_header();
                assert_eq!(header.calc_header_checksum(), header.header_checksum);
                assert_eq!(header.destination, [10, 200, 7, 10]);
                let own = header.source == [10, 64, 0, 23];
                assert_eq!(own, what != RandomSources, "{what:?}: {:?}", header.source);
                let port = 20000 + number as u16;
                match (what, &packet.transport) {
                    (Udp, Some(TransportSlice::Udp(udp))) => {
                        let ports = (udp.source_port(), udp.destination_port());
                        assert_eq!(ports, (port, 24107));
                        assert_eq!((udp.length(), udp.checksum()), (26, 0));
                    }
                    (Syn | RandomSources, Some(TransportSlice::Tcp(tcp))) => {
                        assert_eq!((tcp.source_port(), tcp.destination_port()), (port, 443));
                        assert!(tcp.syn() && !tcp.ack() && tcp.payload().is_empty());
                        let sum = tcp.to_header().calc_checksum_ipv4(&header, &[]);
                        assert_eq!(sum.expect("short"), tcp.checksum(), "{what:?}");
                    }
                    (Icmp, Some(TransportSlice::Icmpv4(icmp))) => {
                        let sum = icmp.icmp_type().calc_checksum(icmp.payload());
                        assert_eq!((icmp.type_u8(), icmp.checksum()), (8, sum));
                        assert_eq!(icmp.bytes5to8()[..2], port.to_be_bytes());
                    }
                    (Fragments, None) => {
                        let piece = number as u16 % 8;
                        assert_eq!(header.identification, number as u16 / 8);
                        assert_eq!(header.fragment_offset.value(), piece * 3);
                        assert_eq!(header.more_fragments, piece < 7);
                        assert_eq!(header.total_len, 44);
                        let ports = [port - 7 * (number as u16 / 8), 24107, 192, 0];
                        let ports: Vec<u8> = ports.iter().flat_map(|n| n.to_be_bytes()).collect();
                        let payload = ip.payload().payload;
                        assert_eq!(payload.starts_with(&ports), piece == 0, "{payload:?}");
                    }
                    (_, other) => panic!("{what:?}: {other:?}"),
                }
                let before = &frames[..number];
                assert!(!before.contains(frame), "{what:?}: twice the same");
            }
        }
    }

    /// What hping3 sends with the arguments of a flood, as the other end of a cable hears it.
    fn sent_by_hping3(what: What, frames: usize) -> Vec<Vec<u8>> {
        let [device, server] = [(); 2].map(|()| Namespace::new().expect("it needs root"));
        device.cable("eth0", &server, "eth0").expect("a cable");
        let set_up = || {
            ip("address add 10.64.0.23/32 dev eth0")?;
            ip("route add 10.200.0.0/16 dev eth0")?;
            ip("neighbour replace 10.200.7.10 lladdr 02:00:00:00:00:01 nud permanent dev eth0")
        };
        device.run(set_up).expect("an address");
        let hear = || {
            let ear = socket(
                AddressFamily::Packet,
                SockType::Raw,
                SockFlag::empty(),
                SockProtocol::EthAll,
            )?;
            setsockopt(&ear, sockopt::ReceiveTimeout, &TimeVal::seconds(5))?;
            Ok(ear)
        };
        let ear = server.run(hear).expect("a socket");
        let send = || {
            let some = ["-q", "-i", "u1000", "-c", "16"];
            let arguments = [&some, crate::floods::arguments(what), &["10.200.7.10"]].concat();
            // Nobody answers, which it calls a failure.
            Ok(Command::new("hping3").args(arguments).output()?)
        };
        device.run(send).expect("hping3 is installed");
        let mut heard = Vec::new();
        while heard.len() < frames {
            let mut frame = vec![0; 2048];
            let length = recv(ear.as_raw_fd(), &mut frame, MsgFlags::empty());
            frame.truncate(length.expect("hping3 sends as many"));
            heard.push(frame);
        }
        heard
    }

    /// What gateways look at in a frame, but for numbers that differ from frame to frame.
    fn likeness(frame: &[u8]) -> String {
        let packet = SlicedPacket::from_ethernet(frame).expect("a whole packet");
        let Some(NetSlice::Ipv4(ip)) = &packet.net else {
            panic!("{packet:?}");
        };
        let header = ip.header().to_header();
        let behind = match &packet.transport {
            Some(TransportSlice::Udp(udp)) => format!("UDP to {}", udp.destination_port()),
            Some(TransportSlice::Tcp(tcp)) => format!(
                "TCP to {}, flags {:#x}, window {}, {} bytes",
                tcp.destination_port(),
                tcp.slice()[13],
                tcp.window_size(),
                tcp.payload().len()
            ),
            Some(TransportSlice::Icmpv4(icmp)) => {
                format!("ICMP type {}, code {}", icmp.type_u8(), icmp.code_u8())
            }
            other => format!("{other:?}"),
        };
        let part = (
            header.fragment_offset.value(),
            header.more_fragments,
            header.dont_fragment,
        );
        let to = header.destination;
        let own = header.source == [10, 64, 0, 23];
        format!(
            "{} bytes to {to:?}, own address {own}, TTL {}, part {part:?}, {behind}",
            header.total_len, header.time_to_live
        )
    }

    #[test]
    fn the_kernel_writes_what_hping3_sends() {
        use What::{Fragments, Icmp, RandomSources, Syn, Udp};
        for what in [Udp, Syn, Icmp, Fragments, RandomSources] {
            let all = |frames: Vec<Vec<u8>>| -> Vec<String> {
                frames.iter().map(|frame| likeness(frame)).collect()
            };
            let (kernel, hping3) = (all(written(what, 16)), all(sent_by_hping3(what, 16)));
            assert_eq!(kernel, hping3, "{what:?}");
        }
    }
}
