mod common;
#[path = "common/open.rs"]
mod open;

use std::time::Duration;

use cordon_lab::{Flows, Lab, Result, Wire, Direction};

#[test]
fn load() -> Result<()> {
    let every: u64 = std::env::var("EVERY").map_or(20, |v| v.parse().unwrap());
    let lab = Lab::raise(common::small())?;
    let ct = lab.host("ct-1")?;
    let pacs = lab.host("pacs")?;
    let _dataplane = open::open_gateway(&lab, &[210, 220]);
    assert!(ct.reaches(&pacs)?);
    let access = lab.tap_only(Wire::Access, |seen| seen.probe.is_some())?;
    let core = lab.tap_only(Wire::Core, |seen| seen.probe.is_some())?;
    let udp = Flows::udp(&ct, &pacs, 104).count(500).every(Duration::from_millis(every)).start()?;
    let tcp = Flows::tcp(&ct, &pacs, 104).count(500).every(Duration::from_millis(every)).start()?;
    udp.established(Duration::from_secs(10))?;
    tcp.established(Duration::from_secs(10))?;
    std::thread::sleep(Duration::from_secs(5));
    let start = std::time::Instant::now();
    let udp = udp.stop()?;
    let tcp = tcp.stop()?;
    eprintln!("udp {udp}\ntcp {tcp}\n stop took {:?}", start.elapsed());
    for t in tcp.troubled().chain(udp.troubled()).take(5) { eprintln!("{t:?}"); }
    eprintln!("to gateway {} left at core {}", access.count(|s| s.direction == Direction::Sent)?, core.count(|s| s.direction == Direction::Received)?);
    eprintln!("back to gateway {} left at access {}", core.count(|s| s.direction == Direction::Sent)?, access.count(|s| s.direction == Direction::Received)?);
    eprintln!("{:?}", lab.losses()?);
    Ok(())
}
