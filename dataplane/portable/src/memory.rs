//! The tables of the decision function, in memory.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use cordon_tables::Generation;
use cordon_verdict::abi::cuckoo::pair;
use cordon_verdict::abi::{
    Address, Admission, Control, Counter, Device, Event, FLOOD_MEMBER, FLOOD_NONE, Flow, FlowKey4,
    FlowKey6, Fragments, FragmentsKey, Limit, Network, PolicyKey, PolicyRow, PortRate, PortSetting,
    Stack, Station,
};
use cordon_verdict::{Full, Ip, Mac, Reason, Tables};

/// Tables in memory. Unlike the kernel's, the number of stations and events has no limit.
#[derive(Clone, Debug)]
pub struct Memory {
    /// The policy and posture in force.
    pub control: Control,
    /// The clock that [`Tables::now`] reads, in ticks of about a second. The caller advances it.
    pub now: u32,
    /// The generations in the two slots; `control.slot` says which is in force.
    pub slots: [Generation; 2],
    /// The FDB: where each MAC address was last seen, by FDB key.
    pub stations: HashMap<u64, Station>,
    /// The number of station moves so far.
    pub moves: u64,
    /// The capacity of each of the next four tables; unlimited by default.
    pub room: usize,
    /// Established IPv4 flows.
    pub flows4: HashMap<FlowKey4, Flow>,
    /// Established IPv6 flows.
    pub flows6: HashMap<FlowKey6, Flow>,
    /// Half-open IPv4 flows.
    pub half4: HashMap<FlowKey4, Flow>,
    /// Half-open IPv6 flows.
    pub half6: HashMap<FlowKey6, Flow>,
    /// The limits of the hosts in the FDB, by FDB key.
    pub limits: HashMap<u64, Limit>,
    /// Fragmented packets whose first fragment passed.
    pub fragments: HashMap<FragmentsKey, Fragments>,
    /// Storm and copy counters, by port.
    pub rates: BTreeMap<u16, PortRate>,
    /// Rule counters, by slot and rule.
    pub rules: HashMap<(u8, u32), Counter>,
    /// Drop counters, by reason.
    pub drops: BTreeMap<Reason, Counter>,
    /// The emitted events, the newest last.
    pub events: Vec<Event>,
    /// Whether the event ring is full, so that further events are lost.
    pub events_full: bool,
}

impl Default for Memory {
    fn default() -> Memory {
        Memory {
            control: Control {
                epoch: 0,
                tick: 0,
                posture: 0,
                slot: 0,
            },
            now: 0,
            slots: Default::default(),
            stations: HashMap::new(),
            moves: 0,
            room: usize::MAX,
            flows4: HashMap::new(),
            flows6: HashMap::new(),
            half4: HashMap::new(),
            half6: HashMap::new(),
            limits: HashMap::new(),
            fragments: HashMap::new(),
            rates: BTreeMap::new(),
            rules: HashMap::new(),
            drops: BTreeMap::new(),
            events: Vec::new(),
            events_full: false,
        }
    }
}

impl Memory {
    fn slot(&self, slot: u8) -> &Generation {
        &self.slots[usize::from(slot & 1)]
    }
}

impl Tables for Memory {
    fn control(&self) -> Control {
        self.control
    }

    fn now(&self) -> u32 {
        self.now
    }

    fn admission(&self, slot: u8, attachment: u16) -> Admission {
        self.slot(slot)
            .admissions
            .get(&attachment)
            .copied()
            .unwrap_or_default()
    }

    fn number(&self, slot: u8, place: u32) -> u16 {
        self.slot(slot).number(place)
    }

    fn stack(&self, slot: u8, attachment: u16) -> Stack {
        self.slot(slot).stack(attachment)
    }

    fn proxy(&self, slot: u8, segment: u16, ip: Ip) -> Mac {
        let proxies = &self.slot(slot).proxies;
        proxies.get(&(segment, ip)).copied().unwrap_or(0)
    }

    fn flood(&self, slot: u8, segment: u16, port: u16) -> u32 {
        match self.slot(slot).floods.get(&(segment, port)) {
            Some(attachment) => FLOOD_MEMBER | u32::from(*attachment),
            None => FLOOD_NONE,
        }
    }

    fn port(&self, slot: u8, port: u16) -> PortSetting {
        self.slot(slot)
            .ports
            .get(&port)
            .copied()
            .unwrap_or_default()
    }

    fn rate(&mut self, port: u16) -> Option<&mut PortRate> {
        Some(self.rates.entry(port).or_default())
    }

