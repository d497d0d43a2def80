//! Loads the XDP programs of `../programs`.

use anyhow::{Context as _, Result};
use aya::maps::{DevMap, PerCpuArray};
use aya::programs::{TestRun as _, TestRunAttrs, TestRunOptions, Xdp, XdpMode};
use aya::{Ebpf, EbpfLoader};
use nix::net::if_::if_nametoindex;

use crate::payload::Payload;
use crate::traffic::{Device, Site};

static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/cordon-bench-programs.o"));

/// Frames that the kernel runs through the program at a time: its default.
const BATCH: u32 = 64;

/// The frames of a generator.
#[derive(Clone, Copy, Debug)]
pub struct Pattern {
    /// The number of flows.
    pub flows: u32,
    /// The site with the devices and servers.
    pub site: Site,
    /// The only sender, or all devices of the site.
    pub device: Option<Device>,
    /// Whether frames have a VLAN tag.
    pub tagged: bool,
    /// Whether the gateway routes.
    pub routed: bool,
    /// Whether frames are answers, from servers to devices.
    pub answers: bool,
    /// The transport payload.
    pub payload: Payload,
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
        .with_context(|| format!("the kernel refuses program {name}"))?;
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
        .with_context(|| format!("cannot attach {name} to {interface} in driver mode"))?;
    Ok(())
}

/// Sends frames out of an interface.
pub struct Generator {
    ebpf: Ebpf,
    tagged: bool,
}

