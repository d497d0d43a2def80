//! The queue in front of a port, which is to be none.
//!
//! What is redirected by XDP waits in no queue. Copies that the tc program makes would: and what waits there when an order to
//! close is given would leave after it is in force. Without a queue what a NIC does not take at once is lost, as it is of
//! what XDP redirects.

use std::io;
use std::os::fd::AsRawFd as _;

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

use crate::error::Error;
use crate::nic::Nic;

/// Bytes of `struct nlmsghdr`, and of `struct tcmsg` behind it.
const HEADER: usize = 16;
const TCMSG: usize = 20;
const TC_H_ROOT: u32 = u32::MAX;
/// The kind of queue that is none.
const NONE: &[u8] = b"noqueue\0";

/// Takes the queue away from an interface.
///
/// # Errors
/// [`Error::Nic`].
pub fn take_away(nic: &Nic) -> Result<(), Error> {
    taken(nic.index).map_err(|source| Error::Nic {
        nic: nic.name.clone(),
        what: "taking its queue away (tc qdisc replace ... root noqueue)",
        source,
    })
}

fn taken(index: u32) -> io::Result<()> {
    let only_once = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    match ask(index, libc::RTM_NEWQDISC, only_once, NONE) {
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {}
        other => return other.map(drop),
    }
    // Somebody has said what is there: we, before a restart, or an administrator. To say it again would lose frames.
    let there = ask(index, libc::RTM_GETQDISC, 0, b"")?;
    if there.windows(NONE.len()).any(|bytes| bytes == NONE) {
        return Ok(());
    }
    let instead = libc::NLM_F_CREATE | libc::NLM_F_REPLACE;
    ask(index, libc::RTM_NEWQDISC, instead, NONE).map(drop)
}

/// Gives an interface the queue that the kernel would have given it. One that is gone has none.
pub fn give_back(nic: &Nic) {
    let _ = ask(nic.index, libc::RTM_DELQDISC, 0, b"");
}

/// Asks the kernel something of an interface's root queue; answers what it says.
fn ask(index: u32, what: u16, flags: i32, kind: &[u8]) -> io::Result<Vec<u8>> {
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
    // Behind the header of an acknowledgement is an error's number, negative, or 0.
    let acknowledges = i32::from(u16::from_ne_bytes(kind)) == libc::NLMSG_ERROR;
    match i32::from_ne_bytes(error) {
        error @ ..0 if acknowledges => Err(io::Error::from_raw_os_error(-error)),
        _ => Ok(answer),
    }
}

/// A request about the root queue of an interface, as rtnetlink(7) has it.
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
    // Sequence number and sender, which nobody asks for.
    message.extend([0; 8]);
    // The family, and what fills up its word; the interface; no handle; where; nothing.
    message.extend([0; 4]);
    message.extend(index.to_ne_bytes());
    message.extend([0; 4]);
    message.extend(TC_H_ROOT.to_ne_bytes());
    message.extend([0; 4]);
    message.extend(tail);
    message
}
