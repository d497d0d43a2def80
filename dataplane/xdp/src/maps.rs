//! The maps, and the constants that the loader sets.

use core::mem::MaybeUninit;

use crate::evicting::EvictingTable;
use aya_ebpf::btf_maps::{
    Array, ArrayOfMaps, DevMap, HashMap, LpmTrie, LruHashMap, PerCpuArray, RingBuf, Stack,
};
use aya_ebpf::macros::btf_map;
use cordon_verdict::abi::cuckoo::{
    Bucket, CUCKOO_PAIRS, SLOT_OFFSETS, VALUE_WORDS, candidate_buckets, mask_index, pair, set_of,
    stored,
};
use cordon_verdict::abi::{
    Address, Admission, Control, CopyMetadata, CopyTarget, Counter, Device, Entry, Event, Flow,
    Fragments, FragmentsKey, HOST_WORDS, Host, Line, Network, PORTS, PolicyRow, PortRate,
    PortSetting, ProxyKey, RULES, SEGMENTS, SERVICES, STACKS as MOST_STACKS, Sampling, Span,
    Stack as TagStack, Trace, WORDS4, WORDS6,
};
use cordon_verdict::{Denied, Extended, Pending, Reason, Rewriting, UpperLayer};

/// Generations of the policy tables: the one in force and the one being built.
const SLOTS: usize = 2;
/// Values of the four bits for a port in an index.
const PORT_NUMBERS: usize = 16;

/// For the loader: the ABI version, the build of the program in force, and the seed of the flow tables.
#[btf_map]
pub static META: Array<u64, 3> = Array::new();

/// The control word, `abi::Control`.
#[btf_map]
pub static CONTROL: Array<u64, 1> = Array::new();

/// By interface index: the port's number plus one, 0 for none.
#[btf_map]
static PORTS_IN: Array<u32, 65536> = Array::new();

/// By port: its interface.
#[btf_map]
pub static PORTS_OUT: DevMap<PORTS> = DevMap::new();

/// By port: its interface, for copies of flooded frames, through the program `cordon_flood`.
#[btf_map]
pub static FLOOD_PORTS: DevMap<PORTS> = DevMap::new();

/// The same through `cordon_inside`, for frames that may leave by device-facing ports only.
#[btf_map]
pub static FLOOD_INSIDE: DevMap<PORTS> = DevMap::new();

/// By port: the index of its interface, for copies per attachment.
#[btf_map]
pub static PORT_NICS: Array<u32, PORTS> = Array::new();

/// By `abi::stack_key`: the numbers of attachments with two tags.
#[btf_map]
pub static STACKS: HashMap<u64, u32, { SLOTS * MOST_STACKS }> = HashMap::new();

/// By `abi::stack_index`: locations of attachments with two tags.
#[btf_map]
pub static LOCATIONS: Array<TagStack, { SLOTS << 12 }> = Array::new();

/// By `abi::span_index`.
#[btf_map]
pub static COPY_SPANS: Array<Span, { SLOTS << 12 }> = Array::new();

/// By `abi::copy_index`.
#[btf_map]
pub static COPIES: Array<CopyTarget, { SLOTS << 16 }> = Array::new();

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

/// By `abi::cuckoo::mask_index`: the number of buckets of a table, less one.
#[btf_map]
pub static MASKS: Array<u32, { SLOTS * 4 }> = Array::new();

/// Inner arrays of any size (`BPF_F_INNER_MAP`) that the loader maps into its memory.
const ANY_SIZE: usize = 1 << 12 | MAPPED;

/// By slot, then `abi::cuckoo`: devices. The sizes of inner maps here are those of templates: the loader makes each map
/// as large as its generation needs.
///
/// BTF declares their values as words, which [`record`] converts. If the value of a template is a `struct` in BTF,
/// kernels before 6.2 refuse every inner map without BTF as a different kind of map (`bpf_map_meta_equal` compares the
/// offsets of timers, which it looks for in structs only).
#[btf_map]
pub static DEVICES: ArrayOfMaps<Array<Bucket, 1, ANY_SIZE>, SLOTS> = ArrayOfMaps::new();

/// By slot, then `abi::cuckoo`: the devices to which addresses are bound.
#[btf_map]
pub static ADDRESSES: ArrayOfMaps<Array<Bucket, 1, ANY_SIZE>, SLOTS> = ArrayOfMaps::new();

/// By slot, then by longest prefix: networks.
#[btf_map]
pub static NETWORKS: ArrayOfMaps<LpmTrie<[u64; 2], [u64; words::<Network>()], 1>, SLOTS> =
    ArrayOfMaps::new();

