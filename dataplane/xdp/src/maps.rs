//! The maps, and the constants that the loader sets.

use core::mem::MaybeUninit;

use crate::recent::Recent;
use aya_ebpf::btf_maps::{
    Array, ArrayOfMaps, DevMap, HashMap, LpmTrie, LruHashMap, PerCpuArray, RingBuf, Stack,
};
use aya_ebpf::macros::btf_map;
use cordon_verdict::abi::frozen::{
    Bucket, FROZEN_PAIRS, SEATS, VALUE_WORDS, mask_index, pair, set_of, spots, stored,
};
use cordon_verdict::abi::{
    Address, Admission, Control, CopyTo, Copying, Counter, Device, Entry, Event, Flow, Fragments,
    FragmentsKey, HOST_WORDS, Host, Line, Network, PORTS, PolicyRow, PortRate, PortSetting,
    ProxyKey, RULES, SEGMENTS, SERVICES, STACKS as MOST_STACKS, Sampling, Span, Stack as TagStack,
    Trace, WORDS4, WORDS6,
};
use cordon_verdict::{Behind, Denied, Departing, Ip, Pending, Rare, Reason};

/// Generations of the policy tables: the one in force and the one being built.
const SLOTS: usize = 2;
/// What the four bits of a port can say, in an index.
const PORT_NUMBERS: usize = 16;

/// For the loader: the ABI's version, which build of the program is in force, and the seed of the flow tables.
#[btf_map]
pub static META: Array<u64, 3> = Array::new();

/// One word: `abi::Control`.
#[btf_map]
pub static CONTROL: Array<u64, 1> = Array::new();

/// By interface index: the port's number plus one, 0 for none.
#[btf_map]
static PORTS_IN: Array<u32, 65536> = Array::new();

/// By port: where to send.
#[btf_map]
pub static PORTS_OUT: DevMap<PORTS> = DevMap::new();

/// By port: where to send copies of what is flooded, through `cordon_flood`.
#[btf_map]
pub static FLOOD_PORTS: DevMap<PORTS> = DevMap::new();

/// The same, through `cordon_inside`: for what may leave by device-facing ports only.
#[btf_map]
pub static FLOOD_INSIDE: DevMap<PORTS> = DevMap::new();

/// By port: the interface that copies made one by one leave by.
#[btf_map]
pub static PORT_NICS: Array<u32, PORTS> = Array::new();

/// By `abi::stack_key`.
#[btf_map]
pub static STACKS: HashMap<u64, u32, { SLOTS * MOST_STACKS }> = HashMap::new();

/// By `abi::stack_index`.
#[btf_map]
pub static PLACES: Array<TagStack, { SLOTS << 12 }> = Array::new();

/// By `abi::span_index`.
#[btf_map]
pub static COPY_SPANS: Array<Span, { SLOTS << 12 }> = Array::new();

/// By `abi::copy_index`.
#[btf_map]
pub static COPIES: Array<CopyTo, { SLOTS << 16 }> = Array::new();

/// By slot, then by segment and address: the MAC address.
#[btf_map]
pub static PROXIES: ArrayOfMaps<HashMap<ProxyKey, u64, 1>, SLOTS> = ArrayOfMaps::new();

/// By `abi::admission_index`.
#[btf_map]
pub static ADMISSIONS: Array<Admission, { SLOTS << 16 }> = Array::new();

/// By `abi::flood_index`.
#[btf_map]
pub static FLOODS: Array<u32, { SLOTS * SEGMENTS * PORT_NUMBERS }> = Array::new();

/// By `abi::port_index`.
#[btf_map]
pub static PORT_SETTINGS: Array<PortSetting, { SLOTS * PORT_NUMBERS }> = Array::new();

/// By port.
#[btf_map]
pub static PORT_RATES: Array<PortRate, PORTS> = Array::new();

/// By `abi::ether_type_key`.
#[btf_map]
pub static ETHER_TYPES: HashMap<u64, u32, 8192> = HashMap::new();

