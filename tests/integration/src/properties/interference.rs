//! Non-interference: a compromised host changes nothing that honest hosts send out of a closed site, and sends out itself
//! only what the continuity list allows, and address resolution.

use std::fmt;

use cordon_policy::{Policy, Posture};

use super::attack::{admits_unlisted, hostile};
use super::crossing::{Tally, check_hostile};
use super::host::{Host, hosts};
use super::router::route;
use super::site::Site;
use super::traffic::{announcement, ordinary};
use crate::differential::hex;
use crate::generate::{FrameGenerator, Rng, edit, one, sources};

/// How many runs share a policy, which takes longer to compile than a run.
const PER_POLICY: usize = 50;
/// Frames of honest hosts in a run, and of the compromised one.
const HONEST: usize = 15;
const HOSTILE: usize = 25;

/// One step of a run.
#[derive(Clone, Debug)]
enum Step {
    /// A host sends a frame.
    Honest(usize, u16, Vec<u8>),
    /// The compromised host sends a frame.
    Hostile(u16, Vec<u8>),
    /// The clock advances.
    Time(u32),
}

/// What leaves because of the frame of a host: by which port of which segment.
type Leaving = Vec<(usize, u16, Vec<u8>)>;

/// One pair of runs: the same site and honest frames, with and without the compromised host.
struct Scene {
    posture: Posture,
    hosts: Vec<Host>,
    /// The index of the compromised host.
    attacker: usize,
    steps: Vec<Step>,
}

/// Makes this many pairs of runs.
///
/// # Errors
/// The first violation, with all that reproduces it.
pub fn check(seed: u64, runs: usize) -> Result<Tally, String> {
    let mut rng = Rng::with_seed(seed);
    let mut tally = Tally::default();
    let mut site = None;
    let mut generator = None;
    let mut left = 0;
    while tally.runs < runs {
        if left == 0 {
            let new = Site::new(sources(&mut rng, false));
            generator = Some(FrameGenerator::new(&new.policy, None));
            site = Some(new);
            left = PER_POLICY;
        }
        left -= 1;
        let (Some(site), Some(generator)) = (&mut site, &mut generator) else {
            continue;
        };
        let Some(scene) = Scene::new(&mut rng, site, generator) else {
            left = 0;
            continue;
        };
        if let Err(wrong) = scene.check(site, &mut tally) {
            let fewer = scene.shrink(site);
            return Err(format!(
                "run {} of CORDON_SEED={seed}: {wrong}\n{}",
                tally.runs,
                fewer.report(site)
            ));
        }
        tally.runs += 1;
    }
    Ok(tally)
}

impl Scene {
    /// None if no host of the site can be the compromised one.
    fn new(rng: &mut Rng, site: &Site, generator: &mut FrameGenerator) -> Option<Scene> {
        let posture = one(
            rng,
            &[
                Posture::Contain,
                Posture::Contain,
                Posture::Isolate,
                Posture::Isolate,
                Posture::Lockdown,
            ],
        );
        let hosts = hosts(rng, site);
        let inside: Vec<usize> = (0..hosts.len())
            .filter(|index| !hosts[*index].remote)
            .filter(|index| hosts[*index].listed || admits_unlisted(site, hosts[*index].segment))
            .collect();
        if inside.is_empty() || hosts.len() < 3 {
            return None;
        }
        let attacker = one(rng, &inside);
        let mut scene = Scene {
            posture,
            hosts,
            attacker,
            steps: Vec::new(),
        };
        scene.fill(rng, site, generator);
        Some(scene)
    }

