//! Traffic through the gateway's XDP program, between real switches, both ways.

mod common;
#[path = "common/open.rs"]
mod open;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use cordon_lab::{Direction, Flows, Lab, Result, Seen, UDP, Wire, missing};

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn every_vlan_has_its_way_through() -> Result<()> {
    let lab = Lab::raise(common::small())?;
    let ct = lab.host("ct-1")?;
    let monitor = lab.host("monitor-1")?;
    let pacs = lab.host("pacs")?;
    assert!(!ct.reaches(&pacs)?, "there is no gateway yet");
    let dataplane = open::open_gateway(&lab, &[210, 220]);

    assert!(ct.reaches(&pacs)?);
    assert!(ct.reaches(&monitor)?, "by way of the router");
    assert!(pacs.reaches(&monitor)?);
    drop(dataplane);
    assert!(ct.reaches(&pacs)?, "what is pinned stays");
    Ok(())
}

#[test]
fn a_long_transfer_arrives_in_frames_that_fit() -> Result<()> {
    const SIZE: usize = 20 << 20;
    let lab = Lab::raise(common::small())?;
    let (ct, pacs) = (lab.host("ct-1")?, lab.host("pacs")?);
    let _dataplane = open::open_gateway(&lab, &[210, 220]);
    let core = lab.tap_only(Wire::Core, |seen| seen.is_tcp_to(104))?;
    let listener = pacs
        .run(|| TcpListener::bind(pacs.at(104)))?
        .expect("binds");
    let image: Vec<u8> = (0..SIZE).map(|at| ((at * at) >> 7) as u8).collect();
    std::thread::scope(|scope| {
        let received = scope.spawn(|| {
            let (mut socket, _) = listener.accept().expect("accepts");
            socket.set_read_timeout(Some(PATIENCE)).expect("sets");
            let mut received = Vec::new();
            socket.read_to_end(&mut received).expect("reads");
            received
        });
        let connect = || TcpStream::connect_timeout(&pacs.at(104), PATIENCE);
        let mut socket = ct.run(connect).expect("enters").expect("connects");
        socket.write_all(&image).expect("writes");
        drop(socket);
        assert!(received.join().expect("does not panic") == image);
    });
    let frames = core.stop()?;
    let largest = frames.iter().map(|seen| seen.length).max();
    assert_eq!(largest, Some(1518), "nothing was merged on the way");
    let leaving = |seen: &&Seen| seen.direction == Direction::Received;
    assert!(
        frames
            .iter()
            .filter(leaving)
            .all(|seen| seen.vlan == Some(210))
    );
    Ok(())
}

#[test]
fn flows_are_counted_at_both_ends() -> Result<()> {
    let lab = Lab::raise(common::small())?;
    let (ct, pacs) = (lab.host("ct-1")?, lab.host("pacs")?);
    let mut dataplane = open::open_gateway(&lab, &[210, 220]);
    assert!(ct.reaches(&pacs)?);
    let access = lab.tap_only(Wire::Access, |seen| seen.ips.is_some())?;
    let core = lab.tap_only(Wire::Core, |seen| seen.ips.is_some())?;
    let every = Duration::from_millis(50);
    let udp = Flows::udp(&ct, &pacs, 104)
        .count(200)
        .every(every)
        .start()?;
    let tcp = Flows::tcp(&ct, &pacs, 104)
        .count(200)
        .every(every)
        .start()?;
    udp.established(PATIENCE)?;
    tcp.established(PATIENCE)?;
    std::thread::sleep(Duration::from_secs(1));

    let (udp, tcp) = (udp.stop()?, tcp.stop()?);
    for report in [&udp, &tcp] {
        assert_eq!(report.flows.len(), 200);
        assert!(report.sent() >= 200 * 15, "{report}");
        assert_eq!(
            (report.lost(), report.unanswered(), report.duplicated()),
            (0, 0, 0),
            "{report}"
        );
        assert_eq!(report.troubled().count(), 0, "{report}");
    }

    // The connections' own ends are still on their way.
    std::thread::sleep(Duration::from_millis(500));
    let (access, core) = (access.stop()?, core.stop()?);
    let such = |frames: &[Seen], direction| -> Vec<Seen> {
        let such = frames.iter().filter(|seen| seen.direction == direction);
        such.copied().collect()
    };
    for (entered, left) in [(&access, &core), (&core, &access)] {
        let entered = such(entered, Direction::Sent);
        let left = such(left, Direction::Received);
        let numbered = |frames: &[Seen]| {
            let datagrams = frames.iter().filter(|seen| seen.protocol == UDP);
            datagrams.filter(|seen| seen.probe.is_some()).count()
        };
        let sent = udp.sent() as usize;
        assert_eq!((numbered(&entered), numbered(&left)), (sent, sent));
        // And whatever else there was: acknowledgements, and what TCP sent again.
        let (lost, made_up) = (missing(&entered, &left), missing(&left, &entered));
        assert!(lost.is_empty(), "{lost:?}");
        assert!(made_up.is_empty(), "{made_up:?}");
    }
    assert!(lab.losses()?.is_none(), "{:?}", lab.losses()?);

    // Cut off: it shows.
    let udp = Flows::udp(&ct, &pacs, 104).count(20).start()?;
    let tcp = Flows::tcp(&ct, &pacs, 105).count(20).start()?;
    udp.established(PATIENCE)?;
    tcp.established(PATIENCE)?;
    dataplane.set_posture(open::CLOSED).expect("closes");
    let cut = cordon_lab::now();
    std::thread::sleep(Duration::from_millis(500));
    let (udp, tcp) = (udp.stop()?, tcp.stop()?);
    for report in [&udp, &tcp] {
        assert!(report.lost() > 0, "{report}");
        assert!(report.newest() < Some(cut), "{report}");
    }
    Ok(())
}

#[test]
fn broadcasts_arrive_without_an_answer() -> Result<()> {
    let lab = Lab::raise(common::small())?;
    let (from, to) = (lab.host("ct-1")?, lab.host("ct-2")?);
    let announce = Flows::udp(&from, &to, 24005)
        .to_address("10.21.0.255".parse().expect("an address"))
        .one_way()
        .start()?;
    announce.established(PATIENCE)?;
    let report = announce.stop()?;
    assert_eq!((report.lost(), report.echoed()), (0, 0), "{report}");
    Ok(())
}
