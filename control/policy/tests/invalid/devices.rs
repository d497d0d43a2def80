//! Errors in `devices.csv`.

use super::{Case, DEVICES, SITE, devices, site, with};

pub fn cases() -> Vec<Case> {
    vec![
        (
            "open quote in CSV",
            devices("\"ct-2,02:00:5e:10:00:03,,imaging,"),
            "devices.csv:4:1: bad-value: `ct-2,02",
            "",
        ),
        (
            "a device with the router's address",
            site(
                "subnets: [10.21.0.0/24]",
                "subnets: [10.21.0.0/24], routers: [10.21.0.11]",
            ),
            "devices.csv:2:24: conflict: 10.21.0.11 is the address of a router of segment `imaging`",
            "uplink side",
        ),
        (
            "bound to a VLAN that its segment does not have",
            with(
                SITE.into(),
                "",
                "name,mac,segment,port\na,02:00:5e:10:00:03,imaging,access0.211\n",
            ),
            "devices.csv:2:29: conflict: segment `imaging` is not attached at `access0.211`",
            "its attachments at port `access0`: access0.210",
        ),
        (
            "bound to a VLAN of the uplink",
            with(
                SITE.into(),
                "",
                "name,mac,segment,port\na,02:00:5e:10:00:03,imaging,core0.210\n",
            ),
            "devices.csv:2:29: conflict: a device of segment `imaging` cannot be at port `core0`",
            "not an uplink",
        ),
        (
            "bound to VLAN 4095",
            with(
                SITE.into(),
                "",
                "name,mac,segment,port\na,02:00:5e:10:00:03,imaging,access0.4095\n",
            ),
            "devices.csv:2:29: bad-value: `4095` is not a VLAN ID",
            "1 to 4094",
        ),
        (
            "no header",
            with(SITE.into(), "", ""),
            "devices.csv:1:1: missing-field: the file has no header row",
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
            "devices.csv:1:18: duplicate: column `mac` appears twice",
            "",
        ),
        (
            "a misspelt column in upper case",
            with(SITE.into(), "", "Name,MAC,SEGMNT,Segment\n"),
            "devices.csv:1:10: unknown-field: there is no column `SEGMNT`",
            "did you mean `segment`?",
        ),
        (
            "a column twice, in upper case and after a space",
            with(SITE.into(), "", "name,mac,segment, MAC\n"),
            "devices.csv:1:18: duplicate: column `MAC` appears twice",
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
            "an address with leading zeros",
            devices("a,02:00:5e:10:00:03,10.21.0.012,imaging,x"),
            "devices.csv:4:21: bad-value: `10.21.0.012` is not an IP address",
            "leading zeros: `10.21.0.12`",
        ),
        (
            "an address with leading zeros and a prefix length",
            devices("a,02:00:5e:10:00:03,010.021.000.012/24,imaging,x"),
            "devices.csv:4:21: bad-value: `010.021.000.012/24` is not an IP address",
            "leading zeros: `10.21.0.12`",
        ),
        (
            "an address with a prefix",
            devices("a,02:00:5e:10:00:03,10.21.0.12/24,imaging,x"),
            "devices.csv:4:21: bad-value: `10.21.0.12/24` is not an IP address",
            "without its prefix length: `10.21.0.12`",
        ),
        (
            "an IPv6 address with a prefix",
            devices("a,02:00:5e:10:00:03,2001:db8:21::b/64,imaging,x"),
            "devices.csv:4:21: bad-value: `2001:db8:21::b/64` is not an IP address",
            "without its prefix length: `2001:db8:21::b`",
        ),
        (
            "an address without a part",
            devices("a,02:00:5e:10:00:03,10.21..12,imaging,x"),
            "devices.csv:4:21: bad-value: `10.21..12` is not an IP address",
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
            "a line after a comment and an empty line",
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
            "a field after one in quotes",
            devices("\"a\",02:00:5e:10:00:03,\"10.21.0.12 \n10.21.0.13\",imagin,x"),
            "devices.csv:5:13: unknown-name: there is no segment `imagin`",
            "imaging",
        ),
        (
            "a misspelt column after a comment",
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
            "devices.csv:4:3: bad-value: `02:00:5e:10:00` is not a MAC address",
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
            "devices.csv:4:3: conflict: 02:43:4f:52:44:4e is the MAC address of the gateway",
            "proxy: true",
        ),
        (
            "MAC twice",
            devices("a,02-00-5E-10-00-01,10.21.0.12,imaging,x"),
            "devices.csv:4:3: duplicate: 02:00:5e:10:00:01 is already listed in segment `imaging`",
            "line 2",
        ),
        (
            "name twice",
            devices("ct-1,02:00:5e:10:00:03,10.21.0.12,imaging,x"),
            "devices.csv:4:1: duplicate: device `ct-1` is listed twice",
            "line 2",
        ),
        (
            "bad address",
            devices("a,02:00:5e:10:00:03,10.21.0.256,imaging,x"),
            "devices.csv:4:21: bad-value: `10.21.0.256` is not an IP address",
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
            "devices.csv:4:21: duplicate: 10.21.0.11 is already bound to the device in line 2",
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
            "need no binding",
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
            "devices.csv:4:1: conflict: `clinical` names both a device and a zone",
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
