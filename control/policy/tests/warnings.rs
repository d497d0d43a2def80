//! What is worth a look in a policy that is right: who was probably meant, and is not matched.

use cordon_policy::{Code, Problem, Sources, from_sources};

const SITE: &str = "\
site: clinic
ports:
  access0: {device: eth1}
  core0: {device: eth2, uplink: true}
segments:
  servers: {attach: [access0.10, core0.10], subnets: [10.10.0.0/24, '2001:db8:10::/64'], routers: [10.10.0.1], isolate: true}
  wards: {attach: [access0.20, core0.20], subnets: [10.20.0.0/24], routers: [10.20.0.1], isolate: true}
";
const DEVICES: &str = "\
name,mac,ips,segment,profile
srv-1,02:00:5e:10:00:01,10.10.0.9 2001:db8:10::9,servers,server
pump-1,02:00:5e:10:00:02,10.20.0.11,wards,pump
";
const RULES: &str = "rules: [{name: all, from: any, to: any, service: any}]\n";

fn warnings(site: &str, policy: Option<&str>, devices: &str) -> Vec<Problem> {
    let sources = Sources {
        site: site.to_owned(),
        policy: policy.map(str::to_owned),
        devices: Some(devices.to_owned()),
    };
    match from_sources(&sources) {
        Ok(validated) => {
            let warnings = validated.warnings;
            assert!(warnings.iter().all(|one| one.code == Code::Warning));
            warnings
        }
        Err(rejected) => panic!("{:#?}", rejected.problems),
    }
}

fn said(site: &str, policy: Option<&str>, devices: &str) -> Vec<String> {
    let warnings = warnings(site, policy, devices);
    warnings.iter().map(ToString::to_string).collect()
}

/// What is said with these groups.
fn said_of(groups: &str, devices: &str) -> Vec<String> {
    said(SITE, Some(&format!("groups:\n{groups}{RULES}")), devices)
}

#[test]
fn nothing_is_said_of_what_is_as_it_should_be() {
    assert_eq!(said(SITE, Some(RULES), DEVICES), [""; 0]);
}

#[test]
fn without_a_rule_it_is_said_what_is_allowed_all_the_same() {
    let more = format!("{SITE}infrastructure: {{ntp: [10.10.0.9]}}\n");
    let open = more.replacen(", isolate: true", "", 1);
    let observed = SITE.replacen("isolate: true", "isolate: true, mode: observe", 1);
    for (site, policy, message) in [
        (SITE, None, "there is no policy.yaml: nothing is allowed"),
        (SITE, Some(""), "no rule is written: nothing is allowed"),
        (
            &more,
            Some("rules: []"),
            "no rule is written: nothing is allowed but infrastructure",
        ),
        (
            &open,
            Some("groups: {pumps: {profile: pump}}"),
            "no rule is written: nothing is allowed but infrastructure, and what stays within a segment that is not isolated",
        ),
        (
            &observed,
            None,
            "there is no policy.yaml: nothing is allowed but what an observed segment does",
        ),
    ] {
        let said = said(site, policy, DEVICES);
        let start = format!("policy.yaml:1:1: {message}\n    `rules: [{{name: ");
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with(&start), "{said:?}");
    }
}

#[test]
fn a_site_of_uplinks_has_no_devices() {
    let site = SITE.replace("{device: eth1}", "{device: eth1, uplink: true}");
    assert_eq!(
        said(&site, Some(RULES), DEVICES),
        [
            "site.yaml:1:1: no port faces devices\n    leave out `uplink: true` at the ports of the devices' side"
        ]
    );
}

#[test]
fn a_profile_that_no_group_has_but_nearly_is_told_of_once() {
    let devices = format!(
        "{DEVICES}pump-2,02:00:5e:10:00:03,,wards,pmup\nsrv-2,02:00:5e:10:00:04,,servers,Server\npump-3,02:00:5e:10:00:05,,wards,pmup\n"
    );
    assert_eq!(
        said_of(
            "  pumps: {profile: pump}\n  hosts: {profile: server}\n",
            &devices
        ),
        [
            "devices.csv:4:1: no group has the profile `pmup`, which 2 devices have\n    did you mean `pump`?",
            "devices.csv:5:1: no group has the profile `Server`, which 1 device has\n    did you mean `server`?",
        ]
    );
}

#[test]
fn which_profiles_are_near() {
    for (written, meant, near) in [
        ("infusion_pump", "infusion-pump", true),
        ("Infusion Pump", "infusion-pump", true),
        ("infusionpump", "infusion-pump", true),
        ("infusion-pumps", "infusion-pump", true),
        ("patinet-monitor", "patient-monitor", true),
        ("CT", "ct", true),
        ("infusion-pump", "infusion-pump", false),
        // What is another thing, and not a slip.
        ("mr-scanner", "ct-scanner", false),
        ("cr", "ct", false),
        ("pump2", "pump1", false),
        ("ventilator", "workstation", false),
        ("infusion-pump-server", "infusion-pump", false),
    ] {
        let groups = format!("  it: {{profiles: [{meant}, server]}}\n");
        let devices = format!(
            "{DEVICES}a,02:00:5e:10:00:03,,wards,{meant}\nb,02:00:5e:10:00:04,,wards,{written}\n"
        );
        let said = said_of(&groups, &devices);
        assert_eq!(said.len(), usize::from(near), "{written}: {said:?}");
    }
}

#[test]
fn a_listed_device_in_the_networks_of_a_group_is_told_of_once_for_each_network() {
    let devices = format!("{DEVICES}srv-2,02:00:5e:10:00:03,10.10.0.10,servers,server\n");
    let said = said_of(
        "  pacs: {networks: [10.10.0.8/29, '2001:db8:10::/120', 10.10.0.128/25, 10.30.0.0/24]}\n  archive: {networks: [10.10.0.10]}\n",
        &devices,
    );
    let told = |ip: &str, group: &str, device: &str| {
        format!(
            "policy.yaml:1:1: {ip}, in the networks of group `{group}`, is device `{device}`, which networks do not match\n    name it in the group: `devices: [{device}]`"
        )
    };
    assert_eq!(
        said,
        [
            told("10.10.0.9", "pacs", "srv-1"),
            told("2001:db8:10::9", "pacs", "srv-1"),
            told("10.10.0.10", "archive", "srv-2"),
        ]
    );
}

#[test]
fn a_listed_device_that_the_group_has_otherwise_is_not_told_of() {
    for how in ["devices: [srv-1]", "profile: server"] {
        let groups = format!("  pacs: {{networks: [10.10.0.8/29], {how}}}\n");
        assert_eq!(said_of(&groups, DEVICES), [""; 0], "{how}");
    }
    // A whole subnet is told of as such.
    let whole = said_of("  pacs: {networks: [10.10.0.0/24]}\n", DEVICES);
    assert_eq!(whole.len(), 1, "{whole:?}");
    assert!(whole[0].contains("hold segment `servers`"), "{whole:?}");
    // A server of the infrastructure has its rule, device or not.
    let site = format!("{SITE}infrastructure: {{dns: [10.10.0.9]}}\n");
    assert_eq!(said(&site, Some(RULES), DEVICES), [""; 0]);
}

#[test]
fn a_segment_that_goes_out_names_its_routers() {
    let site = SITE.replace(", routers: [10.10.0.1]", "");
    assert_eq!(
        said(&site, Some(RULES), DEVICES),
        [
            "site.yaml:6:3: segment `servers` names no routers: a device may speak as the router there\n    the router's own addresses in the segment: `routers: [10.21.0.1, \"fe80::1\"]`"
        ]
    );
}