    fn ether_type(&self, slot: u8, segment: u16, ether_type: u16) -> bool {
        self.slot(slot).ether_types.contains(&(segment, ether_type))
    }

    fn device(&self, slot: u8, member: u64) -> Option<Device> {
        self.slot(slot).devices.get(&member).copied()
    }

    fn address(&self, slot: u8, ip: Ip) -> Option<Address> {
        self.slot(slot).addresses.get(&ip).copied()
    }

    fn network(&self, slot: u8, ip: Ip) -> Network {
        self.slot(slot).network(ip).unwrap_or(Network::UNCLASSIFIED)
    }

    fn service(&self, slot: u8, index: u32) -> u16 {
        self.slot(slot)
            .services
            .get(index as usize)
            .copied()
            .unwrap_or(0)
    }

    fn set(&self, slot: u8, from: u16, to: u16) -> Option<u32> {
        let sets = &self.slot(slot).policy.sets;
        sets.get(&pair(from, to)).copied()
    }

    fn policy(&self, slot: u8, key: &PolicyKey) -> Option<PolicyRow> {
        self.slot(slot).policy.rows.get(key).copied()
    }

    fn station(&self, member: u64) -> Option<Station> {
        self.stations.get(&member).copied()
    }

    fn learn(&mut self, member: u64, station: Station) {
        self.stations.insert(member, station);
    }

    fn moved(&mut self) {
        self.moves += 1;
    }

    fn flow4(&mut self, key: &FlowKey4) -> Option<&mut Flow> {
        self.flows4.get_mut(key)
    }

    fn flow6(&mut self, key: &FlowKey6) -> Option<&mut Flow> {
        self.flows6.get_mut(key)
    }

    fn half4(&mut self, key: &FlowKey4) -> Option<&mut Flow> {
        self.half4.get_mut(key)
    }

    fn half6(&mut self, key: &FlowKey6) -> Option<&mut Flow> {
        self.half6.get_mut(key)
    }

    fn add_half4(&mut self, key: &FlowKey4, seen: u16) -> Result<&mut Flow, Full> {
        add(&mut self.half4, self.room, *key, Flow::blank(seen))?;
        self.half4.get_mut(key).ok_or(Full)
    }

    fn add_half6(&mut self, key: &FlowKey6, seen: u16) -> Result<&mut Flow, Full> {
        add(&mut self.half6, self.room, *key, Flow::blank(seen))?;
        self.half6.get_mut(key).ok_or(Full)
    }

    fn establish4(&mut self, key: &FlowKey4) -> Result<(), Full> {
        let flow = *self.half4.get(key).ok_or(Full)?;
        add(&mut self.flows4, self.room, *key, flow)?;
        self.half4.remove(key);
        Ok(())
    }

    fn establish6(&mut self, key: &FlowKey6) -> Result<(), Full> {
        let flow = *self.half6.get(key).ok_or(Full)?;
        add(&mut self.flows6, self.room, *key, flow)?;
        self.half6.remove(key);
        Ok(())
    }

    fn limit(&mut self, member: u64) -> Option<&mut Limit> {
        // In the kernel's tables a limit is part of the host's record in the FDB.
        let known = self.stations.contains_key(&member);
        known.then(|| self.limits.entry(member).or_default())
    }

    fn fragments(&mut self, key: &FragmentsKey) -> Option<&mut Fragments> {
        self.fragments.get_mut(key)
    }

    fn set_fragments(&mut self, key: &FragmentsKey, fragments: &Fragments) {
        self.fragments.insert(*key, *fragments);
    }

    fn count_rule(&mut self, slot: u8, rule: u32, bytes: usize) {
        count(self.rules.entry((slot, rule)).or_default(), bytes);
    }

    fn count_drop(&mut self, reason: Reason, bytes: usize) {
        count(self.drops.entry(reason).or_default(), bytes);
    }

    fn event(&mut self, kind: u8, fill: impl FnOnce(&mut Event)) -> bool {
        if self.events_full {
            return false;
        }
        let mut event = Event {
            kind,
            ..Event::BLANK
        };
        fill(&mut event);
        self.events.push(event);
        true
    }
}

fn add<K: Eq + Hash>(
    flows: &mut HashMap<K, Flow>,
    room: usize,
    key: K,
    flow: Flow,
) -> Result<(), Full> {
    if flows.len() >= room && !flows.contains_key(&key) {
        return Err(Full);
    }
    flows.insert(key, flow);
    Ok(())
}

fn count(counter: &mut Counter, bytes: usize) {
    counter.packets += 1;
    counter.bytes += bytes as u64;
}
