//! The real `cordond` with the real data plane: policies, orders, kills, restarts, a full disk.

mod support;

use etherparse::{PacketBuilder, VlanId};
use nix::mount::{MsFlags, mount};
use nix::sys::signal::Signal;
use serde_json::Value;

use support::{Site, in_namespace, ip, send};

/// A UDP datagram of the example site, tagged with a VLAN.
fn udp(vlan: u16, macs: [[u8; 6]; 2], ips: [[u8; 4]; 2], port: u16) -> Vec<u8> {
    let vlan = VlanId::try_new(vlan).expect("is a VLAN");
    let packet = PacketBuilder::ethernet2(macs[0], macs[1])
        .single_vlan(vlan)
        .ipv4(ips[0], ips[1], 64)
        .udp(49152, port);
    let mut frame = Vec::new();
    packet.write(&mut frame, b"a test").expect("fits");
    frame
}

const MONITOR: ([u8; 6], [u8; 4]) = ([0x02, 0, 0x5e, 0x22, 0, 0x11], [10, 22, 0, 11]);
const STATION: ([u8; 6], [u8; 4]) = ([0x02, 0, 0x5e, 0x23, 0, 0x11], [10, 23, 0, 11]);
const ROUTER: [u8; 6] = [0x02, 0xff, 0, 0, 0, 1];
const DNS: [u8; 4] = [10, 200, 0, 53];

/// The announcement of a monitor: on the continuity list.
fn announcement() -> Vec<u8> {
    udp(220, [MONITOR.0, [0xff; 6]], [MONITOR.1, [255; 4]], 24005)
}

/// A DNS query of a workstation: across the site boundary.
fn dns_query() -> Vec<u8> {
    udp(230, [STATION.0, ROUTER], [STATION.1, DNS], 53)
}

fn rule(name: &str) -> String {
    format!("cordon_rule_packets_total{{rule=\"{name}\"}}")
}

fn port<'a>(status: &'a Value, name: &str) -> &'a str {
    let ports = status["ports"].as_array().expect("is a list");
    let port = ports
        .iter()
        .find(|port| port["name"] == name)
        .expect("is listed");
    port["state"].as_str().expect("is text")
}

