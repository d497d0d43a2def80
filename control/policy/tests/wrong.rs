//! Wrong policies, each with the error that it must give: file, line, column, kind, and what is said.

use cordon_policy::{Sources, from_sources};

/// A site that is right, to be changed in one place.
const SITE: &str = "\
site: clinic
ports:
  access0: {device: eth1}
  core0: {device: eth2, uplink: true}
segments:
  imaging: {attach: [access0.210, core0.210], subnets: [10.21.0.0/24], isolate: true}
  stations: {attach: [access0.230, core0.230], subnets: [10.23.0.0/24]}
zones:
  clinical: {segments: [imaging]}
  world: {networks: [0.0.0.0/0]}
";

const DEVICES: &str = "\
name,mac,ips,segment,profile
ct-1,02:00:5e:10:00:01,10.21.0.11,imaging,ct-scanner
ws-1,02:00:5e:10:00:02,10.23.0.11,stations,workstation
";

/// The site with one piece of text replaced.
fn site(old: &str, new: &str) -> Sources {
    assert!(SITE.contains(old), "the site has no `{old}`");
    with(SITE.replacen(old, new, 1), "", DEVICES)
}

fn policy(text: &str) -> Sources {
    with(SITE.to_owned(), text, DEVICES)
}

fn devices(line: &str) -> Sources {
    with(SITE.to_owned(), "", &format!("{DEVICES}{line}\n"))
}

fn with(site: String, policy: &str, devices: &str) -> Sources {
    Sources {
        site,
        policy: Some(policy.to_owned()),
        devices: Some(devices.to_owned()),
    }
}

