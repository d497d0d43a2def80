//! Judging one frame in the kernel without a NIC: `BPF_PROG_TEST_RUN`.

use aya::programs::{TestRun, TestRunOptions};
use cordon_verdict::abi::{CopyMetadata, Trace};

use crate::dataplane::Dataplane;
use crate::error::Error;
use crate::pins::of;
use crate::program::PROGRAM;
use crate::raw::{Raw, record};

/// `enum xdp_action`.
const XDP_PASS: u32 = 2;

/// The outcome for one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The program's return value (`enum xdp_action`).
    pub action: u32,
    /// The outcome that the program recorded.
    pub trace: Trace,
    /// The frame after the program ran. Copies of a flooded frame get their tags later, at each egress port.
    pub frame: Vec<u8>,
    /// The metadata for the tc program, if it is to copy the frame one by one.
    pub copies: Option<CopyMetadata>,
}

/// `struct xdp_md`: the part that a test run reads.
#[repr(C)]
struct Context {
    data: u32,
    data_end: u32,
    data_meta: u32,
    ingress_ifindex: u32,
    rx_queue_index: u32,
    egress_ifindex: u32,
}

impl Dataplane {
    /// Judges a frame as if it had arrived at `port`. The data plane must have been opened with `Options::trace`, and the
    /// port attached.
    ///
    /// The calling thread must be pinned to one processor: the outcome is read from that processor's trace.
    ///
    /// # Errors
    /// [`Error::Port`], [`Error::Untraced`], [`Error::Program`], [`Error::Map`].
    pub fn run(&self, port: u16, frame: &[u8]) -> Result<Run, Error> {
        let nic = self.ports.get(&port).ok_or(Error::Port(port))?;
        self.run_on(nic.index, frame)
    }

    /// As [`Dataplane::run`], by interface index. The interface need not be a port.
    ///
    /// # Errors
    /// As [`Dataplane::run`].
    pub fn run_on(&self, ingress_ifindex: u32, frame: &[u8]) -> Result<Run, Error> {
        let trace = self.trace.as_ref().ok_or(Error::Untraced)?;
        let context = [0, frame.len() as u32, 0, ingress_ifindex, 0, 0]
            .map(u32::to_ne_bytes)
            .concat();
        debug_assert_eq!(context.len(), size_of::<Context>());
        let mut out = vec![0; frame.len() + 96];
        let options = TestRunOptions {
            data_in: Some(frame),
            data_out: Some(&mut out),
            ctx_in: Some(&context),
            ..TestRunOptions::new()
        };
        let result = self
            .program
            .test_run(options)
            .map_err(|source| Error::Program {
                name: PROGRAM,
                source,
            })?;
        out.truncate(result.data_size_out as usize);
        let mut copies = None;
        if result.return_value == XDP_PASS {
            copies =
                record::<CopyMetadata>(&out).filter(|copying| copying.magic == CopyMetadata::MAGIC);
            if copies.is_some() {
                out.drain(..size_of::<CopyMetadata>());
            }
        }
        let here = nix::sched::sched_getcpu().unwrap_or(0);
        let values = trace.get(&0, 0).map_err(of("TRACE_OUT"))?;
        let Raw(trace) = values.get(here).copied().unwrap_or(Raw(Trace::default()));
        Ok(Run {
            action: result.return_value,
            trace,
            frame: out,
            copies,
        })
    }
}
