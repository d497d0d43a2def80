//! VLAN tags, attachments, proxies and idle timeouts: how they are read, their limits and their warnings.

use std::fmt::Write as _;
use std::time::Duration;

use cordon_policy::{
    Attachment, Binding, Code, MAX_COPIES, MAX_DOUBLE_TAGGED, MAX_PORTS, OuterTag, Policy,
    Rejected, Service, Sources, Validated, from_sources,
};

const SITE: &str = "\
site: clinic
ports:
  access0: {device: eth1}
  core0: {device: eth2, uplink: true, outer-tag: 802.1q}
segments:
  imaging: {attach: [access0.301, access0.302, core0.100.210], subnets: [10.21.0.0/24], routers: [10.21.0.1], proxy: true}
  stations: {attach: [access0, core0.100], subnets: [10.23.0.0/24], routers: [10.23.0.1]}
";
const RULES: &str = "rules: [{name: all, from: any, to: any, service: any}]";
const DEVICES: &str = "\
name,mac,ips,segment,port
ct-1,02:00:5e:10:00:01,10.21.0.11,imaging,access0.301
ws-1,02:00:5e:10:00:02,,stations,access0
";

fn read(site: &str, policy: &str, devices: &str) -> Result<Validated, Rejected> {
    from_sources(&Sources {
        site: site.to_owned(),
        policy: Some(policy.to_owned()),
        devices: Some(devices.to_owned()),
    })
}

fn valid(site: &str, policy: &str, devices: &str) -> Validated {
    read(site, policy, devices).unwrap_or_else(|rejected| panic!("{:#?}", rejected.problems))
}

#[test]
fn attachments_are_read_and_named_alike() {
    let Validated { policy, warnings } = valid(SITE, RULES, DEVICES);
    assert_eq!(warnings, []);
    let at = |port, vlan, inner| Attachment { port, vlan, inner };
    let [imaging, stations] = &policy.segments[..] else {
        panic!("{:?}", policy.segments);
    };
    assert_eq!(
        imaging.attachments,
        [at(0, 301, 0), at(0, 302, 0), at(1, 100, 210)]
    );
    let bound = |device: usize| policy.devices[device].binding;
    let expected = [at(0, 301, 0), at(0, 0, 0)].map(Binding::Attachment);
    assert_eq!([bound(0), bound(1)], expected.map(Some));
    // A single tag and the outer of two tags may have the same VLAN ID.
    assert_eq!(stations.attachments, [at(0, 0, 0), at(1, 100, 0)]);
    let names = |policy: &Policy, segment: usize| -> Vec<String> {
        let attachments = policy.segments[segment].attachments.iter();
        attachments.map(|at| policy.attachment_name(*at)).collect()
    };
    assert_eq!(
        names(&policy, 0),
        ["access0.301", "access0.302", "core0.100.210"]
    );
    assert_eq!(names(&policy, 1), ["access0", "core0.100"]);
    assert_eq!((imaging.proxy, stations.proxy), (true, false));
    let tags = policy.ports.iter().map(|port| port.outer_tag);
    assert!(tags.eq([OuterTag::Dot1ad, OuterTag::Dot1q]));
}

#[test]
fn a_proxy_or_several_attachments_at_a_port_make_floods_copied_one_by_one() {
    for (attach, proxy, copied) in [
        ("[access0.1, core0.1]", false, false),
        ("[access0.1, core0.1]", true, true),
        ("[access0.1, core0.1, access0.2]", false, true),
        ("[access0.1, access0.1.2]", false, true),
        ("[access0]", false, false),
    ] {
        let site = format!(
            "site: clinic\nports: {{access0: {{device: a}}, core0: {{device: b}}}}\nsegments:\n  s: {{attach: {attach}, proxy: {proxy}}}\n"
        );
        let policy = valid(&site, "", DEVICES.lines().next().expect("a header")).policy;
        assert_eq!(
            policy.segments[0].copied_one_by_one(),
            copied,
            "{attach} {proxy}"
        );
    }
}

#[test]
fn each_service_of_a_rule_keeps_its_idle_timeout() {
    let text = "
services:
  hl7: {tcp: [2575, 2576], idle: 24h}
  poll: {udp: 5000-5010, idle: 90s}
  archive: {tcp: 104, idle: 2d}
  late: {tcp: 2575, idle: 10m}
rules:
  - {name: one, from: any, to: any, service: [hl7, https, poll, tcp/2575]}
  - {name: none, from: any, to: any, service: [any, tcp/2575]}
";
    let policy = valid(SITE, text, DEVICES).policy;
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    assert_eq!(
        policy.rules[0].idle,
        [
            (Service::Tcp(2575, 2575), hours(24)),
            (Service::Tcp(2576, 2576), hours(24)),
            (Service::Udp(5000, 5010), Duration::from_secs(90)),
        ]
    );
    assert_eq!(policy.rules[1].idle, []);
    let idle = |name: &str| {
        let mut services = policy.services.iter();
        services
            .find(|service| service.name == name)
            .expect("is one")
            .idle
    };
    assert_eq!(idle("archive"), Some(hours(48)));
    assert_eq!(idle("late"), Some(Duration::from_secs(600)));
    assert_eq!(idle("https"), None);
}

