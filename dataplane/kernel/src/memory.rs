//! Kernel memory of the tables.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use aya::maps::{IterableMap, MapError};

use crate::dataplane::Dataplane;
use crate::error::Error;
use crate::maps::NAMES;
use crate::pins::{of, pinned};

/// Bytes of kernel memory, as the kernel reports them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableBytes {
    /// Tables of the policy, in both slots, and the counters of its rules. Unknown without `CAP_SYS_ADMIN`: the kernel lets
    /// nobody else open the inner maps.
    pub policy: Option<u64>,
    /// Established and half-open flows.
    pub flows: u64,
    /// All other tables.
    pub other: u64,
}

fn is_policy(name: &str) -> bool {
    matches!(
        name,
        "STACKS"
            | "LOCATIONS"
            | "COPY_SPANS"
            | "COPIES"
            | "PROXIES"
            | "ADMISSIONS"
            | "FLOODS"
            | "PORT_SETTINGS"
            | "ETHER_TYPES"
            | "MASKS"
            | "DEVICES"
            | "ADDRESSES"
            | "NETWORKS"
            | "TRIE"
            | "SERVICE_CLASSES"
            | "PAIRS"
            | "POLICY"
            | "RULE_COUNTERS"
    )
}

fn is_flows(name: &str) -> bool {
    ["INDEX", "FLOWS", "SPARE", "HALF"]
        .iter()
        .any(|stem| name.starts_with(stem))
}

impl Dataplane {
    /// The kernel memory of all tables.
    ///
    /// # Errors
    /// [`Error::Map`], [`Error::Batch`].
    pub fn table_bytes(&self) -> Result<TableBytes, Error> {
        let mut all = TableBytes::default();
        let mut policy = 0;
        for name in NAMES {
            let map = pinned(&self.pins, name)?;
            let bytes = bytes(map.fd().as_fd(), name)?;
            match name {
                _ if is_policy(name) => policy += bytes,
                _ if is_flows(name) => all.flows += bytes,
                _ => all.other += bytes,
            }
        }
        let inner = self.inner_bytes(0)?.zip(self.inner_bytes(1)?);
        all.policy = inner.map(|(one, other)| policy + one + other);
        Ok(all)
    }

    /// The bytes of a slot's inner maps, which every generation makes again; none if they may not be opened.
    fn inner_bytes(&self, slot: u32) -> Result<Option<u64>, Error> {
        let maps = &self.maps;
        let all = [
            inner("PROXIES", maps.proxies.get(&slot, 0))?,
            inner("DEVICES", maps.devices.get(&slot, 0))?,
            inner("ADDRESSES", maps.addresses.get(&slot, 0))?,
            inner("NETWORKS", maps.networks.get(&slot, 0))?,
            inner("TRIE", maps.trie.get(&slot, 0))?,
            inner("SERVICE_CLASSES", maps.services.get(&slot, 0))?,
            inner("PAIRS", maps.pairs.get(&slot, 0))?,
            inner("POLICY", maps.policy.get(&slot, 0))?,
        ];
        Ok(all.into_iter().sum())
    }
}

/// The bytes of an inner map; 0 if the slot was never filled, none if it may not be opened.
fn inner<K: aya::Pod, V, M: IterableMap<K, V>>(
    name: &'static str,
    map: Result<M, MapError>,
) -> Result<Option<u64>, Error> {
    match map {
        Ok(map) => bytes(map.map().fd().as_fd(), name).map(Some),
        Err(MapError::KeyNotFound) => Ok(Some(0)),
        Err(MapError::SyscallError(error))
            if error.io_error.kind() == io::ErrorKind::PermissionDenied =>
        {
            Ok(None)
        }
        Err(error) => Err(of(name)(error)),
    }
}

/// `memlock` of a map, from `/proc/self/fdinfo`.
fn bytes(map: BorrowedFd<'_>, name: &'static str) -> Result<u64, Error> {
    let failed = |source| Error::Batch { name, source };
    let info =
        fs::read_to_string(format!("/proc/self/fdinfo/{}", map.as_raw_fd())).map_err(failed)?;
    let mut lines = info.lines();
    let line = lines.find_map(|line| line.strip_prefix("memlock:"));
    line.and_then(|bytes| bytes.trim().parse().ok())
        .ok_or_else(|| failed(io::Error::other("fdinfo has no memlock")))
}
