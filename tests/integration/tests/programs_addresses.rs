//! Devices get addresses (DHCP, DHCPv6, SLAAC) and resolve names through the gateway.

use std::net::IpAddr;

use cordon_integration::programs::addresses::{Client, IpVersion, dnsmasq, radvd};
use cordon_integration::programs::listen::Listening;
use cordon_integration::programs::{must, net, plan, set};
use cordon_integration::steps::{PATIENCE, wait_until};
use cordon_lab::{Device, Host, Lab, Mac, Result};
use ipnet::IpNet;

/// The server's ranges for the stations' VLAN and the guests'.
const RANGES: [&str; 2] = [
    "10.23.0.100,10.23.0.150,255.255.255.0,1h",
    "10.29.0.100,10.29.0.150,255.255.255.0,1h",
];
/// Strings of a TXT record, together larger than a frame.
const STRINGS: usize = 14;

#[test]
fn devices_get_addresses_and_resolve_names() -> Result<()> {
    let lab = Lab::raise(plan()?)?;
    lab.gateway().start_with_policy()?;
    let scratch = lab.directory();
    let router = lab.router();
    let [one, two] = RANGES.map(|range| format!("--dhcp-range={range}"));
    let server = dnsmasq(
        &*lab.host("dhcp")?,
        scratch,
        &["--port=0", "--dhcp-authoritative", &one, &two],
    )?;
    // The core router relays DHCP, and is itself the DHCPv6 server where its advertisements say "managed".
    let _relay = dnsmasq(
        router,
        scratch,
        &[
            "--port=0",
            "--dhcp-relay=10.23.0.1,10.200.0.5",
            "--dhcp-relay=10.29.0.1,10.200.0.5",
            "--dhcp-range=fd00:23::1000,fd00:23::1fff,64,1h",
        ],
    )?;
    let _router = radvd(
        router,
        scratch,
        &[
            (
                "vlan-230",
                "AdvManagedFlag on; prefix fd00:23::/64 { AdvAutonomous off; };",
            ),
            ("vlan-299", "prefix fd00:29::/64 { AdvAutonomous on; };"),
        ],
    )?;
    let strings = vec!["x".repeat(250); STRINGS];
    let text = format!("--txt-record=long.hospital.test,{}", strings.join(","));
    let _names = dnsmasq(
        &*lab.host("dns")?,
        scratch,
        &[
            "--host-record=pacs.hospital.test,10.200.4.10,fd00:200:4::10",
            &text,
            "--edns-packet-max=4096",
        ],
    )?;
    let mut servers = Vec::new();
    for (name, port) in [
        ("records", 443),
        ("records6", 443),
        ("internet", 80),
        ("internet6", 80),
    ] {
        servers.push(Listening::at(&*lab.host(name)?, &[port], &[])?);
    }

    // A listed device without a bound address, and an unlisted one.
    let cart = without_addresses(&lab, "cart-1", [0x02, 0x00, 0x5e, 0x23, 0x00, 0x21], 230)?;
    let phone = without_addresses(&lab, "phone", [0x02, 0x00, 0x5e, 0x29, 0x00, 0x77], 299)?;
    let mut clients = Vec::new();
    for (host, within) in [(&cart, "10.23.0.0/24"), (&phone, "10.29.0.0/24")] {
        let mut client = Client::start(host, scratch, IpVersion::V4)?;
        client.bound()?;
        let address = only_address(host, net(within))?;
        assert!((100..=150).contains(&last_part(address)), "{address}");
        clients.push(client);
    }
    // Router advertisements make the cart use DHCPv6 and the phone SLAAC.
    for host in [&cart, &phone] {
        wait_until("the host has a default route", || {
            Ok(must(host, &["ip", "-6", "route", "show", "default"])?.contains("proto ra"))
        })?;
    }
    let mut client6 = Client::start(&cart, scratch, IpVersion::V6)?;
    client6.bound()?;
    let leased = only_address(&cart, net("fd00:23::/64"))?;
    assert!((0x1000..0x2000).contains(&(last_part(leased))), "{leased}");
    let derived = only_address(&phone, net("fd00:29::/64"))?;
    assert_eq!(derived.to_string(), "fd00:29::5eff:fe29:77");

    // Flows from these addresses pass.
    for (host, other, port) in [
        (&cart, "records", 443),
        (&cart, "records6", 443),
        (&phone, "internet", 80),
        (&phone, "internet6", 80),
    ] {
        assert!(
            host.connects(lab.host(other)?.at(port), PATIENCE)?,
            "{} to {other}",
            host.name()
        );
    }
    for host in [&cart, &phone] {
        let dig =
            |more: &[&str]| must(host, &[&["dig", "@10.200.0.53", "+tries=5"], more].concat());
        assert_eq!(dig(&["+short", "pacs.hospital.test"])?, "10.200.4.10\n");
        assert_eq!(
            dig(&["+short", "pacs.hospital.test", "AAAA"])?,
            "fd00:200:4::10\n"
        );
        assert_eq!(
            dig(&["+short", "+tcp", "pacs.hospital.test"])?,
            "10.200.4.10\n"
        );
        // The answer is fragmented.
        let long = dig(&["+bufsize=4096", "long.hospital.test", "TXT"])?;
        assert!(long.contains("(UDP)"), "{long}");
        assert_eq!(long.matches(&strings[0]).count(), STRINGS, "{long}");
    }

    // Leases are released by unicast to the server.
    for client in clients {
        client.release()?;
    }
    wait_until("the server has received the releases", || {
        let log = server.stdout() + &server.stderr();
        Ok(log.matches("DHCPRELEASE").count() == 2)
    })?;
    Ok(())
}

/// A host without IP addresses, which accepts router advertisements.
fn without_addresses(lab: &Lab, name: &str, mac: [u8; 6], vlan: u16) -> Result<Host> {
    let host = lab.plug_in(Device {
        name: name.to_owned(),
        mac: Mac(mac),
        vlan,
        addresses: vec![net("192.0.2.1/32")],
    })?;
    must(&host, &["ip", "addr", "flush", "dev", Host::INTERFACE])?;
    set(&host, "ipv6/conf/eth0/accept_ra", "1")?;
    // This makes the kernel assign a link-local address.
    set(&host, "ipv6/conf/eth0/addr_gen_mode", "0")?;
    Ok(host)
}

/// Waits until the host has one address of a subnet, and returns it.
fn only_address(host: &Host, subnet: IpNet) -> Result<IpAddr> {
    let mut found = Vec::new();
    wait_until(&format!("{} has an address", host.name()), || {
        let output = must(host, &["ip", "-brief", "addr", "show", Host::INTERFACE])?;
        let addresses = output
            .split_whitespace()
            .filter_map(|word| word.parse::<IpNet>().ok());
        found = addresses
            .map(|net| net.addr())
            .filter(|ip| subnet.contains(ip))
            .collect();
        Ok(!found.is_empty())
    })?;
    assert_eq!(found.len(), 1, "{found:?}");
    Ok(found[0])
}

fn last_part(ip: IpAddr) -> u16 {
    match ip {
        IpAddr::V4(ip) => u16::from(ip.octets()[3]),
        IpAddr::V6(ip) => ip.segments()[7],
    }
}
