//! Status, devices and rules, as the API reports them.

use cordon_compile::rule_number;
use cordon_kernel::Opened;
use cordon_policy::{Mode, Posture, Selector};
use cordon_protocol::{
    Device, DeviceState, DropCount, FlowCount, ObservedSegment, Port, Rule, Segment, Status,
};
use cordon_verdict::abi::{self, Counter, RULE_FIRST};

use crate::active_policy::ActivePolicy;
use crate::engine::Gateway;

use crate::observed::Observed;
use crate::refusal::Refusal;

/// The status of the gateway.
pub fn status(gateway: &Gateway, observed: &Observed) -> Result<Status, Refusal> {
    let mut engine = gateway.engine();
    let counts = engine.counts().map_err(Refusal::unreadable)?;
    let (swept, _) = engine.flow_counts();
    let current = engine.current();
    let ports = engine.ports();
    let mut warnings: Vec<String> = engine.warnings().cloned().collect();
    if current.is_none() && warnings.is_empty() {
        warnings.push("no policy: nothing is forwarded. Apply one: `cordon apply DIR`".to_owned());
    }
    let status = Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        site: current.as_ref().map(|active| active.policy.site.clone()),
        posture: engine.posture().to_string(),
        order: engine.last_order(),
        policy: engine.policy_status(),
        uptime_seconds: gateway.started.elapsed().as_secs(),
        dataplane: found_as(engine.opened).to_owned(),
        ports: ports
            .into_iter()
            .map(|now| Port {
                name: now.port.name,
                device: now.port.device,
                uplink: now.port.uplink,
                state: now.state,
            })
            .collect(),
        segments: Vec::new(),
        flows: FlowCount {
            open: swept.established,
            half_open: swept.half_open,
            limit: engine.flow_limit(),
        },
        passed_packets: counts.passed.packets,
        drops: Vec::new(),
        events_lost: counts.events_lost + gateway.events_missed(),
        warnings,
    };
    drop(engine);
    let drops = counts.drops.into_iter();
    let drops = drops.filter(|(_, counter)| counter.packets > 0);
    Ok(Status {
        drops: drops
            .map(|(reason, counter)| DropCount {
                reason: reason.name().to_owned(),
                help: reason.help().trim().to_owned(),
                packets: counter.packets,
                bytes: counter.bytes,
            })
            .collect(),
        segments: current.map_or_else(Vec::new, |active| {
            segments(&active, &observed.segments(&active))
        }),
        ..status
    })
}

fn found_as(opened: Opened) -> &'static str {
    match opened {
        Opened::New => "new",
        Opened::TakenOver => "taken-over",
        Opened::Replaced => "replaced",
    }
}

fn segments(active: &ActivePolicy, observed: &[ObservedSegment]) -> Vec<Segment> {
    let policy = &active.policy;
    let segment = |segment: &cordon_policy::Segment| Segment {
        name: segment.name.clone(),
        zone: policy.zones[segment.zone].name.clone(),
        attachments: segment
            .attachments
            .iter()
            .map(|attachment| policy.attachment_name(*attachment))
            .collect(),
        isolate: segment.isolate,
        mode: match segment.mode {
            Mode::Enforce => "enforce",
            Mode::Observe => "observe",
        }
        .to_owned(),
        would_drop: observed
            .iter()
            .find(|observed| observed.segment == segment.name)
            .cloned(),
    };
    policy.segments.iter().map(segment).collect()
}

/// The devices of the policy, with where each was last seen.
pub fn devices(gateway: &Gateway, observed: &Observed) -> Result<Vec<Device>, Refusal> {
    let engine = gateway.engine();
    let Some(active) = engine.current() else {
        return Ok(Vec::new());
    };
    let stations = engine.stations();
    drop(engine);
    let policy = &active.policy;
    let would_drop = observed.by_device();
    let device = |device: &cordon_policy::Device| {
        let station = active.station(&stations, device);
        Device {
            name: device.name.clone(),
            mac: device.mac.to_string(),
            ips: device.ips.iter().map(ToString::to_string).collect(),
            segment: policy.segments[device.segment].name.clone(),
            profile: device.profile.clone(),
            function: device.function.clone(),
            criticality: device.criticality.clone(),
            state: match station {
                Some(_) => DeviceState::Seen,
                None => DeviceState::Unseen,
            },
            attachment: station.map(|station| active.attachment_name(station.at())),
            would_drop_flows: (policy.segments[device.segment].mode == Mode::Observe)
                .then(|| would_drop.get(&device.name).copied().unwrap_or(0)),
        }
    };
    Ok(policy.devices.iter().map(device).collect())
}

/// The rules of the policy and the built-in ones, with their counters.
pub fn rules(gateway: &Gateway) -> Result<Vec<Rule>, Refusal> {
    let mut engine = gateway.engine();
    let Some(active) = engine.current() else {
        return Ok(Vec::new());
    };
    let counted = engine.counts().map_err(Refusal::unreadable)?.rules;
    drop(engine);
    let of = |number: u32| counted.get(number as usize).copied().unwrap_or_default();
    let open_at = |number: u32| {
        let open = Posture::ALL.into_iter();
        let open = open.filter(|posture| active.is_useful_at(number as usize, *posture as u8));
        open.map(|posture| posture.to_string()).collect()
    };
    let built_in = |name, reason, number| Rule {
        open_at: open_at(number),
        ..built_in(name, reason, of(number))
    };
    let mut rules: Vec<Rule> = (0..RULE_FIRST)
        .filter_map(|number| {
            abi::built_in(number).map(|(name, reason)| built_in(name, reason, number))
        })
        .collect();
    let ends = |selectors: &[Selector]| {
        let names = selectors
            .iter()
            .map(|one| active.policy.selector_name(*one));
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        // A segment and the flooding within it have the same name.
        names.dedup();
        names
    };
    for (index, rule) in active.policy.rules.iter().enumerate() {
        let Counter { packets, bytes } = of(rule_number(index));
        rules.push(Rule {
            name: rule.name.clone(),
            place: Some(rule.position.to_string()),
            from: ends(&rule.from),
            to: ends(&rule.to),
            services: active.policy.service_names(&rule.services),
            action: if rule.allow { "allow" } else { "deny" }.to_owned(),
            survives: match (rule.survives, rule.allow) {
                (_, false) => Posture::Sever.to_string(),
                (Some(survives), true) => survives.to_string(),
                (None, true) => "by reach".to_owned(),
            },
            continuity: rule.continuity(),
            open_at: open_at(rule_number(index)),
            owner: rule.owner.clone(),
            reason: rule.reason.clone(),
            expires: rule.expires.map(|day| day.to_string()),
            packets,
            bytes,
        });
    }
    Ok(rules)
}

fn built_in(name: &str, reason: &str, Counter { packets, bytes }: Counter) -> Rule {
    Rule {
        name: name.to_owned(),
        place: None,
        from: Vec::new(),
        to: Vec::new(),
        services: Vec::new(),
        action: "allow".to_owned(),
        survives: Posture::Lockdown.to_string(),
        continuity: false,
        open_at: Vec::new(),
        owner: None,
        reason: Some(reason.to_owned()),
        expires: None,
        packets,
        bytes,
    }
}
