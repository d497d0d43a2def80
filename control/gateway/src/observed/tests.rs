//! A site with a segment that is observed, over a kernel that a test stands in for.

use cordon_kernel::FlowEntry;
use cordon_protocol::{Apply, Party, Sources};
use cordon_verdict::abi::{Flow, FlowPath, attachment, path_word};
use tempfile::TempDir;

use super::*;
use crate::engine::tests::Machine;

/// Rules that allow guests to browse, and deny them file sharing.
pub const RULES: &str = "  - {name: no-smb, from: guest, to: any, service: smb, action: deny}\n  \
     - {name: guest-web, from: guest, to: world, service: https}\n  \
     - {name: ct-web, from: ct, to: world, service: https}\n";

/// The site; `mode` is that of its guests.
pub fn sources(mode: &str, rules: &str) -> Sources {
    let site = format!(
        "site: test\nports: {{access0: {{device: eth1}}, core0: {{device: eth2, uplink: true}}}}\nsegments:\n  \
         imaging: {{attach: [access0.210, core0.210], subnets: [10.21.0.0/24], isolate: true}}\n  guest: {{attach: \
         [access0.299, core0.299], subnets: [10.29.0.0/24], isolate: true, unknown: admit, mode: {mode}}}\nzones:\n  \
         clinical: {{segments: [imaging]}}\n  visitors: {{segments: [guest]}}\n  world: {{networks: [0.0.0.0/0]}}\n"
    );
    let devices = "name,mac,ips,segment,profile,function,criticality\n\
                   ct,02:00:00:00:00:01,10.21.0.1,imaging,ct,imaging,high\n\
                   tv,02:00:00:00:00:02,,guest,tv,visitors,low\n";
    Sources {
        site,
        policy: Some(format!("rules:\n{rules}")),
        devices: Some(devices.to_owned()),
    }
}

/// A host on a wire.
#[derive(Clone, Copy)]
pub struct At {
    ip: [u8; 4],
    mac: Mac,
    attachment: u16,
}

const fn at(ip: [u8; 4], mac: Mac, attachment: u16) -> At {
    At {
        ip,
        mac,
        attachment,
    }
}

const IMAGING: u16 = 210;
const GUEST: u16 = 299;
const ROUTER: Mac = 0x02_ff_00_00_00_01;
/// A device.
pub const CT: At = at([10, 21, 0, 1], 0x02_00_00_00_00_01, attachment(0, IMAGING));
/// A device that takes any address of its segment.
pub const TV: At = at([10, 29, 0, 9], 0x02_00_00_00_00_02, attachment(0, GUEST));
/// Nobody that is listed.
pub const VISITOR: At = at([10, 29, 0, 50], 0x02_aa_00_00_00_50, attachment(0, GUEST));
/// A host of the wider network, as the segment of guests sees it.
pub const WORLD: At = at([198, 51, 100, 7], ROUTER, attachment(1, GUEST));
/// The same, as the scanners' segment sees it.
pub const WORLD_OF_CT: At = at([198, 51, 100, 7], ROUTER, attachment(1, IMAGING));
/// A device of another segment, as the segment of guests sees it.
pub const CT_OF_GUEST: At = at([10, 21, 0, 1], ROUTER, attachment(1, GUEST));

/// The site, with its daemon's gateway.
pub struct Site {
    pub machine: Machine,
    pub gateway: Arc<Gateway>,
    pub observed: Observed,
    directory: TempDir,
}

impl Site {
    /// With guests that are observed.
    pub fn new() -> Site {
        let machine = Machine::new();
        let gateway = Arc::new(machine.start());
        let directory = tempfile::tempdir().expect("makes a directory");
        let observed = Observed::new(directory.path(), Arc::clone(&gateway.clock));
        let site = Site {
            machine,
            gateway,
            observed,
            directory,
        };
        site.apply("observe", RULES);
        site
    }

    /// Applies a policy, as the observer gets to know.
    pub fn apply(&self, mode: &str, rules: &str) {
        let apply = Apply {
            sources: sources(mode, rules),
            confirm_seconds: None,
        };
        self.gateway.apply(&apply).expect("is a good policy");
        self.observed.judge_again(&self.named());
    }

    /// The policy in force.
    pub fn named(&self) -> Arc<Named> {
        self.gateway.engine().current().expect("was applied")
    }

