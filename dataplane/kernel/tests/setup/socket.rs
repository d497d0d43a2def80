//! Whole frames on a veth: a packet socket that reinserts the VLAN tag that the kernel removes.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// One end of a veth.
pub struct Socket(OwnedFd);

const ETH_P_ALL: u16 = 3;
const VLAN_VALID: u32 = 1 << 4;

impl Socket {
    /// Opens an interface for sending and receiving.
    pub fn open(name: &str) -> Socket {
        let index = nix::net::if_::if_nametoindex(name).expect("there is such an interface");
        // SAFETY: takes no pointer; the returned descriptor is checked, and owned here only.
        let socket = unsafe {
            let fd = libc::socket(
                libc::AF_PACKET,
                libc::SOCK_RAW | libc::SOCK_CLOEXEC,
                i32::from(ETH_P_ALL.to_be()),
            );
            assert!(fd >= 0, "{}", io::Error::last_os_error());
            OwnedFd::from_raw_fd(fd)
        };
        // SAFETY: all zeroes is a valid one.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = ETH_P_ALL.to_be();
        address.sll_ifindex = index as i32;
        let on: i32 = 1;
        let room: i32 = 1 << 24;
        // SAFETY: both are borrowed for the call, with their sizes.
        let failed = unsafe {
            libc::bind(
                socket.as_raw_fd(),
                (&raw const address).cast(),
                size_of_val(&address) as u32,
            ) | libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_AUXDATA,
                (&raw const on).cast(),
                size_of_val(&on) as u32,
            ) | libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_IGNORE_OUTGOING,
                (&raw const on).cast(),
                size_of_val(&on) as u32,
            ) | libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_RCVBUFFORCE,
                (&raw const room).cast(),
                size_of_val(&room) as u32,
            )
        };
        assert_eq!(failed, 0, "{}", io::Error::last_os_error());
        Socket(socket)
    }

    pub fn send(&self, frame: &[u8]) {
        // SAFETY: borrowed for the call, with its size.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        assert_eq!(sent, frame.len() as isize, "{}", io::Error::last_os_error());
    }

    /// The frames that arrive, until none has for [`QUIET`] or there are `limit`.
    pub fn receive(&self, limit: usize) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let mut last = Instant::now();
        while frames.len() < limit && last.elapsed() < QUIET {
            match self.one() {
                Some(frame) => {
                    frames.push(frame);
                    last = Instant::now();
                }
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        frames
    }

    fn one(&self) -> Option<Vec<u8>> {
        let mut bytes = vec![0u8; 10_000];
        let mut control = [0u64; 16];
        let mut part = libc::iovec {
            iov_base: bytes.as_mut_ptr().cast(),
            iov_len: bytes.len(),
        };
        // SAFETY: all zeroes is a valid one.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = &mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control);
        // SAFETY: everything that the message points to outlives the call.
        let length = unsafe { libc::recvmsg(self.0.as_raw_fd(), &mut message, libc::MSG_DONTWAIT) };
        bytes.truncate(usize::try_from(length).ok()?);
        // SAFETY: the kernel has written the control messages and their length.
        let auxiliary = unsafe {
            let header = libc::CMSG_FIRSTHDR(&message);
            assert!(!header.is_null(), "PACKET_AUXDATA is set");
            libc::CMSG_DATA(header)
                .cast::<libc::tpacket_auxdata>()
                .read_unaligned()
        };
        if auxiliary.tp_status & VLAN_VALID != 0 {
            let kind = auxiliary.tp_vlan_tpid.to_be_bytes();
            let tag = auxiliary.tp_vlan_tci.to_be_bytes();
            bytes.splice(12..12, [kind[0], kind[1], tag[0], tag[1]]);
        }
        Some(bytes)
    }
}

/// Long enough for a busy machine.
const QUIET: Duration = Duration::from_millis(400);
