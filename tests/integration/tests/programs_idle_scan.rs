//! An intruder who lets a printer ask in their place: nmap's idle scan, by what the printer numbers its packets with.

use cordon_integration::programs::allowed::allowed;
use cordon_integration::programs::listen::Listening;
use cordon_integration::programs::nmap::{Found, scan};
use cordon_integration::programs::{must, plan, policy};
use cordon_integration::steps::PATIENCE;
use cordon_lab::{Direction, Host, Lab, Result, TCP, Wire};

const LISTENING: [u16; 3] = [22, 104, 3613];
/// At the last, nobody listens.
const PORTS: [u16; 4] = [22, 104, 3613, 9999];
/// Where everybody may print.
const IPP: u16 = 631;
const PRINTER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/programs/printer.py");

#[test]
fn a_printer_cannot_be_made_to_scan() -> Result<()> {
    let lab = Lab::raise(plan()?)?;
    let known = cordon_policy::load(policy())?.policy;
    let (printer, target) = (lab.host("printer-2")?, lab.host("pump-server-1")?);
    let (guest, pump) = (lab.host("guest")?, lab.host("pump-1")?);
    // In the place of its kernel, which numbers nothing that could be told from.
    for line in [
        "add table inet deaf",
        "add chain inet deaf in { type filter hook prerouting priority raw; }",
        "add rule inet deaf in meta l4proto tcp drop",
    ] {
        must(&printer, &["nft", line])?;
    }
    let mut stack = printer.spawn(&["python3", PRINTER, Host::INTERFACE, "631", "9100"])?;
    stack.wait_for("ready", PATIENCE)?;
    let _listening = Listening::at(&target, &LISTENING, &[])?;

    // The guest may print and may not reach the server; the pump may do part of the latter.
    let may = |from: &Host, to: &Host, port| allowed(&known, from.ip(), to.ip(), TCP, port);
    assert!(may(&guest, &printer, IPP) && !PORTS.iter().any(|port| may(&guest, &target, *port)));
    assert!(!may(&pump, &printer, IPP) && may(&pump, &target, 3613));

    let ask = format!("-sI {}:{IPP}", printer.ip());
    let ask = |from: &Host| scan(from, &ask, &PORTS, &[target.ip()]);
    let found = |open: &[u16]| -> Found {
        let state = |port| {
            if open.contains(&port) {
                "open"
            } else {
                "closed|filtered"
            }
        };
        PORTS
            .iter()
            .map(|port| ((target.ip(), *port), state(*port).to_owned()))
            .collect()
    };

    let bridge = lab.bridge()?;
    for intruder in [&guest, &pump] {
        assert_eq!(
            ask(intruder)?,
            found(&LISTENING),
            "{} by way of a bridge",
            intruder.name()
        );
    }
    drop(bridge);

    lab.gateway().start_with_policy()?;
    let wire = lab.tap(Wire::Core)?;
    // nmap tries it out first, and says what is wrong: the guest reaches the printer, but only in their own name.
    for (intruder, why) in [
        (&guest, "you cannot spoof IP packets"),
        (&pump, "has not returned any of our probes"),
    ] {
        let gave_up = ask(intruder).expect_err("finds nothing").to_string();
        assert!(gave_up.contains(why), "{}: {gave_up}", intruder.name());
    }
    // Nothing that says it is from the printer came out of the devices' side but what the printer sent to the guest.
    for seen in wire.stop()? {
        if seen.direction == Direction::Received
            && let Some((from, to)) = seen.ips
            && from == printer.ip()
        {
            assert_eq!((seen.source, to), (printer.mac(), guest.ip()), "{seen:?}");
        }
    }
    Ok(())
}
