//! Addresses as numbers, the same in frames, keys and records.

/// A MAC address in the lower 48 bits, first octet highest.
pub type Mac = u64;

/// The group bit of a MAC address (IEEE 802.3 §3.2.3): set for multicast and broadcast.
pub const MAC_GROUP: Mac = 1 << 40;

/// An IP address as two halves in host order; IPv4 as `::ffff:a.b.c.d` (RFC 4291 §2.5.5.2).
///
/// 16 bytes; a key in several tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(C)]
pub struct Ip {
    /// The upper 64 bits.
    pub hi: u64,
    /// The lower 64 bits.
    pub lo: u64,
}

const V4_MAPPED: u64 = 0xffff_0000_0000;

impl Ip {
    /// `::`.
    pub const UNSPECIFIED: Ip = Ip { hi: 0, lo: 0 };

    /// The IPv4 address with this value.
    #[inline(always)]
    pub const fn v4(address: u32) -> Ip {
        Ip {
            hi: 0,
            lo: V4_MAPPED | address as u64,
        }
    }

    /// Whether this is an IPv4 address.
    #[inline(always)]
    pub const fn is_v4(self) -> bool {
        self.hi == 0 && self.lo >> 32 == 0xffff
    }

    /// A 32-bit digest of the address. Different addresses may have the same.
    #[inline(always)]
    pub const fn folded(self) -> u32 {
        let word = self.hi ^ self.lo;
        (word >> 32) as u32 ^ word as u32
    }

    /// The lower 32 bits: an IPv4 address's value.
    #[inline(always)]
    pub const fn low32(self) -> u32 {
        self.lo as u32
    }

    /// `0.0.0.0` or `::`.
    #[inline(always)]
    pub const fn is_unspecified(self) -> bool {
        self.hi == 0 && (self.lo == 0 || self.lo == V4_MAPPED)
    }

    /// `fe80::/10` (RFC 4291 §2.5.6).
    #[inline(always)]
    pub const fn is_v6_link_local(self) -> bool {
        self.hi >> 54 == 0xfe80 >> 6
    }

    /// A link-local address that a host may use: `fe80::/64`, since 54 bits of `fe80::/10` have to be zero (RFC 4291
    /// §2.5.6), or 169.254.0.0/16 (RFC 3927).
    #[inline(always)]
    pub const fn is_link_local(self) -> bool {
        self.hi == 0xfe80 << 48 || (self.is_v4() && self.low32() >> 16 == 0xa9fe)
    }

    /// `fe80::/10` or `::`: sources that a host may use before it has a global address.
    #[inline(always)]
    pub const fn is_v6_link_local_or_unspecified(self) -> bool {
        self.is_v6_link_local() || (self.hi == 0 && self.lo == 0)
    }

    /// IPv4 multicast (RFC 5771), limited broadcast (RFC 919) or IPv6 multicast (RFC 4291 §2.7).
    /// Directed broadcast addresses of subnets are known to the tables only.
    #[inline(always)]
    pub const fn is_group(self) -> bool {
        if self.is_v4() {
            let address = self.low32();
            address >> 28 == 0xe || address == u32::MAX
        } else {
            self.hi >> 56 == 0xff
        }
    }

    /// `127.0.0.0/8` or `::1`.
    #[inline(always)]
    pub const fn is_loopback(self) -> bool {
        if self.is_v4() {
            self.low32() >> 24 == 127
        } else {
            self.hi == 0 && self.lo == 1
        }
    }

    /// The 16 bytes in network order, as the kernel's longest-prefix tables expect them.
    #[inline(always)]
    pub const fn octets(self) -> [u64; 2] {
        [self.hi.to_be(), self.lo.to_be()]
    }
}