    fn fill(&mut self, rng: &mut Rng, site: &Site, generator: &mut FrameGenerator) {
        let honest = |rng: &mut Rng, hosts: &[Host], attacker: usize| {
            let from = rng.usize(..hosts.len());
            let to = &hosts[rng.usize(..hosts.len())];
            let frame = match from == attacker {
                true => None,
                false => ordinary(rng, site, &hosts[from], to),
            };
            frame.map(|(port, frame)| (from, port, frame))
        };
        // Most hosts are known before it starts.
        for (index, host) in self.hosts.iter().enumerate() {
            if index == self.attacker || host.remote || rng.u8(..3) == 0 {
                continue;
            }
            let mut neighbours = self.hosts.iter().filter(|to| to.segment == host.segment);
            if let Some(to) = neighbours.next()
                && let Some((port, frame)) = ordinary(rng, site, host, to)
            {
                self.steps.push(Step::Honest(index, port, frame));
            }
        }
        let mut seen: Vec<(u16, Vec<u8>)> = Vec::new();
        for _ in 0..HONEST + HOSTILE {
            if rng.usize(..HONEST + HOSTILE) < HOSTILE {
                let attacker = &self.hosts[self.attacker];
                let frame = hostile(rng, site, &self.hosts, attacker, generator, &seen);
                if let Some((port, frame)) = frame {
                    self.steps.push(Step::Hostile(port, frame));
                }
            } else if let Some((from, port, frame)) = honest(rng, &self.hosts, self.attacker) {
                seen.push((port, frame.clone()));
                let answer = self.answer(rng, site, from, &frame);
                self.steps.push(Step::Honest(from, port, frame));
                self.steps.extend(answer);
            }
            if rng.u8(..12) == 0 {
                self.steps.push(Step::Time(1));
            }
        }
    }

    /// The answer of an honest host of the same segment.
    fn answer(&self, rng: &mut Rng, site: &Site, from: usize, frame: &[u8]) -> Option<Step> {
        let segment = self.hosts[from].segment;
        let to = self
            .hosts
            .iter()
            .position(|host| host.segment == segment && Some(&host.mac.0[..]) == frame.get(..6))?;
        if to == self.attacker || rng.bool() {
            return None;
        }
        let answer = edit::answer(rng, frame)?;
        let at = self.hosts[to].at;
        let answer = edit::with_tags(&answer, &site.tags(at));
        Some(Step::Honest(to, at.port as u16, answer))
    }

    /// What leaves because of each frame of an honest host: by uplinks, and of other zones at isolate by any port.
    fn run(
        &self,
        site: &mut Site,
        tally: &mut Tally,
        with_attacker: bool,
    ) -> Result<Vec<Leaving>, String> {
        site.reset(self.posture);
        // An unlisted host can take the MAC address of a router that has never sent.
        for router in self.hosts.iter().filter(|host| host.remote) {
            let (port, frame) = announcement(site, router);
            site.judge(port, &frame);
        }
        let attacker = &self.hosts[self.attacker];
        let zone = site.policy.segments[attacker.segment].zone;
        let mut observed = Vec::new();
        let mut sent: Vec<&[u8]> = Vec::new();
        for step in &self.steps {
            match step {
                Step::Time(ticks) => site.pass_time(*ticks),
                Step::Hostile(port, frame) if with_attacker => {
                    let judged = site.judge(*port, frame);
                    let hosts = &self.hosts;
                    check_hostile(site, hosts, attacker, (*port, frame), &judged, &sent, tally)?;
                }
                Step::Hostile(..) => {}
                Step::Honest(from, port, frame) => {
                    sent.push(frame);
                    let segment = self.hosts[*from].segment;
                    let judged = site.judge(*port, frame);
                    let foreign = |site: &Site, segment: usize| {
                        self.posture >= Posture::Isolate
                            && site.policy.segments[segment].zone != zone
                    };
                    let mut leaving = Leaving::new();
                    for (port, left) in &judged.leaving {
                        if site.is_uplink(*port) || foreign(site, segment) {
                            leaving.push((segment, *port, left.clone()));
                        }
                        if site.is_uplink(*port)
                            && let Some((back, routed, to)) =
                                route(site, &self.hosts, segment, left)
                        {
                            let arrived = site.judge(back, &routed);
                            let all = arrived.leaving.into_iter();
                            let kept = all.filter(|_| foreign(site, segment) && foreign(site, to));
                            leaving.extend(kept.map(|(port, frame)| (to, port, frame)));
                        }
                    }
                    leaving.sort();
                    observed.push(leaving);
                }
            }
        }
        Ok(observed)
    }

