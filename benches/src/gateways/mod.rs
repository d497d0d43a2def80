//! The gateways that are compared. Each is set up in a namespace with `eth1` towards devices and `eth2` towards
//! servers.

mod bridge;
mod cordon;
mod gateway;
mod nftables;
mod redirect;

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;

use crate::namespace::PINS;
use crate::traffic::Site;

use bridge::Bridge;
use cordon::Cordon;
use nftables::Nftables;
use redirect::Redirect;

pub use gateway::{Gateway, GatewayCounters, Kind};

/// Sets up a gateway in the calling thread's namespace.
///
/// # Errors
/// If the setup fails.
pub fn new(kind: Kind, site: Site) -> Result<Box<dyn Gateway>> {
    // A directory for each gateway, because Cordon takes over existing pins.
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let pins = format!("{PINS}/{}", COUNT.fetch_add(1, Ordering::Relaxed));
    Ok(match kind {
        Kind::Bridge => Box::new(Bridge::new()?),
        Kind::Redirect => Box::new(Redirect::new()?),
        Kind::Nftables => Box::new(Nftables::new(site)?),
        Kind::Cordon => Box::new(Cordon::new(site, &pins)?),
    })
}
