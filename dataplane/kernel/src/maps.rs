//! The maps, with their types, opened from a loaded program or from pins.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use aya::maps::lpm_trie::LpmTrie;
use aya::maps::of_maps::ArrayOfMaps;
use aya::maps::xdp::{DevMap, XdpMapError};
use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, RingBuf};
use cordon_verdict::abi::cuckoo::Bucket;
use cordon_verdict::abi::{
    Admission, CopyTarget, Counter, Flow, HOST_WORDS, Host, Network, PortSetting, ProxyKey, Sampling,
    Span, Stack, Trace, WORDS4, WORDS6,
};

use crate::error::Error;
use crate::raw::Raw;
use crate::recent::{Recent, Seat};
use crate::steps::StepMap;
use crate::table::{FLOWS4, FLOWS6, Table};

/// Every map of the program, by the name it is pinned with.
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

/// What is flooded goes through a device map, and each copy through a program of that map.
pub struct Flood {
    pub map: &'static str,
    pub program: &'static str,
    pub pin: &'static str,
}

/// To every port, and to device-facing ports only.
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

/// A table of `abi::cuckoo`.
pub type FrozenMap = Array<MapData, Raw<Bucket>>;
pub type NetworkMap = LpmTrie<MapData, [u64; 2], Raw<Network>>;
pub type ServiceMap = Array<MapData, u16>;

pub type ProxyMap = HashMap<MapData, Raw<ProxyKey>, u64>;

/// The maps.
pub struct Maps {
    pub meta: Array<MapData, u64>,
    pub control: Array<MapData, u64>,
    pub ports_in: Array<MapData, u32>,
    pub ports_out: DevMap<MapData>,
    /// In the order of [`FLOODS`].
    pub flood_ports: [DevMap<MapData>; 2],
    pub port_nics: Array<MapData, u32>,
    pub stacks: HashMap<MapData, u64, u32>,
    pub places: Array<MapData, Raw<Stack>>,
    pub copy_spans: Array<MapData, Raw<Span>>,
    pub copies: Array<MapData, Raw<CopyTarget>>,
    pub proxies: ArrayOfMaps<MapData, ProxyMap>,
    pub admissions: Array<MapData, Raw<Admission>>,
    pub floods: Array<MapData, u32>,
    pub port_settings: Array<MapData, Raw<PortSetting>>,
    pub ether_types: HashMap<MapData, u64, u32>,
    pub masks: Array<MapData, u32>,
    pub devices: ArrayOfMaps<MapData, FrozenMap>,
    pub addresses: ArrayOfMaps<MapData, FrozenMap>,
    pub networks: ArrayOfMaps<MapData, NetworkMap>,
    pub steps: ArrayOfMaps<MapData, StepMap>,
    pub services: ArrayOfMaps<MapData, ServiceMap>,
    pub pairs: ArrayOfMaps<MapData, FrozenMap>,
    pub policy: ArrayOfMaps<MapData, FrozenMap>,
    pub moves: Array<MapData, u64>,
    pub flows4: Table<WORDS4>,
    pub flows6: Table<WORDS6>,
    pub used: Array<MapData, u64>,
    pub half4: Recent<WORDS4, Flow>,
    pub half6: Recent<WORDS6, Flow>,
    pub hosts: Recent<HOST_WORDS, Host>,
    pub rules: PerCpuArray<MapData, Raw<Counter>>,
    pub drops: PerCpuArray<MapData, Raw<Counter>>,
    pub sampling: PerCpuArray<MapData, Raw<Sampling>>,
    pub events: Option<RingBuf<MapData>>,
}

/// The map that only a program loaded to trace writes to; not pinned.
pub type TraceMap = PerCpuArray<MapData, Raw<Trace>>;

/// A map that is pinned.
pub fn pinned(pins: &Path, name: &'static str) -> Result<MapData, Error> {
    MapData::from_pin(pins.join(name)).map_err(of(name))
}

fn open(pins: &Path, name: &'static str) -> Result<Map, Error> {
    Map::from_map_data(pinned(pins, name)?).map_err(of(name))
}

/// A map that is pinned, as what it is.
pub fn typed<T: TryFrom<Map, Error = MapError>>(
    pins: &Path,
    name: &'static str,
) -> Result<T, Error> {
    open(pins, name)?
        .try_into()
        .map_err(|source| Error::Map { name, source })
}

impl Maps {
    /// Opens what is pinned in `pins`.
    pub fn open(pins: &Path) -> Result<Maps, Error> {
        Ok(Maps {
            meta: typed(pins, "META")?,
            control: typed(pins, "CONTROL")?,
            ports_in: typed(pins, "PORTS_IN")?,
            ports_out: typed(pins, "PORTS_OUT")?,
            flood_ports: [typed(pins, FLOODS[0].map)?, typed(pins, FLOODS[1].map)?],
            port_nics: typed(pins, "PORT_NICS")?,
            stacks: typed(pins, "STACKS")?,
            places: typed(pins, "LOCATIONS")?,
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
            steps: typed(pins, "TRIE")?,
            services: typed(pins, "SERVICE_CLASSES")?,
            pairs: typed(pins, "PAIRS")?,
            policy: typed(pins, "POLICY")?,
            moves: typed(pins, "MOVES")?,
            flows4: Table::open(pins, FLOWS4)?,
            flows6: Table::open(pins, FLOWS6)?,
            used: typed(pins, "USED")?,
            half4: Recent::open(pins, "HALF4")?,
            half6: Recent::open(pins, "HALF6")?,
            hosts: Recent::open(pins, "HOSTS")?,
            rules: typed(pins, "RULE_COUNTERS")?,
            drops: typed(pins, "DROP_COUNTERS")?,
            sampling: typed(pins, "SAMPLING")?,
            events: Some(typed(pins, "EVENTS")?),
        })
    }
}

impl Maps {
    /// Says of a host whether it has as many flows as it may.
    pub fn hold(&self, host: Seat, over: u32) {
        if let Some(host) = self.hosts.value(host) {
            // SAFETY: within the mapping, aligned, and read and written as one word by everybody.
            let word = unsafe { AtomicU32::from_ptr(&raw mut (*host).limit.over) };
            word.store(over, Ordering::Relaxed);
        }
    }
}

/// Turns aya's error into one that names the map.
pub fn of(name: &'static str) -> impl Fn(MapError) -> Error {
    move |source| Error::Map { name, source }
}

/// As [`of`], for device maps.
pub fn of_devices(name: &'static str) -> impl Fn(XdpMapError) -> Error {
    move |error| match error {
        XdpMapError::MapError(source) => Error::Map { name, source },
        other => Error::Batch {
            name,
            source: std::io::Error::other(other),
        },
    }
}
