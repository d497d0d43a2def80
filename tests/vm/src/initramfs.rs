//! The root file system of a virtual machine: a cpio archive in the kernel's format
//! (Documentation/driver-api/early-userspace/buffer-format.rst).

const DIRECTORY: u32 = 0o040_755;
const FILE: u32 = 0o100_755;
const DEVICE: u32 = 0o020_600;

/// A builder of an archive.
#[derive(Debug, Default)]
pub struct Initramfs {
    bytes: Vec<u8>,
    inode: u32,
}

impl Initramfs {
    /// Adds a directory. Its parents must be added first.
    pub fn directory(mut self, path: &str) -> Initramfs {
        self.entry(path, DIRECTORY, (0, 0), &[]);
        self
    }

    /// Adds an executable file.
    pub fn file(mut self, path: &str, content: &[u8]) -> Initramfs {
        self.entry(path, FILE, (0, 0), content);
        self
    }

    /// Adds a character device.
    pub fn device(mut self, path: &str, major: u32, minor: u32) -> Initramfs {
        self.entry(path, DEVICE, (major, minor), &[]);
        self
    }

    /// Returns the archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, device: (u32, u32), content: &[u8]) {
        self.inode += 1;
        let size = u32::try_from(content.len()).expect("a program is smaller than 4 GiB");
        let name = u32::try_from(path.len() + 1).expect("a path is shorter still");
        let header = [
            self.inode, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name, 0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in header {
            self.bytes
                .extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_has_the_kernels_format() {
        let archive = Initramfs::default().file("init", b"hello").finish();
        let text = String::from_utf8(archive).expect("holds only text here");
        let expected = concat!(
            "070701",
            "00000001000081ed00000000000000000000000100000000000000050000000000000000000000000000000000000005",
            "00000000",
            "init\0\0",
            "hello\0\0\0",
            "070701",
            "00000002000000000000000000000000000000010000000000000000000000000000000000000000000000000000000b",
            "00000000",
            "TRAILER!!!\0\0\0\0",
        );
        assert_eq!(text, expected);
    }
}
