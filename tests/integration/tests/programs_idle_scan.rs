//! nmap's idle scan: an intruder uses a printer with predictable IP identification numbers as a zombie.

use cordon_integration::programs::allowed::allowed;
use cordon_integration::programs::listen::Listening;
use cordon_integration::programs::nmap::{Found, scan};
use cordon_integration::programs::{must, plan, policy};
use cordon_integration::steps::PATIENCE;
use cordon_lab::{Direction, Host, Lab, Result, TCP, Wire};

const LISTENING: [u16; 3] = [22, 104, 3613];
/// The last one is closed.
const PORTS: [u16; 4] = [22, 104, 3613, 9999];
/// The printers' port, which guests may use.
const IPP: u16 = 631;
const PRINTER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/programs/printer.py");

#[test]
fn an_idle_scan_through_a_printer_fails() -> Result<()> {
    let lab = Lab::raise(plan()?)?;
    let known = cordon_policy::load(policy())?.policy;
    let (printer, target) = (lab.host("printer-2")?, lab.host("pump-server-1")?);
    let (guest, pump) = (lab.host("guest")?, lab.host("pump-1")?);
    // A user-space TCP stack with sequential IP identification numbers replaces the kernel's.
    for line in [
        "add table inet zombie",
        "add chain inet zombie in { type filter hook prerouting priority raw; }",
        "add rule inet zombie in meta l4proto tcp drop",
    ] {
        must(&printer, &["nft", line])?;
    }
    let mut stack = printer.spawn(&["python3", PRINTER, Host::INTERFACE, "631", "9100"])?;
    stack.wait_for("ready", PATIENCE)?;
    let _listening = Listening::at(&target, &LISTENING, &[])?;

    // The guest may reach the printer but not the server; the pump may reach one port of the server but not the
    // printer.
    let is_allowed = |from: &Host, to: &Host, port| allowed(&known, from.ip(), to.ip(), TCP, port);
    assert!(is_allowed(&guest, &printer, IPP));
    assert!(!PORTS.iter().any(|port| is_allowed(&guest, &target, *port)));
    assert!(!is_allowed(&pump, &printer, IPP) && is_allowed(&pump, &target, 3613));

    let arguments = format!("-sI {}:{IPP}", printer.ip());
    let idle_scan = |from: &Host| scan(from, &arguments, &PORTS, &[target.ip()]);
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
            idle_scan(intruder)?,
            found(&LISTENING),
            "{} through a bridge",
            intruder.name()
        );
    }
    drop(bridge);

    lab.gateway().start_with_policy()?;
    let wire = lab.tap(Wire::Core)?;
    // nmap probes the printer first: the guest reaches it but cannot spoof addresses, the pump does not reach it.
    for (intruder, why) in [
        (&guest, "you cannot spoof IP packets"),
        (&pump, "has not returned any of our probes"),
    ] {
        let gave_up = idle_scan(intruder).expect_err("the scan fails").to_string();
        assert!(gave_up.contains(why), "{}: {gave_up}", intruder.name());
    }
    // The only frames from the printer's address are the printer's own answers to the guest.
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