    /// The number of a segment.
    fn number(&self, name: &str) -> u16 {
        let named = self.named();
        let mut segments = named.policy.segments.iter();
        let segment = segments.find(|segment| segment.name == name);
        segment.expect("there is such a segment").number
    }

    /// A flow that passes by a rule.
    pub fn flow(&self, from: At, to: At, protocol: u8, ports: [u16; 2], rule: &str) -> FlowEntry {
        let named = self.named();
        let number = (0..named.rules as u32).find(|number| named.rule(*number) == Some(rule));
        let control = match self.gateway.engine().in_force() {
            Ok(InForce::Tables(control)) => control,
            other => panic!("{other:?}"),
        };
        let way = |from: At, to: At| FlowPath {
            from: path_word(from.mac, from.attachment),
            to: path_word(to.mac, to.attachment),
        };
        let ruling =
            abi::Ruling::allow(number.unwrap_or_else(|| panic!("there is no rule {rule}")));
        let vlan = abi::attachment_vlan(from.attachment);
        FlowEntry {
            address: [from.ip, to.ip].map(|ip| Ip::v4(u32::from_be_bytes(ip))),
            port: ports,
            segment: self.number(if vlan == GUEST { "guest" } else { "imaging" }),
            protocol,
            requester: 0,
            half_open: false,
            flow: Flow {
                judged: Flow::judged(control.epoch, ruling),
                path: [way(from, to), way(to, from)],
                volume: [100, 10],
                acknowledged: [0; 2],
                seen: control.tick,
                initiator: 0,
                state: Flow::OPENED,
                group: 0,
            },
        }
    }

    /// What is told of what is in the table.
    fn talks(&self, flows: &[FlowEntry]) -> Vec<String> {
        self.machine.kernel.tables().flows = flows.to_vec();
        let view = self.observed.view(&self.gateway);
        let party = |party: &Party| party.device.clone().unwrap_or(party.ip.clone());
        let mut told: Vec<String> = view
            .talks
            .iter()
            .map(|talk| {
                let rule = talk.would_drop.rule.as_deref().unwrap_or("-");
                let (from, to) = (party(&talk.from), party(&talk.to));
                format!("{from} {to} {} {rule} {}", talk.service, talk.flows)
            })
            .collect();
        told.sort();
        told
    }
}

#[test]
fn a_flow_is_judged_as_if_its_segment_were_enforced() {
    let site = Site::new();
    let twin = site
        .observed
        .twin(&site.named())
        .expect("something is observed");
    let number = |name: &str| {
        let found = (0..u32::MAX).find(|number| twin.enforced.rule(*number) == Some(name));
        found.expect("there is such a rule")
    };
    let (web, smb) = (number("guest-web"), number("no-smb"));
    // who opens, to whom, protocol, ports, what is said of it
    for (from, to, protocol, ports, want) in [
        (VISITOR, WORLD, 6, [50_000, 443], Enforced::Passes(web)),
        (VISITOR, WORLD, 6, [50_000, 25], Enforced::Drops(0)),
        (VISITOR, WORLD, 6, [50_000, 445], Enforced::Drops(smb)),
        (VISITOR, WORLD, 1, [7, 7], Enforced::Drops(0)),
        (VISITOR, CT_OF_GUEST, 6, [50_000, 104], Enforced::Drops(0)),
        (TV, VISITOR, 17, [50_000, 53], Enforced::Drops(0)),
        (WORLD, VISITOR, 6, [50_000, 22], Enforced::Drops(0)),
        (WORLD, VISITOR, 6, [50_000, 445], Enforced::Drops(0)),
        // In mid-stream, heard from the server's side first; but not whatever comes from a port that is named.
        (WORLD, VISITOR, 6, [443, 50_000], Enforced::Passes(web)),
        (WORLD, VISITOR, 6, [443, 445], Enforced::Drops(0)),
        (WORLD, VISITOR, 6, [445, 50_000], Enforced::Drops(0)),
        // Not the word of a rule.
        (CT, WORLD, 6, [50_000, 443], Enforced::Else),
    ] {
        let mut entry = site.flow(from, to, protocol, ports, "observe:guest");
        if from.ip == CT.ip {
            // Somebody has its address.
            entry.flow.path[0].from = path_word(VISITOR.mac, VISITOR.attachment);
        }
        let opening = Opening::of_flow(&entry, &site.named()).expect("it is known how it came in");
        // However often: nothing is left behind that would count.
        for _ in 0..100 {
            assert_eq!(
                twin.judge(&opening),
                want,
                "{:?} {:?} {protocol} {ports:?}",
                from.ip,
                to.ip
            );
        }
        let would_drop = twin.would_drop(smb);
        assert_eq!(would_drop.place.as_deref(), Some("policy.yaml:2"));
    }
}

