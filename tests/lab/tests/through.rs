//! Tagged frames through the gateway's XDP program, both ways, between real switches.

mod common;
#[path = "common/open.rs"]
mod open;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use cordon_lab::{Lab, Result, Wire};

#[test]
fn frames_pass_the_gateway() -> Result<()> {
    let start = Instant::now();
    let lab = Lab::raise(common::small())?;
    eprintln!("up after {:?}", start.elapsed());
    let ct = lab.host("ct-1")?;
    let monitor = lab.host("monitor-1")?;
    let pacs = lab.host("pacs")?;
    let router = "10.21.0.1".parse().expect("an address");

    assert_eq!(ct.ping(router, 2)?, 0, "there is no gateway yet");
    let _dataplane = open::open_gateway(&lab, &[210, 220]);
    assert_eq!(ct.ping(router, 3)?, 3);
    assert!(ct.reaches(&pacs)?);
    assert!(ct.reaches(&monitor)?, "by way of the router");
    assert!(pacs.reaches(&monitor)?);

    let listener = pacs.run(|| TcpListener::bind(pacs.at(104)))?.expect("binds");
    let core = lab.tap_only(Wire::Core, |seen| seen.is_tcp_to(104))?;
    let megabytes = 50;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut socket, _) = listener.accept().expect("accepts");
            let mut buffer = vec![0; 1 << 16];
            let mut total = 0;
            while total < megabytes << 20 {
                total += socket.read(&mut buffer).expect("reads");
            }
            socket.write_all(b"ok").expect("writes");
        });
        let start = Instant::now();
        let image = vec![7; megabytes << 20];
        let mut socket = ct
            .run(|| TcpStream::connect(pacs.at(104)))
            .expect("enters")
            .expect("connects");
        socket.write_all(&image).expect("writes");
        let mut answer = [0; 2];
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("sets");
        socket.read_exact(&mut answer).expect("answers");
        eprintln!("{megabytes} MiB in {:?}", start.elapsed());
    });
    let frames = core.stop()?;
    let largest = frames.iter().map(|seen| seen.length).max();
    assert_eq!(largest, Some(1518), "nothing was merged on the way");
    assert!(frames.iter().all(|seen| seen.vlan == Some(210)));
    eprintln!("{} frames, {:?}", frames.len(), lab.losses()?);
    Ok(())
}
