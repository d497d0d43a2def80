//! Traffic through the gateway's XDP program, between real switches, in both directions.

mod common;
#[path = "common/open.rs"]
mod open;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use cordon_lab::{CapturedFrame, Direction, Flows, Lab, Result, UDP, Wire, missing};

const TIMEOUT: Duration = Duration::from_secs(20);

#[test]
fn hosts_of_every_vlan_reach_each_other_through_the_gateway() -> Result<()> {
    let lab = Lab::raise(common::small())?;
    let ct = lab.host("ct-1")?;
    let monitor = lab.host("monitor-1")?;
    let pacs = lab.host("pacs")?;
    assert!(!ct.reaches(&pacs)?, "there is no gateway yet");
    let dataplane = open::open_gateway(&lab, &[210, 220]);

    assert!(ct.reaches(&pacs)?);
    assert!(ct.reaches(&monitor)?, "through the router");
    assert!(pacs.reaches(&monitor)?);
    drop(dataplane);
    assert!(ct.reaches(&pacs)?, "the pinned program stays");
    Ok(())
}

#[test]
fn a_long_transfer_arrives_in_frames_of_at_most_the_mtu() -> Result<()> {
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
            socket.set_read_timeout(Some(TIMEOUT)).expect("sets");
            let mut received = Vec::new();
            socket.read_to_end(&mut received).expect("reads");
            received
        });
        let connect = || TcpStream::connect_timeout(&pacs.at(104), TIMEOUT);
        let mut socket = ct.run(connect).expect("enters").expect("connects");
        socket.write_all(&image).expect("writes");
        drop(socket);
        assert!(received.join().expect("does not panic") == image);
    });
    let frames = core.stop()?;
    let largest = frames.iter().map(|seen| seen.length).max();
    assert_eq!(largest, Some(1518), "no frames were merged");
    let leaving = |seen: &&CapturedFrame| seen.direction == Direction::Received;
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
    udp.established(TIMEOUT)?;
    tcp.established(TIMEOUT)?;
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
        assert_eq!(report.failed().count(), 0, "{report}");
    }

    // The last segments of the closing connections are still in transit.
    std::thread::sleep(Duration::from_millis(500));
    let (access, core) = (access.stop()?, core.stop()?);
    let such = |frames: &[CapturedFrame], direction| -> Vec<CapturedFrame> {
        let such = frames.iter().filter(|seen| seen.direction == direction);
        such.copied().collect()
    };
    for (entered, left) in [(&access, &core), (&core, &access)] {
        let entered = such(entered, Direction::Sent);
        let left = such(left, Direction::Received);
        let numbered = |frames: &[CapturedFrame]| {
            let datagrams = frames.iter().filter(|seen| seen.protocol == UDP);
            datagrams.filter(|seen| seen.probe.is_some()).count()
        };
        let sent = udp.sent() as usize;
        assert_eq!((numbered(&entered), numbered(&left)), (sent, sent));
        // All other frames too: acknowledgements and retransmissions.
        let (lost, extra) = (missing(&entered, &left), missing(&left, &entered));
        assert!(lost.is_empty(), "{lost:?}");
        assert!(extra.is_empty(), "{extra:?}");
    }
    assert!(lab.losses()?.is_none(), "{:?}", lab.losses()?);

    // After a change of posture, messages are lost.
    let udp = Flows::udp(&ct, &pacs, 104).count(20).start()?;
    let tcp = Flows::tcp(&ct, &pacs, 105).count(20).start()?;
    udp.established(TIMEOUT)?;
    tcp.established(TIMEOUT)?;
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
    announce.established(TIMEOUT)?;
    let report = announce.stop()?;
    assert_eq!((report.lost(), report.echoed()), (0, 0), "{report}");
    Ok(())
}
