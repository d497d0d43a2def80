//! Generates random frames. It remembers the frames that passed, to answer, continue, repeat and move them.

use std::collections::VecDeque;

use cordon_policy::{Attachment, Policy};

use super::fragments::split;
use super::fresh::fresh;
use super::headers::add_headers;
use super::offsets::vlans;
use super::pools::{GATEWAY, Pools};
use super::{Rng, edit, errors, one, percent};

/// The number of passed frames that are remembered.
const MEMORY: usize = 300;

/// A frame that passed: ingress port, frame, and the frames that left by port.
#[derive(Clone, Debug)]
struct Passed {
    port: u16,
    frame: Vec<u8>,
    leaving: Vec<(u16, Vec<u8>)>,
}

/// Generates frames from the names and addresses of a policy.
#[derive(Debug)]
pub struct FrameGenerator {
    pools: Pools,
    passed: VecDeque<Passed>,
    /// Fragments that are still to be sent.
    fragments: VecDeque<(u16, Vec<u8>)>,
    /// A frame that is sent at every length, each time one byte shorter.
    shrinking: Option<(u16, Vec<u8>)>,
}

impl FrameGenerator {
    /// A generator for a policy, which continues the flows that passed under the previous one.
    pub fn new(policy: &Policy, before: Option<FrameGenerator>) -> FrameGenerator {
        FrameGenerator {
            pools: Pools::new(policy),
            passed: before.map(|previous| previous.passed).unwrap_or_default(),
            fragments: VecDeque::new(),
            shrinking: None,
        }
    }

    /// Remembers a frame that passed.
    pub fn passed(&mut self, rng: &mut Rng, port: u16, frame: &[u8], leaving: &[(u16, Vec<u8>)]) {
        // Most frames that pass are decided without rules. Without this limit few others would be remembered.
        if edit::is_built_in(frame) && percent(rng, 95) {
            return;
        }
        // Fragments seldom lead to useful frames.
        if edit::is_fragment(frame) && percent(rng, 90) {
            return;
        }
        if self.passed.len() == MEMORY {
            self.passed.pop_front();
        }
        self.passed.push_back(Passed {
            port,
            frame: frame.to_vec(),
            leaving: leaving.to_vec(),
        });
    }

    /// The next frame and its ingress port.
    pub fn next(&mut self, rng: &mut Rng) -> (u16, Vec<u8>) {
        if let Some((port, frame)) = &mut self.shrinking {
            if frame.pop().is_some() {
                return (*port, frame.clone());
            }
            self.shrinking = None;
        }
        // Other frames are sent between the fragments of a packet.
        if percent(rng, 60)
            && let Some((port, fragment)) = self.fragments.pop_front()
        {
            return self.misdirect(rng, port, fragment);
        }
        let (port, mut frame) = match rng.u8(..100) {
            0..50 if !self.passed.is_empty() => self.follow_up(rng),
            _ => fresh(rng, &self.pools),
        };
        if percent(rng, 6) {
            self.fragments.extend(
                split(rng, &frame)
                    .into_iter()
                    .map(|fragment| (port, fragment)),
            );
            if let Some((port, fragment)) = self.fragments.pop_front() {
                return (port, fragment);
            }
        }
        match rng.u32(..10_000) {
            0..900 => edit::damage(rng, &mut frame),
            900..905 if frame.len() < 200 => self.shrinking = Some((port, frame.clone())),
            1000..1050 => frame = stacked(rng, &frame),
            1050..1200 => {
                let mut at = Attachment {
                    port: usize::from(port).min(self.pools.ports() - 1),
                    vlan: one(rng, &[0, 10, 20, 30, 40]),
                    inner: 0,
                };
                if at.vlan != 0 && percent(rng, 40) {
                    at.inner = one(rng, &[10, 20, 30]);
                }
                frame = edit::with_tags(&frame, &self.pools.tags(rng, at));
            }
            1200..1300 => set(&mut frame, 0, &[0x01, 0x80, 0xc2, 0, 0, rng.u8(..18)]),
            1300..1350 => set(&mut frame, 6, &one(rng, &[[0; 6], [0xff; 6], GATEWAY.0])),
            1350..1400 => set(&mut frame, 0, &GATEWAY.0),
            _ => {}
        }
        // A wrong port.
        let port = match percent(rng, 1) {
            true => self.pools.any_port(rng),
            false => port,
        };
        (port, frame)
    }