impl Generator {
    /// A generator for an interface of the calling thread's namespace.
    ///
    /// # Errors
    /// If the kernel refuses the program.
    pub fn new(pattern: Pattern, interface: &str) -> Result<Generator> {
        let (first, devices) = match pattern.device {
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
            ("WHAT", pattern.payload as u32),
        ])?;
        send_to(&mut ebpf, interface)?;
        program(&mut ebpf, "generate")?;
        let tagged = pattern.tagged;
        Ok(Generator { ebpf, tagged })
    }

    /// Sends frames, and returns when all of them are processed.
    ///
    /// # Errors
    /// If the kernel refuses them.
    pub fn send(&self, frames: u32) -> Result<()> {
        let frame = [0; 64];
        let program = self
            .ebpf
            .program("generate")
            .context("there is no program generate")?;
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

/// Redirects all frames of an interface.
pub struct Redirector {
    _ebpf: Ebpf,
}

impl Redirector {
    /// Redirects from one interface to another of the calling thread's namespace.
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

/// Counts received frames, and drops or answers them.
pub struct Sink {
    ebpf: Ebpf,
}

/// The frames that a sink has received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Frames of the benchmark.
    pub ours: u64,
    /// Other frames.
    pub others: u64,
}

impl Sink {
    /// A sink on an interface of the calling thread's namespace, which drops frames.
    ///
    /// # Errors
    /// If the kernel refuses the program.
    pub fn new(interface: &str) -> Result<Sink> {
        Sink::of("count", interface)
    }

    /// A sink that answers every frame.
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

    /// The frames received so far.
    ///
    /// # Errors
    /// If the map cannot be read.
    pub fn arrived(&self) -> Result<Received> {
        let map = self
            .ebpf
            .map("COUNTED")
            .context("there is no map COUNTED")?;
        let map: PerCpuArray<_, u64> = map.try_into()?;
        let sum = |key: u32| -> Result<u64> { Ok(map.get(&key, 0)?.iter().sum()) };
        Ok(Received {
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

    /// The first frames that the generator writes, without sending them.
    fn written(payload: Payload, frames: usize) -> Vec<Vec<u8>> {
        let mut ebpf = load(&[
            ("FLOWS", 1 << 24),
            ("DEVICES", 1),
            ("FIRST_DEVICE", 7),
            ("KIND_MASK", 7),
            ("SERVICES", 1),
            ("WHAT", payload as u32),
        ])
        .expect("the object loads");
        let program = program(&mut ebpf, "generate").expect("the test runs as root");
        let write = || {
            let mut frame = vec![0; 60];
            program
                .test_run(TestRunOptions {
                    data_in: Some(&[0; 60]),
                    data_out: Some(&mut frame),
                    ..TestRunOptions::new()
                })
                .expect("the program runs");
            frame
        };
        (0..frames).map(|_| write()).collect()
    }

    #[test]
    fn generated_frames_are_valid_packets_of_their_kind() {
        use Payload::{Fragments, Icmp, RandomSources, Syn, Udp};
        for payload in [Udp, Syn, Icmp, Fragments, RandomSources] {
            let frames = written(payload, 16);
            for (number, frame) in frames.iter().enumerate() {
                let packet = SlicedPacket::from_ethernet(frame).expect("a whole packet");
                let Some(NetSlice::Ipv4(ip)) = &packet.net else {
                    panic!("{payload:?}: {packet:?}");
                };
                let header = ip.header().to_header();
                assert_eq!(header.calc_header_checksum(), header.header_checksum);
                assert_eq!(header.destination, [10, 200, 7, 10]);
                let own = header.source == [10, 64, 0, 23];
                assert_eq!(
                    own,
                    payload != RandomSources,
                    "{payload:?}: {:?}",
                    header.source
                );
                let port = 20000 + number as u16;
                match (payload, &packet.transport) {
                    (Udp, Some(TransportSlice::Udp(udp))) => {
                        let ports = (udp.source_port(), udp.destination_port());
                        assert_eq!(ports, (port, 24107));
                        assert_eq!((udp.length(), udp.checksum()), (26, 0));
                    }
                    (Syn | RandomSources, Some(TransportSlice::Tcp(tcp))) => {
                        assert_eq!((tcp.source_port(), tcp.destination_port()), (port, 443));
                        assert!(tcp.syn() && !tcp.ack() && tcp.payload().is_empty());
                        let sum = tcp.to_header().calc_checksum_ipv4(&header, &[]);
                        assert_eq!(
                            sum.expect("the segment is short"),
                            tcp.checksum(),
                            "{payload:?}"
                        );
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
                        let bytes = ip.payload().payload;
                        assert_eq!(bytes.starts_with(&ports), piece == 0, "{bytes:?}");
                    }
                    (_, other) => panic!("{payload:?}: {other:?}"),
                }
                let before = &frames[..number];
                assert!(!before.contains(frame), "{payload:?}: a repeated frame");
            }
        }
    }

    /// The frames that hping3 sends with the arguments of a flood, as the peer of a veth receives them.
    fn sent_by_hping3(payload: Payload, frames: usize) -> Vec<Vec<u8>> {
        let [device, server] = [(); 2].map(|()| Namespace::new().expect("the test runs as root"));
        device
            .cable("eth0", &server, "eth0")
            .expect("the veth pair is created");
        let set_up = || {
            ip("address add 10.64.0.23/32 dev eth0")?;
            ip("route add 10.200.0.0/16 dev eth0")?;
            ip("neighbour replace 10.200.7.10 lladdr 02:00:00:00:00:01 nud permanent dev eth0")
        };
        device.run(set_up).expect("the address is set");
        let open = || {
            let receiver = socket(
                AddressFamily::Packet,
                SockType::Raw,
                SockFlag::empty(),
                SockProtocol::EthAll,
            )?;
            setsockopt(&receiver, sockopt::ReceiveTimeout, &TimeVal::seconds(5))?;
            Ok(receiver)
        };
        let receiver = server.run(open).expect("the socket opens");
        let send = || {
            let some = ["-q", "-i", "u1000", "-c", "16"];
            let arguments = [&some, payload.hping3_arguments(), &["10.200.7.10"]].concat();
            // hping3 fails if there are no answers.
            Ok(Command::new("hping3").args(arguments).output()?)
        };
        device.run(send).expect("hping3 is installed");
        let mut received = Vec::new();
        while received.len() < frames {
            let mut frame = vec![0; 2048];
            let length = recv(receiver.as_raw_fd(), &mut frame, MsgFlags::empty());
            frame.truncate(length.expect("hping3 sends the frames"));
            received.push(frame);
        }
        received
    }

    /// The fields of a frame that gateways inspect, except those that differ from frame to frame.
    fn inspected_fields(frame: &[u8]) -> String {
        let packet = SlicedPacket::from_ethernet(frame).expect("a whole packet");
        let Some(NetSlice::Ipv4(ip)) = &packet.net else {
            panic!("{packet:?}");
        };
        let header = ip.header().to_header();
        let transport = match &packet.transport {
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
            "{} bytes to {to:?}, own address {own}, TTL {}, part {part:?}, {transport}",
            header.total_len, header.time_to_live
        )
    }

    #[test]
    fn generated_floods_have_the_same_fields_as_hping3s() {
        use Payload::{Fragments, Icmp, RandomSources, Syn, Udp};
        for payload in [Udp, Syn, Icmp, Fragments, RandomSources] {
            let all = |frames: Vec<Vec<u8>>| -> Vec<String> {
                frames.iter().map(|frame| inspected_fields(frame)).collect()
            };
            let (kernel, hping3) = (all(written(payload, 16)), all(sent_by_hping3(payload, 16)));
            assert_eq!(kernel, hping3, "{payload:?}");
        }
    }
}