#[test]
fn what_would_be_dropped_is_told_by_device_and_rule() {
    let site = Site::new();
    let flow = |from, to, ports, rule| site.flow(from, to, 6, ports, rule);
    let flows = [
        flow(VISITOR, WORLD, [50_000, 445], "observe:guest"),
        flow(VISITOR, WORLD, [50_001, 445], "observe:guest"),
        flow(TV, WORLD, [50_000, 25], "observe:guest"),
        // Its answers pass by the observed segment's rule, and enforcement would let them pass as well.
        flow(VISITOR, WORLD, [50_000, 443], "observe:guest-inbound"),
        flow(VISITOR, WORLD, [50_001, 443], "guest-web"),
        // One that is seen in two segments, with a router between.
        flow(CT, WORLD_OF_CT, [50_000, 443], "ct-web"),
        flow(CT_OF_GUEST, TV, [50_000, 8009], "observe:guest-inbound"),
        site.flow(
            CT,
            at(TV.ip, ROUTER, attachment(1, IMAGING)),
            6,
            [50_000, 8009],
            "observe:guest-inbound",
        ),
    ];
    let want = [
        "10.29.0.50 198.51.100.7 tcp/445 no-smb 2",
        "ct 10.29.0.9 tcp/8009 - 1",
        "tv 198.51.100.7 tcp/25 - 1",
    ];
    // The device is known by its address, or by its MAC where the frame had it.
    let told = site.talks(&flows);
    let told: Vec<_> = told
        .iter()
        .map(|line| line.replace("ct tv", "ct 10.29.0.9"))
        .collect();
    assert_eq!(told, want);
    assert_eq!(
        site.talks(&flows).len(),
        want.len(),
        "whoever looks twice sees the same"
    );

    let named = site.named();
    let segments = site.observed.segments(&named);
    assert_eq!((segments.len(), segments[0].flows), (1, 4));
    assert_eq!(site.observed.by_device().get("tv"), Some(&2));
    let bytes = 110 * Flow::VOLUME as u64 * 4;
    let sum = Sum { flows: 4, bytes };
    assert_eq!(site.observed.sums(&named), [("guest".to_owned(), sum)]);
}

#[test]
fn what_is_allowed_by_now_leaves_the_list_and_the_rest_outlives_the_daemon() {
    let site = Site::new();
    let flows = [
        site.flow(VISITOR, WORLD, 6, [50_000, 445], "observe:guest"),
        site.flow(TV, WORLD, 6, [50_000, 25], "observe:guest"),
    ];
    assert_eq!(site.talks(&flows).len(), 2);
    let mail =
        format!("{RULES}  - {{name: guest-mail, from: guest, to: world, service: tcp/25}}\n");
    site.apply("observe", &mail);
    let left = ["10.29.0.50 198.51.100.7 tcp/445 no-smb 1"];
    assert_eq!(site.talks(&[]), left);

    site.observed.save();
    let again = Observed::new(site.directory.path(), Arc::clone(&site.gateway.clock));
    again.judge_again(&site.named());
    let site = Site {
        observed: again,
        ..site
    };
    assert_eq!(site.talks(&[]), left);

    // Another rule denies it, and then none does.
    site.apply("observe", &RULES.replace("no-smb", "no-shares"));
    assert_eq!(
        site.talks(&[]),
        ["10.29.0.50 198.51.100.7 tcp/445 no-shares 1"]
    );
    site.apply("enforce", RULES);
    assert_eq!(site.talks(&[]), [""; 0]);
    assert!(site.observed.segments(&site.named()).is_empty());
}

#[test]
fn a_damaged_file_is_no_reason_not_to_start() {
    let site = Site::new();
    let flows = [site.flow(TV, WORLD, 6, [50_000, 25], "observe:guest")];
    assert_eq!(site.talks(&flows).len(), 1);
    let file = site.directory.path().join("observed.json");
    std::fs::write(&file, "{").expect("writes");
    let again = Observed::new(site.directory.path(), Arc::clone(&site.gateway.clock));
    let site = Site {
        observed: again,
        ..site
    };
    assert_eq!(site.talks(&flows).len(), 1);
    site.observed.save();
    let text = std::fs::read(&file).expect("reads");
    assert!(Ledger::read(&text).is_some_and(|ledger| ledger.talks().count() == 1));
}

