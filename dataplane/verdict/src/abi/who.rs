//! Who is who: devices, the addresses bound to them, and networks.

use super::records::CLASS_STRANGER;
use crate::address::Ip;

/// A device, by [`super::member`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Device {
    /// Its number in this generation in the lower 24 bits, [`Device::ANY_ADDRESS`] and its neighbours in the upper 8: as much
    /// as goes into one record of the table.
    pub word: u32,
    /// Its class.
    pub class: u16,
    /// Where it is bound to: a port with [`Device::AT_PORT`], the number of an attachment with [`Device::AT_ATTACHMENT`].
    pub place: u16,
    /// The first of the addresses bound to it, `::` for none: of nearly every device the only one, so that nobody need look
    /// for it in the table of addresses.
    pub address: Ip,
}

impl Device {
    /// No address is bound to it: it may use any of its segment's that is nobody else's.
    pub const ANY_ADDRESS: u32 = 1 << 24;
    /// It may answer DHCP clients.
    pub const DHCP_SERVER: u32 = 1 << 25;
    /// It is bound to a port.
    pub const AT_PORT: u32 = 1 << 26;
    /// It is bound to an attachment.
    pub const AT_ATTACHMENT: u32 = 1 << 27;
    /// Devices that a generation can have.
    pub const MOST: u32 = Device::ANY_ADDRESS - 1;
    /// Nobody who is listed.
    pub const NONE: Device = Device {
        word: Device::MOST,
        class: 0,
        place: 0,
        address: Ip::UNSPECIFIED,
    };

    /// Its number.
    #[inline(always)]
    pub const fn id(self) -> u32 {
        self.word & Device::MOST
    }

    /// Whether a flag is set.
    #[inline(always)]
    pub const fn is(self, flag: u32) -> bool {
        self.word & flag != 0
    }

    /// Whether it is one.
    #[inline(always)]
    pub const fn is_listed(self) -> bool {
        self.id() != Device::NONE.word
    }

    /// Whether this is the first address bound to it. If not it may be another of its own.
    #[inline(always)]
    pub fn is_at(self, ip: Ip) -> bool {
        self.address == ip && !ip.is_unspecified()
    }

    /// Whether it may be at this attachment of this port.
    #[inline(always)]
    pub const fn may_be_at(self, port: u16, attachment: u16) -> bool {
        if self.is(Device::AT_PORT) {
            return self.place == port;
        }
        !self.is(Device::AT_ATTACHMENT) || self.place == attachment
    }
}

/// Whose an address is, by [`Ip`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Address {
    /// The device's number.
    pub device: u32,
    /// The device's segment.
    pub segment: u16,
    /// The device's class.
    pub class: u16,
}

/// What a network's addresses are, where they are no device's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Network {
    /// Their class.
    pub class: u16,
    /// The segment whose subnets they are in; [`Network::NO_SEGMENT`] for none.
    pub segment: u16,
    /// [`Network::BROADCAST`] and its neighbour.
    pub flags: u16,
    /// Their class if they are in the ingress segment's subnets and behind an uplink: not inside the site.
    pub behind: u16,
}

impl Network {
    /// In no segment's subnets.
    pub const NO_SEGMENT: u16 = u16::MAX;
    /// A subnet's directed broadcast address.
    pub const BROADCAST: u16 = 1;
    /// A router's own address.
    pub const ROUTER: u16 = 2;
    /// What is in no network. Not an `Option`: its undefined half is more than the kernel's verifier takes.
    pub const NOWHERE: Network = Network {
        class: CLASS_STRANGER,
        segment: Network::NO_SEGMENT,
        flags: 0,
        behind: CLASS_STRANGER,
    };
}

const _: () = assert!(size_of::<Device>() == 24);
const _: () = assert!(size_of::<Address>() == 8);
const _: () = assert!(size_of::<Network>() == 8);
