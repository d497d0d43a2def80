//! A site with an observed segment, over a fake kernel.

use std::sync::Arc;

use cordon_kernel::FlowEntry;
use cordon_protocol::{Apply, Party, Sources};
use cordon_verdict::abi::{Flow, FlowPath, attachment, path_word};
use cordon_verdict::{Ip, Mac, abi};
use tempfile::TempDir;

use crate::active_policy::ActivePolicy;
use crate::engine::tests::Machine;
use crate::engine::{Gateway, InForce};
use crate::observed::Observed;

/// Rules that allow guests to browse, and deny them file sharing.
pub const RULES: &str = "  - {name: no-smb, from: guest, to: any, service: smb, action: deny}\n  \
     - {name: guest-web, from: guest, to: world, service: https}\n  \
     - {name: ct-web, from: ct, to: world, service: https}\n";

/// The site; `mode` is the mode of segment `guest`.
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

/// A host at an attachment.
#[derive(Clone, Copy)]
pub struct At {
    pub ip: [u8; 4],
    pub mac: Mac,
    pub attachment: u16,
}

pub const fn at(ip: [u8; 4], mac: Mac, attachment: u16) -> At {
    At {
        ip,
        mac,
        attachment,
    }
}

pub const IMAGING: u16 = 210;
pub const GUEST: u16 = 299;
pub const ROUTER: Mac = 0x02_ff_00_00_00_01;
/// A device.
pub const CT: At = at([10, 21, 0, 1], 0x02_00_00_00_00_01, attachment(0, IMAGING));
/// A device that takes any address of its segment.
pub const TV: At = at([10, 29, 0, 9], 0x02_00_00_00_00_02, attachment(0, GUEST));
/// An unlisted host.
pub const VISITOR: At = at([10, 29, 0, 50], 0x02_aa_00_00_00_50, attachment(0, GUEST));
/// A host of the wider network, as seen in segment `guest`.
pub const WORLD: At = at([198, 51, 100, 7], ROUTER, attachment(1, GUEST));
/// The same host, as seen in segment `imaging`.
pub const WORLD_OF_CT: At = at([198, 51, 100, 7], ROUTER, attachment(1, IMAGING));
/// A device of segment `imaging`, as seen in segment `guest`.
pub const CT_OF_GUEST: At = at([10, 21, 0, 1], ROUTER, attachment(1, GUEST));

/// The site, with its gateway.
pub struct Site {
    pub machine: Machine,
    pub gateway: Arc<Gateway>,
    pub observed: Observed,
    pub directory: TempDir,
}

impl Site {
    /// Segment `guest` is observed.
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

    /// Applies a policy, and evaluates the ledger by it.
    pub fn apply(&self, mode: &str, rules: &str) {
        let apply = Apply {
            sources: sources(mode, rules),
            confirm_seconds: None,
        };
        self.gateway.apply(&apply).expect("is a valid policy");
        self.observed.reevaluate(&self.active());
    }

    /// The policy in force.
    pub fn active(&self) -> Arc<ActivePolicy> {
        self.gateway.engine().current().expect("was applied")
    }

    /// The number of a segment.
    pub fn number(&self, name: &str) -> u16 {
        let active = self.active();
        let mut segments = active.policy.segments.iter();
        let segment = segments.find(|segment| segment.name == name);
        segment.expect("there is such a segment").number
    }

    /// A flow that passes by a rule.
    pub fn flow(&self, from: At, to: At, protocol: u8, ports: [u16; 2], rule: &str) -> FlowEntry {
        let active = self.active();
        let number = (0..active.rules as u32).find(|number| active.rule(*number) == Some(rule));
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

    /// Sets the flow table, and returns the recorded conversations, one line each.
    pub fn conversations(&self, flows: &[FlowEntry]) -> Vec<String> {
        self.machine.kernel.tables().flows = flows.to_vec();
        let view = self.observed.view(&self.gateway);
        let party = |party: &Party| party.device.clone().unwrap_or(party.ip.clone());
        let mut lines: Vec<String> = view
            .talks
            .iter()
            .map(|one| {
                let rule = one.would_drop.rule.as_deref().unwrap_or("-");
                let (from, to) = (party(&one.from), party(&one.to));
                format!("{from} {to} {} {rule} {}", one.service, one.flows)
            })
            .collect();
        lines.sort();
        lines
    }
}