#[test]
fn a_policy_is_applied_and_the_site_quarantined_and_released() {
    in_namespace(|| {
        let site = Site::new("whole");
        let daemon = site.start();
        let status = daemon.get("/v1/status");
        assert_eq!(
            (&status["policy"], status["dataplane"].as_str()),
            (&Value::Null, Some("new"))
        );
        assert!(
            status["warnings"][0]
                .as_str()
                .is_some_and(|warning| warning.contains("cordon apply"))
        );

        let (code, applied) = daemon.apply_example();
        assert_eq!(code, 200, "{applied}");
        assert_eq!(applied["policy"]["generation"], 1);
        let status = daemon.get("/v1/status");
        assert_eq!(
            (port(&status, "access0"), port(&status, "core0")),
            ("up", "up")
        );
        assert_eq!(
            status["warnings"].as_array().map(Vec::len),
            Some(0),
            "{status}"
        );

        // Frames are judged and counted, and events have names.
        let event = daemon.event(
            || send("eth1-peer", &[dns_query(), dns_query(), announcement()]),
            |event| {
                event["kind"] == "flow"
                    && event["protocol"] == "udp"
                    && event["rule"] == "infrastructure:dns"
            },
        );
        assert_eq!(
            (&event["device"], &event["segment"]),
            (&Value::from("station-1"), &Value::from("stations"))
        );
        assert_eq!(event["ingress"], "access0.230");
        daemon.wait_for(&rule("infrastructure:dns"), 2.0);
        daemon.wait_for(&rule("monitors-announce"), 1.0);
        daemon.wait_for("cordon_packets_total{verdict=\"passed\"}", 3.0);
        daemon.wait_for("cordon_devices{state=\"seen\"}", 2.0);
        daemon.wait_for("cordon_flows{state=\"half-open\"}", 1.0);
        let flows = daemon.get("/v1/flows");
        assert_eq!(
            (&flows["total"], &flows["flows"][0]["rule"]),
            (&Value::from(1), &Value::from("infrastructure:dns"))
        );
        assert_eq!(flows["flows"][0]["from"]["device"], "station-1");
        let seen = daemon.get("/v1/devices");
        let monitor = seen
            .as_array()
            .expect("is a list")
            .iter()
            .find(|device| device["name"] == "monitor-1");
        assert_eq!(monitor.expect("is listed")["attachment"], "access0.220");

        // At contain the boundary is shut, and the continuity list is still allowed.
        let (code, order) = daemon.order("quarantine", "contain");
        assert_eq!(
            (code, &order["sequence"]),
            (200, &Value::from(1)),
            "{order}"
        );
        assert!(
            order["in_force_milliseconds"]
                .as_f64()
                .is_some_and(|took| took > 0.0)
        );
        send("eth1-peer", &[dns_query(), announcement()]);
        daemon.wait_for(&rule("monitors-announce"), 2.0);
        daemon.wait_for("cordon_dropped_packets_total{reason=\"posture\"}", 1.0);
        assert_eq!(daemon.metric(&rule("infrastructure:dns")), 2.0);
        assert_eq!(
            daemon.metric("cordon_packets_forbidden_after_acknowledgement_total"),
            0.0
        );
        assert_eq!(daemon.metric("cordon_posture{scope=\"site\"}"), 2.0);
        assert_eq!(daemon.metric("cordon_order_seconds_count"), 1.0);

        // Another policy: the posture stays, counters continue.
        assert_eq!(daemon.apply_example().0, 200);
        send("eth1-peer", &[dns_query(), announcement()]);
        daemon.wait_for(&rule("monitors-announce"), 3.0);
        daemon.wait_for("cordon_dropped_packets_total{reason=\"posture\"}", 2.0);
        assert_eq!(daemon.metric(&rule("infrastructure:dns")), 2.0);

        assert_eq!(daemon.order("release", "normal").0, 200);
        send("eth1-peer", &[dns_query()]);
        daemon.wait_for(&rule("infrastructure:dns"), 3.0);
        assert!(daemon.end(Signal::SIGTERM).success());
    });
}

#[test]
fn a_killed_daemon_leaves_everything_in_force_and_restores_it() {
    in_namespace(|| {
        let site = Site::new("killed");
        let daemon = site.start();
        assert_eq!(daemon.apply_example().0, 200);
        assert_eq!(daemon.order("quarantine", "lockdown").0, 200);
        send("eth1-peer", &[announcement()]);
        daemon.wait_for(&rule("monitors-announce"), 1.0);
        daemon.end(Signal::SIGKILL);
        send("eth1-peer", &[announcement(), dns_query()]);

        let daemon = site.start();
        let status = daemon.get("/v1/status");
        assert_eq!(status["dataplane"], "taken-over");
        assert_eq!(status["posture"], "lockdown");
        assert_eq!(status["policy"]["generation"], 1);
        assert_eq!(
            (port(&status, "access0"), port(&status, "core0")),
            ("up", "up")
        );
        // Packets counted while the daemon was down are included.
        daemon.wait_for(&rule("monitors-announce"), 2.0);
        assert_eq!(
            daemon.metric("cordon_dropped_packets_total{reason=\"posture\"}"),
            1.0
        );
        let second = site.refused();
        assert!(second.contains("another cordond uses"), "{second}");

        // A reboot loses the pinned maps. They are loaded again at the same posture.
        daemon.end(Signal::SIGTERM);
        std::fs::remove_dir_all(site.pins()).expect("is there");
        let daemon = site.start();
        let status = daemon.get("/v1/status");
        assert_eq!(
            (&status["dataplane"], &status["posture"]),
            (&Value::from("new"), &Value::from("lockdown"))
        );
        send("eth1-peer", &[announcement(), dns_query()]);
        daemon.wait_for(&rule("monitors-announce"), 1.0);
        daemon.wait_for("cordon_dropped_packets_total{reason=\"posture\"}", 1.0);
    });
}

