//! The files of a policy directory, as text.

use std::io::Read;
use std::path::Path;
use std::{fs, io};

use crate::problem::File;
use crate::{Error, Sources, yaml};

/// Bytes that are read of a file, so that a device or pipe does not fill the memory. The limit is past [`yaml::LENGTH`] even
/// after a character that it cuts is removed.
const READ_LIMIT: usize = yaml::LENGTH + 4;

/// Reads the files of a policy directory. `site.yaml` must be there.
///
/// # Errors
/// [`Error::Read`] if it is not, or if a file cannot be read, is not UTF-8, or has a misspelt name such as `policy.yml`.
pub fn read(directory: &Path) -> Result<Sources, Error> {
    let file = |file: File| {
        text(directory, file).map_err(|error| Error::Read {
            path: directory.join(file.name()),
            error,
        })
    };
    let optional = |name: File| match file(name) {
        Ok(text) => Ok(Some(text)),
        Err(Error::Read { error, .. }) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    Ok(Sources {
        site: file(File::Site)?,
        policy: optional(File::Policy)?,
        devices: optional(File::Devices)?,
    })
}

fn text(directory: &Path, file: File) -> io::Result<String> {
    let opened = match fs::File::open(directory.join(file.name())) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(misnamed(directory, file).unwrap_or(error));
        }
        opened => opened?,
    };
    let mut bytes = Vec::new();
    opened.take(READ_LIMIT as u64).read_to_end(&mut bytes)?;
    let whole = bytes.len() < READ_LIMIT;
    String::from_utf8(bytes).or_else(|error| {
        let wrong = error.utf8_error();
        let before = String::from_utf8_lossy(&error.as_bytes()[..wrong.valid_up_to()]).into_owned();
        if wrong.error_len().is_none() && !whole {
            return Ok(before);
        }
        let position = yaml::end(file, &before);
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "line {} is not UTF-8 from column {} on: save the file as UTF-8",
                position.line, position.column
            ),
        ))
    })
}

/// An error if a missing file exists under a name in another case, or with the extension `yml`. Without this check the
/// directory would be accepted as a different policy.
fn misnamed(directory: &Path, file: File) -> Option<io::Error> {
    let wanted = file.name();
    let names = fs::read_dir(directory).ok()?.flatten();
    let near = names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| {
            let lower = name.to_ascii_lowercase();
            let normalised = match lower.strip_suffix(".yml") {
                Some(stem) => format!("{stem}.yaml"),
                None => lower,
            };
            normalised == wanted && name != wanted
        })
        .min()?;
    Some(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("found {near} instead: rename it to {wanted}"),
    ))
}
