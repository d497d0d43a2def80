//! The groups of the process at the other end of a Unix socket.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Groups that a process has at most (`NGROUPS_MAX`).
const MAX_GROUPS: usize = 65536;

/// The supplementary groups of the peer, as the kernel recorded them at connect(2).
///
/// # Errors
/// If it is no connected Unix socket.
pub fn peer_groups(socket: impl AsFd) -> io::Result<Vec<u32>> {
    let mut groups: Vec<libc::gid_t> = vec![0; 64];
    loop {
        let mut bytes = std::mem::size_of_val(&groups[..]) as libc::socklen_t;
        // SAFETY: the kernel writes at most `bytes` bytes to `groups`, and sets `bytes`.
        let got = unsafe {
            libc::getsockopt(
                socket.as_fd().as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut bytes,
            )
        };
        if got == 0 {
            groups.truncate(bytes as usize / size_of::<libc::gid_t>());
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::ERANGE) || groups.len() >= MAX_GROUPS {
            return Err(error);
        }
        groups.resize(MAX_GROUPS, 0);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn the_groups_of_the_peer_are_those_of_its_process() {
        let (one, _other) = UnixStream::pair().expect("makes a pair");
        let mut found = peer_groups(&one).expect("is a Unix socket");
        let own = nix::unistd::getgroups().expect("has groups");
        let mut own: Vec<u32> = own.into_iter().map(|group| group.as_raw()).collect();
        found.sort_unstable();
        own.sort_unstable();
        assert_eq!(found, own);
    }
}