/// The errors of a site that exceeds a limit; empty for a valid site.
fn limits(site: &str) -> Vec<String> {
    match read(site, "", "name,mac,segment\n") {
        Ok(_) => Vec::new(),
        Err(rejected) => {
            let problems = rejected.problems;
            assert!(
                problems.iter().all(|one| one.code == Code::Limit),
                "{problems:#?}"
            );
            assert!(
                problems
                    .iter()
                    .all(|one| one.hint.is_some() || one.message.contains("ports"))
            );
            problems.iter().map(ToString::to_string).collect()
        }
    }
}

#[test]
fn a_site_may_have_15_ports_and_no_more() {
    let site = |ports: usize| {
        let mut text = "site: clinic\nports:\n".to_owned();
        for port in 0..ports {
            writeln!(text, "  p{port}: {{device: eth{port}}}").expect("a string takes it");
        }
        text + "segments: {s: {attach: [p0]}}\n"
    };
    assert_eq!(limits(&site(MAX_PORTS)), [""; 0]);
    let errors = limits(&site(MAX_PORTS + 1));
    assert_eq!(errors, ["site.yaml:18:3: a gateway has at most 15 ports"]);
}

/// A site with one segment with these attachments.
fn attached(attachments: impl Iterator<Item = String>, proxy: bool) -> String {
    let list: Vec<String> = attachments.collect();
    format!(
        "site: clinic\nports:\n  a: {{device: a}}\n  b: {{device: b}}\nsegments:\n  s:\n    proxy: {proxy}\n    attach:\n    - {}\n",
        list.join("\n    - ")
    )
}

#[test]
fn a_segment_with_copied_floods_may_have_at_most_4096_attachments() {
    // One port does not have enough VLAN IDs.
    let vlans =
        |count: usize| (0..count).map(|at| format!("{}.{}", ["a", "b"][at / 4000], 1 + at % 4000));
    for proxy in [false, true] {
        assert_eq!(limits(&attached(vlans(MAX_COPIES), proxy)), [""; 0]);
        let errors = limits(&attached(vlans(MAX_COPIES + 2), proxy));
        assert_eq!(errors.len(), 1, "{errors:?}");
        let position = format!(
            "site.yaml:{}:7: segment `s` has {} attachments",
            9 + MAX_COPIES,
            MAX_COPIES + 2
        );
        assert!(errors[0].starts_with(&position), "{errors:?}");
    }
}

#[test]
fn a_site_may_have_4095_double_tagged_attachments_and_no_more() {
    let site = |count: usize| {
        let mut text = "site: clinic\nports: {a: {device: a}}\nsegments:\n".to_owned();
        for at in 0..count {
            let (outer, inner) = (1 + at / 4000, 1 + at % 4000);
            if at % 512 == 0 {
                write!(text, "  s{}:\n    attach:\n", at / 512).expect("a string");
            }
            writeln!(text, "    - a.{outer}.{inner}").expect("a string takes it");
        }
        text
    };
    assert_eq!(limits(&site(MAX_DOUBLE_TAGGED)), [""; 0]);
    let errors = limits(&site(MAX_DOUBLE_TAGGED + 3));
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0].contains("at most 4095 attachments with two VLAN tags"),
        "{errors:?}"
    );
    let line = 3 + 2 * (MAX_DOUBLE_TAGGED / 512 + 1) + MAX_DOUBLE_TAGGED + 1;
    assert!(
        errors[0].starts_with(&format!("site.yaml:{line}:7: ")),
        "{errors:?}, not in {line}"
    );
}

#[test]
fn likely_mistakes_with_proxies_tags_and_bindings_give_warnings() {
    let warnings = |site: &str, devices: &str| -> Vec<String> {
        let warnings = valid(site, RULES, devices).warnings;
        warnings.iter().map(|one| one.message.clone()).collect()
    };
    assert_eq!(
        warnings(SITE, &DEVICES.replace("10.21.0.11", "")),
        ["segment `imaging` has a proxy, but none of its devices has an address"]
    );
    assert_eq!(
        warnings(
            SITE,
            &format!("{DEVICES}ct-2,02:00:5e:10:00:03,,imaging,access0.302\n")
        ),
        ["segment `imaging` has a proxy, but 1 of its devices have no address"]
    );
    assert_eq!(
        warnings(&SITE.replace("core0.100.210", "core0.210"), DEVICES),
        ["port `core0` sets `outer-tag`, but no segment is attached there with two tags"]
    );
    // In a segment with several VLANs of one port, a device that is not bound to one of them can be impersonated from another.
    let unbound = |devices: &str| warnings(SITE, devices);
    let of_port = DEVICES.replace("imaging,access0.301", "imaging,access0");
    let message = "segment `imaging` has several VLANs at one port, and `ct-1` is not bound to a VLAN: a host in another of them could impersonate it";
    assert_eq!(unbound(&of_port), [message]);
    let more = format!("{of_port}ct-2,02:00:5e:10:00:03,10.21.0.12,imaging,\n");
    assert_eq!(
        unbound(&more),
        [message.replace("`ct-1` is", "`ct-1` and another are")]
    );
    // With one attachment, a frame can only leave where it came in, which takes a proxy.
    let once = SITE.replace("access0.301, access0.302, core0.100.210", "access0.301");
    let once = once.replace(", outer-tag: 802.1q", "");
    assert_eq!(warnings(&once, DEVICES), [""; 0]);
    assert_eq!(
        warnings(&once.replace("proxy: true", "proxy: false"), DEVICES),
        ["segment `imaging` is attached once: no frame can leave it"]
    );
}