    /// A frame that follows from one that passed.
    fn follow_up(&mut self, rng: &mut Rng) -> (u16, Vec<u8>) {
        // Recent frames are preferred, so that flows become long.
        let recent = self.passed.len().min(one(rng, &[4, 30, MEMORY]));
        let at = self.passed.len() - 1 - rng.usize(..recent);
        let passed = &self.passed[at];
        let what = rng.u8(..100);
        if what < 58
            && let Some((port, copy)) = pick(rng, &passed.leaving)
            && let Some(back) = self.back(rng, *port, copy)
        {
            return (*port, back);
        }
        let (port, frame) = (passed.port, passed.frame.clone());
        match what {
            0..78 => (port, edit::next(rng, &frame)),
            78..80 => (port, add_headers(rng, &frame).unwrap_or(frame)),
            80..88 => (port, frame),
            88..94 => {
                // The same frame at another attachment of a segment: a station that moved, or a spoofed one.
                let segment = rng.usize(..self.pools.attachments.len());
                let (_, segment, _) = self.pools.attachments[segment];
                let (to, ..) = self.pools.attachment_of(rng, segment);
                let tags = self.pools.tags(rng, to);
                (to.port as u16, edit::with_tags(&frame, &tags))
            }
            _ => {
                // The same IP addresses with another source or destination MAC.
                let mut frame = frame;
                let at = one(rng, &[0, 6]);
                set(&mut frame, at, &self.pools.any_mac(rng).0);
                (port, frame)
            }
        }
    }

    /// A frame that comes back to a port by which a frame left: an answer or an ICMP error.
    fn back(&self, rng: &mut Rng, port: u16, left: &[u8]) -> Option<Vec<u8>> {
        if percent(rng, 12) {
            return errors::icmp_error(rng, &self.pools, left);
        }
        let mut answer = edit::answer(rng, left)?;
        // The answer to a group frame would have the group as its source: use a member of the group instead.
        if answer[6] & 1 == 1 && percent(rng, 95) {
            let v6 = edit::version(left) == Some(6);
            let member = match self.pools.at(port, vlans(left)) {
                Some((segment, uplink)) => self.pools.sender(rng, segment, uplink, v6),
                None => self.pools.any_endpoint(rng, v6),
            };
            set(&mut answer, 6, &member.mac.0);
            edit::set_source(&mut answer, member.ip);
        }
        Some(answer)
    }

    /// Changes MAC addresses, port or contents of some fragments.
    fn misdirect(&self, rng: &mut Rng, port: u16, mut fragment: Vec<u8>) -> (u16, Vec<u8>) {
        match rng.u8(..40) {
            0 => set(&mut fragment, 0, &self.pools.any_mac(rng).0),
            1 => set(&mut fragment, 6, &self.pools.any_mac(rng).0),
            2 => return (self.pools.any_port(rng), fragment),
            3 => edit::damage(rng, &mut fragment),
            _ => {}
        }
        (port, fragment)
    }
}

fn pick<'a, T>(rng: &mut Rng, of: &'a [T]) -> Option<&'a T> {
    match of.len() {
        0 => None,
        length => of.get(rng.usize(..length)),
    }
}

fn set(frame: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(field) = frame.get_mut(at..at + bytes.len()) {
        field.copy_from_slice(bytes);
    }
}

/// Adds a tag in front of the frame's own.
fn stacked(rng: &mut Rng, frame: &[u8]) -> Vec<u8> {
    let mut out = frame[..frame.len().min(12)].to_vec();
    out.extend(one(
        rng,
        &[
            [0x81, 0x00, 0x00, 0x0a],
            [0x88, 0xa8, 0x00, 0x0a],
            [0x81, 0x00, 0x00, 0x00],
            [0x88, 0xa8, 0x00, 0x1e],
        ],
    ));
    out.extend(frame.get(12..).unwrap_or_default());
    out
}
