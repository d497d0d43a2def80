//! Ports: interfaces that the program is attached to.

use std::fs;
use std::path::{Path, PathBuf};

use aya::programs::links::{FdLink, LinkError, PinnedLink};
use aya::programs::xdp::XdpLink;
use aya::programs::{ProgramError, Xdp, XdpMode};
use cordon_verdict::abi::PORTS;

use crate::barrier::Expedited;
use crate::dataplane::Dataplane;
use crate::error::Error;
use crate::maps::FLOODS;
use crate::nic::Nic;
use crate::pins::{of, of_devices};
use crate::{qdisc, tc};

impl Dataplane {
    /// Makes an interface port number `port`, or takes it over if it is that port already: prepares the interface, attaches
    /// the program in driver mode and pins the link.
    ///
    /// # Errors
    /// [`Error::Port`], those of [`Nic::prepare`], and [`Error::Link`] with a remedy if one is known.
    pub fn attach(&mut self, port: u16, name: &str) -> Result<Nic, Error> {
        if usize::from(port) >= PORTS {
            return Err(Error::Port(port));
        }
        let _expedited = Expedited::new();
        let nic = Nic::prepare(name)?;
        qdisc::remove(&nic)?;
        self.write_port(port, &nic)?;
        // Before the XDP program: a frame that it passes on for copying must not reach the host's own stack.
        tc::attach(&mut self.copier, name)?;
        let pin = pin(&self.pins, port, nic.index);
        for stale in pins_of(&self.pins, port)
            .into_iter()
            .filter(|stale| *stale != pin)
        {
            remove(&stale)?;
        }
        if !(pin.exists() && self.take_over(&pin)) {
            self.link(&nic, &pin)?;
        }
        self.ports.insert(port, nic.clone());
        Ok(nic)
    }

    /// Takes a port out of service: frames that arrive there go to the host's own stack again.
    ///
    /// # Errors
    /// [`Error::Pins`], [`Error::Map`].
    pub fn detach(&mut self, port: u16) -> Result<(), Error> {
        for pin in pins_of(&self.pins, port) {
            remove(&pin)?;
        }
        if let Some(nic) = self.ports.remove(&port) {
            self.maps
                .ports_in
                .set(nic.index, 0, 0)
                .map_err(of("PORTS_IN"))?;
            self.maps
                .port_nics
                .set(u32::from(port), 0, 0)
                .map_err(of("PORT_NICS"))?;
            tc::detach(&nic.name);
            qdisc::restore(&nic);
        }
        Ok(())
    }

    /// The ports in service.
    pub fn ports(&self) -> impl Iterator<Item = (u16, &Nic)> {
        self.ports.iter().map(|(port, nic)| (*port, nic))
    }

    fn write_port(&mut self, port: u16, nic: &Nic) -> Result<(), Error> {
        let key = u32::from(port);
        for at in 0..FLOODS.len() {
            self.set_flood(at, key, nic.index)?;
        }
        self.maps
            .ports_out
            .set(key, nic.index, None, 0)
            .map_err(of_devices("PORTS_OUT"))?;
        self.maps
            .port_nics
            .set(key, nic.index, 0)
            .map_err(of("PORT_NICS"))?;
        self.maps
            .ports_in
            .set(nic.index, key + 1, 0)
            .map_err(of("PORTS_IN"))
    }

    /// Whether the link pinned there is alive. It runs this build already: [`replace_programs`] has updated it.
    fn take_over(&mut self, pin: &Path) -> bool {
        // After its interface is removed, a link cannot be updated.
        let Ok(link) = PinnedLink::from_pin(pin) else {
            return false;
        };
        update(&mut self.program, link).is_ok()
    }

    /// Sets the entry of port `key` in flood map number `at`: its interface, and the program that runs for each copy.
    fn set_flood(&mut self, at: usize, key: u32, index: u32) -> Result<(), Error> {
        let fd = self.flood[at].fd().map_err(|source| Error::Program {
            name: FLOODS[at].program,
            source,
        })?;
        self.maps.flood_ports[at]
            .set(key, index, Some(fd), 0)
            .map_err(of_devices(FLOODS[at].map))
    }