#[test]
fn on_a_full_disk_it_quarantines_but_refuses_releases_and_policies() {
    in_namespace(|| {
        let site = Site::new("full");
        let small = Some("size=256k");
        mount(
            Some("tmpfs"),
            &site.state(),
            Some("tmpfs"),
            MsFlags::empty(),
            small,
        )
        .expect("mounts");
        let daemon = site.start();
        assert_eq!(daemon.apply_example().0, 200);
        let filler = site.state().join("filler");
        // Fills the file system.
        let _ = std::fs::write(&filler, vec![0; 1 << 20]);

        let (code, refused) = daemon.apply_example();
        assert_eq!(
            (code, refused["code"].as_str()),
            (507, Some("not-durable")),
            "{refused}"
        );
        assert!(
            refused["hint"]
                .as_str()
                .is_some_and(|hint| hint.contains("disk is full"))
        );
        let (code, order) = daemon.order("quarantine", "contain");
        assert_eq!(code, 200, "{order}");
        assert!(
            order["warning"]
                .as_str()
                .is_some_and(|warning| warning.contains("in force")),
            "{order}"
        );
        let (code, refused) = daemon.order("release", "normal");
        assert_eq!(
            (code, refused["code"].as_str()),
            (507, Some("not-durable")),
            "{refused}"
        );
        let status = daemon.get("/v1/status");
        assert_eq!(
            (&status["posture"], &status["policy"]["generation"]),
            (&Value::from("contain"), &Value::from(1))
        );
        daemon.end(Signal::SIGKILL);

        let daemon = site.start();
        assert_eq!(daemon.get("/v1/status")["posture"], "contain");
        std::fs::remove_file(&filler).expect("is there");
        // The warning about the posture found in the kernel stays until a release.
        daemon.wait_for("cordon_warnings", 1.0);
        assert_eq!(daemon.order("release", "normal").0, 200);
        daemon.wait_for("cordon_warnings", 0.0);
        assert_eq!(daemon.get("/v1/orders").as_array().map(Vec::len), Some(2));
    });
}

#[test]
fn a_port_is_attached_when_its_interface_appears() {
    in_namespace(|| {
        ip("link del eth2");
        let site = Site::new("late");
        let daemon = site.start();
        assert_eq!(daemon.apply_example().0, 200);
        let status = daemon.get("/v1/status");
        assert!(
            port(&status, "core0").contains("no such network interface"),
            "{status}"
        );
        let up = "cordon_port_up{device=\"eth2\",port=\"core0\"}";
        let down = daemon.metrics();
        assert!(
            down.contains(&format!("{up} 0")) || down.contains("port=\"core0\",device=\"eth2\"} 0"),
            "{down}"
        );
        ip("link add eth2 type veth peer name eth2-peer");
        ip("link set eth2-peer up");
        daemon.wait_for("cordon_warnings", 0.0);
        assert_eq!(port(&daemon.get("/v1/status"), "core0"), "up");
    });
}

#[test]
fn a_program_of_another_abi_is_left_in_force() {
    in_namespace(|| {
        let site = Site::new("abi");
        let daemon = site.start();
        assert_eq!(daemon.apply_example().0, 200);
        daemon.end(Signal::SIGTERM);
        let meta = aya::maps::MapData::from_pin(site.pins().join("META")).expect("is pinned");
        let meta = aya::maps::Map::from_map_data(meta).expect("is a map");
        let mut meta: aya::maps::Array<_, u64> = meta.try_into().expect("is an array");
        let ours = meta.get(&0, 0).expect("reads");
        meta.set(0, ours + 1, 0).expect("writes");
        let message = site.refused();
        let expected = format!(
            "ABI {}, this one {ours}: the old one stays in force",
            ours + 1
        );
        assert!(message.contains(&expected), "{message}");
        // The program still judges: a daemon with its ABI finds its counters.
        send("eth1-peer", &[announcement()]);
        meta.set(0, ours, 0).expect("writes");
        let daemon = site.start();
        assert_eq!(daemon.get("/v1/status")["dataplane"], "taken-over");
        daemon.wait_for(&rule("monitors-announce"), 1.0);
    });
}