/// What must be among the errors: `file:line:column: kind: part of the message`, and a part of the hint.
type Case = (&'static str, Sources, &'static str, &'static str);

fn cases() -> Vec<Case> {
    let rule = |fields: &str| policy(&format!("rules:\n  - {{name: r, {fields}}}\n"));
    vec![
        // Not readable as YAML or CSV at all.
        (
            "unclosed bracket",
            site("[access0.210, core0.210]", "[access0.210, core0.210"),
            "site.yaml:7:3: syntax: not YAML",
            "unclosed",
        ),
        (
            "unclosed brace in a last line without an end",
            with("site: clinic\nports: {access0".into(), "", ""),
            "site.yaml:2:16: syntax: not YAML",
            "unclosed",
        ),
        (
            "what cannot be printed behind a directive",
            with("%\u{e9}\u{e9}\u{e9}\u{e9}\0: \n".into(), "", ""),
            "site.yaml:1:9: syntax: not YAML",
            "unclosed",
        ),
        (
            "tab as indentation",
            policy("groups:\n\tct: {profile: x}\n"),
            "policy.yaml:2:1: syntax: not YAML: a tab in the indentation",
            "blanks",
        ),
        (
            "tab as indentation behind a value, where the parser takes it for more of the value",
            policy("groups:\n  ct:\n    profile: x\n\n  # The next one.\n  \tpacs: {profile: y}\n"),
            "policy.yaml:6:3: syntax: not YAML: a tab in the indentation",
            "blanks",
        ),
        (
            "tab as indentation of a rule in a file with the line breaks of Windows",
            policy("rules:\r\n- name: a\r\n\tfrom: b\r\n"),
            "policy.yaml:3:1: syntax: not YAML: a tab in the indentation",
            "blanks",
        ),
        (
            "a tab that is there, behind what is wrong",
            policy("rules: [a\ngroups: b\n\tc: d\n"),
            "policy.yaml:2:7: syntax: not YAML: ",
            "unclosed",
        ),
        (
            "two documents",
            policy("rules: []\n---\nrules: []\n"),
            "policy.yaml:2:1: syntax: a second document",
            "---",
        ),
        (
            "an alias",
            policy("groups: &a\n  ct: {profile: x}\n"),
            "policy.yaml:1:9: syntax: anchors",
            "remove",
        ),
        (
            "a tag",
            policy("rules: !!set []\n"),
            "policy.yaml:1:8: syntax: anchors and tags",
            "quote",
        ),
        (
            "too deep",
            policy("rules: [[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]\n"),
            "policy.yaml:1:24: limit: nested deeper than 16",
            "",
        ),
        (
            "a list as key",
            policy("? [a]\n: b\n"),
            "policy.yaml:1:3: syntax: a key must be a plain word",
            "quote",
        ),
        (
            "open quote in CSV",
            devices("\"ct-2,02:00:5e:10:00:03,,imaging,"),
            "devices.csv:4:1: bad-value: `ct-2,02",
            "",
        ),
        // The shape of site.yaml.
        (
            "a site that is a list",
            with("- site\n".into(), "", ""),
            "site.yaml:1:1: wrong-type: site.yaml is a mapping, not a list",
            "",
        ),
        (
            "an empty site",
            with(String::new(), "", ""),
            "site.yaml:1:1: wrong-type: site.yaml is a mapping, not nothing",
            "",
        ),
        (
            "no name",
            site("site: clinic\n", ""),
            "site.yaml:1:1: missing-field: site.yaml needs `site`",
            "",
        ),
        (
            "no ports",
            with("site: clinic\nsegments: {}\n".into(), "", ""),
            "site.yaml:1:1: missing-field: site.yaml needs `ports`",
            "",
        ),
        (
            "misspelt field",
            site("zones:", "zone:"),
            "site.yaml:8:1: unknown-field: site.yaml has no field `zone`",
            "did you mean `zones`?",
        ),
        (
            "a key twice",
            site("zones:", "site: x\nzones:"),
            "site.yaml:8:1: duplicate: `site` is written twice",
            "line 1",
        ),
        (
            "a name with a space",
            site("site: clinic", "site: My Clinic"),
            "site.yaml:1:7: bad-value: `My Clinic` cannot be the name of a site",
            "lower-case",
        ),
        (
            "a site that is a mapping",
            site("site: clinic", "site: {a: b}"),
            "site.yaml:1:7: wrong-type: `site` is a plain value, not a mapping",
            "",
        ),
        // Ports.
        (
            "port without NIC",
            site("{device: eth1}", "{uplink: false}"),
            "site.yaml:3:12: missing-field: port `access0` needs `device`",
            "",
        ),
        (
            "interface name too long",
            site("eth1", "enp0s31f6-is-too-long"),
            "site.yaml:3:21: bad-value: `enp0s31f6-is-too-long` cannot be a network interface",
            "ip -brief link",
        ),
        (
            "one NIC twice",
            site("eth2", "eth1"),
            "site.yaml:4:19: duplicate: `eth1` is port `access0` already",
            "",
        ),
        (
            "port with a dot",
            site("access0: {device", "access.0: {device"),
            "site.yaml:3:3: bad-value: a port's name has no dot",
            "VLAN 210",
        ),
        (
            "uplink maybe",
            site("uplink: true", "uplink: yes"),
            "site.yaml:4:33: bad-value: `uplink` is true or false, not `yes`",
            "`true`",
        ),
        // Segments.
        (
            "unknown port",
            site("access0.210", "acces0.210"),
            "site.yaml:6:22: unknown-name: there is no port `acces0`",
            "did you mean `access0`?",
        ),
        (
            "VLAN 0",
            site("access0.210", "access0.0"),
            "site.yaml:6:22: bad-value: `0` is no VLAN ID",
            "1 to 4094",
        ),
        (
            "VLAN 4095",
            site("access0.210", "access0.4095"),
            "site.yaml:6:22: bad-value: `4095` is no VLAN ID",
            "1 to 4094",
        ),
        (
            "VLAN taken",
            site("access0.230", "access0.210"),
            "site.yaml:7:23: conflict: `access0.210` is attached to segment `imaging` already",
            "one segment",
        ),
        (
            "an attachment twice",
            site("core0.230", "access0.230"),
            "site.yaml:7:36: duplicate: `access0.230` is listed twice",
            "",
        ),
        (
            "two tags taken",
            site(
                "core0.230], subnets: [10.23.0.0/24]}",
                "core0.100.230], subnets: [10.23.0.0/24]}\n  lab: {attach: [core0.100.230]}",
            ),
            "site.yaml:8:18: conflict: `core0.100.230` is attached to segment `stations` already",
            "one segment",
        ),
        (
            "VLAN 0 in VLAN 100",
            site("access0.210", "access0.100.0"),
            "site.yaml:6:22: bad-value: `0` is no VLAN ID",
            "1 to 4094",
        ),
        (
            "VLAN 210 in VLAN 0",
            site("access0.210", "access0.0.210"),
            "site.yaml:6:22: bad-value: `0` is no VLAN ID",
            "1 to 4094",
        ),
        (
            "VLAN +210",
            site("access0.210", "access0.+210"),
            "site.yaml:6:22: bad-value: `+210` is no VLAN ID",
            "1 to 4094",
        ),
        (
            "no VLAN behind the dot",
            site("access0.210", "access0."),
            "site.yaml:6:22: bad-value: `` is no VLAN ID",
            "without a dot",
        ),
        (
            "three tags",
            site("access0.210", "access0.1.2.3"),
            "site.yaml:6:22: bad-value: `access0.1.2.3` has more than two VLAN tags",
            "VLAN 210 inside VLAN 100",
        ),
        (
            "an unknown outer tag",
            site("uplink: true}", "uplink: true, outer-tag: 802.1qq}"),
            "site.yaml:4:50: bad-value: `802.1qq` is no type of an outer tag",
            "did you mean `802.1q`?",
        ),
        (
            "an outer tag by its EtherType",
            site("uplink: true}", "uplink: true, outer-tag: 0x88a8}"),
            "site.yaml:4:50: bad-value: `0x88a8` is no type of an outer tag",
            "there is: 802.1ad, 802.1q",
        ),
        (
            "a misspelt outer tag",
            site("uplink: true}", "uplink: true, outer_tag: 802.1q}"),
            "site.yaml:4:39: unknown-field: port `core0` has no field `outer_tag`",
            "did you mean `outer-tag`?",
        ),
        (
            "proxy maybe",
            site("isolate: true", "proxy: arp"),
            "site.yaml:6:79: bad-value: `proxy` is true or false, not `arp`",
            "`true`",
        ),
        (
            "a misspelt proxy",
            site("isolate: true", "proxi: true"),
            "site.yaml:6:72: unknown-field: segment `imaging` has no field `proxi`",
            "did you mean `proxy`?",
        ),
        (
            "attached nowhere",
            site("[access0.230, core0.230]", "[]"),
            "site.yaml:7:22: missing-field: segment `stations` is attached nowhere",
            "attach:",
        ),
        (
            "no attach",
            site("attach: [access0.230, core0.230], ", ""),
            "site.yaml:7:13: missing-field: segment `stations` needs `attach`",
            "",
        ),
        (
            "not a network",
            site("10.21.0.0/24", "10.21.0.0/33"),
            "site.yaml:6:57: bad-value: `10.21.0.0/33` is no network",
            "10.21.0.0/24",
        ),
        (
            "host bits",
            site("10.21.0.0/24", "10.21.0.1/24"),
            "site.yaml:6:57: bad-value: `10.21.0.1/24` has bits set",
            "did you mean `10.21.0.0/24`?",
        ),
        (
            "overlapping subnets",
            site("10.23.0.0/24", "10.21.0.128/25"),
            "site.yaml:7:58: conflict: 10.21.0.128/25 overlaps 10.21.0.0/24 of segment `imaging`",
            "one segment",
        ),
        (
            "unknown mode",
            site("isolate: true", "mode: observed"),
            "site.yaml:6:78: bad-value: `observed` is no mode",
            "did you mean `observe`?",
        ),
        (
            "unknown: pass",
            site("isolate: true", "unknown: pass"),
            "site.yaml:6:81: bad-value: `pass` is no way",
            "admit, drop",
        ),
        // Zones and infrastructure.
        (
            "zone of an unknown segment",
            site("segments: [imaging]", "segments: [imagin]"),
            "site.yaml:9:25: unknown-name: there is no segment `imagin`",
            "did you mean `imaging`?",
        ),
        (
            "segment in two zones",
            site("  world:", "  other: {segments: [imaging]}\n  world:"),
            "site.yaml:10:22: conflict: segment `imaging` is in zone `clinical` already",
            "one zone",
        ),
        (
            "network in two zones",
            site("  world:", "  all: {networks: [0.0.0.0/0]}\n  world:"),
            "site.yaml:11:22: duplicate: 0.0.0.0/0 is in zone `all` already",
            "",
        ),
        (
            "segments and networks",
            site(
                "{segments: [imaging]}",
                "{segments: [imaging], networks: [10.9.0.0/16]}",
            ),
            "site.yaml:9:3: conflict: zone `clinical` has segments and networks",
            "local: true",
        ),
        (
            "a zone that shadows a segment",
            site(
                "  clinical: {segments: [imaging]}",
                "  stations: {segments: [imaging]}",
            ),
            "site.yaml:7:3: conflict: segment `stations` is in no zone, and a zone `stations`",
            "rename",
        ),
        (
            "server by name",
            site("zones:", "infrastructure: {dns: [dns.example.org]}\nzones:"),
            "site.yaml:8:24: bad-value: `dns.example.org` is no IP address",
            "by address",
        ),
        (
            "unknown infrastructure",
            site("zones:", "infrastructure: {dsn: [10.0.0.1]}\nzones:"),
            "site.yaml:8:18: unknown-field: `infrastructure` has no field `dsn`",
            "did you mean `dns`?",
        ),
        (
            "a server that survives, unowned",
            site(
                "zones:",
                "infrastructure: {dns: {servers: [10.0.0.1], survives: contain}}\nzones:",
            ),
            "site.yaml:8:55: missing-field: `dns` is on the continuity list and needs `owner`",
            "who to ask",
        ),
        (
            "a segment that only one without a name is near to",
            with(
                SITE.replace("segments: [imaging]", "segments: [I]")
                    .replace("stations:", "Stations:"),
                "",
                DEVICES,
            ),
            "site.yaml:9:25: unknown-name: there is no segment `I`",
            "there is: imaging",
        ),
        // Rules.
        (
            "rules as a mapping",
            policy("rules: {a: b}\n"),
            "policy.yaml:1:8: wrong-type: `rules` is a list, not a mapping",
            "- ",
        ),
        (
            "a rule that is text",
            policy("rules:\n  - allow all\n"),
            "policy.yaml:2:5: wrong-type: a rule is a mapping, not a plain value",
            "",
        ),
        (
            "rule without name",
            policy("rules:\n  - {from: any, to: any, service: any}\n"),
            "policy.yaml:2:5: missing-field: a rule needs `name`",
            "",
        ),
        (
            "rule without service",
            rule("from: any, to: any"),
            "policy.yaml:2:5: missing-field: a rule needs `service`",
            "",
        ),
        (
            "unknown group",
            rule("from: imagin, to: any, service: any"),
            "policy.yaml:2:21: unknown-name: there is no group, zone, segment or device `imagin`",
            "did you mean `imaging`?",
        ),
        (
            "an address in a rule",
            rule("from: 10.0.0.1, to: any, service: any"),
            "policy.yaml:2:21: unknown-name: there is no group",
            "make a group",
        ),
        (
            "unknown service",
            rule("from: any, to: any, service: diacom"),
            "policy.yaml:2:44: unknown-name: there is no service `diacom`",
            "did you mean `dicom`?",
        ),
        (
            "bad inline service",
            rule("from: any, to: any, service: tcp/99999"),
            "policy.yaml:2:44: unknown-name: there is no service `tcp/99999`",
            "tcp/104",
        ),
        (
            "unknown posture",
            rule("from: any, to: any, service: any, survives: lockdwon"),
            "policy.yaml:2:59: bad-value: `lockdwon` is no posture",
            "did you mean `lockdown`?",
        ),
        (
            "survives sever",
            rule("from: any, to: any, service: any, survives: sever"),
            "policy.yaml:2:59: bad-value: nothing survives `sever`",
            "lockdown",
        ),
        (
            "continuity without owner",
            rule("from: any, to: any, service: any, survives: contain, reason: x"),
            "policy.yaml:2:59: missing-field: rule `r` is on the continuity list and needs `owner`",
            "who to ask",
        ),
        (
            "continuity without reason",
            rule("from: any, to: any, service: any, survives: contain, owner: x, reason: ''"),
            "policy.yaml:2:59: missing-field: rule `r` is on the continuity list and needs `reason`",
            "why it is there",
        ),
        (
            "deny that survives",
            rule("from: any, to: any, service: any, action: deny, survives: watch"),
            "policy.yaml:2:73: conflict: rule `r` denies",
            "remove `survives`",
        ),
        (
            "unknown action",
            rule("from: any, to: any, service: any, action: permit"),
            "policy.yaml:2:57: bad-value: `permit` is no action",
            "allow, deny",
        ),
        (
            "from broadcast",
            rule("from: broadcast, to: any, service: any"),
            "policy.yaml:2:21: bad-value: nothing comes from `broadcast`",
            "to: broadcast",
        ),
        (
            "empty list",
            rule("from: [], to: any, service: any"),
            "policy.yaml:2:21: missing-field: the list is empty",
            "any",
        ),
        (
            "no such day",
            rule("from: any, to: any, service: any, expires: 2027-02-29"),
            "policy.yaml:2:58: bad-value: `2027-02-29` is no date",
            "2027-03-31",
        ),
        (
            "a rule twice",
            policy(
                "rules:\n  - {name: a, from: any, to: any, service: any}\n  - {name: a, from: any, to: any, service: any}\n",
            ),
            "policy.yaml:3:12: duplicate: there is a rule `a` already",
            "line 2",
        ),
        (
            "misspelt rule field",
            rule("from: any, to: any, services: any"),
            "policy.yaml:2:35: unknown-field: a rule has no field `services`",
            "did you mean `service`?",
        ),
        // Groups, services, invariants.
        (
            "an empty group",
            policy("groups:\n  ct: {}\n"),
            "policy.yaml:2:3: missing-field: group `ct` has nobody in it",
            "profile",
        ),
        (
            "group of an unknown device",
            policy("groups:\n  ct: {devices: [ct-9]}\n"),
            "policy.yaml:2:18: unknown-name: there is no device `ct-9`",
            "did you mean `ct-1`?",
        ),
        (
            "group named as a segment",
            policy("groups:\n  imaging: {profile: x}\n"),
            "policy.yaml:2:3: conflict: `imaging` is a group and a segment",
            "rename",
        ),
        (
            "group named any",
            policy("groups:\n  any: {profile: x}\n"),
            "policy.yaml:2:3: conflict: `any` is a group and built in",
            "rename",
        ),
        (
            "group with bad network",
            policy("groups:\n  pacs: {networks: [10.200.4]}\n"),
            "policy.yaml:2:21: bad-value: `10.200.4` is no network",
            "10.21.0.0/24",
        ),
        (
            "service without ports",
            policy("services:\n  x: {}\n"),
            "policy.yaml:2:6: missing-field: service `x` has no ports",
            "tcp",
        ),
        (
            "port out of range",
            policy("services:\n  x: {tcp: [104, 70000]}\n"),
            "policy.yaml:2:18: bad-value: `70000` is no port",
            "0 to 65535",
        ),
        (
            "range the wrong way",
            policy("services:\n  x: {udp: 20-10}\n"),
            "policy.yaml:2:12: bad-value: `20-10` is no port",
            "5000-5010",
        ),
        (
            "an idle time without a unit",
            policy("services:\n  x: {tcp: 104, idle: 3600}\n"),
            "policy.yaml:2:23: bad-value: `3600` is no idle time",
            "`s`, `m`, `h` or `d`: `idle: 24h`",
        ),
        (
            "an idle time in parts",
            policy("services:\n  x: {tcp: 104, idle: 1h30m}\n"),
            "policy.yaml:2:23: bad-value: `1h30m` is no idle time",
            "a whole number",
        ),
        (
            "an idle time that is a unit",
            policy("services:\n  x: {tcp: 104, idle: h}\n"),
            "policy.yaml:2:23: bad-value: `h` is no idle time",
            "a whole number",
        ),
        (
            "an idle time before its time",
            policy("services:\n  x: {tcp: 104, idle: -1h}\n"),
            "policy.yaml:2:23: bad-value: `-1h` is no idle time",
            "a whole number",
        ),
        (
            "an idle time of none",
            policy("services:\n  x: {tcp: 104, idle: 0s}\n"),
            "policy.yaml:2:23: bad-value: an idle time of `0s` is none",
            "usual for the protocol",
        ),
        (
            "an idle time of three days",
            policy("services:\n  x: {tcp: 104, idle: 3d}\n"),
            "policy.yaml:2:23: limit: `3d` is longer than an idle time can be",
            "at most 48 hours: `48h`",
        ),
        (
            "an idle time with more digits than fit",
            policy("services:\n  x: {tcp: 104, idle: 99999999999999999999s}\n"),
            "policy.yaml:2:23: limit: `99999999999999999999s` is longer",
            "48h",
        ),
        (
            "an idle time that ends in a letter of several bytes",
            policy("services:\n  x: {tcp: 104, idle: 24\u{fd}}\n"),
            "policy.yaml:2:23: bad-value: `24\u{fd}` is no idle time",
            "24h",
        ),
        (
            "a misspelt idle time",
            policy("services:\n  x: {tcp: 104, idl: 24h}\n"),
            "policy.yaml:2:17: unknown-field: service `x` has no field `idl`",
            "did you mean `idle`?",
        ),
        (
            "an idle time of a rule",
            rule("from: any, to: any, service: any, idle: 24h"),
            "policy.yaml:2:49: unknown-field: a rule has no field `idle`",
            "",
        ),
        (
            "a service named any",
            policy("services:\n  any: {tcp: 1}\n"),
            "policy.yaml:2:3: conflict: `any` is built in",
            "another name",
        ),
        (
            "a subnet of multicast addresses",
            site("[10.21.0.0/24]", "[239.1.0.0/24]"),
            "site.yaml:6:57: bad-value: 239.1.0.0/24 is for multicast",
            "group",
        ),
        (
            "a router outside the segment",
            site(
                "subnets: [10.21.0.0/24]",
                "subnets: [10.21.0.0/24], routers: [10.22.0.1]",
            ),
            "site.yaml:6:82: conflict: 10.22.0.1 is no address of a host in segment `imaging`",
            "routers: [10.21.0.1",
        ),
        (
            "a router at a broadcast address",
            site(
                "subnets: [10.21.0.0/24]",
                "subnets: [10.21.0.0/24], routers: [10.21.0.255]",
            ),
            "site.yaml:6:82: conflict: 10.21.0.255 is no address of a host in segment `imaging`",
            "routers: [10.21.0.1",
        ),
        (
            "a router twice",
            site(
                "subnets: [10.21.0.0/24]",
                "subnets: [10.21.0.0/24], routers: [10.21.0.1, 10.21.0.1]",
            ),
            "site.yaml:6:93: duplicate: 10.21.0.1 is there twice",
            "once",
        ),
        (
            "a device with the router's address",
            site(
                "subnets: [10.21.0.0/24]",
                "subnets: [10.21.0.0/24], routers: [10.21.0.11]",
            ),
            "devices.csv:2:24: conflict: 10.21.0.11 is a router's of segment `imaging`",
            "behind the uplink",
        ),
        (
            "a storm without a number",
            site("uplink: true}", "uplink: true, storm: many}"),
            "site.yaml:4:46: bad-value: `many` is no number of frames",
            "0 for any number",
        ),
        (
            "an unknown link-control protocol",
            site("{device: eth1}", "{device: eth1, pass: [lldp, cdp]}"),
            "site.yaml:3:40: bad-value: `cdp` is no link-control protocol",
            "lldp",
        ),
        (
            "an EtherType that is a number",
            site("isolate: true}", "isolate: true, ether-types: [34962]}"),
            "site.yaml:6:101: bad-value: `34962` is no EtherType",
            "0x8892",
        ),
        (
            "an EtherType that rules decide on",
            site("isolate: true}", "isolate: true, ether-types: [0x0800]}"),
            "site.yaml:6:101: conflict: EtherType `0x0800` is not for a segment to let pass",
            "rules",
        ),
        (
            "an unknown protocol",
            policy("services:\n  x: {dccp: 1}\n"),
            "policy.yaml:2:7: unknown-field: service `x` has no field `dccp`",
            "icmp",
        ),
        (
            "invariant without expectation",
            policy("invariants:\n  - {from: any, to: any}\n"),
            "policy.yaml:2:5: missing-field: an invariant needs `expect`",
            "",
        ),
        (
            "invariant that expects drop",
            policy("invariants:\n  - {from: any, to: any, expect: drop}\n"),
            "policy.yaml:2:34: bad-value: `drop` is no expectation",
            "allow, deny",
        ),
        // Devices.
        (
            "no header",
            with(SITE.into(), "", ""),
            "devices.csv:1:1: missing-field: the file has no header",
            "name,mac,ips",
        ),
        (
            "a column is missing",
            with(SITE.into(), "", "name,mac\n"),
            "devices.csv:1:1: missing-field: column `segment` is missing",
            "name,mac,ips",
        ),
        (
            "a column is misspelt",
            with(SITE.into(), "", "name,mac,segmnt,segment\n"),
            "devices.csv:1:10: unknown-field: there is no column `segmnt`",
            "did you mean `segment`?",
        ),
        (
            "a column twice",
            with(SITE.into(), "", "name,mac,segment,mac\n"),
            "devices.csv:1:18: duplicate: column `mac` is there twice",
            "",
        ),
        (
            "a column of another name in other letters",
            with(SITE.into(), "", "Name,MAC,SEGMNT,Segment\n"),
            "devices.csv:1:10: unknown-field: there is no column `SEGMNT`",
            "did you mean `segment`?",
        ),
        (
            "a column twice, in other letters and with a blank",
            with(SITE.into(), "", "name,mac,segment, MAC\n"),
            "devices.csv:1:18: duplicate: column `MAC` is there twice",
            "",
        ),
        (
            "a file of 32 MiB",
            with(
                SITE.into(),
                "",
                &format!("{DEVICES}#{}", "-".repeat(32 << 20)),
            ),
            "devices.csv:1:1: limit: the file is longer than 32 MiB",
            "",
        ),
        (
            "an address with zeros in front",
            devices("a,02:00:5e:10:00:03,10.21.0.012,imaging,x"),
            "devices.csv:4:21: bad-value: `10.21.0.012` is no IP address",
            "no zeros in front: `10.21.0.12`",
        ),
        (
            "an address of zeros",
            devices("a,02:00:5e:10:00:03,010.021.000.012/24,imaging,x"),
            "devices.csv:4:21: bad-value: `010.021.000.012/24` is no IP address",
            "no zeros in front: `10.21.0.12`",
        ),
        (
            "an address with a prefix",
            devices("a,02:00:5e:10:00:03,10.21.0.12/24,imaging,x"),
            "devices.csv:4:21: bad-value: `10.21.0.12/24` is no IP address",
            "without its prefix: `10.21.0.12`",
        ),
        (
            "an IPv6 address with a prefix",
            devices("a,02:00:5e:10:00:03,2001:db8:21::b/64,imaging,x"),
            "devices.csv:4:21: bad-value: `2001:db8:21::b/64` is no IP address",
            "without its prefix: `2001:db8:21::b`",
        ),
        (
            "an address without a part",
            devices("a,02:00:5e:10:00:03,10.21..12,imaging,x"),
            "devices.csv:4:21: bad-value: `10.21..12` is no IP address",
            "spaces",
        ),
        (
            "too many fields",
            devices("a,02:00:5e:10:00:03,10.21.0.12,imaging,x,y,z"),
            "devices.csv:4:1: syntax: the line has more fields",
            "spaces",
        ),
        (
            "a line with too few fields",
            devices("ct-2,02:00:5"),
            "devices.csv:4:13: missing-field: a device needs `segment`",
            "",
        ),
        (
            "a line behind a comment and an empty line",
            devices("# The wards.\n\na,,10.21.0.12,imaging,x"),
            "devices.csv:6:3: missing-field: a device needs `mac`",
            "",
        ),
        (
            "a line of a file from a spreadsheet",
            with(SITE.into(), "", "name,mac,segment\r\nct-2,,imaging\r\n"),
            "devices.csv:2:6: missing-field: a device needs `mac`",
            "",
        ),
        (
            "a field behind one in quotes",
            devices("\"a\",02:00:5e:10:00:03,\"10.21.0.12 \n10.21.0.13\",imagin,x"),
            "devices.csv:5:13: unknown-name: there is no segment `imagin`",
            "imaging",
        ),
        (
            "a misspelt column behind a comment",
            with(SITE.into(), "", "# Exported.\nname,mac,segmnt,segment\n"),
            "devices.csv:2:10: unknown-field: there is no column `segmnt`",
            "did you mean `segment`?",
        ),
        (
            "no MAC",
            devices("a,,10.21.0.12,imaging,x"),
            "devices.csv:4:3: missing-field: a device needs `mac`",
            "",
        ),
        (
            "bad MAC",
            devices("a,02:00:5e:10:00,10.21.0.12,imaging,x"),
            "devices.csv:4:3: bad-value: `02:00:5e:10:00` is no MAC address",
            "six pairs",
        ),
        (
            "group MAC",
            devices("a,01:00:5e:10:00:03,10.21.0.12,imaging,x"),
            "devices.csv:4:3: bad-value: 01:00:5e:10:00:03 is a group address",
            "",
        ),
        (
            "the gateway's MAC",
            devices("a,02:43:4f:52:44:4e,10.21.0.12,imaging,x"),
            "devices.csv:4:3: conflict: 02:43:4f:52:44:4e is the gateway's",
            "proxy: true",
        ),
        (
            "MAC twice",
            devices("a,02-00-5E-10-00-01,10.21.0.12,imaging,x"),
            "devices.csv:4:3: duplicate: 02:00:5e:10:00:01 is in segment `imaging` already",
            "line 2",
        ),
        (
            "name twice",
            devices("ct-1,02:00:5e:10:00:03,10.21.0.12,imaging,x"),
            "devices.csv:4:1: duplicate: there is a device `ct-1` already",
            "line 2",
        ),
        (
            "bad address",
            devices("a,02:00:5e:10:00:03,10.21.0.256,imaging,x"),
            "devices.csv:4:21: bad-value: `10.21.0.256` is no IP address",
            "spaces",
        ),
        (
            "address of another segment",
            devices("a,02:00:5e:10:00:03,10.23.0.12,imaging,x"),
            "devices.csv:4:21: conflict: 10.23.0.12 is not in segment `imaging`",
            "10.21.0.0/24",
        ),
        (
            "address twice",
            devices("a,02:00:5e:10:00:03,10.21.0.11,imaging,x"),
            "devices.csv:4:21: duplicate: 10.21.0.11 is bound to the device in line 2",
            "",
        ),
        (
            "broadcast address",
            devices("a,02:00:5e:10:00:03,10.21.0.255,imaging,x"),
            "devices.csv:4:21: conflict: 10.21.0.255 is the network or broadcast address",
            "between",
        ),
        (
            "link-local address",
            devices("a,02:00:5e:10:00:03,fe80::1,imaging,x"),
            "devices.csv:4:21: conflict: fe80::1 is a link-local address",
            "no binding",
        ),
        (
            "unknown segment",
            devices("a,02:00:5e:10:00:03,10.21.0.12,imagin,x"),
            "devices.csv:4:32: unknown-name: there is no segment `imagin`",
            "did you mean `imaging`?",
        ),
        (
            "device named as a zone",
            devices("clinical,02:00:5e:10:00:03,10.21.0.12,imaging,x"),
            "devices.csv:4:1: conflict: `clinical` is a device and a zone",
            "rename",
        ),
        (
            "a name with a control character",
            devices("a\u{7},02:00:5e:10:00:03,10.21.0.12,imaging,x"),
            "devices.csv:4:1: bad-value: `a\\u{7}` cannot be the name",
            "lower-case",
        ),
    ]
}

#[test]
fn every_wrong_policy_gives_its_error() {
    let cases = cases();
    assert!(cases.len() >= 40, "{} cases", cases.len());
    let mut failures = Vec::new();
    for (name, sources, expected, hint) in cases {
        let Err(rejected) = from_sources(&sources) else {
            failures.push(format!("{name}: was accepted"));
            continue;
        };
        let shown: Vec<_> = rejected
            .problems
            .iter()
            .map(|problem| {
                let place = problem.place;
                let file = place.file.name();
                let text = format!(
                    "{file}:{}:{}: {}: {}",
                    place.line,
                    place.column,
                    problem.code.name(),
                    problem.message
                );
                (text, problem.hint.clone().unwrap_or_default())
            })
            .collect();
        if !shown
            .iter()
            .any(|(text, given)| text.starts_with(expected) && given.contains(hint))
        {
            failures.push(format!(
                "{name}: expected `{expected}` with a hint like `{hint}`, got {shown:#?}"
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_policy_that_the_wrong_ones_were_made_from_is_right() {
    from_sources(&policy("")).expect("is right");
}

/// Everything that is said of a policy that is wrong.
fn said(sources: &Sources) -> Vec<String> {
    let rejected = from_sources(sources).expect_err("is wrong");
    rejected.problems.iter().map(ToString::to_string).collect()
}

#[test]
fn a_file_without_commas_is_told_of_once() {
    for (header, separator) in [
        ("name;mac;ips;segment", "semicolons"),
        ("name\tmac\tips\tsegment", "tabs"),
    ] {
        let sources = with(SITE.into(), "", &format!("{header}\n{header}\n"));
        let hint = "the first line is `name,mac,ips,segment,profile,function,criticality,port`";
        assert_eq!(
            said(&sources),
            [format!(
                "devices.csv:1:1: separate fields with commas, not with {separator}\n    {hint}"
            )]
        );
    }
}

#[test]
fn a_column_too_many_is_told_of_once() {
    let devices = "name,mac,segment,asset\nct-1,02:00:5e:10:00:01,imaging,4711\nct-2,02:00:5e:10:00:02,imaging,4712\n";
    let said = said(&with(SITE.into(), "", devices));
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("devices.csv:1:18: there is no column `asset`"));
}

#[test]
fn what_a_spreadsheet_makes_of_an_inventory_is_read() {
    let devices = "\u{feff}Name, MAC ,IPs,Segment\r\nct-1,02:00:5e:10:00:01,10.21.0.11,imaging\r\n,,,\r\n , ,,,,,\r\nct-2,02:00:5e:10:00:02,,imaging\r\n,,,\r\n";
    let policy = from_sources(&with(SITE.into(), "", devices))
        .expect("is right")
        .policy;
    let read: Vec<_> = policy
        .devices
        .iter()
        .map(|device| (device.name.as_str(), device.ips.len(), device.place.line))
        .collect();
    assert_eq!(read, [("ct-1", 1, 2), ("ct-2", 0, 5)]);
}

#[test]
fn a_zone_of_a_segments_name_without_it_is_told_of_once() {
    let site = SITE.replace("clinical: {segments", "stations: {segments");
    let said = said(&with(site, "", DEVICES));
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("site.yaml:7:3: segment `stations` is in no zone"),
        "{said:?}"
    );
}

#[test]
fn what_has_no_name_is_told_of_by_its_own_error_alone() {
    let site = SITE
        .replace("stations:", "Stations:")
        .replace("world:", "World:");
    let devices = DEVICES.lines().take(2).collect::<Vec<_>>().join("\n");
    let policy = "groups:\n  Ct: {profile: ct-scanner}\nrules:\n  - {name: r, from: i, to: zzzzzz, service: any}\n";
    let said = said(&with(site, policy, &devices));
    assert_eq!(said.len(), 5, "{said:#?}");
    for named in ["`Stations`", "`World`", "`Ct`"] {
        let of = said.iter().filter(|said| said.contains(named)).count();
        assert_eq!(of, 1, "{named}: {said:#?}");
    }
    for said in &said {
        assert!(!said.contains("``") && !said.contains(": ,"), "{said}");
    }
}

#[test]
fn all_errors_of_all_files_are_reported_at_once_in_order() {
    let sources = with(
        SITE.replace("uplink: true", "uplink: 1")
            .replace("isolate: true", "isolat: true"),
        "rules:\n  - {name: r, from: nobody, to: any, service: nothing}\n",
        "name,mac,ips,segment\na,x,y,z\n",
    );
    let rejected = from_sources(&sources).expect_err("is wrong");
    let places: Vec<_> = rejected
        .problems
        .iter()
        .map(|problem| (problem.place.file.name(), problem.place.line))
        .collect();
    let expected = [
        ("site.yaml", 4),
        ("site.yaml", 6),
        ("policy.yaml", 2),
        ("policy.yaml", 2),
        ("devices.csv", 2),
        ("devices.csv", 2),
        ("devices.csv", 2),
    ];
    assert_eq!(places, expected);
}
