//! The programs that tests, demo and bench run, and the Debian package of each.

use std::env;
use std::path::{Path, PathBuf};

/// A program, its package in Debian, and what it is for.
pub struct Program {
    pub command: &'static str,
    pub package: &'static str,
    pub purpose: &'static str,
    /// Services that the package would start.
    pub services: &'static [&'static str],
}

const fn program(command: &'static str, package: &'static str, purpose: &'static str) -> Program {
    Program {
        command,
        package,
        purpose,
        services: &[],
    }
}

/// Add a line here, and `cargo xtask setup` installs the program.
pub const PROGRAMS: &[Program] = &[
    program(
        "ip",
        "iproute2",
        "network namespaces and veth pairs of the lab",
    ),
    program(
        "systemd-analyze",
        "systemd",
        "the exposure of the daemon's unit",
    ),
    program("ethtool", "ethtool", "offloads of the lab's interfaces"),
    program("ping", "iputils-ping", "reachability, for people and tests"),
    program(
        "nft",
        "nftables",
        "the firewall that the bench compares with",
    ),
    Program {
        services: &["openvswitch-switch.service"],
        ..program(
            "ovs-vswitchd",
            "openvswitch-switch",
            "the lab's access switch with real VLANs",
        )
    },
    program("storescu", "dcmtk", "a CT that sends images (DICOM)"),
    Program {
        services: &["orthanc.service"],
        ..program(
            "Orthanc",
            "orthanc",
            "an archive that stores the images (DICOM)",
        )
    },
    Program {
        services: &["radvd.service"],
        ..program("radvd", "radvd", "a router that advertises itself (IPv6)")
    },
    program(
        "dnsmasq",
        "dnsmasq-base",
        "DHCP servers, legitimate and rogue, a relay, and DNS",
    ),
    program(
        "dhclient",
        "isc-dhcp-client",
        "devices that ask for addresses",
    ),
    program("dig", "bind9-dnsutils", "devices that look up names"),
    program(
        "traceroute",
        "traceroute",
        "the routers on a path through the gateway",
    ),
    program("nmap", "nmap", "an intruder that scans"),
    program("hping3", "hping3", "an intruder that floods"),
    program(
        "smbclient",
        "smbclient",
        "an intruder that tries file shares",
    ),
    program("curl", "curl", "a workstation that reads records (HTTPS)"),
    program("openssl", "openssl", "the records server's certificate"),
    program("python3", "python3", "servers in the lab's data centre"),
    program("iperf3", "iperf3", "long transfers under a quarantine"),
    program(
        "tcpdump",
        "tcpdump",
        "captures of the wire, independent of the gateway",
    ),
    Program {
        services: &["prometheus.service"],
        ..program(
            "prometheus",
            "prometheus",
            "scrapes the gateway, and promtool checks its metrics",
        )
    },
    program("mkfs.ext4", "e2fsprogs", "a disk for tests of power loss"),
    program(
        "qemu-system-x86_64",
        "qemu-system-x86",
        "boots a stock kernel for the XDP program",
    ),
];

/// Folders of daemons and administrators' tools, which may not be on a user's PATH.
const SYSTEM: &[&str] = &["/usr/local/sbin", "/usr/sbin", "/sbin"];

pub fn search_path() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(SYSTEM.iter().map(PathBuf::from))
        .collect()
}

pub fn found(command: &str, folders: &[PathBuf]) -> bool {
    folders
        .iter()
        .any(|folder| is_executable(&folder.join(command)))
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata()
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

pub fn missing(folders: &[PathBuf]) -> Vec<&'static Program> {
    PROGRAMS
        .iter()
        .filter(|program| !found(program.command, folders))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_folders_every_program_is_missing() {
        assert_eq!(missing(&[]).len(), PROGRAMS.len());
    }

    #[test]
    fn a_file_counts_as_a_program_only_if_executable() {
        use std::os::unix::fs::PermissionsExt;
        let folder = env::temp_dir().join(format!("cordon-programs-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("can make a folder");
        let file = folder.join("nmap");
        std::fs::write(&file, "").expect("can write");
        let folders = [folder.clone()];
        let before = found("nmap", &folders);
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).expect("is ours");
        let after = found("nmap", &folders);
        std::fs::remove_dir_all(&folder).expect("was made");
        assert!(!before && after);
    }

    #[test]
    fn every_command_is_listed_once() {
        for (index, program) in PROGRAMS.iter().enumerate() {
            let again = PROGRAMS[..index]
                .iter()
                .any(|other| other.command == program.command);
            assert!(!again, "{} is there twice", program.command);
        }
    }
}
