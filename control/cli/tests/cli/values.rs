//! Answers of the simulated gateway.

use cordon_protocol::{
    Applied, Device, Event, Explanation, Failure, Flows, Observed, Order, Rule, Status,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::fake::Reply;

/// As the gateway would write it: converted through the protocol's type.
fn wire<T: DeserializeOwned + Serialize>(value: Value) -> String {
    let typed: T = serde_json::from_value(value).expect("is a value of the protocol");
    serde_json::to_string(&typed).expect("can be written")
}

fn good<T: DeserializeOwned + Serialize>(value: Value) -> Reply {
    Reply::Json(200, wire::<T>(value))
}

pub fn failure(status: u16, value: Value) -> Reply {
    Reply::Json(status, wire::<Failure>(value))
}

fn policy_value() -> Value {
    json!({
        "hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "generation": 12,
        "applied": "2026-02-27T10:00:00Z", "devices": 10, "rules": 17, "classes": 9
    })
}

pub fn status_value() -> Value {
    json!({
        "version": "0.1.0", "site": "manchester-memorial", "posture": "normal", "order": null,
        "policy": policy_value(), "uptime_seconds": 273_840, "dataplane": "taken-over",
        "ports": [
            {"name": "access0", "device": "eth1", "uplink": false, "state": "up"},
            {"name": "core0", "device": "eth2", "uplink": true, "state": "up"}
        ],
        "segments": [
            {"name": "imaging", "zone": "clinical", "attachments": ["access0.210", "core0.210"], "isolate": true,
             "mode": "enforce"},
            {"name": "stations", "zone": "wards", "attachments": ["access0.230", "core0.230"], "isolate": false,
             "mode": "enforce"},
            {"name": "guest", "zone": "guest", "attachments": ["access0.299", "core0.299"], "isolate": true,
             "mode": "observe"}
        ],
        "flows": {"open": 1234, "half_open": 12, "limit": 327_680},
        "passed_packets": 123_456_789,
        "drops": [
            {"reason": "no-rule", "help": "No rule allows it.", "packets": 5120, "bytes": 327_680},
            {"reason": "unknown-device", "help": "The source MAC address is no device of this segment.", "packets": 3,
             "bytes": 180}
        ],
        "events_lost": 0, "warnings": []
    })
}

pub fn status() -> Reply {
    good::<Status>(status_value())
}

pub fn status_contained() -> Reply {
    let mut value = status_value();
    value["posture"] = json!("contain");
    value["order"] = order_value();
    value["policy"]["reverts"] = json!("2026-03-01T03:25:00Z");
    value["ports"][1]["state"] = json!("down");
    value["events_lost"] = json!(42);
    value["warnings"] = json!(["port core0 is down: nothing crosses the site's boundary"]);
    good::<Status>(value)
}

pub fn status_observed() -> Reply {
    let mut value = status_value();
    value["segments"][2]["would_drop"] = in_guest();
    good::<Status>(value)
}

pub fn status_empty() -> Reply {
    let mut value = status_value();
    for field in ["site", "policy"] {
        value[field] = Value::Null;
    }
    for field in ["ports", "segments", "drops"] {
        value[field] = json!([]);
    }
    value["dataplane"] = json!("new");
    good::<Status>(value)
}

pub fn order_value() -> Value {
    json!({
        "sequence": 7, "kind": "quarantine", "scope": "site", "posture": "contain", "before": "normal",
        "reason": "ransomware seen at Rockville", "ticket": "INC-4711", "by": "dana (uid 1000)",
        "time": "2026-03-01T03:12:44.512Z", "in_force_milliseconds": 9.34
    })
}

pub fn order() -> Reply {
    good::<Order>(order_value())
}

/// The order, with some fields replaced.
pub fn order_with(fields: Value) -> Reply {
    let mut value = order_value();
    for (name, field) in fields.as_object().expect("fields") {
        value[name] = field.clone();
    }
    good::<Order>(value)
}

pub fn released() -> Reply {
    order_with(
        json!({"sequence": 8, "kind": "release", "posture": "normal", "before": "contain",
        "reason": "hosts cleaned", "ticket": null, "time": "2026-03-01T03:19:58Z", "in_force_milliseconds": 121.9}),
    )
}

pub fn orders() -> Reply {
    let first = json!({"sequence": 6, "kind": "quarantine", "scope": "site", "posture": "watch", "before": "normal",
        "reason": "odd vendor logins", "ticket": null, "by": "li (uid 1001)", "time": "2026-02-20T15:00:00Z",
        "until": "2026-02-20T23:00:00Z", "in_force_milliseconds": 8.0});
    good::<Vec<Order>>(json!([first, order_value()]))
}

fn rules_value() -> Vec<Value> {
    let postures = ["normal", "watch", "contain", "isolate", "lockdown"];
    // `open` is the number of postures at which the rule allows traffic.
    let rule = |name: &str,
                place: Value,
                survives: &str,
                open: usize,
                owner: &str,
                reason: &str,
                packets: u64| {
        let optional = |text: &str| {
            if text.is_empty() {
                Value::Null
            } else {
                json!(text)
            }
        };
        let continuity = !place.is_null() && postures[2..].contains(&survives);
        json!({"name": name, "place": place, "from": [], "to": [], "services": [], "action": "allow", "survives": survives, "continuity": continuity,
            "open_at": postures[..open], "owner": optional(owner), "reason": optional(reason), "expires": null,
            "packets": packets, "bytes": packets * 900})
    };
    let at = |line: u32| json!(format!("policy.yaml:{line}"));
    let mut rules = vec![
        rule(
            "arp",
            Value::Null,
            "lockdown",
            5,
            "",
            "devices find each other's addresses",
            9_000,
        ),
        rule(
            "ct-to-pacs",
            at(14),
            "lockdown",
            5,
            "radiology",
            "emergency imaging",
            88_123,
        ),
        rule(
            "pumps-to-server",
            at(20),
            "lockdown",
            5,
            "pharmacy",
            "dose limits and alarms",
            4_410,
        ),
        rule(
            "old-archive",
            at(24),
            "contain",
            0,
            "radiology",
            "until the move",
            17,
        ),
        rule("no-smb", at(28), "sever", 0, "", "", 512),
        rule("ultrasound-to-stations", at(30), "by reach", 3, "", "", 71),
        rule(
            "stations-to-records",
            at(31),
            "by reach",
            2,
            "",
            "",
            1_234_567,
        ),
        rule("vendor-support", at(40), "normal", 1, "biomed", "", 0),
        rule("shadowed", at(41), "lockdown", 0, "", "", 0),
        rule(
            "segment:stations",
            json!("site.yaml:9"),
            "by reach",
            4,
            "",
            "",
            33,
        ),
    ];
    for name in ["observe:guest", "observe:guest-inbound"] {
        rules.push(rule(name, json!("site.yaml:16"), "by reach", 4, "", "", 12));
    }
    for (name, from, to, services) in [
        (
            "ct-to-pacs",
            json!(["ct"]),
            json!(["pacs"]),
            json!(["dicom"]),
        ),
        (
            "pumps-to-server",
            json!(["pump", "pump-server-1"]),
            json!(["infusion-servers"]),
            json!(["alaris"]),
        ),
        (
            "old-archive",
            json!(["ct", "us", "mr", "us-2"]),
            json!(["old-pacs"]),
            json!(["dicom", "tcp/8042"]),
        ),
        ("no-smb", json!(["any"]), json!(["any"]), json!(["smb"])),
        (
            "ultrasound-to-stations",
            json!(["us"]),
            json!(["stations"]),
            json!(["dicom"]),
        ),
        (
            "stations-to-records",
            json!(["stations"]),
            json!(["records"]),
            json!(["https"]),
        ),
        (
            "vendor-support",
            json!(["world"]),
            json!(["ct"]),
            json!(["ssh"]),
        ),
        ("shadowed", json!(["ct"]), json!(["pacs"]), json!(["dicom"])),
        (
            "segment:stations",
            json!(["stations"]),
            json!(["stations"]),
            json!(["any"]),
        ),
        (
            "observe:guest",
            json!(["guest"]),
            json!(["any"]),
            json!(["any"]),
        ),
        (
            "observe:guest-inbound",
            json!(["any"]),
            json!(["guest"]),
            json!(["any"]),
        ),
    ] {
        let rule = rules.iter_mut().find(|rule| rule["name"] == name);
        let rule = rule.expect("is one");
        (rule["from"], rule["to"], rule["services"]) = (from, to, services);
    }
    rules[3]["expires"] = json!("2026-02-28");
    rules[4]["action"] = json!("deny");
    rules
}

pub fn rules() -> Reply {
    good::<Vec<Rule>>(rules_value().into())
}

/// The rules of an older gateway, without the fields of a newer one.
pub fn rules_of_an_older_gateway() -> Reply {
    let mut rules = rules_value();
    for rule in &mut rules {
        let rule = rule.as_object_mut().expect("is one");
        for newer in ["open_at", "from", "to", "services"] {
            rule.remove(newer);
        }
    }
    Reply::Json(200, Value::from(rules).to_string())
}

/// The devices, two of them in an observed segment.
pub fn devices_observed() -> Reply {
    let Reply::Json(_, text) = devices() else {
        unreachable!("it is JSON")
    };
    let mut value: Value = serde_json::from_str(&text).expect("is JSON");
    value[0]["would_drop_flows"] = json!(0);
    value[1]["would_drop_flows"] = json!(12);
    good::<Vec<Device>>(value)
}

pub fn devices() -> Reply {
    let device = |name: &str,
                  mac: &str,
                  ips: Value,
                  segment: &str,
                  profile: &str,
                  state: &str,
                  attachment: Value| {
        json!({"name": name, "mac": mac, "ips": ips, "segment": segment, "profile": profile, "function": "imaging",
            "criticality": null, "state": state, "attachment": attachment})
    };
    good::<Vec<Device>>(json!([
        device(
            "ct-1",
            "02:00:5e:21:00:11",
            json!(["10.21.0.11"]),
            "imaging",
            "ct-scanner",
            "seen",
            json!("access0.210")
        ),
        device(
            "us-1",
            "02:00:5e:21:00:21",
            json!(["10.21.0.21", "fd00:21::21"]),
            "imaging",
            "ultrasound",
            "unseen",
            Value::Null
        ),
        device(
            "station-1",
            "02:00:5e:23:00:11",
            json!([]),
            "stations",
            "workstation",
            "seen",
            json!("access0.230")
        ),
    ]))
}

pub fn flows() -> Reply {
    let flow = |from: Value, to: Value, rule: &str, current: bool, answered: bool, sent: u64| {
        json!({"from": from, "to": to, "protocol": "tcp", "segment": "imaging", "rule": rule, "current": current,
            "answered": answered, "bytes_sent": sent, "bytes_received": sent / 100, "idle_seconds": sent % 97})
    };
    let end =
        |device: Value, ip: &str, port: u16| json!({"device": device, "ip": ip, "port": port});
    good::<Flows>(json!({"total": 1246, "matching": 1246, "flows": [
        flow(end(json!("ct-1"), "10.21.0.11", 40_001), end(Value::Null, "10.200.4.7", 104), "ct-to-pacs", true, true, 734_003_200),
        flow(end(json!("us-1"), "fd00:21::21", 40_002), end(json!("station-1"), "fd00:23::11", 11_112), "ultrasound-to-stations", false, true, 1_048_576),
        flow(end(json!("station-1"), "10.23.0.11", 50_000), end(Value::Null, "10.200.6.9", 443), "stations-to-records", true, false, 60),
    ]}))
}

/// The flows of a workstation, one of which passes only because its segment is observed.
pub fn flows_of_station() -> Reply {
    let flow = |port: u16, rule: &str| {
        json!({"from": {"device": "station-1", "ip": "10.23.0.11", "port": 50_000},
            "to": {"device": null, "ip": "10.200.6.9", "port": port}, "protocol": "tcp", "segment": "stations",
            "rule": rule, "current": true, "answered": true, "bytes_sent": 6000, "bytes_received": 60,
            "idle_seconds": 4})
    };
    let mut would_drop = flow(445, "observe:stations");
    would_drop["would_drop"] =
        json!({"reason": "rule", "rule": "no-smb", "place": "policy.yaml:28"});
    good::<Flows>(
        json!({"total": 1246, "matching": 3, "flows": [flow(443, "stations-to-records"), would_drop]}),
    )
}

fn in_guest() -> Value {
    json!({"segment": "guest", "hosts": 2, "flows": 16, "bytes": 1_268_000})
}

/// Flows of an observed segment that enforcement would have dropped.
pub fn observed() -> Reply {
    let guest =
        |last: u8| json!({"device": null, "ip": format!("10.29.0.{last}"), "zone": "guest"});
    let station = json!({"device": "station-1", "ip": "10.23.0.11", "zone": "wards"});
    let printer = json!({"device": null, "ip": "192.0.2.9", "zone": null});
    let talk = |from: Value,
                to: Value,
                inside: &str,
                service: &str,
                name: Value,
                rule: Value,
                flows: u64,
                day: u8| {
        let (reason, place) = match rule.is_null() {
            true => ("no-rule", Value::Null),
            false => ("rule", json!("policy.yaml:28")),
        };
        json!({"segment": "guest", "inside": inside, "from": from, "to": to, "service": service, "service_name": name,
            "would_drop": {"reason": reason, "rule": rule, "place": place}, "flows": flows, "bytes": flows * 79_250,
            "first": "2026-02-20T08:00:00Z", "last": format!("2026-02-{day}T08:00:00Z")})
    };
    let none = Value::Null;
    good::<Observed>(json!({"segments": [in_guest()], "unnoted": 0, "talks": [
        talk(guest(50), station.clone(), "from", "tcp/445", json!("smb"), json!("no-smb"), 9, 28),
        talk(guest(50), printer, "from", "tcp/9100", none.clone(), none.clone(), 2, 27),
        talk(station.clone(), guest(51), "to", "tcp/22", json!("ssh"), none.clone(), 1, 26),
        talk(guest(51), station, "from", "tcp/445", json!("smb"), json!("no-smb"), 4, 25),
    ]}))
}

/// No segment is observed.
pub fn observed_none() -> Reply {
    good::<Observed>(json!({"segments": [], "talks": [], "unnoted": 0}))
}

/// A segment is observed, and no flow would have been dropped.
pub fn observed_empty() -> Reply {
    good::<Observed>(
        json!({"segments": [{"segment": "guest", "hosts": 0, "flows": 0, "bytes": 0}], "talks": [], "unnoted": 0}),
    )
}

/// A broadcast within a zone.
pub fn explanation_inside() -> Reply {
    let at = |posture: &str, allowed: bool, inside: bool| {
        json!({"posture": posture, "allowed": allowed, "inside": inside,
            "reason": if allowed { Value::Null } else { json!("posture") }, "rule": "segment:stations",
            "place": "site.yaml:9"})
    };
    good::<Vec<Explanation>>(
        json!([{"from": "station-1 (10.23.0.11)", "to": "broadcast", "packet": "udp/3702",
        "reach": "within the zone", "ingress": "access0.230", "posture": "contain", "postures": [
            at("normal", true, false), at("contain", true, true), at("lockdown", false, false)]}]),
    )
}

/// A packet that passes only because a segment is observed.
pub fn explanation_observed() -> Reply {
    let at = |posture: &str, would_drop: Value| {
        json!({"posture": posture, "allowed": !would_drop.is_null(), "rule": "observe:guest",
            "reason": if would_drop.is_null() { json!("posture") } else { Value::Null },
            "place": "site.yaml:16", "would_drop": would_drop})
    };
    let denied = json!({"reason": "rule", "rule": "no-smb", "place": "policy.yaml:28"});
    good::<Vec<Explanation>>(
        json!([{"from": "10.29.0.50 (segment guest, no listed device)", "to": "station-1 (10.23.0.11)",
        "packet": "tcp/445", "reach": "between zones", "ingress": "access0.299", "posture": "normal", "postures": [
            at("normal", denied.clone()), at("contain", denied), at("isolate", Value::Null)]}]),
    )
}

/// `dicom` from a scanner to the archive: two packets with the same verdicts.
pub fn explanation() -> Reply {
    let allowed = |posture: &str| {
        json!({"posture": posture, "allowed": true, "reason": null, "rule": "ct-to-pacs",
        "place": "policy.yaml:14"})
    };
    let packet = |packet: &str| {
        let postures: Vec<_> = ["normal", "watch", "contain", "isolate", "lockdown"].map(allowed).into_iter()
            .chain([json!({"posture": "sever", "allowed": false, "reason": "posture", "rule": "ct-to-pacs",
                "place": "policy.yaml:14"})]).collect();
        json!({"from": "ct-1 (10.21.0.11)", "to": "10.200.4.7", "packet": packet, "reach": "across the site boundary",
            "ingress": "access0.210", "posture": "contain", "postures": postures})
    };
    good::<Vec<Explanation>>(json!([packet("tcp/104"), packet("tcp/11112")]))
}

/// Two packets with different verdicts, neither of which passes.
pub fn explanation_dropped() -> Reply {
    let packet = |packet: &str, reason: &str, rule: Value| {
        json!({"from": "10.29.0.50", "to": "station-1 (10.23.0.11)", "packet": packet, "reach": "between zones",
            "ingress": "access0.299", "posture": "normal", "postures": [
                {"posture": "normal", "allowed": false, "reason": reason, "rule": rule, "place": null},
                {"posture": "watch", "allowed": false, "reason": "new-reason", "rule": null, "place": null}]})
    };
    good::<Vec<Explanation>>(json!([
        packet("tcp/445", "rule", json!("no-smb")),
        packet("udp/445", "no-rule", Value::Null)
    ]))
}

pub fn applied(reverts: Value, warnings: Value) -> Reply {
    let mut policy = policy_value();
    policy["generation"] = json!(13);
    if !reverts.is_null() {
        policy["reverts"] = reverts;
    }
    good::<Applied>(
        json!({"policy": policy, "compile_milliseconds": 12.34, "install_milliseconds": 9.87,
        "warnings": warnings}),
    )
}

/// An event of a packet from one address to another.
pub fn event(kind: &str, second: u32, to_port: u16) -> Value {
    json!({"time": format!("2026-03-01T03:20:{second:02}.250Z"), "kind": kind, "ingress": "access0.210",
        "segment": "imaging", "device": "ct-1", "source_mac": "02:00:5e:21:00:11",
        "destination_mac": "02:00:5e:00:00:01", "from": {"device": "ct-1", "ip": "10.21.0.11", "port": 40_001},
        "to": {"device": null, "ip": "10.200.4.7", "port": to_port}, "protocol": "tcp", "length": 74})
}

/// An event as a line, with some fields replaced.
pub fn line(mut event: Value, fields: Value) -> String {
    for (name, field) in fields.as_object().expect("fields") {
        event[name] = field.clone();
    }
    wire::<Event>(event)
}
