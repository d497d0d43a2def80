//! How many conversations each host may have in the ledger, so that a scanning host cannot fill it.

use std::collections::HashMap;
use std::net::IpAddr;

use super::conversation::{Conversation, Host};

/// Conversations in the ledger.
pub const MAX_CONVERSATIONS: usize = 16_384;
/// Conversations of one host of an observed segment.
pub const MAX_PER_HOST: u32 = 256;
/// Conversations of unlisted hosts, whose number is unlimited: of one segment, and of all segments.
pub const MAX_OF_UNLISTED: [u32; 2] = [4096, MAX_CONVERSATIONS as u32 / 2];

/// The holder of a quota: a device, with all its addresses; or an unlisted host, by segment and address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Owner {
    Device(String),
    UnlistedHost(String, IpAddr),
}

impl Owner {
    fn of(conversation: &Conversation) -> Owner {
        let Host { device, ip } = conversation.host();
        match device {
            Some(device) => Owner::Device(device.clone()),
            None => Owner::UnlistedHost(conversation.segment.clone(), *ip),
        }
    }
}

/// The number of conversations of each owner.
#[derive(Default)]
pub struct Quotas {
    by_owner: HashMap<Owner, u32>,
    /// Of unlisted hosts, by segment.
    unlisted: HashMap<String, u32>,
}

impl Quotas {
    /// Counts a conversation.
    pub fn add(&mut self, conversation: &Conversation) {
        let owner = Owner::of(conversation);
        if let Owner::UnlistedHost(segment, _) = &owner {
            *self.unlisted.entry(segment.clone()).or_default() += 1;
        }
        *self.by_owner.entry(owner).or_default() += 1;
    }

    /// Whether the owner of a conversation may have one more.
    pub fn has_room_for(&self, conversation: &Conversation) -> bool {
        let owner = Owner::of(conversation);
        let own = self.by_owner.get(&owner).copied().unwrap_or(0);
        let Owner::UnlistedHost(segment, _) = &owner else {
            return own < MAX_PER_HOST;
        };
        let in_segment = self.unlisted.get(segment).copied().unwrap_or(0);
        let in_all = self.unlisted.values().sum::<u32>();
        let [max_in_segment, max_in_all] = MAX_OF_UNLISTED;
        own < MAX_PER_HOST && in_segment < max_in_segment && in_all < max_in_all
    }
}
