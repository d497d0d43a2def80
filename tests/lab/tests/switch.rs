//! The switches separate VLANs and tag frames on the trunks, and taps count exactly.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cordon_lab::{ARP, CapturedFrame, Device, Direction, Error, Host, Lab, Mac, Result, Tap, Wire};

/// A device in the subnet of `ct-1`: in another VLAN, only the switch separates them.
fn misplaced(vlan: u16) -> Device {
    Device {
        name: "misplaced".to_owned(),
        mac: Mac([2, 0, 0x5e, 0x99, 0, 1]),
        vlan,
        addresses: vec!["10.21.0.99/24".parse().expect("an address")],
    }
}

#[test]
fn vlans_are_separated() -> Result<()> {
    let lab = Lab::raise(common::small())?;
    let ct = lab.host("ct-1")?;
    let other = lab.plug_in(misplaced(220))?;
    assert!(ct.reaches(&lab.host("ct-2")?)?);
    let tap = other.tap()?;
    assert!(!ct.reaches(&other)?);
    assert!(!other.reaches(&ct)?);
    let received = tap.count(|seen| seen.direction == Direction::Received)?;
    assert_eq!(received, 0, "not even a broadcast");
    Ok(())
}

#[test]
fn hosts_of_one_vlan_reach_each_other() -> Result<()> {
    let lab = Lab::raise(common::small())?;
    let ct = lab.host("ct-1")?;
    let other = lab.plug_in(misplaced(210))?;
    assert!(ct.reaches(&other)?);
    assert!(lab.plug_in(misplaced(210)).is_err(), "the name is taken");
    Ok(())
}

#[test]
fn protected_ports_are_separated() -> Result<()> {
    let lab = Lab::raise(common::small())?;
    let (ct, other) = (lab.host("ct-1")?, lab.host("ct-2")?);
    let third = lab.plug_in(misplaced(210))?;
    lab.protect(&["ct-1", "ct-2"])?;
    let tap = other.tap()?;
    let trunk = lab.tap(Wire::Access)?;
    assert!(!ct.reaches(&other)?);
    let received = tap.count(|seen| seen.source == ct.mac())?;
    assert_eq!(received, 0, "not even a broadcast");
    assert!(
        trunk.count(|seen| seen.source == ct.mac())? > 0,
        "its frames go to the gateway"
    );
    assert!(
        third.reaches(&ct)? && third.reaches(&other)?,
        "its port is not protected"
    );
    assert!(lab.protect(&["unknown"]).is_err());
    Ok(())
}

#[test]
fn trunks_carry_tags() -> Result<()> {
    let lab = Lab::raise(common::small())?;
    let trunk = lab.tap(Wire::Access)?;
    // There is no answer, because the gateway is not started.
    for host in ["ct-1", "monitor-1"] {
        let host = lab.host(host)?;
        assert_eq!(host.ping(lab.host("pacs")?.ip(), 1)?, 0);
    }
    let frames = trunk.stop()?;
    for (host, vlan) in [("ct-1", 210), ("monitor-1", 220)] {
        let mac = lab.host(host)?.mac();
        let vlans: Vec<_> = frames
            .iter()
            .filter(|seen| seen.source == mac && seen.ethertype == ARP)
            .map(|seen| (seen.vlan, seen.direction))
            .collect();
        assert!(!vlans.is_empty(), "{host} asked for its router");
        let expected = (Some(vlan), Direction::Sent);
        assert!(vlans.iter().all(|vlan| *vlan == expected), "{vlans:?}");
    }

    // Other direction: a tagged frame from the trunk goes to the hosts of its VLAN, untagged.
    let (ct, monitor) = (lab.host("ct-1")?.tap()?, lab.host("monitor-1")?.tap()?);
    let gateway = lab.gateway().node();
    gateway.send_frames("eth1", &[frame(Some(220), 1), frame(Some(220), 2)])?;
    gateway.send_frames("eth1", &[frame(Some(210), 3)])?;
    gateway.send_frames("eth1", &[frame(Some(211), 4)])?;
    let (ct, monitor) = (numbered(ct, 1)?, numbered(monitor, 2)?);
    let seen = |frames: &[CapturedFrame]| -> Vec<_> {
        frames
            .iter()
            .map(|seen| (seen.vlan, seen.ports.0))
            .collect()
    };
    assert_eq!(seen(&monitor), [(None, 1), (None, 2)]);
    assert_eq!(seen(&ct), [(None, 3)]);
    Ok(())
}

