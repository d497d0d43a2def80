//! Packet sockets in the calling thread's network namespace.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, SockaddrLike, bind, send as send_to,
    socket,
};

/// A packet socket that receives nothing until it is bound to a protocol.
pub fn open() -> io::Result<OwnedFd> {
    Ok(socket(
        AddressFamily::Packet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?)
}

/// Binds a packet socket to an interface. With `receive` it gets all protocols, otherwise it only sends.
pub fn attach(socket: &OwnedFd, interface: &str, receive: bool) -> io::Result<()> {
    let index = nix::net::if_::if_nametoindex(interface)?;
    let protocol = if receive { libc::ETH_P_ALL as u16 } else { 0 };
    // SAFETY: all zeroes is a valid `sockaddr_ll`.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = index as i32;
    // SAFETY: it points to a `sockaddr_ll` with its family set, of the length given.
    let address = unsafe {
        LinkAddr::from_raw(
            (&raw const address).cast(),
            Some(size_of::<libc::sockaddr_ll>() as u32),
        )
    };
    let address = address.ok_or_else(|| io::Error::other("no packet address"))?;
    Ok(bind(socket.as_raw_fd(), &address)?)
}

/// Sends frames unchanged, one after the other.
pub fn send<F: AsRef<[u8]>>(interface: &str, frames: &[F]) -> io::Result<()> {
    let socket = open()?;
    attach(&socket, interface, false)?;
    for frame in frames {
        send_to(socket.as_raw_fd(), frame.as_ref(), MsgFlags::empty())?;
    }
    Ok(())
}

/// The index of the interface that a packet socket is bound to. None for an unbound socket and for other sockets.
pub fn interface_of(socket: &impl AsRawFd) -> Option<u32> {
    // SAFETY: all zeroes is a valid `sockaddr_ll`.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::sockaddr_ll>() as u32;
    // SAFETY: the kernel writes no more than `length` bytes to it.
    let result = unsafe {
        libc::getsockname(
            socket.as_raw_fd(),
            (&raw mut address).cast(),
            &raw mut length,
        )
    };
    let bound = result == 0 && i32::from(address.sll_family) == libc::AF_PACKET;
    (bound && address.sll_ifindex > 0).then_some(address.sll_ifindex as u32)
}

/// Sets an option of a packet socket.
pub fn set<T: Copy>(socket: &OwnedFd, option: i32, value: T) -> io::Result<()> {
    // SAFETY: the kernel reads `size_of::<T>()` bytes of a live value.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            option,
            (&raw const value).cast(),
            size_of::<T>() as u32,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Frames that a packet socket dropped because its buffer was full. Reading resets the counter.
pub fn take_lost(socket: &impl AsRawFd) -> io::Result<u64> {
    let mut statistics = libc::tpacket_stats {
        tp_packets: 0,
        tp_drops: 0,
    };
    let mut length = size_of::<libc::tpacket_stats>() as u32;
    // SAFETY: the kernel writes no more than `length` bytes to it.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut statistics).cast(),
            &raw mut length,
        )
    };
    if result == 0 {
        Ok(u64::from(statistics.tp_drops))
    } else {
        Err(io::Error::last_os_error())
    }
}
