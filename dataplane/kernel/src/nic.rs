//! Preparing network interfaces to be ports.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use crate::error::Error;

/// Jumbo frames need a driver that supports frames of several pages. If it does not, attaching fails with the reason.
const LARGEST_MTU: i32 = 9216;

/// The highest interface index that the program's table of ports has an entry for.
const LARGEST_INDEX: u32 = 65535;

const ETHTOOL_GFLAGS: u32 = 0x25;
const ETHTOOL_SFLAGS: u32 = 0x26;
const FLAG_TXVLAN: u32 = 1 << 7;
const FLAG_RXVLAN: u32 = 1 << 8;
const FLAG_LRO: u32 = 1 << 15;

/// A network interface of this network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// Its MTU in bytes.
    pub mtu: i32,
}

/// Reads and changes the settings of an interface by `ioctl`.
struct Settings<'a> {
    name: &'a str,
    socket: OwnedFd,
}

#[repr(C)]
struct EthtoolValue {
    command: u32,
    data: u32,
}

impl Nic {
    /// Looks up an interface and prepares it: VLAN tags stay in the frame, no receive offload that merges packets,
    /// promiscuous, up.
    ///
    /// # Errors
    /// [`Error::NoNic`]; [`Error::Unfit`] with the remedy; [`Error::Nic`] if a setting cannot be read or changed.
    pub fn prepare(name: &str) -> Result<Nic, Error> {
        let index = nix::net::if_::if_nametoindex(name).map_err(|_| Error::NoNic {
            nic: name.to_owned(),
        })?;
        let unfit = |why: String, remedy: String| Error::Unfit {
            nic: name.to_owned(),
            why,
            remedy,
        };
        if index > LARGEST_INDEX {
            return Err(unfit(
                format!("its interface index {index} is above {LARGEST_INDEX}"),
                "Reboot, or move it to a network namespace of its own.".to_owned(),
            ));
        }
        let settings = Settings::open(name)?;
        let mtu = settings.mtu()?;
        if mtu > LARGEST_MTU {
            return Err(unfit(
                format!("its MTU of {mtu} is above {LARGEST_MTU}"),
                format!("Lower it: ip link set {name} mtu {LARGEST_MTU}"),
            ));
        }
        settings.keep_tags_in_frames()?;
        settings.up_and_promiscuous()?;
        Ok(Nic {
            name: name.to_owned(),
            index,
            mtu,
        })
    }

    /// The present MTU of an interface in bytes.
    ///
    /// # Errors
    /// [`Error::Nic`] if there is no such interface.
    pub fn mtu_of(name: &str) -> Result<i32, Error> {
        Settings::open(name)?.mtu()
    }
}

impl Settings<'_> {
    fn open(name: &str) -> Result<Settings<'_>, Error> {
        let socket = socket(
            AddressFamily::Inet,
            SockType::Datagram,
            SockFlag::SOCK_CLOEXEC,
            None,
        );
        match socket {
            Ok(socket) => Ok(Settings { name, socket }),
            Err(error) => Err(Error::Nic {
                nic: name.to_owned(),
                what: "opening a socket",
                source: error.into(),
            }),
        }
    }

    fn request(&self) -> libc::ifreq {
        // SAFETY: all zeroes is a valid `ifreq`.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        // The last byte stays zero. The name fits: `if_nametoindex` accepts no longer one.
        for (to, from) in request
            .ifr_name
            .iter_mut()
            .take(libc::IFNAMSIZ - 1)
            .zip(self.name.bytes())
        {
            *to = from as libc::c_char;
        }
        request
    }

    fn ioctl(
        &self,
        command: libc::Ioctl,
        request: &mut libc::ifreq,
        what: &'static str,
    ) -> Result<(), Error> {
        // SAFETY: every command used here takes an `ifreq`; the caller borrows the data that it may point to for the
        // length of the call.
        let result = unsafe {
            libc::ioctl(
                self.socket.as_raw_fd(),
                command,
                std::ptr::from_mut(request),
            )
        };
        match result {
            0.. => Ok(()),
            _ => Err(Error::Nic {
                nic: self.name.to_owned(),
                what,
                source: io::Error::last_os_error(),
            }),
        }
    }

    fn mtu(&self) -> Result<i32, Error> {
        let mut request = self.request();
        self.ioctl(libc::SIOCGIFMTU, &mut request, "reading the MTU")?;
        // SAFETY: the call above wrote this member.
        Ok(unsafe { request.ifr_ifru.ifru_mtu })
    }

    fn ethtool(&self, command: u32, data: u32, what: &'static str) -> Result<u32, Error> {
        let mut value = EthtoolValue { command, data };
        let mut request = self.request();
        request.ifr_ifru.ifru_data = std::ptr::from_mut(&mut value).cast();
        self.ioctl(libc::SIOCETHTOOL, &mut request, what)?;
        Ok(value.data)
    }

    /// Disables VLAN offloads and LRO. With VLAN offload the NIC removes tags before the program runs, and every frame would
    /// be judged as untagged.
    fn keep_tags_in_frames(&self) -> Result<(), Error> {
        let unwanted = FLAG_TXVLAN | FLAG_RXVLAN | FLAG_LRO;
        let flags = self.ethtool(ETHTOOL_GFLAGS, 0, "reading offload settings")?;
        if flags & unwanted == 0 {
            return Ok(());
        }
        // Read back whether it worked: some drivers accept the change and ignore it.
        let _ = self.ethtool(
            ETHTOOL_SFLAGS,
            flags & !unwanted,
            "changing offload settings",
        );
        let left = self.ethtool(ETHTOOL_GFLAGS, 0, "reading offload settings")? & unwanted;
        if left == 0 {
            return Ok(());
        }
        let mut names = Vec::new();
        for (flag, name) in [
            (FLAG_TXVLAN, "txvlan"),
            (FLAG_RXVLAN, "rxvlan"),
            (FLAG_LRO, "lro"),
        ] {
            if left & flag != 0 {
                names.push(name);
            }
        }
        Err(Error::Unfit {
            nic: self.name.to_owned(),
            why: format!(
                "it keeps {} on, which would hide VLAN tags or merge packets",
                names.join(", ")
            ),
            remedy: format!(
                "Turn it off (ethtool -K {} {} off), or use another NIC.",
                self.name,
                names.join(" off ")
            ),
        })
    }

    fn up_and_promiscuous(&self) -> Result<(), Error> {
        let mut request = self.request();
        self.ioctl(libc::SIOCGIFFLAGS, &mut request, "reading flags")?;
        // SAFETY: the call above wrote this member.
        let flags = unsafe { request.ifr_ifru.ifru_flags };
        request.ifr_ifru.ifru_flags = flags | (libc::IFF_UP | libc::IFF_PROMISC) as libc::c_short;
        self.ioctl(libc::SIOCSIFFLAGS, &mut request, "bringing it up")
    }
}
