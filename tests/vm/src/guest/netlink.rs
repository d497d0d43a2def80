//! Makes veth pairs by rtnetlink: the machine has no `ip` program.

use std::os::fd::AsRawFd;

use anyhow::{Context, Result, ensure};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

const RTM_NEWLINK: u16 = 16;
/// `NLM_F_REQUEST`, `NLM_F_ACK`, `NLM_F_EXCL`, `NLM_F_CREATE`.
const FLAGS: u16 = 0x1 | 0x4 | 0x200 | 0x400;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const NLMSG_ERROR: u16 = 2;

/// Makes the veth pair `one` and `other`. Both are down.
pub fn veth(one: &str, other: &str) -> Result<()> {
    let peer = [interface(), name(other)].concat();
    let info = [
        attribute(IFLA_INFO_KIND, b"veth"),
        attribute(IFLA_INFO_DATA, &attribute(VETH_INFO_PEER, &peer)),
    ]
    .concat();
    let body = [interface(), name(one), attribute(IFLA_LINKINFO, &info)].concat();
    request(&body).with_context(|| format!("making the veth pair {one} and {other}"))
}

/// `struct ifinfomsg` of a new interface: all zero.
fn interface() -> Vec<u8> {
    vec![0; 16]
}

fn name(name: &str) -> Vec<u8> {
    attribute(IFLA_IFNAME, &[name.as_bytes(), &[0]].concat())
}

fn attribute(kind: u16, content: &[u8]) -> Vec<u8> {
    let length = 4 + content.len() as u16;
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn request(body: &[u8]) -> Result<()> {
    let length = 16 + body.len() as u32;
    let mut message = length.to_ne_bytes().to_vec();
    message.extend([RTM_NEWLINK.to_ne_bytes(), FLAGS.to_ne_bytes()].concat());
    // Sequence number 1; the kernel fills in the port ID.
    message.extend([1u32.to_ne_bytes(), 0u32.to_ne_bytes()].concat());
    message.extend_from_slice(body);
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    let kernel = NetlinkAddr::new(0, 0);
    sendto(socket.as_raw_fd(), &message, &kernel, MsgFlags::empty())?;
    let mut answer = [0; 4096];
    let read = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    ensure!(read >= 20, "the kernel's answer is too short");
    let kind = u16::from_ne_bytes([answer[4], answer[5]]);
    ensure!(
        kind == NLMSG_ERROR,
        "the kernel answered with message {kind}"
    );
    let error = i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]);
    match error {
        0 => Ok(()),
        _ => Err(std::io::Error::from_raw_os_error(-error).into()),
    }
}