/// By slot, then `abi::trie`: IPv4 networks.
#[btf_map]
pub static TRIE: ArrayOfMaps<Array<u64, 1, ANY_SIZE>, SLOTS> = ArrayOfMaps::new();

/// By slot, then by `abi::service_index`.
#[btf_map]
pub static SERVICE_CLASSES: ArrayOfMaps<Array<u16, SERVICES>, SLOTS> = ArrayOfMaps::new();

/// By slot, then `abi::cuckoo`: the sets of rows of pairs of classes.
#[btf_map]
pub static PAIRS: ArrayOfMaps<Array<Bucket, 1, ANY_SIZE>, SLOTS> = ArrayOfMaps::new();

/// By slot, then `abi::cuckoo`: policy rows, by set and service.
#[btf_map]
pub static POLICY: ArrayOfMaps<Array<Bucket, 1, ANY_SIZE>, SLOTS> = ArrayOfMaps::new();

/// Looks up a key in a cuckoo table of a generation.
#[inline(always)]
pub fn cuckoo(
    table: &ArrayOfMaps<Array<Bucket, 1, ANY_SIZE>, SLOTS>,
    (slot, which): (u8, u32),
    key: u64,
) -> Option<[u64; VALUE_WORDS]> {
    let table = table.get(slot as u32)?;
    let mask = *MASKS.get(mask_index(slot, which))?;
    let first = stored(key);
    for number in candidate_buckets(first, mask) {
        let bucket = table.get(number)?;
        for slot in SLOT_OFFSETS {
            if bucket[slot] == first {
                return Some([bucket[slot + 1], bucket[slot + 2], bucket[slot + 3]]);
            }
        }
    }
    None
}

/// The set of rows of two classes.
#[inline(always)]
pub fn set(slot: u8, from: u16, to: u16) -> Option<u32> {
    let table = PAIRS.get(slot as u32)?;
    let mask = *MASKS.get(mask_index(slot, CUCKOO_PAIRS))?;
    let pair = pair(from, to);
    for number in candidate_buckets(pair as u64, mask) {
        for word in table.get(number)? {
            if let Some(set) = set_of(*word, pair) {
                return Some(set);
            }
        }
    }
    None
}

/// The size of a record in words.
const fn words<T>() -> usize {
    assert!(size_of::<T>().is_multiple_of(8) && align_of::<T>() <= 8);
    size_of::<T>() / 8
}

/// A record of the ABI that BTF declares as words.
#[inline(always)]
pub fn record<T: Record, const N: usize>(value: &[u64; N]) -> T {
    const { assert!(words::<T>() == N) };
    // SAFETY: the same size, no higher alignment, and any content is valid.
    unsafe { *core::ptr::from_ref(value).cast() }
}

/// Records of plain integers, for which any bytes are valid.
pub trait Record: Copy {}
impl Record for Device {}
impl Record for Address {}
impl Record for Network {}
impl Record for PolicyRow {}

/// The number of station moves.
#[btf_map]
pub static MOVES: Array<u64, 1> = Array::new();

/// The loader maps the table into its memory (`BPF_F_MMAPABLE`).
pub const MAPPED: usize = 1 << 10;

/// IPv4 flows: the index. See `abi::Line` for this and the next six maps.
#[btf_map]
pub static INDEX4: Array<Line, 65536, MAPPED> = Array::new();

/// The entries.
#[btf_map]
pub static FLOWS4: Array<Entry<WORDS4, Flow>, 262_144, MAPPED> = Array::new();

/// Free list: numbers of entries that were used before.
#[btf_map]
pub static SPARE4: Stack<u32, 262_144> = Stack::new();

/// IPv6 flows: the index.
#[btf_map]
pub static INDEX6: Array<Line, 16384, MAPPED> = Array::new();

/// The entries.
#[btf_map]
pub static FLOWS6: Array<Entry<WORDS6, Flow>, 65536, MAPPED> = Array::new();

/// Free list: numbers of entries that were used before.
#[btf_map]
pub static SPARE6: Stack<u32, 65536> = Stack::new();

/// The number of entries that were ever used, of IPv4 and of IPv6; higher if more were asked for than there are.
#[btf_map]
pub static USED: Array<u64, 2> = Array::new();

/// Half-open IPv4 flows. See `abi::BucketHeader` for this and the next two maps, which evict entries when full.
#[btf_map]
pub static HALF4: Array<Entry<WORDS4, Flow>, 65536, MAPPED> = Array::new();

/// Half-open IPv6 flows.
#[btf_map]
pub static HALF6: Array<Entry<WORDS6, Flow>, 16384, MAPPED> = Array::new();