#[test]
fn a_tap_counts_every_frame() -> Result<()> {
    const FRAMES: u16 = 20_000;
    let lab = Lab::raise(common::small())?;
    let (from, to) = (lab.host("ct-1")?, lab.host("ct-2")?);
    let taps = [
        from.tap_only(|seen| seen.is_udp_to(7))?,
        to.tap_only(|seen| seen.is_udp_to(7))?,
        lab.tap_only(Wire::Access, |seen| seen.is_udp_to(7))?,
    ];
    let frames: Vec<_> = (0..FRAMES).map(|number| frame(None, number)).collect();
    let before = cordon_lab::now();
    from.send_frames(&frames)?;
    let after = cordon_lab::now();

    let [sent, received, flooded] = taps;
    let sent = sent.stop()?;
    let received = numbered(received, usize::from(FRAMES))?;
    let flooded = numbered(flooded, usize::from(FRAMES))?;
    assert!(lab.losses()?.is_none(), "{:?}", lab.losses()?);
    let numbers =
        |frames: &[CapturedFrame]| frames.iter().map(|seen| seen.ports.0).collect::<Vec<_>>();
    let all: Vec<u16> = (0..FRAMES).collect();
    assert_eq!(numbers(&sent), all);
    assert_eq!(numbers(&received), all);
    assert_eq!(
        numbers(&flooded),
        all,
        "a broadcast goes to the trunk as well"
    );
    assert!(flooded.iter().all(|seen| seen.vlan == Some(210)));
    assert!(sent.iter().all(|seen| (before..=after).contains(&seen.at)));
    for (one, other) in sent.iter().zip(&flooded) {
        assert_eq!(one.digest, other.digest, "the tag makes no difference");
        assert_eq!(one.length + 4, other.length);
    }
    Ok(())
}

#[test]
fn a_tap_that_missed_frames_reports_it() -> Result<()> {
    let lab = Lab::raise(common::small())?;
    let from = lab.host("ct-1")?;
    // The reader is blocked until all frames are sent. On the loopback interface each frame is recorded twice.
    let gate = Arc::new(AtomicBool::new(false));
    let opened = Arc::clone(&gate);
    let slow = from.node().tap_only("lo", move |_| {
        while !opened.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    })?;
    from.node()
        .send_frames("lo", &vec![frame(None, 1); 70_000])?;
    gate.store(true, Ordering::Relaxed);
    match slow.stop() {
        Err(Error::TapLost { frames, .. }) => assert_eq!(frames, 2 * 70_000 - Tap::ROOM as u64),
        other => panic!("{other:?}"),
    }
    Ok(())
}

#[test]
fn programs_run_in_their_namespace() -> Result<()> {
    let lab = Lab::raise(common::small())?;
    let ct = lab.host("ct-1")?;
    let output = ct.exec(&["ip", "-br", "address", "show", Host::INTERFACE])?;
    assert!(output.success());
    assert!(output.stdout.contains("10.21.0.11/24"), "{}", output.stdout);
    let addresses = ct.run(|| std::fs::read_to_string("/proc/thread-self/net/fib_trie"))?;
    assert!(addresses.expect("reads").contains("10.21.0.11"));

    let failed = ct.exec(&["sh", "-c", "echo no >&2; exit 3"])?;
    assert_eq!(
        (failed.status.code(), failed.stderr.as_str()),
        (Some(3), "no\n")
    );
    let slow = ct.exec_within(&["sleep", "60"], Duration::from_millis(100));
    assert!(matches!(slow, Err(Error::TimedOut { .. })), "{slow:?}");

    let mut server = ct.spawn(&["sh", "-c", "echo ready; exec sleep 60"])?;
    server.wait_for("ready", Duration::from_secs(5))?;
    assert!(server.is_running()?);
    server.kill()?;
    assert!(!server.is_running()?);
    Ok(())
}

/// A broadcast UDP datagram to port 7, with its number as source port.
fn frame(vlan: Option<u16>, number: u16) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend([2, 0, 0x5e, 0x21, 0, 0x11]);
    if let Some(vlan) = vlan {
        frame.extend(0x8100_u16.to_be_bytes());
        frame.extend(vlan.to_be_bytes());
    }
    let udp = etherparse::PacketBuilder::ipv4([10, 21, 0, 11], [255; 4], 64).udp(number, 7);
    frame.extend(0x0800_u16.to_be_bytes());
    udp.write(&mut frame, &[0; 30]).expect("writes");
    frame
}

/// The frames to port 7 that a tap has recorded, shortly after `count` of them have arrived or two seconds have passed.
fn numbered(tap: Tap, count: usize) -> Result<Vec<CapturedFrame>> {
    for _ in 0..200 {
        if tap.count(|seen| seen.is_udp_to(7))? >= count {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(50));
    let mut frames = tap.stop()?;
    frames.retain(|seen| seen.is_udp_to(7));
    Ok(frames)
}