/// How many buckets, less one, by `abi::frozen::mask_index`.
#[btf_map]
pub static MASKS: Array<u32, { SLOTS * 4 }> = Array::new();

/// Inner arrays may be of any size (`BPF_F_INNER_MAP`), and are written in the loader's memory.
const ANY_SIZE: usize = 1 << 12 | MAPPED;

/// By slot, then `abi::frozen`: devices. The sizes of inner maps here are templates': the loader makes each as
/// large as its generation needs.
///
/// Their values are words as far as BTF is concerned, read with [`record`]: where a template's value is a `struct`
/// there, kernels before 6.2 refuse every inner map without BTF as another kind of map (`bpf_map_meta_equal` compares
/// where a timer would be, and looks for one in structs only).
#[btf_map]
pub static DEVICES: ArrayOfMaps<Array<Bucket, 1, ANY_SIZE>, SLOTS> = ArrayOfMaps::new();

/// By slot, then `abi::frozen`: whose addresses are.
#[btf_map]
pub static ADDRESSES: ArrayOfMaps<Array<Bucket, 1, ANY_SIZE>, SLOTS> = ArrayOfMaps::new();

/// By slot, then by longest prefix.
#[btf_map]
pub static NETWORKS: ArrayOfMaps<LpmTrie<[u64; 2], [u64; words::<Network>()], 1>, SLOTS> =
    ArrayOfMaps::new();

/// By slot, then `abi::steps`: networks of IPv4.
#[btf_map]
pub static STEPS: ArrayOfMaps<Array<u64, 1, ANY_SIZE>, SLOTS> = ArrayOfMaps::new();

/// By slot, then by `abi::service_index`.
#[btf_map]
pub static SERVICE_CLASSES: ArrayOfMaps<Array<u16, SERVICES>, SLOTS> = ArrayOfMaps::new();

/// By slot, then `abi::frozen`: which set of rows two classes have.
#[btf_map]
pub static PAIRS: ArrayOfMaps<Array<Bucket, 1, ANY_SIZE>, SLOTS> = ArrayOfMaps::new();

/// By slot, then `abi::frozen`: what the policy says, by set and service.
#[btf_map]
pub static POLICY: ArrayOfMaps<Array<Bucket, 1, ANY_SIZE>, SLOTS> = ArrayOfMaps::new();

/// What a table of a generation has for a key.
#[inline(always)]
pub fn frozen(
    table: &ArrayOfMaps<Array<Bucket, 1, ANY_SIZE>, SLOTS>,
    (slot, which): (u8, u32),
    key: u64,
) -> Option<[u64; VALUE_WORDS]> {
    let table = table.get(slot as u32)?;
    let mask = *MASKS.get(mask_index(slot, which))?;
    let first = stored(key);
    for spot in spots(first, mask) {
        let bucket = table.get(spot)?;
        for seat in SEATS {
            if bucket[seat] == first {
                return Some([bucket[seat + 1], bucket[seat + 2], bucket[seat + 3]]);
            }
        }
    }
    None
}

/// Which set of rows two classes have.
#[inline(always)]
pub fn set(slot: u8, from: u16, to: u16) -> Option<u32> {
    let table = PAIRS.get(slot as u32)?;
    let mask = *MASKS.get(mask_index(slot, FROZEN_PAIRS))?;
    let pair = pair(from, to);
    for spot in spots(pair as u64, mask) {
        for word in table.get(spot)? {
            if let Some(set) = set_of(*word, pair) {
                return Some(set);
            }
        }
    }
    None
}

/// How many words a record is.
const fn words<T>() -> usize {
    assert!(size_of::<T>() % 8 == 0 && align_of::<T>() <= 8);
    size_of::<T>() / 8
}

/// A record of the ABI that BTF is told is words.
#[inline(always)]
pub fn record<T: Record, const N: usize>(value: &[u64; N]) -> T {
    const { assert!(words::<T>() == N) };
    // SAFETY: it is as large, no more aligned, and any content is a valid one.
    unsafe { *core::ptr::from_ref(value).cast() }
}

