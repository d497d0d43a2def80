//! Files that a power cut leaves either as they were or as they are to be: written under a second name, synced, renamed,
//! and the directory synced.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The second name of a file.
pub fn temporary_path(path: &Path) -> PathBuf {
    path.with_extension("new")
}

/// Writes and syncs a file under its second name.
pub fn prepare(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = temporary_path(path);
    let write = || -> io::Result<()> {
        let mut file = File::create(&temporary)?;
        file.write_all(content)?;
        file.sync_all()
    };
    write().inspect_err(|_| {
        // A partial file must not take up disk space.
        let _ = fs::remove_file(&temporary);
    })
}

/// Renames what was prepared to its name. Needs no disk space.
pub fn commit(path: &Path) -> io::Result<()> {
    fs::rename(temporary_path(path), path)?;
    let directory = path.parent().unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

/// Replaces the content of a file.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    prepare(path, content)?;
    commit(path)
}
