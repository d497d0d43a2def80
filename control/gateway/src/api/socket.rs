//! The Unix socket of the API: it has its permissions from the first moment, and replaces one that a daemon that has exited left.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixStream as Blocking;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use axum::{Extension, Router};
use tokio::net::UnixListener;

use super::roles::{Access, Credentials, Roles};
use super::server::{self, Connection, Limits};
use crate::config;
use crate::engine::Caller;

/// The limits of one user.
const LIMITS: Limits = Limits::new(32);

/// The listening socket, removed when dropped.
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
    roles: Arc<Roles>,
}

impl Socket {
    /// Binds the socket.
    ///
    /// # Errors
    /// If another daemon listens there, the group does not exist, or the file system refuses.
    pub fn bind(config: &config::Socket) -> anyhow::Result<Socket> {
        let path = &config.path;
        let roles = Arc::new(Roles::new(config)?);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).with_context(|| {
                format!("the directory of {} cannot be created", path.display())
            })?;
        }
        if Blocking::connect(path).is_ok() {
            bail!(
                "another daemon listens at {}: stop it, or set [socket] path to another path",
                path.display()
            );
        }
        // One group may connect; if several have roles, everyone may, and the roles alone decide.
        let mode = match (roles.is_empty(), roles.only_group()) {
            (false, None) => 0o666,
            _ => 0o660,
        };
        let listener = bind_beside(path, roles.only_group(), mode)
            .with_context(|| format!("cannot listen at {}", path.display()))?;
        let inode = fs::metadata(path).map(|socket| socket.ino())?;
        Ok(Socket {
            listener,
            path: path.clone(),
            inode,
            roles,
        })
    }

    /// Serves callers forever.
    pub async fn serve(&self, router: Router) {
        self.serve_within(LIMITS, router).await;
    }

    /// Serves callers forever, with other limits.
    pub async fn serve_within(&self, limits: Limits, router: Router) {
        server::serve(limits, async || {
            let (stream, _) = self.listener.accept().await?;
            // As the kernel recorded at connect(2) (SO_PEERCRED).
            let peer = stream.peer_cred()?;
            let caller = peer.uid();
            let mut groups = cordon_kernel::peer_groups(&stream)?;
            groups.push(peer.gid());
            let access = Access::of(
                &self.roles,
                &Credentials {
                    uid: caller,
                    groups,
                },
            );
            let router = router
                .clone()
                .layer(Extension(Caller(caller)))
                .layer(Extension(access));
            Ok(Connection {
                caller,
                stream,
                router,
            })
        })
        .await;
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Unless another daemon has replaced it.
        if fs::metadata(&self.path).is_ok_and(|socket| socket.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Binds in a directory that only the daemon may enter, sets owner and permissions, and renames to the final path, so
/// that the socket never has other permissions there. A umask would affect every thread.
fn bind_beside(path: &Path, group: Option<u32>, mode: u32) -> io::Result<UnixListener> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let inside = beside.join("s");
    remove_leftovers(&beside, &inside)?;
    fs::DirBuilder::new().mode(0o700).create(&beside)?;
    let listener = UnixListener::bind(&inside)?;
    // The longest backlog, so that callers in a burst wait rather than fail.
    nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::MAXCONN)?;
    if let Some(group) = group {
        chown(&inside, None, Some(group)).map_err(|error| {
            let text =
                format!("its group cannot be set (is the daemon's user a member of it?): {error}");
            io::Error::new(error.kind(), text)
        })?;
    }
    fs::set_permissions(&inside, fs::Permissions::from_mode(mode))?;
    fs::rename(&inside, path)?;
    fs::remove_dir(&beside)?;
    Ok(listener)
}

/// Removes what a daemon killed in between left: a directory, or a file of an earlier version.
fn remove_leftovers(beside: &Path, inside: &Path) -> io::Result<()> {
    for removed in [
        fs::remove_file(inside),
        fs::remove_dir(beside).or_else(|_| fs::remove_file(beside)),
    ] {
        match removed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
            other => other?,
        }
    }
    Ok(())
}
