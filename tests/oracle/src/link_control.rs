//! Link control protocols (STP, LACP, EAPOL, LLDP, PTP): dropped, unless ports are configured to pass them.

use cordon_policy::LinkControl;
use cordon_verdict::Reason;

use crate::frame::u16_at;
use crate::protocol::PTP;
use crate::{Forwarded, MatchedRule, Oracle, Refusal};

/// The largest value of the EtherType field that is an IEEE 802.3 length.
const MAX_LENGTH_FIELD: u16 = 1500;

/// Destination addresses of PTP.
const PTP_DESTINATIONS: [[u8; 6]; 2] = [
    [0x01, 0x1b, 0x19, 0x00, 0x00, 0x00],
    [0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e],
];

fn protocol(frame: &[u8]) -> Option<LinkControl> {
    match (frame[5], u16_at(frame, 12)) {
        (_, PTP) if PTP_DESTINATIONS.iter().any(|to| frame.starts_with(to)) => {
            Some(LinkControl::Ptp)
        }
        (0x00, 0..=MAX_LENGTH_FIELD) if frame.get(14..16) == Some(&[0x42, 0x42]) => {
            Some(LinkControl::Stp)
        }
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
    ) -> Result<(Forwarded, MatchedRule), Refusal> {
        let Some(port) = port else {
            return Err((Reason::UnknownPort, MatchedRule::None));
        };
        let set = self.policy.ports.get(port);
        match protocol(frame) {
            Some(protocol) if set.is_some_and(|set| set.pass.contains(&protocol)) => {
                let permit = self.built_in(MatchedRule::LinkControl)?;
                self.port_storm_control(port)
                    .map_err(|reason| (reason, MatchedRule::None))?;
                Ok((Forwarded::LinkControl(protocol), permit.rule))
            }
            _ => Err((Reason::LinkControl, MatchedRule::None)),
        }
    }
}
