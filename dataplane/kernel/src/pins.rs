//! Maps by the name they are pinned with.

use std::path::Path;

use aya::maps::xdp::XdpMapError;
use aya::maps::{Map, MapData, MapError};

use crate::error::Error;

/// Opens a pinned map.
///
/// # Errors
/// [`Error::Map`].
pub fn pinned(pins: &Path, name: &'static str) -> Result<MapData, Error> {
    MapData::from_pin(pins.join(name)).map_err(of(name))
}

/// Opens a pinned map as its type.
///
/// # Errors
/// [`Error::Map`], also if the map has another type.
pub fn typed<T: TryFrom<Map, Error = MapError>>(
    pins: &Path,
    name: &'static str,
) -> Result<T, Error> {
    Map::from_map_data(pinned(pins, name)?)
        .and_then(TryInto::try_into)
        .map_err(of(name))
}

/// Turns an error of aya into one that names the map.
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
