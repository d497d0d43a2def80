//! Warnings about valid policies: devices that rules and groups probably should match, missing rules, routers and uplinks.

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

fn shown(site: &str, policy: Option<&str>, devices: &str) -> Vec<String> {
    let warnings = warnings(site, policy, devices);
    warnings.iter().map(ToString::to_string).collect()
}

/// The warnings with these groups.
fn shown_with(groups: &str, devices: &str) -> Vec<String> {
    shown(SITE, Some(&format!("groups:\n{groups}{RULES}")), devices)
}

#[test]
fn a_complete_policy_has_no_warnings() {
    assert_eq!(shown(SITE, Some(RULES), DEVICES), [""; 0]);
}

#[test]
fn a_policy_without_rules_has_a_warning_with_what_is_allowed_implicitly() {
    let more = format!("{SITE}infrastructure: {{ntp: [10.10.0.9]}}\n");
    let open = more.replacen(", isolate: true", "", 1);
    let observed = SITE.replacen("isolate: true", "isolate: true, mode: observe", 1);
    for (site, policy, message) in [
        (SITE, None, "there is no policy.yaml: no traffic is allowed"),
        (
            SITE,
            Some(""),
            "policy.yaml has no rules: no traffic is allowed",
        ),
        (
            &more,
            Some("rules: []"),
            "policy.yaml has no rules: no traffic is allowed except access to the infrastructure",
        ),
        (
            &open,
            Some("groups: {pumps: {profile: pump}}"),
            "policy.yaml has no rules: no traffic is allowed except access to the infrastructure and traffic within a segment that is not isolated",
        ),
        (
            &observed,
            None,
            "there is no policy.yaml: no traffic is allowed except traffic of an observed segment",
        ),
    ] {
        let shown = shown(site, policy, DEVICES);
        let start = format!(
            "policy.yaml:1:1: {message}\n    write rules in policy.yaml: `rules: [{{name: "
        );
        assert_eq!(shown.len(), 1, "{shown:?}");
        assert!(shown[0].starts_with(&start), "{shown:?}");
    }
}

#[test]
fn a_site_with_only_uplinks_has_a_warning() {
    let site = SITE.replace("{device: eth1}", "{device: eth1, uplink: true}");
    assert_eq!(
        shown(&site, Some(RULES), DEVICES),
        [
            "site.yaml:1:1: no port faces devices\n    remove `uplink: true` from the ports on the device side"
        ]
    );
}

#[test]
fn each_misspelt_profile_gives_one_warning() {
    let devices = format!(
        "{DEVICES}pump-2,02:00:5e:10:00:03,,wards,pmup\nsrv-2,02:00:5e:10:00:04,,servers,Server\npump-3,02:00:5e:10:00:05,,wards,pmup\n"
    );
    assert_eq!(
        shown_with(
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
fn profiles_close_to_that_of_a_group_give_a_warning() {
    for (written, of_group, close) in [
        ("infusion_pump", "infusion-pump", true),
        ("Infusion Pump", "infusion-pump", true),
        ("infusionpump", "infusion-pump", true),
        ("infusion-pumps", "infusion-pump", true),
        ("patinet-monitor", "patient-monitor", true),
        ("CT", "ct", true),
        ("infusion-pump", "infusion-pump", false),
        // Different things, not typing errors.
        ("mr-scanner", "ct-scanner", false),
        ("cr", "ct", false),
        ("pump2", "pump1", false),
        ("ventilator", "workstation", false),
        ("infusion-pump-server", "infusion-pump", false),
    ] {
        let groups = format!("  it: {{profiles: [{of_group}, server]}}\n");
        let devices = format!(
            "{DEVICES}a,02:00:5e:10:00:03,,wards,{of_group}\nb,02:00:5e:10:00:04,,wards,{written}\n"
        );
        let shown = shown_with(&groups, &devices);
        assert_eq!(shown.len(), usize::from(close), "{written}: {shown:?}");
    }
}

#[test]
fn a_listed_device_in_the_networks_of_a_group_gives_one_warning_per_network() {
    let devices = format!("{DEVICES}srv-2,02:00:5e:10:00:03,10.10.0.10,servers,server\n");
    let shown = shown_with(
        "  pacs: {networks: [10.10.0.8/29, '2001:db8:10::/120', 10.10.0.128/25, 10.30.0.0/24]}\n  archive: {networks: [10.10.0.10]}\n",
        &devices,
    );
    let warning = |ip: &str, group: &str, device: &str| {
        format!(
            "policy.yaml:1:1: {ip} is in the networks of group `{group}`, but it is bound to device `{device}`, and networks do not match listed devices\n    add the device to the group: `devices: [{device}]`"
        )
    };
    assert_eq!(
        shown,
        [
            warning("10.10.0.9", "pacs", "srv-1"),
            warning("2001:db8:10::9", "pacs", "srv-1"),
            warning("10.10.0.10", "archive", "srv-2"),
        ]
    );
}

#[test]
fn a_listed_device_that_is_in_the_group_by_name_or_profile_gives_no_warning() {
    for how in ["devices: [srv-1]", "profile: server"] {
        let groups = format!("  pacs: {{networks: [10.10.0.8/29], {how}}}\n");
        assert_eq!(shown_with(&groups, DEVICES), [""; 0], "{how}");
    }
    // A whole subnet gives a warning of its own.
    let whole = shown_with("  pacs: {networks: [10.10.0.0/24]}\n", DEVICES);
    assert_eq!(whole.len(), 1, "{whole:?}");
    assert!(whole[0].contains("contain segment `servers`"), "{whole:?}");
    // The rules of the infrastructure match a server that is a listed device.
    let site = format!("{SITE}infrastructure: {{dns: [10.10.0.9]}}\n");
    assert_eq!(shown(&site, Some(RULES), DEVICES), [""; 0]);
}

#[test]
fn a_segment_with_an_uplink_but_no_routers_gives_a_warning() {
    let site = SITE.replace(", routers: [10.10.0.1]", "");
    assert_eq!(
        shown(&site, Some(RULES), DEVICES),
        [
            "site.yaml:6:3: segment `servers` names no routers: a device could impersonate the router there\n    list the router's own addresses in the segment: `routers: [10.21.0.1, \"fe80::1\"]`"
        ]
    );
}
