//! The verdict's tables as kernel maps.

use aya_ebpf::btf_maps::lpm_trie::Key;
use aya_ebpf::helpers::generated::{bpf_ktime_get_coarse_ns, bpf_ktime_get_ns};
use cordon_verdict::abi::cuckoo::{CUCKOO_ADDRESSES, CUCKOO_DEVICES, CUCKOO_POLICY, address_key};
use cordon_verdict::abi::trie::{find, network};
use cordon_verdict::abi::{
    Address, Admission, Control, Counter, DROPS_PER_TICK, Device, EVENT_DROP, EVENTS_PER_TICK,
    Event, Flow, FlowKey4, FlowKey6, Fragments, FragmentsKey, Host, Limit, NO_ATTACHMENT, Network,
    PolicyKey, PolicyRow, PortRate, PortSetting, ProxyKey, Stack, Station, admission_index,
    ether_type_key, flood_index, port_index, rule_index, stack_index, stack_key,
};
use cordon_verdict::{Full, Ip, Mac, Reason, Tables};

use crate::evicting::EvictingTable;
use crate::maps::{
    ADDRESSES, ADMISSIONS, CONTROL, DEVICES, DROP_COUNTERS, ETHER_TYPES, EVENTS, FLOODS, FRAGMENTS,
    LOCATIONS, MOVES, NETWORKS, POLICY, PORT_RATES, PORT_SETTINGS, PROXIES, RULE_COUNTERS,
    SAMPLING, SERVICE_CLASSES, STACKS, TRIE, Table, cuckoo, half4, half6, hosts, record, set,
    table4, table6,
};

pub struct Maps;

impl Tables for Maps {
    #[inline(always)]
    fn control(&self) -> Control {
        match CONTROL.get(0) {
            // SAFETY: valid while the program runs; volatile, because user space may change it at any time and a packet
            // must read one value.
            Some(word) => Control::unpack(unsafe { core::ptr::read_volatile(word) }),
            None => Control {
                epoch: 0,
                tick: 0,
                posture: 0,
                slot: 0,
            },
        }
    }

    #[inline(always)]
    fn now(&self) -> u32 {
        // SAFETY: takes no argument.
        (unsafe { bpf_ktime_get_coarse_ns() } >> 30) as u32
    }

    #[inline(always)]
    fn admission(&self, slot: u8, attachment: u16) -> Admission {
        ADMISSIONS
            .get(admission_index(slot, attachment))
            .copied()
            .unwrap_or_default()
    }

    #[inline(always)]
    fn number(&self, slot: u8, location: u32) -> u16 {
        // SAFETY: four bytes, read at once; the slot in force is never written.
        match unsafe { STACKS.get(stack_key(slot, location)) } {
            Some(number) => *number as u16,
            None => NO_ATTACHMENT,
        }
    }

    #[inline(always)]
    fn stack(&self, slot: u8, attachment: u16) -> Stack {
        LOCATIONS
            .get(stack_index(slot, attachment))
            .copied()
            .unwrap_or_default()
    }

