//! What bridges keep to themselves, unless ports are set to let it pass.

use cordon_policy::LinkControl;
use cordon_verdict::Reason;

use crate::frame::{PTP, word};
use crate::{Decided, Leaves, Oracle, Refused};

/// The longest length that stands where others have an EtherType.
const LONGEST: u16 = 1500;

/// Where PTP goes.
const TIMING: [[u8; 6]; 2] = [
    [0x01, 0x1b, 0x19, 0x00, 0x00, 0x00],
    [0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e],
];

fn protocol(frame: &[u8]) -> Option<LinkControl> {
    match (frame[5], word(frame, 12)) {
        (_, PTP) if TIMING.iter().any(|to| frame.starts_with(to)) => Some(LinkControl::Ptp),
        (0x00, 0..=LONGEST) if frame.get(14..16) == Some(&[0x42, 0x42]) => Some(LinkControl::Stp),
        (0x02, 0x8809) => Some(LinkControl::Lacp),
        (0x00 | 0x03 | 0x0e, 0x888e) => Some(LinkControl::Eapol),
        (0x00 | 0x03 | 0x0e, 0x88cc) => Some(LinkControl::Lldp),
        _ => None,
    }
}

impl Oracle {
    pub(crate) fn link_control(
        &mut self,
        port: Option<usize>,
        frame: &[u8],
    ) -> Result<(Leaves, Decided), Refused> {
        let Some(port) = port else {
            return Err((Reason::UnknownPort, Decided::Nothing));
        };
        let set = self.policy.ports.get(port);
        match protocol(frame) {
            Some(protocol) if set.is_some_and(|set| set.pass.contains(&protocol)) => {
                let passed = self.built_in(Decided::LinkControl)?;
                self.storm_at(port)
                    .map_err(|reason| (reason, Decided::Nothing))?;
                Ok((Leaves::LinkControl(protocol), passed.rule))
            }
            _ => Err((Reason::LinkControl, Decided::Nothing)),
        }
    }
}
