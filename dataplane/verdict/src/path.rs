//! The packet path: the stages in order, once for the kernel and for user space.
//!
//! [`walk`] is the only place that knows the order. The XDP program and [`crate::judge`] each implement [`Stages`]: the XDP
//! program runs each stage as a BPF function of its own and keeps the frame's state in a per-processor map, user space
//! keeps it in a struct. What a stage does is in `stage/`.

/// What a stage answers: the XDP action that ends the path (below 0x100), or the stage that comes next.
///
/// A plain number, because it is what one BPF function returns to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next(pub u32);

impl Next {
    /// From the fast path: the flow table was not asked.
    pub const UNDECIDED: Next = Next(0x100);
    /// From the fast path: the flow table has no entry.
    pub const FLOW_MISS: Next = Next(0x101);
    /// Options, extension headers, fragments, ICMP messages or another EtherType: to the extended parse.
    pub const EXTENDED: Next = Next(0x102);
    /// The extension headers are parsed: to what follows them.
    pub const UPPER_LAYER: Next = Next(0x103);
    /// Parsed, and no established flow decides: to identify, authorise (or neighbour), forward and account.
    pub const JUDGE: Next = Next(0x104);
    /// To the next of those four.
    pub const CONTINUE: Next = Next(0x105);
    /// It passes: to have its tags and MAC addresses rewritten.
    pub const REWRITE: Next = Next(0x106);
    /// To be dropped for the reason that the stage left.
    pub const DROP: Next = Next(0x107);
    /// It passes, and its copies are made one by one.
    pub const COPY: Next = Next(0x108);
    /// From identify: ARP or neighbour discovery, which the policy does not judge.
    pub const NEIGHBOUR: Next = Next(0x109);
    /// Beside any of these: the packet establishes its flow.
    pub const ESTABLISH: u32 = 0x200;

    /// Whether the packet establishes its flow.
    #[inline(always)]
    pub const fn establishes(self) -> bool {
        self.0 & Next::ESTABLISH != 0
    }
}

/// The stages. Each reads what the stages before it left, leaves what the next ones need, and answers what comes next.
pub trait Stages {
    /// Forwards a packet of an established flow, if it is a plain one.
    fn fast_path(&mut self) -> Next;
    /// Parse, admit, track: to a segment and a packet; forwards what an established flow decides. Gets the answer of the
    /// fast path.
    fn begin(&mut self, after: Next) -> Next;
    /// Parses options, extension headers and fragments, and judges other EtherTypes.
    fn extended(&mut self) -> Next;
    /// Parses what follows the extension headers; judges later fragments, ICMP errors and group membership.
    fn upper_layer(&mut self) -> Next;
    /// The source and the destination, by device or network.
    fn identify(&mut self) -> Next;
    /// ARP and neighbour discovery, in place of `authorise`.
    fn neighbour(&mut self) -> Next;
    /// Posture, then policy.
    fn authorise(&mut self) -> Next;
    /// Learns where the source is; finds where the destination is.
    fn forward(&mut self) -> Next;
    /// Counts, and remembers the flow.
    fn account(&mut self) -> Next;
    /// Moves the flow to the established ones; answers `next` without [`Next::ESTABLISH`].
    fn establish(&mut self, next: Next) -> Next;
    /// Writes the tags and MAC addresses that the frame leaves with.
    fn rewrite(&mut self) -> Next;
    /// Counts and reports a dropped frame.
    fn drop(&mut self) -> Next;
    /// Hands a frame on to be copied one by one.
    fn copy(&mut self) -> Next;
}

/// Takes a frame through the stages. A packet of an established flow is done after the first.
#[inline(always)]
pub fn walk<S: Stages>(stages: &mut S) -> Next {
    let mut next = stages.fast_path();
    if next == Next::UNDECIDED || next == Next::FLOW_MISS {
        next = stages.begin(next);
    }
    if next == Next::EXTENDED {
        next = stages.extended();
    }
    if next == Next::UPPER_LAYER {
        next = stages.upper_layer();
    }
    if next == Next::JUDGE {
        next = stages.identify();
        if next == Next::CONTINUE {
            next = stages.authorise();
        } else if next == Next::NEIGHBOUR {
            next = stages.neighbour();
        }
        if next == Next::CONTINUE {
            next = stages.forward();
        }
        if next == Next::CONTINUE {
            next = stages.account();
        }
    }
    if next.establishes() {
        next = stages.establish(next);
    }
    if next == Next::REWRITE {
        next = stages.rewrite();
    }
    if next == Next::DROP {
        next = stages.drop();
    }
    if next == Next::COPY {
        next = stages.copy();
    }
    next
}