/// Plain integers, whatever their bytes.
pub trait Record: Copy {}
impl Record for Device {}
impl Record for Address {}
impl Record for Network {}
impl Record for PolicyRow {}

/// How often a station moved.
#[btf_map]
pub static MOVES: Array<u64, 1> = Array::new();

/// User space has the flow tables in its memory (`BPF_F_MMAPABLE`).
pub const MAPPED: usize = 1 << 10;

/// IPv4 flows, see `abi::Line` for all of these: the index.
#[btf_map]
pub static INDEX4: Array<Line, 65536, MAPPED> = Array::new();

/// The entries.
#[btf_map]
pub static FLOWS4: Array<Entry<WORDS4, Flow>, 262_144, MAPPED> = Array::new();

/// Numbers of entries that were used before.
#[btf_map]
pub static SPARE4: Stack<u32, 262_144> = Stack::new();

/// IPv6 flows: the index.
#[btf_map]
pub static INDEX6: Array<Line, 16384, MAPPED> = Array::new();

/// The entries.
#[btf_map]
pub static FLOWS6: Array<Entry<WORDS6, Flow>, 65536, MAPPED> = Array::new();

/// Numbers of entries that were used before.
#[btf_map]
pub static SPARE6: Stack<u32, 65536> = Stack::new();

/// How many entries were ever used, IPv4 and IPv6; more, where somebody asked for more than there are.
#[btf_map]
pub static USED: Array<u64, 2> = Array::new();

/// Half-open IPv4 flows, see `abi::Ring` for all of these. Unlike the two above they make room by themselves.
#[btf_map]
pub static HALF4: Array<Entry<WORDS4, Flow>, 65536, MAPPED> = Array::new();

/// Half-open IPv6 flows.
#[btf_map]
pub static HALF6: Array<Entry<WORDS6, Flow>, 16384, MAPPED> = Array::new();

/// Hosts that have spoken, by `abi::member`. Four times as many as there should be at a time, so that hardly any eight of
/// them share a row.
#[btf_map]
pub static HOSTS: Array<Entry<HOST_WORDS, Host>, 524_288, MAPPED> = Array::new();

/// Packets of which a first fragment passed.
#[btf_map]
pub static FRAGMENTS: LruHashMap<FragmentsKey, Fragments, 16384> = LruHashMap::new();

/// By `abi::rule_index`.
#[btf_map]
pub static RULE_COUNTERS: PerCpuArray<Counter, { SLOTS * RULES }> = PerCpuArray::new();

/// By number of the reason.
#[btf_map]
pub static DROP_COUNTERS: PerCpuArray<Counter, 256> = PerCpuArray::new();

/// Events.
#[btf_map]
pub static EVENTS: RingBuf<Event, { 1 << 20 }> = RingBuf::new();

/// How many events were told of.
#[btf_map]
pub static SAMPLING: PerCpuArray<Sampling, 1> = PerCpuArray::new();

/// The last outcome, where `TRACE` is set.
#[btf_map]
pub static TRACE_OUT: PerCpuArray<Trace, 1> = PerCpuArray::new();

/// What one piece of the packet path leaves to the next.
pub struct Scratch {
    pub control: Control,
    pub port: u16,
    pub rare: MaybeUninit<Rare>,
    pub pending: MaybeUninit<Pending>,
    pub behind: MaybeUninit<Behind>,
    pub departing: MaybeUninit<Departing>,
    pub denied: MaybeUninit<Denied>,
    pub copying: MaybeUninit<Copying>,
    /// Of the last frame handed on to be copied: see `Copying::number`.
    pub copied: u32,
}

/// Words, as far as BTF is concerned: it has no way to describe a Rust enum with content.
#[btf_map]
static SCRATCH: PerCpuArray<[u64; SCRATCH_WORDS], 1> = PerCpuArray::new();

