//! Frames by chance, with a memory: what has passed is answered, gone on with, repeated, moved.

use std::collections::VecDeque;

use cordon_policy::{Attachment, Policy};

use super::adorn::adorn;
use super::fragments::split;
use super::fresh::fresh;
use super::places::vlans;
use super::pools::{GATEWAY, Pools};
use super::{Rng, edit, errors, one, percent};

/// How many passed frames are remembered.
const MEMORY: usize = 300;

/// A frame that passed: where it came in, and what left where.
#[derive(Clone, Debug)]
struct Passed {
    port: u16,
    frame: Vec<u8>,
    leaving: Vec<(u16, Vec<u8>)>,
}

/// Makes frames.
#[derive(Debug)]
pub struct Talk {
    pools: Pools,
    passed: VecDeque<Passed>,
    /// The pieces of packets that are still to come.
    pieces: VecDeque<(u16, Vec<u8>)>,
    /// What is cut shorter and shorter: a frame at every length.
    shrinking: Option<(u16, Vec<u8>)>,
}

impl Talk {
    /// Talk in the names of a policy. What passed under the one before is gone on with.
    pub fn new(policy: &Policy, before: Option<Talk>) -> Talk {
        Talk {
            pools: Pools::new(policy),
            passed: before.map(|talk| talk.passed).unwrap_or_default(),
            pieces: VecDeque::new(),
            shrinking: None,
        }
    }

    /// Remembers a frame that passed.
    pub fn passed(&mut self, rng: &mut Rng, port: u16, frame: &[u8], leaving: &[(u16, Vec<u8>)]) {
        // What asks no policy passes too easily: soon nothing else would be remembered.
        if edit::is_built_in(frame) && percent(rng, 95) {
            return;
        }
        // Nor are pieces of packets good for much.
        if edit::is_piece(frame) && percent(rng, 90) {
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

    /// A frame, and the port it comes in by.
    pub fn next(&mut self, rng: &mut Rng) -> (u16, Vec<u8>) {
        if let Some((port, frame)) = &mut self.shrinking {
            if frame.pop().is_some() {
                return (*port, frame.clone());
            }
            self.shrinking = None;
        }
        // Other frames come between the pieces of a packet.
        if percent(rng, 60)
            && let Some((port, piece)) = self.pieces.pop_front()
        {
            return self.astray(rng, port, piece);
        }
        let (port, mut frame) = match rng.u8(..100) {
            0..50 if !self.passed.is_empty() => self.go_on(rng),
            _ => fresh(rng, &self.pools),
        };
        if percent(rng, 6) {
            self.pieces
                .extend(split(rng, &frame).into_iter().map(|piece| (port, piece)));
            if let Some((port, piece)) = self.pieces.pop_front() {
                return (port, piece);
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
        // A port that carries something else, or nothing.
        let port = match percent(rng, 1) {
            true => self.pools.any_port(rng),
            false => port,
        };
        (port, frame)
    }

    /// Something that follows from a frame that passed.
    fn go_on(&mut self, rng: &mut Rng) -> (u16, Vec<u8>) {
        // Late ones more often: flows are long because one frame follows another.
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
            78..80 => (port, adorn(rng, &frame).unwrap_or(frame)),
            80..88 => (port, frame),
            88..94 => {
                // The same from elsewhere in a segment: a station that moved, or someone who copies it.
                let segment = rng.usize(..self.pools.attachments.len());
                let (_, segment, _) = self.pools.attachments[segment];
                let (to, ..) = self.pools.attachment_of(rng, segment);
                let tags = self.pools.tags(rng, to);
                (to.port as u16, edit::with_tags(&frame, &tags))
            }
            _ => {
                // Another end of the link under the same addresses.
                let mut frame = frame;
                let at = one(rng, &[0, 6]);
                set(&mut frame, at, &self.pools.any_mac(rng).0);
                (port, frame)
            }
        }
    }

    /// What comes back by a port about a frame that left there.
    fn back(&self, rng: &mut Rng, port: u16, left: &[u8]) -> Option<Vec<u8>> {
        if percent(rng, 12) {
            return errors::about(rng, &self.pools, left);
        }
        let mut answer = edit::answer(rng, left)?;
        // An answer to a group has the group as its source: some member answers instead.
        if answer[6] & 1 == 1 && percent(rng, 95) {
            let v6 = edit::version(left) == Some(6);
            let member = match self.pools.at(port, vlans(left)) {
                Some((segment, uplink)) => self.pools.speaker(rng, segment, uplink, v6),
                None => self.pools.anybody(rng, v6),
            };
            set(&mut answer, 6, &member.mac.0);
            edit::set_source(&mut answer, member.ip);
        }
        Some(answer)
    }

    /// Now and then a piece goes another way than the first.
    fn astray(&self, rng: &mut Rng, port: u16, mut piece: Vec<u8>) -> (u16, Vec<u8>) {
        match rng.u8(..40) {
            0 => set(&mut piece, 0, &self.pools.any_mac(rng).0),
            1 => set(&mut piece, 6, &self.pools.any_mac(rng).0),
            2 => return (self.pools.any_port(rng), piece),
            3 => edit::damage(rng, &mut piece),
            _ => {}
        }
        (port, piece)
    }
}

fn pick<'a, T>(rng: &mut Rng, of: &'a [T]) -> Option<&'a T> {
    match of.len() {
        0 => None,
        length => of.get(rng.usize(..length)),
    }
}

fn set(frame: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = frame.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// A second tag, or a service tag.
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