/// Hosts that have sent, by `abi::fdb_key`. Four times as many entries as the hosts to be expected, so that hardly ever
/// eight of them share a bucket.
#[btf_map]
pub static HOSTS: Array<Entry<HOST_WORDS, Host>, 524_288, MAPPED> = Array::new();

/// Packets whose first fragment passed.
#[btf_map]
pub static FRAGMENTS: LruHashMap<FragmentsKey, Fragments, 16384> = LruHashMap::new();

/// By `abi::rule_index`.
#[btf_map]
pub static RULE_COUNTERS: PerCpuArray<Counter, { SLOTS * RULES }> = PerCpuArray::new();

/// By number of the drop reason.
#[btf_map]
pub static DROP_COUNTERS: PerCpuArray<Counter, 256> = PerCpuArray::new();

/// Events.
#[btf_map]
pub static EVENTS: RingBuf<Event, { 1 << 20 }> = RingBuf::new();

/// How many events were emitted and lost.
#[btf_map]
pub static SAMPLING: PerCpuArray<Sampling, 1> = PerCpuArray::new();

/// The outcome of the last frame, if `TRACE` is set.
#[btf_map]
pub static TRACE_OUT: PerCpuArray<Trace, 1> = PerCpuArray::new();

/// State that one stage of the packet path passes to the next.
pub struct Scratch {
    pub control: Control,
    pub port: u16,
    pub extended: MaybeUninit<Extended>,
    pub pending: MaybeUninit<Pending>,
    pub upper_layer: MaybeUninit<UpperLayer>,
    pub rewriting: MaybeUninit<Rewriting>,
    pub denied: MaybeUninit<Denied>,
    pub metadata: MaybeUninit<CopyMetadata>,
    /// Number of the last frame passed on to be copied: see `CopyMetadata::number`.
    pub copied: u32,
}

/// Declared as words: BTF cannot describe a Rust enum with fields.
#[btf_map]
static SCRATCH: PerCpuArray<[u64; SCRATCH_WORDS], 1> = PerCpuArray::new();

const SCRATCH_WORDS: usize = size_of::<Scratch>().div_ceil(8);
const _: () = assert!(align_of::<Scratch>() <= 8);

/// This processor's scratch space.
#[inline(always)]
pub fn scratch() -> Option<&'static mut Scratch> {
    // SAFETY: an element of a per-processor array, valid while the program runs. A processor judges one frame at a
    // time, and the stages use the space one after the other. Size and alignment suffice, and any content is valid:
    // fields that are not plain integers are `MaybeUninit`.
    SCRATCH
        .get_ptr_mut(0)
        .map(|scratch| unsafe { &mut *scratch.cast() })
}

/// Set by the loader to have outcomes written to `TRACE_OUT`. If not set, the verifier removes the code.
#[unsafe(no_mangle)]
static TRACE: u8 = 0;

/// Set by the loader: the hash seed of the flow tables, and the number of lines of each index, less one.
#[unsafe(no_mangle)]
static FLOW_SEED: u64 = 0;
#[unsafe(no_mangle)]
static FLOW_MASK4: u32 = 0;
#[unsafe(no_mangle)]
static FLOW_MASK6: u32 = 0;

/// The table of established IPv4 flows.
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

/// The table of established IPv6 flows.
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
pub fn half4() -> EvictingTable<WORDS4, Flow, 65536> {
    EvictingTable {
        entries: &HALF4,
        seed: seed(),
    }
}

/// Half-open IPv6 flows.
#[inline(always)]
pub fn half6() -> EvictingTable<WORDS6, Flow, 16384> {
    EvictingTable {
        entries: &HALF6,
        seed: seed(),
    }
}

/// Hosts.
#[inline(always)]
pub fn hosts() -> EvictingTable<HOST_WORDS, Host, 524_288> {
    EvictingTable {
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
    /// Index of its element of [`USED`].
    pub used: u32,
    pub seed: u64,
    /// Lines less one.
    pub mask: u32,
}

/// Whether outcomes are written to `TRACE_OUT`.
#[inline(always)]
pub fn tracing() -> bool {
    // SAFETY: a valid static; volatile, because the loader changes its value after compilation.
    unsafe { core::ptr::read_volatile(&raw const TRACE) != 0 }
}

/// The port of an interface; out of range for an interface that is not a port.
#[inline(always)]
pub fn port_of(ifindex: u32) -> u16 {
    match PORTS_IN.get(ifindex) {
        Some(port) => port.wrapping_sub(1) as u16,
        None => u16::MAX,
    }
}

const _: () = assert!(Reason::ALL.len() < 256);