    #[inline(always)]
    #[allow(
        clippy::needless_borrows_for_generic_args,
        reason = "passing the key by value changes the code"
    )]
    fn proxy(&self, slot: u8, segment: u16, ip: Ip) -> Mac {
        let key = ProxyKey {
            ip,
            segment: segment as u64,
        };
        // SAFETY: a generation is built before, and freed after, any packet can use it.
        PROXIES
            .get(slot as u32)
            .and_then(|map| unsafe { map.get(&key) })
            .copied()
            .unwrap_or(0)
    }

    #[inline(always)]
    fn flood(&self, slot: u8, segment: u16, port: u16) -> u32 {
        FLOODS
            .get(flood_index(slot, segment, port))
            .copied()
            .unwrap_or(0)
    }

    #[inline(always)]
    fn port(&self, slot: u8, port: u16) -> PortSetting {
        PORT_SETTINGS
            .get(port_index(slot, port))
            .copied()
            .unwrap_or_default()
    }

    #[inline(always)]
    fn rate(&mut self, port: u16) -> Option<&mut PortRate> {
        // SAFETY: valid while the program runs. All processors count here, and some counts may be lost.
        PORT_RATES
            .get_ptr_mut(port as u32)
            .map(|rate| unsafe { &mut *rate })
    }

    #[inline(always)]
    fn ether_type(&self, slot: u8, segment: u16, ether_type: u16) -> bool {
        // SAFETY: the value is not read.
        unsafe { ETHER_TYPES.get(ether_type_key(slot, segment, ether_type)) }.is_some()
    }

    #[inline(always)]
    fn device(&self, slot: u8, fdb_key: u64) -> Option<Device> {
        cuckoo(&DEVICES, (slot, CUCKOO_DEVICES), fdb_key).map(|value| record(&value))
    }

    #[inline(always)]
    fn address(&self, slot: u8, ip: Ip) -> Option<Address> {
        let [hi, lo, owner] = cuckoo(&ADDRESSES, (slot, CUCKOO_ADDRESSES), address_key(ip))?;
        (Ip { hi, lo } == ip).then(|| record(&[owner]))
    }

    #[inline(always)]
    fn network(&self, slot: u8, ip: Ip) -> Network {
        let trie = TRIE.get(slot as u32);
        if ip.is_v4()
            && let Some(trie) = trie
            && let Some(entry) = find(ip.low32(), |at| trie.get(at).copied())
        {
            return network(entry);
        }
        match NETWORKS
            .get(slot as u32)
            .and_then(|map| map.get(&Key::new(128, ip.octets())))
        {
            Some(network) => record(network),
            None => Network::UNCLASSIFIED,
        }
    }

    #[inline(always)]
    fn service(&self, slot: u8, index: u32) -> u16 {
        SERVICE_CLASSES
            .get(slot as u32)
            .and_then(|map| map.get(index))
            .copied()
            .unwrap_or(0)
    }

    #[inline(always)]
    fn set(&self, slot: u8, from: u16, to: u16) -> Option<u32> {
        set(slot, from, to)
    }

    #[inline(always)]
    fn policy(&self, slot: u8, key: &PolicyKey) -> Option<PolicyRow> {
        cuckoo(&POLICY, (slot, CUCKOO_POLICY), key.word()).map(|value| record(&value))
    }

    #[inline(always)]
    fn station(&self, fdb_key: u64) -> Option<Station> {
        hosts().find(&[fdb_key]).map(|host| host.station)
    }

    #[inline(always)]
    fn learn(&mut self, fdb_key: u64, station: Station) {
        if let Some(host) = hosts().find(&[fdb_key]) {
            host.station = station;
            return;
        }
        // If the bucket is full, frames to the host are flooded: they still arrive.
        let host = Host {
            station,
            limit: Limit::default(),
        };
        let _ = hosts().add(&[fdb_key], host);
    }

    #[inline(always)]
    fn moved(&mut self) {
        if let Some(moves) = MOVES.get_ptr_mut(0) {
            // SAFETY: valid while the program runs. Two moves at once may count as one: only a change of the value
            // matters.
            unsafe { *moves += 1 };
        }
    }

    #[inline(always)]
    fn flow4(&mut self, key: &FlowKey4) -> Option<&mut Flow> {
        table4().find(&key.words())
    }

    #[inline(always)]
    fn flow6(&mut self, key: &FlowKey6) -> Option<&mut Flow> {
        table6().find(&key.words())
    }

    #[inline(always)]
    fn half4(&mut self, key: &FlowKey4) -> Option<&mut Flow> {
        half4().find(&key.words())
    }

    #[inline(always)]
    fn half6(&mut self, key: &FlowKey6) -> Option<&mut Flow> {
        half6().find(&key.words())
    }

    #[inline(always)]
    fn add_half4(&mut self, key: &FlowKey4, seen: u16) -> Result<&mut Flow, Full> {
        half4().add(&key.words(), Flow::blank(seen))
    }

    #[inline(always)]
    fn add_half6(&mut self, key: &FlowKey6, seen: u16) -> Result<&mut Flow, Full> {
        half6().add(&key.words(), Flow::blank(seen))
    }

    #[inline(always)]
    fn establish4(&mut self, key: &FlowKey4) -> Result<(), Full> {
        establish(&table4(), &half4(), &key.words())
    }

    #[inline(always)]
    fn establish6(&mut self, key: &FlowKey6) -> Result<(), Full> {
        establish(&table6(), &half6(), &key.words())
    }

    #[inline(always)]
    fn limit(&mut self, fdb_key: u64) -> Option<&mut Limit> {
        hosts().find(&[fdb_key]).map(|host| &mut host.limit)
    }

    #[inline(always)]
    fn fragments(&mut self, key: &FragmentsKey) -> Option<&mut Fragments> {
        // SAFETY: valid while the program runs. If the element is evicted meanwhile it belongs to another packet: one
        // fragment may then follow the first fragment of that packet, which passed as well.
        FRAGMENTS
            .get_ptr_mut(key)
            .map(|fragments| unsafe { &mut *fragments })
    }

    #[inline(always)]
    fn set_fragments(&mut self, key: &FragmentsKey, fragments: &Fragments) {
        let _ = FRAGMENTS.insert(key, fragments, 0);
    }

    #[inline(always)]
    fn count_rule(&mut self, slot: u8, rule: u32, bytes: usize) {
        count(RULE_COUNTERS.get_ptr_mut(rule_index(slot, rule)), bytes);
    }

    #[inline(always)]
    fn count_drop(&mut self, reason: Reason, bytes: usize) {
        count(DROP_COUNTERS.get_ptr_mut(reason as u32), bytes);
    }

    #[inline(always)]
    fn event(&mut self, kind: u8, fill: impl FnOnce(&mut Event)) -> bool {
        let Some(sampling) = SAMPLING.get_ptr_mut(0) else {
            return false;
        };
        let tick = self.now();
        // SAFETY: an element of a per-processor array, valid and this processor's while the program runs.
        let sampling = unsafe { &mut *sampling };
        if sampling.tick != tick {
            sampling.tick = tick;
            sampling.emitted = 0;
        }
        let most = match kind {
            EVENT_DROP => DROPS_PER_TICK,
            _ => EVENTS_PER_TICK,
        };
        if sampling.emitted >= most {
            sampling.lost += 1;
            return false;
        }
        let Some(mut entry) = EVENTS.reserve(0) else {
            sampling.lost += 1;
            return false;
        };
        sampling.emitted += 1;
        let event = entry.write(Event::BLANK);
        event.kind = kind;
        // SAFETY: takes no argument.
        event.at = unsafe { bpf_ktime_get_ns() };
        fill(event);
        entry.submit(0);
        true
    }
}

/// Moves a flow to the established ones. The half-open entry may be given to another flow while it is copied, so the
/// copy is published only if the entry is still current afterwards.
#[inline(always)]
fn establish<const W: usize, const L: usize, const N: usize, const H: usize>(
    table: &Table<W, L, N>,
    half: &EvictingTable<W, Flow, H>,
    key: &[u64; W],
) -> Result<(), Full> {
    let found = half.entry_of(key).ok_or(Full)?;
    table.add(key, found.value(), || found.is_current())?;
    found.remove();
    Ok(())
}

#[inline(always)]
fn count(counter: Option<*mut Counter>, bytes: usize) {
    if let Some(counter) = counter {
        // SAFETY: an element of a per-processor array, valid and this processor's while the program runs.
        let counter = unsafe { &mut *counter };
        counter.packets += 1;
        counter.bytes += bytes as u64;
    }
}