#[test]
fn an_event_says_what_enforcement_would_do() {
    let site = Site::new();
    let named = site.named();
    let number = |name: &str| {
        (0..99)
            .find(|number| named.rule(*number) == Some(name))
            .expect("is one")
    };
    let event = |rule: &str, port: u16| abi::Event {
        kind: abi::EVENT_FLOW,
        rule: number(rule),
        protocol: 6,
        source: Ip::v4(u32::from_be_bytes(VISITOR.ip)),
        destination: Ip::v4(u32::from_be_bytes(WORLD.ip)),
        source_port: 50_000,
        destination_port: port,
        source_mac: VISITOR.mac,
        destination_mac: WORLD.mac,
        location: abi::location(0, GUEST, 0),
        segment: site.number("guest"),
        ..abi::Event::BLANK
    };
    let heard = |event: &abi::Event| {
        site.observed
            .heard(event, &named)
            .map(|(_, enforced)| enforced)
    };
    let smb = number("no-smb");
    for (rule, port, want) in [
        ("observe:guest", 445, Some(Enforced::Drops(smb))),
        ("observe:guest", 25, Some(Enforced::Drops(0))),
        (
            "observe:guest",
            443,
            Some(Enforced::Passes(number("guest-web"))),
        ),
        ("guest-web", 443, None),
    ] {
        assert_eq!(heard(&event(rule, port)), want, "{rule} {port}");
    }
    // Heard is noted, also where the table has forgotten it by now.
    assert_eq!(site.talks(&[]).len(), 2);
}

#[test]
fn what_is_said_to_groups_is_told_by_who_says_it() {
    let site = Site::new();
    let named = site.named();
    let event = |from: At, ip: [u8; 4], group: [u8; 4], mac: Mac, ports: [u16; 2]| abi::Event {
        kind: abi::EVENT_FLOW,
        rule: (0..99)
            .find(|number| named.rule(*number) == Some("observe:guest"))
            .expect("is one"),
        protocol: 17,
        source: Ip::v4(u32::from_be_bytes(ip)),
        destination: Ip::v4(u32::from_be_bytes(group)),
        source_port: ports[0],
        destination_port: ports[1],
        source_mac: from.mac,
        destination_mac: mac,
        location: abi::location((from.mac == ROUTER).into(), GUEST, 0),
        segment: site.number("guest"),
        ..abi::Event::BLANK
    };
    let discovery = [239, 255, 255, 250];
    for event in [
        event(TV, TV.ip, discovery, 0x0100_5e7f_fffa, [50_000, 3702]),
        event(TV, [0; 4], [255; 4], 0xffff_ffff_ffff, [68, 67]),
        event(VISITOR, [0; 4], [255; 4], 0xffff_ffff_ffff, [68, 67]),
        event(
            VISITOR,
            VISITOR.ip,
            [10, 29, 0, 255],
            0xffff_ffff_ffff,
            [138, 138],
        ),
        event(WORLD, WORLD.ip, discovery, 0x0100_5e7f_fffa, [50_000, 1900]),
    ] {
        let enforced = site.observed.heard(&event, &named).map(|(_, said)| said);
        assert_eq!(enforced, Some(Enforced::Drops(0)), "{event:?}");
    }
    let listed = site.talks(&[]);
    assert_eq!(
        listed,
        [
            "0.0.0.0 255.255.255.255 udp/67 - 1",
            "10.29.0.50 10.29.0.255 udp/138 - 1",
            "198.51.100.7 239.255.255.250 udp/1900 - 1",
            "tv 239.255.255.250 udp/3702 - 1",
            "tv 255.255.255.255 udp/67 - 1",
        ]
    );
    assert_eq!(site.observed.by_device().get("tv"), Some(&2));

    // What rules allow leaves the list, also of who has no address yet.
    let rules =
        format!("{RULES}  - {{name: addresses, from: guest, to: broadcast, service: udp/67}}\n");
    site.apply("observe", &rules);
    site.observed.judge_again(&site.named());
    let left = site.talks(&[]);
    assert_eq!(left, listed[1..4]);
}