    /// Whether the destination is the MAC address of no listed device of the segment, and a source of the compromised host.
    fn is_taken(&self, segment: usize, frame: &[u8]) -> bool {
        let takes = |step: &Step| matches!(step, Step::Hostile(_, sent) if sent.get(6..12) == frame.get(..6));
        let is_listed =
            |host: &Host| host.listed && host.segment == segment && frame.starts_with(&host.mac.0);
        self.steps.iter().any(takes) && !self.hosts.iter().any(is_listed)
    }

    fn check(&self, site: &mut Site, tally: &mut Tally) -> Result<(), String> {
        let without = self.run(site, tally, false)?;
        let with = self.run(site, tally, true)?;
        let honest = self.steps.iter().filter_map(|step| match step {
            Step::Honest(from, port, frame) => Some((from, port, frame)),
            _ => None,
        });
        for (((from, port, frame), before), after) in honest.zip(&without).zip(&with) {
            tally.honest += before.len();
            // What is for the compromised host itself is flooded until that has sent. So is what is for an unlisted host
            // that never sent, and whose MAC address the compromised host takes.
            let for_attacker = frame.starts_with(&self.hosts[self.attacker].mac.0)
                || self.is_taken(self.hosts[*from].segment, frame);
            if before != after && !for_attacker {
                let name = &self.hosts[*from];
                return Err(format!(
                    "the compromised host changes what leaves\nof {name:?}\np{port}: {}\nsilent: {}\nsending: {}",
                    hex(frame),
                    shown(before),
                    shown(after),
                ));
            }
        }
        Ok(())
    }

    /// The fewest steps found that still show a violation.
    fn shrink(&self, site: &mut Site) -> Scene {
        let mut steps = self.steps.clone();
        let mut at = 0;
        while at < steps.len() {
            let mut fewer = steps.clone();
            fewer.remove(at);
            let scene = self.with(fewer);
            match scene.check(site, &mut Tally::default()) {
                Err(_) => steps = scene.steps,
                Ok(()) => at += 1,
            }
        }
        self.with(steps)
    }

    fn with(&self, steps: Vec<Step>) -> Scene {
        Scene {
            posture: self.posture,
            hosts: self.hosts.clone(),
            attacker: self.attacker,
            steps,
        }
    }

    fn report(&self, site: &mut Site) -> String {
        let wrong = self.check(site, &mut Tally::default());
        let mut out = format!(
            "{}\nshrunk: {wrong:?}\n",
            described(&site.policy, &site.sources)
        );
        out += &format!(
            "posture {}\ncompromised: {:?}\n",
            self.posture, self.hosts[self.attacker]
        );
        for step in &self.steps {
            out += &format!("{step}\n");
        }
        out
    }
}

fn described(policy: &Policy, sources: &cordon_policy::Sources) -> String {
    let texts = [
        Some(&sources.site),
        sources.policy.as_ref(),
        sources.devices.as_ref(),
    ];
    let texts: Vec<&str> = texts.into_iter().flatten().map(String::as_str).collect();
    format!("{} rules\n{}", policy.rules.len(), texts.join("\n"))
}

fn shown(leaving: &Leaving) -> String {
    let all = leaving.iter();
    all.map(|(segment, port, frame)| format!("s{segment} p{port} {}; ", hex(frame)))
        .collect()
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Honest(from, port, frame) => write!(f, "h{from} p{port}: {}", hex(frame)),
            Step::Hostile(port, frame) => write!(f, "hostile p{port}: {}", hex(frame)),
            Step::Time(ticks) => write!(f, "{ticks} ticks later"),
        }
    }
}