const SCRATCH_WORDS: usize = size_of::<Scratch>().div_ceil(8);
const _: () = assert!(align_of::<Scratch>() <= 8);

/// This processor's scratch space.
#[inline(always)]
pub fn scratch() -> Option<&'static mut Scratch> {
    // SAFETY: an element of a per-processor array, valid while the program runs; one frame is judged at a time on a
    // processor, and its pieces use it one after the other.
    // It is large and aligned enough, and any content is valid: what is not plain is `MaybeUninit`.
    SCRATCH
        .get_ptr_mut(0)
        .map(|scratch| unsafe { &mut *scratch.cast() })
}

/// Set by the loader to have outcomes written to `TRACE_OUT`; the verifier removes the code otherwise.
#[unsafe(no_mangle)]
static TRACE: u8 = 0;

/// Set by the loader: what the places of flows depend on, and how many lines the indices have, less one.
#[unsafe(no_mangle)]
static FLOW_SEED: u64 = 0;
#[unsafe(no_mangle)]
static FLOW_MASK4: u32 = 0;
#[unsafe(no_mangle)]
static FLOW_MASK6: u32 = 0;

/// The IPv4 flows' table.
#[inline(always)]
pub fn table4() -> Table<WORDS4, 65536, 262_144> {
    Table {
        index: &INDEX4,
        entries: &FLOWS4,
        spare: &SPARE4,
        used: 0,
        seed: seed(),
        // SAFETY: as for `TRACE`.
        mask: unsafe { core::ptr::read_volatile(&raw const FLOW_MASK4) },
    }
}

/// The IPv6 flows' table.
#[inline(always)]
pub fn table6() -> Table<WORDS6, 16384, 65536> {
    Table {
        index: &INDEX6,
        entries: &FLOWS6,
        spare: &SPARE6,
        used: 1,
        seed: seed(),
        // SAFETY: as for `TRACE`.
        mask: unsafe { core::ptr::read_volatile(&raw const FLOW_MASK6) },
    }
}

/// Half-open IPv4 flows.
#[inline(always)]
pub fn half4() -> Recent<WORDS4, Flow, 65536> {
    Recent {
        entries: &HALF4,
        seed: seed(),
    }
}

/// Half-open IPv6 flows.
#[inline(always)]
pub fn half6() -> Recent<WORDS6, Flow, 16384> {
    Recent {
        entries: &HALF6,
        seed: seed(),
    }
}

/// Hosts.
#[inline(always)]
pub fn hosts() -> Recent<HOST_WORDS, Host, 524_288> {
    Recent {
        entries: &HOSTS,
        seed: seed(),
    }
}

#[inline(always)]
fn seed() -> u64 {
    // SAFETY: as for `TRACE`.
    unsafe { core::ptr::read_volatile(&raw const FLOW_SEED) }
}

/// A table of established flows.
pub struct Table<const W: usize, const LINES: usize, const FLOWS: usize> {
    pub index: &'static Array<Line, LINES, MAPPED>,
    pub entries: &'static Array<Entry<W, Flow>, FLOWS, MAPPED>,
    pub spare: &'static Stack<u32, FLOWS>,
    /// Which element of [`USED`].
    pub used: u32,
    pub seed: u64,
    /// Lines less one.
    pub mask: u32,
}

/// Set by the loader to have outcomes written to `TRACE_OUT`; the verifier removes the code otherwise.
#[inline(always)]
pub fn tracing() -> bool {
    // SAFETY: a valid static; volatile, because the loader changes what the compiler sees.
    unsafe { core::ptr::read_volatile(&raw const TRACE) != 0 }
}

/// The port behind an interface; one that is out of range for one that is none.
#[inline(always)]
pub fn port_of(ifindex: u32) -> u16 {
    match PORTS_IN.get(ifindex) {
        Some(port) => port.wrapping_sub(1) as u16,
        None => u16::MAX,
    }
}

const _: () = assert!(Reason::ALL.len() < 256);
