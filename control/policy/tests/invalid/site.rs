//! Errors in `site.yaml`.

use super::{Case, DEVICES, SITE, site, with};

pub fn cases() -> Vec<Case> {
    vec![
        // Not valid YAML, or not a mapping.
        (
            "unclosed bracket",
            site("[access0.210, core0.210]", "[access0.210, core0.210"),
            "site.yaml:7:3: syntax: not valid YAML",
            "unclosed",
        ),
        (
            "unclosed brace in a last line without an end",
            with("site: clinic\nports: {access0".into(), "", ""),
            "site.yaml:2:16: syntax: not valid YAML",
            "unclosed",
        ),
        (
            "an unprintable character after a directive",
            with("%\u{e9}\u{e9}\u{e9}\u{e9}\0: \n".into(), "", ""),
            "site.yaml:1:9: syntax: not valid YAML",
            "unclosed",
        ),
        (
            "a site that is a list",
            with("- site\n".into(), "", ""),
            "site.yaml:1:1: wrong-type: site.yaml must be a mapping, not a list",
            "",
        ),
        (
            "an empty site",
            with(String::new(), "", ""),
            "site.yaml:1:1: wrong-type: site.yaml must be a mapping, not an empty value",
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
            "site.yaml:8:1: duplicate: `site` appears twice",
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
            "site.yaml:1:7: wrong-type: `site` must be a single value, not a mapping",
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
            "site.yaml:3:21: bad-value: `enp0s31f6-is-too-long` cannot be the name of a network interface",
            "ip -brief link",
        ),
        (
            "one NIC twice",
            site("eth2", "eth1"),
            "site.yaml:4:19: duplicate: `eth1` is already port `access0`",
            "",
        ),
        (
            "port with a dot",
            site("access0: {device", "access.0: {device"),
            "site.yaml:3:3: bad-value: the port name `access.0` contains a dot",
            "VLAN 210",
        ),
        (
            "uplink that is not a boolean",
            site("uplink: true", "uplink: yes"),
            "site.yaml:4:33: bad-value: `uplink` must be true or false, not `yes`",
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
            "site.yaml:6:22: bad-value: `0` is not a VLAN ID",
            "1 to 4094",
        ),
        (
            "VLAN 4095",
            site("access0.210", "access0.4095"),
            "site.yaml:6:22: bad-value: `4095` is not a VLAN ID",
            "1 to 4094",
        ),
        (
            "VLAN of another segment",
            site("access0.230", "access0.210"),
            "site.yaml:7:23: conflict: `access0.210` already belongs to segment `imaging`",
            "one segment",
        ),
        (
            "an attachment twice",
            site("core0.230", "access0.230"),
            "site.yaml:7:36: duplicate: `access0.230` is listed twice",
            "",
        ),
        (
            "two tags of another segment",
            site(
                "core0.230], subnets: [10.23.0.0/24]}",
                "core0.100.230], subnets: [10.23.0.0/24]}\n  lab: {attach: [core0.100.230]}",
            ),
            "site.yaml:8:18: conflict: `core0.100.230` already belongs to segment `stations`",
            "one segment",
        ),
        (
            "VLAN 0 in VLAN 100",
            site("access0.210", "access0.100.0"),
            "site.yaml:6:22: bad-value: `0` is not a VLAN ID",
            "1 to 4094",
        ),
        (
            "VLAN 210 in VLAN 0",
            site("access0.210", "access0.0.210"),
            "site.yaml:6:22: bad-value: `0` is not a VLAN ID",
            "1 to 4094",
        ),
        (
            "VLAN +210",
            site("access0.210", "access0.+210"),
            "site.yaml:6:22: bad-value: `+210` is not a VLAN ID",
            "1 to 4094",
        ),
        (
            "no VLAN after the dot",
            site("access0.210", "access0."),
            "site.yaml:6:22: bad-value: `` is not a VLAN ID",
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
            "site.yaml:4:50: bad-value: `802.1qq` is not a valid type of outer tag",
            "did you mean `802.1q`?",
        ),
        (
            "an outer tag by its EtherType",
            site("uplink: true}", "uplink: true, outer-tag: 0x88a8}"),
            "site.yaml:4:50: bad-value: `0x88a8` is not a valid type of outer tag",
            "use one of: 802.1ad, 802.1q",
        ),
        (
            "a misspelt outer tag",
            site("uplink: true}", "uplink: true, outer_tag: 802.1q}"),
            "site.yaml:4:39: unknown-field: port `core0` has no field `outer_tag`",
            "did you mean `outer-tag`?",
        ),
        (
            "proxy that is not a boolean",
            site("isolate: true", "proxy: arp"),
            "site.yaml:6:79: bad-value: `proxy` must be true or false, not `arp`",
            "`true`",
        ),
        (
            "a misspelt proxy",
            site("isolate: true", "proxi: true"),
            "site.yaml:6:72: unknown-field: segment `imaging` has no field `proxi`",
            "did you mean `proxy`?",
        ),
        (
            "an empty attach",
            site("[access0.230, core0.230]", "[]"),
            "site.yaml:7:22: missing-field: `attach` of segment `stations` is empty",
            "attach:",
        ),
        (
            "a segment without attach",
            site("attach: [access0.230, core0.230], ", ""),
            "site.yaml:7:13: missing-field: segment `stations` needs `attach`",
            "",
        ),
        (
            "not a network",
            site("10.21.0.0/24", "10.21.0.0/33"),
            "site.yaml:6:57: bad-value: `10.21.0.0/33` is not a valid network",
            "10.21.0.0/24",
        ),
        (
            "host bits",
            site("10.21.0.0/24", "10.21.0.1/24"),
            "site.yaml:6:57: bad-value: `10.21.0.1/24` has host bits set",
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
            "site.yaml:6:78: bad-value: `observed` is not a valid mode",
            "did you mean `observe`?",
        ),
        (
            "unknown: pass",
            site("isolate: true", "unknown: pass"),
            "site.yaml:6:81: bad-value: `pass` is not a valid value of `unknown`",
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
            "site.yaml:10:22: conflict: segment `imaging` is already in zone `clinical`",
            "one zone",
        ),
        (
            "network in two zones",
            site("  world:", "  all: {networks: [0.0.0.0/0]}\n  world:"),
            "site.yaml:11:22: duplicate: 0.0.0.0/0 is already in zone `all`",
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
            "a zone with the name of a segment that it does not list",
            site(
                "  clinical: {segments: [imaging]}",
                "  stations: {segments: [imaging]}",
            ),
            "site.yaml:7:3: conflict: segment `stations` is in no zone, and zone `stations`",
            "rename",
        ),
        (
            "server by name",
            site("zones:", "infrastructure: {dns: [dns.example.org]}\nzones:"),
            "site.yaml:8:24: bad-value: `dns.example.org` is not a valid IP address",
            "by address",
        ),
        (
            "unknown infrastructure",
            site("zones:", "infrastructure: {dsn: [10.0.0.1]}\nzones:"),
            "site.yaml:8:18: unknown-field: `infrastructure` has no field `dsn`",
            "did you mean `dns`?",
        ),
        (
            "a server on the continuity list without an owner",
            site(
                "zones:",
                "infrastructure: {dns: {servers: [10.0.0.1], survives: contain}}\nzones:",
            ),
            "site.yaml:8:55: missing-field: `dns` is on the continuity list and needs `owner`",
            "operators need both",
        ),
        (
            "a segment close to none but one whose name is invalid",
            with(
                SITE.replace("segments: [imaging]", "segments: [I]")
                    .replace("stations:", "Stations:"),
                "",
                DEVICES,
            ),
            "site.yaml:9:25: unknown-name: there is no segment `I`",
            "use one of: imaging",
        ),
        (
            "a subnet of multicast addresses",
            site("[10.21.0.0/24]", "[239.1.0.0/24]"),
            "site.yaml:6:57: bad-value: 239.1.0.0/24 is a multicast network",
            "group",
        ),
        (
            "a link-local subnet",
            site("[10.21.0.0/24]", "[10.21.0.0/24, \"fe80::/64\"]"),
            "site.yaml:6:71: bad-value: fe80::/64 is link-local",
            "belong to every segment",
        ),
        (
            "a router outside the segment",
            site(
                "subnets: [10.21.0.0/24]",
                "subnets: [10.21.0.0/24], routers: [10.22.0.1]",
            ),
            "site.yaml:6:82: conflict: 10.22.0.1 is not a host address of segment `imaging`",
            "routers: [10.21.0.1",
        ),
        (
            "a router at a broadcast address",
            site(
                "subnets: [10.21.0.0/24]",
                "subnets: [10.21.0.0/24], routers: [10.21.0.255]",
            ),
            "site.yaml:6:82: conflict: 10.21.0.255 is not a host address of segment `imaging`",
            "routers: [10.21.0.1",
        ),
        (
            "a router twice",
            site(
                "subnets: [10.21.0.0/24]",
                "subnets: [10.21.0.0/24], routers: [10.21.0.1, 10.21.0.1]",
            ),
            "site.yaml:6:93: duplicate: 10.21.0.1 is listed twice",
            "once",
        ),
        (
            "a storm without a number",
            site("uplink: true}", "uplink: true, storm: many}"),
            "site.yaml:4:46: bad-value: `many` is not a valid number of frames",
            "0 for no limit",
        ),
        (
            "an unknown link-control protocol",
            site("{device: eth1}", "{device: eth1, pass: [lldp, cdp]}"),
            "site.yaml:3:40: bad-value: `cdp` is not a valid link-control protocol",
            "lldp",
        ),
        (
            "an EtherType in decimal",
            site("isolate: true}", "isolate: true, ether-types: [34962]}"),
            "site.yaml:6:101: bad-value: `34962` is not an EtherType",
            "0x8892",
        ),
        (
            "an EtherType that rules decide on",
            site("isolate: true}", "isolate: true, ether-types: [0x0800]}"),
            "site.yaml:6:101: conflict: `ether-types` cannot list `0x0800`",
            "rules",
        ),
    ]
}
