//! The layout that the kernel and user space agree on changes only with `abi::VERSION`. An upgrade within a version keeps
//! the pinned maps of the previous program, and would misread tables of another layout.
//!
//! `tests/abi.txt` has the layout of the recorded version: the addresses that are keys of tables, and the geometry of every
//! pinned map of the compiled program. The records themselves are checked by `dataplane/verdict/tests/abi.rs`.

use std::fmt::Write as _;
use std::mem::offset_of;
use std::path::Path;
use std::{env, fs};

use aya_obj::Object;
use aya_obj::generated::bpf_map_type;
use cordon_verdict::abi::VERSION;
use cordon_verdict::{Ip, MAC_GROUP, Mac};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/cordon-xdp.o"));

const RECORD: &str = "CORDON_RECORD_ABI";

/// Maps that are not pinned: each loaded program has its own, so that no other build reads them.
const NOT_PINNED: [&str; 2] = ["SCRATCH", "TRACE_OUT"];

#[test]
fn the_layout_changes_only_with_the_abi_version() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/abi.txt");
    let recorded = fs::read_to_string(&file).unwrap_or_default();
    let current = layout();
    if recorded == current {
        return;
    }
    let is_same_version = recorded.starts_with(&version_line());
    if env::var_os(RECORD).is_some() && !is_same_version {
        fs::write(&file, &current).expect("tests/abi.txt can be written");
        return;
    }
    let problem = match is_same_version {
        true => format!(
            "the layout has changed within ABI version {VERSION}. If this is intended, first raise `VERSION` in \
             dataplane/verdict/src/abi/mod.rs; then"
        ),
        false => format!("the layout of ABI version {VERSION} is not recorded:"),
    };
    panic!(
        "{problem} record it with `{RECORD}=1 cargo test -p cordon-kernel --test abi` and commit tests/abi.txt.\n{}",
        difference(&recorded, &current)
    );
}

fn version_line() -> String {
    format!("abi version {VERSION}\n")
}

/// A line for each property.
fn layout() -> String {
    let mut layout = version_line();
    addresses(&mut layout).expect("writing to a string succeeds");
    maps(&mut layout).expect("writing to a string succeeds");
    layout
}

fn addresses(layout: &mut String) -> std::fmt::Result {
    writeln!(
        layout,
        "record Ip: size {} align {} hi@{} lo@{}",
        size_of::<Ip>(),
        align_of::<Ip>(),
        offset_of!(Ip, hi),
        offset_of!(Ip, lo)
    )?;
    let v4 = Ip::v4(0x0a15_000b);
    writeln!(layout, "value 10.21.0.11: hi {:#x} lo {:#x}", v4.hi, v4.lo)?;
    let octets = v4.octets().map(u64::to_ne_bytes).concat();
    writeln!(layout, "octets 10.21.0.11: {octets:02x?}")?;
    writeln!(
        layout,
        "record Mac: size {} align {} group {MAC_GROUP:#x}",
        size_of::<Mac>(),
        align_of::<Mac>()
    )
}

/// The geometry of every pinned map. Maps of data sections, with a dot in the name, are not pinned. The loader sets other
/// sizes for the flow tables, and makes the inner maps of each generation as large as that needs.
fn maps(layout: &mut String) -> std::fmt::Result {
    let object = Object::parse(OBJECT).expect("the program is an eBPF object");
    let mut maps: Vec<_> = object.maps.iter().collect();
    maps.retain(|(name, _)| !name.starts_with('.') && !NOT_PINNED.contains(&name.as_str()));
    maps.sort_by_key(|(name, _)| name.as_str());
    assert!(maps.len() > 40, "{} maps", maps.len());
    for (name, map) in maps {
        write!(layout, "map {name}: ")?;
        geometry(layout, map)?;
        if let Some(inner) = map.inner() {
            write!(layout, ", of ")?;
            geometry(layout, &inner)?;
        }
        writeln!(layout)?;
    }
    Ok(())
}

fn geometry(layout: &mut String, map: &aya_obj::Map) -> std::fmt::Result {
    let kind = bpf_map_type::try_from(map.map_type())
        .ok()
        .expect("a known type of map");
    let kind = format!("{kind:?}");
    write!(
        layout,
        "{} key {} value {} entries {} flags {:#x}",
        kind.trim_start_matches("BPF_MAP_TYPE_").to_lowercase(),
        map.key_size(),
        map.value_size(),
        map.max_entries(),
        map.map_flags()
    )
}

/// The lines that only one side has.
fn difference(recorded: &str, current: &str) -> String {
    let only = |mark: char, these: &str, others: &str| -> String {
        let lines = these
            .lines()
            .filter(|line| !others.lines().any(|other| other == *line));
        lines.map(|line| format!("{mark} {line}\n")).collect()
    };
    only('-', recorded, current) + &only('+', current, recorded)
}
