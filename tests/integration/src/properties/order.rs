//! An order never opens: what a posture drops, no stricter posture lets pass.

use cordon_policy::Posture;
use cordon_portable::Judged;

use super::site::Site;
use crate::differential::hex;
use crate::generate::{FrameGenerator, Rng, one, sources};

/// Frames of one policy at one posture.
const HISTORY: usize = 60;

/// What was compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Frames of which a posture was compared with a stricter one.
    pub compared: usize,
    /// Of these, frames that passed at the stricter posture.
    pub passed: usize,
    /// Of these, frames that passed at the laxer posture only.
    pub closed: usize,
}

/// Compares postures on this many frames.
///
/// # Errors
/// The first frame that a stricter posture lets pass, with the policy and the frames before it.
pub fn check(seed: u64, frames: usize) -> Result<Tally, String> {
    let mut rng = Rng::with_seed(seed);
    let mut tally = Tally::default();
    let mut done = 0;
    let mut memory = None;
    while done < frames {
        let mut site = Site::new(sources(&mut rng, done.is_multiple_of(2)));
        let mut generator = FrameGenerator::new(&site.policy, memory.take());
        for _ in 0..20 {
            history(&mut rng, &mut site, &mut generator, &mut tally)
                .map_err(|wrong| format!("CORDON_SEED={seed}: {wrong}"))?;
            done += HISTORY;
        }
        memory = Some(generator);
    }
    Ok(tally)
}

fn history(
    rng: &mut Rng,
    site: &mut Site,
    generator: &mut FrameGenerator,
    tally: &mut Tally,
) -> Result<(), String> {
    let lax = one(rng, &Posture::ALL[..5]);
    site.reset(lax);
    let mut before = String::new();
    for _ in 0..HISTORY {
        let (port, frame) = generator.next(rng);
        let strict = Posture::ALL[rng.usize(lax as usize + 1..=5)];
        let mut ordered = |posture: Posture| {
            site.tentatively(|site| {
                site.set_posture(posture);
                site.judge(port, &frame)
            })
        };
        let stricter = ordered(strict);
        let repeated = ordered(lax);
        let judged = site.judge(port, &frame);
        let step = format!("p{port}: {}", hex(&frame));
        // With a change of posture flows are judged again, and without one they go on.
        for laxer in [&judged, &repeated] {
            if let Some(wrong) = opens(laxer, &stricter) {
                let texts = &site.sources;
                return Err(format!(
                    "{wrong}\n{texts:#?}\n{before}at {lax} and at {strict}: {step}\n{laxer:x?}\n{stricter:x?}"
                ));
            }
        }
        // A flow that goes on follows a station that moved only later.
        if site.crossing(&repeated).is_empty() && !site.crossing(&stricter).is_empty() {
            let texts = &site.sources;
            return Err(format!(
                "leaves the site at {strict} only\n{texts:#?}\n{before}at {lax}: {step}\n{repeated:x?}\n{stricter:x?}"
            ));
        }
        tally.compared += 1;
        tally.passed += usize::from(stricter.outcome.verdict.is_ok());
        tally.closed +=
            usize::from(judged.outcome.verdict.is_ok() && stricter.outcome.verdict.is_err());
        if !judged.leaving.is_empty() {
            generator.passed(rng, port, &frame, &judged.leaving);
        }
        before += &format!("{step}\n");
        if rng.u8(..20) == 0 {
            site.pass_time(1);
            before += "a tick later\n";
        }
    }
    Ok(())
}

fn opens(laxer: &Judged, stricter: &Judged) -> Option<String> {
    match (laxer.outcome.verdict, stricter.outcome.verdict) {
        (Err(reason), Ok(_)) => Some(format!(
            "the stricter posture lets pass what the laxer one drops for {}",
            reason.name()
        )),
        _ => None,
    }
}
