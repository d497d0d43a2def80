//! Identity: devices, the addresses bound to them, and networks.

use super::records::CLASS_UNCLASSIFIED;
use crate::address::Ip;

/// A device, by [`super::member`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Device {
    /// The device's number in this generation in the lower 24 bits, flags in the upper 8: [`Device::ANY_ADDRESS`],
    /// [`Device::DHCP_SERVER`], [`Device::AT_PORT`], [`Device::AT_ATTACHMENT`].
    pub word: u32,
    /// Its class.
    pub class: u16,
    /// A port with [`Device::AT_PORT`], the number of an attachment with [`Device::AT_ATTACHMENT`], else 0.
    pub bound_to: u16,
    /// The first of the addresses bound to it, `::` for none. Nearly every device has one address, and needs no look-up
    /// in the table of addresses.
    pub address: Ip,
}

impl Device {
    /// No address is bound to it: it may use any address of its segment that is bound to no device.
    pub const ANY_ADDRESS: u32 = 1 << 24;
    /// It may answer DHCP clients.
    pub const DHCP_SERVER: u32 = 1 << 25;
    /// It is bound to a port.
    pub const AT_PORT: u32 = 1 << 26;
    /// It is bound to an attachment.
    pub const AT_ATTACHMENT: u32 = 1 << 27;
    /// The number of devices that a generation can have, and the number that no device has.
    pub const MAX_ID: u32 = Device::ANY_ADDRESS - 1;
    /// No listed device.
    pub const NONE: Device = Device {
        word: Device::MAX_ID,
        class: 0,
        bound_to: 0,
        address: Ip::UNSPECIFIED,
    };

    /// The device's number.
    #[inline(always)]
    pub const fn id(self) -> u32 {
        self.word & Device::MAX_ID
    }

    /// Whether a flag is set.
    #[inline(always)]
    pub const fn is(self, flag: u32) -> bool {
        self.word & flag != 0
    }

    /// Whether this is a listed device, not [`Device::NONE`].
    #[inline(always)]
    pub const fn is_listed(self) -> bool {
        self.id() != Device::NONE.word
    }

    /// Whether this is the first address bound to the device. If not, it may be a further one.
    #[inline(always)]
    pub fn is_at(self, ip: Ip) -> bool {
        self.address == ip && !ip.is_unspecified()
    }

    /// Whether the device may be at this attachment of this port.
    #[inline(always)]
    pub const fn may_be_at(self, port: u16, attachment: u16) -> bool {
        if self.is(Device::AT_PORT) {
            return self.bound_to == port;
        }
        !self.is(Device::AT_ATTACHMENT) || self.bound_to == attachment
    }
}

/// The device to which an address is bound, by [`Ip`].
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

/// A network: identifies addresses that are bound to no device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Network {
    /// The class of its addresses.
    pub class: u16,
    /// The segment of the subnet; [`Network::NO_SEGMENT`] for none.
    pub segment: u16,
    /// Of [`Network::BROADCAST`], [`Network::ROUTER`].
    pub flags: u16,
    /// The class of addresses in the ingress segment's own subnets whose host is behind an uplink: outside the site.
    pub via_uplink: u16,
}

impl Network {
    /// In no segment's subnet.
    pub const NO_SEGMENT: u16 = u16::MAX;
    /// A subnet's directed broadcast address.
    pub const BROADCAST: u16 = 1;
    /// A router's own address.
    pub const ROUTER: u16 = 2;
    /// Link-local addresses that no other network holds: they belong to the segment in which they are used.
    pub const LINK_LOCAL: u16 = 4;
    /// The result for an address in no network. Not an `Option`: the kernel's verifier refuses its undefined part.
    pub const UNCLASSIFIED: Network = Network {
        class: CLASS_UNCLASSIFIED,
        segment: Network::NO_SEGMENT,
        flags: 0,
        via_uplink: CLASS_UNCLASSIFIED,
    };
}

const _: () = assert!(size_of::<Device>() == 24);
const _: () = assert!(size_of::<Address>() == 8);
const _: () = assert!(size_of::<Network>() == 8);
