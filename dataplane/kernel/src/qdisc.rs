//! The root queueing discipline of a port: `noqueue`.
//!
//! Frames that XDP redirects wait in no queue. Copies that the tc program makes would wait in the port's queue, and could
//! leave after an order to close is in force. Without a queue the kernel drops frames that the NIC does not accept at once,
//! as it does for redirected frames.

use std::io;
use std::os::fd::AsRawFd as _;

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

use crate::error::Error;
use crate::nic::Nic;

/// Bytes of `struct nlmsghdr`, and of `struct tcmsg` after it.
const HEADER: usize = 16;
const TCMSG: usize = 20;
const TC_H_ROOT: u32 = u32::MAX;
/// The kind of qdisc that has no queue.
const NOQUEUE: &[u8] = b"noqueue\0";

/// Replaces the queue of an interface by `noqueue`.
///
/// # Errors
/// [`Error::Nic`].
pub fn remove(nic: &Nic) -> Result<(), Error> {
    set_noqueue(nic.index).map_err(|source| Error::Nic {
        nic: nic.name.clone(),
        what: "removing its queue (tc qdisc replace ... root noqueue)",
        source,
    })
}

fn set_noqueue(index: u32) -> io::Result<()> {
    let only_once = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    match request(index, libc::RTM_NEWQDISC, only_once, NOQUEUE) {
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {}
        other => return other.map(drop),
    }
    // A root qdisc was set before: by this daemon before a restart, or by an administrator. Replacing `noqueue` by itself
    // would lose frames.
    let current = request(index, libc::RTM_GETQDISC, 0, b"")?;
    if current.windows(NOQUEUE.len()).any(|bytes| bytes == NOQUEUE) {
        return Ok(());
    }
    let instead = libc::NLM_F_CREATE | libc::NLM_F_REPLACE;
    request(index, libc::RTM_NEWQDISC, instead, NOQUEUE).map(drop)
}

/// Restores the kernel's default queue of an interface. Does nothing if the interface no longer exists.
pub fn restore(nic: &Nic) {
    let _ = request(nic.index, libc::RTM_DELQDISC, 0, b"");
}

/// Sends a request about the root qdisc of an interface; returns the kernel's answer.
fn request(index: u32, what: u16, flags: i32, kind: &[u8]) -> io::Result<Vec<u8>> {
    let netlink = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    let flags = flags | libc::NLM_F_REQUEST | libc::NLM_F_ACK;
    let message = message(index, what, flags as u16, kind);
    send(netlink.as_raw_fd(), &message, MsgFlags::empty())?;
    let mut answer = vec![0; 8192];
    let length = recv(netlink.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    answer.truncate(length);
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok());
    let error = answer
        .get(HEADER..HEADER + 4)
        .and_then(|bytes| bytes.try_into().ok());
    let (Some(kind), Some(error)) = (kind, error) else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    // In an acknowledgement, the header is followed by 0 or a negative error number.
    let acknowledges = i32::from(u16::from_ne_bytes(kind)) == libc::NLMSG_ERROR;
    match i32::from_ne_bytes(error) {
        error @ ..0 if acknowledges => Err(io::Error::from_raw_os_error(-error)),
        _ => Ok(answer),
    }
}

/// A request about the root qdisc of an interface: see rtnetlink(7).
fn message(index: u32, what: u16, flags: u16, kind: &[u8]) -> Vec<u8> {
    let mut tail = Vec::new();
    if !kind.is_empty() {
        const TCA_KIND: u16 = 1;
        tail.extend((4 + kind.len() as u16).to_ne_bytes());
        tail.extend(TCA_KIND.to_ne_bytes());
        tail.extend(kind);
        tail.resize(tail.len().next_multiple_of(4), 0);
    }
    let mut message = Vec::new();
    message.extend(((HEADER + TCMSG + tail.len()) as u32).to_ne_bytes());
    message.extend(what.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    // Sequence number and port ID: zero, as they are not checked.
    message.extend([0; 8]);
    // `struct tcmsg`: family and padding; interface index; handle (none); parent; info (none).
    message.extend([0; 4]);
    message.extend(index.to_ne_bytes());
    message.extend([0; 4]);
    message.extend(TC_H_ROOT.to_ne_bytes());
    message.extend([0; 4]);
    message.extend(tail);
    message
}