    fn link(&mut self, nic: &Nic, pin: &Path) -> Result<(), Error> {
        let failed = |what, why: String| Error::Link {
            nic: nic.name.clone(),
            what,
            why,
        };
        if pin.exists() {
            remove(pin)?;
        }
        let id = self
            .program
            .attach_to_if_index(nic.index, XdpMode::Driver)
            .map_err(|error| failed("attaching in driver mode", remedy(&nic.name, &error)))?;
        let link = self
            .program
            .take_link(id)
            .map_err(|error| failed("attaching", error.to_string()))?;
        let link: FdLink = link.try_into().map_err(|_| {
            let why = "this kernel attaches without a link, which cannot outlive the daemon; Linux 5.9 or later does";
            failed("attaching", why.to_owned())
        })?;
        link.pin(pin)
            .map_err(|error| failed("pinning", error.to_string()))?;
        Ok(())
    }
}

/// The error text, with what the operator can do about it.
fn remedy(nic: &str, error: &ProgramError) -> String {
    let ProgramError::SyscallError(error) = error else {
        return error.to_string();
    };
    let os = error.io_error.raw_os_error();
    let hint = match os {
        Some(libc::EOPNOTSUPP) => {
            "its driver has no native XDP. Use a NIC that has: ixgbe, i40e, ice, igc, mlx5"
        }
        Some(libc::EBUSY | libc::EEXIST) => "another XDP program is on it",
        Some(libc::ERANGE | libc::EINVAL) => "its MTU is too large, or it has too few queues",
        Some(libc::EPERM) => "not permitted: CAP_NET_ADMIN and CAP_BPF are needed",
        _ => return error.io_error.to_string(),
    };
    let command = match os {
        Some(libc::EBUSY | libc::EEXIST) => format!(" (detach it: ip link set {nic} xdp off)"),
        Some(libc::ERANGE | libc::EINVAL) => format!(" (ip -d link show {nic}; ethtool -l {nic})"),
        _ => String::new(),
    };
    format!("{hint}{command}")
}

/// Replaces the programs on every port by those just loaded, between two packets.
pub fn replace_programs(dataplane: &mut Dataplane) -> Result<(), Error> {
    for port in 0..PORTS as u16 {
        let key = u32::from(port);
        for at in 0..FLOODS.len() {
            if let Ok(value) = dataplane.maps.flood_ports[at].get(key, 0)
                && value.if_index != 0
            {
                // If the interface has been removed since, `attach` writes the entry.
                let _ = dataplane.set_flood(at, key, value.if_index);
            }
        }
        for pin in pins_of(&dataplane.pins, port) {
            if let Some(nic) = nic_of(&pin) {
                // As above.
                let _ = tc::attach(&mut dataplane.copier, &nic);
            }
            let replaced = PinnedLink::from_pin(&pin)
                .map_err(|error| error.to_string())
                .and_then(|link| update(&mut dataplane.program, link));
            if replaced.is_err() {
                remove(&pin)?;
            }
        }
    }
    Ok(())
}

/// Makes a pinned link run `program`. The error is a text.
fn update(program: &mut Xdp, link: PinnedLink) -> Result<(), String> {
    let link: FdLink = link.into();
    let link: XdpLink = link
        .try_into()
        .map_err(|error: LinkError| error.to_string())?;
    let id = program
        .attach_to_link(link)
        .map_err(|error| error.to_string())?;
    // Dropping the handle keeps the link: it is pinned.
    program
        .take_link(id)
        .map(drop)
        .map_err(|error| error.to_string())
}

fn pin(pins: &Path, port: u16, index: u32) -> PathBuf {
    pins.join(format!("link_{port}_{index}"))
}

/// The name of the interface that a link is pinned for, if the interface still exists.
fn nic_of(pin: &Path) -> Option<String> {
    let name = pin.file_name()?.to_str()?;
    let (_, index) = name.rsplit_once('_')?;
    let name = nix::net::if_::if_indextoname(index.parse().ok()?).ok()?;
    name.into_string().ok()
}

fn pins_of(pins: &Path, port: u16) -> Vec<PathBuf> {
    let prefix = format!("link_{port}_");
    let entries = fs::read_dir(pins).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .map(|entry| entry.path())
        .collect()
}

fn remove(pin: &Path) -> Result<(), Error> {
    fs::remove_file(pin).map_err(|source| Error::Pins {
        path: pin.to_owned(),
        source,
    })
}
