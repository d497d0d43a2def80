//! The maps of the program and their types.

use std::path::Path;

use aya::maps::lpm_trie::LpmTrie;
use aya::maps::of_maps::ArrayOfMaps;
use aya::maps::xdp::DevMap;
use aya::maps::{Array, HashMap, MapData, PerCpuArray, RingBuf};
use cordon_verdict::abi::{
    Admission, CopyTarget, Counter, Flow, HOST_WORDS, Host, Network, PortSetting, ProxyKey,
    Sampling, Span, Stack, Trace, WORDS4, WORDS6,
};

use crate::cuckoo::CuckooMap;
use crate::error::Error;
use crate::evicting_table::EvictingTable;
use crate::flow_table::{FLOWS4, FLOWS6, FlowTable};
use crate::pins::typed;
use crate::raw::Raw;
use crate::trie::TrieMap;

/// The names of all pinned maps.
pub const NAMES: [&str; 41] = [
    "META",
    "CONTROL",
    "PORTS_IN",
    "PORTS_OUT",
    "FLOOD_PORTS",
    "FLOOD_INSIDE",
    "PORT_NICS",
    "STACKS",
    "LOCATIONS",
    "COPY_SPANS",
    "COPIES",
    "PROXIES",
    "ADMISSIONS",
    "FLOODS",
    "PORT_SETTINGS",
    "PORT_RATES",
    "ETHER_TYPES",
    "MASKS",
    "DEVICES",
    "ADDRESSES",
    "NETWORKS",
    "TRIE",
    "SERVICE_CLASSES",
    "PAIRS",
    "POLICY",
    "MOVES",
    "INDEX4",
    "FLOWS4",
    "SPARE4",
    "INDEX6",
    "FLOWS6",
    "SPARE6",
    "USED",
    "HALF4",
    "HALF6",
    "HOSTS",
    "FRAGMENTS",
    "RULE_COUNTERS",
    "DROP_COUNTERS",
    "EVENTS",
    "SAMPLING",
];

/// A device map that flooded frames are redirected to, and the program that runs for each copy.
pub struct Flood {
    pub map: &'static str,
    pub program: &'static str,
    pub pin: &'static str,
}

/// Floods to every port, and floods to device-facing ports only.
pub const FLOODS: [Flood; 2] = [
    Flood {
        map: "FLOOD_PORTS",
        program: "cordon_flood",
        pin: "program_flood",
    },
    Flood {
        map: "FLOOD_INSIDE",
        program: "cordon_inside",
        pin: "program_inside",
    },
];

pub type NetworkMap = LpmTrie<MapData, [u64; 2], Raw<Network>>;
pub type ServiceMap = Array<MapData, u16>;
pub type ProxyMap = HashMap<MapData, Raw<ProxyKey>, u64>;

/// All maps of the program.
pub struct Maps {
    pub meta: Array<MapData, u64>,
    pub control: Array<MapData, u64>,
    pub ports_in: Array<MapData, u32>,
    pub ports_out: DevMap<MapData>,
    /// In the order of [`FLOODS`].
    pub flood_ports: [DevMap<MapData>; 2],
    pub port_nics: Array<MapData, u32>,
    pub stacks: HashMap<MapData, u64, u32>,
    pub locations: Array<MapData, Raw<Stack>>,
    pub copy_spans: Array<MapData, Raw<Span>>,
    pub copies: Array<MapData, Raw<CopyTarget>>,
    pub proxies: ArrayOfMaps<MapData, ProxyMap>,
    pub admissions: Array<MapData, Raw<Admission>>,
    pub floods: Array<MapData, u32>,
    pub port_settings: Array<MapData, Raw<PortSetting>>,
    pub ether_types: HashMap<MapData, u64, u32>,
    pub masks: Array<MapData, u32>,
    pub devices: ArrayOfMaps<MapData, CuckooMap>,
    pub addresses: ArrayOfMaps<MapData, CuckooMap>,
    pub networks: ArrayOfMaps<MapData, NetworkMap>,
    pub trie: ArrayOfMaps<MapData, TrieMap>,
    pub services: ArrayOfMaps<MapData, ServiceMap>,
    pub pairs: ArrayOfMaps<MapData, CuckooMap>,
    pub policy: ArrayOfMaps<MapData, CuckooMap>,
    pub moves: Array<MapData, u64>,
    pub flows4: FlowTable<WORDS4>,
    pub flows6: FlowTable<WORDS6>,
    pub used: Array<MapData, u64>,
    pub half4: EvictingTable<WORDS4, Flow>,
    pub half6: EvictingTable<WORDS6, Flow>,
    pub hosts: EvictingTable<HOST_WORDS, Host>,
    pub rules: PerCpuArray<MapData, Raw<Counter>>,
    pub drops: PerCpuArray<MapData, Raw<Counter>>,
    pub sampling: PerCpuArray<MapData, Raw<Sampling>>,
    pub events: Option<RingBuf<MapData>>,
}

/// The map that a program with tracing writes outcomes to. Not pinned.
pub type TraceMap = PerCpuArray<MapData, Raw<Trace>>;

impl Maps {
    /// Opens the maps that are pinned in `pins`.
    ///
    /// # Errors
    /// [`Error::Map`], [`Error::Batch`].
    pub fn open(pins: &Path) -> Result<Maps, Error> {
        Ok(Maps {
            meta: typed(pins, "META")?,
            control: typed(pins, "CONTROL")?,
            ports_in: typed(pins, "PORTS_IN")?,
            ports_out: typed(pins, "PORTS_OUT")?,
            flood_ports: [typed(pins, FLOODS[0].map)?, typed(pins, FLOODS[1].map)?],
            port_nics: typed(pins, "PORT_NICS")?,
            stacks: typed(pins, "STACKS")?,
            locations: typed(pins, "LOCATIONS")?,
            copy_spans: typed(pins, "COPY_SPANS")?,
            copies: typed(pins, "COPIES")?,
            proxies: typed(pins, "PROXIES")?,
            admissions: typed(pins, "ADMISSIONS")?,
            floods: typed(pins, "FLOODS")?,
            port_settings: typed(pins, "PORT_SETTINGS")?,
            ether_types: typed(pins, "ETHER_TYPES")?,
            masks: typed(pins, "MASKS")?,
            devices: typed(pins, "DEVICES")?,
            addresses: typed(pins, "ADDRESSES")?,
            networks: typed(pins, "NETWORKS")?,
            trie: typed(pins, "TRIE")?,
            services: typed(pins, "SERVICE_CLASSES")?,
            pairs: typed(pins, "PAIRS")?,
            policy: typed(pins, "POLICY")?,
            moves: typed(pins, "MOVES")?,
            flows4: FlowTable::open(pins, FLOWS4)?,
            flows6: FlowTable::open(pins, FLOWS6)?,
            used: typed(pins, "USED")?,
            half4: EvictingTable::open(pins, "HALF4")?,
            half6: EvictingTable::open(pins, "HALF6")?,
            hosts: EvictingTable::open(pins, "HOSTS")?,
            rules: typed(pins, "RULE_COUNTERS")?,
            drops: typed(pins, "DROP_COUNTERS")?,
            sampling: typed(pins, "SAMPLING")?,
            events: Some(typed(pins, "EVENTS")?),
        })
    }
}
