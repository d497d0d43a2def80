//! Upgrade and rollback of the packet program under load: no frame and no flow is lost, and no flow is judged again.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use aya::maps::{Array, Map, MapData};
use cordon_integration::hospital;
use cordon_integration::steps::{
    assert_no_loss, delivers_after, hash, posture, quarantine, start_load,
};
use cordon_integration::wires::Wires;
use cordon_lab::{Gateway, Result, now};
use cordon_policy::Posture;
use cordon_verdict::abi::{Control, VERSION};

/// The daemon with another build of the packet program: the same instructions with another identifier. A build is
/// identified by the bytes of its object; this changes the padding in its ELF header.
fn next_version(to: &Path) -> PathBuf {
    const MAGIC: &[u8] = b"\x7fELF\x02\x01\x01\x00";
    const PADDING: usize = 15;
    const MACHINE: usize = 18;
    const EM_BPF: u8 = 247;
    let mut bytes =
        fs::read(Gateway::program().expect("cordond is built")).expect("cordond is readable");
    let starts = bytes.windows(MACHINE + 1).enumerate();
    let objects: Vec<usize> = starts
        .filter(|(_, bytes)| bytes.starts_with(MAGIC) && bytes[MACHINE] == EM_BPF)
        .map(|(at, _)| at)
        .collect();
    assert!(
        !objects.is_empty(),
        "the daemon contains its packet program"
    );
    for at in objects {
        bytes[at + PADDING] ^= 1;
    }
    let program = to.join("cordond-next");
    fs::write(&program, bytes).expect("the program is written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700))
        .expect("the program is made executable");
    program
}

fn pinned(gateway: &Gateway, name: &str) -> Array<MapData, u64> {
    let data =
        MapData::from_pin(gateway.pins().join("cordon").join(name)).expect("the map is pinned");
    let map = Map::from_map_data(data).expect("the pin is a map");
    map.try_into().expect("the map is an array of words")
}

/// State that an upgrade must not change.
#[derive(Debug, PartialEq)]
struct InForce {
    policy: String,
    posture: Posture,
    /// With another epoch, every flow would be judged again.
    epoch: u32,
    slot: u8,
}

fn in_force(gateway: &Gateway) -> Result<InForce> {
    let word = pinned(gateway, "CONTROL")
        .get(&0, 0)
        .expect("the entry exists");
    let control = Control::unpack(word);
    Ok(InForce {
        policy: hash(gateway)?,
        posture: posture(gateway)?,
        epoch: control.epoch,
        slot: control.slot,
    })
}

/// The build of the program in force.
fn build(gateway: &Gateway) -> u64 {
    pinned(gateway, "META")
        .get(&1, 0)
        .expect("the entry exists")
}

/// Bytes sent so far, by protocol and both ends.
fn flows(gateway: &Gateway) -> Result<BTreeMap<String, u64>> {
    let listed = gateway.json(&["flows", "--limit", "10000"])?;
    let flows = listed["flows"].as_array().into_iter().flatten();
    let flow = |flow: &serde_json::Value| {
        let end = |end: &serde_json::Value| format!("{}:{}", end["ip"], end["port"]);
        let name = format!(
            "{} {} {}",
            flow["protocol"],
            end(&flow["from"]),
            end(&flow["to"])
        );
        (name, flow["bytes_sent"].as_u64().unwrap_or(0))
    };
    Ok(flows.map(flow).collect())
}

fn check_continues(before: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>) {
    assert!(before.len() >= 60, "{}", before.len());
    for (flow, bytes) in before {
        assert!(
            now.get(flow) >= Some(bytes),
            "{flow}: {bytes}, then {:?}",
            now.get(flow)
        );
    }
}

#[test]
fn upgrades_and_rollbacks_under_load_lose_no_frame_and_no_flow() -> Result<()> {
    let lab = hospital::raise()?;
    let gateway = lab.gateway();
    gateway.start_with_policy()?;
    quarantine(gateway, Posture::Watch)?;
    let files = tempfile::tempdir().expect("the directory is created");
    let next = next_version(files.path());
    let wires = Wires::tap(&lab)?;
    let running = start_load(&lab, 20)?;
    let (was, first) = (in_force(gateway)?, build(gateway));

    for upgrade in [true, false, true, false] {
        let before = flows(gateway)?;
        gateway.stop()?;
        match upgrade {
            true => gateway.start_program(&next)?,
            false => gateway.start()?,
        }
        let status = gateway.json(&["status"])?;
        assert_eq!(status["dataplane"], "replaced", "{status}");
        assert_eq!(build(gateway) != first, upgrade, "another build");
        assert_eq!(in_force(gateway)?, was);
        check_continues(&before, &flows(gateway)?);
        let started = now();
        for (flow, running) in &running {
            delivers_after(running, started, flow.spec.name)?;
        }
    }

    // A version with another ABI is refused, and the running one is not disturbed.
    let before = flows(gateway)?;
    gateway.stop()?;
    let mut meta = pinned(gateway, "META");
    meta.set(0, u64::from(VERSION) + 1, 0)
        .expect("the map can be written");
    let refused = gateway.start().expect_err("the ABI differs");
    assert!(
        refused.to_string().contains("the old one stays in force"),
        "{refused}"
    );
    let refused = now();
    for (flow, running) in &running {
        delivers_after(running, refused, flow.spec.name)?;
    }
    meta.set(0, u64::from(VERSION), 0)
        .expect("the map can be written");
    gateway.start()?;
    assert_eq!(gateway.json(&["status"])?["dataplane"], "taken-over");
    assert_eq!(in_force(gateway)?, was);
    check_continues(&before, &flows(gateway)?);

    assert_no_loss(&lab, wires, running)
}
